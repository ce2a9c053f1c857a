//! The settings read again under a running daemon: what changes by it, and what does not.

use std::fs;
use std::time::Duration;

use importwatch::simulator::Simulator;
use importwatch::simulator::world::{Ending, Plan};

use crate::program::{Daemon, Home, simulator};
use crate::service::Manager;

/// What a daemon is started with here: an account at this server, and `more`.
fn settings(simulator: &Simulator, more: &str) -> String {
    format!(
        "[accounts.default]\nbase_url = \"{}\"\napi_key_file = \"api-key\"\n\
         requests_per_minute = 6000\n\
         [poll]\ninitial_interval = \"20ms\"\nmax_interval = \"200ms\"\n{more}",
        simulator.base_url()
    )
}

/// A daemon that is ready.
fn start(home: &Home) -> (Manager, Daemon) {
    let manager = Manager::new(home);
    let daemon = manager.start(home, None);
    manager.told_until(|line| line == "READY=1");
    (manager, daemon)
}

/// Has the daemon read its settings again, and gives what the log says of it.
fn reload(home: &Home, manager: &Manager, daemon: &Daemon) -> String {
    let before = home.log().len();
    daemon.signal("HUP");
    loop {
        let told = manager.told();
        if told[0] == "RELOADING=1" {
            assert_eq!(told.len(), 3, "{told:?}");
            let since = told[1].strip_prefix("MONOTONIC_USEC=").unwrap();
            assert!(since.parse::<u64>().unwrap() > 0);
            assert_eq!(told[2], "STATUS=reading the settings again");
            break;
        }
    }
    // How it stands may be told meanwhile.
    manager.told_until(|line| line == "READY=1");
    home.log().split_off(before)
}

fn goes_on(simulator: &Simulator, id: &str) {
    simulator.control().change(|world| {
        world.add(id.parse().unwrap(), Plan::never(4));
    });
}

fn ends_at_once(simulator: &Simulator, id: &str) {
    simulator.control().change(|world| {
        let plan = Plan::ends(4, Duration::ZERO, Ending::Available);
        world.add(id.parse().unwrap(), plan);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_refused_key_goes_on_once_its_file_has_another() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let right = fs::read_to_string(home.path("api-key")).unwrap();
    home.write("api-key", "app-wrong-key-0123456789");
    ends_at_once(&simulator, "task");
    home.run(&["add", "task"]);
    let (manager, daemon) = start(&home);
    manager.told_until(|line| line.contains("1 cannot be asked about"));
    home.write("api-key", &right);
    let log = reload(&home, &manager, &daemon);
    assert!(log.contains("this has changed accounts=1 "), "{log}");
    manager.told_until(|line| line == "STATUS=no task is pending");
    assert_eq!(home.list(&[])[0]["state"], "available");
    assert!(!home.log().contains(&right));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_over_is_refused_with_its_reason_and_the_rest_goes_on() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let good = fs::read_to_string(home.path("config.toml")).unwrap();
    let (manager, daemon) = start(&home);
    let elsewhere = format!("{good}[state]\ndirectory = \"elsewhere\"\n");
    let no_key = good.replace("\"api-key\"", "\"no-such-key\"");
    let cases = [
        ("[poll]\nintervall = \"1s\"\n", "intervall"),
        (elsewhere.as_str(), "restart it to move there"),
        (no_key.as_str(), "no-such-key"),
    ];
    for (text, reason) in cases {
        home.settings(text);
        let log = reload(&home, &manager, &daemon);
        assert!(log.contains("ERROR"), "{log}");
        assert!(log.contains("the settings are not taken over"), "{log}");
        assert!(log.contains(reason), "{log}");
    }
    assert!(!home.path("elsewhere").exists());
    manager.told_until(|line| {
        line == "STATUS=no task is pending; the settings as they are now were refused, see the log"
    });
    goes_on(&simulator, "task");
    // The command reads the settings itself.
    home.settings(&good);
    home.run(&["add", "task"]);
    manager.told_until(|line| line.starts_with("STATUS=0 of 1 task settled; "));
    ends_at_once(&simulator, "task");
    manager.told_until(|line| line.starts_with("STATUS=no task is pending; the settings"));
    let log = reload(&home, &manager, &daemon);
    assert!(
        log.contains("accounts=0 poll=false notify=false watch=false"),
        "{log}"
    );
    manager.told_until(|line| line == "STATUS=no task is pending");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_accounts_come_and_go() {
    let first = simulator().await;
    let second = simulator().await;
    let home = Home::new(first.base_url().as_str(), "");
    let (manager, daemon) = start(&home);
    // An account more, and a list of a file.
    ends_at_once(&first, "of-file");
    goes_on(&first, "endless");
    goes_on(&second, "of-shop");
    home.write("ids", "of-file\nendless\n");
    let shop = format!(
        "[accounts.shop]\nbase_url = \"{}\"\napi_key_file = \"api-key\"\n\
         requests_per_minute = 6000\n",
        second.base_url()
    );
    home.settings(&settings(
        &first,
        &format!("[watch]\nfiles = [\"ids\"]\n{shop}"),
    ));
    let log = reload(&home, &manager, &daemon);
    assert!(
        log.contains("accounts=1 poll=false notify=false watch=true"),
        "{log}"
    );
    manager.told_until(|line| line.starts_with("STATUS=1 of 2 tasks settled; "));
    home.run(&["add", "--account", "shop", "of-shop"]);
    assert!(second.control().received(3).await);
    // Without them again: the task of the account waits, and the file is not followed.
    home.settings(&settings(&first, ""));
    let log = reload(&home, &manager, &daemon);
    assert!(
        log.contains("accounts=1 poll=false notify=false watch=true"),
        "{log}"
    );
    manager.told_until(|line| line.contains("; 1 cannot be asked about"));
    let asked = second.control().requests().len();
    home.write("ids", "of-file\nendless\nlater\n");
    let seen = first.control().requests().len() as u64;
    assert!(first.control().received(seen + 5).await);
    // One request may have been on its way.
    assert!(second.control().requests().len() <= asked + 1);
    assert_eq!(home.list(&[]).len(), 3);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_pacing_and_the_log_change() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let (manager, daemon) = start(&home);
    goes_on(&simulator, "first");
    home.run(&["add", "--import", "first", "first"]);
    manager.told_until(|line| line.starts_with("STATUS=0 of 1 task settled; "));
    ends_at_once(&simulator, "first");
    manager.told_until(|line| line == "STATUS=no task is pending");
    let told = home.path("told");
    home.write("tell", &format!("#!/bin/sh\ncat >>'{}'\n", told.display()));
    let text = settings(&simulator, "").replace("\"200ms\"", "\"100ms\"")
        + &format!(
            "[notify]\ncommand = [\"/bin/sh\", \"{}\"]\n[log]\nlevel = \"debug\"\nformat = \"json\"\n",
            home.path("tell").display()
        );
    home.settings(&text);
    let log = reload(&home, &manager, &daemon);
    assert!(
        log.contains("accounts=0 poll=true notify=true watch=false"),
        "{log}"
    );
    assert!(log.contains("it holds from the next start on"), "{log}");
    goes_on(&simulator, "second");
    home.run(&["add", "--import", "second", "second"]);
    manager.told_until(|line| line.starts_with("STATUS=0 of 1 task settled; "));
    ends_at_once(&simulator, "second");
    manager.told_until(|line| line == "STATUS=no task is pending");
    home.until("the command is told", || {
        fs::read_to_string(&told).is_ok_and(|told| told.ends_with('\n'))
    })
    .await;
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    let log = home.log();
    let (before, after) = log.split_once("the settings were read again").unwrap();
    assert!(
        !before.contains("DEBUG") && after.contains("DEBUG"),
        "{log}"
    );
    let told = fs::read_to_string(told).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("\"second\""), "{told}");
}
