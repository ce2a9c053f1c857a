//! What other programs read of an import's result: one line of JSON, whose fields may be added and
//! never changed.
//!
//! What the server said is in it as it came, escaped as JSON and cut where it is long; nothing of it
//! is safe to show, but for `summary` and `body`, which are the words of the notice.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::account::AccountName;
use crate::failure::{Failure, FailureKind};
use crate::notice::{ImportNews, TaskNews, import};
use crate::outcome::Outcome;
use crate::watch::{Import, Standing, State, Watch};

/// The most tasks that are listed, those that did not go in whole first.
const TASKS: usize = 1_000;
/// The most causes.
const CAUSES: usize = 100;
/// The most examples of a cause.
const EXAMPLES: usize = 10;
/// The most characters of a column's name, a value or a reason.
const TEXT_MAX: usize = 1_000;
/// Tasks that the words are made of.
const WORDED: usize = 100;

/// What is known of an import while its tasks are read, each once and in any order.
#[derive(Debug, Default)]
pub struct Report {
    accounts: BTreeSet<AccountName>,
    bad: Vec<Task>,
    good: Vec<Task>,
    left_out: u64,
    causes: Vec<Cause>,
    places: HashMap<(FailureKind, bool, String), usize>,
    causes_left_out: u64,
    settled_at: Option<Timestamp>,
    longest: Duration,
    worded: Vec<TaskNews>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    version: u8,
    import: &'a str,
    accounts: Vec<&'a str>,
    summary: String,
    body: String,
    started_at: String,
    settled_at: Option<String>,
    tasks: u64,
    available: u64,
    partial: u64,
    failed: u64,
    expired: u64,
    missing: u64,
    refused: u64,
    rows_in: Option<u64>,
    rows_failed: Option<u64>,
    failures: &'a [Cause],
    failures_left_out: u64,
    results: Vec<&'a Task>,
    results_left_out: u64,
}

#[derive(Debug, Serialize)]
struct Task {
    id: String,
    account: String,
    state: &'static str,
    total: Option<u32>,
    succeeded: Option<u32>,
    failed: Option<u32>,
    added_at: String,
    settled_at: String,
}

/// Failures that have their kind and their column in common, or where no column is known their
/// reason.
#[derive(Debug, Serialize)]
struct Cause {
    kind: &'static str,
    column: Option<String>,
    /// The first one's.
    reason: String,
    /// How many entries of the server's lists it stands for; one may stand for up to ten rows.
    entries: u64,
    examples: Vec<Example>,
}

#[derive(Debug, Serialize)]
struct Example {
    task: String,
    row: Option<u32>,
    first_row: Option<u32>,
    last_row: Option<u32>,
    value: Option<String>,
}

impl Report {
    /// Takes in a task of the import; one that is pending says nothing.
    pub fn take(&mut self, watch: Watch) {
        let State::Settled { at, settlement } = watch.state else {
            return;
        };
        let elapsed = at.duration_since(watch.added_at);
        let elapsed = Duration::try_from(elapsed).unwrap_or(Duration::ZERO);
        self.longest = self.longest.max(elapsed);
        self.settled_at = self.settled_at.max(Some(at));
        for failure in &settlement.failures {
            self.take_failure(&watch.id.to_string(), failure);
        }
        let is_good = settlement.outcome == Outcome::Available;
        if self.good.len() + self.bad.len() >= TASKS {
            self.left_out += 1;
        }
        let task = Task {
            id: watch.id.to_string(),
            account: watch.account.to_string(),
            state: settlement.outcome.as_str(),
            total: settlement.counts.total,
            succeeded: settlement.counts.succeeded,
            failed: settlement.counts.failed,
            added_at: time(watch.added_at),
            settled_at: time(at),
        };
        let list = if is_good {
            &mut self.good
        } else {
            &mut self.bad
        };
        if list.len() < TASKS {
            list.push(task);
        }
        self.good.truncate(TASKS - self.bad.len());
        if !is_good && self.worded.len() < WORDED {
            self.worded.push(TaskNews {
                id: watch.id,
                settlement,
                elapsed,
            });
        }
        self.accounts.insert(watch.account);
    }

    fn take_failure(&mut self, task: &str, failure: &Failure) {
        let column = failure.column.as_deref().map(cut);
        let reason = cut(&failure.reason);
        let common = column.as_ref().unwrap_or(&reason).clone();
        let key = (failure.kind, column.is_some(), common);
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if self.causes.len() == CAUSES => {
                self.causes_left_out += 1;
                return;
            }
            None => {
                self.places.insert(key, self.causes.len());
                self.causes.push(Cause {
                    kind: failure.kind.as_str(),
                    column,
                    reason,
                    entries: 0,
                    examples: Vec::new(),
                });
                self.causes.len() - 1
            }
        };
        let cause = &mut self.causes[place];
        cause.entries += 1;
        if cause.examples.len() < EXAMPLES {
            cause.examples.push(Example {
                task: task.to_owned(),
                row: failure.row,
                first_row: failure.first_row,
                last_row: failure.last_row,
                value: failure.value.as_deref().map(cut),
            });
        }
    }

    /// The line, with `standing` being that of the whole import, and nothing of it pending.
    ///
    /// # Errors
    ///
    /// The serializer's, which has no reason for any.
    pub fn line(mut self, of: &Import, standing: Standing) -> Result<String, serde_json::Error> {
        let account = self.accounts.first().cloned();
        let news = ImportNews {
            key: of.key,
            import: of.name.clone(),
            account: account.unwrap_or_else(AccountName::default_account),
            tasks: std::mem::take(&mut self.worded),
            told: standing.settled,
            longest: self.longest,
            standing,
        };
        let said = import::wording(&news);
        self.causes
            .sort_by_key(|cause| std::cmp::Reverse(cause.entries));
        let settled = standing.settled;
        serde_json::to_string(&Line {
            version: 1,
            import: &of.name,
            accounts: self.accounts.iter().map(AccountName::as_str).collect(),
            summary: said.summary,
            body: said.body,
            started_at: time(of.started_at),
            settled_at: self.settled_at.map(time),
            tasks: standing.tasks(),
            available: settled.available,
            partial: settled.partial,
            failed: settled.failed,
            expired: settled.expired,
            missing: settled.missing,
            refused: settled.refused,
            rows_in: standing.rows_in,
            rows_failed: standing.rows_failed,
            failures: &self.causes,
            failures_left_out: self.causes_left_out,
            results: self.bad.iter().chain(&self.good).collect(),
            results_left_out: self.left_out,
        })
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// A time in UTC, to the millisecond: `2026-11-22T09:00:00.000Z`.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Settlement;
    use crate::task::Counts;
    use crate::watch::ImportKey;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_763_802_000 + second).unwrap()
    }

    fn of(name: &str) -> Import {
        Import {
            key: ImportKey(1),
            name: name.to_owned(),
            started_at: at(0),
        }
    }

    fn watch(id: &str, outcome: Outcome, failures: Vec<Failure>) -> Watch {
        let rows = |count: u32| outcome.is_by_server().then_some(count);
        let failed = u32::try_from(failures.len()).unwrap();
        Watch {
            id: id.parse().unwrap(),
            account: "shop".parse().unwrap(),
            import: of("products"),
            added_at: at(0),
            deadline: at(9_999),
            polls: 1,
            polled_at: Some(at(60)),
            progress: None,
            source: None,
            state: State::Settled {
                at: at(60),
                settlement: Settlement {
                    outcome,
                    progress: None,
                    counts: Counts {
                        total: rows(4),
                        succeeded: rows(4 - failed),
                        failed: rows(failed),
                    },
                    failures,
                },
            },
        }
    }

    fn twice(row: u32, value: &str) -> Failure {
        Failure {
            row: Some(row),
            first_row: None,
            last_row: None,
            kind: FailureKind::DuplicateInImport,
            column: Some("id".to_owned()),
            value: Some(value.to_owned()),
            reason: "\u{1b}twice".to_owned(),
        }
    }

    fn report(name: &str, watches: Vec<Watch>) -> serde_json::Value {
        let settlements = watches.iter().filter_map(|watch| match &watch.state {
            State::Settled { settlement, .. } => Some(settlement),
            State::Pending(_) => None,
        });
        let standing = Standing::of(settlements);
        let mut report = Report::default();
        for watch in watches {
            report.take(watch);
        }
        let line = report.line(&of(name), standing).unwrap();
        assert!(!line.contains('\n'));
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn the_line_is_what_the_documentation_says() {
        let watches = vec![
            watch("a", Outcome::Available, vec![]),
            watch("b", Outcome::Partial, vec![twice(2, "14"), twice(3, "15")]),
        ];
        let task = |id: &str, state: &str, succeeded: u32, failed: u32| {
            serde_json::json!({
                "id": id, "account": "shop", "state": state, "total": 4, "succeeded": succeeded,
                "failed": failed, "added_at": "2025-11-22T09:00:00.000Z",
                "settled_at": "2025-11-22T09:01:00.000Z",
            })
        };
        let example = |row: u32, value: &str| {
            serde_json::json!({
                "task": "b", "row": row, "first_row": null, "last_row": null, "value": value,
            })
        };
        assert_eq!(
            report("products", watches),
            serde_json::json!({
                "version": 1,
                "import": "products",
                "accounts": ["shop"],
                "summary": "products: 2 of 8 rows did not go in",
                "body": "6 rows went in. 2 tasks: 1 in full, 1 in part.\n\
                    Twice in the import, the first kept: id “14”, “15”\n\
                    Details: importwatch show --import=products",
                "started_at": "2025-11-22T09:00:00.000Z",
                "settled_at": "2025-11-22T09:01:00.000Z",
                "tasks": 2, "available": 1, "partial": 1, "failed": 0, "expired": 0, "missing": 0,
                "refused": 0, "rows_in": 6, "rows_failed": 2,
                "failures": [{
                    "kind": "duplicate_in_import", "column": "id", "reason": "\u{1b}twice",
                    "entries": 2, "examples": [example(2, "14"), example(3, "15")],
                }],
                "failures_left_out": 0,
                "results": [task("b", "partial", 2, 2), task("a", "available", 4, 0)],
                "results_left_out": 0,
            })
        );
    }

    #[test]
    fn it_stays_small_and_keeps_what_failed() {
        let mut watches: Vec<Watch> = (0..1_500)
            .map(|number| watch(&format!("good-{number}"), Outcome::Available, vec![]))
            .collect();
        for number in 0..200 {
            let mut failure = twice(1, &"v".repeat(5_000));
            failure.column = Some(format!("column-{number}"));
            let failures = vec![failure; 4];
            watches.push(watch(&format!("bad-{number}"), Outcome::Failed, failures));
        }
        let report = report(&"x".repeat(10_000), watches);
        let results = report["results"].as_array().unwrap();
        assert_eq!(results.len(), 1_000);
        assert_eq!(report["results_left_out"], 700);
        let is_bad = |result: &&serde_json::Value| result["state"] == "failed";
        assert_eq!(results.iter().filter(is_bad).count(), 200);
        assert_eq!(report["failures"].as_array().unwrap().len(), 100);
        assert_eq!(report["failures_left_out"], 400);
        let value = &report["failures"][0]["examples"][0]["value"];
        assert_eq!(value.as_str().unwrap().len(), 1_000);
        assert_eq!(
            (&report["tasks"], &report["failed"]),
            (&1_700.into(), &200.into())
        );
    }
}
