//! Why rows did not go in: the failures of some tasks grouped by what they have in common, each
//! group as one line with examples.
//!
//! It never claims how many rows a group stands for unless every one of its entries names a row: the
//! server lists one reason for up to ten rows.

use std::collections::HashMap;

use crate::failure::{Failure, FailureKind};
use crate::notice::amount::{counted, number};
use crate::notice::{TaskNews, safe};

/// The most characters of a reason that are shown.
const REASON_MAX: usize = 90;
/// The most characters of a column's name or a value that are shown.
const VALUE_MAX: usize = 24;
/// The most examples of a group.
const EXAMPLES: usize = 3;

/// Failures that have their kind and their column in common, or where no column is known their
/// reason.
struct Cause<'a> {
    first: &'a Failure,
    entries: u64,
    with_row: u64,
    rows: Vec<u32>,
    values: Vec<&'a str>,
    more_values: bool,
}

/// One line for each cause, the most frequent first, at most `most`; a last one says how many causes
/// were left out. Rows are named by their numbers if `name_rows`, else counted. What the server said
/// is made safe and cut.
#[must_use]
pub fn lines(tasks: &[TaskNews], most: usize, name_rows: bool) -> Vec<String> {
    let mut causes = group(tasks);
    // The sort is stable, so that equally frequent causes stay in the server's order.
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.entries));
    let mut lines: Vec<String> = causes.iter().map(|cause| cause.line(name_rows)).collect();
    if lines.len() > most {
        let left_out = (lines.len() - most) as u64;
        lines.truncate(most);
        lines.push(format!("… and {}.", counted(left_out, "more cause")));
    }
    lines
}

fn group(tasks: &[TaskNews]) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    let mut places: HashMap<(FailureKind, bool, &str), usize> = HashMap::new();
    for failure in tasks.iter().flat_map(|task| &task.settlement.failures) {
        let common = failure.column.as_deref().unwrap_or(&failure.reason);
        let key = (failure.kind, failure.column.is_some(), common);
        let place = *places.entry(key).or_insert(causes.len());
        if place == causes.len() {
            causes.push(Cause {
                first: failure,
                entries: 0,
                with_row: 0,
                rows: Vec::new(),
                values: Vec::new(),
                more_values: false,
            });
        }
        causes[place].add(failure);
    }
    causes
}

impl<'a> Cause<'a> {
    fn add(&mut self, failure: &'a Failure) {
        self.entries += 1;
        if let Some(row) = failure.row {
            self.with_row += 1;
            if self.rows.len() < EXAMPLES {
                self.rows.push(row);
            }
        }
        if let Some(value) = failure.value.as_deref()
            && !self.values.contains(&value)
        {
            if self.values.len() < EXAMPLES {
                self.values.push(value);
            } else {
                self.more_values = true;
            }
        }
    }

    fn line(&self, name_rows: bool) -> String {
        let reason = safe::start(&self.first.reason, REASON_MAX);
        let column = self.first.column.as_deref();
        let column = column.map(|column| safe::ends(column, VALUE_MAX));
        let said = |what: &str| {
            if reason.is_empty() {
                format!("{what}; the server gave no reason.")
            } else {
                format!("{what}: {reason}")
            }
        };
        match (self.first.kind, column) {
            (FailureKind::ConflictWithTable, Some(column)) if !self.values.is_empty() => {
                format!("Already in the table: {column} {}", self.values())
            }
            (FailureKind::ConflictWithTable, _) => said("In conflict with the table"),
            (FailureKind::DuplicateInImport, Some(column)) if !self.values.is_empty() => {
                let values = self.values();
                format!("Twice in the import, the first kept: {column} {values}")
            }
            (FailureKind::DuplicateInImport, _) => said("Twice in the import, the first kept"),
            (FailureKind::InvalidRow, _) => said(&self.rows(name_rows)),
            (FailureKind::Block, _) => said(&self.block(name_rows)),
            (FailureKind::Unknown, _) if reason.is_empty() => {
                "The server gave no reason.".to_owned()
            }
            (FailureKind::Unknown, _) => said("The server said"),
        }
    }

    /// The first values in quotes, and whether there are more.
    fn values(&self) -> String {
        let shown = self.values.iter().map(|value| {
            let value = safe::ends(value, VALUE_MAX);
            format!("“{value}”")
        });
        let mut text = shown.collect::<Vec<_>>().join(", ");
        if self.more_values {
            text.push_str(", …");
        }
        text
    }

    fn rows(&self, name_rows: bool) -> String {
        match (self.rows.as_slice(), self.with_row) {
            (_, with_row) if with_row < self.entries => "Some rows".to_owned(),
            ([row], 1) if name_rows => format!("Row {row}"),
            (rows, _) if name_rows => {
                let shown: Vec<String> = rows.iter().map(ToString::to_string).collect();
                let left_out = self.with_row - rows.len() as u64;
                let more = match left_out {
                    0 => String::new(),
                    more => format!(" and {} more", number(more)),
                };
                format!("Rows {}{more}", shown.join(", "))
            }
            (_, with_row) => counted(with_row, "row"),
        }
    }

    fn block(&self, name_rows: bool) -> String {
        match (self.first.first_row, self.first.last_row) {
            (Some(first), Some(last)) if name_rows && self.entries == 1 => {
                format!("Some of rows {first} to {last}")
            }
            _ => "Some rows".to_owned(),
        }
    }
}
