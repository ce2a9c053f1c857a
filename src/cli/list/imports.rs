//! The imports, one line each: for a person, for a script, and as JSON.
//!
//! It never looks at a task.

use std::io::Write;

use serde::Serialize;

use crate::cli::line::{self, Line, padded};
use crate::cli::list::is_wanted;
use crate::cli::list::terminal::counts;
use crate::cli::times::Now;
use crate::cli::words::{FAINT, STRONG};
use crate::cli::{find, json, output, reckoning};
use crate::notice::amount::counted;
use crate::notice::safe;
use crate::store::Store;
use crate::store::outlook::{End, Outlook};
use crate::store::watches::Filter;
use crate::watch::{Import, Reckoning, Standing};

/// The widest column to which shorter names are padded.
const NAME_MAX: usize = 44;

/// Prints the imports of which `filter` lets a task through. Returns whether there were any.
pub(super) fn print(
    out: &mut impl Write,
    store: &Store,
    filter: Filter,
    width: Option<usize>,
    json: bool,
    now: &Now,
) -> anyhow::Result<bool> {
    let mut widest = 0;
    let name = |import: &Import| {
        let name = find::selector(store, import, &now.zone)?;
        anyhow::Ok(safe::one_line(&name))
    };
    if width.is_some() {
        find::each_import(store, |import, standing| {
            if is_wanted(filter, &import, &standing) {
                widest = widest.max(line::width(&name(&import)?).min(NAME_MAX));
            }
            Ok(())
        })?;
    }
    let mut any = false;
    let mut outlook = Outlook::new(store, now.at);
    find::each_import(store, |import, standing| {
        if !is_wanted(filter, &import, &standing) {
            return Ok(());
        }
        any = true;
        let reckoned = store.reckoning(import.key)?;
        let mut expected = || match standing.pending {
            0 => Ok(None),
            _ => outlook.import(import.key),
        };
        if json {
            let object = Object::new(&import, &standing, reckoned.as_ref(), expected()?);
            json::write(out, &object)?;
            return Ok(out.write_all(b"\n")?);
        }
        let name = name(&import)?;
        let doubts = reckoned.as_ref().map(reckoning::told).unwrap_or_default();
        if let Some(width) = width {
            let name = padded(&name, widest);
            let line = on_terminal(&name, &import, &standing, expected()?, width, now);
            writeln!(out, "{line}")?;
            for doubt in doubts {
                writeln!(out, "  {doubt}")?;
            }
        } else {
            writeln!(out, "{}", plain(&name, &import, &standing))?;
            // Whoever reads the lines one by one is not to meet one of another kind.
            for doubt in doubts {
                output::say(&format!("{name}: {doubt}"));
            }
        }
        Ok(())
    })?;
    Ok(any)
}

fn on_terminal(
    name: &str,
    import: &Import,
    standing: &Standing,
    expected: Option<End>,
    width: usize,
    now: &Now,
) -> Line {
    let mut line = Line::new(width);
    line.paint(STRONG, name);
    line.push("  ");
    line.paint(FAINT, &format!("{:10}", now.short(import.started_at)));
    line.push(&format!("  {}: ", counted(standing.tasks(), "task")));
    counts(&mut line, standing);
    if let Some(expected) = expected.and_then(|end| now.expected(end)) {
        line.push(", ");
        line.push(&expected);
    }
    line
}

fn plain(name: &str, import: &Import, standing: &Standing) -> String {
    let known = |rows: Option<u64>| rows.map_or("-".to_owned(), |rows| rows.to_string());
    let settled = standing.settled;
    let (rows_in, rows_failed) = rows(standing);
    format!(
        "{}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  {:>9}  {:>9}  {name}",
        import.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        standing.tasks(),
        standing.pending,
        settled.available,
        settled.partial,
        settled.failed,
        settled.expired,
        settled.missing,
        settled.refused,
        known(rows_in),
        known(rows_failed),
    )
}

/// The rows that are in the table and those that are not, as far as the server has told: where it has
/// told nothing of any task, none is not what it told.
fn rows(standing: &Standing) -> (Option<u64>, Option<u64>) {
    let settled = standing.settled;
    if settled.available + settled.partial + settled.failed == 0 {
        return (None, None);
    }
    (standing.rows_in, standing.rows_failed)
}

/// An import as `--json` shows it. Fields may be added, never changed.
#[derive(Debug, Serialize)]
struct Object<'a> {
    import: &'a str,
    started_at: String,
    tasks: u64,
    available: u64,
    partial: u64,
    failed: u64,
    expired: u64,
    missing: u64,
    refused: u64,
    pending: u64,
    rows_in: Option<u64>,
    rows_failed: Option<u64>,
    /// Rows of the sources that the tasks were made of; null where none was told.
    rows_submitted: Option<u64>,
    /// Rows of those sources that no task was made of.
    rows_untaken: Option<u64>,
    /// Tasks of which the server counted another number of rows than they were made of.
    tasks_differing: Option<u64>,
    /// When what is pending is expected to have ended; null where nothing is, or too little is known.
    expected_end: Option<json::Range>,
}

impl<'a> Object<'a> {
    fn new(
        import: &'a Import,
        standing: &Standing,
        reckoned: Option<&Reckoning>,
        expected: Option<End>,
    ) -> Self {
        let settled = standing.settled;
        let (rows_in, rows_failed) = rows(standing);
        Self {
            import: &import.name,
            started_at: json::time(import.started_at),
            tasks: standing.tasks(),
            available: settled.available,
            partial: settled.partial,
            failed: settled.failed,
            expired: settled.expired,
            missing: settled.missing,
            refused: settled.refused,
            pending: standing.pending,
            rows_in,
            rows_failed,
            rows_submitted: reckoned.map(|reckoned| reckoned.submitted),
            rows_untaken: reckoned.map(|reckoned| reckoned.untaken),
            tasks_differing: reckoned.map(|reckoned| reckoned.differing),
            expected_end: expected.map(json::Range::from),
        }
    }
}
