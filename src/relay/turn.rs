//! What every loop of a notifier does between two deliveries: it waits, for as long as it may.
//!
//! It never tries a notifier that is away more often because there is more to tell.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::notice::safe;
use crate::relay::{Broken, Line, SharedStore, with};
use crate::store::Store;
use crate::store::error::StoreError;

/// The first wait after a delivery that failed; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest.
const LAST_RETRY: Duration = Duration::from_secs(30);

/// What a loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Waits until it is woken.
    Rest,
    /// Waits for others to join, or for the notifier to come back.
    Wait(Duration),
    /// Goes on at once.
    Go,
}

/// A loop's dealings with the rest.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) store: SharedStore,
    pub(super) line: Line,
    pub(super) hurry: watch::Receiver<bool>,
    pub(super) stop: CancellationToken,
    pub(super) broken: Arc<Broken>,
    /// How long to wait after the next failure, while deliveries fail.
    pub(super) away: Option<Duration>,
}

impl Turn {
    /// Works on the store, off the loop's thread.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        with(&self.store, work).await
    }

    pub(super) fn is_hurried(&self) -> bool {
        *self.hurry.borrow()
    }

    /// Waits for what is next.
    ///
    /// Cancel safe: dropped, it has only waited for less.
    pub(super) async fn pause(&mut self, next: Next) {
        let wait = match next {
            Next::Go => return,
            Next::Rest => None,
            Next::Wait(wait) => Some(wait),
        };
        let timer = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        let is_away = self.away.is_some();
        let woken = async {
            if is_away {
                std::future::pending::<()>().await;
            }
            self.line.wake.notified().await;
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = woken => {}
            () = timer => {}
            Ok(()) = self.hurry.changed() => {}
        }
    }

    /// A delivery has gone through and is noted.
    pub(super) fn delivered(&mut self) -> Next {
        if self.away.take().is_some() {
            let channel = self.line.channel;
            tracing::info!(%channel, "notices are delivered again");
        }
        self.line.told.notify_one();
        Next::Go
    }

    /// The notifier, or the store, is away.
    pub(super) fn failed(&mut self, error: &dyn std::error::Error, what: &'static str) -> Next {
        let channel = self.line.channel.as_str();
        if self.away.is_none() {
            let cause = safe::causes(error);
            tracing::warn!(channel, ?cause, what, "a notifier is away");
        }
        let wait = self.away.unwrap_or(FIRST_RETRY);
        self.away = Some((wait * 2).min(LAST_RETRY));
        Next::Wait(wait)
    }

    /// The outbox cannot be read.
    pub(super) fn unread(&mut self, error: StoreError) -> Next {
        self.broken(error, "the outbox cannot be read")
    }

    /// What was told cannot be noted.
    pub(super) fn unnoted(&mut self, error: StoreError) -> Next {
        self.broken(error, "what was told cannot be noted; it may be told again")
    }

    /// The store failed: for now, or so that nobody can go on with it.
    fn broken(&mut self, error: StoreError, what: &'static str) -> Next {
        let next = self.failed(&error, what);
        if !error.is_transient() {
            self.broken.give(error);
        }
        next
    }
}
