//! Very many watches: an `add` of all of them beside a daemon, which stays within bounds while
//! commands go on answering.
//!
//! `IMPORTWATCH_WATCHES` says how many; some ten thousand without it.

use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use importwatch::simulator::world::{Ending, Plan};

use crate::program::{Home, simulator};

const WATCHES: u32 = 10_000;
/// What a daemon may take of memory with nothing to watch, in KiB, and for each watch, in bytes.
const LEAST: u64 = 64 << 10;
const EACH: u64 = 400;

/// The most memory that the daemon has had, in KiB, as the kernel counts it.
fn peak(home: &Home) -> u64 {
    let lock = fs::read_to_string(home.path(".local/state/importwatch/lock")).unwrap();
    let process = lock.trim_end().strip_prefix("daemon ").unwrap();
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_watches_are_added_and_asked_about_within_bounds() {
    let watches =
        std::env::var("IMPORTWATCH_WATCHES").map_or(WATCHES, |count| count.parse().unwrap());
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let mut ids = String::new();
    simulator.control().change(|world| {
        for number in 0..watches {
            let id = format!("68ec7ad3e307920f{number:08x}");
            writeln!(ids, "{id}").unwrap();
            world.add(id.parse().unwrap(), Plan::never(10));
        }
        world.add("first".parse().unwrap(), Plan::never(10));
        let ended = Plan::ends(10, Duration::ZERO, Ending::Available);
        world.add("last".parse().unwrap(), ended);
    });
    assert_eq!(
        home.run(&["add", "--import", "small", "first"]).code,
        Some(0)
    );
    let daemon = home.daemon(&[]);
    assert!(simulator.control().received(1).await);
    let is_added = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        let commands = scope.spawn(|| {
            let mut answered = 0;
            while !is_added.load(Ordering::Relaxed) {
                for arguments in [
                    &["list", "--import", "small"][..],
                    &["list", "--imports"],
                    &["show", "first"],
                    &["add", "--import", "small", "first"],
                ] {
                    let ended = home.run(arguments);
                    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
                    answered += 1;
                }
            }
            answered
        });
        let added = home.run_with(&["add", "--import", "large", "-"], &ids);
        is_added.store(true, Ordering::Relaxed);
        assert_eq!((added.code, added.err.as_str()), (Some(0), ""), "{added:?}");
        commands.join().unwrap()
    });
    // What comes now has its turn once those have had theirs that wait already.
    assert_eq!(
        home.run(&["add", "--import", "small", "last"]).code,
        Some(0)
    );
    while !home.log().contains("task=last") {
        let asked = simulator.control().requests().len() as u64;
        assert!(simulator.control().received(asked + 1).await);
    }
    let lines = home.run(&["list", "--import", "large"]).out.lines().count();
    assert_eq!(lines, watches as usize);
    assert_eq!(home.run(&["remove", "first"]).code, Some(0));
    let peak = peak(&home);
    println!("{watches} watches: {peak} KiB at most; {answered} commands answered during the add");
    assert!(
        peak < LEAST + u64::from(watches) * EACH / 1024,
        "{peak} KiB"
    );
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}
