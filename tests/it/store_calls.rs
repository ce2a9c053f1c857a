//! What each call of the store promises.

use importwatch::account::{AccountName, Trouble};
use importwatch::notice::AccountNews;
use importwatch::notice::channel::Channel;
use importwatch::outcome::Outcome;
use importwatch::schedule::memory::Memory;
use importwatch::store::Store;
use importwatch::store::add::{Add, Added, ImportChoice};
use importwatch::store::changes::{Changes, Seq};
use importwatch::store::outbox::{News, OutboxKey};
use importwatch::store::remove::Removed;
use importwatch::store::settle::Polled;
use importwatch::store::watches::{Filter, Which};
use importwatch::task::{Counts, TaskId};
use importwatch::watch::{ImportKey, Standing, State};
use jiff::tz::TimeZone;

use crate::store::{at, failure, id, ids, open, prune, settled, to};

#[test]
fn adding_says_what_came_of_each_id() {
    let (_root, mut store) = open();
    let ids = ids(0..4);
    let first = store.add(&to("one"), &ids, at(0)).unwrap();
    assert_eq!(first.ids, vec![Added::New; 4]);
    let outcomes = [Outcome::Expired, Outcome::Available];
    let settle = |(id, outcome)| settled(id, outcome, Vec::new());
    let settled: Vec<_> = ids.iter().zip(outcomes).map(settle).collect();
    store.settle(&settled, at(10), &[Channel::Log]).unwrap();

    let known = || Added::Known {
        import: "one".into(),
    };
    let again = store.add(
        &to("two"),
        &[ids.clone(), vec![id(9), id(9)]].concat(),
        at(20),
    );
    let again = again.unwrap();
    let twice = Added::Known {
        import: "two".into(),
    };
    assert_eq!(
        again.ids,
        [Added::Again, known(), known(), known(), Added::New, twice]
    );
    let import = again.import.unwrap();
    assert_eq!((import.name.as_str(), import.started_at), ("two", at(20)));

    let other = Add {
        account: "other".parse().unwrap(),
        ..to("three")
    };
    let refused = store.add(&other, &ids, at(30)).unwrap();
    let account = AccountName::default_account();
    assert_eq!(refused.ids, vec![Added::OtherAccount(account); 4]);
    assert_eq!(refused.import, None);
    assert_eq!(store.find_import("three", &TimeZone::UTC).unwrap(), None);

    // The old outcome is history, and is still told.
    let history = store.history(&ids[0]).unwrap();
    assert_eq!(history.len(), 1);
    assert!(
        matches!(&history[0].state, State::Settled { settlement, .. }
        if settlement.outcome == Outcome::Expired)
    );
    assert!(matches!(
        store.watch(&ids[0]).unwrap().unwrap().state,
        State::Pending(_)
    ));
    assert_eq!(store.waiting_count(Channel::Log).unwrap(), 2);
    let old = store.standing(history[0].import.key).unwrap();
    assert_eq!((old.tasks(), old.pending, old.settled.expired), (3, 2, 0));
}

#[test]
fn an_import_is_open_while_a_task_is_pending_or_was_added_within_the_hour() {
    let (_root, mut store) = open();
    let key = |store: &mut Store, n, second, import| {
        let add = Add { import, ..to("") };
        store
            .add(&add, &[id(n)], at(second))
            .unwrap()
            .import
            .unwrap()
            .key
    };
    let named = || ImportChoice::Named("x".to_owned());
    let first = key(&mut store, 0, 0, named());
    assert_eq!(key(&mut store, 1, 99_999, named()), first, "pending");
    let all = [0, 1].map(|n| settled(&id(n), Outcome::Available, Vec::new()));
    store.settle(&all, at(99_999), &[]).unwrap();
    assert_eq!(
        key(&mut store, 2, 99_999 + 3_600, named()),
        first,
        "within the hour"
    );
    let one = [settled(&id(2), Outcome::Available, Vec::new())];
    store.settle(&one, at(99_999), &[]).unwrap();
    let second = key(&mut store, 3, 99_999 + 7_201, named());
    assert_ne!(second, first);
    let third = key(
        &mut store,
        4,
        99_999 + 7_202,
        ImportChoice::New("x".to_owned()),
    );
    assert_ne!(third, second);
    assert_eq!(
        key(&mut store, 5, 99_999 + 7_203, named()),
        third,
        "the newest"
    );

    let found = |text: &str| {
        store
            .find_import(text, &TimeZone::UTC)
            .unwrap()
            .map(|i| i.key)
    };
    assert_eq!(found("x"), Some(third));
    let start = at(0).to_string();
    assert_eq!(found(&format!("x@{}", &start[..16])), Some(first));
    assert_eq!(found("x@1999"), None);
    assert_eq!(found("x@"), None);
    assert_eq!(found("y"), None);
    let listed = store.imports(None, 2).unwrap();
    assert_eq!(
        listed.iter().map(|(i, _)| i.key).collect::<Vec<_>>(),
        [first, second]
    );
    assert_eq!(store.imports(Some(second), 2).unwrap()[0].0.key, third);
}

#[test]
fn what_is_settled_reads_back_whole_and_once() {
    let (_root, mut store) = open();
    store.add(&to("a"), &ids(0..2), at(0)).unwrap();
    let polled = Polled {
        id: id(0),
        polls: 2,
        polled_at: Some(at(5)),
        progress: Some(41),
        counts: Counts {
            total: Some(10),
            ..Counts::default()
        },
    };
    store.record_polls(std::slice::from_ref(&polled)).unwrap();
    let watch = store.watch(&id(0)).unwrap().unwrap();
    assert_eq!(watch.state, State::Pending(polled.counts));
    assert_eq!(
        (watch.polls, watch.progress, watch.polled_at),
        (2, Some(41), Some(at(5)))
    );
    assert_eq!(watch.deadline, at(86_400));

    let hostile = "\u{0}'; DROP TABLE watch; --\u{1b}[31m\n".repeat(500);
    let failures = vec![failure(7, &hostile), failure(2, "")];
    let mut partial = settled(&id(0), Outcome::Partial, failures);
    partial.settlement.progress = Some(100);
    let channels = [Channel::Log, Channel::Desktop];
    assert_eq!(
        store
            .settle(&[partial.clone(), partial.clone()], at(60), &channels)
            .unwrap(),
        1
    );
    let late = settled(&id(0), Outcome::Expired, Vec::new());
    assert_eq!(store.settle(&[late], at(61), &channels).unwrap(), 0);
    store.record_polls(&[polled]).unwrap();

    let watch = store.watch(&id(0)).unwrap().unwrap();
    let settlement = partial.settlement;
    assert_eq!(
        watch.state,
        State::Settled {
            at: at(60),
            settlement
        }
    );
    assert_eq!((watch.polls, watch.progress), (3, Some(100)));
    for channel in channels {
        let waiting = store.waiting(channel, OutboxKey::START, 10).unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].news, News::Task(Box::new(watch.clone())));
        assert_eq!(waiting[0].committed_at, at(60));
    }
    let standing = store.standing(watch.import.key).unwrap();
    assert_eq!(
        (standing.tasks(), standing.pending, standing.settled.partial),
        (2, 1, 1)
    );
    assert_eq!((standing.rows_in, standing.rows_failed), (Some(8), Some(2)));

    let list = |which| {
        let filter = Filter {
            import: Some(watch.import.key),
            which,
        };
        store.watches(filter, Seq::START, 10).unwrap().len()
    };
    assert_eq!(
        [Which::All, Which::Pending, Which::Settled].map(list),
        [2, 1, 1]
    );
    let nowhere = Filter {
        import: Some(ImportKey(99)),
        which: Which::All,
    };
    assert_eq!(store.watches(nowhere, Seq::START, 10).unwrap(), []);
}

#[test]
fn an_account_is_told_of_together_with_what_is_remembered() {
    let (_root, mut store) = open();
    let news = |over| AccountNews {
        account: AccountName::default_account(),
        trouble: Trouble::Refused,
        over,
        cause: "40127: key\u{0} revoked".to_owned(),
    };
    let told = Memory {
        told: Some(Trouble::Refused),
        ..Memory::default()
    };
    store
        .tell(&news(false), &told, at(1), &[Channel::Desktop])
        .unwrap();
    assert_eq!(store.memory(&news(false).account).unwrap(), Some(told));
    store
        .tell(&news(true), &Memory::default(), at(2), &[Channel::Desktop])
        .unwrap();
    let waiting = store
        .waiting(Channel::Desktop, OutboxKey::START, 10)
        .unwrap();
    let found: Vec<_> = waiting.iter().map(|w| w.news.clone()).collect();
    assert_eq!(found, [false, true].map(|over| News::Account(news(over))));
    assert_eq!(store.waiting_count(Channel::Desktop).unwrap(), 2);
    assert_eq!(store.imports_waiting(Channel::Desktop).unwrap(), 0);
    store.told(&[waiting[0].key]).unwrap();
    let left = store
        .waiting(Channel::Desktop, OutboxKey::START, 10)
        .unwrap();
    assert_eq!(left, waiting[1..]);
    assert_eq!(
        store.waiting(Channel::Desktop, left[0].key, 10).unwrap(),
        []
    );
}

#[test]
fn what_waits_for_a_channel_that_is_off_goes() {
    let (_root, mut store) = open();
    store.add(&to("a"), &ids(0..2), at(0)).unwrap();
    let both = [0, 1].map(|n| settled(&id(n), Outcome::Available, Vec::new()));
    store
        .settle(&both, at(1), &[Channel::Log, Channel::Desktop])
        .unwrap();
    assert_eq!(store.imports_waiting(Channel::Desktop).unwrap(), 1);
    assert_eq!(store.keep_channels(&[Channel::Log]).unwrap(), 2);
    assert_eq!(store.waiting_count(Channel::Desktop).unwrap(), 0);
    assert_eq!(store.waiting_count(Channel::Log).unwrap(), 2);
    assert_eq!(store.keep_channels(&Channel::ALL).unwrap(), 0);
}

#[test]
fn removals_are_seen_before_the_additions_that_follow_them() {
    let (_root, mut store) = open();
    store.add(&to("a"), &ids(0..3), at(0)).unwrap();
    let seen = store.changes(Seq::START, 10).unwrap();
    assert_eq!(seen.added.len(), 3);
    assert!(!seen.more);
    let removed = store.remove(&[id(0), id(9), id(0)]).unwrap();
    assert_eq!(
        removed,
        [Removed::Pending, Removed::Unknown, Removed::Unknown]
    );
    store.add(&to("a"), &[id(0)], at(1)).unwrap();

    let full = store.changes(seen.upto, 1).unwrap();
    assert_eq!(
        (full.removals.len(), full.added.len(), full.more),
        (1, 0, true)
    );
    assert_eq!(
        (&full.removals[0].id, full.removals[0].seq),
        (&id(0), seen.added[0].seq)
    );
    store.forget_removals(full.removals[0].number).unwrap();
    let next = store.changes(full.upto, 10).unwrap();
    assert_eq!((next.removals.len(), next.added.len()), (0, 1));
    assert!(next.added[0].seq > seen.upto);
    let nothing = Changes {
        upto: next.upto,
        ..Changes::default()
    };
    assert_eq!(store.changes(next.upto, 10).unwrap(), nothing);
}

#[test]
fn pruning_takes_only_what_is_old_settled_and_told() {
    let (_root, mut store) = open();
    store.add(&to("old"), &ids(0..4), at(0)).unwrap();
    let available = |n| settled(&id(n), Outcome::Available, Vec::new());
    let failed = settled(&id(0), Outcome::Failed, vec![failure(1, "x"); 3]);
    store.settle(&[failed], at(10), &[]).unwrap();
    store
        .settle(&[available(1)], at(10), &[Channel::Log])
        .unwrap();
    store.settle(&[available(2)], at(20), &[]).unwrap();
    assert_eq!(prune(&mut store, 20), [1]);
    assert_eq!(prune(&mut store, 20), [0]);
    let left: Vec<_> = store.watches(Filter::default(), Seq::START, 10).unwrap();
    let left: Vec<_> = left.into_iter().map(|(_, watch)| watch.id).collect();
    assert_eq!(left, ids(1..4));

    let told = store.waiting(Channel::Log, OutboxKey::START, 10).unwrap();
    store.told(&[told[0].key]).unwrap();
    assert_eq!(prune(&mut store, 21), [2]);
    assert_eq!(
        store.imports(None, 10).unwrap().len(),
        1,
        "one task is pending"
    );
    store.settle(&[available(3)], at(30), &[]).unwrap();
    assert_eq!(prune(&mut store, 31), [1]);
    assert_eq!(store.imports(None, 10).unwrap(), []);
    assert_eq!(
        store.add(&to("old"), &ids(0..1), at(40)).unwrap().ids,
        [Added::New]
    );
}

#[test]
fn what_a_list_still_holds_is_kept_but_its_history_goes() {
    let (_root, mut store) = open();
    store.add(&to("old"), &ids(0..3), at(0)).unwrap();
    let expired: Vec<_> = ids(0..3)
        .iter()
        .map(|id| settled(id, Outcome::Expired, Vec::new()))
        .collect();
    store.settle(&expired, at(1), &[]).unwrap();
    let known = Added::Known {
        import: "old".into(),
    };
    let listed = store.add_listed(&to("list"), &ids(0..3), at(2)).unwrap();
    assert_eq!((listed.import, listed.ids), (None, vec![known; 3]));
    let again = store.add(&to("again"), &ids(1..2), at(3)).unwrap();
    assert_eq!(again.ids, [Added::Again]);
    store.settle(&expired[1..2], at(4), &[]).unwrap();
    let is_kept = |kept: &TaskId| *kept != id(2);
    let pruned = store.prune(at(5), Seq::START, is_kept).unwrap();
    assert_eq!((pruned.watches, pruned.upto), (2, None));
    let left = store.watches(Filter::default(), Seq::START, 10).unwrap();
    let left: Vec<_> = left.into_iter().map(|(_, watch)| watch.id).collect();
    assert_eq!(left, ids(0..2));
    assert_eq!(store.history(&id(1)).unwrap().len(), 0);
}

#[test]
fn large_additions_settle_list_and_go_in_parts() {
    let (_root, mut store) = open();
    let ids = ids(0..25_000);
    let added = store.add(&to("large"), &ids, at(0)).unwrap();
    assert!(added.ids.iter().all(|added| *added == Added::New));
    assert_eq!(store.imports(None, 10).unwrap().len(), 1);
    let settled: Vec<_> = ids
        .iter()
        .map(|id| settled(id, Outcome::Available, Vec::new()))
        .collect();
    let count = store.settle(&settled, at(1), &[Channel::Log, Channel::Desktop]);
    assert_eq!(count.unwrap(), 25_000);
    let mut keys = Vec::new();
    while let Some(last) = {
        let after = keys.last().copied().unwrap_or(OutboxKey::START);
        let page = store.waiting(Channel::Log, after, 7_000).unwrap();
        keys.extend(page.iter().map(|waiting| waiting.key));
        page.last().map(|waiting| waiting.key)
    } {
        assert_eq!(keys.last(), Some(&last));
    }
    assert_eq!(keys.len(), 25_000);
    store.told(&keys).unwrap();
    assert_eq!(store.keep_channels(&[]).unwrap(), 25_000);
    let removed = store.remove(&ids[..12_000]).unwrap();
    assert_eq!(removed, vec![Removed::Settled; 12_000]);
    assert_eq!(store.standing_of_all().unwrap().settled.available, 13_000);
    assert_eq!(prune(&mut store, 2), [10_000, 3_000]);
    assert_eq!(store.standing_of_all().unwrap(), Standing::default());
}
