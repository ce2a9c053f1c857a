//! The real program beside a desktop that fails in each way, one after another in one life: polling
//! goes on as if nothing were wrong, it is said once, and all notices arrive when the desktop is back.

use std::future::poll_fn;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use importwatch::account::Trouble;
use importwatch::notice::channel::Channel;
use importwatch::notice::{AccountNews, Notice, Subject};
use importwatch::notifier::desktop::DesktopNotifier;
use importwatch::simulator::Simulator;
use importwatch::simulator::world::Ending;
use importwatch::store::Store;
use importwatch::store::directory::StateDir;
use zbus::MessageStream;
use zbus::connection::Builder;
use zbus::export::futures_core::Stream as _;

use crate::desktop::{Bus, Desktop, Look, eventually, on_a_private_bus};
use crate::program::{Home, simulator};
use crate::stage::ended;

/// A socket that takes connections and never says a word on them. It is gone with this value.
struct MuteSocket {
    path: PathBuf,
    taken: Arc<AtomicU64>,
}

impl MuteSocket {
    fn at(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let taken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&taken);
        thread::spawn(move || {
            let mut held: Vec<UnixStream> = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                held.push(stream);
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        let path = path.to_owned();
        Self { path, taken }
    }
}

impl Drop for MuteSocket {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

/// A notification server that answers every notice with an error, until it is aborted.
async fn refuse(address: String, tries: Arc<AtomicU64>) -> zbus::Result<()> {
    let connection = Builder::address(address.as_str()).build().await?;
    let mut calls = MessageStream::from(&connection);
    connection
        .request_name("org.freedesktop.Notifications")
        .await?;
    while let Some(call) = poll_fn(|context| Pin::new(&mut calls).poll_next(context)).await {
        let call = call?;
        let header = call.header();
        match header.member().map(zbus::names::MemberName::as_str) {
            Some("GetCapabilities") => connection.reply(&header, &vec!["body"]).await?,
            Some("Notify") => {
                tries.fetch_add(1, Ordering::SeqCst);
                let name = "org.freedesktop.Notifications.Error.ExcessNotificationGeneration";
                let said = "too many notices \u{1b}[31m";
                connection.reply_error(&header, name, &said).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A notification server that takes six seconds for each answer. Counts what it was to show.
async fn dawdle(address: String, shown: Arc<AtomicU64>) -> zbus::Result<()> {
    let connection = Builder::address(address.as_str()).build().await?;
    let mut calls = MessageStream::from(&connection);
    connection
        .request_name("org.freedesktop.Notifications")
        .await?;
    while let Some(call) = poll_fn(|context| Pin::new(&mut calls).poll_next(context)).await {
        let call = call?;
        let header = call.header();
        let member = header.member().map(zbus::names::MemberName::as_str);
        if matches!(member, Some("GetCapabilities" | "Notify")) {
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        match member {
            Some("GetCapabilities") => connection.reply(&header, &vec!["body"]).await?,
            Some("Notify") => {
                shown.fetch_add(1, Ordering::SeqCst);
                connection.reply(&header, &7_u32).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The time that the question before a notice took is not taken from the notice: one that is given up
/// as it is being shown would be shown twice.
#[test]
fn the_limit_of_a_notice_begins_when_the_server_has_answered() {
    let test = "deaf::the_limit_of_a_notice_begins_when_the_server_has_answered";
    on_a_private_bus(test, async {
        let shown = Arc::new(AtomicU64::new(0));
        let address = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap();
        let server = tokio::spawn(dawdle(address.clone(), Arc::clone(&shown)));
        let bus = Builder::address(address.as_str()).build().await.unwrap();
        let bus = zbus::fdo::DBusProxy::new(&bus).await.unwrap();
        let name = "org.freedesktop.Notifications";
        while !bus.name_has_owner(name.try_into().unwrap()).await.unwrap() {
            tokio::task::yield_now().await;
        }
        let mut notifier = DesktopNotifier::with_limit(Duration::from_secs(10));
        let notice = Notice {
            subject: Subject::Account(AccountNews {
                account: "shop".parse().unwrap(),
                trouble: Trouble::Refused,
                over: false,
                cause: String::new(),
            }),
        };
        notifier.deliver(&notice).await.unwrap();
        assert_eq!(shown.load(Ordering::SeqCst), 1);
        server.abort();
    });
}

/// Adds an import of one task that has ended, and waits until the log has its outcome: whatever the
/// desktop does meanwhile is not waited for.
#[track_caller]
fn settle(home: &Home, server: &Simulator, import: &str) {
    (server.control()).change(|world| {
        world.add(import.parse().unwrap(), ended(Ending::Available));
    });
    let added = home.run(&["add", "--import", import, import]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let event = format!("task={import} ");
    eventually("the task settles", || home.log().contains(&event));
}

/// Waits until all that was shown is noted as told: a server that ends or freezes between showing a
/// notice and saying so is told it again.
#[track_caller]
fn wait_until_noted(home: &Home) {
    let directory = StateDir::open(&home.path(".local/state/importwatch")).unwrap();
    let store = Store::open(&directory).unwrap();
    eventually("all that was shown is noted", || {
        store.waiting_count(Channel::Desktop).unwrap() == 0
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_desktop_holds_up_anything_and_every_notice_arrives_in_the_end() {
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("bus");
    let address = format!("unix:path={}", socket.display());
    let server = simulator().await;
    let home = Home::new(server.base_url().as_str(), "[notify]\ngather = \"50ms\"\n");
    let mut command = home.command(&["daemon"]);
    command.env("DBUS_SESSION_BUS_ADDRESS", &address);
    let daemon = home.start(command);

    settle(&home, &server, "no-bus");
    eventually("it is said", || home.log().contains("a notifier is away"));

    let mute = MuteSocket::at(&socket);
    settle(&home, &server, "mute-socket");
    eventually("the bus is tried", || mute.taken.load(Ordering::SeqCst) > 0);
    settle(&home, &server, "mute-still");
    drop(mute);

    let bus = Bus::start_at(&address);
    settle(&home, &server, "no-server");

    let tries = Arc::new(AtomicU64::new(0));
    let refusing = tokio::spawn(refuse(address, Arc::clone(&tries)));
    settle(&home, &server, "refusing");
    eventually("the server is tried again and again", || {
        tries.load(Ordering::SeqCst) >= 2
    });
    settle(&home, &server, "refusing-still");
    assert_eq!(home.count("a notifier is away"), 1);
    assert!(!home.log().contains("delivered again"), "{}", home.log());
    refusing.abort();
    assert!(refusing.await.unwrap_err().is_cancelled());

    let mut desktop = Desktop::on(&bus, Look::PLAIN);
    let mut shown = Vec::new();
    while shown.len() < 6 {
        shown.push(desktop.next_shown().summary);
    }
    eventually("that it is over is said", || {
        home.log().contains("notices are delivered again")
    });

    wait_until_noted(&home);
    desktop.signal_server("STOP");
    settle(&home, &server, "frozen");
    eventually("it is said", || home.count("a notifier is away") == 2);
    settle(&home, &server, "frozen-still");
    desktop.signal_server("CONT");
    while shown.len() < 8 {
        shown.push(desktop.next_shown().summary);
    }

    wait_until_noted(&home);
    desktop.kill_server();
    settle(&home, &server, "restarting");
    desktop.start_server();
    shown.push(desktop.next_shown().summary);

    assert_eq!(desktop.shown_so_far(), [], "{shown:?}\n{}", home.log());
    shown.sort();
    let mut expected: Vec<String> = [
        "no-bus",
        "mute-socket",
        "mute-still",
        "no-server",
        "refusing",
        "refusing-still",
        "frozen",
        "frozen-still",
        "restarting",
    ]
    .map(|import| format!("{import}: all 1,000 rows went in"))
    .to_vec();
    expected.sort();
    assert_eq!(shown, expected);
    // Events go a way of their own, which may be the longer one.
    eventually("each task is told of", || {
        home.count("task settled") >= expected.len()
    });
    assert_eq!(home.count("task settled"), expected.len());
    assert!(!home.log().contains('\u{1b}'));
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}
