//! Where the main job is played as a user has it: the real program in a home of its own, the
//! simulator on a real socket, a session bus and a real notification server on a screen.

use std::process::Command;
use std::time::Duration;

use importwatch::simulator::Simulator;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::task::TaskId;
use serde_json::Value;

use crate::desktop::{Bus, Desktop, Look};
use crate::program::{Daemon, Home, simulator};

/// What every home's settings end with: a log whose fields can be read, and, so that tests need not
/// wait, notices that hardly wait for one another.
const SETTINGS: &str = "[log]\nformat = \"json\"\n[notify]\ngather = \"50ms\"\n";

/// All that is needed. It ends with this value.
pub(crate) struct Stage {
    pub(crate) home: Home,
    pub(crate) simulator: Simulator,
    pub(crate) desktop: Desktop,
    pub(crate) bus: Bus,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::with_look(Look::PLAIN).await
    }

    /// The same with a screen that looks so.
    pub(crate) async fn with_look(look: Look) -> Self {
        let bus = Bus::start();
        let simulator = simulator().await;
        Self {
            home: home(&simulator, ""),
            simulator,
            desktop: Desktop::on(&bus, look),
            bus,
        }
    }

    /// Begins anew with a home where nothing has happened.
    pub(crate) fn move_out(&mut self) {
        self.home = home(&self.simulator, "");
    }

    /// The same with these settings of `[notify]`, and others after them.
    pub(crate) fn move_into(&mut self, notify: &str) {
        self.home = home(&self.simulator, notify);
    }

    /// Lets the server have tasks, and adds them to the watch list as one import.
    #[track_caller]
    pub(crate) fn add(&self, import: &str, tasks: impl IntoIterator<Item = (String, Plan)>) {
        let mut ids = String::new();
        self.simulator.control().change(|world| {
            for (id, plan) in tasks {
                world.add(task(&id), plan);
                ids.push_str(&id);
                ids.push('\n');
            }
        });
        let added = self.home.run_with(&["add", "--import", import, "-"], &ids);
        assert_eq!(added.code, Some(0), "{added:?}");
    }

    /// Starts the daemon on the bus.
    pub(crate) fn daemon(&self, arguments: &[&str]) -> Daemon {
        self.home.start(self.daemon_command(arguments))
    }

    /// The daemon on the bus, not started.
    pub(crate) fn daemon_command(&self, arguments: &[&str]) -> Command {
        let all: Vec<&str> = ["daemon"].iter().chain(arguments).copied().collect();
        let mut command = self.home.command(&all);
        let (variable, address) = self.bus.variable();
        command.env(variable, address);
        command
    }

    /// Waits until the server was asked `more` times more.
    pub(crate) async fn asked(&self, more: u64) {
        let control = self.simulator.control();
        let before = control.requests().len() as u64;
        assert!(control.received(before + more).await);
    }

    /// The events of the log with this message.
    pub(crate) fn events(&self, message: &str) -> Vec<Value> {
        self.home.events(message)
    }
}

fn home(simulator: &Simulator, notify: &str) -> Home {
    let settings = format!("{SETTINGS}{notify}");
    Home::new(simulator.base_url().as_str(), &settings)
}

fn task(id: &str) -> TaskId {
    id.parse().unwrap()
}

/// A task of a thousand rows that has ended when it is first asked about.
pub(crate) fn ended(end: Ending) -> Plan {
    Plan::ends(1_000, Duration::ZERO, end)
}
