//! The real program beside a desktop that fails in each way, one after another in one life: polling
//! goes on as if nothing were wrong, it is said once, and all notices arrive when the desktop is back.

use std::future::poll_fn;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use importwatch::simulator::Simulator;
use importwatch::simulator::world::Ending;
use zbus::MessageStream;
use zbus::connection::Builder;
use zbus::export::futures_core::Stream as _;

use crate::desktop::{Bus, Desktop, Look, eventually};
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
    assert_eq!(home.log().matches("a notifier is away").count(), 1);
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

    desktop.signal_server("STOP");
    settle(&home, &server, "frozen");
    eventually("it is said", || {
        home.log().matches("a notifier is away").count() == 2
    });
    settle(&home, &server, "frozen-still");
    desktop.signal_server("CONT");
    while shown.len() < 8 {
        shown.push(desktop.next_shown().summary);
    }

    desktop.kill_server();
    settle(&home, &server, "restarting");
    desktop.start_server();
    shown.push(desktop.next_shown().summary);

    assert!(desktop.shown_so_far().is_empty());
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
    assert_eq!(home.log().matches("task settled").count(), expected.len());
    assert!(!home.log().contains('\u{1b}'));
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}
