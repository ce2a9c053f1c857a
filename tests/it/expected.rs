//! When tasks and imports are expected to end: what the store makes of what was learnt, and what the
//! program shows of it.

use std::time::Duration;

use importwatch::account::{AccountName, Trouble};
use importwatch::clock;
use importwatch::outcome::Outcome;
use importwatch::schedule::memory::Memory;
use importwatch::schedule::policy::experience::Experience;
use importwatch::schedule::policy::life_table::LifeTable;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::store::Store;
use importwatch::store::changes::Seq;
use importwatch::store::directory::StateDir;
use importwatch::store::outlook::{End, Outlook};
use importwatch::store::settle::Polled;
use importwatch::store::watches::Filter;
use importwatch::task::Counts;
use importwatch::watch::ImportKey;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::program::{Home, simulator};
use crate::store::{at, id, ids, settled, to};

fn store(home: &Home) -> Store {
    let path = home.path(".local/state/importwatch");
    Store::open(&StateDir::open(&path).unwrap()).unwrap()
}

/// What is learnt of two hundred tasks that took about as long as `class` is of age: 13 is 2 s, 33 a
/// minute.
fn learnt(class: usize) -> Experience {
    let shares = [10.0, 20.0, 40.0, 60.0, 40.0, 20.0, 10.0];
    let classes = (class - 3..).zip(shares);
    let width = |class: usize| 0.05 * 2_f64.powf(f64::from(u32::try_from(class).unwrap()) / 4.0);
    let before = (0..class - 3).map(|class| (class, 0.0, 200.0 * width(class)));
    let during = classes.map(|(class, ends)| (class, ends, 100.0 * width(class)));
    Experience {
        table: LifeTable::of(before.chain(during)),
        ..Experience::default()
    }
}

fn account() -> AccountName {
    AccountName::default_account()
}

fn of_task(store: &Store, n: usize, now: i64) -> Option<End> {
    let (seq, _) = store.numbers(&[id(n)]).unwrap()[0];
    let watch = store.watch(&id(n)).unwrap().unwrap();
    Outlook::new(store, at(now)).task(seq, &watch).unwrap()
}

fn of_import(store: &Store, import: i64, now: i64) -> Option<End> {
    let mut outlook = Outlook::new(store, at(now));
    outlook.import(ImportKey(import)).unwrap()
}

#[test]
fn it_says_nothing_before_anything_is_known_and_of_what_has_ended() {
    let home = Home::new("http://127.0.0.1:9", "");
    let mut store = store(&home);
    store.add(&to("products"), &ids(0..100), at(0)).unwrap();
    assert_eq!(of_task(&store, 1, 10), None);
    assert_eq!(of_import(&store, 1, 10), None);
    store.learn(&account(), &learnt(33)).unwrap();
    let one = of_task(&store, 1, 10).unwrap();
    let all = of_import(&store, 1, 10).unwrap();
    assert!(at(10) <= one.from && one.from < one.to, "{one:?}");
    assert!(at(10) < all.from && all.from < all.to, "{all:?}");
    assert!(one.to < all.to, "{one:?} {all:?}");
    // A clock that stands before it was added.
    assert!(of_task(&store, 1, -100).is_some());
    let done = settled(&id(1), Outcome::Available, Vec::new());
    store.settle(&[done], at(20), &[]).unwrap();
    assert_eq!(of_task(&store, 1, 20), None);
    assert!(of_import(&store, 1, 20).is_some());
    let rest: Vec<_> = ids(0..100)
        .iter()
        .map(|id| settled(id, Outcome::Available, Vec::new()))
        .collect();
    store.settle(&rest, at(20), &[]).unwrap();
    assert_eq!(of_import(&store, 1, 20), None);
    assert_eq!(of_import(&store, 77, 20), None);
}

#[test]
fn it_says_nothing_of_what_cannot_be_asked_and_never_what_is_past() {
    let home = Home::new("http://127.0.0.1:9", "");
    let mut store = store(&home);
    store.add(&to("products"), &ids(0..10), at(0)).unwrap();
    store.learn(&account(), &learnt(13)).unwrap();
    for now in 0..200 {
        let ends = [of_task(&store, 3, now), of_import(&store, 1, now)];
        for end in ends.into_iter().flatten() {
            assert!(at(now) <= end.from && at(now) < end.to, "at {now}: {end:?}");
        }
    }
    // Never asked for a day, tasks of two seconds have ended.
    assert_eq!(of_task(&store, 3, 80_000), None);
    // Asked just now, they have not.
    let polled: Vec<_> = ids(0..10)
        .into_iter()
        .map(|id| Polled {
            id,
            polls: 2,
            polled_at: Some(at(2)),
            progress: None,
            counts: Counts::default(),
        })
        .collect();
    store.record_polls(&polled).unwrap();
    assert!(of_import(&store, 1, 2).is_some());
    for (trouble, is_said) in [
        (Some(Trouble::Refused), false),
        (Some(Trouble::Unavailable), false),
        (Some(Trouble::KnowsNone), true),
        (None, true),
    ] {
        let memory = Memory {
            told: trouble,
            ..Memory::default()
        };
        store.remember(&account(), &memory).unwrap();
        assert_eq!(of_task(&store, 3, 2).is_some(), is_said, "{trouble:?}");
        assert_eq!(of_import(&store, 1, 2).is_some(), is_said, "{trouble:?}");
    }
}

#[test]
fn a_sample_of_many_says_what_all_of_them_do() {
    let home = Home::new("http://127.0.0.1:9", "");
    let mut store = store(&home);
    store.add(&to("few"), &ids(0..9_000), at(0)).unwrap();
    store.add(&to("many"), &ids(20_000..50_000), at(0)).unwrap();
    store.learn(&account(), &learnt(33)).unwrap();
    let (few, many) = (of_import(&store, 1, 5), of_import(&store, 2, 5));
    let (few, many) = (few.unwrap(), many.unwrap());
    assert!(few.from < many.from && few.to < many.to, "{few:?} {many:?}");
    let all: Vec<_> = store.numbers(&ids(20_000..50_000)).unwrap();
    let all: Vec<Seq> = all.into_iter().map(|(seq, _)| seq).collect();
    let among = Outlook::new(&store, at(5)).among(&all).unwrap().unwrap();
    let apart = |a: Timestamp, b: Timestamp| a.duration_since(b).abs();
    let near = SignedDuration::from_secs(5);
    assert!(apart(among.to, many.to) < near, "{among:?} {many:?}");
}

fn range(object: &Value) -> Option<(Timestamp, Timestamp)> {
    let expected = object.get("expected_end").expect("the field is there");
    let time = |name: &str| expected[name].as_str().unwrap().parse().unwrap();
    (!expected.is_null()).then(|| (time("from"), time("to")))
}

#[test]
fn every_command_shows_it() {
    let home = Home::new("http://127.0.0.1:9", "");
    let mut store = store(&home);
    let now = clock::wall();
    store.add(&to("products"), &ids(0..20), now).unwrap();
    let done = settled(&id(7), Outcome::Available, Vec::new());
    store.settle(&[done], now, &[]).unwrap();
    assert!(home.list(&[]).iter().all(|task| range(task).is_none()));
    store.learn(&account(), &learnt(45)).unwrap();
    let mut latest = now;
    for task in home.list(&[]) {
        let range = range(&task);
        assert_eq!(range.is_some(), task["state"] == "pending", "{task}");
        if let Some((from, to)) = range {
            assert!(now <= from && from < to, "{task}");
            latest = latest.max(to);
        }
    }
    let imports = home.list(&["--imports"]);
    let (from, to) = range(&imports[0]).unwrap();
    assert!(now < from && latest < to, "{} {latest}", imports[0]);
    let id = id(3).to_string();
    let shown = home.run(&["show", "--json", &id]).out;
    assert!(range(&serde_json::from_str(&shown).unwrap()).is_some());
    for arguments in [&["show", &id], &["show", "--import=products"][..]] {
        let shown = home.run(arguments).out;
        let line = shown.lines().find(|line| line.contains("  end  "));
        let line = line.unwrap_or_else(|| panic!("{shown}"));
        let says = line.contains("expected b") && line.ends_with(", with eight chances of ten");
        assert!(says, "{line}");
    }
    let all = store.watches(Filter::default(), Seq::START, 100).unwrap();
    assert_eq!(all.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_learns_it_while_an_import_goes_on() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    simulator.control().change(|world| {
        for n in 0..30_u64 {
            let takes = Duration::from_millis(20 * n);
            let number = usize::try_from(n).unwrap();
            world.add(id(number), Plan::ends(10, takes, Ending::Available));
        }
        for n in 30..33 {
            world.add(id(n), Plan::never(10));
        }
    });
    let all: Vec<String> = ids(0..33).iter().map(ToString::to_string).collect();
    let mut arguments = vec!["add", "--import=products"];
    arguments.extend(all.iter().map(String::as_str));
    assert_eq!(home.run(&arguments).code, Some(0));
    let _daemon = home.daemon(&[]);
    home.until("it is said when the rest will have ended", || {
        let began = clock::wall();
        let ranges: Vec<_> = home.list(&["--pending"]).iter().filter_map(range).collect();
        for (from, to) in &ranges {
            assert!(began <= *from && from <= to, "{began} {from} {to}");
        }
        ranges.len() == 3
    })
    .await;
}
