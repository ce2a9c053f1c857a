//! `wait`, `run` and `rejects` as scripts have them: many at once on one state, and with their files
//! closed, full or given up by their reader.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use importwatch::simulator::Simulator;
use importwatch::simulator::request::Request;
use importwatch::simulator::world::{Ending, Plan};

use crate::people::{REDIRECTIONS, closed};
use crate::program::{Ended, Home, simulator};

const HEX: &str = "68ec7ad3e307920f0026";

/// An id that `run` takes for one.
fn id(number: usize) -> String {
    format!("{HEX}{number:04}")
}

/// A server that knows `count` tasks, all of which end well, and a task `bad`, which does not; and a
/// home with a source of three rows, of which that was made.
async fn world(count: usize) -> (Simulator, Home) {
    let simulator = simulator().await;
    simulator.control().change(|world| {
        for number in 0..count {
            let plan = Plan::ends(10, Duration::from_millis(50), Ending::Available);
            world.add(id(number).parse().unwrap(), plan);
        }
        let plan = Plan::ends(3, Duration::ZERO, Ending::Fail { details: vec![] });
        world.add("bad".parse().unwrap(), plan);
    });
    let home = Home::new(simulator.base_url().as_str(), "");
    home.write("p.csv", "id;name\n1;one\n2;two\n3;three\n");
    let source = home.path("p.csv").display().to_string();
    let add = [
        "add", "--import", "before", "--source", &source, "--rows", "1-3", "bad",
    ];
    let added = home.run(&add);
    assert_eq!(added.code, Some(0), "{added:?}");
    (simulator, home)
}

/// Each of them ends as it would alone: of those that wait one asks, for all, and hands over when it
/// ends.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_of_them_at_once_without_a_daemon() {
    let (simulator, home) = world(16).await;
    assert_eq!(home.run(&["wait", "bad"]).code, Some(1));
    let alone = home.run(&["rejects", "--import", "before"]);
    assert_eq!(alone.code, Some(0), "{alone:?}");
    let asked_before = simulator.control().requests().len();
    thread::scope(|scope| {
        for number in 0..20 {
            let (home, alone) = (&home, &alone);
            scope.spawn(move || {
                let id = id(number);
                let script = format!("echo {id}");
                let ended = match number {
                    0..8 => home.run(&["wait", "--import", "shared", "--json", &id]),
                    8..16 => home.run(&[
                        "run", "--import", "shared", "--wait", "--", "/bin/sh", "-c", &script,
                    ]),
                    _ => home.run(&["rejects", "--import", "before"]),
                };
                assert_eq!(ended.code, Some(0), "{number}: {ended:?}");
                match number {
                    0..8 => assert!(ended.out.contains(&id), "{ended:?}"),
                    8..16 => assert!(ended.out.starts_with(&id), "{ended:?}"),
                    _ => assert_eq!(ended.out, alone.out),
                }
            });
        }
    });
    let listed = home.list(&["--import", "shared"]);
    let available = listed.iter().filter(|task| task["state"] == "available");
    let found: BTreeSet<_> = available.map(|task| task["id"].to_string()).collect();
    assert_eq!((listed.len(), found.len()), (16, 16));
    // What had settled is asked about by none of them.
    let asked = &simulator.control().requests()[asked_before..];
    let about_bad = |request: &&Request| request.ids.iter().any(|id| id == "bad");
    assert_eq!(asked.iter().filter(about_bad).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_their_files_they_do_their_work() {
    for redirections in REDIRECTIONS {
        let (_simulator, home) = world(3).await;
        let is_full = redirections == "> /dev/full";
        let run = |arguments: &str| {
            let (code, said) = closed(&home, arguments, redirections);
            assert!(
                !said.contains("panicked"),
                "{arguments} {redirections}: {said}"
            );
            let readable = home.run(&["list"]);
            assert_eq!(readable.code, Some(0), "{arguments} {redirections}");
            (code, said)
        };
        let check = |arguments: &str, expected: i32| {
            let (code, said) = run(arguments);
            // What cannot be printed is not said to have been.
            let unprinted = is_full && matches!(code, Some(1..));
            assert!(
                code == Some(expected) && !is_full || unprinted,
                "{arguments} {redirections}: {code:?} {said}"
            );
        };
        check("wait --json bad", 1);
        check(&format!("wait --import w --json {}", id(0)), 0);
        check("rejects --import before", 0);
        // The output is the command's, and its end is what counts, also where nobody can read it.
        let (code, said) = run(&format!("run --import r -- /bin/echo {}", id(1)));
        assert_eq!(code, Some(0), "{redirections}: {said}");
        let (code, said) = run(&format!("run --import r --wait -- /bin/echo {}", id(2)));
        assert!(
            code == Some(0) || is_full,
            "{redirections}: {code:?} {said}"
        );
        let kept = home.list(&["--import", "r"]);
        assert_eq!(kept.len(), 2, "{redirections}: {said}");
    }
}

/// Starts a command, reads so many bytes of it, and goes.
fn left_after(home: &Home, arguments: &[&str], bytes: usize) -> Ended {
    let mut command = home.command(arguments);
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut vec![0; bytes]).unwrap();
    drop(out);
    child.wait_with_output().unwrap().into()
}

/// A reader that goes changes no exit code of what was waited for, and is no error to complain of.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_changes_no_verdict() {
    for bytes in [0, 1] {
        let (_simulator, home) = world(2).await;
        let good = id(0);
        let wait = left_after(&home, &["wait", "--json", "bad", &good], bytes);
        assert_eq!((wait.code, wait.err.as_str()), (Some(1), ""), "{wait:?}");
        let rejects = left_after(&home, &["rejects", "--import", "before"], bytes);
        assert!(!rejects.err.contains("roken pipe"), "{rejects:?}");
        let other = id(1);
        let script = format!("echo begin; echo {other}; exit 7");
        let run = left_after(
            &home,
            &["run", "--wait", "--", "/bin/sh", "-c", &script],
            bytes,
        );
        assert_eq!(run.code, Some(7), "{run:?}");
        let listed = home.list(&["--settled"]);
        assert_eq!(listed.len(), 3, "{listed:?}");
    }
}

/// Interrupted while its command runs, `run --wait` waits for nothing any more, and keeps what had come.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_keeps_what_had_come() {
    for name in ["INT", "TERM", "HUP"] {
        let (simulator, home) = world(1).await;
        let script = format!(
            "echo {}; trap 'exit 0' TERM HUP; echo ready; sleep 0.3",
            id(0)
        );
        let arguments = ["run", "--wait", "--", "/bin/sh", "-c", &script];
        let mut command = crate::people::heeding(&home.command(&arguments));
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 24 + 1 + 5]).unwrap();
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status();
        assert!(sent.unwrap().success());
        drop(out);
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert_eq!(ended.code, Some(130), "{name}: {ended:?}");
        let listed = home.list(&["--pending"]);
        assert!(listed.iter().any(|task| task["id"] == id(0)), "{listed:?}");
        assert!(simulator.control().requests().is_empty(), "it has asked");
    }
}
