//! A damaged database: it is set aside and never deleted, what can be read from it is kept, and work
//! goes on.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use importwatch::account::{AccountName, Trouble};
use importwatch::notice::AccountNews;
use importwatch::notice::channel::Channel;
use importwatch::outcome::Outcome;
use importwatch::schedule::memory::Memory;
use importwatch::schedule::policy::experience::{Experience, Pace};
use importwatch::schedule::policy::life_table::LifeTable;
use importwatch::store::Store;
use importwatch::store::add::Add;
use importwatch::store::aside;
use importwatch::store::budget::Claim;
use importwatch::store::changes::Seq;
use importwatch::store::directory::StateDir;
use importwatch::store::error::StoreError;
use importwatch::store::outbox::OutboxKey;
use importwatch::store::watches::Filter;
use importwatch::task::TaskId;
use importwatch::watch::{State, Watch};

use crate::store::{at, failure, id, ids, open, reopen, settled, to};

const PAGE: u64 = 4096;
const CHANNELS: [Channel; 2] = [Channel::Log, Channel::Desktop];
const TASKS: usize = 1_200;

/// A database with watches, outcomes, failures and notices, and nothing in its log.
fn filled() -> tempfile::TempDir {
    let (root, mut store) = open();
    for import in 0..3 {
        let range = import * TASKS / 3..(import + 1) * TASKS / 3;
        let import = to(&format!("import-{import}"));
        store.add(&import, &ids(range), at(0)).unwrap();
    }
    let some: Vec<_> = (0..TASKS)
        .step_by(3)
        .map(|n| settled(&id(n), Outcome::Partial, vec![failure(2, "no"); 2]))
        .collect();
    store.settle(&some, at(1), &CHANNELS).unwrap();
    let told = store.waiting(Channel::Log, OutboxKey::START, 100).unwrap();
    let told: Vec<_> = told.iter().map(|row| row.key).collect();
    store.told(&told).unwrap();
    let news = AccountNews {
        account: AccountName::default_account(),
        trouble: Trouble::Refused,
        over: false,
        cause: "no".to_owned(),
    };
    let memory = Memory {
        answered: true,
        ..Memory::default()
    };
    store.tell(&news, &memory, at(2), &CHANNELS).unwrap();
    let minute = Duration::from_mins(1);
    store.learn(&news.account, &experience()).unwrap();
    let claim = store.claim_request(&news.account, at(3), &[(minute, 1)], minute);
    assert!(matches!(claim, Ok(Claim::Granted(_))), "{claim:?}");
    drop(store);
    assert!(!root.path().join("state.db-wal").exists());
    root
}

/// What was learnt of how long tasks take.
fn experience() -> Experience {
    let table = LifeTable::of([(3, 25.0, 7.0), (4, 1.0, 120.5)]);
    let pace = Pace {
        ends: 26.0,
        time: 127.5,
        strayed: 3.0,
    };
    Experience {
        table,
        pace,
        ..Experience::default()
    }
}

fn database(root: &Path) -> PathBuf {
    root.join("state.db")
}

fn all(store: &Store) -> Vec<(Seq, Watch)> {
    let (mut found, mut after) = (Vec::new(), Seq::START);
    loop {
        let page = store.watches(Filter::default(), after, 1_000).unwrap();
        let Some((last, _)) = page.last() else {
            return found;
        };
        after = *last;
        found.extend(page);
    }
}

fn waiting(store: &Store, channel: Channel) -> usize {
    let (mut count, mut after) = (0, OutboxKey::START);
    loop {
        let page = store.waiting(channel, after, 1_000).unwrap();
        let Some(last) = page.last() else {
            return count;
        };
        after = last.key;
        count += page.len();
    }
}

/// Overwrites a part of the file with what was never in it.
fn scribble(path: &Path, from: u64, length: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let rubbish: Vec<u8> = (0..length)
        .map(|n| u8::try_from((n * 7 + n / 251 + 13) % 256).unwrap())
        .collect();
    file.write_all_at(&rubbish, from).unwrap();
}

/// Opens a damaged database, and sees that it is set aside as it was and that new work goes on.
#[track_caller]
fn recovered(root: &Path, whole: bool) -> Store {
    let damaged = fs::read(database(root)).unwrap();
    let mut store = reopen(root);
    let recovery = store.recovery().unwrap().clone();
    assert_eq!(recovery.aside, root.join("state-damaged-1.db"));
    assert_eq!(fs::read(&recovery.aside).unwrap(), damaged);
    assert_eq!(recovery.tasks, all(&store).len() as u64);
    assert_eq!(recovery.whole, whole);
    let dir = StateDir::open(root).unwrap();
    assert_eq!(aside::set_aside(&dir).unwrap(), [recovery.aside]);
    let left: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("salvag") || name.contains(".new-"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    // What is new is watched, beside what was there.
    let new: TaskId = "new".parse().unwrap();
    store
        .add(&to("new"), std::slice::from_ref(&new), at(5))
        .unwrap();
    store
        .settle(
            &[settled(&new, Outcome::Available, vec![])],
            at(6),
            &CHANNELS,
        )
        .unwrap();
    assert!(store.watch(&new).unwrap().is_some());
    store.remove(&[new]).unwrap();
    drop(store);
    let store = reopen(root);
    assert_eq!(store.recovery(), None);
    store
}

/// Each watch that is there is as it was, and the imports stand as their watches do.
#[track_caller]
fn check_watches(store: &Store, before: &[(Seq, Watch)], least: usize) {
    let now = all(store);
    assert!(now.len() >= least, "{} of {}", now.len(), before.len());
    let mut pending = 0;
    for (_, watch) in &now {
        let (_, then) = before.iter().find(|(_, then)| then.id == watch.id).unwrap();
        match &watch.state {
            State::Settled { at, settlement } => {
                // The failures are on other pages; some may be missing.
                let mut settlement = settlement.clone();
                if let State::Settled {
                    settlement: then, ..
                } = &then.state
                {
                    assert!(then.failures.starts_with(&settlement.failures));
                    settlement.failures.clone_from(&then.failures);
                }
                assert_eq!(
                    State::Settled {
                        at: *at,
                        settlement
                    },
                    then.state
                );
            }
            State::Pending(_) => pending += 1,
        }
        assert_eq!(watch.account, then.account);
    }
    let standing = store.standing_of_all().unwrap();
    assert_eq!(standing.tasks(), now.len() as u64);
    assert_eq!(standing.pending, pending);
}

#[test]
fn rubbish_is_set_aside_and_work_goes_on() {
    let (root, store) = open();
    drop(store);
    fs::write(database(root.path()), "no database at all\n".repeat(2_000)).unwrap();
    let store = recovered(root.path(), false);
    assert_eq!(all(&store), []);
}

#[test]
fn a_second_one_has_a_name_of_its_own() {
    let (root, store) = open();
    drop(store);
    for number in 1..=3 {
        fs::write(database(root.path()), format!("rubbish {number}")).unwrap();
        let store = reopen(root.path());
        let aside = &store.recovery().unwrap().aside;
        assert_eq!(
            *aside,
            root.path().join(format!("state-damaged-{number}.db"))
        );
        assert_eq!(
            fs::read_to_string(aside).unwrap(),
            format!("rubbish {number}")
        );
    }
}

#[test]
fn behind_a_first_page_of_rubbish_everything_is_found() {
    let root = filled();
    let before = reopen(root.path());
    let (watches, told) = (all(&before), CHANNELS.map(|c| waiting(&before, c)));
    let account = AccountName::default_account();
    let memory = before.memory(&account).unwrap();
    assert_eq!(before.experience(&account).unwrap(), experience());
    drop(before);
    scribble(&database(root.path()), 0, PAGE);
    let store = recovered(root.path(), true);
    assert_eq!(all(&store), watches);
    assert_eq!(CHANNELS.map(|c| waiting(&store, c)), told);
    assert_eq!(store.memory(&account).unwrap(), memory);
    assert_eq!(store.experience(&account).unwrap(), experience());
}

/// Tasks of two accounts, whose names are lost where they are kept, and then in their index as well.
#[test]
fn tasks_whose_account_cannot_be_read_are_kept_and_not_asked_about_with_any_key() {
    let shop: AccountName = "shop".parse().unwrap();
    for lost in [&["account"][..], &["account", "sqlite_autoindex_account_1"]] {
        let (root, mut store) = open();
        store.add(&to("mine"), &ids(0..5), at(0)).unwrap();
        let of_shop = Add {
            account: shop.clone(),
            ..to("theirs")
        };
        store.add(&of_shop, &ids(5..8), at(0)).unwrap();
        let before = all(&store);
        drop(store);
        for name in lost {
            scribble(
                &database(root.path()),
                root_page(root.path(), name) * PAGE,
                PAGE,
            );
        }
        let recovery = aside::recover(&StateDir::open(root.path()).unwrap());
        let recovery = recovery.unwrap().unwrap();
        assert_eq!((recovery.tasks, recovery.whole), (8, false));
        let store = reopen(root.path());
        let now = all(&store);
        if lost.len() == 1 {
            assert_eq!(now, before);
            assert_eq!(recovery.adrift, 0);
            continue;
        }
        assert_eq!(recovery.adrift, 8);
        assert!(
            recovery
                .told()
                .contains("; whose 8 of them are cannot be read")
        );
        let accounts = now.iter().map(|(_, watch)| watch.account.as_str());
        let expected = [vec!["recovered-1"; 5], vec!["recovered-2"; 3]].concat();
        assert_eq!(accounts.collect::<Vec<_>>(), expected);
    }
}

/// Where a table or an index begins, counted from 0.
fn root_page(root: &Path, name: &str) -> u64 {
    let connection = rusqlite::Connection::open(database(root)).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: i64 = connection.query_row(sql, [name], |row| row.get(0)).unwrap();
    u64::try_from(page).unwrap() - 1
}

/// Rows that another program has written, where there are several accounts: what can be read of whose
/// they are is heeded.
#[test]
fn a_task_that_may_be_anybodys_is_nobodys() {
    let (root, mut store) = open();
    store.add(&to("mine"), &ids(0..2), at(0)).unwrap();
    let of_shop = Add {
        account: "shop".parse().unwrap(),
        ..to("theirs")
    };
    store.add(&of_shop, &ids(2..4), at(0)).unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(database(root.path())).unwrap();
    let sql = "UPDATE watch SET added_at = 9223372036854775807 WHERE seq = 3;
        UPDATE watch SET added_at = 9223372036854775807, account = 7 WHERE seq = 4";
    connection.execute_batch(sql).unwrap();
    drop(connection);
    let recovery = aside::recover(&StateDir::open(root.path()).unwrap());
    let recovery = recovery.unwrap().unwrap();
    assert_eq!((recovery.tasks, recovery.adrift), (4, 1));
    let now = all(&reopen(root.path()));
    let accounts = now.iter().map(|(_, watch)| watch.account.as_str());
    assert_eq!(
        accounts.collect::<Vec<_>>(),
        ["default", "default", "shop", "recovered-7"]
    );
}

/// Whatever single page is overwritten: at worst what was on it is missing.
#[test]
fn one_page_of_rubbish_costs_at_most_what_was_on_it() {
    let whole = filled();
    let before = all(&reopen(whole.path()));
    let pages = fs::metadata(database(whole.path())).unwrap().len() / PAGE;
    assert!(pages > 50, "{pages}");
    let mut found = BTreeSet::new();
    for page in (1..pages).step_by(5) {
        let root = tempfile::tempdir().unwrap();
        let path = database(root.path());
        fs::copy(database(whole.path()), &path).unwrap();
        scribble(&path, page * PAGE, PAGE);
        let dir = StateDir::open(root.path()).unwrap();
        aside::recover(&dir).unwrap();
        let store = reopen(root.path());
        // The accounts are on one page; without them the only one is called as the default is.
        check_watches(&store, &before, TASKS - 400);
        found.insert(all(&store).len());
    }
    assert!(found.contains(&TASKS), "{found:?}");
}

#[test]
fn of_a_truncated_file_the_rest_is_kept() {
    let whole = filled();
    let before = all(&reopen(whole.path()));
    let length = fs::metadata(database(whole.path())).unwrap().len();
    let mut most = 0;
    for eighths in 0..8 {
        let root = tempfile::tempdir().unwrap();
        let path = database(root.path());
        fs::copy(database(whole.path()), &path).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(length * eighths / 8 + 100 * u64::from(eighths > 0))
            .unwrap();
        let store = recovered(root.path(), false);
        check_watches(&store, &before, 0);
        assert!(all(&store).len() >= most);
        most = all(&store).len();
    }
    assert!(most > TASKS / 2, "{most}");
}

#[test]
fn an_empty_file_with_a_log_loses_nothing() {
    let (root, mut store) = open();
    store.add(&to("a"), &ids(0..50), at(0)).unwrap();
    let log = fs::read(root.path().join("state.db-wal")).unwrap();
    drop(store);
    // As after a crash that came between the truncation of the file and everything else.
    fs::write(database(root.path()), "").unwrap();
    fs::write(root.path().join("state.db-wal"), &log).unwrap();
    let store = recovered(root.path(), false);
    assert_eq!(all(&store).len(), 50);
    let kept = fs::read(root.path().join("state-damaged-1.db-wal")).unwrap();
    assert_eq!(kept, log);
}

#[test]
fn what_turns_out_to_be_whole_stays() {
    let root = filled();
    let before = fs::read(database(root.path())).unwrap();
    let dir = StateDir::open(root.path()).unwrap();
    assert_eq!(aside::recover(&dir).unwrap(), None);
    assert_eq!(fs::read(database(root.path())).unwrap(), before);
    assert_eq!(aside::set_aside(&dir).unwrap(), Vec::<PathBuf>::new());
    assert!(!root.path().join("state.db.salvaged").exists());
}

/// A row that another program has written, in a file that is sound otherwise: its task is watched anew.
#[test]
fn what_is_no_outcome_is_not_kept_as_one() {
    let root = filled();
    let connection = rusqlite::Connection::open(database(root.path())).unwrap();
    let sql = "UPDATE watch SET outcome = 'nonsense' WHERE seq = 1";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    drop(connection);
    let store = reopen(root.path());
    let error = store.watch(&id(0)).unwrap_err();
    assert!(matches!(error, StoreError::Row { .. }), "{error}");
    assert_eq!(error.damaged(), Some(database(root.path()).as_path()));
    let recovery = aside::recover(&StateDir::open(root.path()).unwrap());
    let recovery = recovery.unwrap().unwrap();
    assert_eq!((recovery.tasks, recovery.whole), (TASKS as u64, false));
    // Whoever had the old file open learns that it is not the one that counts.
    let error = store.watch(&id(1)).unwrap_err();
    assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
    drop(store);
    let watch = reopen(root.path()).watch(&id(0)).unwrap().unwrap();
    assert!(matches!(watch.state, State::Pending(_)), "{watch:?}");
}

/// One that has the old file open and closes it last must not take the log of the new one along.
#[test]
fn the_log_of_the_new_file_survives_the_last_user_of_the_old() {
    let root = filled();
    let mut old = reopen(root.path());
    scribble(&database(root.path()), 0, PAGE);
    let mut new = reopen(root.path());
    assert!(new.recovery().is_some());
    new.add(&to("new"), &["new".parse().unwrap()], at(5))
        .unwrap();
    let error = old
        .add(&to("old"), &["old".parse().unwrap()], at(5))
        .unwrap_err();
    assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
    drop(old);
    assert!(root.path().join("state.db-wal").exists());
    let other = reopen(root.path());
    new.add(&to("new"), &["newer".parse().unwrap()], at(6))
        .unwrap();
    for id in ["new", "newer"] {
        assert!(other.watch(&id.parse().unwrap()).unwrap().is_some());
    }
}

/// Whoever died while setting a file aside has left a second name, and may have taken the log away.
#[test]
fn setting_aside_that_was_interrupted_is_done_again() {
    for has_log in [true, false] {
        let (root, mut store) = open();
        store.add(&to("a"), &ids(0..5), at(0)).unwrap();
        let [path, log] = ["state.db", "state.db-wal"].map(|name| root.path().join(name));
        let [aside, kept] =
            ["state-damaged-1.db", "state-damaged-1.db-wal"].map(|name| root.path().join(name));
        let (bytes, logged) = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
        drop(store);
        fs::write(&path, bytes).unwrap();
        fs::write(&log, logged).unwrap();
        fs::hard_link(&path, &aside).unwrap();
        fs::hard_link(&log, &kept).unwrap();
        if !has_log {
            fs::remove_file(&log).unwrap();
        }
        fs::write(root.path().join("state.db.salvaged"), "half").unwrap();
        let store = reopen(root.path());
        // It is whole, so nothing is to be set aside after all.
        assert_eq!(store.recovery(), None);
        assert_eq!(all(&store).len(), 5);
        assert!(!aside.exists() && !kept.exists());
    }
}

#[test]
fn a_state_directory_that_has_gone_is_noticed() {
    let (root, mut store) = open();
    store.add(&to("a"), &ids(0..5), at(0)).unwrap();
    fs::remove_dir_all(root.path()).unwrap();
    let error = store.add(&to("a"), &ids(5..6), at(0)).unwrap_err();
    assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
    assert!(!error.is_transient());
    assert!(store.data_version().is_err());
}
