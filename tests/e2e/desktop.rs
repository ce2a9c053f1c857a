//! A private session bus, a screen that no one sees, and a real notification server on both.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A bound that is reached only where something hangs.
const LONG: Duration = Duration::from_mins(2);

/// Tells a child what it is.
const CHILD: &str = "IMPORTWATCH_TEST_CHILD";
/// Leads a program to its session bus.
const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";
/// Leads a child to the folder of what its bus may start by itself.
const SERVICES: &str = "IMPORTWATCH_TEST_SERVICES";

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

/// A session bus of its own, which ends with this value.
pub(crate) struct Bus {
    address: String,
    _daemon: Process,
    /// What the bus may start by itself; nothing, unless a test puts it there.
    services: TempDir,
}

impl Bus {
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same at this address.
    #[track_caller]
    pub(crate) fn start_at(address: &str) -> Self {
        Self::start_with(&["--address", address])
    }

    #[track_caller]
    fn start_with(arguments: &[&str]) -> Self {
        let services = TempDir::new().unwrap();
        let folder = services.path().display();
        let text = fs::read_to_string(beside("bus.conf")).unwrap();
        let config = services.path().join("bus.conf");
        let folders = format!("<servicedir>{folder}</servicedir>\n</busconfig>");
        fs::write(&config, text.replace("</busconfig>", &folders)).unwrap();
        let (daemon, mut printed) = Process::start(
            Command::new("dbus-daemon")
                .arg("--config-file")
                .arg(config)
                .args(["--print-address", "--nofork"])
                .args(arguments),
        );
        let address = printed.next().expect("the bus has an address").unwrap();
        Self {
            address,
            _daemon: daemon,
            services,
        }
    }

    /// The variable of the environment that leads a program to this bus.
    pub(crate) fn variable(&self) -> (&str, &str) {
        (BUS, &self.address)
    }
}

/// Runs `body`, whose notifiers belong to the very process, on a session bus of its own.
///
/// A notifier takes the bus's address from the environment of its process, so `test`, which is the
/// calling test by its full name, runs once more in a child that has the bus in its environment;
/// `body` runs there.
#[track_caller]
pub(crate) fn on_a_private_bus(test: &str, body: impl Future<Output = ()>) {
    if std::env::var_os(CHILD).is_some() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(body);
        return;
    }
    let bus = Bus::start();
    let (variable, address) = bus.variable();
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .env(variable, address)
        .env(SERVICES, bus.services.path())
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
    server: Option<(Process, Receiver<Shown>)>,
    look: Look,
    bus: String,
    display: String,
    _screen: Process,
}

/// How large the screen is, and how the notification server draws on it.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) screen: &'static str,
    pub(crate) dunstrc: &'static str,
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
    /// The percentage of its bar, -1 where it has none.
    pub(crate) progress: i32,
    /// One that takes the place of another has its number.
    pub(crate) id: u32,
}

impl Desktop {
    /// Starts a screen and a notification server on the session bus of the environment, and waits
    /// until the server is there.
    pub(crate) fn start() -> Self {
        Self::of(std::env::var(BUS).unwrap(), Look::PLAIN)
    }

    /// The same with a notification server that only the bus starts, once one is asked for.
    pub(crate) fn start_on_demand() -> Self {
        let desktop = Self::dark(std::env::var(BUS).unwrap(), Look::PLAIN);
        let services = PathBuf::from(std::env::var_os(SERVICES).unwrap());
        let service = format!(
            "[D-BUS Service]\nName=org.freedesktop.Notifications\n\
             Exec=/usr/bin/env DISPLAY={} {BUS}={} dunst -conf {}\n",
            desktop.display,
            desktop.bus,
            beside(desktop.look.dunstrc).display()
        );
        fs::write(services.join("server.service"), service).unwrap();
        // The bus looks into its folders when it is told to.
        let told = desktop
            .command("dbus-send")
            .args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"])
            .args(["/", "org.freedesktop.DBus.ReloadConfig"])
            .output();
        assert!(told.expect("dbus-send must be there").status.success());
        desktop
    }

    /// The same on `bus`, looking so.
    pub(crate) fn on(bus: &Bus, look: Look) -> Self {
        Self::of(bus.address.clone(), look)
    }

    fn of(bus: String, look: Look) -> Self {
        let mut desktop = Self::dark(bus, look);
        desktop.start_server();
        desktop
    }

    /// A screen without a notification server.
    fn dark(bus: String, look: Look) -> Self {
        let (screen, mut printed) = Process::start(
            Command::new("Xvfb")
                .args(["-displayfd", "1", "-nolisten", "tcp"])
                .args(["-screen", "0", look.screen]),
        );
        let number = printed.next().expect("the screen has a number").unwrap();
        Self {
            server: None,
            look,
            bus,
            display: format!(":{number}"),
            _screen: screen,
        }
    }

    /// A program on this desktop.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env(BUS, &self.bus).env("DISPLAY", &self.display);
        command
    }

    /// Starts the notification server, and waits until the bus knows it.
    pub(crate) fn start_server(&mut self) {
        let mut dunst = self.command("dunst");
        dunst.arg("-conf").arg(beside(self.look.dunstrc));
        let (process, lines) = Process::start(dunst.arg("-print"));
        let (sender, shown) = mpsc::channel();
        // The server's output ends with it, and so does this thread.
        thread::spawn(move || {
            let mut lines = lines.map_while(Result::ok);
            while lines.any(|line| line == "{") {
                let block = lines.by_ref().take_while(|line| line != "}");
                let block: String = block.flat_map(|line| ["\n".to_owned(), line]).collect();
                // A test that has ended no longer listens.
                drop(sender.send(Shown::read(&block)));
            }
        });
        self.server = Some((process, shown));
        self.wait_for_name(true);
    }

    /// Ends the notification server, and waits until the bus knows of it.
    pub(crate) fn kill_server(&mut self) {
        self.server = None;
        self.wait_for_name(false);
    }

    /// Sends the notification server a signal.
    pub(crate) fn signal_server(&self, name: &str) {
        self.server.as_ref().unwrap().0.signal(name);
    }

    /// The next notification that is shown.
    #[track_caller]
    pub(crate) fn next_shown(&mut self) -> Shown {
        let (_, shown) = self.server.as_ref().unwrap();
        shown.recv_timeout(LONG).expect("a notification is shown")
    }

    /// The notifications that were shown since they were last asked for. What was sent to the server
    /// before this call is among them, since it shows things in the order in which they come.
    pub(crate) fn shown_so_far(&mut self) -> Vec<Shown> {
        const LAST: &str = "the last of them";
        let sent = self.command("notify-send").arg(LAST).status();
        assert!(sent.expect("notify-send must be there").success());
        let mut shown = Vec::new();
        loop {
            let next = self.next_shown();
            if next.summary == LAST {
                self.close(next.id);
                return shown;
            }
            shown.push(next);
        }
    }

    /// Takes a notification off the screen.
    pub(crate) fn close(&self, id: u32) {
        let closed = self
            .command("dbus-send")
            .args(["--session", "--print-reply"])
            .arg("--dest=org.freedesktop.Notifications")
            .arg("/org/freedesktop/Notifications")
            .arg("org.freedesktop.Notifications.CloseNotification")
            .arg(format!("uint32:{id}"))
            .output();
        assert!(closed.expect("dbus-send must be there").status.success());
    }

    /// How many notifications are on the screen.
    pub(crate) fn on_screen(&self) -> u32 {
        let counted = self
            .command("dunstctl")
            .args(["count", "displayed"])
            .output();
        let counted = counted.expect("dunstctl must be there").stdout;
        String::from_utf8(counted).unwrap().trim().parse().unwrap()
    }

    /// Takes a picture of the screen once `colour` (`#RRGGBB`, in capitals) is on it, and leaves it
    /// in cargo's folder for what tests leave behind.
    pub(crate) fn screenshot(&self, name: &str, colour: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        eventually("the colour is on the screen", || {
            let taken = self
                .command("import")
                .args(["-window", "root"])
                .arg(&path)
                .status()
                .expect("import, of ImageMagick, must be there");
            assert!(taken.success());
            colours_of(&path).contains(colour)
        });
        path
    }

    /// Waits until the bus knows a notification server, or knows none.
    fn wait_for_name(&self, there: bool) {
        let wanted = format!("boolean {there}");
        eventually("the bus knows the notification server as it is", || {
            let answer = self
                .command("dbus-send")
                .args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"])
                .args(["/", "org.freedesktop.DBus.NameHasOwner"])
                .arg("string:org.freedesktop.Notifications")
                .output()
                .expect("dbus-send must be there");
            String::from_utf8_lossy(&answer.stdout).contains(&wanted)
        });
    }
}

/// The colours of a picture, as `convert` lists them: `#RRGGBB`, among other things.
pub(crate) fn colours_of(picture: &Path) -> String {
    let colours = Command::new("convert")
        .arg(picture)
        .args(["-unique-colors", "-depth", "8", "txt:-"])
        .output()
        .expect("convert, of ImageMagick, must be there");
    String::from_utf8(colours.stdout).unwrap()
}

impl Look {
    /// Popups that can be read in a screenshot.
    pub(crate) const PLAIN: Self = Self {
        screen: "600x900x24",
        dunstrc: "dunstrc",
    };
}

impl Shown {
    /// Reads what the server prints of a notification between two braces.
    fn read(block: &str) -> Self {
        let after = |name: &str| {
            let (_, rest) = block.split_once(&format!("\n\t{name}: ")).expect(block);
            rest
        };
        let field = |name: &str, next: &str| {
            let (value, _) = after(name)
                .split_once(&format!("\n\t{next}: "))
                .expect(block);
            let quoted = value
                .strip_prefix('\'')
                .and_then(|value| value.strip_suffix('\''));
            quoted.unwrap_or(value).to_owned()
        };
        Self {
            app: field("appname", "summary"),
            summary: field("summary", "body"),
            body: field("body", "icon"),
            icon: field("icon", "raw_icon set"),
            category: field("category", "timeout"),
            urgency: field("urgency", "transient"),
            progress: after("progress")
                .lines()
                .next()
                .unwrap()
                .parse()
                .expect(block),
            // Behind it come the links in the body, if there are any.
            id: after("id").lines().next().unwrap().parse().expect(block),
        }
    }
}

/// Asks until `is_so`. Neither the bus nor the screen tells those who ask later what has happened
/// before, so it is asked again, for a minute at least.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: not after 1,200 looks");
}
