//! What became of a task, and the judge that tells it from a snapshot.
//!
//! The judge never guesses: what is not shown to have failed in a readable answer has not failed,
//! and a partial import is never `available`.

use std::fmt;
use std::str::FromStr;

use crate::failure::{self, Failure};
use crate::task::{Counts, Snapshot, Status};

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// By the server: every row went in.
    Available,
    /// By the server: some rows went in.
    Partial,
    /// By the server: no row went in.
    Failed,
    /// By us: the deadline passed, and a readable answer still left the task pending.
    Expired,
    /// By us: the server went on not knowing the id.
    Missing,
    /// By us: the server will not take the id itself.
    Refused,
}

impl Outcome {
    /// Every outcome, the server's first.
    pub const ALL: [Self; 6] = [
        Self::Available,
        Self::Partial,
        Self::Failed,
        Self::Expired,
        Self::Missing,
        Self::Refused,
    ];

    /// The outcome's name in JSON, in the log and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Missing => "missing",
            Self::Refused => "refused",
        }
    }

    /// Whether the server gave it. Such an outcome never changes; one of ours gives way when the
    /// task is added again.
    #[must_use]
    pub fn is_by_server(self) -> bool {
        matches!(self, Self::Available | Self::Partial | Self::Failed)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an outcome")]
pub struct UnknownOutcome;

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|o| o.as_str() == text);
        found.ok_or(UnknownOutcome)
    }
}

/// An outcome and what the server said with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// What became of the task.
    pub outcome: Outcome,
    /// Its progress in percent, as the server claimed it with the outcome; it decides nothing.
    pub progress: Option<u8>,
    /// Its rows, as far as the server counted them.
    pub counts: Counts,
    /// The refused rows, as far as the server listed them; there may be fewer entries than
    /// `counts.failed`.
    pub failures: Vec<Failure>,
}

impl Settlement {
    /// One of our own outcomes, with what was last known of the rows.
    #[must_use]
    pub fn ours(outcome: Outcome, counts: Counts) -> Self {
        Self {
            outcome,
            progress: None,
            counts,
            failures: Vec::new(),
        }
    }

    /// How many rows went in, as far as the server's numbers tell.
    #[must_use]
    pub fn rows_in(&self) -> Option<u64> {
        let counts = self.counts;
        let told = match (self.outcome, counts.succeeded) {
            (_, Some(rows)) => Some(rows),
            // Of a task that is not done, what did not fail may be pending.
            (outcome, None) if !outcome.is_by_server() => None,
            (Outcome::Available, None) => counts.total,
            (Outcome::Failed, None) => Some(0),
            (_, None) => match (counts.total, counts.failed) {
                (Some(total), Some(failed)) => total.checked_sub(failed),
                _ => None,
            },
        };
        told.map(u64::from)
    }

    /// How many rows were refused: the server's count, or the sum of what it listed where that is
    /// more; `None` where rows were refused and it said nothing of how many.
    #[must_use]
    pub fn failed_rows(&self) -> Option<u64> {
        let listed = self
            .failures
            .iter()
            .filter(|failure| failure.row.is_some())
            .count() as u64;
        let missing = match (self.counts.total, self.counts.succeeded) {
            (Some(total), Some(succeeded)) if self.outcome.is_by_server() => {
                total.checked_sub(succeeded)
            }
            _ => None,
        };
        match self.counts.failed.or(missing) {
            Some(counted) => Some(listed.max(counted.into())),
            None if self.outcome == Outcome::Available => Some(0),
            None => None,
        }
    }
}

/// What one snapshot means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server is not done with the task.
    Pending(Pending),
    /// The task has an outcome.
    Settled(Settlement),
}

/// What a snapshot says of a task that is not done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// Its progress in percent, as claimed.
    pub progress: Option<u8>,
    /// Its rows, as far as they are given already.
    pub counts: Counts,
    /// The status, where it is one that no documentation names: such a task counts as pending, and
    /// the log says so once. Hostile.
    pub unknown_status: Option<Box<str>>,
}

/// What `snapshot` means.
#[must_use]
pub fn judge(snapshot: Snapshot) -> Verdict {
    let Snapshot {
        status,
        progress,
        counts,
        details,
    } = snapshot;
    let outcome = match status {
        Status::Available if !shows_refused_rows(counts, details.is_empty()) => Outcome::Available,
        Status::Available if counts.succeeded == Some(0) => Outcome::Failed,
        Status::Available => Outcome::Partial,
        Status::Fail if counts.succeeded.is_some_and(|rows| rows > 0) => Outcome::Partial,
        Status::Fail => Outcome::Failed,
        Status::PendingParse => return pending(progress, counts, None),
        Status::Unknown(status) => return pending(progress, counts, Some(status)),
    };
    Verdict::Settled(Settlement {
        outcome,
        progress,
        counts,
        failures: details
            .into_iter()
            .map(|detail| failure::explain(detail, counts))
            .collect(),
    })
}

fn pending(progress: Option<u8>, counts: Counts, unknown_status: Option<Box<str>>) -> Verdict {
    Verdict::Pending(Pending {
        progress,
        counts,
        unknown_status,
    })
}

fn shows_refused_rows(counts: Counts, none_listed: bool) -> bool {
    let short = matches!((counts.succeeded, counts.total), (Some(s), Some(t)) if s < t);
    counts.failed.is_some_and(|rows| rows > 0) || !none_listed || short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{FailDetail, RowField};

    fn snapshot(status: &str, counts: [Option<u32>; 3], details: usize) -> Snapshot {
        let detail = FailDetail {
            row: RowField::Absent,
            start: None,
            end: None,
            reason: "fail reason".to_owned(),
        };
        Snapshot {
            status: Status::from(status),
            progress: Some(1),
            counts: Counts {
                total: counts[0],
                succeeded: counts[1],
                failed: counts[2],
            },
            details: vec![detail; details],
        }
    }

    #[track_caller]
    fn check(status: &str, counts: [Option<u32>; 3], details: usize, expected: Outcome) {
        match judge(snapshot(status, counts, details)) {
            Verdict::Settled(settlement) => {
                assert_eq!(settlement.outcome, expected);
                assert_eq!(settlement.failures.len(), details);
            }
            Verdict::Pending(_) => panic!("judged as pending"),
        }
    }

    #[test]
    fn available_only_where_nothing_shows_a_refused_row() {
        check("AVAILABLE", [None, None, None], 0, Outcome::Available);
        check(
            "AVAILABLE",
            [Some(4), Some(4), Some(0)],
            0,
            Outcome::Available,
        );
        check("AVAILABLE", [Some(4), None, None], 0, Outcome::Available);
        check("AVAILABLE", [None, Some(0), Some(0)], 0, Outcome::Available);
        check(
            "AVAILABLE",
            [Some(0), Some(0), Some(0)],
            0,
            Outcome::Available,
        );
    }

    #[test]
    fn available_with_refused_rows_is_partial() {
        check("AVAILABLE", [None, Some(1), Some(1)], 1, Outcome::Partial);
        check("AVAILABLE", [None, None, Some(1)], 0, Outcome::Partial);
        check("AVAILABLE", [None, None, None], 1, Outcome::Partial);
        check("AVAILABLE", [Some(4), Some(3), None], 0, Outcome::Partial);
        check(
            "AVAILABLE",
            [Some(4), Some(3), Some(0)],
            0,
            Outcome::Partial,
        );
    }

    #[test]
    fn available_of_which_nothing_went_in_is_failed() {
        check("AVAILABLE", [Some(4), Some(0), None], 0, Outcome::Failed);
        check("AVAILABLE", [None, Some(0), Some(4)], 0, Outcome::Failed);
        check("AVAILABLE", [None, Some(0), None], 1, Outcome::Failed);
    }

    #[test]
    fn fail_is_partial_where_rows_went_in() {
        check("FAIL", [None, None, None], 0, Outcome::Failed);
        check("FAIL", [Some(4), Some(0), Some(4)], 3, Outcome::Failed);
        check("FAIL", [Some(4), Some(1), Some(3)], 0, Outcome::Partial);
    }

    #[test]
    fn all_else_is_pending() {
        let judged = judge(snapshot("PENDING_PARSE", [Some(4), None, None], 0));
        let expected = Pending {
            progress: Some(1),
            counts: Counts {
                total: Some(4),
                ..Counts::default()
            },
            unknown_status: None,
        };
        assert_eq!(judged, Verdict::Pending(expected));
        for odd in ["available", "QUEUED", ""] {
            match judge(snapshot(odd, [None; 3], 1)) {
                Verdict::Pending(pending) => {
                    assert_eq!(pending.unknown_status.as_deref(), Some(odd));
                }
                Verdict::Settled(settlement) => panic!("{odd} became {}", settlement.outcome),
            }
        }
    }

    #[test]
    fn failed_rows_are_the_counts_or_what_they_leave() {
        let settled = |status, counts, details| match judge(snapshot(status, counts, details)) {
            Verdict::Settled(settlement) => settlement.failed_rows(),
            Verdict::Pending(_) => panic!("judged as pending"),
        };
        assert_eq!(settled("AVAILABLE", [None; 3], 0), Some(0));
        assert_eq!(settled("AVAILABLE", [Some(9), Some(4), None], 1), Some(5));
        assert_eq!(settled("FAIL", [Some(9), Some(4), Some(6)], 0), Some(6));
        assert_eq!(settled("FAIL", [None; 3], 3), None);
    }

    #[test]
    fn rows_of_a_task_that_is_not_done_are_not_reckoned() {
        let expired = |total, succeeded, failed| {
            let counts = Counts {
                total,
                succeeded,
                failed,
            };
            let settlement = Settlement::ours(Outcome::Expired, counts);
            (settlement.rows_in(), settlement.failed_rows())
        };
        assert_eq!(expired(Some(10), Some(4), None), (Some(4), None));
        assert_eq!(expired(Some(10), None, Some(1)), (None, Some(1)));
    }

    #[test]
    fn rows_that_went_in_are_the_count_or_what_the_others_leave() {
        let rows_in = |status, counts| match judge(snapshot(status, counts, 0)) {
            Verdict::Settled(settlement) => settlement.rows_in(),
            Verdict::Pending(_) => panic!("judged as pending"),
        };
        assert_eq!(rows_in("AVAILABLE", [Some(9), None, None]), Some(9));
        assert_eq!(rows_in("AVAILABLE", [Some(9), None, Some(4)]), Some(5));
        assert_eq!(rows_in("AVAILABLE", [Some(9), Some(3), Some(4)]), Some(3));
        assert_eq!(rows_in("AVAILABLE", [Some(4), None, Some(9)]), None);
        assert_eq!(rows_in("FAIL", [Some(9), None, None]), Some(0));
    }

    #[test]
    fn outcomes_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
        }
    }
}
