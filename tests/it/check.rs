//! `importwatch check`: what it finds, and how it ends.
//!
//! The snapshots are in `snapshots/`. Read a changed one as whoever has to mend what it tells.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::Plan;

use crate::program::{Ended, Home, KEY, simulator};

/// What `check` says, without what differs from one machine and run to the next: the home, and the
/// port of the server if there is one.
fn said(ended: &Ended, home: &Home, port: Option<u16>) -> String {
    let mut text = format!("[exit code {}]\n", ended.code.unwrap());
    let mut skips = false;
    for line in ended.out.lines() {
        let is_cure = line.starts_with(' ');
        // What systemd knows of us is this machine's.
        skips = (is_cure && skips)
            || ["systemd", "system unit", "user unit"]
                .iter()
                .any(|what| line[3..].trim_start().starts_with(what));
        if !skips {
            writeln!(text, "{line}").unwrap();
        }
    }
    text.push_str(&ended.err);
    let home = home.path("");
    let home = home.to_str().unwrap().trim_end_matches('/');
    let text = text.replace(home, "/home/u");
    match port {
        Some(port) => text.replace(&port.to_string(), "PORT"),
        None => text,
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well() {
    let simulator = simulator().await;
    let lists = "[watch]\nfiles = [\"ids.txt\"]\n[notify]\ncommand = [\"/bin/sh\"]\n";
    let home = Home::new(simulator.base_url().as_str(), lists);
    home.write(
        "ids.txt",
        "68ec7ad3e307920f002648c1\n68ec7ad3e307920f002648c2\n",
    );
    let port = simulator.base_url().port();
    insta::assert_snapshot!(said(&home.run(&["check", "--online"]), &home, port));
}

#[test]
fn much_is_not_well() {
    let settings = "[watch]\nfiles = [\"ids.txt\", \"later.txt\"]\n\
        [notify]\ncommand = [\"/nowhere/tell\", \"--all\"]\n";
    let home = Home::new("http://imports.example.com", settings);
    home.write("ids.txt", "68ec7ad3e307920f002648c1\ntwo words\n{\n");
    home.run(&["list"]);
    let state = home.path(".local/state/importwatch");
    mode(&state.join("state.db"), 0o666);
    mode(&state, 0o707);
    mode(&home.path("config.toml"), 0o602);
    mode(&home.path("api-key"), 0o604);
    let ended = home.run(&["check", "--online"]);
    // Which of the two it is depends on whether the tests run as root.
    let said = said(&ended, &home, None).replace("chmod 640", "chmod 600");
    insta::assert_snapshot!(said);
}

#[test]
fn nothing_is_there_yet() {
    let home = Home::new("http://127.0.0.1:1", "");
    let mut command = home.command(&["check", "--online"]);
    command.env_remove("IMPORTWATCH_CONFIG");
    let ended = command.output().unwrap().into();
    insta::assert_snapshot!(said(&ended, &home, None));
}

#[test]
fn a_key_file_holds_none() {
    let home = Home::new("https://imports.example.com", "");
    home.write("api-key", "\n");
    insta::assert_snapshot!(said(&home.run(&["check"]), &home, None));
}

#[test]
fn the_state_directory_is_none() {
    let home = Home::new(
        "https://imports.example.com",
        "[state]\ndirectory = \"api-key\"\n",
    );
    insta::assert_snapshot!(said(&home.run(&["check"]), &home, None));
}

/// What each answer of the server is told as.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_brings() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let mut told = String::new();
    let port = simulator.base_url().port();
    let mut tell = |heading: &str, port: Option<u16>| {
        let ended = home.run(&["check", "--online"]);
        let said = said(&ended, &home, port);
        let online: Vec<&str> = said
            .lines()
            .skip_while(|line| !line.contains("online"))
            .collect();
        let code = ended.code.unwrap();
        writeln!(
            told,
            "# {heading}\n[exit code {code}]\n{}\n",
            online.join("\n")
        )
        .unwrap();
    };
    let with = |status: u16, headers: &[(&str, &str)], body: &str| Fault::Status {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    };
    for (heading, fault) in [
        (
            "a rate that is told",
            with(200, &[("X-RateLimit-Remaining", "1")], "[]"),
        ),
        (
            "over the rate",
            with(
                429,
                &[("Retry-After", "20")],
                r#"{"code":40008,"message":"Over limit"}"#,
            ),
        ),
        (
            "a bad key",
            with(
                200,
                &[],
                r#"{"code":40127,"message":"Developer authentication failed"}"#,
            ),
        ),
        (
            "a plan too small",
            with(200, &[], r#"{"code":40378,"message":"no"}"#),
        ),
        (
            "nothing at the URL",
            with(404, &[], "<html><title>Not found</title></html>"),
        ),
        (
            "a redirect",
            with(302, &[("Location", "https://elsewhere.example.com/x")], ""),
        ),
        (
            "their trouble",
            with(
                500,
                &[],
                r#"{"code":50000,"message":"Internal system error"}"#,
            ),
        ),
        (
            "a page",
            with(200, &[], "<html><title>Welcome</title></html>"),
        ),
    ] {
        simulator
            .control()
            .change(|world| world.next_faults.push_back(fault));
        tell(heading, port);
    }
    simulator.stop().await;
    tell("nobody there", port);
    insta::assert_snapshot!(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_in_order_online() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    simulator
        .control()
        .change(|world| world.add("task".parse().unwrap(), Plan::never(10)));
    home.run(&["add", "task"]);
    let checked = home.run(&["check", "--online"]);
    assert_eq!(
        (checked.code, checked.err.as_str()),
        (Some(0), ""),
        "{checked:?}"
    );
    for line in [
        "✔ settings",
        "✔ account default",
        "✔ key of default",
        "only its owner can write there",
        "1 task, 1 pending",
        "• daemon           none is running, and tasks are pending",
        "• desktop",
        "✔ default online   the key is good; the server says nothing of its rate limit",
    ] {
        assert!(
            checked.out.contains(line),
            "no {line:?} in\n{}",
            checked.out
        );
    }
    assert!(!checked.out.contains(KEY));
    let requests = simulator.control().requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].ids, ["task"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pending_task_an_id_that_nobody_has_tells_as_much() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let checked = home.run(&["check", "--online"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("the key is good"), "{}", checked.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_key_ends_it_with_4_and_a_missing_one_with_2() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    home.write("api-key", "app-wrong-key-0123456789");
    let checked = home.run(&["check", "--online"]);
    assert_eq!(checked.code, Some(4), "{checked:?}");
    assert!(checked.out.contains("✘ default online"), "{}", checked.out);
    assert!(!checked.out.contains("app-wrong"), "{}", checked.out);
    fs::remove_file(home.path("api-key")).unwrap();
    let checked = home.run(&["check", "--online"]);
    assert_eq!(checked.code, Some(2), "{checked:?}");
    assert!(checked.out.contains("✘ key of default"), "{}", checked.out);
    assert_eq!(simulator.control().requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_is_one_of_the_accounts_rate() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    home.settings(&format!(
        "[accounts.default]\nbase_url = \"{}\"\napi_key_file = \"api-key\"\nrequests_per_minute = 2\n",
        simulator.base_url()
    ));
    for expected in [Some(0), Some(0), Some(4)] {
        let checked = home.run(&["check", "--online"]);
        assert_eq!(checked.code, expected, "{checked:?}");
    }
    assert_eq!(simulator.control().requests().len(), 2);
}

#[test]
fn a_public_server_without_encryption_and_an_open_directory_are_said() {
    let home = Home::new("http://imports.example.com", "");
    home.run(&["list"]);
    let state = home.path(".local/state/importwatch");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o707)).unwrap();
    let checked = home.run(&["check"]);
    assert_eq!(checked.code, Some(2), "{checked:?}");
    for line in [
        "is not encrypted",
        "use https in base_url",
        "everybody on this machine can write",
        "chmod o-w",
    ] {
        assert!(
            checked.out.contains(line),
            "no {line:?} in\n{}",
            checked.out
        );
    }
    let quiet = home.run(&["check", "-q"]);
    assert_eq!(quiet.out.lines().count(), 2, "{}", quiet.out);
}

#[test]
fn the_command_is_looked_for_as_it_will_be() {
    let home = |command: &str| {
        let settings = format!("[notify]\ncommand = [\"{command}\"]\n");
        Home::new("http://127.0.0.1:1", &settings)
    };
    let checked = home("/bin/sh").run(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked
            .out
            .contains("/bin/sh is run for each import's result")
    );
    for missing in ["/nowhere/tell", "no-such-program-anywhere", "./api-key"] {
        let checked = home(missing).run(&["check"]);
        assert_eq!(checked.code, Some(2), "{missing}: {checked:?}");
        let said = "is not there, or may not be executed";
        assert!(checked.out.contains(said), "{}", checked.out);
    }
}
