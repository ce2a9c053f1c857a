//! A watch, our standing interest in one task, the import it belongs to, and how that stands, as they
//! are kept and shown.
//!
//! What the schedule needs of a watch it keeps itself, in a smaller form.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::account::AccountName;
use crate::outcome::{Outcome, Settlement};
use crate::task::{Counts, TaskId};

/// The number by which the store knows an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportKey(pub i64);

/// A named set of tasks that were started together. Names may repeat; keys do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The import's number.
    pub key: ImportKey,
    /// Its name.
    pub name: String,
    /// When its first task was added.
    pub started_at: Timestamp,
}

/// A watch, with all that is known of its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The task.
    pub id: TaskId,
    /// Whose key asks about it.
    pub account: AccountName,
    /// What it belongs to.
    pub import: Import,
    /// When it was added.
    pub added_at: Timestamp,
    /// When the watch gives up, if the task is still pending then.
    pub deadline: Timestamp,
    /// How many answers there were about it.
    pub polls: u32,
    /// When the last of them came.
    pub polled_at: Option<Timestamp>,
    /// The progress last claimed, in percent.
    pub progress: Option<u8>,
    /// The records of a file that the task was made of, where they were told.
    pub source: Option<Source>,
    /// Where it stands.
    pub state: State,
}

/// Some records of a file. Record 1 is the first after the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub file: SourceFile,
    /// The first of the records.
    pub first_row: u64,
    /// The last of them.
    pub last_row: u64,
}

/// A file that an import was made of, as it was when it was told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceFile {
    /// Its path from the root.
    pub path: PathBuf,
    /// What it held.
    pub fingerprint: Fingerprint,
    /// How many records it had, the header not counted.
    pub records: u64,
}

/// What tells one state of a file from another without reading all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written to, in nanoseconds since 1970.
    pub modified_at: i64,
    /// The hash of its first MiB.
    pub head: u64,
    /// The hash of its last MiB.
    pub tail: u64,
}

/// Where a watch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The task has no outcome yet; what is known of its rows.
    Pending(Counts),
    /// It has.
    Settled {
        /// When the outcome became known here.
        at: Timestamp,
        /// The outcome and its rows.
        settlement: Settlement,
    },
}

/// A task is not taken to be older than so many seconds, whatever its id claims.
const OLDEST: i64 = 30 * 24 * 60 * 60;
/// No task was created before this second of the Unix clock, the first of 2020: an id that claims so
/// has other digits there.
const EARLIEST: i64 = 1_577_836_800;

/// When a task that was added at `added_at` began: when it was created, by an id that tells a time
/// which can be, else when it was added. So a task that is added late is not taken to be young.
#[must_use]
pub fn began(id: &TaskId, added_at: Timestamp) -> Timestamp {
    let added = added_at.as_second();
    let oldest = added.saturating_sub(OLDEST);
    match id.created_at().map(Timestamp::as_second) {
        Some(created) if created >= EARLIEST && created <= added => {
            Timestamp::from_second(created.max(oldest)).unwrap_or(added_at)
        }
        _ => added_at,
    }
}

/// Where a set of tasks stands. The default is that of no tasks at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Tasks without an outcome.
    pub pending: u64,
    /// Tasks by outcome.
    pub settled: Tally,
    /// Rows that went in, of the tasks that the server settled; `None` where it did not give the
    /// number for one of them.
    pub rows_in: Option<u64>,
    /// Rows that did not go in, of the tasks that the server settled; `None` where it did not give
    /// the number for one of them.
    pub rows_failed: Option<u64>,
}

/// What the tasks of an import were told to be made of, beside what the server counted of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reckoning {
    /// Rows of the sources that tasks were made of.
    pub submitted: u64,
    /// Rows of those sources that no task was made of.
    pub untaken: u64,
    /// Tasks of which the server counted another number of rows than they were made of.
    pub differing: u64,
    /// How many rows those were made of.
    pub differing_submitted: u64,
    /// How many the server counted of them.
    pub differing_counted: u64,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            pending: 0,
            settled: Tally::default(),
            rows_in: Some(0),
            rows_failed: Some(0),
        }
    }
}

impl Standing {
    /// How many tasks there are.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.pending.saturating_add(self.settled.total())
    }

    /// Counts one more settled task, and its rows where the server settled it.
    pub fn count(&mut self, settlement: &Settlement) {
        self.settled.add(settlement.outcome);
        if settlement.outcome.is_by_server() {
            self.rows_in = sum(self.rows_in, settlement.rows_in());
            self.rows_failed = sum(self.rows_failed, settlement.failed_rows());
        }
    }

    /// The standing of settled tasks alone.
    #[must_use]
    pub fn of<'a>(settlements: impl IntoIterator<Item = &'a Settlement>) -> Self {
        let mut standing = Self::default();
        for settlement in settlements {
            standing.count(settlement);
        }
        standing
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.saturating_add(b?))
}

/// How many tasks had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Every row went in.
    pub available: u64,
    /// Some rows went in.
    pub partial: u64,
    /// No row went in.
    pub failed: u64,
    /// The deadline passed first.
    pub expired: u64,
    /// The server does not know the id.
    pub missing: u64,
    /// The server will not take the id.
    pub refused: u64,
}

impl Tally {
    /// Counts one more task.
    pub fn add(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Available => &mut self.available,
            Outcome::Partial => &mut self.partial,
            Outcome::Failed => &mut self.failed,
            Outcome::Expired => &mut self.expired,
            Outcome::Missing => &mut self.missing,
            Outcome::Refused => &mut self.refused,
        };
        *count = count.saturating_add(1);
    }

    /// How many tasks had `outcome`.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Available => self.available,
            Outcome::Partial => self.partial,
            Outcome::Failed => self.failed,
            Outcome::Expired => self.expired,
            Outcome::Missing => self.missing,
            Outcome::Refused => self.refused,
        }
    }

    /// How many tasks there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = Outcome::ALL.map(|outcome| self.of(outcome));
        counts.into_iter().fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_began_when_its_id_says_so_where_that_can_be() {
        let began = |id: &str, added: &str| {
            let added: Timestamp = added.parse().unwrap();
            super::began(&id.parse().unwrap(), added).to_string()
        };
        let id = "68ec7ad3e307920f002648cd";
        // An hour late; before it was created; after a year.
        assert_eq!(began(id, "2025-10-13T05:06:43Z"), "2025-10-13T04:06:43Z");
        assert_eq!(began(id, "2025-10-13T04:06:42Z"), "2025-10-13T04:06:42Z");
        assert_eq!(began(id, "2026-10-13T04:06:43Z"), "2026-09-13T04:06:43Z");
        for id in [
            "task-1",
            "000000000000000000000001",
            "ffffffffffffffffffffffff",
        ] {
            assert_eq!(began(id, "2025-10-13T05:06:43Z"), "2025-10-13T05:06:43Z");
        }
    }
}
