//! The channels that deliver notices, a closed set.
//!
//! A notifier says what it is given, once a call; it never decides what is worth saying, remembers
//! what was said or tries again by itself.

pub mod desktop;
pub mod log;

use std::time::Duration;

use thiserror::Error;

use crate::notice::Notice;
use crate::notice::channel::Channel;
use crate::notifier::desktop::DesktopNotifier;

/// A channel that delivers notices.
#[derive(Debug)]
pub enum Notifier {
    /// Events of the program's own log, see [`log`].
    Log,
    /// Notifications on the desktop, see [`desktop`].
    Desktop(DesktopNotifier),
}

/// Why a notice was not delivered. Each message fits behind "failed to".
#[derive(Debug, Error)]
pub enum NotifierError {
    /// There is no session bus, or it hung up.
    #[error(
        "reach the session bus, where desktops take notifications; is a desktop session running, and does DBUS_SESSION_BUS_ADDRESS name its bus?"
    )]
    NoBus(#[source] zbus::Error),
    /// Nothing on the bus takes notifications.
    #[error(
        "find a notification server on the session bus; does the desktop run one under the name org.freedesktop.Notifications?"
    )]
    NoServer(#[source] zbus::Error),
    /// The notification server answered with an error, or went away before it answered.
    #[error("have the notification server show the notice; its own log may say more")]
    NotShown(#[source] notify_rust::error::Error),
    /// No answer in time. The notice may have been shown all the same, or be shown later.
    #[error(
        "have an answer from the desktop within {limit:?}; its bus or its notification server may be frozen"
    )]
    Silent {
        /// How long it was waited for.
        limit: Duration,
        /// What the runtime says of it.
        #[source]
        source: tokio::time::error::Elapsed,
    },
}

impl NotifierError {
    /// Whether another try may succeed: not where the notification server will not take this very
    /// notice.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoBus(_) | Self::NoServer(_) | Self::Silent { .. } => true,
            // The library gives the D-Bus name of an error only as the start of its text.
            Self::NotShown(source) => !source
                .to_string()
                .starts_with("org.freedesktop.DBus.Error.InvalidArgs"),
        }
    }
}

impl Notifier {
    /// The channel whose notices it delivers.
    #[must_use]
    pub fn channel(&self) -> Channel {
        match self {
            Self::Log => Channel::Log,
            Self::Desktop(_) => Channel::Desktop,
        }
    }

    /// Delivers `notice`. It returns within [`desktop::LIMIT`], or the limit that the notifier was
    /// made with.
    ///
    /// A notice is delivered at least once by those who try again after an error:
    /// [`NotifierError::Silent`] leaves open whether it was shown. So does dropping the future.
    ///
    /// # Errors
    ///
    /// [`NotifierError`] from the desktop; the log takes everything.
    ///
    /// # Panics
    ///
    /// The desktop's, outside a tokio runtime with I/O and time enabled.
    pub async fn deliver(&mut self, notice: &Notice) -> Result<(), NotifierError> {
        match self {
            Self::Log => {
                log::write(notice);
                Ok(())
            }
            Self::Desktop(desktop) => desktop.deliver(notice).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_will_not_take_is_lasting() {
        let not_shown = |text: &str| NotifierError::NotShown(notify_rust::error::Error::from(text));
        assert!(!not_shown("org.freedesktop.DBus.Error.InvalidArgs: body").is_passing());
        assert!(not_shown("org.freedesktop.DBus.Error.ServiceUnknown: gone").is_passing());
        assert!(not_shown("I/O error: failed to read from socket").is_passing());
        assert!(NotifierError::NoBus(zbus::Error::InvalidReply).is_passing());
    }
}
