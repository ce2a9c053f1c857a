//! The real program in a home of its own, against the simulator.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::Location;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use importwatch::simulator::Simulator;
use importwatch::simulator::world::World;
use serde_json::Value;
use tempfile::TempDir;

/// The key that the simulator takes.
pub(crate) const KEY: &str = "app-correct-horse-battery";

/// A home with settings, a state directory and nothing else.
#[derive(Debug)]
pub(crate) struct Home {
    folder: TempDir,
}

/// How a command ended, and what it printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A simulator that takes [`KEY`].
pub(crate) async fn simulator() -> Simulator {
    let key = importwatch::account::ApiKey::new(KEY).unwrap();
    Simulator::start(World::new(key)).await.unwrap()
}

impl Home {
    /// A home whose settings name `base_url` and poll fast, with `more` at their end.
    pub(crate) fn new(base_url: &str, more: &str) -> Self {
        let home = Self {
            folder: TempDir::new().unwrap(),
        };
        home.write("api-key", KEY);
        home.settings(&format!(
            "[accounts.default]\nbase_url = \"{base_url}\"\napi_key_file = \"api-key\"\n\
            requests_per_minute = 6000\n\
            [poll]\ninitial_interval = \"20ms\"\nmax_interval = \"200ms\"\n{more}"
        ));
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn settings(&self, text: &str) {
        self.write("config.toml", text);
    }

    /// A file that no one else can read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The program, with these arguments and an environment of its own, from which no session bus is
    /// found: a test shows nothing on the desktop of whoever runs it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_importwatch"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("IMPORTWATCH_CONFIG", self.path("config.toml"))
            .env("TZ", "UTC")
            .args(arguments);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).output().unwrap().into()
    }

    /// Runs a command to its end with this on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let ended = child.wait_with_output().unwrap().into();
        writer.join().unwrap();
        ended
    }

    /// Starts a daemon, whose log goes to the file `log`.
    pub(crate) fn daemon(&self, arguments: &[&str]) -> Daemon {
        self.daemon_in(arguments, &[])
    }

    /// The same, with this environment more.
    pub(crate) fn daemon_in(&self, arguments: &[&str], environment: &[(&str, &OsStr)]) -> Daemon {
        let all: Vec<&str> = ["daemon"].iter().chain(arguments).copied().collect();
        let mut command = self.command(&all);
        command.envs(environment.iter().copied());
        self.start(command)
    }

    /// Starts `command` as a daemon, whose log goes to the file `log`.
    pub(crate) fn start(&self, mut command: Command) -> Daemon {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { child: Some(child) }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// How often the log has this.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// The events of a log in JSON that have this message.
    pub(crate) fn events(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        events
            .filter(|event: &Value| event["message"] == message)
            .collect()
    }

    /// Waits until `is_so`. An event follows what it tells of, so that whoever has seen the one waits
    /// for the other.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            for _ in 0..6_000 {
                if is_so() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("{place}: {what}: not after 6,000 looks\n{}", self.log());
        }
    }

    /// Waits until the log has this.
    #[track_caller]
    pub(crate) fn logged(&self, text: &str) -> impl Future<Output = ()> {
        self.until(text, move || self.log().contains(text))
    }

    /// What `list --json` prints, with these arguments more.
    pub(crate) fn list(&self, arguments: &[&str]) -> Vec<Value> {
        let all: Vec<&str> = ["list", "--json"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        let ended = self.run(&all);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        let lines = ended.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A daemon that dies with the test.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Option<Child>,
}

impl Daemon {
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The most memory that it has taken so far, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.unwrap().trim().trim_end_matches(" kB");
        peak.parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
