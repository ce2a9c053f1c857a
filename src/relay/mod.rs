//! Outbox to notices to notifiers.
//!
//! Each notifier has a loop of its own, so that one that is away holds up nothing. A notice is
//! delivered, its rows are committed as told, and then comes the next: what dies in between is told
//! again, and nothing is left out.

mod command;
mod desktop;
mod living;
mod log;
mod turn;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::AccountName;
use crate::notice::channel::Channel;
use crate::notifier::Notifier;
use crate::relay::turn::Turn;
use crate::settings::Quiet;
use crate::store::Store;
use crate::store::error::StoreError;

/// How long the deliveries under way may take when the relay is stopped.
const LAST_DELIVERY: Duration = Duration::from_secs(5);

/// The store, for whoever works on it.
pub type SharedStore = Arc<Mutex<Store>>;

/// How notices are given; all but the log goes by it.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// How long outcomes of one import are gathered into one notice, from the first.
    pub gather: Duration,
    /// How long an import is pending before it has a living notice; zero: it never has.
    pub progress_after: Duration,
    /// More imports than this that wait at once become one notice; 0: never.
    pub digest: u64,
    /// What of an account is kept from the desktop; nothing of one that is not here.
    pub quiet: HashMap<AccountName, Quiet>,
}

/// The loops that deliver.
#[derive(Debug)]
pub struct Relay {
    store: SharedStore,
    channels: Vec<Line>,
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Whether notices go out without waiting for others to join them.
    hurry: watch::Sender<bool>,
    broken: Arc<Broken>,
}

/// An error of the store that will not pass, for whoever ends the daemon by it.
#[derive(Debug, Default)]
struct Broken {
    error: Mutex<Option<StoreError>>,
    given: Notify,
}

impl Broken {
    fn give(&self, error: StoreError) {
        let mut place = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        place.get_or_insert(error);
        self.given.notify_one();
    }

    async fn taken(&self) -> StoreError {
        loop {
            let error = {
                let mut place = self.error.lock().unwrap_or_else(PoisonError::into_inner);
                place.take()
            };
            match error {
                Some(error) => return error,
                None => self.given.notified().await,
            }
        }
    }
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
    /// Starts a loop for each notifier.
    #[must_use]
    pub fn start(store: &SharedStore, notifiers: Vec<Notifier>, manners: &Manners) -> Self {
        let mut relay = Self {
            store: Arc::clone(store),
            channels: Vec::new(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            hurry: watch::Sender::new(false),
            broken: Arc::default(),
        };
        relay.begin(notifiers, manners, &TaskTracker::new());
        relay
    }

    /// Has these notifiers deliver from now on, instead of those that did, which end what they are
    /// at first.
    pub fn change(&mut self, notifiers: Vec<Notifier>, manners: &Manners) {
        self.stop.cancel();
        self.stop = CancellationToken::new();
        self.channels.clear();
        let before = std::mem::take(&mut self.tracker);
        self.begin(notifiers, manners, &before);
    }

    /// Starts a loop for each notifier, once those before have ended.
    fn begin(&mut self, notifiers: Vec<Notifier>, manners: &Manners, before: &TaskTracker) {
        before.close();
        for notifier in notifiers {
            let line = Line {
                channel: notifier.channel(),
                wake: Arc::new(Notify::new()),
                told: Arc::new(Notify::new()),
            };
            let turn = Turn {
                store: Arc::clone(&self.store),
                line: line.clone(),
                hurry: self.hurry.subscribe(),
                stop: self.stop.clone(),
                away: None,
                broken: Arc::clone(&self.broken),
            };
            self.channels.push(line);
            let (before, manners) = (before.clone(), manners.clone());
            self.tracker.spawn(async move {
                before.wait().await;
                match notifier {
                    Notifier::Log => log::run(turn).await,
                    Notifier::Desktop(desktop) => desktop::run(turn, *desktop, manners).await,
                    Notifier::Command(command) => command::run(turn, command).await,
                }
            });
        }
        self.tracker.close();
    }

    /// There is something new to tell.
    pub fn wake(&self) {
        for line in &self.channels {
            line.wake.notify_one();
        }
    }

    /// Something gets on that has no outcome yet.
    pub fn stir(&self) {
        for line in &self.channels {
            if line.channel == Channel::Desktop {
                line.wake.notify_one();
            }
        }
    }

    /// The store's error that keeps a notifier from going on, once there is one that will not pass.
    ///
    /// Cancel safe: dropped, it has only waited for less.
    pub async fn broken(&self) -> StoreError {
        self.broken.taken().await
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
