//! What the server's row numbers count: records, or lines with the header as the first.
//!
//! No documentation says it. Both readings are tried on everything that is known; a reading is pinned
//! when every value that was named stands where it says, and the other reading fails for one of them.
//! It never lets a majority decide.

use crate::failure::Failure;
use crate::rejects::evidence::{self, Evidence, Seen};

/// What a row number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Row 1 is the first record.
    Plain,
    /// Row 1 is the header, row 2 the first record.
    Headed,
}

impl Reading {
    /// The record that row `row` is, numbered from 1; `None` if it is the header.
    #[must_use]
    pub fn record(self, row: u64) -> Option<u64> {
        let record = match self {
            Self::Plain => row,
            Self::Headed => row.checked_sub(1)?,
        };
        (record > 0).then_some(record)
    }
}

/// How well a reading is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned {
    /// By so many values, each of which stands where this reading says and not where the other does.
    ByValues(u64),
    /// By numbers that the other reading leaves without a record; no value tells the two apart.
    ByNumbers,
    /// By nothing: it is the one that the vendor's example follows.
    Assumed,
    /// Values were found that deny each reading: the rows are not those that were told.
    Denied,
}

/// What all failures together say of the readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Votes {
    plain: u64,
    headed: u64,
    plain_numbers: u64,
    headed_numbers: u64,
    /// Blocks that begin where blocks of ten records do, by either reading.
    plain_blocks: u64,
    headed_blocks: u64,
    other_blocks: u64,
}

/// Whether a failure can be so by either reading.
fn fits(failure: &Failure, seen: &Seen, records: u64) -> Option<(bool, bool)> {
    let row = u64::from(failure.row?);
    let first = evidence::first_of(failure);
    let plain = row <= records && seen.plain != Some(false) && seen.first_plain != Some(false);
    let headed = row >= 2
        && row - 1 <= records
        && first != Some(1)
        && seen.headed != Some(false)
        && seen.first_headed != Some(false);
    Some((plain, headed))
}

/// Whether the values of a task contradict both readings.
#[must_use]
pub fn is_misfit(failures: &[Failure], evidence: &Evidence) -> bool {
    failures
        .iter()
        .zip(&evidence.seen)
        .any(|(failure, seen)| fits(failure, seen, evidence.records) == Some((false, false)))
}

impl Votes {
    /// Counts in what was seen of a task.
    pub fn count(&mut self, failures: &[Failure], evidence: &Evidence) {
        for (failure, seen) in failures.iter().zip(&evidence.seen) {
            if let Some(first) = failure.first_row {
                match first % 10 {
                    1 => self.plain_blocks += 1,
                    2 => self.headed_blocks += 1,
                    _ => self.other_blocks += 1,
                }
            }
            let Some(fits) = fits(failure, seen, evidence.records) else {
                continue;
            };
            let is_valued = seen.plain == Some(true) || seen.headed == Some(true);
            let vote = match (fits, is_valued) {
                ((true, false), true) if seen.plain == Some(true) => &mut self.plain,
                ((false, true), true) if seen.headed == Some(true) => &mut self.headed,
                ((true, false), _) => &mut self.plain_numbers,
                ((false, true), _) => &mut self.headed_numbers,
                ((true, true) | (false, false), _) => continue,
            };
            *vote += 1;
        }
    }

    /// The reading of row numbers.
    #[must_use]
    pub fn rows(&self) -> (Reading, Pinned) {
        let plain = self.plain + self.plain_numbers;
        let headed = self.headed + self.headed_numbers;
        match (plain, headed) {
            (0, 0) => (Reading::Plain, Pinned::Assumed),
            (_, 0) if self.plain > 0 => (Reading::Plain, Pinned::ByValues(self.plain)),
            (0, _) if self.headed > 0 => (Reading::Headed, Pinned::ByValues(self.headed)),
            (_, 0) => (Reading::Plain, Pinned::ByNumbers),
            (0, _) => (Reading::Headed, Pinned::ByNumbers),
            _ if headed > plain => (Reading::Headed, Pinned::Denied),
            _ => (Reading::Plain, Pinned::Denied),
        }
    }

    /// The reading of the ends of blocks, which may be another: that by which they begin where blocks
    /// of ten do; else that of the rows.
    #[must_use]
    pub fn blocks(&self) -> Reading {
        match (self.plain_blocks, self.headed_blocks, self.other_blocks) {
            (1.., 0, 0) => Reading::Plain,
            (0, 1.., 0) => Reading::Headed,
            _ => self.rows().0,
        }
    }
}
