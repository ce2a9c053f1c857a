//! What a process that was killed leaves in the state directory: a database that it had begun to make,
//! or the parts of one that it was rescuing.
//!
//! It never touches what a living process is at: all of that is made inside the gate, and swept only
//! while nobody is inside.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::store::aside::{COPY, DRAFT};
use crate::store::gate::Gate;
use crate::store::{BEGUN, DATABASE};

/// Deletes the leftovers in `directory`, if there are any and nobody is inside the gate. What cannot be
/// deleted stays for the next: it is in nobody's way.
pub(super) fn sweep(directory: &Path, gate: &Gate) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let found: Vec<_> = names.filter(|name| is_leftover(name)).collect();
    if found.is_empty() {
        return;
    }
    let Some(_closed) = gate.try_close() else {
        return;
    };
    for name in found {
        drop(fs::remove_file(directory.join(name)));
    }
}

/// Whether a file of this name is one of those, or what SQLite keeps beside one.
fn is_leftover(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let name = ["-wal", "-shm", "-journal"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    let begun = name
        .strip_prefix(DATABASE)
        .and_then(|rest| rest.strip_prefix(BEGUN));
    let is_begun = |number: &str| number.len() == 16 && u64::from_str_radix(number, 16).is_ok();
    [DRAFT, COPY].contains(&name) || begun.is_some_and(is_begun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::directory::StateDir;

    const LEFT: [&str; 7] = [
        "state.db.new-0123456789abcdef",
        "state.db.new-0123456789abcdef-wal",
        "state.db.new-0123456789abcdef-shm",
        "state.db.new-fedcba9876543210-journal",
        "state.db.salvaged",
        "state.db.salvaged-wal",
        "state.db.salvaging",
    ];
    const OTHERS: [&str; 5] = [
        "state.db.new-",
        "state.db.new-mine",
        "state.db.new-0123456789abcdef.txt",
        "state-damaged-1.db",
        "state.db.salvaged.txt",
    ];

    fn names(root: &Path) -> Vec<String> {
        let entries = fs::read_dir(root).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }

    #[test]
    fn the_next_to_open_the_store_clears_away_what_a_killed_process_left() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        for name in LEFT.iter().chain(&OTHERS) {
            fs::write(root.path().join(name), "x").unwrap();
        }
        let store = Store::open(&dir).unwrap();
        let left = names(root.path());
        assert!(!left.iter().any(|name| LEFT.contains(&name.as_str())));
        assert!(OTHERS.iter().all(|name| left.contains(&(*name).to_owned())));
        // Also beside others that have the store open, as long as none of them is at work.
        fs::write(root.path().join(LEFT[0]), "x").unwrap();
        drop(Store::open(&dir).unwrap());
        assert!(!names(root.path()).contains(&LEFT[0].to_owned()));
        drop(store);
    }

    #[test]
    fn what_a_living_process_is_making_stays() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        fs::write(root.path().join(LEFT[0]), "x").unwrap();
        let maker = Gate::of(root.path()).unwrap();
        let inside = maker.pass().unwrap();
        drop(Store::open(&dir).unwrap());
        assert!(names(root.path()).contains(&LEFT[0].to_owned()));
        drop(inside);
        drop(Store::open(&dir).unwrap());
        assert!(!names(root.path()).contains(&LEFT[0].to_owned()));
    }
}
