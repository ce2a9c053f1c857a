//! The real program killed at each call by which it writes: of an `add`, and of a daemon that settles.
//! And the disk failing at each of them.

use std::process::{Command, Stdio};
use std::time::Duration;

use importwatch::simulator::world::{Ending, Plan};
use serde_json::Value;

use crate::program::{Home, simulator};

/// The calls by which SQLite and we write, move and make safe.
const CALLS: [&str; 7] = [
    "pwrite64",
    "write",
    "fdatasync",
    "fsync",
    "ftruncate",
    "link",
    "unlink",
];

/// Runs the program with `fault` injected at those calls of each thread to `call` for a file of the
/// state: `3` is the third, `3+` each from the third on. The exit code; none if it was killed.
fn run(home: &Home, arguments: &[&str], call: &str, fault: &str, when: &str) -> Option<i32> {
    let state = home.path(".local/state/importwatch");
    let program = home.command(arguments);
    let mut strace = Command::new("strace");
    strace
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .args(["-f", "-qq", "-o", "/dev/null"])
        .args(["-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:{fault}:when={when}")]);
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        strace.arg("-P").arg(state.join(name));
    }
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.path("log"))
        .unwrap();
    let status = strace
        .arg(program.get_program())
        .args(program.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .status();
    status.expect("strace must be there").code()
}

fn told(home: &Home, task: &str) -> usize {
    let log = home.log();
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["message"] == "task settled" && event["task"] == task)
        .count()
}

fn home(base_url: &str) -> Home {
    Home::new(base_url, "[log]\nformat = \"json\"\n")
}

#[test]
fn an_add_that_dies_at_any_write_has_added_all_or_nothing() {
    let home = home("http://127.0.0.1:9");
    assert_eq!(home.run(&["add", "first"]).code, Some(0));
    let mut kills = 0;
    for call in CALLS {
        for number in 1.. {
            let ids: Vec<String> = (0..3).map(|n| format!("{call}-{number}-{n}")).collect();
            let mut arguments = vec!["add", "--import", "all"];
            arguments.extend(ids.iter().map(String::as_str));
            let code = run(&home, &arguments, call, "signal=KILL", &number.to_string());
            let listed = home.list(&["--pending"]);
            let is_listed = |id: &&String| listed.iter().any(|task| task["id"] == **id);
            let found = ids.iter().filter(is_listed).count();
            if code == Some(0) {
                assert_eq!(found, 3, "{call} {number}");
                break;
            }
            kills += 1;
            assert!(found == 0 || found == 3, "{call} {number}: {listed:?}");
            // What was cut short can be done again.
            assert_eq!(home.run(&arguments).code, Some(0));
        }
    }
    println!("{kills} kills of an add");
    assert!(kills >= 5, "{kills}");
    let listed = home.list(&[]).len();
    let imports = home.list(&["--imports"]);
    let counted: u64 = imports.iter().map(|i| i["tasks"].as_u64().unwrap()).sum();
    assert_eq!(counted, listed as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settle_that_dies_at_any_write_is_made_good() {
    let simulator = simulator().await;
    let home = home(simulator.base_url().as_str());
    let mut tasks = Vec::new();
    let mut kills = 0;
    for call in CALLS {
        for number in 1.. {
            let task = format!("{call}-{number}");
            let plan = Plan::ends(10, Duration::ZERO, Ending::Fail { details: vec![] });
            let control = simulator.control();
            control.change(|world| world.add(task.parse().unwrap(), plan));
            assert_eq!(home.run(&["add", &task]).code, Some(0));
            tasks.push(task);
            let code = run(
                &home,
                &["daemon", "--until-settled"],
                call,
                "signal=KILL",
                &number.to_string(),
            );
            if code == Some(0) {
                break;
            }
            kills += 1;
        }
    }
    println!("{kills} kills of a daemon at a write");
    assert!(kills >= 10, "{kills}");
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let listed = home.list(&[]);
    assert_eq!(listed.len(), tasks.len());
    for task in &listed {
        let id = task["id"].as_str().unwrap();
        assert_eq!(task["state"], "failed", "{id}");
        // Each life ends with at most one event that is not noted as told.
        assert!((1..=2).contains(&told(&home, id)), "{id}");
    }
}

/// The disk that fails once, at each call: the daemon ends with 5, or goes on; the next finds
/// everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_at_any_write_loses_nothing() {
    let simulator = simulator().await;
    let home = home(simulator.base_url().as_str());
    let mut tasks = Vec::new();
    let mut faults = 0;
    for call in ["pwrite64", "fdatasync", "fsync"] {
        for number in 1.. {
            let task = format!("{call}-{number}");
            let plan = Plan::ends(10, Duration::ZERO, Ending::Available);
            let control = simulator.control();
            control.change(|world| world.add(task.parse().unwrap(), plan));
            assert_eq!(home.run(&["add", &task]).code, Some(0));
            tasks.push(task.clone());
            let code = run(
                &home,
                &["daemon", "--until-settled"],
                call,
                "error=EIO",
                &number.to_string(),
            );
            match code {
                Some(5) => faults += 1,
                Some(0) => {
                    assert_eq!(home.list(&["--pending"]).len(), 0, "{task}");
                    // An error in closing is none of anyone's.
                    if number > 30 || told(&home, &task) == 1 {
                        break;
                    }
                }
                other => panic!("{task}: {other:?}"),
            }
        }
    }
    println!("{faults} failures of the disk");
    assert!(faults >= 3, "{faults}");
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let listed = home.list(&["--settled"]);
    assert_eq!(listed.len(), tasks.len());
    assert!(tasks.iter().all(|task| told(&home, task) >= 1));
    let log = home.log();
    assert!(!log.contains("set aside"), "a sound file is not set aside");
}

/// The disk that is read-only from some write on, as a kernel makes it that has seen it fail: the daemon
/// says so once and ends with 5, so that the disk can be taken out of use and mended; the next daemon
/// finds everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_loses_nothing() {
    let simulator = simulator().await;
    let home = home(simulator.base_url().as_str());
    let mut tasks = Vec::new();
    let mut ends = 0;
    for number in (1..).step_by(4) {
        let task = format!("task-{number}");
        let plan = Plan::ends(10, Duration::ZERO, Ending::Available);
        let control = simulator.control();
        control.change(|world| world.add(task.parse().unwrap(), plan));
        assert_eq!(home.run(&["add", &task]).code, Some(0));
        tasks.push(task);
        let complaints = |log: &str| log.matches("importwatch: cannot ").count();
        let before = complaints(&home.log());
        let daemon = ["daemon", "--until-settled"];
        let code = run(
            &home,
            &daemon,
            "pwrite64",
            "error=EROFS",
            &format!("{number}+"),
        );
        let said = complaints(&home.log()) - before;
        match code {
            Some(5) => assert_eq!(said, 1, "write {number}: {}", home.log()),
            Some(0) => break,
            other => panic!("write {number}: {other:?}: {}", home.log()),
        }
        ends += 1;
        // What can be read still is, and nothing is made up.
        assert_eq!(home.list(&[]).len(), tasks.len());
    }
    println!("{ends} disks that turned read-only");
    assert!(ends >= 3, "{ends}");
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let listed = home.list(&["--settled"]);
    assert_eq!(listed.len(), tasks.len());
    assert!(listed.iter().all(|task| task["state"] == "available"));
    assert!(tasks.iter().all(|task| told(&home, task) >= 1));
    assert!(!home.log().contains("set aside"));
}
