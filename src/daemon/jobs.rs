//! The daemon's work on the store: one piece at a time, in order, off the loop's thread.
//!
//! A piece that fails for want of space, or because the database is busy, is tried again until it
//! goes through; whatever waits behind it waits too, so nothing is polled meanwhile. It never drops
//! a piece that holds an outcome.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{JoinError, JoinHandle};

use crate::account::AccountName;
use crate::clock::{self, Instant};
use crate::daemon::listing::Stored;
use crate::daemon::recall::{Recall, Recalled};
use crate::notice::channel::Channel;
use crate::notice::{AccountNews, safe};
use crate::relay::SharedStore;
use crate::schedule::memory::Memory;
use crate::schedule::policy::experience::Experience;
use crate::schedule::step::PollId;
use crate::store::Store;
use crate::store::add::{Add, Added};
use crate::store::budget::{Claim, RequestKey};
use crate::store::changes::{Changes, Seq};
use crate::store::error::StoreError;
use crate::store::settle::{Polled, Settled};
use crate::task::TaskId;
use crate::watch::Standing;
use crate::watchlist::listed::Listed;
use crate::watchlist::lists::Chunk;

/// Watches and removals read at once.
const PAGE: usize = 10_000;
/// The first wait after a commit that may go through later; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest.
const LAST_RETRY: Duration = Duration::from_secs(30);

/// A piece of work.
#[derive(Debug)]
pub(super) enum Job {
    /// Look whether another process has changed the store.
    Look,
    /// Read what was added after this watch, and what was removed.
    Load { after: Seq },
    /// Forget the removals up to this one.
    Forget { upto: i64 },
    /// Commit outcomes, and that they are to be told on these channels.
    Settle {
        settled: Vec<Settled>,
        at: Timestamp,
        channels: Arc<[Channel]>,
    },
    /// Commit an account's trouble, or its end, and that it is to be told on these channels.
    Tell {
        news: AccountNews,
        memory: Memory,
        at: Timestamp,
        channels: Arc<[Channel]>,
    },
    /// Keep what is known of an account.
    Remember {
        account: AccountName,
        memory: Memory,
    },
    /// Keep what has been learnt of an account.
    Learn {
        account: AccountName,
        experience: Box<Experience>,
    },
    /// Keep the answers that left tasks pending.
    Note(Vec<Polled>),
    /// Record a request before it is sent, if the account's rates have room for it.
    Claim(Request),
    /// Record that it has ended.
    End { key: RequestKey, at: Timestamp },
    /// Let go of some of what settled before then, has been told and is not listed, after this watch.
    Prune {
        before: Timestamp,
        after: Seq,
        listed: Arc<Listed>,
    },
    /// Watch the ids of a list, from which they are `chunk`.
    Watch { add: Add, chunk: Chunk },
    /// Read what earlier runs knew of an account.
    Recall(Recall),
    /// Read how the imports stand that are not done.
    Stand,
    /// Drop what is to be told on other channels than these.
    KeepChannels { kept: Arc<[Channel]> },
}

/// A poll that is about to be sent.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) poll: PollId,
    pub(super) account: AccountName,
    pub(super) ids: Vec<TaskId>,
    /// The rates that it must fit into.
    pub(super) windows: Vec<(Duration, u32)>,
    /// How long it may take.
    pub(super) patience: Duration,
}

/// What came of a piece of work.
#[derive(Debug)]
pub(super) enum Done {
    /// Nothing that the loop waits for.
    Kept,
    /// There is something new to tell.
    ToTell,
    /// Something is known of tasks that are pending still.
    Noted,
    /// The store's version: it changes when another process writes.
    Looked { version: i64 },
    /// A page of changes.
    Loaded(Changes),
    /// A request may be sent.
    Granted(Request, RequestKey),
    /// It may not, for so long.
    Denied { poll: PollId, wait: Duration },
    /// Old watches up to this one are gone; `None`: all are.
    Pruned { upto: Option<Seq> },
    /// Ids of a list are watched.
    Listed(Stored),
    /// What earlier runs knew of an account.
    Recalled(Recalled),
    /// How the imports stand that are not done.
    Stood(Standing),
}

impl Job {
    fn perform(&self, store: &mut Store) -> Result<Done, StoreError> {
        match self {
            Self::Look => {
                let version = store.data_version()?;
                Ok(Done::Looked { version })
            }
            Self::Load { after } => Ok(Done::Loaded(store.changes(*after, PAGE)?)),
            Self::Forget { upto } => store.forget_removals(*upto).map(|()| Done::Kept),
            Self::Settle {
                settled,
                at,
                channels,
            } => {
                store.settle(settled, *at, channels)?;
                Ok(Done::ToTell)
            }
            Self::Tell {
                news,
                memory,
                at,
                channels,
            } => {
                store.tell(news, memory, *at, channels)?;
                Ok(Done::ToTell)
            }
            Self::Remember { account, memory } => {
                store.remember(account, memory)?;
                Ok(Done::Kept)
            }
            Self::Learn {
                account,
                experience,
            } => {
                store.learn(account, experience)?;
                Ok(Done::Kept)
            }
            Self::Note(polled) => store.record_polls(polled).map(|()| Done::Noted),
            Self::Claim(request) => {
                let Request {
                    account,
                    windows,
                    patience,
                    ..
                } = request;
                match store.claim_request(account, clock::wall(), windows, *patience)? {
                    Claim::Granted(key) => Ok(Done::Granted(request.clone(), key)),
                    Claim::Wait(wait) => Ok(Done::Denied {
                        poll: request.poll,
                        wait,
                    }),
                }
            }
            Self::End { key, at } => store.end_request(*key, *at).map(|()| Done::Kept),
            Self::Prune {
                before,
                after,
                listed,
            } => {
                let is_kept = |id: &TaskId| listed.find(id).is_some();
                let pruned = store.prune(*before, *after, is_kept)?;
                Ok(Done::Pruned { upto: pruned.upto })
            }
            Self::Watch { add, chunk } => watch(store, add, chunk),
            Self::Recall(recall) => recall.read(store, clock::wall()).map(Done::Recalled),
            Self::Stand => store.standing_of_pending().map(Done::Stood),
            Self::KeepChannels { kept } => store.keep_channels(kept).map(|_| Done::Kept),
        }
    }

    /// Whether the daemon does this before it ends.
    fn is_kept_to_the_end(&self) -> bool {
        matches!(
            self,
            Self::Settle { .. }
                | Self::Tell { .. }
                | Self::Remember { .. }
                | Self::Learn { .. }
                | Self::Note(_)
                | Self::End { .. }
        )
    }
}

fn watch(store: &mut Store, add: &Add, chunk: &Chunk) -> Result<Done, StoreError> {
    let ids: Vec<_> = chunk.found.iter().map(|found| found.id.clone()).collect();
    let addition = store.add_listed(add, &ids, clock::wall())?;
    let mut new = 0;
    let mut elsewhere = Vec::new();
    for (found, added) in chunk.found.iter().zip(addition.ids) {
        match added {
            Added::New => new += 1,
            Added::OtherAccount(account) => elsewhere.push((found.clone(), account)),
            Added::Again | Added::Known { .. } => {}
        }
    }
    Ok(Done::Listed(Stored {
        file: chunk.file,
        import: chunk.import.clone(),
        new,
        elsewhere,
    }))
}

/// The pieces of work, and the one under way.
#[derive(Debug)]
pub(super) struct Jobs {
    store: SharedStore,
    waiting: VecDeque<Arc<Job>>,
    running: Option<JoinHandle<Result<Done, StoreError>>>,
    /// When the piece in front is tried again, and after how long the next time.
    retry: Option<(Instant, Duration)>,
}

impl Jobs {
    pub(super) fn new(store: SharedStore) -> Self {
        Self {
            store,
            waiting: VecDeque::new(),
            running: None,
            retry: None,
        }
    }

    pub(super) fn push(&mut self, job: Job) {
        self.waiting.push_back(Arc::new(job));
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a piece is being worked on.
    pub(super) fn is_under_way(&self) -> bool {
        self.running.is_some()
    }

    /// When [`Self::start`] has something to do again, where that is a matter of time.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.retry.map(|(at, _)| at)
    }

    /// Starts the piece in front, unless one is under way or its time has not come.
    pub(super) fn start(&mut self, now: Instant) {
        let waits = self.retry.is_some_and(|(at, _)| at > now);
        if self.running.is_some() || waits {
            return;
        }
        if let Some(job) = self.waiting.front() {
            let (job, store) = (Arc::clone(job), Arc::clone(&self.store));
            self.running = Some(tokio::task::spawn_blocking(move || {
                // A panic under the lock left a transaction that SQLite has rolled back.
                job.perform(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
            }));
        }
    }

    /// What came of the piece under way; pending for ever if there is none.
    ///
    /// Cancel safe: dropped, it leaves the piece under way.
    pub(super) async fn finished(&mut self) -> Result<Result<Done, StoreError>, JoinError> {
        match &mut self.running {
            None => std::future::pending().await,
            Some(running) => {
                let result = running.await;
                self.running = None;
                result
            }
        }
    }

    /// Takes in what came of the piece in front: done with, or to be tried again. An error that will
    /// not pass is given back.
    pub(super) fn take(
        &mut self,
        result: Result<Done, StoreError>,
        now: Instant,
    ) -> Result<Option<Done>, StoreError> {
        match result {
            Ok(done) => {
                self.waiting.pop_front();
                if self.retry.take().is_some() {
                    tracing::info!("the store can be written again");
                }
                Ok(Some(done))
            }
            Err(error) if error.is_transient() => {
                if self.retry.is_none() {
                    let cause = safe::causes(&error);
                    tracing::warn!(
                        ?cause,
                        "the store cannot be written; nothing is polled until it can"
                    );
                }
                let wait = self.retry.map_or(FIRST_RETRY, |(_, wait)| wait);
                self.retry = Some((now.after(wait), (wait * 2).min(LAST_RETRY)));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Does what has to be done before the daemon ends: one try each.
    pub(super) async fn finish(mut self) {
        if self.running.is_some() && matches!(self.finished().await, Ok(Ok(_))) {
            self.waiting.pop_front();
        }
        let left: Vec<_> = self
            .waiting
            .into_iter()
            .filter(|job| job.is_kept_to_the_end())
            .collect();
        let store = self.store;
        let finished = tokio::task::spawn_blocking(move || {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            for job in left {
                if let Err(error) = job.perform(&mut store) {
                    let cause = safe::causes(&error);
                    tracing::warn!(
                        ?cause,
                        "not kept before the end; it will be asked for again"
                    );
                    return;
                }
            }
        });
        drop(finished.await);
    }
}
