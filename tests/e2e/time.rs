//! The real program through hours, through jumps of the wall clock, through a suspend and under
//! another boot clock: by libfaketime and by a time namespace of the kernel's.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::task::TaskId;
use jiff::Timestamp;
use serde_json::Value;

use crate::desktop::eventually;
use crate::program::{Home, simulator};

/// The library that stands between a program and the clocks.
fn faketime() -> PathBuf {
    let found = ["x86_64", "aarch64"].map(|machine| {
        let folder = format!("/usr/lib/{machine}-linux-gnu/faketime");
        Path::new(&folder).join("libfaketime.so.1")
    });
    let found = found.into_iter().find(|path| path.exists());
    found.expect("libfaketime, of the package faketime, must be there")
}

/// The daemon, under clocks that go as `clocks` say.
fn daemon(home: &Home, clocks: &[(&str, &str)]) -> Command {
    let mut command = home.command(&["daemon"]);
    command.env("LD_PRELOAD", faketime());
    command.envs(clocks.iter().copied());
    command
}

/// A clock that is what a file says: an offset to the real one.
struct Offset(PathBuf);

impl Offset {
    fn of(home: &Home) -> Self {
        let offset = Self(home.path("offset"));
        offset.set("+0");
        offset
    }

    /// In one piece, since the file is read all the time.
    fn set(&self, offset: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    fn clocks(&self) -> [(&str, &str); 2] {
        let path = self.0.to_str().unwrap();
        [
            ("FAKETIME_TIMESTAMP_FILE", path),
            ("FAKETIME_NO_CACHE", "1"),
        ]
    }
}

fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

fn home(base_url: &str, poll: &str, watch: &str) -> Home {
    let home = Home::new(base_url, "");
    home.settings(&format!(
        "[accounts.default]\nbase_url = \"{base_url}\"\napi_key_file = \"api-key\"\n\
        requests_per_minute = 6000\n[poll]\n{poll}\n[watch]\n{watch}\n[log]\nformat = \"json\"\n"
    ));
    home
}

fn task(home: &Home, id: &str) -> Value {
    let tasks = home.list(&[]);
    let task = tasks.into_iter().find(|task| task["id"] == id);
    task.unwrap_or_else(|| panic!("{id} is not there"))
}

fn time(task: &Value, field: &str) -> Timestamp {
    task[field].as_str().unwrap().parse().unwrap()
}

/// Hours at two hundred times their speed: an outage of more than an hour is told once, five minutes
/// after it began, and asked about gently; a deadline is kept to, and not a moment early.
#[tokio::test(flavor = "multi_thread")]
async fn hours_go_by_and_deadlines_are_kept() {
    const SPEED: u32 = 200;
    let server = simulator().await;
    let control = server.control();
    let home = home(
        server.base_url().as_str(),
        // A request that takes long in real time takes two hundred times as long in there.
        "request_timeout = \"10m\"\nconnect_timeout = \"10m\"",
        "give_up_after = \"3h\"",
    );
    control.change(|world| {
        world.add(id("never"), Plan::never(10));
        let later = Duration::from_hours(2) / SPEED;
        world.add(id("later"), Plan::ends(10, later, Ending::Available));
        world.fault = Some(Fault::Status {
            status: 503,
            headers: Vec::new(),
            body: Vec::new(),
        });
    });
    assert_eq!(home.run(&["add", "never", "later"]).code, Some(0));
    let daemon = home.start(daemon(&home, &[("FAKETIME", "+0 x200")]));
    home.logged("account unavailable").await;
    let told: Timestamp = time(&home.events("account unavailable")[0], "timestamp");
    let began = &home.events("the account does not answer; the poll is tried again")[0];
    let waited = told.duration_since(time(began, "timestamp"));
    assert!(waited.as_secs() >= 295, "{waited:?}");
    let before = control.requests().len();
    tokio::time::sleep(Duration::from_hours(1) / SPEED).await;
    let asked = control.requests().len() - before;
    assert!((1..=80).contains(&asked), "{asked} requests in an hour");
    control.change(|world| world.fault = None);
    eventually("all is over", || home.list(&["--pending"]).is_empty());
    // Events go a way of their own, which may be the longer one.
    home.logged("account is well again").await;
    for message in ["account unavailable", "account is well again"] {
        assert_eq!(home.events(message).len(), 1, "{message}");
    }
    assert_eq!(task(&home, "later")["state"], "available");
    let never = task(&home, "never");
    assert_eq!(never["state"], "expired");
    let lived = time(&never, "settled_at").duration_since(time(&never, "added_at"));
    assert!(lived.as_hours() >= 3, "{lived:?}");
    let peak = daemon.peak_memory();
    assert!(peak <= 64 << 10, "{peak} KiB");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}

/// The wall clock alone jumps a month ahead, and two back: nothing expires, nothing stops, no more is
/// asked than otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn jumps_of_the_wall_clock_change_nothing() {
    let server = simulator().await;
    let control = server.control();
    let home = home(
        server.base_url().as_str(),
        "initial_interval = \"100ms\"\nmax_interval = \"200ms\"",
        "give_up_after = \"24h\"\nmissing_after = \"10m\"",
    );
    control.change(|world| world.add(id("a"), Plan::never(10)));
    assert_eq!(home.run(&["add", "a", "absent"]).code, Some(0));
    let offset = Offset::of(&home);
    let mut clocks = offset.clocks().to_vec();
    clocks.push(("FAKETIME_DONT_FAKE_MONOTONIC", "1"));
    let daemon = home.start(daemon(&home, &clocks));
    for (told, jump) in ["+0", "+30d", "-30d", "+0"].into_iter().enumerate() {
        offset.set(jump);
        let before = control.requests().len() as u64;
        assert!(control.received(before + 5).await, "{jump}");
        assert_eq!(home.list(&["--pending"]).len(), 2, "{jump}");
        // An import that ends meanwhile.
        let ends = format!("ends{jump}");
        control.change(|world| {
            let plan = Plan::ends(10, Duration::ZERO, Ending::Available);
            world.add(id(&ends), plan);
        });
        assert_eq!(home.run(&["add", &ends]).code, Some(0), "{jump}");
        // What is removed before it was told is not told.
        eventually("its outcome is told", || {
            home.events("task settled").len() > told
        });
        assert_eq!(task(&home, &ends)["state"], "available", "{jump}");
        control.change(|world| world.forget(&id(&ends)));
        home.run(&["remove", &ends]);
    }
    assert_eq!(home.events("task settled").len(), 4);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}

/// Eight hours pass from one moment to the next. What ended meanwhile is learnt, whose deadline passed
/// is asked about before it is given up, and it takes a poll or two.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_suspend_polling_resumes_gently() {
    let server = simulator().await;
    let control = server.control();
    let home = home(
        server.base_url().as_str(),
        "initial_interval = \"3s\"\nmax_interval = \"3s\"",
        "give_up_after = \"4h\"",
    );
    let mut ids = String::new();
    control.change(|world| {
        for number in 0..300 {
            world.add(id(&format!("task-{number}")), Plan::never(10));
            writeln!(ids, "task-{number}").unwrap();
        }
    });
    assert_eq!(home.run_with(&["add", "-"], &ids).code, Some(0));
    let offset = Offset::of(&home);
    let daemon = home.start(daemon(&home, &offset.clocks()));
    assert!(control.received(3).await);
    control.change(|world| {
        for number in 0..299 {
            let plan = Plan::ends(10, Duration::ZERO, Ending::Available);
            world.add(id(&format!("task-{number}")), plan);
        }
    });
    let before = control.requests().len();
    offset.set("+8h");
    eventually("all is known", || home.list(&["--pending"]).is_empty());
    let states: Vec<Value> = home
        .list(&[])
        .into_iter()
        .map(|task| task["state"].clone())
        .collect();
    assert_eq!(
        states.iter().filter(|state| **state == "available").count(),
        299
    );
    assert_eq!(
        states.iter().filter(|state| **state == "expired").count(),
        1
    );
    let asked = control.requests().len() - before;
    assert!(asked <= 6, "{asked} requests about 300 tasks");
    assert!(home.events("account unavailable").is_empty());
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}

/// The same state under a boot clock that is ten days ahead, as after a restart of the machine, and
/// back again: what was known of deadlines and rates is known still.
#[tokio::test(flavor = "multi_thread")]
async fn another_boot_clock_changes_nothing() {
    let server = simulator().await;
    let control = server.control();
    let home = home(
        server.base_url().as_str(),
        "initial_interval = \"100ms\"\nmax_interval = \"200ms\"",
        "give_up_after = \"24h\"",
    );
    control.change(|world| world.add(id("a"), Plan::never(10)));
    assert_eq!(home.run(&["add", "a"]).code, Some(0));
    for ahead in ["0", "864000", "0"] {
        let plain = home.command(&["daemon"]);
        let mut command = Command::new("unshare");
        command.env_clear();
        let variables = plain
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        command
            .envs(variables)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        // In a namespace of users too, which needs no rights.
        command.args(["--map-root-user", "--time", "--boottime", ahead, "--"]);
        command.arg(plain.get_program()).args(plain.get_args());
        let daemon = home.start(command);
        let before = control.requests().len() as u64;
        assert!(control.received(before + 4).await, "{ahead}");
        assert_eq!(home.list(&["--pending"]).len(), 1, "{ahead}");
        daemon.signal("TERM");
        assert_eq!(daemon.wait().code(), Some(0), "{ahead}");
    }
    control.change(|world| {
        let plan = Plan::ends(10, Duration::ZERO, Ending::Available);
        world.add(id("a"), plan);
    });
    assert!(home.daemon(&["--until-settled"]).wait().success());
    assert_eq!(task(&home, "a")["state"], "available");
}
