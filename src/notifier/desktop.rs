//! Notices as notifications of the desktop, over the session bus.
//!
//! It never waits longer than its limit, never blocks a thread, and never sends markup that a
//! notice's author wrote: what the server or the user said shows as it was written.

mod bus;
mod icon;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::time::Duration;

use notify_rust::{Hint, Timeout};

use crate::notice::{About, Notice, Tone, Urgency, Wording, safe, wording};
use crate::notifier::NotifierError;
use crate::notifier::desktop::bus::{Bus, Draft, Signal};
use crate::notifier::desktop::icon::Picture;

/// How long one delivery may take, from connecting to the server's answer. A server that is well
/// answers within milliseconds.
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

/// What the notification server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Abilities {
    /// It reads markup in bodies.
    markup: bool,
    /// It keeps what has left the screen where the user can find it.
    persistence: bool,
    /// It shows icons.
    icons: bool,
}

impl Abilities {
    fn of(capabilities: &[String]) -> Self {
        let has = |name: &str| capabilities.iter().any(|one| one == name);
        Self {
            markup: has("body-markup"),
            persistence: has("persistence"),
            icons: has("icon-static") || has("icon-multi"),
        }
    }
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
        match tokio::time::timeout(limit, self.try_show(about, said)).await {
            Ok(result) => result,
            Err(source) => {
                // It may be the bus that is frozen, and then only another connection helps.
                self.bus = None;
                Err(NotifierError::Silent { limit, source })
            }
        }
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

    async fn try_show(&mut self, about: About, said: &Wording) -> Result<(), NotifierError> {
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
        let abilities = Abilities::of(&capabilities);
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

fn draft(about: &About, said: &Wording, abilities: Abilities, has_theme: bool) -> Draft {
    let body = if abilities.markup {
        escaped(&said.body)
    } else {
        Cow::Borrowed(said.body.as_str())
    };
    // No desktop-entry hint: by it GNOME learns whose the notice is, and takes it away with the
    // connection.
    let mut hints = vec![
        Hint::Category(category(about, said.tone, said.progress.is_some()).to_owned()),
        Hint::Urgency(match said.urgency {
            Urgency::Low => notify_rust::Urgency::Low,
            Urgency::Normal => notify_rust::Urgency::Normal,
            Urgency::Critical => notify_rust::Urgency::Critical,
        }),
    ];
    let progress = said.progress.map(i32::from);
    hints.extend(progress.map(|percent| Hint::CustomInt("value".to_owned(), percent)));
    let is_kept = abilities.persistence && progress.is_none();
    let stays = said.urgency == Urgency::Critical || (said.stays && !is_kept);
    Draft {
        summary: said.summary.clone(),
        body: body.into_owned(),
        icon: icon::name(said.tone),
        hints,
        picture: (abilities.icons && !has_theme)
            .then(|| Picture::of(said.tone, said.progress.is_some())),
        timeout: if stays {
            Timeout::Never
        } else {
            Timeout::Default
        },
    }
}

/// The category, one of those that the notification specification lists.
fn category(about: &About, tone: Tone, goes_on: bool) -> &'static str {
    match (about, tone) {
        (About::Import(_) | About::Digest, _) if goes_on => "transfer",
        (About::Import(_) | About::Digest, Tone::Good) => "transfer.complete",
        (About::Import(_) | About::Digest, Tone::Unsure) => "transfer",
        (About::Import(_) | About::Digest, Tone::Bad) => "transfer.error",
        (About::Account(_), Tone::Good) => "network.connected",
        (About::Account(_), Tone::Unsure | Tone::Bad) => "network.error",
    }
}

/// `body` with what markup is made of escaped. It comes after every cut, so that no entity is ever
/// cut in two.
fn escaped(body: &str) -> Cow<'_, str> {
    if !body.contains(['&', '<', '>']) {
        return Cow::Borrowed(body);
    }
    let mut text = String::with_capacity(body.len() + 32);
    for c in body.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            other => text.push(other),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Trouble;
    use crate::notice::{AccountNews, Subject};

    fn refused(over: bool) -> Notice {
        Notice {
            subject: Subject::Account(AccountNews {
                account: "shop".parse().unwrap(),
                trouble: Trouble::Refused,
                over,
                cause: "<b>no</b> &amp; never".to_owned(),
            }),
        }
    }

    fn drafted(notice: &Notice, capabilities: &[&str], has_theme: bool) -> Draft {
        let capabilities: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
        let abilities = Abilities::of(&capabilities);
        draft(&notice.about(), &wording(notice), abilities, has_theme)
    }

    #[test]
    fn markup_is_escaped_in_the_body_where_the_server_reads_it() {
        let plain = drafted(&refused(false), &["body"], true);
        let marked_up = drafted(&refused(false), &["body", "body-markup"], true);
        assert!(plain.body.ends_with("\nCause: <b>no</b> &amp; never"));
        assert!(
            marked_up
                .body
                .ends_with("\nCause: &lt;b&gt;no&lt;/b&gt; &amp;amp; never")
        );
        assert_eq!(plain.summary, marked_up.summary);
    }

    #[test]
    fn what_is_critical_stays() {
        let bad = drafted(&refused(false), &["persistence"], true);
        assert_eq!((bad.timeout, bad.icon), (Timeout::Never, "dialog-error"));
        let good = drafted(&refused(true), &[], true);
        assert_eq!(good.timeout, Timeout::Default);
        assert_eq!(good.icon, "dialog-information");
    }

    #[test]
    fn what_was_waited_for_stays_where_the_server_keeps_nothing() {
        let said = Wording {
            stays: true,
            ..wording(&refused(true))
        };
        let timeout = |capabilities: &[&str], progress: Option<u8>| {
            let capabilities: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
            let said = Wording {
                progress,
                ..said.clone()
            };
            let draft = draft(&About::Digest, &said, Abilities::of(&capabilities), true);
            let value = Hint::CustomInt("value".to_owned(), 41);
            assert_eq!(draft.hints.contains(&value), progress.is_some());
            draft.timeout
        };
        assert_eq!(timeout(&[], None), Timeout::Never);
        assert_eq!(timeout(&["persistence"], None), Timeout::Default);
        // What goes on would be shown again and again if it went by itself.
        assert_eq!(timeout(&["persistence"], Some(41)), Timeout::Never);
    }

    #[test]
    fn a_picture_is_sent_where_icons_show_and_no_theme_has_them() {
        let picture = |capabilities: &[&str], has_theme| {
            let draft = drafted(&refused(true), capabilities, has_theme);
            draft.picture.is_some()
        };
        assert!(picture(&["icon-static"], false));
        assert!(!picture(&["icon-static"], true));
        assert!(!picture(&[], false));
    }

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
