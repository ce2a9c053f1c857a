//! The daemon's work on the store: one piece at a time, in order, off the loop's thread.
//!
//! A piece that fails for want of space, or because the database is busy, is tried again until it
//! goes through; whatever waits behind it waits too, so nothing is polled meanwhile. It never drops
//! a piece that holds an outcome.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};

use crate::clock::Instant;
use crate::daemon::work::{Done, Job};
use crate::notice::safe;
use crate::relay::SharedStore;
use crate::store::error::StoreError;

/// The first wait after a commit that may go through later; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest.
const LAST_RETRY: Duration = Duration::from_secs(30);

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
