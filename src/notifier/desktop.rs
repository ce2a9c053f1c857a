//! Notices as notifications of the desktop, over the session bus.
//!
//! It never waits longer than its limit, never blocks a thread, and never sends markup that a
//! notice's author wrote: what the server or the user said shows as it was written.

mod bus;
mod draft;
mod icon;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::notice::{About, Notice, Wording, safe, wording};
use crate::notifier::NotifierError;
use crate::notifier::desktop::bus::{Bus, Signal};
use crate::notifier::desktop::draft::{Abilities, draft};

/// How long it may take until there is a server, which the bus may have to start first, and then how
/// long until it has answered what it was sent. A server that is well does so within milliseconds.
pub const LIMIT: Duration = Duration::from_secs(3);

/// How many notices are remembered, so that later ones take their places.
const KEPT: usize = 256;

/// Shows notices on the desktop of the session that this process belongs to.
///
/// All go out on one connection, which lasts: GNOME lets nobody else replace a notice, and some
/// desktops take a notice away with the connection that sent it.
#[derive(Debug)]
pub struct DesktopNotifier {
    limit: Duration,
    bus: Option<Bus>,
    shown: VecDeque<Shown>,
    /// What the desktop told while it was asked something else.
    events: VecDeque<Event>,
    /// Whether there is an icon theme, once that was looked at.
    has_theme: Option<bool>,
}

/// A notice that is on the screen, as far as is known.
#[derive(Debug)]
struct Shown {
    about: About,
    id: u32,
}

/// What the desktop tells unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The notice is no longer on the screen: the user has closed it, or the server by rules of its
    /// own.
    Closed(About),
    /// There is another notification server than before, and nothing on its screen.
    Appeared,
    /// There is no notification server any more.
    Gone,
}

impl Default for DesktopNotifier {
    fn default() -> Self {
        Self::with_limit(LIMIT)
    }
}

impl DesktopNotifier {
    /// A notifier that gives a delivery `limit`. It connects to nothing until it delivers.
    #[must_use]
    pub fn with_limit(limit: Duration) -> Self {
        Self {
            limit,
            bus: None,
            shown: VecDeque::new(),
            events: VecDeque::new(),
            has_theme: None,
        }
    }

    /// Shows `notice`, in place of an earlier one about the same; see [`show`](Self::show).
    ///
    /// # Errors
    ///
    /// Those of [`show`](Self::show).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn deliver(&mut self, notice: &Notice) -> Result<(), NotifierError> {
        self.show(notice.about(), &wording(notice)).await
    }

    /// Shows what is `said`, in place of what was said earlier about the same.
    ///
    /// Dropping the future, as the limit does, leaves open whether it is shown.
    ///
    /// # Errors
    ///
    /// [`NotifierError`]: no bus, no server, an error from the server, or no answer in time.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn show(&mut self, about: About, said: &Wording) -> Result<(), NotifierError> {
        let limit = self.limit;
        // Each has the whole limit: a notice that is cut short may show all the same, and stay there
        // beside what comes after it.
        let result = match tokio::time::timeout(limit, self.find_server()).await {
            Ok(Ok(abilities)) => {
                tokio::time::timeout(limit, self.try_show(about, said, abilities)).await
            }
            Ok(Err(error)) => return Err(error),
            Err(late) => Err(late),
        };
        result.unwrap_or_else(|source| {
            // It may be the bus that is frozen, and then only another connection helps.
            self.bus = None;
            Err(NotifierError::Silent { limit, source })
        })
    }

    /// Takes what was said about this off the screen, if it is there. A server that does not answer
    /// in time is left alone.
    pub async fn withdraw(&mut self, about: &About) {
        let at = self.shown.iter().position(|shown| shown.about == *about);
        let shown = at.and_then(|at| self.shown.remove(at));
        if let (Some(shown), Some(bus)) = (shown, &self.bus) {
            drop(tokio::time::timeout(self.limit, bus.close(shown.id)).await);
        }
    }

    /// The next thing that the desktop tells unasked; pending while there is no connection to it.
    ///
    /// Cancel safe: what was not returned is returned by the next call.
    pub async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let Some(bus) = &mut self.bus else {
                return std::future::pending().await;
            };
            let signal = bus.signal().await;
            self.take(signal);
        }
    }

    fn take(&mut self, signal: Option<Signal>) {
        match signal {
            // The bus has ended, and the session with it.
            None => {
                self.bus = None;
                self.shown.clear();
                self.events.push_back(Event::Gone);
            }
            Some(Signal::Changed { there }) => {
                self.shown.clear();
                self.events
                    .push_back(if there { Event::Appeared } else { Event::Gone });
            }
            Some(Signal::Closed { id }) => {
                let at = self.shown.iter().position(|shown| shown.id == id);
                if let Some(shown) = at.and_then(|at| self.shown.remove(at)) {
                    self.events.push_back(Event::Closed(shown.about));
                }
            }
        }
    }

    /// Takes in what has been told so far, without waiting.
    async fn catch_up(&mut self) {
        while let Some(bus) = &mut self.bus {
            let signal = tokio::select! {
                biased;
                signal = bus.signal() => signal,
                () = std::future::ready(()) => return,
            };
            self.take(signal);
        }
    }

    /// Sees to it that there is a server, and asks what it can do.
    async fn find_server(&mut self) -> Result<Abilities, NotifierError> {
        self.catch_up().await;
        // Asked before each notice, a matter of a millisecond: another server may have taken the
        // place of the last one at any time, and one that is frozen is not sent what it would show
        // twice after it thaws.
        let mut asked = match &self.bus {
            Some(bus) => Some(bus.ask("GetCapabilities").await),
            None => None,
        };
        // A connection from before the bus was started anew is of no use any more.
        if !matches!(&asked, Some(answer) if answer.as_ref().err().is_none_or(bus::is_answer)) {
            self.bus = None;
            asked = None;
        }
        let bus = match self.bus.take() {
            Some(bus) => bus,
            None => Bus::connect().await.map_err(NotifierError::NoBus)?,
        };
        let bus = self.bus.insert(bus);
        let capabilities: Vec<String> = match asked {
            Some(answer) => answer,
            None => bus.ask("GetCapabilities").await,
        }
        .map_err(NotifierError::NoServer)?;
        // The bus may have started the server for this question: what it tells of that is not to
        // count, later, as news of yet another server.
        self.catch_up().await;
        Ok(Abilities::of(&capabilities))
    }

    async fn try_show(
        &mut self,
        about: About,
        said: &Wording,
        abilities: Abilities,
    ) -> Result<(), NotifierError> {
        let Some(bus) = &mut self.bus else {
            let gone = zbus::Error::Failure("the session bus has ended".to_owned());
            return Err(NotifierError::NoBus(gone));
        };
        let has_theme = *self.has_theme.get_or_insert_with(icon::has_theme);
        let draft = draft(&about, said, abilities, has_theme);
        let earlier = self.shown.iter().position(|shown| shown.about == about);
        let replaced = earlier.and_then(|at| self.shown.remove(at));
        let replaced = replaced.map_or(0, |shown| shown.id);
        let mut shown = bus.notify(&draft, replaced).await;
        if replaced != 0 && shown.as_ref().is_err_and(bus::is_refusal) {
            // GNOME knows it as that of a connection that was lost, or no longer at all.
            shown = bus.notify(&draft, 0).await;
        }
        let id = match shown {
            Ok(id) => id,
            Err(error) => {
                if replaced != 0 {
                    self.shown.push_back(Shown {
                        about,
                        id: replaced,
                    });
                }
                return Err(NotifierError::NotShown(error));
            }
        };
        if self.shown.len() == KEPT {
            self.shown.pop_front();
        }
        self.shown.push_back(Shown { about, id });
        Ok(())
    }
}

/// Whether an error says that the server will not take this very notice.
pub(super) fn is_refusal(error: &zbus::Error) -> bool {
    bus::is_refusal(error)
}

/// Whether the environment leads to a session bus: by `$DBUS_SESSION_BUS_ADDRESS`, or else by the
/// socket `bus` in `$XDG_RUNTIME_DIR`, or in `/run/user/UID` where that is not set. `variable` gives
/// the value of an environment variable.
///
/// Whether anything listens there is not tried: a desktop may start after this program.
#[must_use]
pub fn has_session_bus(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    if let Some(address) = variable("DBUS_SESSION_BUS_ADDRESS") {
        return !address.is_empty();
    }
    let directory = variable("XDG_RUNTIME_DIR").map_or_else(
        || PathBuf::from(format!("/run/user/{}", nix::unistd::geteuid())),
        PathBuf::from,
    );
    let socket = std::fs::metadata(directory.join("bus"));
    socket.is_ok_and(|socket| socket.file_type().is_socket())
}

/// The name and version of the notification server that is there, within [`LIMIT`].
///
/// # Errors
///
/// [`NotifierError`]: no bus, no server, or no answer in time.
///
/// # Panics
///
/// Outside a tokio runtime with I/O and time enabled.
pub async fn server() -> Result<String, NotifierError> {
    let limit = LIMIT;
    let asked = async {
        let bus = Bus::connect().await.map_err(NotifierError::NoBus)?;
        let answer = bus.ask::<(String, String, String, String)>("GetServerInformation");
        answer.await.map_err(NotifierError::NoServer)
    };
    let (name, _, version, _) = tokio::time::timeout(limit, asked)
        .await
        .map_err(|source| NotifierError::Silent { limit, source })??;
    Ok(safe::start(&format!("{name} {version}"), 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_bus_is_an_address_or_a_socket() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = |name: &str| {
            (name == "XDG_RUNTIME_DIR").then(|| directory.path().as_os_str().to_owned())
        };
        let address = |value: &'static str| {
            move |name: &str| (name == "DBUS_SESSION_BUS_ADDRESS").then(|| OsString::from(value))
        };
        assert!(has_session_bus(address("unix:path=/nowhere")));
        assert!(!has_session_bus(address("")));
        assert!(!has_session_bus(runtime));
        std::fs::write(directory.path().join("bus"), "").unwrap();
        assert!(!has_session_bus(runtime));
        std::fs::remove_file(directory.path().join("bus")).unwrap();
        let _listener =
            std::os::unix::net::UnixListener::bind(directory.path().join("bus")).unwrap();
        assert!(has_session_bus(runtime));
    }
}
