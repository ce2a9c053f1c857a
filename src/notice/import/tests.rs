//! Whole texts, case by case.

use super::*;
use crate::failure::{Failure, FailureKind};
use crate::notice::{BODY_LINES_MAX, BODY_MAX};
use crate::outcome::Settlement;
use crate::task::Counts;
use crate::watch::ImportKey;

const TWO_HOURS: Duration = Duration::from_mins(123);

pub(super) fn settlement(
    outcome: Outcome,
    rows: Option<(u32, u32)>,
    failures: Vec<Failure>,
) -> Settlement {
    Settlement {
        outcome,
        progress: None,
        counts: rows.map_or_else(Counts::default, |(succeeded, failed)| Counts {
            total: Some(succeeded + failed),
            succeeded: Some(succeeded),
            failed: Some(failed),
        }),
        failures,
    }
}

pub(super) fn task(number: u32, settlement: Settlement) -> TaskNews {
    TaskNews {
        id: format!("68ec7ad3e307920f{number:08x}").parse().unwrap(),
        settlement,
        elapsed: TWO_HOURS,
    }
}

fn all_in_full(tasks: u32) -> Vec<TaskNews> {
    let full = || settlement(Outcome::Available, Some((1_000, 0)), Vec::new());
    (0..tasks).map(|number| task(number, full())).collect()
}

pub(super) fn ours(number: u32, outcome: Outcome) -> TaskNews {
    let mut task = task(number, Settlement::ours(outcome, Counts::default()));
    task.elapsed = Duration::from_hours(24);
    task
}

pub(super) fn failure(
    kind: FailureKind,
    row: Option<u32>,
    named: Option<(&str, &str)>,
    reason: &str,
) -> Failure {
    Failure {
        row,
        first_row: None,
        last_row: None,
        kind,
        column: named.map(|(column, _)| column.to_owned()),
        value: named.map(|(_, value)| value.to_owned()),
        reason: reason.to_owned(),
    }
}

pub(super) fn conflict(id: u32) -> Failure {
    let reason = format!("(1062, \"Duplicate entry '{id}' for key 'feed.id'\")");
    let named = ("id", id.to_string());
    failure(
        FailureKind::ConflictWithTable,
        None,
        Some((named.0, named.1.as_str())),
        &reason,
    )
}

fn invalid(row: u32) -> Failure {
    let reason = "`no` is required and must have a value; the current value is invalid or the property is missing.";
    let mut failure = failure(FailureKind::InvalidRow, Some(row), None, reason);
    failure.column = Some("no".to_owned());
    failure
}

/// The news that `tasks` are all there is of an import, but for `pending` more.
pub(super) fn news(import: &str, tasks: Vec<TaskNews>, pending: u64) -> ImportNews {
    let standing = Standing {
        pending,
        ..Standing::of(tasks.iter().map(|task| &task.settlement))
    };
    ImportNews {
        key: ImportKey(1),
        import: import.to_owned(),
        account: "default".parse().unwrap(),
        told: Standing::of(tasks.iter().map(|task| &task.settlement)).settled,
        longest: tasks
            .iter()
            .map(|task| task.elapsed)
            .max()
            .unwrap_or_default(),
        tasks,
        standing,
    }
}

#[track_caller]
pub(super) fn check(news: &ImportNews, urgency: Urgency, tone: Tone, text: &[&str]) {
    let said = wording(news);
    let all = format!("{}\n{}", said.summary, said.body);
    assert_eq!(all.lines().collect::<Vec<_>>(), text);
    assert_eq!((said.urgency, said.tone), (urgency, tone));
    assert!(said.body.chars().count() <= BODY_MAX);
    assert!(said.body.lines().count() <= BODY_LINES_MAX);
}

#[test]
fn one_task_went_in() {
    check(
        &news("products", all_in_full(1), 0),
        Urgency::Normal,
        Tone::Good,
        &[
            "products: all 1,000 rows went in",
            "1 task, finished after 2 h 3 min.",
        ],
    );
    let one_row = settlement(Outcome::Available, Some((1, 0)), Vec::new());
    check(
        &news("products", vec![task(1, one_row)], 0),
        Urgency::Normal,
        Tone::Good,
        &[
            "products: its one row went in",
            "1 task, finished after 2 h 3 min.",
        ],
    );
}

#[test]
fn rows_that_the_server_did_not_count() {
    let uncounted = settlement(Outcome::Available, None, Vec::new());
    check(
        &news("products", vec![task(1, uncounted)], 0),
        Urgency::Normal,
        Tone::Good,
        &[
            "products: everything went in",
            "1 task, finished after 2 h 3 min.",
        ],
    );
    let none = settlement(Outcome::Available, Some((0, 0)), Vec::new());
    check(
        &news("products", vec![task(1, none)], 0),
        Urgency::Normal,
        Tone::Good,
        &[
            "products: everything went in",
            "1 task, finished after 2 h 3 min. The server counted no rows in it.",
        ],
    );
}

#[test]
fn twelve_tasks_went_in() {
    check(
        &news("products", all_in_full(12), 0),
        Urgency::Normal,
        Tone::Good,
        &[
            "products: all 12,000 rows went in",
            "12 tasks, the last finished after 2 h 3 min.",
        ],
    );
}

#[test]
fn some_tasks_went_in_and_others_are_pending() {
    check(
        &news("products", all_in_full(3), 9),
        Urgency::Low,
        Tone::Good,
        &[
            "products: 3 of 12 tasks went in, 9 tasks pending",
            "3,000 rows went in. 12 tasks: 3 in full, 9 still pending.",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn one_task_in_part() {
    let failures = vec![invalid(4), invalid(9), invalid(12), invalid(13)];
    let partial = settlement(Outcome::Partial, Some((996, 4)), failures);
    check(
        &news("products", vec![task(1, partial)], 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: 4 of 1,000 rows did not go in",
            "996 rows went in.",
            "Rows 4, 9, 12 and 1 more: `no` is required and must have a value; the current value is invalid or the property is…",
            "Details: importwatch show --import=products",
        ],
    );
    let uncounted = settlement(Outcome::Partial, None, Vec::new());
    check(
        &news("products", vec![task(1, uncounted)], 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: went in only in part",
            "The server gave no reason.",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn a_conflict_with_the_table_fails_a_task() {
    let failures = (14..19).map(conflict).collect();
    let failed = settlement(Outcome::Failed, Some((0, 1_000)), failures);
    check(
        &news("products", vec![task(1, failed)], 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: none of 1,000 rows went in",
            "Already in the table: id “14”, “15”, “16”, …",
            "Details: importwatch show --import=products",
        ],
    );
    let uncounted = settlement(Outcome::Failed, None, vec![conflict(14)]);
    check(
        &news("products", vec![task(1, uncounted)], 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: failed, nothing went in",
            "Already in the table: id “14”",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn causes_are_grouped_and_the_most_frequent_comes_first() {
    let twice = failure(
        FailureKind::DuplicateInImport,
        Some(2),
        Some(("id", "14")),
        "`id` must be unique, but the value '14' is duplicated (first at row `1`).",
    );
    let mut block = failure(FailureKind::Block, None, None, "bad rows");
    (block.first_row, block.last_row) = (Some(31), Some(40));
    let unknown = failure(FailureKind::Unknown, None, None, "");
    let failures = vec![unknown, twice, block, invalid(7), invalid(8)];
    let partial = settlement(Outcome::Partial, Some((960, 40)), failures);
    check(
        &news("products", vec![task(1, partial)], 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: 40 of 1,000 rows did not go in",
            "960 rows went in.",
            "Rows 7, 8: `no` is required and must have a value; the current value is invalid or the property is…",
            "The server gave no reason.",
            "Twice in the import, the first kept: id “14”",
            "… and 1 more cause.",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn rows_of_several_tasks_are_counted_and_not_named() {
    let partial = |row| settlement(Outcome::Partial, Some((999, 1)), vec![invalid(row)]);
    let mut tasks = all_in_full(2);
    tasks.extend([task(8, partial(4)), task(9, partial(5))]);
    check(
        &news("products", tasks, 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: 2 of 4,000 rows did not go in",
            "3,998 rows went in. 4 tasks: 2 in full, 2 in part.",
            "2 rows: `no` is required and must have a value; the current value is invalid or the property is…",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn failures_while_tasks_are_pending() {
    let failed = settlement(Outcome::Failed, Some((0, 1_000)), vec![conflict(14)]);
    check(
        &news("products", vec![task(1, failed)], 1),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: 1,000 rows did not go in, 1 task pending",
            "No rows went in. 2 tasks: 1 failed, 1 still pending.",
            "Already in the table: id “14”",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn the_last_notice_tells_of_what_failed_before() {
    let mut last = news("products", all_in_full(1), 0);
    last.standing.settled.failed = 1;
    last.standing.rows_failed = Some(1_000);
    check(
        &last,
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: 1,000 of 2,000 rows did not go in",
            "1,000 rows went in. 2 tasks: 1 in full, 1 failed.",
            "Details: importwatch show --import=products",
        ],
    );
    last.standing.pending = 3;
    check(
        &last,
        Urgency::Low,
        Tone::Good,
        &[
            "products: 1 of 5 tasks went in, 3 tasks pending",
            "1,000 rows went in. 5 tasks: 1 in full, 1 failed, 3 still pending.",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn a_standing_that_lags_behind_hides_no_failure() {
    let partial = settlement(Outcome::Partial, Some((996, 4)), vec![invalid(4)]);
    let mut stale = news("products", vec![task(1, partial)], 0);
    stale.standing = Standing::of(all_in_full(1).iter().map(|task| &task.settlement));
    let said = wording(&stale);
    assert_eq!(said.urgency, Urgency::Critical);
    assert_eq!(said.summary, "products: 4 of 1,004 rows did not go in");
}

#[test]
fn an_expired_task_has_not_failed() {
    check(
        &news("products", vec![ours(1, Outcome::Expired)], 0),
        Urgency::Normal,
        Tone::Unsure,
        &[
            "products: the server still had not finished after 24 h",
            "Not finished after 24 h: 68ec7ad3e307920f00000001. Add it again to watch on.",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn a_missing_task_is_not_known() {
    let tasks = vec![ours(1, Outcome::Missing), ours(2, Outcome::Missing)];
    check(
        &news("products", tasks, 0),
        Urgency::Normal,
        Tone::Unsure,
        &[
            "products: the server does not know 2 of 2 tasks",
            "2 tasks: 2 unknown.",
            "Unknown to the server: 68ec7ad3e307920f00000001 and 1 more. Check id and key.",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn a_refused_id() {
    check(
        &news("products", vec![ours(1, Outcome::Refused)], 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: the server will not take the task's id",
            "Refused: 68ec7ad3e307920f00000001. Was it copied right?",
            "Details: importwatch show --import=products",
        ],
    );
}

#[test]
fn a_mix_tells_failures_first() {
    let mut tasks = all_in_full(8);
    let failed = settlement(Outcome::Failed, Some((0, 1_000)), vec![conflict(14)]);
    tasks.push(task(8, failed));
    tasks.extend([Outcome::Expired, Outcome::Missing, Outcome::Refused].map(|o| ours(9, o)));
    check(
        &news("products", tasks, 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: 1,000 rows did not go in",
            "8,000 rows went in. 12 tasks: 8 in full, 1 failed, 1 refused, 1 unknown, 1 not finished.",
            "Already in the table: id “14”",
            "Refused: 68ec7ad3e307920f00000009. Was it copied right?",
            "Unknown to the server: 68ec7ad3e307920f00000009. Check id and key.",
            "Details: importwatch show --import=products",
        ],
    );
    let tasks = vec![ours(1, Outcome::Expired), ours(2, Outcome::Missing)];
    assert_eq!(
        wording(&news("products", tasks, 0)).summary,
        "products: no result for 2 of 2 tasks"
    );
}

#[test]
fn a_thousand_failures() {
    let failures = (0..1_000).map(conflict).collect();
    let failed = settlement(Outcome::Failed, Some((0, 1_000)), failures);
    let tasks = (0..1_000)
        .map(|number| task(number, failed.clone()))
        .collect();
    check(
        &news("products", tasks, 0),
        Urgency::Critical,
        Tone::Bad,
        &[
            "products: none of 1,000,000 rows went in",
            "No rows went in. 1,000 tasks: 1,000 failed.",
            "Already in the table: id “0”, “1”, “2”, …",
            "Details: importwatch show --import=products",
        ],
    );
}
