//! Notices as notifications of the desktop, over the session bus.
//!
//! It never waits longer than its limit, never blocks a thread, and never sends markup that a
//! notice's author wrote: what the server or the user said shows as it was written.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::time::Duration;

use notify_rust::{Hint, Notification, NotificationHandle, Timeout};

use crate::notice::{Notice, Subject, Tone, Urgency, Wording, safe, wording};
use crate::notifier::NotifierError;
use crate::watch::ImportKey;

/// How long one delivery may take, from connecting to the server's answer. A server that is well
/// answers within milliseconds.
pub const LIMIT: Duration = Duration::from_secs(3);

/// How many notices keep their connection to the bus. Some desktops (GNOME from 46 on) take a notice
/// away with the connection that sent it, and each connection is a file descriptor.
const KEPT: usize = 8;

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// Shows notices on the desktop of the session that this process belongs to.
#[derive(Debug)]
pub struct DesktopNotifier {
    limit: Duration,
    shown: VecDeque<Shown>,
}

/// A notice that was shown.
#[derive(Debug)]
struct Shown {
    /// The import that it was about.
    import: Option<ImportKey>,
    handle: NotificationHandle,
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
            shown: VecDeque::with_capacity(KEPT),
        }
    }

    /// Shows `notice`, in place of an earlier one about the same import.
    ///
    /// Dropping the future, as the limit does, closes its connection and leaves nothing behind; the
    /// notice may have been shown by then.
    ///
    /// # Errors
    ///
    /// [`NotifierError`]: no bus, no server, an error from the server, or no answer in time.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn deliver(&mut self, notice: &Notice) -> Result<(), NotifierError> {
        let limit = self.limit;
        let import = match &notice.subject {
            Subject::Import(news) => Some(news.key),
            Subject::Account(_) => None,
        };
        let earlier = import.and_then(|_| self.shown.iter().position(|one| one.import == import));
        let replaced = earlier
            .and_then(|earlier| self.shown.get(earlier))
            .map(|one| one.handle.id());
        let handle = tokio::time::timeout(limit, show(notice, replaced))
            .await
            .map_err(|source| NotifierError::Silent { limit, source })??;
        // The earlier one goes after the new one is there: its connection may hold it on the screen.
        if let Some(earlier) = earlier {
            self.shown.remove(earlier);
        } else if self.shown.len() == KEPT {
            self.shown.pop_front();
        }
        self.shown.push_back(Shown { import, handle });
        Ok(())
    }
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
    let asked = ask::<(String, String, String, String)>("GetServerInformation");
    let (name, _, version, _) = tokio::time::timeout(limit, asked)
        .await
        .map_err(|source| NotifierError::Silent { limit, source })??;
    Ok(safe::start(&format!("{name} {version}"), 60))
}

/// Asks the notification server something that takes no arguments.
async fn ask<T>(method: &str) -> Result<T, NotifierError>
where
    T: for<'de> serde::Deserialize<'de> + zbus::zvariant::Type,
{
    let connection = zbus::Connection::session()
        .await
        .map_err(NotifierError::NoBus)?;
    connection
        .call_method(Some(NAME), PATH, Some(NAME), method, &())
        .await
        .and_then(|reply| reply.body().deserialize())
        .map_err(NotifierError::NoServer)
}

/// Shows `notice`, in place of the one with the number `replaced` if that is still there.
async fn show(notice: &Notice, replaced: Option<u32>) -> Result<NotificationHandle, NotifierError> {
    let takes_markup = takes_markup().await?;
    let mut notification = notification(notice, takes_markup);
    if let Some(replaced) = replaced {
        notification.id(replaced);
    }
    notification
        .show_async()
        .await
        .map_err(NotifierError::NotShown)
}

/// Whether the notification server reads markup in bodies. It is asked before each notice, a matter
/// of a millisecond, since another server may have taken its place at any time.
///
/// It is asked by zbus itself, because `notify_rust::get_capabilities` blocks its thread, for ever
/// if the server is frozen, and such a thread holds up the end of the runtime.
async fn takes_markup() -> Result<bool, NotifierError> {
    let capabilities: Vec<String> = ask("GetCapabilities").await?;
    Ok(capabilities.iter().any(|one| one == "body-markup"))
}

fn notification(notice: &Notice, takes_markup: bool) -> Notification {
    let Wording {
        summary,
        body,
        urgency,
        tone,
    } = wording(notice);
    let body = if takes_markup {
        escaped(&body)
    } else {
        Cow::Borrowed(body.as_str())
    };
    // No desktop-entry hint: by it GNOME learns whose the notice is, and takes it away with the
    // connection.
    Notification::new()
        .appname("importwatch")
        .summary(&summary)
        .body(&body)
        .icon(icon(tone))
        .hint(Hint::Category(category(&notice.subject, tone).to_owned()))
        .urgency(match urgency {
            Urgency::Low => notify_rust::Urgency::Low,
            Urgency::Normal => notify_rust::Urgency::Normal,
            Urgency::Critical => notify_rust::Urgency::Critical,
        })
        .timeout(match urgency {
            Urgency::Low | Urgency::Normal => Timeout::Default,
            Urgency::Critical => Timeout::Never,
        })
        .finalize()
}

/// The icon's name in every icon theme.
fn icon(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "dialog-information",
        Tone::Unsure => "dialog-warning",
        Tone::Bad => "dialog-error",
    }
}

/// The category, one of those that the notification specification lists.
fn category(subject: &Subject, tone: Tone) -> &'static str {
    match (subject, tone) {
        (Subject::Import(_), Tone::Good) => "transfer.complete",
        (Subject::Import(_), Tone::Unsure) => "transfer",
        (Subject::Import(_), Tone::Bad) => "transfer.error",
        (Subject::Account(_), Tone::Good) => "network.connected",
        (Subject::Account(_), Tone::Unsure | Tone::Bad) => "network.error",
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
    use crate::notice::AccountNews;

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

    #[test]
    fn markup_is_escaped_in_the_body_where_the_server_reads_it() {
        let plain = notification(&refused(false), false);
        let marked_up = notification(&refused(false), true);
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
        let bad = notification(&refused(false), false);
        assert_eq!(bad.timeout, Timeout::Never);
        assert_eq!(
            (bad.appname.as_str(), bad.icon.as_str()),
            ("importwatch", "dialog-error")
        );
        let good = notification(&refused(true), false);
        assert_eq!(good.timeout, Timeout::Default);
        assert_eq!(good.icon, "dialog-information");
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
