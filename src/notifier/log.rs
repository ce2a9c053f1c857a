//! Notices as events of the program's own log.
//!
//! Messages are constant and values are fields. It never writes what the server said other than
//! escaped and cut.

use std::time::Duration;

use tracing::field::{DebugValue, debug};

use crate::account::Trouble;
use crate::notice::{AccountNews, ImportNews, Notice, Subject, TaskNews};
use crate::outcome::Outcome;

/// The message of the one event for each settled task. No other event of the program contains it, so
/// that a search for it finds every outcome and nothing else.
pub const TASK_SETTLED: &str = "task settled";

/// The target of all these events.
pub const TARGET: &str = "importwatch";

/// The most reasons that an event holds.
const REASONS: usize = 3;
/// The most characters of a reason or a cause that an event holds.
const REASON_MAX: usize = 200;

/// Writes `notice`: one event for each task, or one for the account.
///
/// A task's event has the fields `task`, `import`, `account`, `outcome`, `succeeded` and `failed`
/// (rows, left out where the server gave no number), `elapsed` (since the task was added, as in
/// `2h 3m 4s`, without fractions) and `reason` (a list of the first reasons that differ, left out
/// where there is none). Its level is info for `available`, error for `failed` and `refused`, else
/// warn. An account's event has the fields `account` and `cause`.
pub fn write(notice: &Notice) {
    match &notice.subject {
        Subject::Import(news) => news.tasks.iter().for_each(|task| settled(news, task)),
        Subject::Account(news) => account(news),
    }
}

fn settled(news: &ImportNews, task: &TaskNews) {
    // The level and the message of an event are part of where it stands in the source, so each
    // level is a place of its own.
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                target: TARGET,
                task = %task.id,
                import = news.import.as_str(),
                account = %news.account,
                outcome = %task.settlement.outcome,
                succeeded = task.settlement.counts.succeeded,
                failed = task.settlement.counts.failed,
                elapsed = %humantime::format_duration(Duration::from_secs(task.elapsed.as_secs())),
                reason = reasons(task),
                "{TASK_SETTLED}"
            )
        };
    }
    match task.settlement.outcome {
        Outcome::Available => event!(info),
        Outcome::Partial | Outcome::Missing | Outcome::Expired => event!(warn),
        Outcome::Failed | Outcome::Refused => event!(error),
    }
}

fn account(news: &AccountNews) {
    macro_rules! event {
        ($level:ident, $message:literal) => {
            tracing::$level!(
                target: TARGET,
                account = %news.account,
                cause = ?cut(&news.cause),
                $message
            )
        };
    }
    match (news.over, news.trouble) {
        (false, Trouble::Refused) => event!(error, "account refused"),
        (false, Trouble::Unavailable) => event!(warn, "account unavailable"),
        (false, Trouble::KnowsNone) => event!(warn, "account knows none of the ids"),
        (true, _) => event!(info, "account is well again"),
    }
}

/// The first reasons that differ; none where there is no reason.
fn reasons(task: &TaskNews) -> Option<DebugValue<Vec<&str>>> {
    let mut reasons: Vec<&str> = Vec::new();
    for failure in &task.settlement.failures {
        let reason = cut(&failure.reason);
        if !reason.is_empty() && !reasons.contains(&reason) {
            reasons.push(reason);
        }
        if reasons.len() == REASONS {
            break;
        }
    }
    (!reasons.is_empty()).then(|| debug(reasons))
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(REASON_MAX).map(|(end, _)| end);
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    use super::*;
    use crate::failure::{Failure, FailureKind};
    use crate::outcome::Settlement;
    use crate::task::Counts;
    use crate::watch::{ImportKey, Standing, Tally};

    type Fields = BTreeMap<&'static str, String>;

    /// Keeps every event with its fields, as they were recorded.
    #[derive(Clone, Default)]
    struct Capture(Arc<Mutex<Vec<(Level, String, Fields)>>>);

    struct Reader<'a>(&'a mut Fields);

    impl Visit for Reader<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.insert(field.name(), format!("{value:?}"));
        }
    }

    impl<S: Subscriber> Layer<S> for Capture {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut fields = Fields::new();
            event.record(&mut Reader(&mut fields));
            let metadata = event.metadata();
            let event = (*metadata.level(), metadata.target().to_owned(), fields);
            self.0.lock().unwrap().push(event);
        }
    }

    #[track_caller]
    fn check(notice: &Notice, expected: &[(Level, &[(&'static str, &str)])]) {
        let capture = Capture::default();
        let subscriber = tracing_subscriber::registry().with(capture.clone());
        tracing::subscriber::with_default(subscriber, || write(notice));
        let expected: Vec<_> = expected
            .iter()
            .map(|(level, fields)| {
                let fields = fields
                    .iter()
                    .map(|(name, value)| (*name, (*value).to_owned()));
                (*level, TARGET.to_owned(), fields.collect::<Fields>())
            })
            .collect();
        assert_eq!(*capture.0.lock().unwrap(), expected);
    }

    fn failure(reason: &str) -> Failure {
        Failure {
            row: None,
            first_row: None,
            last_row: None,
            kind: FailureKind::Unknown,
            column: None,
            value: None,
            reason: reason.to_owned(),
        }
    }

    fn task(outcome: Outcome, reasons: &[&str]) -> TaskNews {
        TaskNews {
            id: "task-1".parse().unwrap(),
            settlement: Settlement {
                outcome,
                progress: None,
                counts: Counts::default(),
                failures: reasons.iter().map(|reason| failure(reason)).collect(),
            },
            elapsed: Duration::from_millis(7_384_567),
        }
    }

    fn notice(tasks: Vec<TaskNews>) -> Notice {
        Notice {
            subject: Subject::Import(ImportNews {
                key: ImportKey(1),
                import: "products\nof \"May\"".to_owned(),
                account: "shop".parse().unwrap(),
                standing: Standing::of(tasks.iter().map(|task| &task.settlement)),
                told: Tally::default(),
                longest: Duration::ZERO,
                tasks,
            }),
        }
    }

    #[test]
    fn each_settled_task_is_one_event_at_its_level() {
        let levels = [
            (Outcome::Available, Level::INFO),
            (Outcome::Partial, Level::WARN),
            (Outcome::Failed, Level::ERROR),
            (Outcome::Expired, Level::WARN),
            (Outcome::Missing, Level::WARN),
            (Outcome::Refused, Level::ERROR),
        ];
        let tasks = levels.map(|(outcome, _)| task(outcome, &[])).to_vec();
        let fields = levels.map(|(outcome, _)| {
            [
                ("message", "task settled"),
                ("task", "task-1"),
                ("import", "\"products\\nof \\\"May\\\"\""),
                ("account", "shop"),
                ("outcome", outcome.as_str()),
                ("elapsed", "2h 3m 4s"),
            ]
        });
        let expected: Vec<_> = levels
            .iter()
            .zip(&fields)
            .map(|((_, level), fields)| (*level, fields.as_slice()))
            .collect();
        check(&notice(tasks), &expected);
    }

    #[test]
    fn numbers_and_the_first_reasons_are_fields() {
        let long = "é".repeat(300);
        let mut partial = task(Outcome::Partial, &["", "one", "one", "t\no", &long, "four"]);
        partial.settlement.counts.succeeded = Some(996);
        partial.settlement.counts.failed = Some(4);
        let reason = format!("[\"one\", \"t\\no\", \"{}\"]", "é".repeat(200));
        check(
            &notice(vec![partial]),
            &[(
                Level::WARN,
                &[
                    ("message", "task settled"),
                    ("task", "task-1"),
                    ("import", "\"products\\nof \\\"May\\\"\""),
                    ("account", "shop"),
                    ("outcome", "partial"),
                    ("succeeded", "996"),
                    ("failed", "4"),
                    ("elapsed", "2h 3m 4s"),
                    ("reason", &reason),
                ],
            )],
        );
    }

    #[test]
    fn accounts() {
        for (trouble, over, level, message) in [
            (Trouble::Refused, false, Level::ERROR, "account refused"),
            (
                Trouble::Unavailable,
                false,
                Level::WARN,
                "account unavailable",
            ),
            (
                Trouble::KnowsNone,
                false,
                Level::WARN,
                "account knows none of the ids",
            ),
            (Trouble::Refused, true, Level::INFO, "account is well again"),
            (
                Trouble::Unavailable,
                true,
                Level::INFO,
                "account is well again",
            ),
            (
                Trouble::KnowsNone,
                true,
                Level::INFO,
                "account is well again",
            ),
        ] {
            let news = AccountNews {
                account: "shop".parse().unwrap(),
                trouble,
                over,
                cause: "HTTP 401\u{1b}[2J\u{202e}".to_owned(),
            };
            let fields = [
                ("message", message),
                ("account", "shop"),
                ("cause", "\"HTTP 401\\u{1b}[2J\\u{202e}\""),
            ];
            let subject = Subject::Account(news);
            check(&Notice { subject }, &[(level, &fields)]);
        }
    }
}
