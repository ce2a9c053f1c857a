//! A soak: the real daemon killed at random moments, again and again, while tasks are added and
//! removed and the desktop comes and goes; then what was lost, changed, or told twice.
//!
//! `IMPORTWATCH_KILLS` says how many kills; a few dozen without it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use importwatch::notice::channel::Channel;
use importwatch::simulator::world::Plan;
use serde_json::Value;

use crate::crash::{end, import, imports_of, waiting};
use crate::stage::Stage;

const KILLS: u32 = 40;

/// What one channel told, by the imports' names.
#[derive(Default)]
struct Told {
    times: BTreeMap<String, u32>,
    /// How often it had been told, but not noted as told, when the daemon was killed.
    cut_short: BTreeMap<String, u32>,
}

impl Told {
    fn take(&mut self, told: &[String], waiting: &BTreeSet<String>) {
        for import in told {
            *self.times.entry(import.clone()).or_default() += 1;
            if waiting.contains(import) {
                *self.cut_short.entry(import.clone()).or_default() += 1;
            }
        }
    }

    /// Imports that were told less often than they are to be, and more often.
    fn compare(&self, imports: &BTreeSet<String>, removed: &BTreeSet<String>) -> (u32, u32) {
        let (mut lost, mut repeated) = (0, 0);
        for import in imports {
            let times = self.times.get(import).copied().unwrap_or_default();
            let wanted = 1 + self.cut_short.get(import).copied().unwrap_or_default();
            repeated += u32::from(times > wanted);
            lost += u32::from(times < wanted && !removed.contains(import));
        }
        (lost, repeated)
    }

    fn twice(&self) -> usize {
        self.times.values().filter(|times| **times > 1).count()
    }
}

/// Everything that happens, and what has to come of it.
struct Soak {
    stage: Stage,
    random: fastrand::Rng,
    next: u32,
    /// Imports of one task each of which `add` has returned.
    added: BTreeSet<String>,
    /// Those whose `add` was killed: they are there or not.
    doubtful: BTreeSet<String>,
    removed: BTreeSet<String>,
    desktop: Told,
    log: Told,
    log_read: u64,
    /// Events whose outcome is not what the server said.
    changed: u32,
    is_desktop_there: bool,
}

impl Soak {
    fn plan(&mut self) -> (String, String, Plan) {
        let number = self.next;
        self.next += 1;
        let takes = Duration::from_millis(self.random.u64(0..300));
        let plan = Plan::ends(10, takes, end(number).0);
        (import(number), format!("task-{number}"), plan)
    }

    fn add(&mut self) {
        let (import, task, plan) = self.plan();
        self.stage.add(&import, [(task, plan)]);
        self.added.insert(import);
    }

    /// An `add` that is killed at a random moment, perhaps after its end.
    fn add_and_kill(&mut self) {
        let (import, task, plan) = self.plan();
        let control = self.stage.simulator.control();
        control.change(|world| world.add(task.parse().unwrap(), plan));
        let mut command = self
            .stage
            .home
            .command(&["add", "--import", &import, &task]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(self.random.u64(0..60_000)));
        drop(child.kill());
        if child.wait().unwrap().success() {
            self.added.insert(import);
        } else {
            self.doubtful.insert(import);
        }
    }

    fn remove(&mut self) {
        let number = self.random.u32(0..self.next.max(1));
        let ended = self.stage.home.run(&["remove", &format!("task-{number}")]);
        if ended.code == Some(0) {
            self.removed.insert(import(number));
        }
    }

    /// One thing that people or the desktop do while the daemon runs.
    fn disturb(&mut self) {
        match self.random.u32(0..10) {
            0..4 => self.add(),
            4 => self.remove(),
            5 => self.add_and_kill(),
            6 if !self.is_desktop_there => {
                self.stage.desktop.start_server();
                self.is_desktop_there = true;
            }
            7 if self.is_desktop_there => {
                self.stage.desktop.signal_server("STOP");
                thread::sleep(Duration::from_millis(self.random.u64(0..100)));
                self.stage.desktop.signal_server("CONT");
            }
            _ => thread::sleep(Duration::from_millis(self.random.u64(0..150))),
        }
    }

    /// Takes in what the daemon told in its life, now that it is dead.
    fn take(&mut self) {
        if self.is_desktop_there {
            let shown = imports_of(&self.stage.desktop.shown_so_far());
            let waiting = waiting(&self.stage, Channel::Desktop);
            self.desktop.take(&shown, &waiting);
        }
        let told = self.logged();
        self.log.take(&told, &waiting(&self.stage, Channel::Log));
    }

    fn logged(&mut self) -> Vec<String> {
        let mut log = File::open(self.stage.home.path("log")).unwrap();
        log.seek(SeekFrom::Start(self.log_read)).unwrap();
        let mut text = String::new();
        self.log_read += log.read_to_string(&mut text).unwrap() as u64;
        let mut imports = Vec::new();
        for line in text.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if event["message"] == "task settled" {
                let import = event["import"].as_str().unwrap().to_owned();
                let number = import.trim_start_matches("import-").parse().unwrap();
                self.changed += u32::from(event["outcome"] != end(number).1);
                imports.push(import);
            }
        }
        imports
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_when_nothing_is_lost_or_changed() {
    let kills = std::env::var("IMPORTWATCH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut stage = Stage::set().await;
    // Each import is to have a notice of its own, and only that of its result.
    stage.move_into("digest = 0\nprogress_after = \"0s\"\n");
    let mut soak = Soak {
        stage,
        random: fastrand::Rng::new(),
        next: 0,
        added: BTreeSet::new(),
        doubtful: BTreeSet::new(),
        removed: BTreeSet::new(),
        desktop: Told::default(),
        log: Told::default(),
        log_read: 0,
        changed: 0,
        is_desktop_there: true,
    };
    for _ in 0..kills {
        soak.add();
        let daemon = soak.stage.daemon(&[]);
        for _ in 0..soak.random.u32(0..4) {
            soak.disturb();
        }
        thread::sleep(Duration::from_micros(soak.random.u64(0..200_000)));
        drop(daemon);
        soak.take();
        if soak.is_desktop_there && soak.random.u32(0..5) == 0 {
            soak.stage.desktop.kill_server();
            soak.is_desktop_there = false;
        }
    }
    if !soak.is_desktop_there {
        soak.stage.desktop.start_server();
        soak.is_desktop_there = true;
    }
    assert!(soak.stage.daemon(&["--until-settled"]).wait().success());
    soak.take();
    report(&soak, kills);
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what a soak is run for"
)]
fn report(soak: &Soak, kills: u32) {
    let listed = soak.stage.home.list(&[]);
    let mut there = BTreeSet::new();
    let mut changed = soak.changed;
    for task in &listed {
        let import = task["import"].as_str().unwrap().to_owned();
        let number = import.trim_start_matches("import-").parse().unwrap();
        changed += u32::from(task["state"] != end(number).1);
        there.insert(import);
    }
    let is_wanted = |import: &&String| !soak.removed.contains(*import);
    let wanted = soak.added.iter().filter(is_wanted);
    let lost: Vec<_> = wanted.filter(|import| !there.contains(*import)).collect();
    let known: BTreeSet<_> = there.union(&soak.added).cloned().collect();
    let desktop = soak.desktop.compare(&known, &soak.removed);
    let log = soak.log.compare(&known, &soak.removed);
    println!(
        "{kills} kills of a daemon, {} of an add, {} tasks, {} removed: {} tasks lost, {changed} outcomes \
        changed; notices lost: desktop {}, log {}; told again without a kill between showing and noting: \
        desktop {}, log {}; told twice because of one: desktop {}, log {}",
        soak.doubtful.len(),
        soak.next,
        soak.removed.len(),
        lost.len(),
        desktop.0,
        log.0,
        desktop.1,
        log.1,
        soak.desktop.twice(),
        soak.log.twice(),
    );
    assert_eq!(lost, Vec::<&String>::new());
    assert_eq!(changed, 0);
    assert_eq!((desktop, log), ((0, 0), (0, 0)));
    for channel in [Channel::Desktop, Channel::Log] {
        assert!(waiting(&soak.stage, channel).is_empty());
    }
}
