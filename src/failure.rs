//! What a refused row means, by the vendor's rules, as a type.
//!
//! The kind comes from the entry's fields and from its reason, which is the database's own text: it
//! is searched for the few phrases that are known, and otherwise passed on untouched. Nothing here
//! makes the text safe to show; whoever shows it does.

use std::fmt;
use std::str::FromStr;

use crate::task::{Counts, FailDetail, RowField};

/// A row, or some rows, that the server refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The row, counted as the server counts, where it named one.
    pub row: Option<u32>,
    /// The first row of the block that the server named instead, where it named one.
    pub first_row: Option<u32>,
    /// The last row of that block.
    pub last_row: Option<u32>,
    /// What happened.
    pub kind: FailureKind,
    /// The column that the reason names. Hostile.
    pub column: Option<String>,
    /// The value that the reason names. Hostile.
    pub value: Option<String>,
    /// The server's reason. Hostile.
    pub reason: String,
}

/// What happened to a refused row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// A value was in the table already, in a column that must be unique. Nothing of the task was
    /// imported.
    ConflictWithTable,
    /// A value came twice in the import: the first row was kept, this one discarded.
    DuplicateInImport,
    /// A format or a rule was broken: this row was not imported.
    InvalidRow,
    /// Some rows of a block of ten were not imported; which, is not said.
    Block,
    /// None of the above by its signs.
    Unknown,
}

impl FailureKind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::ConflictWithTable, "conflict_with_table"),
        (Self::DuplicateInImport, "duplicate_in_import"),
        (Self::InvalidRow, "invalid_row"),
        (Self::Block, "block"),
        (Self::Unknown, "unknown"),
    ];

    /// The kind's name in JSON and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConflictWithTable => "conflict_with_table",
            Self::DuplicateInImport => "duplicate_in_import",
            Self::InvalidRow => "invalid_row",
            Self::Block => "block",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a kind of failure")]
pub struct UnknownKind;

impl FromStr for FailureKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(kind, _)| *kind).ok_or(UnknownKind)
    }
}

/// What a phrase of the reason tells: the kind, the column, and the value.
struct Phrase<'a> {
    kind: FailureKind,
    column: Option<&'a str>,
    value: Option<&'a str>,
}

/// What one entry of `fail_detail` means, `counts` being its task's.
#[must_use]
pub fn explain(detail: FailDetail, counts: Counts) -> Failure {
    let row = match detail.row {
        RowField::Row(row) => Some(row),
        RowField::Absent | RowField::Null => None,
    };
    let block = block(&detail);
    let phrase = phrase(&detail.reason);
    let kind = match (&phrase, row, block) {
        (Some(phrase), None, Some(_)) if phrase.kind == FailureKind::InvalidRow => {
            FailureKind::Block
        }
        (Some(phrase), _, _) => phrase.kind,
        (None, Some(_), _) => FailureKind::InvalidRow,
        (None, None, _) if nothing_went_in(&detail, counts) => FailureKind::ConflictWithTable,
        (None, None, Some(_)) => FailureKind::Block,
        (None, None, None) => FailureKind::Unknown,
    };
    // For a conflict with the table the vendor's range is that of a chunk, not of the rows.
    let shown = block.filter(|_| kind != FailureKind::ConflictWithTable && row.is_none());
    let (column, value) = phrase.map_or((None, None), |p| {
        (p.column.map(str::to_owned), p.value.map(str::to_owned))
    });
    Failure {
        row,
        first_row: shown.map(|(first, _)| first),
        last_row: shown.map(|(_, last)| last),
        kind,
        column,
        value,
        reason: detail.reason,
    }
}

/// The rows of a block, where the entry names one: both ends at least 1 and in order.
fn block(detail: &FailDetail) -> Option<(u32, u32)> {
    let (start, end) = (detail.start?, detail.end?);
    (start >= 1 && end >= start).then_some((start, end))
}

/// The signs by which the vendor tells a conflict with the table: `row` null, and all rows failed.
fn nothing_went_in(detail: &FailDetail, counts: Counts) -> bool {
    detail.row == RowField::Null && counts.failed.is_some() && counts.failed == counts.total
}

fn phrase(reason: &str) -> Option<Phrase<'_>> {
    duplicate_entry(reason)
        .or_else(|| duplicated_in_import(reason))
        .or_else(|| broken_rule(reason))
}

/// `Duplicate entry 'VALUE' for key 'TABLE.COLUMN'`, the database's error 1062.
fn duplicate_entry(reason: &str) -> Option<Phrase<'_>> {
    let (_, rest) = reason.split_once("Duplicate entry '")?;
    // The value may itself contain the separator, the key cannot: so the last one counts.
    let (value, key) = rest.rsplit_once("' for key '")?;
    let (key, _) = key.split_once('\'')?;
    let column = key.rsplit_once('.').map_or(key, |(_, column)| column);
    Some(Phrase {
        kind: FailureKind::ConflictWithTable,
        column: Some(column),
        value: Some(value),
    })
}

/// `` `COLUMN` must be unique, but the value 'VALUE' is duplicated (first at row `N`).``
fn duplicated_in_import(reason: &str) -> Option<Phrase<'_>> {
    let (column, rest) = column(reason)?;
    let rest = rest.strip_prefix(" must be unique, but the value '")?;
    let (value, _) = rest.rsplit_once("' is duplicated")?;
    Some(Phrase {
        kind: FailureKind::DuplicateInImport,
        column: Some(column),
        value: Some(value),
    })
}

/// A sentence about a column: `` `COLUMN` is …`` or `` `COLUMN` must …``, with the value where one
/// is quoted.
fn broken_rule(reason: &str) -> Option<Phrase<'_>> {
    let (column, rest) = column(reason)?;
    if ![" is ", " must ", " should ", " has ", " cannot "]
        .iter()
        .any(|verb| rest.starts_with(verb))
    {
        return None;
    }
    let value = rest
        .split_once("the value '")
        .and_then(|(_, rest)| rest.split_once('\''))
        .map(|(value, _)| value);
    Some(Phrase {
        kind: FailureKind::InvalidRow,
        column: Some(column),
        value,
    })
}

fn column(reason: &str) -> Option<(&str, &str)> {
    let (column, rest) = reason.trim_start().strip_prefix('`')?.split_once('`')?;
    (!column.is_empty()).then_some((column, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_OF_FOUR: Counts = Counts {
        total: Some(4),
        succeeded: Some(0),
        failed: Some(4),
    };
    const SOME: Counts = Counts {
        total: Some(4),
        succeeded: Some(2),
        failed: Some(2),
    };
    const REQUIRED: &str = "`no` is required and must have a value; the current value is invalid or the property is missing. `no` must be unique, but the value is empty or the property is missing.";

    fn detail(row: RowField, range: (u32, u32), reason: &str) -> FailDetail {
        FailDetail {
            row,
            start: Some(range.0),
            end: Some(range.1),
            reason: reason.to_owned(),
        }
    }

    fn failure(kind: FailureKind, row: Option<u32>, block: Option<(u32, u32)>) -> Failure {
        Failure {
            row,
            first_row: block.map(|(first, _)| first),
            last_row: block.map(|(_, last)| last),
            kind,
            column: None,
            value: None,
            reason: String::new(),
        }
    }

    #[track_caller]
    fn check(
        detail: FailDetail,
        counts: Counts,
        named: Option<(&str, Option<&str>)>,
        expected: &Failure,
    ) {
        let expected = Failure {
            column: named.map(|(column, _)| column.to_owned()),
            value: named.and_then(|(_, value)| value.map(str::to_owned)),
            reason: detail.reason.clone(),
            ..expected.clone()
        };
        assert_eq!(explain(detail, counts), expected);
    }

    #[test]
    fn conflict_with_the_table_hides_the_range() {
        check(
            detail(
                RowField::Null,
                (1, 2),
                "(1062, \"Duplicate entry '14' for key 'product_feed_090833.id'\")",
            ),
            ALL_OF_FOUR,
            Some(("id", Some("14"))),
            &failure(FailureKind::ConflictWithTable, None, None),
        );
        check(
            detail(RowField::Null, (1, 2), "rolled back"),
            ALL_OF_FOUR,
            None,
            &failure(FailureKind::ConflictWithTable, None, None),
        );
        check(
            detail(
                RowField::Null,
                (1, 2),
                "(1062, \"Duplicate entry 'it's' for key 'x' for key 'id'\")",
            ),
            ALL_OF_FOUR,
            Some(("id", Some("it's' for key 'x"))),
            &failure(FailureKind::ConflictWithTable, None, None),
        );
    }

    #[test]
    fn duplicate_in_the_import_names_the_later_row() {
        check(
            detail(
                RowField::Row(2),
                (0, 0),
                "`id` must be unique, but the value '14' is duplicated (first at row `1`).",
            ),
            ALL_OF_FOUR,
            Some(("id", Some("14"))),
            &failure(FailureKind::DuplicateInImport, Some(2), None),
        );
        check(
            detail(
                RowField::Absent,
                (0, 0),
                "`id` must be unique, but the value 'it's' is duplicated (first at row `1`).",
            ),
            SOME,
            Some(("id", Some("it's"))),
            &failure(FailureKind::DuplicateInImport, None, None),
        );
    }

    #[test]
    fn a_broken_rule_names_its_row_or_does_not() {
        check(
            detail(RowField::Row(4), (0, 0), REQUIRED),
            ALL_OF_FOUR,
            Some(("no", None)),
            &failure(FailureKind::InvalidRow, Some(4), None),
        );
        check(
            detail(RowField::Absent, (0, 0), REQUIRED),
            SOME,
            Some(("no", None)),
            &failure(FailureKind::InvalidRow, None, None),
        );
        check(
            detail(RowField::Row(7), (0, 0), "no idea"),
            SOME,
            None,
            &failure(FailureKind::InvalidRow, Some(7), None),
        );
    }

    #[test]
    fn older_versions_name_a_block() {
        check(
            detail(RowField::Absent, (31, 40), "fail reason"),
            Counts::default(),
            None,
            &failure(FailureKind::Block, None, Some((31, 40))),
        );
        check(
            detail(RowField::Absent, (1, 10), REQUIRED),
            ALL_OF_FOUR,
            Some(("no", None)),
            &failure(FailureKind::Block, None, Some((1, 10))),
        );
    }

    #[test]
    fn what_has_no_sign_is_unknown() {
        for (row, range) in [
            (RowField::Absent, (0, 0)),
            (RowField::Null, (9, 3)),
            (RowField::Absent, (0, 5)),
        ] {
            check(
                detail(row, range, "fail reason"),
                SOME,
                None,
                &failure(FailureKind::Unknown, None, None),
            );
        }
        check(
            FailDetail {
                row: RowField::Absent,
                start: None,
                end: None,
                reason: "``".to_owned(),
            },
            SOME,
            None,
            &failure(FailureKind::Unknown, None, None),
        );
    }

    #[test]
    fn kinds_read_back() {
        for (kind, name) in FailureKind::ALL {
            assert_eq!(kind.as_str(), name);
            assert_eq!(name.parse(), Ok(kind));
        }
    }
}
