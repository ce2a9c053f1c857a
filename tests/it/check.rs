//! `importwatch check`: what it finds, and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use importwatch::simulator::world::Plan;

use crate::program::{Home, KEY, simulator};

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
