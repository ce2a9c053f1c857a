//! The settings, read again while the daemon runs: asked for by whoever runs it, read off the loop's
//! thread, and taken over as a whole or not at all.
//!
//! It never reads anything itself, and never drops a poll, an outcome or a notice for a change.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};

use crate::account::AccountName;
use crate::clock::{self, Instant};
use crate::daemon::jobs::Job;
use crate::daemon::listing::Listing;
use crate::daemon::recall::Recall;
use crate::daemon::state::Daemon;
use crate::daemon::{AccountSetup, ListSetup, NoticeSetup, channels_of};
use crate::notice::safe;
use crate::relay::Relay;
use crate::schedule::step::{Input, Parameters};

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

    fn start(&mut self) {
        if let Some(Idle(mut read)) = self.idle.take() {
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let result = read();
                (Idle(read), result)
            }));
        }
    }
}

impl Daemon {
    /// Takes in what happened about the settings.
    pub(super) fn take_reload(&mut self, event: Event, relay: &mut Relay) {
        let now = clock::now();
        match event {
            Event::Asked => {
                self.report.reloading();
                if let Some(reloading) = &mut self.reloading {
                    reloading.start();
                }
            }
            Event::Read(read) => self.take_read(*read, relay, now),
        }
    }

    fn take_read(&mut self, read: Result<Change, Refusal>, relay: &mut Relay, now: Instant) {
        let is_refused = read.is_err();
        match read {
            Ok(change) => {
                tracing::info!(
                    accounts = change.accounts.len() + change.gone.len(),
                    poll = change.schedule.is_some(),
                    notify = change.notices.is_some(),
                    watch = change.lists != ListChange::Same,
                    "the settings were read again; this has changed"
                );
                self.take_over(change, relay, now);
            }
            Err(Refusal(reason)) => {
                let reason = safe::one_line(&reason);
                tracing::error!(
                    ?reason,
                    "the settings are not taken over; those that were read before go on"
                );
            }
        }
        self.report.reloaded(is_refused, now);
    }

    fn take_over(&mut self, change: Change, relay: &mut Relay, now: Instant) {
        if let Some(parameters) = change.schedule {
            self.schedule.handle(Input::Changed(parameters), now);
        }
        for account in change.gone {
            self.clients.remove(&account);
            self.causes.remove(&account);
            self.schedule.handle(Input::Unconfigured { account }, now);
        }
        for AccountSetup {
            name,
            client,
            parameters,
        } in change.accounts
        {
            self.causes.remove(&name);
            let is_known = self.clients.insert(name.clone(), client).is_some();
            if is_known {
                let configured = Input::Configured {
                    account: name,
                    parameters,
                };
                self.schedule.handle(configured, now);
            } else {
                // It is not asked before it is known what earlier runs knew of it.
                let account = name;
                self.jobs.push(Job::Recall(Recall {
                    account,
                    parameters,
                }));
            }
        }
        if let Some(notices) = change.notices {
            let (told, kept) = channels_of(&notices);
            self.channels = told;
            self.kept = Arc::clone(&kept);
            self.jobs.push(Job::KeepChannels { kept });
            relay.change(notices.notifiers, &notices.manners);
        }
        if let Some(listing) = &mut self.listing {
            match change.lists {
                ListChange::Now(_) => listing.leave(),
                ListChange::Same => listing.look(),
            }
        }
        if change.lists != ListChange::Same {
            self.relisting = change.lists;
            // What is being deleted was chosen by the old ones.
            self.pruning = None;
        }
        self.keep = change.keep;
    }

    /// Begins to follow other lists, once the store is done with what was read of the old ones.
    pub(super) fn relist(&mut self, now: Instant) {
        if self.listing.as_ref().is_none_or(Listing::is_left)
            && let ListChange::Now(lists) = std::mem::take(&mut self.relisting)
        {
            self.listing = lists.map(|lists| Listing::new(lists, now));
        }
    }
}
