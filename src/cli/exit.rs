//! The exit codes: the one table that scripts rely on.

use std::path::Path;
use std::process::ExitCode;

use crate::daemon::DaemonError;
use crate::store::error::StoreError;
use crate::store::lock::LockError;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Tasks or rows failed beyond what was allowed: `wait` and `run --wait` alone.
    Failed,
    /// Bad arguments or settings, no key where one is needed, or an id that cannot be used.
    Usage,
    /// Out of time, or a task expired.
    TimeUp,
    /// What is left belongs to accounts that are refused or could not be asked.
    Unasked,
    /// The store failed, or another daemon holds it.
    Store,
    /// Interrupted, a command other than `daemon`.
    Interrupted,
    /// As the command ended that `run` ran.
    Command(u8),
}

impl Exit {
    /// The code that the system sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::TimeUp => 3,
            Self::Unasked => 4,
            Self::Store => 5,
            Self::Interrupted => 130,
            Self::Command(code) => code,
        }
    }
}

impl Exit {
    /// The one of two that is said where both apply.
    pub(super) fn or(self, other: Self) -> Self {
        // The store first, then what could not be asked: the order of the contract.
        let rank = |exit| match exit {
            Self::Interrupted => 6,
            Self::Store => 5,
            Self::Unasked => 4,
            Self::TimeUp => 3,
            Self::Failed => 2,
            Self::Usage => 1,
            Self::Done | Self::Command(_) => 0,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// How a command ends that failed so.
pub(super) fn of(error: &anyhow::Error) -> Exit {
    let store = error.is::<StoreError>() || error.is::<LockError>() || error.is::<DaemonError>();
    if store { Exit::Store } else { Exit::Usage }
}

/// The database that an error says to be damaged, if it does.
pub(super) fn damaged(error: &anyhow::Error) -> Option<&Path> {
    let of_daemon = error.downcast_ref().and_then(|error| match error {
        DaemonError::Store(error) => Some(error),
        _ => None,
    });
    error.downcast_ref::<StoreError>().or(of_daemon)?.damaged()
}
