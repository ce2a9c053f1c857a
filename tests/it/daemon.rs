//! The main job, by the real program: from a watch list to the log and the store.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::clock;
use importwatch::notice::channel::Channel;
use importwatch::outcome::{Outcome, Settlement};
use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan, Shape};
use importwatch::store::Store;
use importwatch::store::add::{Add, ImportChoice};
use importwatch::store::directory::StateDir;
use importwatch::store::outbox::OutboxKey;
use importwatch::store::settle::Settled;
use importwatch::task::{Counts, TaskId};
use serde_json::{Value, json};

use crate::program::{Home, KEY, simulator};

/// The entries of a documented answer, by id.
fn entries(file: &str) -> Vec<(String, Value)> {
    let text = fs::read_to_string(format!("tests/wire/{file}")).unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let list = body
        .get("data")
        .unwrap_or(&body)
        .as_array()
        .unwrap()
        .clone();
    let id = |entry: &Value| entry["id"].as_str().unwrap().to_owned();
    list.into_iter().map(|entry| (id(&entry), entry)).collect()
}

fn settled_events(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains("task settled"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_bodies_lead_to_their_outcomes_in_every_shape() {
    let cases = [
        ("answer-2024-envelope.json", "failed", vec![]),
        (
            "answer-2025-bare-available-partial.json",
            "partial",
            vec!["invalid_row"],
        ),
        (
            "answer-2025-bare-fail.json",
            "failed",
            vec!["conflict_with_table", "duplicate_in_import", "invalid_row"],
        ),
        (
            "answer-2025-envelope-progress.json",
            "failed",
            vec!["block", "block"],
        ),
    ];
    for shape in [Shape::Bare, Shape::Envelope, Shape::EnvelopeWithProgress] {
        for (file, outcome, kinds) in &cases {
            let simulator = simulator().await;
            let home = Home::new(simulator.base_url().as_str(), "");
            let (id, entry) = entries(file).remove(0);
            simulator.control().change(|world| {
                world.shape = shape;
                let end = Ending::Raw(entry.to_string());
                let takes = Duration::from_millis(50);
                world.add(id.parse().unwrap(), Plan::ends(4, takes, end));
            });
            let added = home.run(&["add", "--import", "products", &id]);
            assert_eq!(added.code, Some(0), "{added:?}");
            assert_eq!(added.out, "1 task added to import products\n");
            assert!(home.daemon(&["--until-settled"]).wait().success());
            let listed = home.list(&[]);
            assert_eq!(listed[0]["state"], *outcome, "{file} as {shape:?}");
            let failures = listed[0]["failures"].as_array().unwrap();
            let found: Vec<&str> = failures
                .iter()
                .map(|f| f["kind"].as_str().unwrap())
                .collect();
            assert_eq!(found, *kinds, "{file} as {shape:?}");
            let log = home.log();
            let events = settled_events(&log);
            assert_eq!(events.len(), 1, "{log}");
            assert!(events[0].contains(&format!("task={id}")), "{log}");
            assert!(events[0].contains(&format!("outcome={outcome}")), "{log}");
            assert!(!log.contains(KEY));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_many_tasks_settles_with_few_requests() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let mut ids = String::new();
    simulator.control().change(|world| {
        for number in 0..250_u32 {
            let id = format!("68ec7ad3e307920f{number:08x}");
            let end = match number % 5 {
                0 => Ending::Fail { details: vec![] },
                1 => Ending::Partial {
                    failed: 3,
                    details: vec![],
                },
                _ => Ending::Available,
            };
            world.add(
                id.parse().unwrap(),
                Plan::ends(10, Duration::from_millis(u64::from(number) * 2), end),
            );
            ids.push_str(&id);
            ids.push('\n');
        }
    });
    let added = home.run_with(&["add", "--import", "products", "-"], &ids);
    assert_eq!(added.out, "250 tasks added to import products\n");
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for task in home.list(&["--import", "products", "--settled"]) {
        *states
            .entry(task["state"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    let expected = [("available", 150), ("failed", 50), ("partial", 50)];
    assert_eq!(
        states,
        expected
            .map(|(state, count)| (state.to_owned(), count))
            .into()
    );
    assert_eq!(settled_events(&home.log()).len(), 250);
    let requests = simulator.control().requests();
    assert!(requests.len() < 60, "{} requests", requests.len());
    let asked: usize = requests
        .iter()
        .map(|request| request.ids.len())
        .max()
        .unwrap();
    assert_eq!(asked, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_sees_what_is_added_and_ends_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let simulator = simulator().await;
        let home = Home::new(simulator.base_url().as_str(), "");
        simulator.control().change(|world| {
            world.add("first".parse().unwrap(), Plan::never(10));
            world.add("second".parse().unwrap(), Plan::never(10));
        });
        home.run(&["add", "first"]);
        let daemon = home.daemon(&[]);
        assert!(simulator.control().received(1).await);
        let before = simulator.control().requests().len() as u64;
        let added = home.run(&["add", "second"]);
        assert_eq!((added.code, added.err.as_str()), (Some(0), ""));
        let mut asked = before;
        // The next requests ask about both.
        loop {
            asked += 1;
            assert!(simulator.control().received(asked).await);
            let requests = simulator.control().requests();
            if requests
                .iter()
                .any(|request| request.ids.iter().any(|id| id == "second"))
            {
                break;
            }
        }
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(0));
        let states: Vec<Value> = home
            .list(&["--pending"])
            .into_iter()
            .map(|task| task["id"].clone())
            .collect();
        assert_eq!(states, [json!("first"), json!("second")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_no_failure() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    simulator.control().change(|world| {
        world.add(
            "task".parse().unwrap(),
            Plan::ends(10, Duration::ZERO, Ending::Available),
        );
        world.next_faults.extend([
            Fault::Reset,
            Fault::Garbage,
            Fault::ResetInBody,
            Fault::Body("<html>".into()),
            Fault::Body("{\"code\":50000,\"message\":\"Internal system error\"}".into()),
        ]);
    });
    home.run(&["add", "task"]);
    assert!(home.daemon(&["--until-settled"]).wait().success());
    assert_eq!(home.list(&[])[0]["state"], "available");
    assert!(simulator.control().requests().len() >= 6);
    let log = home.log();
    assert_eq!(
        log.matches("the account does not answer").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("the account answers again").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_ends_until_settled_with_4_and_keeps_the_tasks() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    home.write("api-key", "app-wrong-key-0123456789");
    simulator
        .control()
        .change(|world| world.add("task".parse().unwrap(), Plan::never(10)));
    home.run(&["add", "task"]);
    assert_eq!(home.daemon(&["--until-settled"]).wait().code(), Some(4));
    let log = home.log();
    assert_eq!(log.matches("account refused").count(), 1, "{log}");
    assert!(!log.contains("app-wrong-key"), "{log}");
    assert_eq!(simulator.control().requests().len(), 1);
    assert_eq!(home.list(&["--pending"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_daemon_a_directory() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    simulator
        .control()
        .change(|world| world.add("task".parse().unwrap(), Plan::never(10)));
    home.run(&["add", "task"]);
    let _first = home.daemon(&[]);
    assert!(simulator.control().received(1).await);
    let second = home.run(&["daemon"]);
    assert_eq!(second.code, Some(5), "{second:?}");
    assert!(second.err.contains("holds it"), "{second:?}");
}

/// One transaction deletes ten thousand rows; the daemon goes on until there is nothing old left.
#[test]
fn what_has_been_kept_long_enough_goes_at_the_start() {
    let home = Home::new("http://127.0.0.1:9", "");
    let directory = StateDir::open(&home.path(".local/state/importwatch")).unwrap();
    let mut store = Store::open(&directory).unwrap();
    let ids: Vec<TaskId> = (0..10_002)
        .map(|number| format!("task-{number}").parse().unwrap())
        .collect();
    let long_ago = clock::wall() - Duration::from_hours(91 * 24);
    let add = Add {
        account: AccountName::default_account(),
        import: ImportChoice::New("products".to_owned()),
        give_up_after: Duration::from_hours(24),
    };
    store.add(&add, &ids, long_ago).unwrap();
    let settled = |id: &TaskId| Settled {
        id: id.clone(),
        settlement: Settlement::ours(Outcome::Expired, Counts::default()),
        polls: 1,
        polled_at: None,
    };
    let (last, old) = ids.split_last().unwrap();
    let old: Vec<Settled> = old.iter().map(settled).collect();
    store.settle(&old, long_ago, &[]).unwrap();
    store.settle(&[settled(last)], clock::wall(), &[]).unwrap();
    drop(store);
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let left = home.list(&[]);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], last.to_string());
}

/// What is damaged under a running daemon ends it, and is set aside by that; the next goes on with
/// what could be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_on_a_damaged_database_ends_and_the_next_goes_on() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    simulator.control().change(|world| {
        world.add("one".parse().unwrap(), Plan::never(10));
        world.add("two".parse().unwrap(), Plan::never(10));
        let ended = Plan::ends(10, Duration::ZERO, Ending::Available);
        world.add("three".parse().unwrap(), ended);
    });
    home.run(&["add", "one", "two"]);
    let daemon = home.daemon(&[]);
    assert!(simulator.control().received(1).await);
    let state = home.path(".local/state/importwatch");
    let connection = rusqlite::Connection::open(state.join("state.db")).unwrap();
    let sql = "INSERT INTO outbox (channel, committed_at, watch)
        VALUES ('log', 9223372036854775807, 1)";
    connection.execute_batch(sql).unwrap();
    drop(connection);
    home.run(&["add", "three"]);
    assert_eq!(daemon.wait().code(), Some(5), "{}", home.log());
    let log = home.log();
    assert!(log.contains("is not readable"), "{log}");
    let aside = state.join("state-damaged-1.db");
    let said = format!(
        "the database was damaged: it was set aside as {}",
        aside.display()
    );
    assert!(log.contains(&said), "{log}");
    assert!(aside.exists());
    simulator.control().change(|world| {
        for id in ["one", "two"] {
            world.forget(&id.parse().unwrap());
            let plan = Plan::ends(10, Duration::ZERO, Ending::Available);
            world.add(id.parse().unwrap(), plan);
        }
    });
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let listed = home.list(&["--settled"]);
    let ids: Vec<&Value> = listed.iter().map(|task| &task["id"]).collect();
    assert_eq!(ids, ["one", "two", "three"]);
    assert_eq!(settled_events(&home.log()).len(), 3);
}

/// Killed at twenty moments, started again each time: each task has one outcome, and its event is in
/// the log; twice only for what was being told at the moment of a kill.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing() {
    const TASKS: u32 = 400;
    const KILLS: u64 = 20;
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let mut ids = String::new();
    simulator.control().change(|world| {
        for number in 0..TASKS {
            let id = format!("task-{number}");
            let end = if number % 3 == 0 {
                Ending::Fail { details: vec![] }
            } else {
                Ending::Available
            };
            let takes = Duration::from_millis(u64::from(number) * 10);
            world.add(id.parse().unwrap(), Plan::ends(10, takes, end));
            ids.push_str(&id);
            ids.push('\n');
        }
    });
    home.run_with(&["add", "--import", "products", "-"], &ids);
    let mut random = fastrand::Rng::with_seed(7);
    // On a slow machine the other tasks may all have settled before the last kill; this one keeps the
    // daemons asking until then.
    let last: TaskId = "task-last".parse().unwrap();
    let slow = Plan::ends(10, Duration::from_hours(1), Ending::Available);
    (simulator.control()).change(|world| world.add(last.clone(), slow));
    home.run_with(&["add", "--import", "products", "-"], "task-last\n");
    let mut received = 0;
    for _ in 0..KILLS {
        let daemon = home.daemon(&[]);
        // Somewhere between sending a request and having told what came of it.
        received = simulator.control().requests().len() as u64 + 1 + random.u64(0..2);
        assert!(simulator.control().received(received).await);
        std::thread::sleep(Duration::from_micros(random.u64(0..20_000)));
        drop(daemon);
    }
    assert!(received >= KILLS);
    home.run(&["remove", "task-last"]);
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let listed = home.list(&["--settled"]);
    assert_eq!(listed.len(), TASKS as usize);
    let log = home.log();
    let events = settled_events(&log);
    for task in &listed {
        let id = task["id"].as_str().unwrap();
        let number: u32 = id.trim_start_matches("task-").parse().unwrap();
        let expected = if number.is_multiple_of(3) {
            "failed"
        } else {
            "available"
        };
        assert_eq!(task["state"], expected);
        let mine = |event: &&&str| event.contains(&format!("task={id} "));
        let told = events.iter().filter(mine).count();
        assert!((1..=2).contains(&told), "{id} was told {told} times");
    }
    let state = StateDir::open(&home.path(".local/state/importwatch")).unwrap();
    let store = Store::open(&state).unwrap();
    assert_eq!(
        store
            .waiting(Channel::Log, OutboxKey::START, 1)
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_v_shows_is_each_request_and_vv_each_id_too() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    for (flag, id, lines) in [("-v", "one", 0), ("-vv", "two", 1)] {
        simulator.control().change(|world| {
            let plan = Plan::ends(4, Duration::ZERO, Ending::Available);
            world.add(id.parse().unwrap(), plan);
        });
        home.run(&["add", id]);
        let before = home.log().len();
        let daemon = home.daemon(&[flag, "--until-settled"]);
        assert!(daemon.wait().success());
        let log = &home.log()[before..];
        assert!(log.contains(": answered account=default tasks=1 found=1"));
        for said in [
            format!("step: poll account=default tasks=1 ids={id}"),
            format!("found account=default task={id} status=Available"),
            format!("step: settle task={id} polls=1 outcome=available"),
        ] {
            let found = log.lines().filter(|line| line.contains(&said));
            assert_eq!(found.count(), lines, "{said}: {log}");
        }
        assert_eq!(log.contains("TRACE"), lines == 1, "{log}");
    }
}
