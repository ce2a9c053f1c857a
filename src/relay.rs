//! Outbox to notices to notifiers.
//!
//! Each notifier has a loop of its own, so that one that is away holds up nothing. A notice is
//! delivered, its rows are committed as told, and then comes the next: what dies in between is told
//! again, and nothing is left out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::AccountName;
use crate::clock;
use crate::notice::channel::Channel;
use crate::notice::{AccountNews, ImportNews, Notice, Subject, TaskNews, safe, wording};
use crate::notifier::Notifier;
use crate::outcome::Outcome;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::outbox::{News, OutboxKey, Waiting};
use crate::watch::{Import, State, Watch};

/// Rows looked at once.
const PAGE: usize = 500;
/// The first wait after a delivery that failed; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// How long the delivery under way may take when the relay is stopped.
const LAST_DELIVERY: Duration = Duration::from_secs(5);

/// The store, for whoever works on it.
pub type SharedStore = Arc<Mutex<Store>>;

/// The loops that deliver.
#[derive(Debug)]
pub struct Relay {
    store: SharedStore,
    channels: Vec<Line>,
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Whether notices go out without waiting for others to join them.
    hurry: watch::Sender<bool>,
}

/// What the relay and the loop of one notifier tell each other.
#[derive(Debug, Clone)]
struct Line {
    channel: Channel,
    /// There is something new to tell.
    wake: Arc<Notify>,
    /// Something was told.
    told: Arc<Notify>,
}

impl Relay {
    /// Starts a loop for each notifier. Outcomes of one import wait for `gather`, from the first, to
    /// become one notice; the log does not wait.
    #[must_use]
    pub fn start(store: &SharedStore, notifiers: Vec<Notifier>, gather: Duration) -> Self {
        let mut relay = Self {
            store: Arc::clone(store),
            channels: Vec::new(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            hurry: watch::Sender::new(false),
        };
        for notifier in notifiers {
            let line = Line {
                channel: notifier.channel(),
                wake: Arc::new(Notify::new()),
                told: Arc::new(Notify::new()),
            };
            let gather = match line.channel {
                Channel::Log => Duration::ZERO,
                Channel::Desktop => gather,
            };
            let delivery = Delivery {
                store: Arc::clone(store),
                line: line.clone(),
                notifier,
                gather,
                hurry: relay.hurry.subscribe(),
                away: None,
            };
            relay.channels.push(line);
            let stop = relay.stop.clone();
            relay.tracker.spawn(delivery.run(stop));
        }
        relay.tracker.close();
        relay
    }

    /// There is something new to tell.
    pub fn wake(&self) {
        for line in &self.channels {
            line.wake.notify_one();
        }
    }

    /// Delivers what there is, for at most `limit`, and says what is left; then stops.
    pub async fn finish(self, limit: Duration) {
        self.hurry.send_replace(true);
        self.wake();
        let all_told = async {
            for line in &self.channels {
                while !matches!(self.left(line.channel).await, Ok(0)) {
                    line.told.notified().await;
                }
            }
        };
        if tokio::time::timeout(limit, all_told).await.is_err() {
            for line in &self.channels {
                if let Ok(left @ 1..) = self.left(line.channel).await {
                    tracing::warn!(
                        channel = %line.channel,
                        left,
                        "not all notices could be delivered; the next daemon delivers them"
                    );
                }
            }
        }
        self.stop().await;
    }

    /// Stops once the deliveries under way have ended.
    pub async fn stop(self) {
        self.stop.cancel();
        // A notifier keeps its own time limit, so this one is for a broken store.
        drop(tokio::time::timeout(LAST_DELIVERY, self.tracker.wait()).await);
    }

    async fn left(&self, channel: Channel) -> Result<u64, StoreError> {
        with(&self.store, move |store| store.waiting_count(channel)).await
    }
}

/// The loop of one notifier.
#[derive(Debug)]
struct Delivery {
    store: SharedStore,
    line: Line,
    notifier: Notifier,
    gather: Duration,
    hurry: watch::Receiver<bool>,
    /// How long to wait after the next failure, while deliveries fail.
    away: Option<Duration>,
}

/// What a loop does next.
enum Next {
    /// Waits until it is woken.
    Rest,
    /// Waits for others to join, or for the notifier to come back.
    Wait(Duration),
    /// Goes on at once.
    Go,
}

impl Delivery {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // Not cancelled in the middle: what was shown is to be noted as shown.
            let next = self.deliver_one().await;
            let wait = match next {
                Next::Go => continue,
                Next::Rest => None,
                Next::Wait(wait) => Some(wait),
            };
            let timer = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            // A notifier that is away is not tried more often because there is more to tell.
            let woken = async {
                if self.away.is_some() {
                    std::future::pending::<()>().await;
                }
                self.line.wake.notified().await;
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = woken => {}
                () = timer => {}
                _ = self.hurry.changed() => {}
            }
        }
    }

    /// Delivers the notice that matters most of those that are ready.
    async fn deliver_one(&mut self) -> Next {
        let channel = self.line.channel;
        let rows = with(&self.store, move |store| {
            store.waiting(channel, OutboxKey::START, PAGE)
        });
        let rows = match rows.await {
            Ok(rows) => rows,
            Err(error) => return self.failed(&safe::causes(&error), "the outbox cannot be read"),
        };
        let gather = if *self.hurry.borrow() {
            Duration::ZERO
        } else {
            self.gather
        };
        let (ready, wait) = ready(rows, gather, clock::wall());
        let Some(group) = ready else {
            return wait.map_or(Next::Rest, Next::Wait);
        };
        let Group { keys, told } = group;
        let notice = match with(&self.store, move |store| notice(told, store)).await {
            Ok(notice) => notice,
            Err(error) => return self.failed(&safe::causes(&error), "the outbox cannot be read"),
        };
        match self.notifier.deliver(&notice).await {
            Ok(()) => {}
            Err(error) if error.is_passing() => {
                let cause = safe::causes(&error);
                return self.failed(&cause, "a notice could not be delivered; it is tried again");
            }
            Err(error) => {
                // Tried for ever, it would hold up all that comes after it.
                let cause = safe::causes(&error);
                let text = wording(&notice).summary;
                tracing::error!(%channel, ?cause, ?text, "the notifier will not take this notice");
            }
        }
        match with(&self.store, move |store| store.told(&keys)).await {
            Ok(()) => {
                if self.away.take().is_some() {
                    tracing::info!(%channel, "notices are delivered again");
                }
                self.line.told.notify_one();
                Next::Go
            }
            Err(error) => self.failed(
                &safe::causes(&error),
                "what was told cannot be noted; it may be told again",
            ),
        }
    }

    fn failed(&mut self, cause: &str, what: &'static str) -> Next {
        let channel = self.line.channel.as_str();
        if self.away.is_none() {
            tracing::warn!(channel, ?cause, what, "a notifier is away");
        }
        let wait = self.away.unwrap_or(FIRST_RETRY);
        self.away = Some((wait * 2).min(LAST_RETRY));
        Next::Wait(wait)
    }
}

/// Rows that one notice tells.
#[derive(Debug)]
struct Group {
    keys: Vec<OutboxKey>,
    told: Told,
}

#[derive(Debug)]
enum Told {
    Import {
        import: Import,
        account: AccountName,
        /// When the first of the tasks was committed.
        since: Timestamp,
        /// The worst outcome among them.
        rank: u8,
        tasks: Vec<TaskNews>,
    },
    Account(AccountNews),
}

impl Group {
    /// What is told first: accounts, then what failed, then what is not known, then what went well.
    fn rank(&self) -> u8 {
        match &self.told {
            Told::Account(_) => 0,
            Told::Import { rank, .. } => *rank,
        }
    }

    /// Whether it tells of tasks of this import and account.
    fn is_of(&self, watch: &Watch) -> bool {
        matches!(&self.told, Told::Import { import, account, .. }
            if import.key == watch.import.key && *account == watch.account)
    }

    fn take(&mut self, key: OutboxKey, task: TaskNews) {
        self.keys.push(key);
        if let Told::Import { rank, tasks, .. } = &mut self.told {
            *rank = (*rank).min(severity(task.settlement.outcome));
            tasks.push(task);
        }
    }
}

fn severity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Failed | Outcome::Refused => 1,
        Outcome::Partial => 2,
        Outcome::Expired | Outcome::Missing => 3,
        Outcome::Available => 4,
    }
}

/// The rows that wait, by the notice that will tell them.
fn groups(rows: Vec<Waiting>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let watch = match row.news {
            News::Account(news) => {
                groups.push(Group {
                    keys: vec![row.key],
                    told: Told::Account(news),
                });
                continue;
            }
            News::Task(watch) => watch,
        };
        let index = groups.iter().position(|group| group.is_of(&watch));
        let Watch {
            id,
            account,
            import,
            added_at,
            state,
            ..
        } = *watch;
        // The outbox has no rows of pending watches.
        let State::Settled { at, settlement } = state else {
            continue;
        };
        let task = TaskNews {
            id,
            settlement,
            elapsed: between(added_at, at),
        };
        let index = index.unwrap_or_else(|| {
            groups.push(Group {
                keys: Vec::new(),
                told: Told::Import {
                    import,
                    account,
                    since: row.committed_at,
                    rank: u8::MAX,
                    tasks: Vec::new(),
                },
            });
            groups.len() - 1
        });
        groups[index].take(row.key, task);
    }
    groups
}

/// Of the rows that wait, those of the notice that is to go out now; else how long until there is
/// one. A row waits for others of its import until the first of them is `gather` old.
fn ready(
    rows: Vec<Waiting>,
    gather: Duration,
    now: Timestamp,
) -> (Option<Group>, Option<Duration>) {
    let mut wait: Option<Duration> = None;
    let mut best: Option<Group> = None;
    for group in groups(rows) {
        // A clock that was set back holds a notice up for `gather` at most.
        let left = match &group.told {
            Told::Account(_) => Duration::ZERO,
            Told::Import { since, .. } => gather.saturating_sub(between(*since, now)),
        };
        if !left.is_zero() {
            wait = Some(wait.map_or(left, |wait| wait.min(left)));
        } else if best.as_ref().is_none_or(|best| group.rank() < best.rank()) {
            best = Some(group);
        }
    }
    (best, wait)
}

/// The notice of a group, with where its import stands now.
fn notice(told: Told, store: &Store) -> Result<Notice, StoreError> {
    let subject = match told {
        Told::Account(news) => Subject::Account(news),
        Told::Import {
            import,
            account,
            mut tasks,
            ..
        } => {
            tasks.sort_by_key(|task| severity(task.settlement.outcome));
            Subject::Import(ImportNews {
                standing: store.standing(import.key)?,
                key: import.key,
                import: import.name,
                account,
                tasks,
            })
        }
    };
    Ok(Notice { subject })
}

/// The time from one to the other; none if it is the other way round.
fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    let time = later.duration_since(earlier);
    time.try_into().unwrap_or(Duration::ZERO)
}

async fn with<T: Send + 'static>(
    store: &SharedStore,
    work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = Arc::clone(store);
    // A panic under the lock left a transaction that SQLite has rolled back.
    let work = move || work(&mut store.lock().unwrap_or_else(PoisonError::into_inner));
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(broken) => std::panic::resume_unwind(broken.into_panic()),
    }
}
