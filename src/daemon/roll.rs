//! How far the watch list has been read from the store, and what is new on it.
//!
//! It never reads anything itself: a page comes back to it as a piece of work that is done.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{self, Instant};
use crate::daemon::jobs::Jobs;
use crate::daemon::notes::Notes;
use crate::daemon::work::Job;
use crate::schedule::Schedule;
use crate::schedule::step::{Input, Watched};
use crate::store::changes::{Changes, PendingWatch, Seq};
use crate::watch::began;

/// How far it has been read.
#[derive(Debug)]
pub(super) struct Roll {
    /// The last watch that was read.
    seen: Seq,
    /// Whether all of it has been read once.
    is_read: bool,
    /// The store's version when it was last looked at.
    version: Option<i64>,
}

impl Roll {
    pub(super) fn new() -> Self {
        Self {
            seen: Seq::START,
            is_read: false,
            version: None,
        }
    }

    pub(super) fn is_read(&self) -> bool {
        self.is_read
    }

    /// Reads what has changed.
    pub(super) fn load(&self, jobs: &mut Jobs) {
        jobs.push(Job::Load { after: self.seen });
    }

    /// The store has this version: another one than before means that another process has written.
    pub(super) fn looked(&mut self, version: i64, jobs: &mut Jobs) {
        let before = self.version.replace(version);
        if before.is_some_and(|before| before != version) {
            self.load(jobs);
        }
    }

    /// Takes in a page of changes.
    pub(super) fn apply(
        &mut self,
        changes: Changes,
        schedule: &mut Schedule,
        jobs: &mut Jobs,
        notes: &mut Notes,
        now: Instant,
    ) {
        let wall = clock::wall();
        if let Some(last) = changes.removals.last() {
            jobs.push(Job::Forget { upto: last.number });
        }
        self.seen = changes.upto;
        self.is_read |= !changes.more;
        if changes.more {
            // The next page is read while this one is taken in.
            self.load(jobs);
            jobs.start(now);
        }
        for removal in changes.removals {
            notes.forget(&removal.id);
            schedule.handle(Input::Unwatched(removal.id), now);
        }
        for watch in changes.added {
            schedule.handle(Input::Watched(watched(watch, wall, now)), now);
        }
    }
}

/// A watch of the store, with its wall times on the boot clock.
fn watched(watch: PendingWatch, wall: Timestamp, now: Instant) -> Watched {
    let wall = wall.as_millisecond();
    // Whole milliseconds are what the store has; at a start this is reckoned by the million.
    let boot = |at: Timestamp| {
        let ahead = at.as_millisecond().saturating_sub(wall);
        let span = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 {
            now.before(span)
        } else {
            now.after(span)
        }
    };
    // An answer from the future is one before the wall clock was set back.
    let polled = watch.polled_at.map(|at| (watch.polls, boot(at).min(now)));
    Watched {
        began: boot(began(&watch.id, watch.added_at)),
        progress: watch.progress,
        deadline: boot(watch.deadline),
        id: watch.id,
        account: watch.account,
        polled: polled.filter(|(polls, _)| *polls > 0),
    }
}
