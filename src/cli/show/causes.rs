//! Why rows did not go in: the failures of any number of tasks grouped by what they have in common,
//! with how many rows each group stands for.
//!
//! It never claims a number of rows that the server's numbers do not show: where they only show
//! some, it says "at least".

use std::collections::{BTreeMap, HashMap};

use crate::failure::{Failure, FailureKind};
use crate::notice::amount::{counted, number};
use crate::notice::safe;
use crate::outcome::{Outcome, Settlement};

/// The most groups that are kept apart: a server may give every row a reason of its own.
const GROUPS: usize = 500;
/// The most characters of a reason that are shown.
const REASON_MAX: usize = 240;
/// The most characters of a column's name or a value that are shown.
const VALUE_MAX: usize = 40;

/// What the failures of a group have in common. Where a reason quotes a value, the column tells the
/// group; else the reason does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: FailureKind,
    column: Option<String>,
    reason: Option<String>,
}

impl Key {
    fn of(failure: &Failure) -> Self {
        let quotes = failure.column.is_some() && failure.value.is_some();
        Self {
            kind: failure.kind,
            column: failure.column.clone(),
            reason: (!quotes).then(|| failure.reason.clone()),
        }
    }

    fn unsaid() -> Self {
        Self {
            kind: FailureKind::Unknown,
            column: None,
            reason: Some(String::new()),
        }
    }
}

#[derive(Debug)]
struct Cause {
    key: Key,
    reason: String,
    tasks: u64,
    rows: u64,
    /// Whether `rows` are all of them.
    exact: bool,
    /// Rows that were named, and the blocks that were named instead.
    numbers: Vec<(u32, u32)>,
    more_numbers: u64,
    values: Vec<String>,
    more_values: bool,
}

/// The failures seen so far, in groups.
#[derive(Debug)]
pub(super) struct Causes {
    groups: Vec<Cause>,
    places: HashMap<Key, usize>,
    /// Tasks with a cause that is not kept.
    beyond: u64,
    examples: usize,
}

/// How many of the failures of one task fall into one group.
#[derive(Default)]
struct Share {
    entries: u64,
    with_row: u64,
}

impl Causes {
    /// No failures yet; each group will keep so many examples.
    pub(super) fn new(examples: usize) -> Self {
        Self {
            groups: Vec::new(),
            places: HashMap::new(),
            beyond: 0,
            examples,
        }
    }

    /// Adds what the server said of one task.
    pub(super) fn add(&mut self, settlement: &Settlement) {
        if !matches!(settlement.outcome, Outcome::Partial | Outcome::Failed) {
            return;
        }
        let mut shares: BTreeMap<usize, Share> = BTreeMap::new();
        let mut beyond = false;
        for failure in &settlement.failures {
            match self.place(Key::of(failure), &failure.reason) {
                Some(place) => {
                    let share = shares.entry(place).or_default();
                    share.entries += 1;
                    share.with_row += u64::from(failure.row.is_some());
                    let examples = self.examples;
                    self.groups[place].illustrate(failure, examples);
                }
                None => beyond = true,
            }
        }
        if settlement.failures.is_empty()
            && let Some(place) = self.place(Key::unsaid(), "")
        {
            shares.insert(place, Share::default());
        }
        self.beyond += u64::from(beyond);
        let failed = settlement.failed_rows();
        let only = shares.len() == 1 && !beyond;
        let listed: u64 = shares.values().map(|share| share.with_row).sum();
        for (place, share) in shares {
            let (rows, exact) = match failed {
                Some(failed) if only => (failed, true),
                // Every failed row is listed by its number, so each group has just those of its own.
                Some(failed) if listed == failed => {
                    (share.with_row, share.with_row == share.entries)
                }
                _ => (share.with_row, false),
            };
            let group = &mut self.groups[place];
            group.tasks += 1;
            group.rows += rows;
            group.exact &= exact;
        }
    }

    fn place(&mut self, key: Key, reason: &str) -> Option<usize> {
        if let Some(place) = self.places.get(&key) {
            return Some(*place);
        }
        let place = self.groups.len();
        if place == GROUPS {
            return None;
        }
        self.groups.push(Cause {
            key: key.clone(),
            reason: safe::start(reason, REASON_MAX),
            tasks: 0,
            rows: 0,
            exact: true,
            numbers: Vec::new(),
            more_numbers: 0,
            values: Vec::new(),
            more_values: false,
        });
        self.places.insert(key, place);
        Some(place)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether any failure is of this kind.
    pub(super) fn has(&self, kind: FailureKind) -> bool {
        self.groups.iter().any(|group| group.key.kind == kind)
    }

    /// The groups in words, those with the most rows first, at most `most`: a headline each, and
    /// lines that go with it. Rows are named by number only where they are all of one task.
    pub(super) fn told(&mut self, most: usize, one_task: bool) -> Vec<(String, Vec<String>)> {
        // The sort is stable, so that equal ones stay in the server's order.
        self.groups
            .sort_by_key(|group| std::cmp::Reverse((group.rows, group.tasks)));
        self.places.clear();
        let shown = self.groups.iter().take(most);
        let mut told: Vec<_> = shown.map(|group| group.told(one_task)).collect();
        let left_out = self.groups.len().saturating_sub(most) as u64;
        if left_out > 0 || self.beyond > 0 {
            told.push((
                "and more causes than fit here; --json has every one".to_owned(),
                vec![],
            ));
        }
        told
    }
}

impl Cause {
    fn illustrate(&mut self, failure: &Failure, examples: usize) {
        let block = failure.first_row.zip(failure.last_row);
        if let Some(numbers) = failure.row.map(|row| (row, row)).or(block) {
            if self.numbers.len() < examples {
                self.numbers.push(numbers);
            } else {
                self.more_numbers += 1;
            }
        }
        if let Some(value) = &failure.value {
            let value = safe::ends(value, VALUE_MAX);
            if !self.values.contains(&value) {
                if self.values.len() < examples {
                    self.values.push(value);
                } else {
                    self.more_values = true;
                }
            }
        }
    }

    fn told(&self, one_task: bool) -> (String, Vec<String>) {
        let (title, meaning) = if self.key == Key::unsaid() {
            (
                "no reason given",
                "the server says neither why nor which rows",
            )
        } else {
            words(self.key.kind)
        };
        let column = self.key.column.as_deref();
        let column = column.map(|column| safe::ends(column, VALUE_MAX));
        let column = column.map(|column| format!(" (column {column})"));
        let rows = match (self.rows, self.exact) {
            (rows, true) => counted(rows, "row"),
            (0, false) => "some rows".to_owned(),
            (rows, false) => format!("at least {}", counted(rows, "row")),
        };
        let tasks = if one_task {
            String::new()
        } else {
            format!(" in {}", counted(self.tasks, "task"))
        };
        let mut headline = format!("{title}{}: {rows}{tasks}", column.unwrap_or_default());
        if !self.values.is_empty() {
            let gap = if self.more_values { ", …" } else { "" };
            headline = format!("{headline}, e.g. {}{gap}", self.values.join(", "));
        }
        let mut lines = Vec::new();
        if one_task && !self.numbers.is_empty() {
            lines.push(self.numbers());
        }
        if self.values.is_empty() && !self.reason.is_empty() {
            lines.push(format!("the server said: {}", self.reason));
        }
        lines.push(meaning.to_owned());
        (headline, lines)
    }

    fn numbers(&self) -> String {
        let shown = self.numbers.iter().map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first} to {last}")
            }
        });
        let shown: Vec<_> = shown.collect();
        let some = if self.key.kind == FailureKind::Block {
            "some of rows"
        } else if shown.len() == 1 && self.more_numbers == 0 {
            "row"
        } else {
            "rows"
        };
        let more = match self.more_numbers {
            0 => String::new(),
            more => format!(" and {} more", number(more)),
        };
        format!("{some} {}{more}", shown.join(", "))
    }
}

/// What a kind of failure is called, and what follows from it by the vendor's rules.
fn words(kind: FailureKind) -> (&'static str, &'static str) {
    match kind {
        FailureKind::ConflictWithTable => (
            "value already in the table",
            "of such a task nothing goes in, whichever row has the value",
        ),
        FailureKind::DuplicateInImport => (
            "value twice in the import",
            "the first row with the value was kept, the later ones were left out",
        ),
        FailureKind::InvalidRow => ("rule broken", "these rows were left out"),
        FailureKind::Block => (
            "rule broken, in blocks of ten rows",
            "some rows of each block were left out; the server does not say which",
        ),
        FailureKind::Unknown => ("another reason", "the server does not say which rows"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Counts;

    fn failure(kind: FailureKind, row: Option<u32>, value: Option<&str>) -> Failure {
        Failure {
            row,
            first_row: None,
            last_row: None,
            kind,
            column: Some("id".to_owned()),
            value: value.map(str::to_owned),
            reason: format!("reason of {kind}"),
        }
    }

    fn task(failed: Option<u32>, failures: Vec<Failure>) -> Settlement {
        let counts = Counts {
            total: Some(1000),
            succeeded: None,
            failed,
        };
        let settlement = Settlement::ours(Outcome::Partial, counts);
        Settlement {
            failures,
            ..settlement
        }
    }

    fn headlines(tasks: &[Settlement]) -> Vec<String> {
        let mut causes = Causes::new(2);
        for task in tasks {
            causes.add(task);
        }
        let told = causes.told(10, false);
        told.into_iter().map(|(headline, _)| headline).collect()
    }

    #[test]
    fn rows_of_one_cause_are_all_that_failed() {
        let conflict = |value| failure(FailureKind::ConflictWithTable, None, Some(value));
        assert_eq!(
            headlines(&[
                task(Some(400), vec![conflict("14")]),
                task(Some(412), vec![conflict("27"), conflict("14")]),
                task(Some(3), vec![conflict("99")]),
            ]),
            ["value already in the table (column id): 815 rows in 3 tasks, e.g. 14, 27, …"]
        );
    }

    #[test]
    fn mixed_causes_are_counted_only_where_each_row_is_listed() {
        let twice = |row| failure(FailureKind::DuplicateInImport, Some(row), Some("14"));
        let broken = |row| failure(FailureKind::InvalidRow, Some(row), None);
        assert_eq!(
            headlines(&[task(Some(3), vec![twice(2), broken(4), broken(5)])]),
            [
                "rule broken (column id): 2 rows in 1 task",
                "value twice in the import (column id): 1 row in 1 task, e.g. 14",
            ]
        );
        assert_eq!(
            headlines(&[task(Some(30), vec![twice(2), broken(4), broken(5)])]),
            [
                "rule broken (column id): at least 2 rows in 1 task",
                "value twice in the import (column id): at least 1 row in 1 task, e.g. 14",
            ]
        );
    }

    #[test]
    fn silence_is_a_cause_and_no_number_is_no_number() {
        assert_eq!(
            headlines(&[task(Some(3), vec![]), task(None, vec![])]),
            ["no reason given: at least 3 rows in 2 tasks"]
        );
        assert_eq!(
            headlines(&[task(None, vec![])]),
            ["no reason given: some rows in 1 task"]
        );
    }

    #[test]
    fn groups_have_a_limit() {
        let odd = |n: usize| Failure {
            reason: format!("reason {n}"),
            ..failure(FailureKind::Unknown, None, None)
        };
        let mut causes = Causes::new(2);
        causes.add(&task(Some(9), (0..GROUPS + 5).map(odd).collect()));
        assert_eq!(causes.groups.len(), GROUPS);
        assert_eq!(causes.told(3, true).len(), 4);
    }
}
