//! What no wording may ever do, whatever the server and the user wrote.

use proptest::prelude::*;

use super::tests::{check, conflict, failure, news, ours, settlement, task};
use super::*;
use crate::failure::{Failure, FailureKind};
use crate::notice::{BODY_LINES_MAX, BODY_MAX, SUMMARY_MAX, Subject};
use crate::outcome::Settlement;
use crate::task::Counts;
use crate::watch::ImportKey;

#[test]
fn hostile_text_stays_on_its_line() {
    let reason = "no\0\u{1b}[31m\r\n\u{202e}<b>all rows</b> went &amp; in\u{200b}";
    let mut hostile = failure(FailureKind::InvalidRow, Some(1), None, reason);
    let mut duplicate = conflict(1);
    hostile.column = None;
    duplicate.column = Some("i\nd\u{2066}".to_owned());
    duplicate.value = Some("x".repeat(30) + "\n" + &"y".repeat(30));
    let failed = settlement(Outcome::Failed, Some((0, 2)), vec![hostile, duplicate]);
    check(
        &news("shop\n\u{202e}two", vec![task(1, failed)], 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "shop two: none of 2 rows went in",
            "Row 1: no[31m <b>all rows</b> went &amp; in",
            "Already in the table: i d “xxxxxxxxxxxx…yyyyyyyyyyy”",
            "Details: importwatch list --settled",
        ],
    );
}

#[test]
fn long_names_lose_their_middle_and_their_command() {
    let long = "catalogue-".repeat(20) + "2026";
    let mut expired = ours(1, Outcome::Expired);
    expired.id = format!("a{}z", "-".repeat(120)).parse().unwrap();
    check(
        &news(&long, vec![expired], 0),
        Urgency::Normal,
        Tone::Unsure,
        &[
            "catalogue-catalogue-…ogue-catalogue-2026: the server still had not finished after 24 h",
            "Not finished after 24 h: a-------------------…------------------z. Add it again to watch on.",
            "Details: importwatch list --settled",
        ],
    );
}

#[test]
fn the_command_can_be_typed() {
    for (name, command) in [
        ("products", "importwatch show --import=products"),
        ("-f", "importwatch show --import=-f"),
        (
            "spring sale $1",
            "importwatch show --import='spring sale $1'",
        ),
        ("it's", "importwatch list --settled"),
        ("", "importwatch list --settled"),
        ("two  spaces", "importwatch list --settled"),
    ] {
        assert_eq!(show_command(name), command);
    }
}

/// Text in which everything occurs that must not be shown, and no letter of which is an l: so no
/// wording with "all" in it can stem from it.
fn hostile() -> impl Strategy<Value = String> {
    "[a-k<>&'`\"\u{0}\u{1b}\n\r\u{9b}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2066}-\u{2069}\u{feff}é日 ]{0,200}"
}

fn any_failure() -> impl Strategy<Value = Failure> {
    let kind = prop::sample::select(vec![
        FailureKind::ConflictWithTable,
        FailureKind::DuplicateInImport,
        FailureKind::InvalidRow,
        FailureKind::Block,
        FailureKind::Unknown,
    ]);
    let number = || prop::option::of(any::<u32>());
    let text = || prop::option::of(hostile());
    (
        kind,
        number(),
        number(),
        number(),
        text(),
        text(),
        hostile(),
    )
        .prop_map(
            |(kind, row, first_row, last_row, column, value, reason)| Failure {
                row,
                first_row,
                last_row,
                kind,
                column,
                value,
                reason,
            },
        )
}

fn any_task() -> impl Strategy<Value = TaskNews> {
    let outcome = prop::sample::select(Outcome::ALL.to_vec());
    let count = || prop::option::of(any::<u32>());
    let failures = prop::collection::vec(any_failure(), 0..6);
    let counts = (count(), count(), count());
    ("[a-k]{1,128}", outcome, counts, failures, any::<Duration>()).prop_map(
        |(id, outcome, (total, succeeded, failed), failures, elapsed)| TaskNews {
            id: id.parse().unwrap(),
            settlement: Settlement {
                outcome,
                progress: None,
                counts: Counts {
                    total,
                    succeeded,
                    failed,
                },
                failures,
            },
            elapsed,
        },
    )
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let count = || prop_oneof![Just(0), 0..2_000_u64, any::<u64>()];
    let settled = [(); 6].map(|()| count());
    let rows = || prop::option::of(count());
    (count(), settled, rows(), rows()).prop_map(|(pending, settled, rows_in, rows_failed)| {
        let [available, partial, failed, expired, missing, refused] = settled;
        Standing {
            pending,
            settled: Tally {
                available,
                partial,
                failed,
                expired,
                missing,
                refused,
            },
            rows_in,
            rows_failed,
        }
    })
}

fn any_news() -> impl Strategy<Value = ImportNews> {
    let tasks = prop::collection::vec(any_task(), 1..8);
    (hostile(), tasks, any_standing()).prop_map(|(import, tasks, standing)| ImportNews {
        key: ImportKey(1),
        import,
        account: "default".parse().unwrap(),
        told: Standing::of(tasks.iter().map(|task| &task.settlement)).settled,
        longest: tasks
            .iter()
            .map(|task| task.elapsed)
            .max()
            .unwrap_or_default(),
        tasks,
        standing,
    })
}

#[test]
fn absurd_numbers_leave_the_command_whole() {
    let mut absurd = news("x", vec![ours(1, Outcome::Expired)], u64::MAX);
    let each = u64::MAX - 1;
    absurd.standing.rows_in = Some(each);
    absurd.standing.settled = Tally {
        available: each,
        partial: each,
        failed: each,
        expired: each,
        missing: each,
        refused: each,
    };
    let body = wording(&absurd).body;
    assert!(
        body.ends_with("\nDetails: importwatch show --import=x"),
        "{body}"
    );
}

proptest! {
    #[test]
    fn wording_keeps_its_limits_and_never_calls_part_of_an_import_all_of_it(news in any_news()) {
        let said = crate::notice::wording(&crate::notice::Notice {
            subject: Subject::Import(news.clone()),
        });
        prop_assert!(said.summary.chars().count() <= SUMMARY_MAX);
        prop_assert!(said.body.chars().count() <= BODY_MAX);
        prop_assert!(said.body.lines().count() <= BODY_LINES_MAX);
        prop_assert_eq!(safe::one_line(&said.summary), said.summary.clone());
        for line in said.body.lines() {
            prop_assert_eq!(safe::one_line(line), line);
        }

        let bad = |outcome| {
            news.standing.settled.of(outcome) > 0
                || news.tasks.iter().any(|task| task.settlement.outcome == outcome)
        };
        let incomplete = news.standing.pending > 0
            || Outcome::ALL.into_iter().any(|o| o != Outcome::Available && bad(o));
        let text = format!("{}\n{}", said.summary, said.body);
        let complete = ["all ", "everything went in", "its one row went in", "the last finished"];
        let claims = complete.iter().any(|claim| text.contains(claim));
        prop_assert_eq!(claims, !incomplete, "{}", text);
        if incomplete && news.standing.pending == 0 {
            prop_assert_ne!(said.tone, Tone::Good);
        }
    }
}
