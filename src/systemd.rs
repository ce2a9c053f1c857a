//! What the service manager is told of the daemon: READY, STATUS, WATCHDOG, RELOADING
//! and STOPPING, by the
//! protocol of `sd_notify(3)`.
//!
//! It never ends the program, and never holds it up but for as long as the manager leaves its socket
//! unread: a manager that cannot be told is mentioned in the log, once. Without one it does nothing.
//! It has no timer of its own, so that the watchdog is fed only by a caller that gets on.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::notice::safe;

/// The longest status, in characters; it is shown on one line.
const LONGEST_STATUS: usize = 300;

/// The service manager, as far as it wants to be told.
#[derive(Debug)]
pub struct Systemd {
    /// `$NOTIFY_SOCKET`, where it can be used.
    socket: Option<OsString>,
    watchdog: Option<Duration>,
    /// Whether the log says already that the manager cannot be told.
    away: bool,
}

impl Systemd {
    /// The manager that the process's environment names: `$NOTIFY_SOCKET`, `$WATCHDOG_USEC` and
    /// `$WATCHDOG_PID`. A socket that cannot be used is logged.
    #[must_use]
    pub fn of_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty());
        let socket = socket.filter(|socket| {
            let is_path = socket.as_bytes().starts_with(b"/");
            if !is_path {
                tracing::warn!(
                    ?socket,
                    "NOTIFY_SOCKET is not an absolute path, so the service manager is told nothing; \
                     other kinds of sockets are not supported"
                );
            }
            is_path
        });
        let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
        Self {
            watchdog: watchdog.filter(|_| socket.is_some()),
            socket,
            away: false,
        }
    }

    /// No manager: nobody is told.
    #[must_use]
    pub fn absent() -> Self {
        Self {
            socket: None,
            watchdog: None,
            away: false,
        }
    }

    /// Whether there is one that listens.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.socket.is_some()
    }

    /// How long the manager waits for [`Self::alive`] before it takes the program for hung; `None`
    /// if it does not watch for that.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The program has started, and stands so.
    pub fn ready(&mut self, status: &str) {
        let status = line(status);
        self.tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// The program has begun to read its settings again. [`Self::ready`] says that it is done.
    pub fn reloading(&mut self, status: &str) {
        let status = line(status);
        // The manager wants to know which reload this is the start of, by its own clock.
        match NotifyState::monotonic_usec_now() {
            Ok(since) => {
                self.tell(&[NotifyState::Reloading, since, NotifyState::Status(&status)]);
            }
            Err(_) => self.tell(&[NotifyState::Reloading, NotifyState::Status(&status)]),
        }
    }

    /// The program stands so: one line for a person. What could not be shown is left out.
    pub fn status(&mut self, status: &str) {
        self.tell(&[NotifyState::Status(&line(status))]);
    }

    /// The program is getting on.
    pub fn alive(&mut self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// The program has begun to end, and stands so.
    pub fn stopping(&mut self, status: &str) {
        let status = line(status);
        self.tell(&[NotifyState::Stopping, NotifyState::Status(&status)]);
    }

    fn tell(&mut self, state: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else {
            return;
        };
        match sd_notify::notify(state) {
            Ok(()) => self.away = false,
            Err(error) => {
                if !self.away {
                    let cause = safe::causes(&error);
                    tracing::warn!(
                        ?socket,
                        ?cause,
                        "the service manager cannot be told how this goes; see NOTIFY_SOCKET"
                    );
                }
                self.away = true;
            }
        }
    }
}

/// A line end in a status would begin another field, such as STOPPING.
fn line(status: &str) -> String {
    safe::start(status, LONGEST_STATUS)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;
    use std::process::{Command, Output};

    use super::*;

    /// Tells a child what it is.
    const CHILD: &str = "IMPORTWATCH_TEST_CHILD";

    /// Runs the test of this name in a child with this environment more, where [`is_child`] holds:
    /// the process's own environment cannot be changed safely.
    fn child(test: &str, environment: &[(&str, &str)]) -> Output {
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("systemd::tests::{test}"), "--nocapture"])
            .env_remove("WATCHDOG_PID")
            .env_remove("WATCHDOG_USEC")
            .env(CHILD, "1")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success() && out.contains("1 passed"),
            "{out}\n{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        ran
    }

    fn is_child() -> bool {
        std::env::var_os(CHILD).is_some()
    }

    fn told(socket: &UnixDatagram) -> Vec<String> {
        socket.set_nonblocking(true).unwrap();
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            told.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        told
    }

    fn bind(path: &Path) -> UnixDatagram {
        UnixDatagram::bind(path).unwrap()
    }

    #[test]
    fn the_manager_is_told_and_a_status_cannot_add_fields() {
        if is_child() {
            let mut systemd = Systemd::of_environment();
            assert!(systemd.is_present());
            assert_eq!(systemd.watchdog(), Some(Duration::from_secs(30)));
            systemd.status("evil\nSTOPPING=1\r\0\u{1b}[31m\u{2028}READY=1");
            systemd.ready("up");
            systemd.alive();
            systemd.status(&"x".repeat(10_000));
            systemd.stopping("going");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("notify");
        let socket = bind(&path);
        child(
            "the_manager_is_told_and_a_status_cannot_add_fields",
            &[
                ("NOTIFY_SOCKET", path.to_str().unwrap()),
                ("WATCHDOG_USEC", "30000000"),
            ],
        );
        let told = told(&socket);
        assert_eq!(told.len(), 5);
        assert_eq!(told[0], "STATUS=evil STOPPING=1 [31m READY=1\n");
        assert_eq!(told[1], "READY=1\nSTATUS=up\n");
        assert_eq!(told[2], "WATCHDOG=1\n");
        assert_eq!(
            told[3].chars().count(),
            "STATUS=\n".len() + LONGEST_STATUS,
            "{}",
            told[3]
        );
        assert_eq!(told[4], "STOPPING=1\nSTATUS=going\n");
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        if is_child() {
            assert_eq!(Systemd::of_environment().watchdog(), None);
            return;
        }
        let environment = [
            ("NOTIFY_SOCKET", "/nowhere"),
            ("WATCHDOG_USEC", "30000000"),
            ("WATCHDOG_PID", "1"),
        ];
        child("the_watchdog_of_another_process_is_not_ours", &environment);
    }

    #[test]
    fn a_bad_socket_is_mentioned_once_and_harms_nothing() {
        if is_child() {
            let log = tracing_subscriber::fmt().with_ansi(false).finish();
            tracing::subscriber::with_default(log, || {
                let mut systemd = Systemd::of_environment();
                systemd.ready("up");
                systemd.alive();
                systemd.stopping("going");
            });
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let gone = root.path().join("gone");
        drop(bind(&gone));
        let too_long = format!("/{}", "x".repeat(200));
        let cases = [
            (gone.to_str().unwrap(), 1),
            ("/nowhere/at/all", 1),
            (too_long.as_str(), 1),
            ("@abstract", 1),
            ("vsock:2:1234", 1),
            ("", 0),
        ];
        for (socket, mentioned) in cases {
            let name = "a_bad_socket_is_mentioned_once_and_harms_nothing";
            let ran = child(name, &[("NOTIFY_SOCKET", socket)]);
            let log = String::from_utf8(ran.stdout).unwrap();
            assert_eq!(log.matches("WARN").count(), mentioned, "{socket}: {log}");
            assert!(log.contains(socket), "{socket}: {log}");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        let mut systemd = Systemd::absent();
        assert!(!systemd.is_present());
        assert_eq!(systemd.watchdog(), None);
        systemd.ready("up");
        assert!(!systemd.away);
    }
}
