//! What `--json` prints of a task: one object a line, whose fields scripts rely on.

use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;
use crate::task::Counts;
use crate::watch::{State, Watch};

/// A task as `--json` shows it. Fields may be added, never changed.
#[derive(Debug, Serialize)]
pub(super) struct Task<'a> {
    id: String,
    account: &'a str,
    import: &'a str,
    state: &'static str,
    progress: Option<u8>,
    total: Option<u32>,
    succeeded: Option<u32>,
    failed: Option<u32>,
    failures: Vec<Refusal<'a>>,
    polls: u32,
    added_at: String,
    polled_at: Option<String>,
    settled_at: Option<String>,
    /// The rows of a file that the task was made of; not kept yet.
    source: Option<()>,
}

#[derive(Debug, Serialize)]
struct Refusal<'a> {
    row: Option<u32>,
    first_row: Option<u32>,
    last_row: Option<u32>,
    kind: &'static str,
    column: Option<&'a str>,
    value: Option<&'a str>,
    reason: &'a str,
}

impl<'a> From<&'a Watch> for Task<'a> {
    fn from(watch: &'a Watch) -> Self {
        let (state, counts, failures, settled_at): (_, Counts, &[Failure], _) = match &watch.state {
            State::Pending(counts) => ("pending", *counts, &[], None),
            State::Settled { at, settlement } => (
                settlement.outcome.as_str(),
                settlement.counts,
                &settlement.failures,
                Some(time(*at)),
            ),
        };
        Self {
            id: watch.id.to_string(),
            account: watch.account.as_str(),
            import: &watch.import.name,
            state,
            progress: watch.progress,
            total: counts.total,
            succeeded: counts.succeeded,
            failed: counts.failed,
            failures: failures.iter().map(Refusal::from).collect(),
            polls: watch.polls,
            added_at: time(watch.added_at),
            polled_at: watch.polled_at.map(time),
            settled_at,
            source: None,
        }
    }
}

impl<'a> From<&'a Failure> for Refusal<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            row: failure.row,
            first_row: failure.first_row,
            last_row: failure.last_row,
            kind: failure.kind.as_str(),
            column: failure.column.as_deref(),
            value: failure.value.as_deref(),
            reason: &failure.reason,
        }
    }
}

/// A time in UTC, to the millisecond: `2026-11-22T09:00:00.000Z`.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::outcome::{Outcome, Settlement};
    use crate::watch::{Import, ImportKey};

    #[test]
    fn prints_what_the_contract_says() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut watch = Watch {
            id: "68ec7ad3e307920f002648cd".parse().unwrap(),
            account: "default".parse().unwrap(),
            import: Import {
                key: ImportKey(1),
                name: "products".to_owned(),
                started_at: at("2026-11-22T09:00:00Z"),
            },
            added_at: at("2026-11-22T09:00:00Z"),
            deadline: at("2026-11-23T09:00:00Z"),
            polls: 7,
            polled_at: Some(at("2026-11-22T09:01:00.5Z")),
            progress: Some(41),
            state: State::Pending(Counts::default()),
        };
        assert_eq!(
            serde_json::to_string(&Task::from(&watch)).unwrap(),
            r#"{"id":"68ec7ad3e307920f002648cd","account":"default","import":"products","state":"pending","progress":41,"total":null,"succeeded":null,"failed":null,"failures":[],"polls":7,"added_at":"2026-11-22T09:00:00.000Z","polled_at":"2026-11-22T09:01:00.500Z","settled_at":null,"source":null}"#
        );
        watch.state = State::Settled {
            at: at("2026-11-22T09:02:00Z"),
            settlement: Settlement {
                outcome: Outcome::Failed,
                counts: Counts {
                    total: Some(4),
                    succeeded: Some(0),
                    failed: Some(4),
                },
                failures: vec![Failure {
                    row: Some(2),
                    first_row: None,
                    last_row: None,
                    kind: FailureKind::DuplicateInImport,
                    column: Some("id".to_owned()),
                    value: Some("14".to_owned()),
                    reason: "\u{1b}[31m\"".to_owned(),
                }],
            },
        };
        let printed = serde_json::to_string(&Task::from(&watch)).unwrap();
        let end = r#""state":"failed","progress":41,"total":4,"succeeded":0,"failed":4,"failures":[{"row":2,"first_row":null,"last_row":null,"kind":"duplicate_in_import","column":"id","value":"14","reason":"\u001b[31m\""}],"polls":7,"added_at":"2026-11-22T09:00:00.000Z","polled_at":"2026-11-22T09:01:00.500Z","settled_at":"2026-11-22T09:02:00.000Z","source":null}"#;
        assert!(printed.ends_with(end), "{printed}");
    }
}
