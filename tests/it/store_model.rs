//! Random histories of the store against a plain model of it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::notice::channel::Channel;
use importwatch::outcome::Outcome;
use importwatch::store::Store;
use importwatch::store::add::{Add, Added, ImportChoice};
use importwatch::store::changes::Seq;
use importwatch::store::outbox::{News, OutboxKey};
use importwatch::store::remove::Removed;
use importwatch::store::watches::{Filter, Which};
use importwatch::watch::{ImportKey, Standing, State};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::store::{self, at, failure, id, open, reopen, settled};

const IDS: usize = 8;
const NAMES: [&str; 2] = ["one", "two"];
const CHANNELS: [Channel; 2] = [Channel::Log, Channel::Desktop];

#[derive(Debug, Clone)]
enum Op {
    Add {
        ids: Vec<usize>,
        account: usize,
        name: usize,
        new: bool,
    },
    Settle {
        ids: Vec<usize>,
        outcome: usize,
        failures: usize,
    },
    Remove(Vec<usize>),
    Tell(usize, usize),
    Prune(i64),
    Advance(i64),
    Follow,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let ids = || prop::collection::vec(0..IDS, 1..5);
    prop_oneof![
        4 => (ids(), 0..5_usize, 0..2_usize, prop::bool::weighted(0.2)).prop_map(
            |(ids, account, name, new)| Op::Add { ids, account: account / 4, name, new }
        ),
        4 => (ids(), 0..6_usize, 0..3_usize)
            .prop_map(|(ids, outcome, failures)| Op::Settle { ids, outcome, failures }),
        2 => ids().prop_map(Op::Remove),
        2 => (0..2_usize, 0..4_usize).prop_map(|(channel, count)| Op::Tell(channel, count)),
        1 => (0..9_000_i64).prop_map(Op::Prune),
        2 => (0..4_000_i64).prop_map(Op::Advance),
        2 => Just(Op::Follow),
        1 => Just(Op::Reopen),
    ]
}

#[derive(Debug, Clone)]
struct Watch {
    number: usize,
    id: usize,
    account: usize,
    import: ImportKey,
    outcome: Option<(Outcome, i64, usize)>,
    superseded: bool,
}

#[derive(Debug, Default)]
struct Model {
    now: i64,
    made: usize,
    watches: Vec<Watch>,
    /// Name and time of the last addition.
    imports: BTreeMap<ImportKey, (String, i64)>,
    /// Channel and number of the watch, in the order of settling.
    outbox: Vec<(Channel, usize)>,
    /// What a daemon that follows the changes has.
    followed: BTreeMap<usize, Seq>,
    upto: Seq,
}

impl Model {
    fn current(&mut self, id: usize) -> Option<&mut Watch> {
        self.watches
            .iter_mut()
            .find(|watch| watch.id == id && !watch.superseded)
    }

    fn forget(&mut self, gone: impl Fn(&Watch) -> bool) {
        let numbers: BTreeSet<_> = self
            .watches
            .iter()
            .filter(|w| gone(w))
            .map(|w| w.number)
            .collect();
        self.watches
            .retain(|watch| !numbers.contains(&watch.number));
        self.outbox.retain(|(_, number)| !numbers.contains(number));
        let watches = &self.watches;
        self.imports
            .retain(|key, _| watches.iter().any(|watch| watch.import == *key));
    }

    fn open_import(&self, name: &str) -> Option<ImportKey> {
        let (key, (_, last)) = self.imports.iter().rfind(|(_, (n, _))| n == name)?;
        let mut of_it = self.watches.iter().filter(|w| w.import == *key);
        let pending = of_it.any(|w| w.outcome.is_none());
        (pending || self.now - last <= 3_600).then_some(*key)
    }

    fn standing(&self, import: ImportKey) -> Standing {
        let mut standing = Standing::default();
        for watch in &self.watches {
            if watch.import != import || watch.superseded {
                continue;
            }
            let Some((outcome, _, failures)) = watch.outcome else {
                standing.pending += 1;
                continue;
            };
            let one = settled(&id(watch.id), outcome, vec![failure(1, "reason"); failures]);
            standing.count(&one.settlement);
        }
        standing
    }
}

fn add(store: &mut Store, model: &mut Model, given: &[usize], add: &Add, account: usize) {
    let (ImportChoice::Named(name) | ImportChoice::New(name)) = &add.import;
    let existing = match add.import {
        ImportChoice::Named(_) => model.open_import(name),
        ImportChoice::New(_) => None,
    };
    let ids: Vec<_> = given.iter().map(|&n| id(n)).collect();
    let addition = store.add(add, &ids, at(model.now)).unwrap();
    let import = addition.import.as_ref().map(|import| import.key);
    if let Some(existing) = existing {
        assert!(import.is_none_or(|import| import == existing));
    } else if let Some(import) = import {
        assert!(
            model.imports.keys().all(|key| *key < import),
            "a key came twice"
        );
    }
    let now = model.now;
    for (&id, added) in given.iter().zip(addition.ids) {
        let known = model.current(id).map(|watch| {
            let again = watch
                .outcome
                .is_some_and(|(outcome, ..)| !outcome.is_by_server());
            if watch.account == account && again {
                watch.superseded = true;
            }
            (watch.account, watch.import, again)
        });
        match known {
            Some((other, ..)) if other != account => {
                assert_eq!(added, Added::OtherAccount(name_of(other)));
                continue;
            }
            Some((_, import, false)) => {
                let (name, _) = &model.imports[&import];
                assert_eq!(
                    added,
                    Added::Known {
                        import: name.as_str().into()
                    }
                );
                continue;
            }
            Some((_, _, true)) => assert_eq!(added, Added::Again),
            None => assert_eq!(added, Added::New),
        }
        let import = import.unwrap();
        model.imports.insert(import, (name.clone(), now));
        model.watches.push(Watch {
            number: model.made,
            id,
            account,
            import,
            outcome: None,
            superseded: false,
        });
        model.made += 1;
    }
}

fn settle(
    store: &mut Store,
    model: &mut Model,
    given: &[usize],
    outcome: Outcome,
    failures: usize,
) {
    let failed: Vec<_> = (1..=2)
        .map(|row| failure(row, "reason"))
        .take(failures)
        .collect();
    let batch: Vec<_> = given
        .iter()
        .map(|&n| settled(&id(n), outcome, failed.clone()))
        .collect();
    let count = store.settle(&batch, at(model.now), &CHANNELS).unwrap();
    let now = model.now;
    let mut expected = 0;
    for &id in given {
        let Some(watch) = model.current(id).filter(|watch| watch.outcome.is_none()) else {
            continue;
        };
        watch.outcome = Some((outcome, now, failures));
        let number = watch.number;
        model
            .outbox
            .extend(CHANNELS.map(|channel| (channel, number)));
        expected += 1;
        // Whoever settles a task is the one who follows the changes.
        model.followed.remove(&id);
    }
    assert_eq!(count, expected);
}

fn remove(store: &mut Store, model: &mut Model, given: &[usize]) {
    let ids: Vec<_> = given.iter().map(|&n| id(n)).collect();
    let removed = store.remove(&ids).unwrap();
    for (&id, removed) in given.iter().zip(removed) {
        let expected = match model.current(id) {
            None => Removed::Unknown,
            Some(watch) if watch.outcome.is_some() => Removed::Settled,
            Some(_) => Removed::Pending,
        };
        assert_eq!(removed, expected);
        model.forget(|watch| watch.id == id);
    }
}

fn tell(store: &mut Store, model: &mut Model, channel: Channel, count: usize) {
    let waiting = store.waiting(channel, OutboxKey::START, count).unwrap();
    let keys: Vec<_> = waiting.iter().map(|waiting| waiting.key).collect();
    store.told(&keys).unwrap();
    let mut left = keys.len();
    model.outbox.retain(|(of, _)| {
        let keep = *of != channel || left == 0;
        left -= usize::from(!keep);
        keep
    });
}

fn prune(store: &mut Store, model: &mut Model, age: i64) {
    let before = model.now - age;
    store::prune(store, before);
    let waiting: BTreeSet<_> = model.outbox.iter().map(|(_, number)| *number).collect();
    model.forget(|watch| {
        let old = watch.outcome.is_some_and(|(_, at, _)| at < before);
        old && !waiting.contains(&watch.number)
    });
}

/// What a daemon does: removals first, then additions, page by page.
fn follow(store: &mut Store, model: &mut Model) {
    let number = |text: String| usize::from_str_radix(&text, 16).unwrap();
    loop {
        let changes = store.changes(model.upto, 2).unwrap();
        for removal in &changes.removals {
            let id = number(removal.id.to_string());
            if model
                .followed
                .get(&id)
                .is_some_and(|seq| *seq <= removal.seq)
            {
                model.followed.remove(&id);
            }
            store.forget_removals(removal.number).unwrap();
        }
        for added in changes.added {
            assert!(added.seq > model.upto);
            model
                .followed
                .insert(number(added.id.to_string()), added.seq);
        }
        model.upto = changes.upto;
        if !changes.more {
            break;
        }
    }
    let pending = model.watches.iter().filter(|w| w.outcome.is_none());
    let pending: BTreeSet<_> = pending.map(|watch| watch.id).collect();
    assert_eq!(
        model.followed.keys().copied().collect::<BTreeSet<_>>(),
        pending
    );
}

fn name_of(account: usize) -> AccountName {
    ["default", "other"][account].parse().unwrap()
}

fn check(store: &Store, model: &Model) {
    let expected: Vec<_> = model.watches.iter().filter(|w| !w.superseded).collect();
    let (mut found, mut after) = (Vec::new(), Seq::START);
    loop {
        let page = store.watches(Filter::default(), after, 3).unwrap();
        let Some((last, _)) = page.last() else { break };
        after = *last;
        found.extend(page.into_iter().map(|(_, watch)| watch));
    }
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.id, id(expected.id));
        assert_eq!(found.account, name_of(expected.account));
        assert_eq!(found.import.key, expected.import);
        let outcome = match &found.state {
            State::Pending(_) => None,
            State::Settled { at, settlement } => {
                Some((settlement.outcome, *at, settlement.failures.len()))
            }
        };
        assert_eq!(
            outcome,
            expected.outcome.map(|(outcome, s, n)| (outcome, at(s), n))
        );
    }
    check_imports(store, model);
    for n in 0..IDS {
        let past = model.watches.iter().filter(|w| w.id == n && w.superseded);
        assert_eq!(store.history(&id(n)).unwrap().len(), past.count());
    }
    for channel in CHANNELS {
        let numbers = model.outbox.iter().filter(|(of, _)| *of == channel);
        let of_number = |number| model.watches.iter().find(|w| w.number == number).unwrap();
        let expected: Vec<_> = numbers.map(|(_, number)| of_number(*number)).collect();
        let waiting = store.waiting(channel, OutboxKey::START, 99).unwrap();
        let found = waiting.iter().map(|one| match &one.news {
            News::Task(watch) => watch.id.clone(),
            News::Account(news) => panic!("{news:?}"),
        });
        assert_eq!(
            found.collect::<Vec<_>>(),
            expected.iter().map(|w| id(w.id)).collect::<Vec<_>>()
        );
        let imports: BTreeSet<_> = expected.iter().map(|watch| watch.import).collect();
        assert_eq!(
            store.imports_waiting(channel).unwrap(),
            imports.len() as u64
        );
    }
}

fn check_imports(store: &Store, model: &Model) {
    let imports = model.imports.keys().map(|key| (*key, model.standing(*key)));
    let imports: Vec<_> = imports
        .filter(|(_, standing)| standing.tasks() > 0)
        .collect();
    let found = store.imports(None, 99).unwrap();
    let found: Vec<_> = found.iter().map(|(import, s)| (import.key, *s)).collect();
    assert_eq!(found, imports);
    for (key, _) in &imports {
        let of_it = |watch: &&Watch| watch.import == *key && !watch.superseded;
        let expected: Vec<_> = model
            .watches
            .iter()
            .filter(of_it)
            .map(|w| id(w.id))
            .collect();
        let filter = Filter {
            import: Some(*key),
            which: Which::All,
        };
        let listed = store.watches(filter, Seq::START, 99).unwrap();
        let listed: Vec<_> = listed.into_iter().map(|(_, watch)| watch.id).collect();
        assert_eq!(listed, expected);
    }
    for name in NAMES {
        let newest = imports
            .iter()
            .rfind(|(key, _)| model.imports[key].0 == name);
        let found = store.find_import(name, &TimeZone::UTC).unwrap();
        assert_eq!(found.map(|import| import.key), newest.map(|(key, _)| *key));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_store_does_what_the_model_does(ops in prop::collection::vec(op(), 1..40)) {
        let (root, mut store) = open();
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Add { ids, account, name, new } => {
                    let name = NAMES[name].to_owned();
                    let given = Add {
                        account: name_of(account),
                        import: if new { ImportChoice::New(name) } else { ImportChoice::Named(name) },
                        give_up_after: Duration::from_mins(1),
                    };
                    add(&mut store, &mut model, &ids, &given, account);
                }
                Op::Settle { ids, outcome, failures } => {
                    settle(&mut store, &mut model, &ids, Outcome::ALL[outcome], failures);
                }
                Op::Remove(ids) => remove(&mut store, &mut model, &ids),
                Op::Tell(channel, count) => tell(&mut store, &mut model, CHANNELS[channel], count),
                Op::Prune(age) => prune(&mut store, &mut model, age),
                Op::Advance(seconds) => model.now += seconds,
                Op::Follow => follow(&mut store, &mut model),
                Op::Reopen => store = reopen(root.path()),
            }
            check(&store, &model);
        }
    }
}
