//! How the lock goes from a `wait` that stands in to a daemon that has been started.
//!
//! A daemon never waits for another daemon: that one keeps the lock until it ends.

use std::time::Duration;

use crate::store::directory::StateDir;
use crate::store::lock::{self, Holder, Lock, LockError, LockWanted};

/// How often whoever stands in looks whether a daemon wants the lock.
const LOOK: Duration = Duration::from_millis(200);
/// How often a daemon that wants it tries to take it.
const TRY: Duration = Duration::from_millis(50);
/// After so many tries the holder has not let go when it should have.
const PATIENCE: u32 = 100;
/// So many tries a holder has to say what it is. It says so right after it has taken the lock.
const UNMARKED: u32 = 20;

/// Takes the lock for a daemon. A `wait` that holds it is asked for it.
///
/// Cancel safe: dropped, it asks no longer.
///
/// # Errors
///
/// [`LockError`]; that another process holds it only where that is a daemon.
pub async fn take(dir: &StateDir) -> Result<Lock, LockError> {
    let mut wanted = None;
    let mut tries = 0;
    loop {
        let error = match Lock::acquire(dir, Holder::Daemon) {
            Ok(lock) => return Ok(lock),
            Err(error) => error,
        };
        tries += 1;
        match &error {
            LockError::Held {
                holder: Holder::Wait,
                pid,
                ..
            } => {
                if wanted.is_none() {
                    tracing::info!(pid, "an importwatch wait stands in; taking over from it");
                    wanted = Some(LockWanted::show(dir)?);
                } else if tries == PATIENCE {
                    tracing::warn!(
                        pid,
                        "an importwatch wait does not let go of the lock; end that process if it hangs"
                    );
                }
            }
            LockError::Unmarked { .. } if tries < UNMARKED => {}
            _ => return Err(error),
        }
        tokio::time::sleep(TRY).await;
    }
}

/// Returns once a daemon wants the lock of `dir`.
///
/// Cancel safe: it keeps nothing.
pub async fn wanted(dir: &StateDir) {
    loop {
        match lock::is_wanted(dir) {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "the sign of a daemon cannot be looked for"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_stands_in_hands_over_and_a_daemon_does_not() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        let held = Lock::acquire(&dir, Holder::Wait).unwrap();
        let hand_over = async {
            wanted(&dir).await;
            drop(held);
        };
        let (taken, ()) = tokio::join!(take(&dir), hand_over);
        let _lock = taken.unwrap();
        assert!(!lock::is_wanted(&dir).unwrap(), "it asks no longer");
        let refused = take(&dir).await.unwrap_err();
        assert!(
            matches!(
                refused,
                LockError::Held {
                    holder: Holder::Daemon,
                    ..
                }
            ),
            "{refused}"
        );
    }
}
