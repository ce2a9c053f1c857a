//! The demo: everything happens in it, and nothing is left of it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The demo, in an empty home and with an empty folder for what is temporary.
fn demo(home: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_importwatch"));
    fs::create_dir(home.path().join("tmp")).unwrap();
    command
        .env_clear()
        .env("HOME", home.path())
        .env("TMPDIR", home.path().join("tmp"))
        // Settings of the user's own that are broken must not matter.
        .env("IMPORTWATCH_CONFIG", "/nowhere/at/all.toml")
        .env("IMPORTWATCH__POLL__MAX_INTERVAL", "soon")
        .arg("demo")
        .stdin(Stdio::null());
    command
}

fn left_in(home: &TempDir) -> Vec<String> {
    let mut left = Vec::new();
    for folder in [home.path().to_owned(), home.path().join("tmp")] {
        for entry in fs::read_dir(folder).unwrap() {
            left.push(entry.unwrap().file_name().into_string().unwrap());
        }
    }
    left
}

#[test]
fn shows_every_outcome_and_leaves_nothing_behind() {
    let home = TempDir::new().unwrap();
    let output = demo(&home).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{out}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    for shown in [
        " available ",
        " partial ",
        " failed ",
        " expired ",
        " missing ",
        " refused ",
        "no task is called failed for that",
        "importwatch add",
        "It took ",
    ] {
        assert!(out.contains(shown), "no {shown:?} in {out}");
    }
    // Each of its 28 tasks has its line when it happens, and one in the table.
    assert_eq!(out.matches("✔").count(), 22, "{out}");
    assert!(!out.contains('\u{1b}'), "colours in a pipe");
    assert_eq!(left_in(&home), ["tmp"]);
}

#[test]
fn a_desktop_that_does_not_answer_holds_up_nothing() {
    let home = TempDir::new().unwrap();
    // Whoever connects waits for ever.
    let _bus = UnixListener::bind(home.path().join("bus")).unwrap();
    let address = format!("unix:path={}", home.path().join("bus").display());
    let mut demo = demo(&home);
    let output = demo.env("DBUS_SESSION_BUS_ADDRESS", address).output();
    let output = output.unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{out}");
    for shown in ["notices: none on a desktop", "It took ", "Next, with a key"] {
        assert!(out.contains(shown), "no {shown:?} in {out}");
    }
}

#[test]
fn what_to_do_next_can_be_typed_as_it_stands() {
    let home = TempDir::new().unwrap();
    let out = String::from_utf8(demo(&home).output().unwrap().stdout).unwrap();
    let next = out.split_once("Next, with a key of your own:").unwrap().1;
    // The program is on no path here, so the first line is for that.
    let line = next.trim_start().lines().next().unwrap();
    let script = format!("{line}; importwatch --version");
    let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(shell.status.success(), "{shell:?}");
}

#[test]
fn interrupted_it_ends_with_130_and_leaves_nothing_behind() {
    for signal in ["INT", "TERM", "HUP"] {
        interrupted_by(signal);
    }
}

fn interrupted_by(signal: &str) {
    let home = TempDir::new().unwrap();
    let mut child = demo(&home).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = lines.any(|line| line.unwrap().contains("available"));
    assert!(begun);
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert_eq!(left_in(&home), ["tmp"]);
}
