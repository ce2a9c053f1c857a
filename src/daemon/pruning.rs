//! What has settled and been told for long is let go, some of it at a time.
//!
//! It never lets go of what is still listed.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::{self, Instant};
use crate::daemon::jobs::Jobs;
use crate::daemon::work::Job;
use crate::store::changes::Seq;
use crate::watchlist::listed::Listed;

/// How often what is old is let go.
const INTERVAL: Duration = Duration::from_hours(1);

/// When that is done next, and what is being deleted.
#[derive(Debug)]
pub(super) struct Pruning {
    keep: Duration,
    at: Instant,
    chosen: Option<Chosen>,
}

/// What is to be deleted.
#[derive(Debug)]
struct Chosen {
    before: Timestamp,
    /// What is not.
    listed: Arc<Listed>,
}

impl Pruning {
    /// Settled and told watches are kept for so long.
    pub(super) fn new(keep: Duration, now: Instant) -> Self {
        Self {
            keep,
            at: now,
            chosen: None,
        }
    }

    pub(super) fn keep(&mut self, keep: Duration) {
        self.keep = keep;
    }

    /// Whether it is time to begin; if so, it counts as begun.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.at <= now;
        if is_due {
            self.at = now.after(INTERVAL);
        }
        is_due
    }

    /// Begins to let go of all that is old and not `listed`.
    pub(super) fn begin(&mut self, listed: Listed, jobs: &mut Jobs) {
        let keep = SignedDuration::try_from(self.keep).unwrap_or(SignedDuration::MAX);
        if let Ok(before) = clock::wall().checked_sub(keep) {
            let listed = Arc::new(listed);
            self.chosen = Some(Chosen { before, listed });
            self.go_on(Some(Seq::START), jobs);
        }
    }

    /// Lets go of some more, after this watch; `None` is the end.
    pub(super) fn go_on(&mut self, after: Option<Seq>, jobs: &mut Jobs) {
        match (&self.chosen, after) {
            (Some(chosen), Some(after)) => jobs.push(Job::Prune {
                before: chosen.before,
                after,
                listed: Arc::clone(&chosen.listed),
            }),
            _ => self.chosen = None,
        }
    }

    /// What is being deleted was chosen by lists that do not hold any more.
    pub(super) fn stop(&mut self) {
        self.chosen = None;
    }
}
