//! The effect loop: it does what the schedule says, and tells the schedule what came of it.
//!
//! One loop owns the schedule. Its arms yield inputs and await nothing; polls and the store's work
//! run beside it. It never touches signals: whoever runs it says when to stop.

pub mod handover;
mod jobs;
mod landing;
mod line;
mod listing;
mod recall;
pub mod reload;
mod state;
mod status;
mod trace;
mod unread;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::account::AccountName;
use crate::api::client::Client;
use crate::clock::{self, Alarm};
use crate::daemon::listing::Listing;
use crate::daemon::recall::Recall;
use crate::daemon::reload::{Reload, Reloading};
use crate::daemon::state::{Daemon, News};
use crate::daemon::status::Report;
use crate::notice::channel::Channel;
use crate::notifier::Notifier;
use crate::relay::{Manners, Relay};
use crate::schedule::pacing::PacingError;
use crate::schedule::step::{AccountParameters, Parameters};
use crate::schedule::{Access, Schedule};
use crate::store::Store;
use crate::store::directory::StateDir;
use crate::store::doorbell::Doorbell;
use crate::store::error::StoreError;
use crate::store::lock::{Lock, LockError};
use crate::systemd::Systemd;
use crate::task::TaskId;

/// What the daemon runs with.
#[derive(Debug)]
pub struct Setup {
    /// Where the store is.
    pub directory: StateDir,
    /// Whom it may ask.
    pub accounts: Vec<AccountSetup>,
    /// What the schedule goes by.
    pub schedule: Parameters,
    /// Who is told, and how.
    pub notices: NoticeSetup,
    /// The lists of ids that are watched, if there are any.
    pub lists: Option<ListSetup>,
    /// How long settled and told watches are kept.
    pub keep: Duration,
    /// Who wants to know which accounts do not answer.
    pub access: Option<watch::Sender<Unwell>>,
    /// Whether to end once all is settled and told.
    pub until_settled: bool,
    /// How long the notices may take when all is settled and it is to end.
    pub last_notices: Duration,
    /// Who started it and wants to be told how it stands.
    pub systemd: Systemd,
    /// How the settings are read again while it runs, if they are.
    pub reload: Option<Reload>,
}

/// Who is told, and how.
#[derive(Debug)]
pub struct NoticeSetup {
    /// Who is told.
    pub notifiers: Vec<Notifier>,
    /// Channels whose outcomes are kept for a later daemon to tell: none of these notifiers does.
    pub later: Vec<Channel>,
    /// Channels whose notifier is off by the settings: what waits for them is dropped.
    pub dropped: Vec<Channel>,
    /// How notices are given.
    pub manners: Manners,
}

/// An account that the daemon may ask.
#[derive(Debug)]
pub struct AccountSetup {
    /// Its name.
    pub name: AccountName,
    /// Who asks.
    pub client: Client,
    /// How often, and about how many tasks at once.
    pub parameters: AccountParameters,
}

/// The accounts of watches that do not answer, and what went wrong last with each.
pub type Unwell = BTreeMap<AccountName, (Access, String)>;

/// Lists of ids that are watched.
#[derive(Debug, PartialEq, Eq)]
pub struct ListSetup {
    /// Whose tasks they are.
    pub account: AccountName,
    /// How long each is watched.
    pub give_up_after: Duration,
    /// The ids of the settings.
    pub ids: Vec<TaskId>,
    /// The files of ids; they need not be there.
    pub files: Vec<PathBuf>,
}

/// How whoever watches is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Now: what is not told yet is left for the next.
    Now,
    /// Once everything is told, or after so long.
    Told(Duration),
}

/// Why the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// All is settled.
    Settled,
    /// What is left belongs to accounts that are refused or could not be asked.
    Unasked {
        /// How many tasks that is.
        tasks: usize,
    },
}

/// Why the daemon could not go on. Everything is still in the store.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// Another process holds the state directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The socket by which commands wake the daemon cannot be made or read.
    #[error("use the doorbell in the state directory")]
    Doorbell(#[source] io::Error),
    /// The timer failed.
    #[error("set a timer")]
    Timer(#[source] io::Error),
    /// The delays are not usable.
    #[error(transparent)]
    Pacing(#[from] PacingError),
    /// A part of the program broke.
    #[error("finish a piece of work on the store")]
    Broken(#[source] JoinError),
}

/// Watches until `shutdown`, or with [`Setup::until_settled`] until all is settled and told.
///
/// # Errors
///
/// [`DaemonError`]; nothing is lost by any of them.
pub async fn run(setup: Setup, shutdown: impl Future<Output = ()>) -> Result<End, DaemonError> {
    let mut shutdown = pin!(shutdown);
    let lock = tokio::select! {
        biased;
        () = &mut shutdown => return Ok(End::Stopped),
        lock = handover::take(&setup.directory) => lock?,
    };
    let shutdown = async {
        shutdown.await;
        Leave::Now
    };
    serve(setup, lock, shutdown).await
}

/// The same under a lock that is held already: by a `wait` that found no daemon.
///
/// # Errors
///
/// [`DaemonError`]; nothing is lost by any of them.
pub async fn serve(
    setup: Setup,
    lock: Lock,
    shutdown: impl Future<Output = Leave>,
) -> Result<End, DaemonError> {
    let doorbell = Doorbell::bind(&setup.directory, &lock).map_err(DaemonError::Doorbell)?;
    let alarm = Alarm::new().map_err(DaemonError::Timer)?;
    let mut store = Store::open(&setup.directory)?;
    if let Some(recovery) = store.recovery() {
        tracing::error!(
            set_aside = ?recovery.aside,
            tasks = recovery.tasks,
            whole = recovery.whole,
            "the database was damaged and has been set aside; a new one holds what could be read from it"
        );
    }
    let (channels, kept) = channels_of(&setup.notices);
    store.keep_channels(&kept)?;
    let mut schedule = Schedule::new(setup.schedule)?;
    let mut clients = HashMap::new();
    for account in setup.accounts {
        let recall = Recall {
            account: account.name.clone(),
            parameters: account.parameters,
        };
        let recalled = recall.read(&store, clock::wall())?;
        recalled.tell(&mut schedule, clock::now());
        clients.insert(account.name, account.client);
    }
    let standing = store.standing_of_pending()?;
    schedule.expect(usize::try_from(standing.pending).unwrap_or_default());
    let report = Report::new(setup.systemd, standing, clock::now());
    let store = Arc::new(Mutex::new(store));
    let NoticeSetup {
        notifiers, manners, ..
    } = setup.notices;
    let mut relay = Relay::start(&store, notifiers, &manners);
    let mut daemon = Daemon::new(
        schedule,
        clients,
        (channels, kept),
        &store,
        setup.lists,
        setup.keep,
        report,
    );
    daemon.access = setup.access;
    daemon.reloading = setup.reload.map(Reloading::new);
    tracing::info!(state = ?setup.directory.path(), "watching");
    let watched = turn(
        &mut daemon,
        &mut relay,
        &doorbell,
        &alarm,
        setup.until_settled.then_some(setup.last_notices),
        shutdown,
    );
    let (end, leave) = watched.await?;
    daemon.report_end();
    daemon.close().await;
    match leave {
        Leave::Now => relay.stop().await,
        Leave::Told(limit) => relay.finish(limit).await,
    }
    drop(doorbell);
    drop(lock);
    Ok(end)
}

/// The loop.
async fn turn(
    daemon: &mut Daemon,
    relay: &mut Relay,
    doorbell: &Doorbell,
    alarm: &Alarm,
    until_settled: Option<Duration>,
    shutdown: impl Future<Output = Leave>,
) -> Result<(End, Leave), DaemonError> {
    let mut shutdown = pin!(shutdown);
    loop {
        let until = daemon.advance(clock::now());
        daemon.show_access();
        if let Some(limit) = until_settled
            && let Some(end) = daemon.end()
        {
            return Ok((end, Leave::Told(limit)));
        }
        tokio::select! {
            biased;
            leave = &mut shutdown => return Ok((End::Stopped, leave)),
            result = daemon.jobs.finished() => {
                let result = result.map_err(DaemonError::Broken)?;
                match daemon.finish(result)? {
                    Some(News::Outcomes) => relay.wake(),
                    Some(News::Progress) => relay.stir(),
                    None => {}
                }
            }
            error = relay.broken() => return Err(error.into()),
            Some(landed) = daemon.polls.join_next() => {
                daemon.land(landed.map_err(DaemonError::Broken)?);
            }
            rung = doorbell.rung() => {
                rung.map_err(DaemonError::Doorbell)?;
                daemon.load();
            }
            event = Listing::next(daemon.listing.as_mut()) => {
                daemon.take_listing(event.map_err(DaemonError::Broken)?);
            }
            event = Reloading::next(daemon.reloading.as_mut()) => {
                daemon.take_reload(event.map_err(DaemonError::Broken)?, relay);
            }
            rung = alarm.wait_until(until) => rung.map_err(DaemonError::Timer)?,
        }
    }
}

/// The channels that are told, and those that are not off by the settings.
fn channels_of(notices: &NoticeSetup) -> (Arc<[Channel]>, Arc<[Channel]>) {
    let told = notices.notifiers.iter().map(Notifier::channel);
    let told = told.chain(notices.later.iter().copied());
    let all = Channel::ALL.into_iter();
    let kept = all.filter(|channel| !notices.dropped.contains(channel));
    (told.collect(), kept.collect())
}
