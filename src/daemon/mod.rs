//! The effect loop: it does what the schedule says, and tells the schedule what came of it.
//!
//! One loop owns the schedule. Its arms yield inputs and await nothing; polls and the store's work
//! run beside it. It never touches signals: whoever runs it says when to stop.

mod jobs;
mod landing;
mod status;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio::task::{JoinError, JoinSet};

use crate::account::AccountName;
use crate::api::client::Client;
use crate::clock::{self, Alarm, Instant};
use crate::daemon::jobs::{Done, Job, Jobs, Request};
use crate::daemon::landing::Landed;
use crate::daemon::status::Report;
use crate::notice::AccountNews;
use crate::notice::channel::Channel;
use crate::notifier::Notifier;
use crate::outcome::Settlement;
use crate::relay::{Manners, Relay, SharedStore};
use crate::schedule::Schedule;
use crate::schedule::pacing::PacingError;
use crate::schedule::step::{AccountParameters, Input, Parameters, Step, Watched};
use crate::store::Store;
use crate::store::changes::{Changes, PendingWatch, Seq};
use crate::store::directory::StateDir;
use crate::store::doorbell::Doorbell;
use crate::store::error::StoreError;
use crate::store::lock::{Holder, Lock, LockError};
use crate::store::settle::{Polled, Settled};
use crate::systemd::Systemd;
use crate::task::TaskId;

/// Nothing sleeps longer than this: a suspend does not fire timers, and the doorbell may be missed.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// How long answers that left tasks pending are gathered before they are written.
const WRITE_BEHIND: Duration = Duration::from_secs(10);
/// How often what is old is let go.
const PRUNE_INTERVAL: Duration = Duration::from_hours(1);
/// How long the notices may take when all is settled and the daemon is to end.
const LAST_NOTICES: Duration = Duration::from_secs(30);
/// Outcomes in one commit.
const MOST_SETTLED: usize = 10_000;

/// What the daemon runs with.
#[derive(Debug)]
pub struct Setup {
    /// Where the store is.
    pub directory: StateDir,
    /// Whom it may ask.
    pub accounts: Vec<AccountSetup>,
    /// What the schedule goes by.
    pub schedule: Parameters,
    /// Who is told.
    pub notifiers: Vec<Notifier>,
    /// Channels whose notifier is off by the settings: what waits for them is dropped.
    pub dropped: Vec<Channel>,
    /// How notices are given.
    pub manners: Manners,
    /// How long settled and told watches are kept.
    pub keep: Duration,
    /// Whether to end once all is settled and told.
    pub until_settled: bool,
    /// Who started it and wants to be told how it stands.
    pub systemd: Systemd,
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
    let lock = Lock::acquire(&setup.directory, Holder::Daemon)?;
    let doorbell = Doorbell::bind(&setup.directory, &lock).map_err(DaemonError::Doorbell)?;
    let alarm = Alarm::new().map_err(DaemonError::Timer)?;
    let mut store = Store::open(&setup.directory)?;
    let kept: Arc<[Channel]> = Channel::ALL
        .into_iter()
        .filter(|c| !setup.dropped.contains(c))
        .collect();
    store.keep_channels(&kept)?;
    let mut schedule = Schedule::new(setup.schedule)?;
    let mut clients = HashMap::new();
    for account in setup.accounts {
        configure(&mut schedule, &store, &account)?;
        clients.insert(account.name, account.client);
    }
    let report = Report::new(setup.systemd, store.standing_of_pending()?, clock::now());
    let store = Arc::new(Mutex::new(store));
    let channels: Arc<[Channel]> = setup.notifiers.iter().map(Notifier::channel).collect();
    let relay = Relay::start(&store, setup.notifiers, &setup.manners);
    let channels = (channels, kept);
    let mut daemon = Daemon::new(schedule, clients, channels, &store, setup.keep, report);
    tracing::info!(state = ?setup.directory.path(), "watching");
    let watched = watch(
        &mut daemon,
        &relay,
        &doorbell,
        &alarm,
        setup.until_settled,
        shutdown,
    );
    let end = watched.await?;
    daemon.report_end();
    daemon.close().await;
    if end == End::Stopped {
        relay.stop().await;
    } else {
        relay.finish(LAST_NOTICES).await;
    }
    drop(doorbell);
    drop(lock);
    Ok(end)
}

/// What the relay is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// There may be something new to tell.
    Outcomes,
    /// Something gets on that has no outcome yet.
    Progress,
}

/// The loop.
async fn watch(
    daemon: &mut Daemon,
    relay: &Relay,
    doorbell: &Doorbell,
    alarm: &Alarm,
    until_settled: bool,
    shutdown: impl Future<Output = ()>,
) -> Result<End, DaemonError> {
    let mut shutdown = pin!(shutdown);
    loop {
        let until = daemon.advance(clock::now());
        if let Some(end) = daemon.end().filter(|_| until_settled) {
            return Ok(end);
        }
        tokio::select! {
            biased;
            () = &mut shutdown => return Ok(End::Stopped),
            result = daemon.jobs.finished() => {
                let result = result.map_err(DaemonError::Broken)?;
                match daemon.finish(result)? {
                    Some(News::Outcomes) => relay.wake(),
                    Some(News::Progress) => relay.stir(),
                    None => {}
                }
            }
            Some(landed) = daemon.polls.join_next() => {
                daemon.land(landed.map_err(DaemonError::Broken)?);
            }
            rung = doorbell.rung() => {
                rung.map_err(DaemonError::Doorbell)?;
                daemon.load();
            }
            rung = alarm.wait_until(until) => rung.map_err(DaemonError::Timer)?,
        }
    }
}

/// Tells the schedule what the settings and earlier runs know of an account.
fn configure(
    schedule: &mut Schedule,
    store: &Store,
    account: &AccountSetup,
) -> Result<(), StoreError> {
    let now = clock::now();
    schedule.handle(
        Input::Configured {
            account: account.name.clone(),
            parameters: account.parameters.clone(),
        },
        now,
    );
    let windows = account.parameters.rates.windows();
    let longest = windows.map(|(length, _)| length).max().unwrap_or_default();
    let sent = store.recent_requests(&account.name, clock::wall(), longest)?;
    schedule.handle(
        Input::Recalled {
            account: account.name.clone(),
            memory: store.memory(&account.name)?.unwrap_or_default(),
            sent: sent.into_iter().map(|ago| now.before(ago)).collect(),
        },
        now,
    );
    Ok(())
}

/// The loop's state.
#[derive(Debug)]
struct Daemon {
    schedule: Schedule,
    clients: HashMap<AccountName, Client>,
    channels: Arc<[Channel]>,
    /// Channels that are not off by the settings.
    kept: Arc<[Channel]>,
    jobs: Jobs,
    polls: JoinSet<Landed>,
    keep: Duration,
    /// The last watch that was read from the store.
    seen: Seq,
    /// Whether the watch list has been read once.
    loaded: bool,
    /// The store's version when it was last looked at.
    version: Option<i64>,
    look_at: Instant,
    prune_at: Instant,
    /// Answers that left tasks pending, not written yet, and when they are.
    noted: HashMap<TaskId, Polled>,
    note_at: Option<Instant>,
    /// What went wrong last with each account that does not answer.
    causes: HashMap<AccountName, String>,
    /// Statuses that no documentation names, which the log has mentioned.
    unknown_statuses: HashSet<Box<str>>,
    report: Report,
}

impl Daemon {
    fn new(
        schedule: Schedule,
        clients: HashMap<AccountName, Client>,
        (channels, kept): (Arc<[Channel]>, Arc<[Channel]>),
        store: &SharedStore,
        keep: Duration,
        report: Report,
    ) -> Self {
        let now = clock::now();
        let mut daemon = Self {
            schedule,
            clients,
            channels,
            kept,
            jobs: Jobs::new(Arc::clone(store)),
            polls: JoinSet::new(),
            keep,
            seen: Seq::START,
            loaded: false,
            version: None,
            look_at: now,
            prune_at: now,
            noted: HashMap::new(),
            note_at: None,
            causes: HashMap::new(),
            unknown_statuses: HashSet::new(),
            report,
        };
        daemon.load();
        daemon
    }

    /// Reads what has changed on the watch list.
    fn load(&mut self) {
        self.jobs.push(Job::Load { after: self.seen });
    }

    /// Whether there is nothing left that an answer could settle, once [`Self::advance`] has nothing
    /// more to do.
    fn end(&self) -> Option<End> {
        let pending = self.schedule.pending();
        if !self.loaded || !self.jobs.is_idle() {
            None
        } else if pending == 0 {
            Some(End::Settled)
        } else if self.schedule.askable() == 0 {
            Some(End::Unasked { tasks: pending })
        } else {
            None
        }
    }

    /// Starts what there is to do, and says until when there is nothing else.
    fn advance(&mut self, now: Instant) -> Instant {
        self.tend(now);
        let mut until = self.look_at;
        while self.jobs.is_idle() {
            match self.schedule.next_step(now) {
                Step::Sleep { until: wake } => {
                    until = until.min(wake);
                    break;
                }
                Step::Idle => break,
                step => self.take(step, now),
            }
        }
        self.report(now);
        self.jobs.start(now);
        let others = [self.note_at, self.jobs.wake_at(), self.report_at()];
        others.into_iter().flatten().fold(until, Instant::min)
    }

    /// What is to be done by the clock.
    fn tend(&mut self, now: Instant) {
        if self.look_at <= now {
            self.look_at = now.after(LOOK_INTERVAL);
            self.jobs.push(Job::Look);
        }
        if self.note_at.is_some_and(|at| at <= now) {
            self.note();
        }
        if self.prune_at <= now {
            self.prune_at = now.after(PRUNE_INTERVAL);
            let keep = SignedDuration::try_from(self.keep).unwrap_or(SignedDuration::MAX);
            if let Ok(before) = clock::wall().checked_sub(keep) {
                self.jobs.push(Job::Prune { before });
            }
        }
    }

    fn note(&mut self) {
        self.note_at = None;
        if !self.noted.is_empty() {
            let noted = std::mem::take(&mut self.noted);
            self.jobs.push(Job::Note(noted.into_values().collect()));
        }
    }

    /// Makes a step of the schedule a piece of work.
    fn take(&mut self, step: Step, now: Instant) {
        match step {
            Step::Settle {
                id,
                polls,
                settlement,
            } => {
                let at = clock::wall();
                let mut settled = Vec::new();
                let mut next = Some(self.settled(id, polls, settlement, at));
                let mut after = None;
                // Outcomes that came together are committed together.
                while let Some(one) = next.take() {
                    settled.push(one);
                    if settled.len() == MOST_SETTLED {
                        break;
                    }
                    match self.schedule.next_step(now) {
                        Step::Settle {
                            id,
                            polls,
                            settlement,
                        } => next = Some(self.settled(id, polls, settlement, at)),
                        other => after = Some(other),
                    }
                }
                self.jobs.push(Job::Settle {
                    settled,
                    at,
                    channels: Arc::clone(&self.channels),
                });
                if let Some(step) = after {
                    self.take(step, now);
                }
            }
            Step::Tell {
                account,
                trouble,
                over,
                memory,
            } => {
                let cause = self.causes.get(&account).filter(|_| !over);
                let news = AccountNews {
                    cause: cause.cloned().unwrap_or_default(),
                    account,
                    trouble,
                    over,
                };
                self.jobs.push(Job::Tell {
                    news,
                    memory,
                    at: clock::wall(),
                    channels: Arc::clone(&self.channels),
                });
            }
            Step::Remember { account, memory } => {
                self.jobs.push(Job::Remember { account, memory });
            }
            Step::Poll {
                poll,
                account,
                ids,
                rates,
            } => self.jobs.push(Job::Claim(Request {
                poll,
                account,
                ids,
                windows: rates.windows().collect(),
            })),
            Step::Sleep { .. } | Step::Idle => {}
        }
    }

    fn settled(
        &mut self,
        id: TaskId,
        polls: u32,
        settlement: Settlement,
        at: Timestamp,
    ) -> Settled {
        self.noted.remove(&id);
        Settled {
            id,
            settlement,
            polls,
            polled_at: Some(at),
        }
    }

    /// Takes in what came of a piece of work. Returns what is new by that.
    fn finish(&mut self, result: Result<Done, StoreError>) -> Result<Option<News>, StoreError> {
        let now = clock::now();
        let Some(done) = self.jobs.take(result, now)? else {
            self.report.refresh(now);
            return Ok(None);
        };
        match done {
            Done::Kept => {}
            Done::Noted => return Ok(Some(News::Progress)),
            Done::ToTell => {
                self.report.recount(now);
                return Ok(Some(News::Outcomes));
            }
            Done::Looked { version } => {
                if self
                    .version
                    .replace(version)
                    .is_some_and(|last| last != version)
                {
                    self.load();
                }
            }
            Done::Loaded(changes) => {
                let news = self.news_of(&changes);
                self.apply(changes, now);
                return Ok(news);
            }
            Done::Granted(request) => self.send(request, now),
            Done::Denied { poll, wait } => {
                self.schedule.handle(Input::Denied { poll, wait }, now);
                self.report.refresh(now);
            }
            Done::Stood(standing) => self.report.count(standing, now),
        }
        Ok(None)
    }

    /// What a change of the watch list is to the relay: an import may be complete without its last
    /// tasks, or go on.
    fn news_of(&mut self, changes: &Changes) -> Option<News> {
        if changes.removals.is_empty() {
            return (!changes.added.is_empty()).then_some(News::Progress);
        }
        let kept = Arc::clone(&self.kept);
        self.jobs.push(Job::KeepChannels { kept });
        Some(News::Outcomes)
    }

    /// Applies a page of changes to the watch list.
    fn apply(&mut self, changes: Changes, now: Instant) {
        let wall = clock::wall();
        if let Some(last) = changes.removals.last() {
            self.jobs.push(Job::Forget { upto: last.number });
        }
        for removal in changes.removals {
            self.noted.remove(&removal.id);
            self.schedule.handle(Input::Unwatched(removal.id), now);
        }
        for watch in changes.added {
            let watched = watched(watch, wall, now);
            self.schedule.handle(Input::Watched(watched), now);
        }
        self.seen = changes.upto;
        self.loaded |= !changes.more;
        self.report.recount(now);
        if changes.more {
            self.load();
        }
    }

    fn send(&mut self, request: Request, now: Instant) {
        let Some(client) = self.clients.get(&request.account) else {
            // The schedule asks none but the accounts that it was given.
            return;
        };
        self.polls.spawn(landing::poll(client.clone(), request));
        // Most answers come within a second, and then tell more than that they were asked for.
        self.report.refresh_later(now);
    }

    /// Ends the polls under way and writes what is known.
    async fn close(mut self) {
        self.polls.shutdown().await;
        let now = clock::now();
        // What the schedule has decided is kept; a poll that it wants is not sent.
        while let step @ (Step::Settle { .. } | Step::Tell { .. } | Step::Remember { .. }) =
            self.schedule.next_step(now)
        {
            self.take(step, now);
        }
        self.note();
        self.jobs.finish().await;
    }
}

/// A watch of the store, with its wall times on the boot clock.
fn watched(watch: PendingWatch, wall: Timestamp, now: Instant) -> Watched {
    let boot = |at: Timestamp| match at.duration_since(wall).try_into() {
        Ok(ahead) => now.after(ahead),
        Err(_) => now.before(at.duration_since(wall).unsigned_abs()),
    };
    // An answer from the future is one before the wall clock was set back.
    let polled = watch.polled_at.map(|at| (watch.polls, boot(at).min(now)));
    Watched {
        deadline: boot(watch.deadline),
        id: watch.id,
        account: watch.account,
        polled: polled.filter(|(polls, _)| *polls > 0),
    }
}
