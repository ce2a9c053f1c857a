//! The effect loop: it does what the schedule says, and tells the schedule what came of it.
//!
//! One loop owns the schedule. Its arms yield inputs and await nothing; polls and the store's work
//! run beside it. It never touches signals: whoever runs it says when to stop.

mod causes;
pub mod handover;
mod jobs;
mod line;
mod listing;
mod notes;
pub mod parts;
mod polls;
mod pruning;
mod recall;
pub mod reload;
mod roll;
mod state;
mod status;
mod steps;
mod trace;
mod unread;
mod work;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::clock::{self, Alarm};
use crate::daemon::parts::{AccountSetup, ListSetup, NoticeSetup, Unwell};
use crate::daemon::recall::Recall;
use crate::daemon::reload::{Reload, Reloading};
use crate::daemon::state::{Daemon, News};
use crate::daemon::status::Report;
use crate::daemon::steps::Channels;
use crate::relay::Relay;
use crate::schedule::Schedule;
use crate::schedule::pacing::PacingError;
use crate::schedule::step::Parameters;
use crate::store::Store;
use crate::store::directory::StateDir;
use crate::store::doorbell::Doorbell;
use crate::store::error::StoreError;
use crate::store::lock::{Lock, LockError};
use crate::systemd::Systemd;

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

impl End {
    /// All is settled but for so many tasks that nobody can be asked about.
    fn with(left: usize) -> Self {
        match left {
            0 => Self::Settled,
            tasks => Self::Unasked { tasks },
        }
    }
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
            of_unknown_accounts = recovery.adrift,
            whole = recovery.whole,
            "the database was damaged and has been set aside; a new one holds what could be read from it"
        );
    }
    let channels = Channels::of(&setup.notices);
    store.keep_channels(&channels.kept)?;
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
        channels,
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
            && let Some(left) = daemon.left()
        {
            return Ok((End::with(left), Leave::Told(limit)));
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
            Some(landed) = daemon.polls.landed() => {
                daemon.land(landed.map_err(DaemonError::Broken)?);
            }
            rung = doorbell.rung() => {
                rung.map_err(DaemonError::Doorbell)?;
                daemon.load();
            }
            event = daemon.lists.next() => {
                daemon.take_listing(event.map_err(DaemonError::Broken)?);
            }
            event = Reloading::next(daemon.reloading.as_mut()) => {
                daemon.take_reload(event.map_err(DaemonError::Broken)?, relay);
            }
            rung = alarm.wait_until(until) => rung.map_err(DaemonError::Timer)?,
        }
    }
}
