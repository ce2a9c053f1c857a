//! What the records of one task say of its failures: whether the values that the server named stand
//! where its row numbers point.
//!
//! It never decides: which reading of the numbers is right shows only over all tasks, in
//! [`crate::rejects::reading`].

use std::collections::HashMap;

use crate::failure::{Failure, FailureKind};
use crate::outcome::{Outcome, Settlement};
use crate::rejects::dialect::Dialect;
use crate::rejects::fields::{self, Header};

/// So many records with one value are kept; more say no more.
const FOUND: usize = 1024;

/// What was seen of one failure. `None` is: there was nothing to compare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether the value stands in the row, if the first record is row 1.
    pub plain: Option<bool>,
    /// Whether it does if the header is row 1.
    pub headed: Option<bool>,
    /// Whether the value stands in the row that came first, if the first record is row 1.
    pub first_plain: Option<bool>,
    /// Whether it does if the header is row 1.
    pub first_headed: Option<bool>,
    /// The records with the value, where it had to be looked for.
    pub found: Vec<u64>,
}

/// What was seen of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// How many records it has.
    pub records: u64,
    /// What was seen of each failure, in their order.
    pub seen: Vec<Seen>,
}

/// Where a number leads.
#[derive(Debug, Clone, Copy)]
enum Role {
    Plain,
    Headed,
    FirstPlain,
    FirstHeaded,
    /// A record of a block, by either reading.
    Block,
}

/// What is looked for in the records of one task. Records are numbered from 1 within the task.
#[derive(Debug)]
pub struct Search {
    failures: Vec<Failure>,
    is_all: bool,
    places: HashMap<u64, Vec<(usize, Role)>>,
    /// The failures whose value is looked for, and where.
    values: Vec<(usize, u64, u64)>,
    /// Whether values of ASCII alone can be compared.
    is_ascii_only: bool,
    evidence: Evidence,
}

/// Whether nothing of a task went in, so that every record of it is one that failed.
#[must_use]
pub fn nothing_went_in(settlement: &Settlement) -> bool {
    settlement.outcome == Outcome::Failed
}

/// The row that came first, where the reason of a duplicate names it.
#[must_use]
pub fn first_of(failure: &Failure) -> Option<u64> {
    if failure.kind != FailureKind::DuplicateInImport {
        return None;
    }
    let (_, rest) = failure.reason.rsplit_once("first at row `")?;
    rest.split_once('`')?.0.parse().ok().filter(|row| *row >= 1)
}

impl Search {
    /// What is to be looked for; `is_utf8`: whether the file is UTF-8, as what the server says is.
    #[must_use]
    pub fn new(settlement: Settlement, is_utf8: bool) -> Self {
        let is_all = nothing_went_in(&settlement);
        let failures = settlement.failures;
        let mut search = Self {
            is_all,
            places: HashMap::new(),
            values: Vec::new(),
            is_ascii_only: !is_utf8,
            evidence: Evidence {
                records: 0,
                seen: vec![Seen::default(); failures.len()],
            },
            failures: Vec::new(),
        };
        for (index, failure) in failures.iter().enumerate() {
            search.place(index, failure);
        }
        search.failures = failures;
        search
    }

    fn place(&mut self, index: usize, failure: &Failure) {
        let is_named = named(failure).is_some();
        let mut put = |row: u64, role| {
            if row > 0 {
                self.places.entry(row).or_default().push((index, role));
            }
        };
        if let Some(row) = failure.row.map(u64::from) {
            put(row, Role::Plain);
            put(row.saturating_sub(1), Role::Headed);
            if let Some(first) = first_of(failure) {
                put(first, Role::FirstPlain);
                put(first - 1, Role::FirstHeaded);
            }
        } else if let (Some(first), Some(last)) = (failure.first_row, failure.last_row) {
            let (first, last) = block(first, last);
            for row in first.saturating_sub(1).max(1)..=last {
                put(row, Role::Block);
            }
            if is_named {
                self.values.push((index, first.saturating_sub(1), last));
            }
        } else if is_named {
            self.values.push((index, 1, u64::MAX));
        }
    }

    /// Looks at the next record. Returns whether it may be one that failed.
    pub fn see(&mut self, record: &[u8], dialect: Dialect, header: &Header) -> bool {
        self.evidence.records += 1;
        let row = self.evidence.records;
        let mut is_candidate = self.is_all;
        for (index, role) in self.places.get(&row).into_iter().flatten() {
            let seen = &mut self.evidence.seen[*index];
            let slot = match role {
                Role::Plain => &mut seen.plain,
                Role::Headed => &mut seen.headed,
                Role::FirstPlain => &mut seen.first_plain,
                Role::FirstHeaded => &mut seen.first_headed,
                Role::Block => {
                    is_candidate = true;
                    continue;
                }
            };
            is_candidate |= matches!(role, Role::Plain | Role::Headed);
            *slot = holds(
                record,
                dialect,
                header,
                &self.failures[*index],
                self.is_ascii_only,
            );
        }
        for (index, first, last) in &self.values {
            let failure = &self.failures[*index];
            let found = &mut self.evidence.seen[*index].found;
            if (*first..=*last).contains(&row)
                && found.len() < FOUND
                && holds(record, dialect, header, failure, self.is_ascii_only) == Some(true)
            {
                found.push(row);
                is_candidate = true;
            }
        }
        is_candidate
    }

    /// What was seen, and the failures that it was seen of.
    #[must_use]
    pub fn end(&mut self) -> (Vec<Failure>, Evidence) {
        (
            std::mem::take(&mut self.failures),
            std::mem::take(&mut self.evidence),
        )
    }
}

/// The rows of a block as the server says them: never more than ten, whatever it says.
#[must_use]
pub fn block(first: u32, last: u32) -> (u64, u64) {
    let (first, last) = (u64::from(first), u64::from(last));
    (first, last.min(first + 9))
}

/// The column and the value that a failure names; an empty value confirms nothing.
#[must_use]
pub fn named(failure: &Failure) -> Option<(&str, &str)> {
    let (column, value) = (failure.column.as_deref()?, failure.value.as_deref()?);
    (!value.trim().is_empty()).then_some((column, value))
}

/// Whether a record holds the value that a failure names; `None` if that cannot be compared.
fn holds(
    record: &[u8],
    dialect: Dialect,
    header: &Header,
    failure: &Failure,
    is_ascii_only: bool,
) -> Option<bool> {
    let (column, value) = named(failure)?;
    if is_ascii_only && !value.is_ascii() {
        return None;
    }
    let cell = fields::value(record, dialect, header, column)?;
    Some(fields::is_same(&cell, value))
}
