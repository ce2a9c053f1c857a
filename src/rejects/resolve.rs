//! Which records of a task failed, why, and how sure that is.
//!
//! It never says more than is known: a record is `exact` only if the number and the value that the
//! server named lead to it, and nothing that is known of the task speaks against it. One of the two by
//! itself proves nothing where the rows that were told are not those that the task took; but for a
//! value that is in the table already.

use std::collections::BTreeMap;

use crate::failure::{Failure, FailureKind};
use crate::outcome::Settlement;
use crate::rejects::evidence::{self, Evidence};
use crate::rejects::reading::{self, Pinned, Reading, Votes};
use crate::task::Counts;

/// How sure it is that a record failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// One of these ten failed; which, the server does not say.
    Block,
    /// Nothing of its task went in.
    Task,
    /// Its number was named, or the value that stands in no other row: one of the two alone.
    Row,
    /// Its number was named, and the value that the reason names stands in it; or the value that is
    /// in the table already does.
    Exact,
}

impl Certainty {
    /// Its name in what is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Task => "task",
            Self::Row => "row",
            Self::Exact => "exact",
        }
    }
}

/// What does not add up in a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// The server counted another number of rows than the task's part of the file has.
    Total {
        /// What the server counted.
        counted: u64,
        /// The records that were told.
        records: u64,
    },
    /// The values that the reasons name do not stand in the rows that they name.
    Values,
    /// Rows were named that the task's part of the file does not have.
    Outside(u64),
    /// More rows failed than can be found.
    Missing(u64),
    /// Fewer rows failed than were named.
    Surplus(u64),
}

/// The records of a task that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// By number, from 1 within the task: which failure, and how sure. Without a failure: the server
    /// gave none.
    pub records: BTreeMap<u64, (Option<usize>, Certainty)>,
    /// What does not add up.
    pub doubts: Vec<Doubt>,
}

/// Which records of a task failed, `votes` being those of all tasks.
#[must_use]
pub fn resolve(settlement: &Settlement, evidence: &Evidence, votes: &Votes) -> Resolved {
    let mut task = Task {
        failures: &settlement.failures,
        evidence,
        resolved: Resolved::default(),
        is_doubtful: false,
    };
    let (reading, pinned) = votes.rows();
    task.doubt(settlement, pinned);
    let mut outside = 0;
    for (index, failure) in settlement.failures.iter().enumerate() {
        if let Some(row) = failure.row {
            outside += u64::from(!task.by_number(index, row.into(), reading, pinned));
        } else {
            task.by_value(index, failure);
        }
    }
    if outside > 0 {
        task.resolved.doubts.push(Doubt::Outside(outside));
    }
    let named = task.resolved.records.len() as u64;
    if evidence::nothing_went_in(settlement) {
        task.all();
        return task.resolved;
    }
    let has_blocks = task.blocks(votes.blocks());
    if let Some(failed) = settlement.failed_rows() {
        if named > failed {
            task.resolved.doubts.push(Doubt::Surplus(named - failed));
        } else if named + outside < failed && !has_blocks {
            let missing = failed - named - outside;
            task.resolved.doubts.push(Doubt::Missing(missing));
        }
    }
    task.resolved
}

/// How many rows the server counted, where it said so or said how many of each kind.
fn counted(counts: Counts) -> Option<u64> {
    let parts = || Some(u64::from(counts.succeeded?) + u64::from(counts.failed?));
    counts.total.map(u64::from).or_else(parts)
}

struct Task<'a> {
    failures: &'a [Failure],
    evidence: &'a Evidence,
    resolved: Resolved,
    /// Whether the rows of the task may be others than those that were told.
    is_doubtful: bool,
}

impl Task<'_> {
    fn doubt(&mut self, settlement: &Settlement, pinned: Pinned) {
        let records = self.evidence.records;
        if let Some(counted) = counted(settlement.counts)
            && counted != records
        {
            self.is_doubtful = true;
            self.resolved.doubts.push(Doubt::Total { counted, records });
        }
        if reading::is_misfit(self.failures, self.evidence) {
            self.is_doubtful = true;
            self.resolved.doubts.push(Doubt::Values);
        }
        self.is_doubtful |= pinned == Pinned::Denied;
    }

    fn put(&mut self, record: u64, index: Option<usize>, certainty: Certainty) {
        let certainty = match certainty {
            Certainty::Exact if self.is_doubtful => Certainty::Row,
            other => other,
        };
        let new = (index, certainty);
        let entry = self.resolved.records.entry(record).or_insert(new);
        if entry.1 < certainty {
            *entry = new;
        }
    }

    /// Returns whether there is such a record.
    fn by_number(&mut self, index: usize, row: u64, reading: Reading, pinned: Pinned) -> bool {
        let record = reading.record(row);
        let Some(record) = record.filter(|record| *record <= self.evidence.records) else {
            return false;
        };
        let seen = &self.evidence.seen[index];
        let confirmed = match reading {
            Reading::Plain => seen.plain,
            Reading::Headed => seen.headed,
        };
        // Where both readings lead to the value, it confirms neither.
        let is_exact = confirmed == Some(true) && matches!(pinned, Pinned::ByValues(_));
        let certainty = if is_exact {
            Certainty::Exact
        } else {
            Certainty::Row
        };
        self.put(record, Some(index), certainty);
        true
    }

    /// A failure without a number: the value that it names may stand in the file just as often as it
    /// must.
    fn by_value(&mut self, index: usize, failure: &Failure) {
        if self.is_doubtful {
            return;
        }
        let found = self.evidence.seen[index].found.as_slice();
        if failure.kind == FailureKind::DuplicateInImport && failure.first_row.is_none() {
            let alike = self.failures.iter().filter(|other| {
                other.row.is_none()
                    && other.column == failure.column
                    && other.value == failure.value
            });
            // The first is in the table; the later ones are not.
            if found.len() == alike.count() + 1 {
                for record in &found[1..] {
                    self.put(*record, Some(index), Certainty::Row);
                }
            }
        } else if let [record] = found {
            // A value that is in the table already clashes wherever it stands.
            let certainty = if failure.kind == FailureKind::ConflictWithTable {
                Certainty::Exact
            } else {
                Certainty::Row
            };
            self.put(*record, Some(index), certainty);
        }
    }

    /// Every record, since nothing went in.
    fn all(&mut self) {
        let kind = FailureKind::ConflictWithTable;
        let conflict = self
            .failures
            .iter()
            .position(|failure| failure.kind == kind);
        let cause = conflict.or((self.failures.len() == 1).then_some(0));
        for record in 1..=self.evidence.records {
            self.put(record, cause, Certainty::Task);
        }
    }

    /// The records of the blocks in which no record was found out. Returns whether there are blocks.
    fn blocks(&mut self, reading: Reading) -> bool {
        let mut any = false;
        for (index, failure) in self.failures.iter().enumerate() {
            let (None, Some(first), Some(last)) =
                (failure.row, failure.first_row, failure.last_row)
            else {
                continue;
            };
            any = true;
            let (first, last) = evidence::block(first, last);
            for row in first..=last {
                if let Some(record) = reading.record(row)
                    && record <= self.evidence.records
                {
                    self.put(record, Some(index), Certainty::Block);
                }
            }
        }
        any
    }
}
