//! The channels that deliver notices, a closed set.
//!
//! A notifier says what it is given, once a call; it never decides what is worth saying, remembers
//! what was said or tries again by itself.

pub mod command;
pub mod desktop;
pub mod log;

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;

use crate::notice::channel::Channel;
use crate::notifier::command::CommandNotifier;
use crate::notifier::desktop::DesktopNotifier;
use crate::notifier::desktop::is_refusal;

/// A channel that delivers notices.
#[derive(Debug)]
pub enum Notifier {
    /// Events of the program's own log, see [`log`].
    Log,
    /// Notifications on the desktop, see [`desktop`].
    Desktop(Box<DesktopNotifier>),
    /// A program of the user's, see [`command`].
    Command(CommandNotifier),
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
    NotShown(#[source] zbus::Error),
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
    /// The user's program could not be run.
    #[error("run {program}, which notify.command names; is it there, and may it be executed?")]
    NoCommand {
        /// The program.
        program: String,
        /// What the system says of it.
        #[source]
        source: io::Error,
    },
    /// The user's program did not end with 0.
    #[error("have {program} deliver the result: {status}; it said {said:?}")]
    CommandFailed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed, safe to show.
        said: String,
    },
    /// The user's program took too long, and was killed.
    #[error(
        "have {program} deliver the result within {limit:?}; it was killed, and had said {said:?}"
    )]
    CommandSlow {
        /// The program.
        program: String,
        /// How long it was waited for.
        limit: Duration,
        /// What it printed, safe to show.
        said: String,
    },
}

impl NotifierError {
    /// Whether another try may succeed: not where the notification server will not take this very
    /// notice.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        !matches!(self, Self::NotShown(source) if is_refusal(source))
    }
}

impl Notifier {
    /// The channel whose notices it delivers.
    #[must_use]
    pub fn channel(&self) -> Channel {
        match self {
            Self::Log => Channel::Log,
            Self::Desktop(_) => Channel::Desktop,
            Self::Command(_) => Channel::Command,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_will_not_take_is_lasting() {
        let not_shown = |error| NotifierError::NotShown(zbus::Error::FDO(Box::new(error)));
        let text = || "body".to_owned();
        assert!(!not_shown(zbus::fdo::Error::InvalidArgs(text())).is_passing());
        assert!(not_shown(zbus::fdo::Error::ServiceUnknown(text())).is_passing());
        assert!(NotifierError::NotShown(zbus::Error::InvalidReply).is_passing());
        assert!(NotifierError::NoBus(zbus::Error::InvalidReply).is_passing());
    }
}
