//! Finds what a person named, or says what they may have meant.
//!
//! It never changes anything.

use anyhow::bail;
use jiff::tz::TimeZone;

use crate::notice::safe;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::task::TaskId;
use crate::watch::{Import, ImportKey, Standing};

/// Imports read at once.
const PAGE: usize = 1000;

/// The import that `text` means; see [`Store::find_import`].
///
/// # Errors
///
/// That there is none, with the nearest name; or the store's.
pub(super) fn import(store: &Store, text: &str, zone: &TimeZone) -> anyhow::Result<Import> {
    if let Some(found) = store.find_import(text, zone)? {
        return Ok(found);
    }
    let shown = safe::start(text, 60);
    if let Some((name, start)) = text.rsplit_once('@')
        && let Some(newest) = store.find_import(name, zone)?
    {
        bail!(
            "no import {:?} was started at {:?}; the newest was at {}, and `importwatch list --imports` shows them all",
            safe::start(name, 60),
            safe::start(start, 60),
            newest.started_at.strftime("%Y-%m-%dT%H:%MZ"),
        );
    }
    match nearest(store, text)? {
        Nearest::None => bail!(
            "there is no import {shown:?}: nothing is watched yet; add tasks with: importwatch add --import NAME ID…"
        ),
        Nearest::Far => {
            bail!("there is no import {shown:?}; `importwatch list --imports` shows what there is")
        }
        Nearest::Close(name) => bail!(
            "there is no import {shown:?}; did you mean {:?}? `importwatch list --imports` shows all",
            safe::start(&name, 60)
        ),
    }
}

/// What there is beside a name that there is not.
#[derive(Debug, PartialEq, Eq)]
enum Nearest {
    /// No import at all.
    None,
    /// None whose name is alike.
    Far,
    /// One of this name.
    Close(String),
}

fn nearest(store: &Store, text: &str) -> anyhow::Result<Nearest> {
    let mut best: Option<(usize, String)> = None;
    let mut any = false;
    each_import(store, |import, _| {
        any = true;
        if let Some(distance) = distance(text, &import.name)
            && best.as_ref().is_none_or(|(least, _)| distance <= *least)
        {
            best = Some((distance, import.name));
        }
        Ok(())
    })?;
    Ok(match best {
        Some((_, name)) => Nearest::Close(name),
        None if any => Nearest::Far,
        None => Nearest::None,
    })
}

/// Shows each import and how it stands to `see`, the oldest first.
///
/// # Errors
///
/// The store's, or what `see` says.
pub(super) fn each_import(
    store: &Store,
    mut see: impl FnMut(Import, Standing) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut after: Option<ImportKey> = None;
    loop {
        let page = store.imports(after, PAGE)?;
        if page.is_empty() {
            return Ok(());
        }
        for (import, standing) in page {
            after = Some(import.key);
            see(import, standing)?;
        }
    }
}

/// How much was mistyped, if it is at most a third of `name`, or if `name` was only begun.
fn distance(text: &str, name: &str) -> Option<usize> {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let distance = strsim::osa_distance(&text, &name);
    let begun = text.chars().count() >= 3 && name.starts_with(&text);
    (begun || distance * 3 <= name.chars().count()).then_some(distance)
}

/// The import's name as `--import` takes it: the plain name where it means this import, else with
/// its start.
pub(super) fn selector(
    store: &Store,
    import: &Import,
    zone: &TimeZone,
) -> Result<String, StoreError> {
    let starts = ["%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S%.3fZ"];
    let with_start = starts.map(|format| {
        let start = import.started_at.strftime(format);
        format!("{}@{start}", import.name)
    });
    let [short, long] = with_start;
    for text in [import.name.as_str(), short.as_str()] {
        let found = store.find_import(text, zone)?;
        if found.is_some_and(|found| found.key == import.key) {
            return Ok(text.to_owned());
        }
    }
    Ok(long)
}

/// That a task is not watched, and what to do.
pub(super) fn unknown_task(id: &TaskId) -> String {
    format!(
        "the task {id} is not watched; `importwatch list` shows what is, and `importwatch add {}` begins to watch it",
        word(&id.to_string())
    )
}

/// `text` as one word of a shell, for a command that the user may type.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_may_be_mistyped() {
        assert_eq!(distance("prodcts", "products"), Some(1));
        assert_eq!(distance("Products", "products"), Some(0));
        assert!(distance("prod", "products-of-the-north").is_some());
        assert_eq!(distance("stock", "products"), None);
        assert_eq!(distance("", "ab"), None);
    }

    #[test]
    fn words_of_a_shell() {
        assert_eq!(word("a-b@2026-11-21T02:00Z"), "a-b@2026-11-21T02:00Z");
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(word(""), "''");
    }
}
