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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use tokio::sync::Notify;

    use super::*;
    use crate::notice::channel::Channel;
    use crate::store::directory::StateDir;

    struct Stage {
        turn: Turn,
        wake: Arc<Notify>,
        hurry: watch::Sender<bool>,
        _root: tempfile::TempDir,
    }

    fn stage() -> Stage {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(&StateDir::open(root.path()).unwrap()).unwrap();
        let wake = Arc::new(Notify::new());
        let hurry = watch::Sender::new(false);
        let turn = Turn {
            store: Arc::new(Mutex::new(store)),
            line: Line {
                channel: Channel::Log,
                wake: Arc::clone(&wake),
                told: Arc::new(Notify::new()),
            },
            hurry: hurry.subscribe(),
            stop: CancellationToken::new(),
            broken: Arc::default(),
            away: None,
        };
        Stage {
            turn,
            wake,
            hurry,
            _root: root,
        }
    }

    /// Whether a pause is over at once.
    async fn is_over(turn: &mut Turn, next: Next) -> bool {
        let pause = turn.pause(next);
        tokio::time::timeout(Duration::ZERO, pause).await.is_ok()
    }

    const LONG: Next = Next::Wait(Duration::from_hours(1));

    fn failure() -> StoreError {
        let path = PathBuf::from("state.db");
        StoreError::Foreign { path }
    }

    #[tokio::test]
    async fn a_pause_lasts_until_there_is_a_reason_to_go_on() {
        let Stage {
            mut turn,
            wake,
            hurry,
            _root,
        } = stage();
        assert!(is_over(&mut turn, Next::Go).await);
        for next in [Next::Rest, LONG] {
            assert!(!is_over(&mut turn, next).await);
            wake.notify_one();
            assert!(is_over(&mut turn, next).await);
            assert!(!is_over(&mut turn, next).await);
        }
        assert!(!turn.is_hurried());
        hurry.send_replace(true);
        assert!(is_over(&mut turn, LONG).await && turn.is_hurried());
        turn.stop.cancel();
        assert!(is_over(&mut turn, Next::Rest).await);
    }

    #[tokio::test]
    async fn a_notifier_that_is_away_is_tried_less_and_less_often_whatever_comes() {
        let Stage { mut turn, wake, .. } = stage();
        let waits = (0..7).map(|_| turn.failed(&failure(), "test"));
        let expected = [1, 2, 4, 8, 16, 30, 30].map(|s| Next::Wait(Duration::from_secs(s)));
        assert_eq!(waits.collect::<Vec<_>>(), expected);
        wake.notify_one();
        assert!(!is_over(&mut turn, LONG).await);
        // Back again, it goes on at once, and the next failure begins anew.
        assert_eq!(turn.delivered(), Next::Go);
        assert!(is_over(&mut turn, LONG).await);
        assert_eq!(turn.failed(&failure(), "test"), expected[0]);
    }

    #[tokio::test]
    async fn only_a_store_that_will_not_come_back_ends_the_daemon() {
        let mut turn = stage().turn;
        let passing = || StoreError::Gate {
            path: PathBuf::from("state.db"),
            source: std::io::ErrorKind::TimedOut.into(),
        };
        turn.unread(passing());
        turn.unnoted(passing());
        let broken = Arc::clone(&turn.broken);
        let taken = || tokio::time::timeout(Duration::ZERO, broken.taken());
        assert!(taken().await.is_err());
        turn.unread(failure());
        assert!(matches!(taken().await, Ok(StoreError::Foreign { .. })));
        turn.unnoted(failure());
        assert!(taken().await.is_ok());
    }
}
