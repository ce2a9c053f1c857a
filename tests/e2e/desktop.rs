//! A private session bus, a screen that no one sees, and a real notification server on both.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Tells a child what it is.
const CHILD: &str = "IMPORTWATCH_TEST_CHILD";

/// A process that ends with this value.
struct Process(Child);

impl Process {
    /// Starts `command`, whose standard output it gives.
    #[track_caller]
    fn start(command: &mut Command) -> (Self, Lines<BufReader<ChildStdout>>) {
        let started = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let program = command.get_program().display();
        let mut child = started.unwrap_or_else(|error| panic!("{program} must be there: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (Self(child), lines)
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success(), "{kill}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, or be stopped: only SIGKILL ends a stopped process.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs `body` on a session bus of its own.
///
/// The bus's address is taken from the environment of the process, so `test`, which is the calling
/// test by its full name, runs once more in a child that has the bus in its environment; `body` runs
/// there.
#[track_caller]
pub(crate) fn on_a_private_bus(test: &str, body: impl Future<Output = ()>) {
    if std::env::var_os(CHILD).is_some() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(body);
        return;
    }
    let (_bus, mut printed) = Process::start(
        Command::new("dbus-daemon")
            .arg("--config-file")
            .arg(beside("bus.conf"))
            .args(["--print-address", "--nofork"]),
    );
    let address = printed.next().expect("the bus has an address").unwrap();
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .env("DBUS_SESSION_BUS_ADDRESS", address)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&ran.stdout);
    let complaints = String::from_utf8_lossy(&ran.stderr);
    let passed = ran.status.success() && output.contains("1 passed");
    assert!(passed, "{test} in a child:\n{output}\n{complaints}");
}

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/e2e")
        .join(name)
}

/// A screen, and a notification server that prints what it shows on it. All of it ends with this
/// value.
pub(crate) struct Desktop {
    server: Option<(Process, Lines<BufReader<ChildStdout>>)>,
    display: String,
    _screen: Process,
}

/// A notification, as the server printed it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) app: String,
    pub(crate) summary: String,
    pub(crate) body: String,
    pub(crate) icon: String,
    pub(crate) category: String,
    pub(crate) urgency: String,
}

impl Desktop {
    /// Starts a screen and a notification server on the session bus of the environment, and waits
    /// until the server is there.
    pub(crate) fn start() -> Self {
        let (screen, mut printed) = Process::start(Command::new("Xvfb").args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            "600x900x24",
            "-nolisten",
            "tcp",
        ]));
        let number = printed.next().expect("the screen has a number").unwrap();
        let mut desktop = Self {
            server: None,
            display: format!(":{number}"),
            _screen: screen,
        };
        desktop.start_server();
        desktop
    }

    /// Starts the notification server, and waits until the bus knows it.
    pub(crate) fn start_server(&mut self) {
        let mut dunst = Command::new("dunst");
        dunst.arg("-conf").arg(beside("dunstrc")).arg("-print");
        self.server = Some(Process::start(dunst.env("DISPLAY", &self.display)));
        wait_for_name(true);
    }

    /// Ends the notification server, and waits until the bus knows of it.
    pub(crate) fn kill_server(&mut self) {
        self.server = None;
        wait_for_name(false);
    }

    /// Sends the notification server a signal.
    pub(crate) fn signal_server(&self, name: &str) {
        self.server.as_ref().unwrap().0.signal(name);
    }

    /// The next notification that is shown.
    pub(crate) fn next_shown(&mut self) -> Shown {
        let (_, lines) = self.server.as_mut().unwrap();
        let lines = lines.map(Result::unwrap).take_while(|line| line != "}");
        let block = lines.collect::<Vec<_>>().join("\n");
        let field = |from: &str, to: &str| {
            let from = format!("\t{from}: ");
            let (_, rest) = block.split_once(&from).expect(&block);
            let (value, _) = rest.split_once(&format!("\n\t{to}: ")).expect(&block);
            let quoted = value
                .strip_prefix('\'')
                .and_then(|value| value.strip_suffix('\''));
            quoted.unwrap_or(value).to_owned()
        };
        Shown {
            app: field("appname", "summary"),
            summary: field("summary", "body"),
            body: field("body", "icon"),
            icon: field("icon", "raw_icon set"),
            category: field("category", "timeout"),
            urgency: field("urgency", "transient"),
        }
    }

    /// Takes a picture of the screen once `colour` (`#RRGGBB`, in capitals) is on it, and leaves it
    /// in cargo's folder for what tests leave behind.
    pub(crate) fn screenshot(&self, name: &str, colour: &str) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        eventually("the colour is on the screen", || {
            let taken = Command::new("import")
                .args(["-display", &self.display, "-window", "root"])
                .arg(&path)
                .status()
                .expect("import, of ImageMagick, must be there");
            assert!(taken.success());
            let colours = Command::new("convert")
                .arg(&path)
                .args(["-unique-colors", "txt:-"])
                .output()
                .expect("convert, of ImageMagick, must be there");
            String::from_utf8_lossy(&colours.stdout).contains(colour)
        });
    }
}

/// Waits until the bus knows a notification server, or knows none.
fn wait_for_name(there: bool) {
    let wanted = format!("boolean {there}");
    eventually("the bus knows the notification server as it is", || {
        let answer = Command::new("dbus-send")
            .args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"])
            .args(["/", "org.freedesktop.DBus.NameHasOwner"])
            .arg("string:org.freedesktop.Notifications")
            .output()
            .expect("dbus-send must be there");
        String::from_utf8_lossy(&answer.stdout).contains(&wanted)
    });
}

/// Asks until `is_so`. Neither the bus nor the screen tells those who ask later what has happened
/// before, so it is asked again, for ten seconds at least.
#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: not after 200 looks");
}
