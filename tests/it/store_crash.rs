//! What a machine that dies leaves: everything that was committed, and nothing by halves.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::Path;

use importwatch::notice::channel::Channel;
use importwatch::outcome::Outcome;
use importwatch::store::Store;
use importwatch::store::changes::Seq;
use importwatch::store::outbox::{News, OutboxKey};
use importwatch::store::watches::{Filter, Which};
use importwatch::task::TaskId;

use crate::store::{at, failure, id, ids, open, reopen, settled, to};

const CHANNELS: [Channel; 2] = [Channel::Log, Channel::Desktop];

/// The files as they are at this moment, of the log only so many bytes; opened anew.
fn as_after_a_crash(from: &Path, log: usize) -> (tempfile::TempDir, Store) {
    let root = tempfile::tempdir().unwrap();
    fs::copy(from.join("state.db"), root.path().join("state.db")).unwrap();
    let mut bytes = fs::read(from.join("state.db-wal")).unwrap();
    bytes.truncate(log);
    fs::write(root.path().join("state.db-wal"), bytes).unwrap();
    let store = reopen(root.path());
    (root, store)
}

fn log_size(path: &Path) -> usize {
    fs::read(path.join("state.db-wal")).unwrap().len()
}

fn listed(store: &Store, which: Which) -> Vec<TaskId> {
    let filter = Filter {
        import: None,
        which,
    };
    let watches = store.watches(filter, Seq::START, 1_000).unwrap();
    watches.into_iter().map(|(_, watch)| watch.id).collect()
}

fn waiting(store: &Store, channel: Channel) -> Vec<TaskId> {
    let waiting = store.waiting(channel, OutboxKey::START, 1_000).unwrap();
    let tasks = waiting.into_iter().filter_map(|one| match one.news {
        News::Task(watch) => Some(watch.id),
        News::Account(_) => None,
    });
    tasks.collect()
}

#[test]
fn what_a_call_has_stored_is_there_although_nothing_was_closed() {
    let (root, mut store) = open();
    store.add(&to("a"), &ids(0..3), at(0)).unwrap();
    let one = [settled(&id(0), Outcome::Partial, vec![failure(2, "x")])];
    store.settle(&one, at(1), &CHANNELS).unwrap();
    let (_copy, copy) = as_after_a_crash(root.path(), usize::MAX);
    assert_eq!(listed(&copy, Which::Pending), ids(1..3));
    assert_eq!(copy.watch(&id(0)).unwrap(), store.watch(&id(0)).unwrap());
    for channel in CHANNELS {
        assert_eq!(waiting(&copy, channel), ids(0..1));
    }
}

#[test]
fn wherever_the_log_breaks_off_outcomes_and_notices_go_together() {
    let (root, mut store) = open();
    store.add(&to("a"), &ids(0..60), at(0)).unwrap();
    let added = log_size(root.path());
    for part in ids(0..60).chunks(20) {
        let part: Vec<_> = part
            .iter()
            .map(|id| settled(id, Outcome::Failed, vec![failure(1, &"x".repeat(200)); 3]))
            .collect();
        store.settle(&part, at(1), &CHANNELS).unwrap();
    }
    let end = log_size(root.path());
    assert!(
        end > added + 10 * 4096,
        "the log has something to break off"
    );
    let mut found = Vec::new();
    for log in (added..=end).step_by(3_001).chain([end]) {
        let (_copy, copy) = as_after_a_crash(root.path(), log);
        let settled = listed(&copy, Which::Settled);
        for channel in CHANNELS {
            assert_eq!(waiting(&copy, channel), settled);
        }
        let standing = copy.standing_of_all().unwrap();
        assert_eq!(
            (standing.tasks(), standing.settled.failed),
            (60, settled.len() as u64)
        );
        assert_eq!(standing.rows_failed, Some(3 * settled.len() as u64));
        for id in &settled {
            let watch = copy.watch(id).unwrap();
            assert_eq!(watch, store.watch(id).unwrap());
        }
        found.push(settled.len());
    }
    found.dedup();
    assert_eq!(
        found,
        [0, 20, 40, 60],
        "whole transactions, and each of them somewhere"
    );
}
