//! The real program in a home of its own, against the simulator.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use importwatch::account::ApiKey;
use importwatch::clock;
use importwatch::simulator::Simulator;
use importwatch::simulator::world::World;
use importwatch::store::Store;
use importwatch::store::directory::StateDir;
use importwatch::store::settle::Polled;
use importwatch::task::{Counts, TaskId};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{Outcome, timed};

/// The key that the simulator takes.
const KEY: &str = "app-correct-horse-battery";
/// So many polls are waited for before a daemon's memory is looked at.
const POLLS: u64 = 20;
/// After its start a daemon has things to do.
const START: Duration = Duration::from_secs(20);
/// For so long wake-ups are counted, and so often it is looked for one.
const IDLE: Duration = Duration::from_mins(3);
const LOOK: Duration = Duration::from_millis(250);

/// The program with its home.
#[derive(Debug)]
pub(crate) struct Program {
    home: TempDir,
}

/// What was seen of one life of the daemon.
#[derive(Debug)]
pub(crate) struct Life {
    /// From its start to the first poll's arrival at the server.
    pub(crate) first_poll: Duration,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
}

/// A daemon that runs, and ends with this value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Program {
    pub(crate) fn new(home: TempDir) -> Outcome<Self> {
        let program = Self { home };
        program.settings("http://127.0.0.1:9/", "default")?;
        let key = program.path("api-key");
        fs::write(&key, KEY)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        Ok(program)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.state().join("state.db")
    }

    fn settings(&self, base_url: &str, account: &str) -> Outcome<()> {
        let text = format!(
            "[accounts.{account}]\nbase_url = \"{base_url}\"\napi_key_file = \"api-key\"\n\
            requests_per_minute = 6000\n[notify]\ndesktop = false\n[log]\nlevel = \"warn\"\n\
            [state]\ndirectory = \"{}\"\n",
            self.state().display()
        );
        Ok(fs::write(self.path("config.toml"), text)?)
    }

    fn command(&self, arguments: &[&str]) -> Outcome<Command> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_importwatch"));
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("IMPORTWATCH_CONFIG", self.path("config.toml"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(self.path("log"))?,
            );
        Ok(command)
    }

    /// How long a command takes whose output someone reads.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome<Duration> {
        let mut command = self.command(arguments)?;
        command.stdout(Stdio::piped());
        timed(|| {
            let output = command.output()?;
            self.check(output.status.success() && !output.stdout.is_empty())
        })
    }

    /// How long `add -` takes with these ids on its standard input.
    pub(crate) fn add(&self, ids: &[String]) -> Outcome<Duration> {
        let list = self.path("ids");
        fs::write(&list, ids.join("\n"))?;
        let mut command = self.command(&["add", "--import", "scale", "-"])?;
        command.stdin(File::open(&list)?);
        timed(|| self.check(command.status()?.success()))
    }

    fn check(&self, good: bool) -> Outcome<()> {
        if good {
            return Ok(());
        }
        Err(format!(
            "the program failed: {}",
            fs::read_to_string(self.path("log"))?
        )
        .into())
    }

    /// Writes down one poll of each task, within the last quarter of an hour, as a daemon that has
    /// run for long leaves them.
    pub(crate) fn pretend_polls(&self, ids: &[String], with_progress: bool) -> Outcome<()> {
        let mut store = Store::open(&StateDir::open(&self.state())?)?;
        let now = clock::wall();
        let mut polled = Vec::with_capacity(ids.len());
        for (number, id) in (0_u64..).zip(ids) {
            polled.push(Polled {
                id: id.parse::<TaskId>()?,
                polls: 1,
                polled_at: Some(now - Duration::from_secs(number % 900)),
                progress: with_progress.then(|| u8::try_from(number % 99 + 1).unwrap_or(99)),
                counts: Counts::default(),
            });
        }
        Ok(store.record_polls(&polled)?)
    }

    /// Starts the daemon, and looks at it after some polls.
    pub(crate) fn live(&self) -> Outcome<Life> {
        let runtime = Runtime::new()?;
        let simulator = runtime.block_on(Simulator::start(World::new(ApiKey::new(KEY)?)))?;
        let control = simulator.control();
        self.settings(simulator.base_url().as_str(), "default")?;
        let start = clock::now();
        let daemon = Daemon(self.command(&["daemon"])?.spawn()?);
        runtime.block_on(control.received(POLLS));
        let first = control
            .requests()
            .first()
            .map(|request| request.at.since(start));
        Ok(Life {
            first_poll: first.ok_or("no poll came")?,
            resident_kib: kib(&daemon, "VmRSS:")?,
            peak_kib: kib(&daemon, "VmHWM:")?,
        })
    }

    /// How often a daemon wakes up that holds the watches and has nobody to ask: they belong to an
    /// account that the settings no longer name. Also for how long that was counted.
    pub(crate) fn wake_ups(&self) -> Outcome<(u32, Duration)> {
        self.settings("http://127.0.0.1:9/", "other")?;
        let daemon = Daemon(self.command(&["daemon"])?.spawn()?);
        thread::sleep(START);
        let start = clock::now();
        let mut last = switches(&daemon)?;
        let (mut wakes, mut was_awake) = (0, false);
        while clock::now().since(start) < IDLE {
            thread::sleep(LOOK);
            let present = switches(&daemon)?;
            let is_awake = present != last;
            wakes += u32::from(is_awake && !was_awake);
            (last, was_awake) = (present, is_awake);
        }
        Ok((wakes, IDLE))
    }
}

/// A figure of the process.
fn kib(daemon: &Daemon, field: &str) -> Outcome<u64> {
    number(
        &PathBuf::from(format!("/proc/{}/status", daemon.0.id())),
        field,
    )
}

/// How often the threads of the process have been put to sleep, in all.
fn switches(daemon: &Daemon) -> Outcome<u64> {
    let mut all = 0;
    for thread in fs::read_dir(format!("/proc/{}/task", daemon.0.id()))? {
        all += number(&thread?.path().join("status"), "voluntary_ctxt_switches:")?;
    }
    Ok(all)
}

fn number(file: &Path, field: &str) -> Outcome<u64> {
    let status = fs::read_to_string(file)?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let text = line.ok_or("a field is not there")?;
    Ok(text.trim().trim_end_matches(" kB").parse()?)
}
