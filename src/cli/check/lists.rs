//! The lists of ids that the settings name: whether they can be read, and what is in them.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::cli::check::checklist::Checklist;
use crate::cli::exit::Exit;
use crate::notice::amount::counted;
use crate::notice::safe;
use crate::watchlist::file;

/// So many lines that cannot be used are shown.
const MOST_SHOWN: usize = 3;
/// Where the system unit reads nothing (`ProtectHome=`), or what it alone has (`PrivateTmp=`).
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// What is in a file.
#[derive(Default)]
struct Contents {
    ids: u64,
    unusable: u64,
    /// The first of them.
    shown: Vec<String>,
}

pub(super) fn check(list: &mut Checklist, context: &Context) {
    let watch = &context.settings.watch;
    if !watch.ids.is_empty() {
        let ids = counted(watch.ids.len() as u64, "id");
        list.good("watch.ids", &format!("{ids}, watched from the start"));
    }
    for path in &watch.files {
        check_file(list, path, context.settings.is_of_system());
    }
}

fn check_file(list: &mut Checklist, path: &Path, is_of_system: bool) {
    let what = "list";
    let shown = path.display();
    match read(path) {
        Ok(contents) if contents.unusable == 0 => {
            list.good(what, &format!("{shown}: {}", counted(contents.ids, "id")));
        }
        Ok(contents) => {
            let mut details = contents.shown;
            if contents.unusable > details.len() as u64 {
                details.push("…".to_owned());
            }
            list.bad_with(
                what,
                &format!(
                    "{shown}: {}, {}",
                    counted(contents.ids, "id"),
                    counted(contents.unusable, "unusable line"),
                ),
                &details,
                "mend these lines; the others are watched",
                Exit::Usage,
            );
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => list.note(
            what,
            &format!("{shown} is not there"),
            "it is read as soon as it is; if it is not needed, take it out of watch.files",
        ),
        Err(error) => list.bad(
            what,
            &format!("{shown} cannot be read: {error}"),
            "see that it is a file and that the user of the daemon may read it",
            Exit::Usage,
        ),
    }
    if is_of_system && is_hidden(path) {
        list.note(
            what,
            &format!("the system unit cannot see {shown} (ProtectHome=, PrivateTmp=)"),
            "put it elsewhere, for example in /etc/importwatch or /srv",
        );
    }
}

fn is_hidden(path: &Path) -> bool {
    // Where a link leads counts as well; what is not there leads nowhere.
    let real = path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    HIDDEN
        .iter()
        .any(|hidden| path.starts_with(hidden) || real.starts_with(hidden))
}

fn read(path: &Path) -> io::Result<Contents> {
    let mut contents = Contents::default();
    for found in file::read(path)? {
        match found? {
            Ok(_) => contents.ids += 1,
            Err(unusable) => {
                contents.unusable += 1;
                if contents.shown.len() < MOST_SHOWN {
                    contents.shown.push(safe::start(&unusable.to_string(), 150));
                }
            }
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_unit_cannot_see() {
        for path in ["/home/u/ids.txt", "/root/ids", "/tmp/x/ids"] {
            assert!(is_hidden(Path::new(path)), "{path}");
        }
        for path in ["/etc/importwatch/ids", "/srv/home/ids", "/homes/ids"] {
            assert!(!is_hidden(Path::new(path)), "{path}");
        }
    }
}
