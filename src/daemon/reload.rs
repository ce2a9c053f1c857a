//! The settings, read again while the daemon runs: asked for by whoever runs it, read off the loop's
//! thread, and taken over as a whole or not at all.
//!
//! It never takes anything over itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};

use crate::account::AccountName;
use crate::daemon::parts::{AccountSetup, ListSetup, NoticeSetup};
use crate::notice::safe;
use crate::schedule::step::Parameters;

/// Reads the settings; what differs from the last time that it could, or why it cannot.
pub type Read = Box<dyn FnMut() -> Result<Change, Refusal> + Send>;

/// How the settings are read again.
pub struct Reload {
    /// Notified when that is to be done; what comes in the meantime is done once, afterwards.
    pub asked: Arc<Notify>,
    /// Does it; it may block.
    pub read: Read,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

/// What differs in the settings, their keys and certificates.
#[derive(Debug)]
pub struct Change {
    /// Accounts that are new, or whose settings or key have changed.
    pub accounts: Vec<AccountSetup>,
    /// Accounts that the settings do not name any more.
    pub gone: Vec<AccountName>,
    /// What the schedule goes by, where that has changed.
    pub schedule: Option<Parameters>,
    /// Who is told, and how, where that has changed.
    pub notices: Option<NoticeSetup>,
    /// The lists of ids that are watched.
    pub lists: ListChange,
    /// How long settled and told watches are kept.
    pub keep: Duration,
}

/// What becomes of the lists of ids that are watched.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum ListChange {
    /// They are the same.
    #[default]
    Same,
    /// They are these, if there are any.
    Now(Option<ListSetup>),
}

/// Why the settings are not taken over, as the user is to read it.
#[derive(Debug)]
pub struct Refusal(pub String);

/// What happened about the settings.
#[derive(Debug)]
pub(super) enum Event {
    /// They are to be read again.
    Asked,
    /// They were.
    Read(Box<Result<Change, Refusal>>),
}

/// The reading, and whether it is under way.
#[derive(Debug)]
pub(super) struct Reloading {
    asked: Arc<Notify>,
    idle: Option<Idle>,
    reading: Option<JoinHandle<(Idle, Result<Change, Refusal>)>>,
}

/// The reader, while no thread has it.
struct Idle(Read);

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Idle")
    }
}

impl Reloading {
    pub(super) fn new(reload: Reload) -> Self {
        Self {
            asked: reload.asked,
            idle: Some(Idle(reload.read)),
            reading: None,
        }
    }

    /// What happens next about the settings; pending for ever where they are not read again.
    ///
    /// Cancel safe: dropped, it leaves the reading under way, and what was asked for is asked again.
    pub(super) async fn next(this: Option<&mut Self>) -> Result<Event, JoinError> {
        let Some(this) = this else {
            return std::future::pending().await;
        };
        if let Some(reading) = &mut this.reading {
            let (idle, result) = reading.await?;
            this.reading = None;
            this.idle = Some(idle);
            return Ok(Event::Read(Box::new(result)));
        }
        this.asked.notified().await;
        Ok(Event::Asked)
    }

    /// Begins to read them.
    pub(super) fn start(&mut self) {
        if let Some(Idle(mut read)) = self.idle.take() {
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let result = read();
                (Idle(read), result)
            }));
        }
    }
}

/// Says in the log what came of reading the settings.
pub(super) fn say(read: &Result<Change, Refusal>) {
    match read {
        Ok(change) => tracing::info!(
            accounts = change.accounts.len() + change.gone.len(),
            poll = change.schedule.is_some(),
            notify = change.notices.is_some(),
            watch = change.lists != ListChange::Same,
            "the settings were read again; this has changed"
        ),
        Err(Refusal(reason)) => {
            let reason = safe::one_line(reason);
            tracing::error!(
                ?reason,
                "the settings are not taken over; those that were read before go on"
            );
        }
    }
}
