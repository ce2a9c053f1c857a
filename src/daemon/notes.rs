//! Answers that left tasks pending, gathered so that they are written together.
//!
//! It never holds an outcome: what has settled is taken out.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Instant;
use crate::daemon::jobs::Jobs;
use crate::daemon::work::Job;
use crate::store::settle::Polled;
use crate::task::TaskId;

/// How long answers are gathered before they are written.
const WRITE_BEHIND: Duration = Duration::from_secs(10);

/// The answers that are not written yet, and when they are.
#[derive(Debug, Default)]
pub(super) struct Notes {
    noted: HashMap<TaskId, Polled>,
    write_at: Option<Instant>,
}

impl Notes {
    pub(super) fn take(&mut self, polled: Polled, now: Instant) {
        self.write_at.get_or_insert(now.after(WRITE_BEHIND));
        self.noted.insert(polled.id.clone(), polled);
    }

    pub(super) fn forget(&mut self, id: &TaskId) {
        self.noted.remove(id);
    }

    /// When [`Self::write_if_due`] has something to do.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.write_at
    }

    pub(super) fn write_if_due(&mut self, jobs: &mut Jobs, now: Instant) {
        if self.write_at.is_some_and(|at| at <= now) {
            self.write(jobs);
        }
    }

    pub(super) fn write(&mut self, jobs: &mut Jobs) {
        self.write_at = None;
        if !self.noted.is_empty() {
            let noted = std::mem::take(&mut self.noted);
            jobs.push(Job::Note(noted.into_values().collect()));
        }
    }
}
