//! The daemon as a service: what it tells its manager, over a real socket.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan};

use crate::program::{Daemon, Home, simulator};
use crate::support::LONG;

/// A service manager, as far as the daemon sees one. As a real one, it always reads: a daemon that
/// tells it something waits until there is room for that.
pub(crate) struct Manager {
    messages: Receiver<String>,
    path: PathBuf,
}

impl Manager {
    pub(crate) fn new(home: &Home) -> Self {
        let path = home.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = socket.recv(&mut buffer) {
                let text = str::from_utf8(&buffer[..length]).unwrap();
                if sender.send(text.to_owned()).is_err() {
                    break;
                }
            }
        });
        Self { messages, path }
    }

    /// Starts a daemon as a service that is watched for hanging if `watchdog` is given.
    pub(crate) fn start(&self, home: &Home, watchdog: Option<Duration>) -> Daemon {
        let mut command = home.command(&["daemon"]);
        command.env("NOTIFY_SOCKET", &self.path);
        if let Some(time) = watchdog {
            command.env("WATCHDOG_USEC", time.as_micros().to_string());
        }
        home.start(command)
    }

    /// The next message, by its lines.
    pub(crate) fn told(&self) -> Vec<String> {
        let text = self.messages.recv_timeout(LONG).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// Takes messages until one has a line for which `is_it`, which it gives.
    pub(crate) fn told_until(&self, is_it: impl Fn(&str) -> bool) -> String {
        loop {
            if let Some(line) = self.told().into_iter().find(|line| is_it(line)) {
                return line;
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // An empty message ends the thread.
        let ended = UnixDatagram::unbound().and_then(|socket| socket.send_to(&[], &self.path));
        drop(ended);
    }
}

/// Whether the line ends with a time of day.
fn has_time(line: &str) -> bool {
    let (_, time) = line.rsplit_once("; next poll at ").unwrap_or_default();
    let form: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    form == "00:00:00" || form == "0000-00-00 00:00:00"
}

#[test]
fn it_is_ready_once_the_watch_list_is_there_though_no_server_is() {
    // Nothing listens there.
    let home = Home::new("http://127.0.0.1:9", "");
    home.run(&["add", "--import", "products", "a", "b", "c"]);
    let manager = Manager::new(&home);
    let daemon = manager.start(&home, None);
    assert_eq!(manager.told(), ["STATUS=reading the watch list"]);
    let ready = manager.told();
    assert_eq!(ready[0], "READY=1");
    let status = ready[1].strip_prefix("STATUS=0 of 3 tasks settled; ");
    let status = status.unwrap_or_else(|| panic!("{ready:?}"));
    assert!(status == "asking now" || has_time(&ready[1]), "{ready:?}");
    daemon.signal("TERM");
    let last = "STATUS=no longer watching; 3 tasks pending, kept for the next start";
    loop {
        let told = manager.told();
        if told.iter().any(|line| line == "STOPPING=1") {
            assert_eq!(told, ["STOPPING=1", last]);
            break;
        }
    }
    assert_eq!(daemon.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_status_says_how_what_is_pending_stands() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    simulator.control().change(|world| {
        let soon = Duration::from_millis(50);
        world.add(
            "good".parse().unwrap(),
            Plan::ends(4, soon, Ending::Available),
        );
        let failed = Ending::Fail { details: vec![] };
        world.add("bad".parse().unwrap(), Plan::ends(4, soon, failed));
        world.add("slow".parse().unwrap(), Plan::never(4));
    });
    let manager = Manager::new(&home);
    let daemon = manager.start(&home, None);
    assert_eq!(manager.told(), ["STATUS=reading the watch list"]);
    assert_eq!(manager.told(), ["READY=1", "STATUS=no task is pending"]);
    home.run(&["add", "--import", "products", "good", "bad", "slow"]);
    let two = "STATUS=2 of 3 tasks settled, 1 failed; ";
    let line = manager.told_until(|line| line.starts_with(two));
    assert!(line.ends_with("; asking now") || has_time(&line), "{line}");
    simulator.control().change(|world| {
        let plan = Plan::ends(4, Duration::ZERO, Ending::Available);
        world.add("slow".parse().unwrap(), plan);
    });
    manager.told_until(|line| line == "STATUS=no task is pending");
    // What is done is not counted again.
    home.run(&["add", "--import", "others", "absent"]);
    manager.told_until(|line| line.starts_with("STATUS=0 of 1 task settled; "));
    daemon.signal("INT");
    let end = manager.told_until(|line| line.contains("no longer watching"));
    let left = "1 task pending, kept for the next start";
    assert_eq!(end, format!("STATUS=no longer watching; {left}"));
    assert_eq!(daemon.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_status_says_that_an_account_is_refused() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    home.write("api-key", "app-wrong-key-0123456789");
    simulator
        .control()
        .change(|world| world.add("task".parse().unwrap(), Plan::never(10)));
    home.run(&["add", "task"]);
    let manager = Manager::new(&home);
    let _daemon = manager.start(&home, None);
    let refused = "STATUS=0 of 1 task settled; 1 cannot be asked about, see the log; ";
    let line = manager.told_until(|line| line.starts_with(refused) && !line.contains("asking now"));
    let (next, account) = line
        .split_once("; account default: refused, asked again at ")
        .unwrap();
    assert!(has_time(next), "{line}");
    assert!(next.ends_with(account), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_status_says_until_when_an_account_is_over_its_limit() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    simulator.control().change(|world| {
        world.add("task".parse().unwrap(), Plan::never(10));
        world.next_faults.push_back(Fault::Status {
            status: 429,
            headers: vec![("Retry-After".to_owned(), "1800".to_owned())],
            body: Vec::new(),
        });
    });
    home.run(&["add", "task"]);
    let manager = Manager::new(&home);
    let _daemon = manager.start(&home, None);
    let limited = "; account default: over its limit until ";
    let line = manager.told_until(|line| line.contains(limited) && !line.contains("asking now"));
    let (next, until) = line.split_once(limited).unwrap();
    assert!(has_time(next) && next.ends_with(until), "{line}");
}

#[test]
fn an_idle_daemon_feeds_the_watchdog() {
    let home = Home::new("http://127.0.0.1:9", "");
    let manager = Manager::new(&home);
    let daemon = manager.start(&home, Some(Duration::from_millis(500)));
    manager.told_until(|line| line == "READY=1");
    for _ in 0..5 {
        assert_eq!(manager.told(), ["WATCHDOG=1"]);
    }
    daemon.signal("TERM");
    manager.told_until(|line| line == "STOPPING=1");
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_manager_that_is_not_there_harms_nothing() {
    let home = Home::new("http://127.0.0.1:9", "");
    for socket in ["/nowhere/notify", "@abstract"] {
        let mut command = home.command(&["daemon", "--until-settled"]);
        command.env("NOTIFY_SOCKET", socket);
        let daemon = home.start(command);
        assert_eq!(daemon.wait().code(), Some(0));
        assert!(home.log().contains(socket), "{}", home.log());
    }
    assert_eq!(home.count("WARN"), 2, "{}", home.log());
}
