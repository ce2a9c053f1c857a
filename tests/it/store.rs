//! The store on real files: modes, formats and several connections at once; and what
//! the other tests of the store begin with.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::failure::{Failure, FailureKind};
use importwatch::notice::channel::Channel;
use importwatch::outcome::{Outcome, Settlement};
use importwatch::store::Store;
use importwatch::store::add::{Add, ImportChoice};
use importwatch::store::changes::Seq;
use importwatch::store::directory::StateDir;
use importwatch::store::error::StoreError;
use importwatch::store::settle::Settled;
use importwatch::store::watches::Filter;
use importwatch::task::{Counts, TaskId};
use jiff::Timestamp;
use tempfile::TempDir;

pub(crate) const DAY: Duration = Duration::from_hours(24);

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

pub(crate) fn id(n: usize) -> TaskId {
    format!("{n:024x}").parse().unwrap()
}

pub(crate) fn ids(range: std::ops::Range<usize>) -> Vec<TaskId> {
    range.map(id).collect()
}

pub(crate) fn to(import: &str) -> Add {
    Add {
        account: AccountName::default_account(),
        import: ImportChoice::Named(import.to_owned()),
        give_up_after: DAY,
    }
}

/// Prunes until nothing old is left; how many watches each call deleted.
pub(crate) fn prune(store: &mut Store, before: i64) -> Vec<usize> {
    let (mut after, mut counts) = (Seq::START, Vec::new());
    loop {
        let pruned = store.prune(at(before), after, |_| false).unwrap();
        counts.push(pruned.watches);
        match pruned.upto {
            Some(upto) => after = upto,
            None => return counts,
        }
    }
}

pub(crate) fn settled(id: &TaskId, outcome: Outcome, failures: Vec<Failure>) -> Settled {
    let counts = Counts {
        total: Some(10),
        succeeded: None,
        failed: u32::try_from(failures.len()).ok(),
    };
    Settled {
        id: id.clone(),
        settlement: Settlement {
            outcome,
            progress: None,
            counts,
            failures,
        },
        polls: 3,
        polled_at: Some(at(60)),
    }
}

pub(crate) fn failure(row: u32, reason: &str) -> Failure {
    Failure {
        row: Some(row),
        first_row: None,
        last_row: None,
        kind: FailureKind::InvalidRow,
        column: Some("price".to_owned()),
        value: None,
        reason: reason.to_owned(),
    }
}

pub(crate) fn open() -> (TempDir, Store) {
    let root = tempfile::tempdir().unwrap();
    let store = reopen(root.path());
    (root, store)
}

pub(crate) fn reopen(path: &Path) -> Store {
    Store::open(&StateDir::open(path).unwrap()).unwrap()
}

fn raw(root: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(root.path().join("state.db")).unwrap()
}

#[test]
fn every_file_has_the_mode_of_the_directory() {
    for (directory, file) in [(0o700, 0o600), (0o2770, 0o660)] {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(directory)).unwrap();
        let mut store = reopen(root.path());
        store.add(&to("a"), &ids(0..10), at(0)).unwrap();
        let mut found: Vec<_> = fs::read_dir(root.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode();
                (entry.file_name().into_string().unwrap(), mode & 0o7777)
            })
            .collect();
        found.sort();
        let names = ["state.db", "state.db-shm", "state.db-wal"];
        assert_eq!(found, names.map(|name| (name.to_owned(), file)));
    }
}

#[test]
fn an_empty_file_becomes_a_database() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("state.db"), "").unwrap();
    reopen(root.path())
        .add(&to("a"), &ids(0..1), at(0))
        .unwrap();
    assert!(reopen(root.path()).watch(&id(0)).unwrap().is_some());
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let newer = |root: &TempDir| {
        drop(reopen(root.path()));
        raw(root).pragma_update(None, "user_version", 99).unwrap();
    };
    let foreign = |root: &TempDir| raw(root).execute_batch("CREATE TABLE theirs (x)").unwrap();
    let check = |make: &dyn Fn(&TempDir), expected: fn(&StoreError) -> bool| {
        let root = tempfile::tempdir().unwrap();
        make(&root);
        let before = fs::read(root.path().join("state.db")).unwrap();
        let error = Store::open(&StateDir::open(root.path()).unwrap()).unwrap_err();
        assert!(expected(&error), "{error:?}");
        assert!(!error.is_transient());
        assert!(error.to_string().contains("state.db"), "{error}");
        assert_eq!(fs::read(root.path().join("state.db")).unwrap(), before);
    };
    check(&newer, |e| {
        matches!(
            e,
            StoreError::Newer {
                found: 99,
                known: 1,
                ..
            }
        )
    });
    check(&foreign, |e| matches!(e, StoreError::Foreign { .. }));
}

#[test]
fn a_row_that_is_not_ours_is_named() {
    let (root, mut store) = open();
    store.add(&to("a"), &ids(0..3), at(0)).unwrap();
    raw(&root)
        .execute("UPDATE watch SET id = 'a b' WHERE seq = 2", [])
        .unwrap();
    let errors = [
        store
            .watches(Filter::default(), Seq::START, 10)
            .unwrap_err(),
        store.changes(Seq::START, 10).unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(
                error,
                StoreError::Row {
                    table: "watch",
                    row: 2,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn programs_that_open_a_new_directory_at_once_share_one_database() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("state");
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (path, start) = (&path, &start);
            scope.spawn(move || {
                start.wait();
                reopen(path).add(&to("a"), &[id(n)], at(0)).unwrap();
            });
        }
    });
    assert_eq!(reopen(&path).standing_of_all().unwrap().tasks(), 8);
    let left: Vec<_> = fs::read_dir(&path).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn writers_and_a_reader_do_not_disturb_one_another() {
    let (root, store) = open();
    let before = store.data_version().unwrap();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let path = root.path();
                scope.spawn(move || {
                    let mut store = reopen(path);
                    for round in 0..10 {
                        let first = (writer * 10 + round) * 100;
                        let ids = ids(first..first + 100);
                        store.add(&to("a"), &ids, at(0)).unwrap();
                        let half = ids.iter().take(50);
                        let half: Vec<_> = half
                            .map(|id| settled(id, Outcome::Available, Vec::new()))
                            .collect();
                        assert_eq!(store.settle(&half, at(1), &[Channel::Log]).unwrap(), 50);
                    }
                })
            })
            .collect();
        let mut seen = 0;
        while !writers
            .iter()
            .all(std::thread::ScopedJoinHandle::is_finished)
        {
            let standing = store.standing_of_all().unwrap();
            assert!(standing.tasks() >= seen);
            assert_eq!(
                standing.pending + standing.settled.available,
                standing.tasks()
            );
            assert_eq!(standing.tasks() % 100, 0, "half an addition");
            assert_eq!(standing.settled.available % 50, 0, "half a settlement");
            seen = standing.tasks();
        }
    });
    assert_ne!(store.data_version().unwrap(), before);
    assert_eq!(store.standing_of_all().unwrap().pending, 1_500);
    assert_eq!(store.waiting_count(Channel::Log).unwrap(), 1_500);
}
