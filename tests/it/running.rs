//! `run`, by the real program: an import command, what it prints, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use importwatch::simulator::world::{Ending, Plan};

use crate::program::{Ended, Home, simulator};

const ONE: &str = "68ec7ad3e307920f002648c1";
const TWO: &str = "68ec7ad3e307920f002648c2";

fn home() -> Home {
    Home::new("http://127.0.0.1:9", "")
}

/// Runs a script of the shell under `run`.
fn run(home: &Home, options: &[&str], script: &str) -> Ended {
    let words = ["run", "--import", "products"];
    let all = [&words[..], options, &["--", "/bin/sh", "-c", script]].concat();
    home.run(&all)
}

#[test]
fn output_passes_through_and_ids_are_watched() {
    let home = home();
    let script = format!(
        "echo 'begin \u{fc}'; echo {ONE}; printf '\\377\\n' ; echo 'to standard error' >&2; \
        printf '{{\"code\":0,\\n\"message\":\"OK\",\"data\":[\"named\"]}}'"
    );
    let mut command = home.command(&[
        "run", "--import", "products", "--", "/bin/sh", "-c", &script,
    ]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let expected = [
        format!("begin \u{fc}\n{ONE}\n").as_bytes(),
        b"\xff\n",
        b"{\"code\":0,\n\"message\":\"OK\",\"data\":[\"named\"]}",
    ]
    .concat();
    assert_eq!(output.stdout, expected);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.starts_with("to standard error\n"), "{err}");
    assert!(err.contains("2 tasks added to import products"), "{err}");
    assert!(err.contains("no daemon is running"), "{err}");
    let ids: Vec<_> = home
        .list(&[])
        .iter()
        .map(|task| task["id"].clone())
        .collect();
    assert_eq!(ids, [ONE, "named"]);
}

#[test]
fn the_command_decides_the_exit_code_and_has_the_environment() {
    let home = home();
    let none = "printed no task ids";
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -9 $$", 137),
    ] {
        let ended = run(&home, &[], script);
        assert_eq!(ended.code, Some(code), "{script}");
        assert!(ended.err.contains(none), "{ended:?}");
        assert_eq!(run(&home, &["-q"], script).err, "");
    }
    let input = home.run_with(&["run", "--", "/bin/cat"], ONE);
    assert_eq!((input.code, input.out.as_str()), (Some(0), ONE));
    let missing = home.run(&["run", "--", "/no/such/program"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.err.contains("/no/such/program"), "{missing:?}");
    assert_eq!(home.run(&["run"]).code, Some(2));
    assert_eq!(run(&home, &["--timeout", "1s"], "exit 0").code, Some(2));
    // Exactly what the shell gives, and none of what the settings hold.
    let plain = home.command(&[]).get_envs().count();
    let shown = home.run(&["run", "--", "/usr/bin/env"]);
    assert_eq!(shown.out.lines().count(), plain, "{shown:?}");
}

#[test]
fn a_run_that_is_killed_has_kept_what_was_printed() {
    let home = home();
    let script = format!("echo {ONE}; echo printed; exec cat");
    let mut child = home
        .command(&["run", "--", "/bin/sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    while out.next().unwrap().unwrap() != "printed" {}
    while home.list(&[]).is_empty() {}
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(home.list(&[])[0]["id"], ONE);
}

#[test]
fn a_reader_that_goes_away_costs_no_id() {
    let home = home();
    let mut child = home
        .command(&[
            "run",
            "--",
            "/bin/sh",
            "-c",
            &format!("echo a; read line; echo b; echo {TWO}; exit 3"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(home.list(&[])[0]["id"], TWO);
}

#[test]
fn a_polite_end_reaches_the_command() {
    let home = home();
    let script = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    let mut child = home
        .command(&["run", "--", "/bin/sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(out.next().unwrap().unwrap(), "ready");
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", "TERM", &pid]).status();
    assert!(sent.unwrap().success());
    assert_eq!(out.next().unwrap().unwrap(), "told");
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_wait_it_ends_as_the_tasks_do() {
    let simulator = simulator().await;
    simulator.control().change(|world| {
        let ends = |end| Plan::ends(10, Duration::ZERO, end);
        world.add(ONE.parse().unwrap(), ends(Ending::Available));
        let details = Vec::new();
        let partial = Ending::Partial { failed: 2, details };
        world.add(TWO.parse().unwrap(), ends(partial));
        world.add("named".parse().unwrap(), Plan::never(10));
    });
    let home = Home::new(simulator.base_url().as_str(), "");
    let named = "{\"code\":0,\"data\":[\"named\"]}";
    let refused = "{\"code\":40127,\"message\":\"no\"}";
    for (options, script, code) in [
        (vec![], format!("echo {ONE}"), 0),
        // A command that failed is not well, whatever became of what it had started.
        (vec![], format!("echo {ONE}; exit 7"), 7),
        (vec![], format!("echo {ONE}; echo {TWO}; exit 7"), 1),
        (
            vec!["--max-failed-rows", "2"],
            format!("echo {ONE}; echo {TWO}"),
            0,
        ),
        (vec!["--timeout", "300ms"], format!("echo '{named}'"), 3),
        (vec![], "echo nothing".to_owned(), 2),
        (vec![], "exit 7".to_owned(), 7),
        (vec![], format!("echo {ONE}; echo '{refused}'"), 2),
    ] {
        let options = [&["--wait"][..], &options].concat();
        let ended = run(&home, &options, &script);
        assert_eq!(ended.code, Some(code), "{options:?} {script}: {ended:?}");
    }
}
