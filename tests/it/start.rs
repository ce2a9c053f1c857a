//! `add --start`: what it has systemd do, by a systemctl of the test's own; the real one has its turn
//! in the end-to-end tests.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::program::{Ended, Home, KEY};

/// A home whose settings are where the user's service looks for them, and a systemctl that writes
/// down what it is called with and does what `script` says.
fn home(script: &str) -> Home {
    let home = Home::new("http://127.0.0.1:9", "");
    fs::create_dir_all(home.path(".config/importwatch")).unwrap();
    for name in ["config.toml", "api-key"] {
        let text = fs::read_to_string(home.path(name)).unwrap();
        home.write(&format!(".config/importwatch/{name}"), &text);
    }
    fs::create_dir(home.path("bin")).unwrap();
    let called = home.path("called");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >>'{}'\n{script}\n",
        called.display()
    );
    home.write("bin/systemctl", &text);
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(home.path("bin/systemctl"), mode).unwrap();
    home
}

/// Runs the program with that systemctl, and gives what that was called with.
fn run(home: &Home, arguments: &[&str]) -> (Ended, String) {
    let mut command = home.command(arguments);
    command.env_remove("IMPORTWATCH_CONFIG");
    command.env("PATH", home.path("bin"));
    let ended = command.output().unwrap().into();
    let called = fs::read_to_string(home.path("called")).unwrap_or_default();
    (ended, called)
}

#[test]
fn the_service_that_ends_is_started_unless_the_other_is_the_usual_one() {
    const SHOW: &str =
        "--user --no-pager show --property=UnitFileState,ActiveState importwatch.service\n";
    let cases = [
        ("disabled", "inactive", "importwatch-once.service"),
        ("", "inactive", "importwatch-once.service"),
        ("disabled", "failed", "importwatch-once.service"),
        ("enabled", "inactive", "importwatch.service"),
        ("enabled", "failed", "importwatch.service"),
        ("disabled", "activating", "importwatch.service"),
        ("disabled", "active", "importwatch.service"),
    ];
    for (file, active, unit) in cases {
        let home = home(&format!(
            "echo UnitFileState={file}\necho ActiveState={active}"
        ));
        let (ended, called) = run(&home, &["add", "--start", "--import", "products", "a"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.out, "1 task added to import products\n");
        let said = format!("started {unit}; see: systemctl --user status {unit}\n");
        assert_eq!(ended.err, said);
        assert_eq!(called, format!("{SHOW}--user --no-pager start {unit}\n"));
    }
}

#[test]
fn what_stands_in_the_way_is_said_and_the_tasks_stay_added() {
    let home = home("case \"$*\" in *start*) echo 'Unit is\nmasked.' >&2; exit 5 ;; esac");
    let (ended, _) = run(&home, &["add", "--start", "a"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.err,
        "importwatch: the tasks are on the watch list, but importwatch-once.service did not start: \
         Unit is masked.; see: systemctl --user status importwatch-once.service\n"
    );
    fs::remove_file(home.path("bin/systemctl")).unwrap();
    let (ended, _) = run(&home, &["add", "--start", "b"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("systemctl cannot be run"), "{ended:?}");
    assert_eq!(home.list(&[]).len(), 2);
}

#[test]
fn no_service_is_started_that_would_read_other_settings() {
    let home = home("");
    let path = home.path("config.toml");
    let path = path.to_str().unwrap();
    let (ended, called) = run(&home, &["add", "--start", "--config", path, "a"]);
    assert_eq!(ended.code, Some(2));
    let why = format!("no service was started, as it would not read {path}; run: importwatch");
    assert!(ended.err.contains(&why), "{ended:?}");
    assert_eq!(called, "");
}

#[tokio::test]
async fn nothing_is_started_where_a_daemon_runs() {
    let home = home("");
    let mut command = home.command(&["daemon"]);
    command.env_remove("IMPORTWATCH_CONFIG");
    let daemon = home.start(command);
    // It has the lock once it has said so.
    home.logged("watching state=").await;
    let (ended, called) = run(&home, &["add", "--start", "a"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended
            .err
            .starts_with("a daemon is running already (process ")
    );
    assert_eq!(called, "");
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    assert!(!home.log().contains(KEY));
}
