//! What is said of a task and of an import in a few words, and in which colour.
//!
//! Nothing of what the server said is in it unless it was made safe.

use anstyle::{AnsiColor, Style};

use crate::cli::times::Now;
use crate::failure::{Failure, FailureKind};
use crate::notice::amount::{counted, number};
use crate::notice::safe;
use crate::outcome::{Outcome, Settlement};
use crate::watch::{Standing, State, Watch};

/// The most characters of a value or a column's name that are shown.
const VALUE_MAX: usize = 24;
/// The most characters of a reason that are shown in passing.
const REASON_MAX: usize = 100;

/// What stands out: headings and ids that a person looks for.
pub(super) const STRONG: Style = Style::new().bold();
/// What is there for completeness.
pub(super) const FAINT: Style = Style::new().dimmed();

/// The colour of an outcome; `None` is pending.
pub(super) fn style(outcome: Option<Outcome>) -> Style {
    let colour = match outcome {
        None => AnsiColor::Cyan,
        Some(Outcome::Available) => AnsiColor::Green,
        Some(Outcome::Failed | Outcome::Refused) => AnsiColor::Red,
        Some(Outcome::Partial | Outcome::Expired | Outcome::Missing) => AnsiColor::Yellow,
    };
    Style::new().fg_color(Some(colour.into()))
}

/// The outcome of a watch, if it has one.
pub(super) fn outcome(watch: &Watch) -> Option<Outcome> {
    match &watch.state {
        State::Pending(_) => None,
        State::Settled { settlement, .. } => Some(settlement.outcome),
    }
}

/// `pending`, or the outcome's name.
pub(super) fn state(outcome: Option<Outcome>) -> &'static str {
    outcome.map_or("pending", Outcome::as_str)
}

/// What there is to know of a task beside its state, in one short line.
pub(super) fn about(watch: &Watch, now: &Now) -> String {
    let settlement = match &watch.state {
        State::Settled { settlement, .. } => settlement,
        State::Pending(_) => return progress(watch, now),
    };
    let rows = match settlement.outcome {
        Outcome::Expired => return "still pending when its time was up".to_owned(),
        Outcome::Missing => return "the server does not know it".to_owned(),
        Outcome::Refused => return "the server does not take this id".to_owned(),
        Outcome::Available | Outcome::Partial | Outcome::Failed => rows(settlement),
    };
    match settlement.failures.first() {
        Some(failure) => format!("{rows}: {}", cause(failure)),
        None => rows,
    }
}

fn progress(watch: &Watch, now: &Now) -> String {
    let Some(polled_at) = watch.polled_at else {
        return "not asked yet".to_owned();
    };
    let asked = format!("asked {}", now.distance(polled_at));
    match watch.progress {
        Some(progress) => format!("{progress} %, {asked}"),
        None => asked,
    }
}

/// How many rows of a task went in and how many did not, as far as the server told.
pub(super) fn rows(settlement: &Settlement) -> String {
    match (settlement.rows_in(), settlement.failed_rows()) {
        (Some(0), Some(failed @ 1..)) => format!("none of {} in", number(failed)),
        (Some(rows), Some(0)) => format!("{} in", counted(rows, "row")),
        (Some(rows), Some(failed)) => {
            let all = number(rows.saturating_add(failed));
            format!("{} of {all} not in", number(failed))
        }
        (_, Some(failed @ 1..)) => format!("{} not in", counted(failed, "row")),
        _ if settlement.outcome == Outcome::Available => "every row in".to_owned(),
        _ if settlement.outcome == Outcome::Failed => "no row in".to_owned(),
        _ => "some rows not in".to_owned(),
    }
}

/// Rows in and out of the table, where either number may not be known.
pub(super) fn in_the_table(rows_in: Option<u64>, rows_failed: Option<u64>) -> String {
    match (rows_in, rows_failed) {
        (Some(0), Some(0)) => "none".to_owned(),
        (Some(rows), Some(0)) => format!("all {} in the table", number(rows)),
        (Some(0), Some(failed)) => format!("none of {} in the table", number(failed)),
        (Some(rows), Some(failed)) => {
            format!("{} in the table, {} not", number(rows), number(failed))
        }
        (Some(rows), None) => format!(
            "{} in the table, it is not known how many not",
            number(rows)
        ),
        (None, Some(failed)) => {
            format!(
                "{} not in the table, it is not known how many are",
                number(failed)
            )
        }
        (None, None) => "the server did not give their numbers".to_owned(),
    }
}

/// Why a row did not go in, in a few words.
pub(super) fn cause(failure: &Failure) -> String {
    let named = match (&failure.column, &failure.value) {
        (Some(column), Some(value)) => format!(
            "{} \"{}\" ",
            safe::ends(column, VALUE_MAX),
            safe::ends(value, VALUE_MAX)
        ),
        _ => String::new(),
    };
    match failure.kind {
        FailureKind::ConflictWithTable if !named.is_empty() => {
            format!("{named}already in the table")
        }
        FailureKind::ConflictWithTable => "a value already in the table".to_owned(),
        FailureKind::DuplicateInImport if !named.is_empty() => {
            format!("{named}twice in the import")
        }
        FailureKind::DuplicateInImport => "a value twice in the import".to_owned(),
        FailureKind::InvalidRow | FailureKind::Block | FailureKind::Unknown => {
            let reason = safe::start(&failure.reason, REASON_MAX);
            if reason.is_empty() {
                "the server gave no reason".to_owned()
            } else {
                reason
            }
        }
    }
}

/// The tasks of an import by what became of them, those first that need someone.
pub(super) fn counts(standing: &Standing) -> Vec<(Option<Outcome>, u64)> {
    let order = [
        Some(Outcome::Failed),
        Some(Outcome::Refused),
        Some(Outcome::Partial),
        Some(Outcome::Expired),
        Some(Outcome::Missing),
        Some(Outcome::Available),
        None,
    ];
    let count = |outcome: Option<Outcome>| match outcome {
        Some(outcome) => standing.settled.of(outcome),
        None => standing.pending,
    };
    let all = order.map(|outcome| (outcome, count(outcome)));
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// How much of an import has settled, drawn: `[######....] 60 %`. It is full only when all has.
pub(super) fn bar(standing: &Standing) -> String {
    const CELLS: u64 = 10;
    let share = |of: u64| {
        let (settled, tasks) = (standing.settled.total(), standing.tasks().max(1));
        u64::try_from(u128::from(settled) * u128::from(of) / u128::from(tasks)).unwrap_or(of)
    };
    let done = usize::try_from(share(CELLS)).unwrap_or_default();
    let left = usize::try_from(CELLS).unwrap_or_default() - done;
    format!(
        "[{}{}] {} %",
        "#".repeat(done),
        ".".repeat(left),
        share(100)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Counts;

    fn settled(outcome: Outcome, counts: [Option<u32>; 3]) -> String {
        let [total, succeeded, failed] = counts;
        let counts = Counts {
            total,
            succeeded,
            failed,
        };
        rows(&Settlement::ours(outcome, counts))
    }

    #[test]
    fn rows_are_said_as_far_as_they_are_known() {
        use Outcome::{Available, Failed, Partial};
        for (outcome, counts, expected) in [
            (Available, [Some(4), Some(4), Some(0)], "4 rows in"),
            (Available, [None, None, None], "every row in"),
            (
                Partial,
                [Some(1000), Some(988), Some(12)],
                "12 of 1,000 not in",
            ),
            (Partial, [None, None, None], "some rows not in"),
            (Partial, [None, None, Some(1)], "1 row not in"),
            (Failed, [Some(4), Some(0), Some(4)], "none of 4 in"),
            (Failed, [None, None, None], "no row in"),
        ] {
            assert_eq!(settled(outcome, counts), expected);
        }
    }

    #[test]
    fn a_bar_is_full_only_at_the_end() {
        let standing = |pending, available| {
            let mut standing = Standing {
                pending,
                ..Standing::default()
            };
            standing.settled.available = available;
            bar(&standing)
        };
        assert_eq!(standing(1, 0), "[..........] 0 %");
        assert_eq!(standing(300, 700), "[#######...] 70 %");
        assert_eq!(standing(1, 999_999), "[#########.] 99 %");
        assert_eq!(standing(0, 3), "[##########] 100 %");
        assert_eq!(standing(0, 0), "[..........] 0 %");
    }

    #[test]
    fn a_hostile_reason_is_one_safe_line() {
        let mut failure = Failure {
            row: None,
            first_row: None,
            last_row: None,
            kind: FailureKind::Unknown,
            column: None,
            value: None,
            reason: "\u{1b}[31mred\nalert\u{202e}".to_owned(),
        };
        assert_eq!(cause(&failure), "[31mred alert");
        failure.kind = FailureKind::ConflictWithTable;
        failure.column = Some("id\n".to_owned());
        failure.value = Some("\u{1b}14".to_owned());
        assert_eq!(cause(&failure), "id \"14\" already in the table");
    }
}
