//! What the simulated server knows and how it behaves: plain data, which may change while it runs.
//!
//! Nothing here talks to the network or waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::account::ApiKey;
use crate::clock::{self, Instant};
use crate::simulator::fault::Fault;
use crate::task::{FailDetail, RowField, TaskId};

/// The simulated server: what it knows, and how it behaves.
#[derive(Debug, Clone)]
pub struct World {
    /// The port on 127.0.0.1; 0 takes a free one. Read when the simulator starts.
    pub port: u16,
    /// The key that it accepts.
    pub key: ApiKey,
    /// The HTTP status under which another key is answered with code 40127.
    pub bad_key_status: u16,
    /// The shape of its answers.
    pub shape: Shape,
    /// Whether its answers are packed, for clients that accept it.
    pub gzip: bool,
    /// How long it thinks before each answer.
    pub latency: Duration,
    /// Its rate limit; uploads count, too.
    pub rate: Option<Rate>,
    /// How many ids it takes at once.
    pub max_ids: Option<MaxIds>,
    /// Ids that it does not take: a request with any of them is answered with 400 and code 40000.
    pub bad_ids: HashSet<TaskId>,
    /// What becomes of tasks that are uploaded.
    pub uploads: Plan,
    /// How the next questions are answered wrongly, one each. Uploads are always answered well.
    pub next_faults: VecDeque<Fault>,
    /// How all other questions are answered wrongly.
    pub fault: Option<Fault>,
    tasks: HashMap<TaskId, (Instant, Plan)>,
}

/// The shape of an answer: each is known of the real endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A list of tasks, as of today.
    Bare,
    /// The list under `data`, beside a code and a message, as of 2024.
    Envelope,
    /// The same with a `progress` beside it that means nothing.
    EnvelopeWithProgress,
}

/// How many requests the simulated server takes, by a sliding window, and how it says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The requests that it takes within the window.
    pub requests: u32,
    /// The window.
    pub window: Duration,
    /// The HTTP status of a no: 429, or 200, under which code 40008 tells it alone.
    pub status: u16,
    /// Whether a no says when to come back.
    pub retry_after: Option<RetryAfter>,
    /// Whether each answer has `X-RateLimit-Remaining` and `X-RateLimit-Reset`.
    pub headers: bool,
}

/// How `Retry-After` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// In seconds.
    Seconds,
    /// As an HTTP date.
    Date,
}

/// How many ids the simulated server takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxIds {
    /// The most ids.
    pub ids: usize,
    /// The HTTP status for more: 400 comes with code 40000, others (413, 414, 431) with a gateway's
    /// page.
    pub status: u16,
}

/// What becomes of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its rows.
    pub rows: u32,
    /// How long after it was added it ends; `None`: never.
    pub takes: Option<Duration>,
    /// Its status until then. `PENDING_PARSE` is the one that is documented.
    pub waiting: String,
    /// What it claims of its progress until then.
    pub progress: Progress,
    /// How it ends.
    pub end: Ending,
}

/// What a task claims of its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The share of its time that is over, 1 to 99.
    Honest,
    /// This, always.
    Stuck(u8),
    /// Nothing.
    None,
}

/// How a task ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every row went in.
    Available,
    /// Some rows did not, and the status is `AVAILABLE` all the same.
    Partial {
        /// How many did not.
        failed: u32,
        /// Which, as far as it is told.
        details: Vec<FailDetail>,
    },
    /// No row went in.
    Fail {
        /// Why.
        details: Vec<FailDetail>,
    },
    /// With this text in place of its entry, JSON or not.
    Raw(String),
}

impl World {
    /// A server that knows no tasks and takes everything that comes with `key`.
    #[must_use]
    pub fn new(key: ApiKey) -> Self {
        Self {
            port: 0,
            key,
            bad_key_status: 401,
            shape: Shape::Bare,
            gzip: false,
            latency: Duration::ZERO,
            rate: None,
            max_ids: None,
            bad_ids: HashSet::new(),
            uploads: Plan::ends(1_000, Duration::from_secs(10), Ending::Available),
            next_faults: VecDeque::new(),
            fault: None,
            tasks: HashMap::new(),
        }
    }

    /// Adds a task, whose time begins now. One that is known begins anew.
    pub fn add(&mut self, id: TaskId, plan: Plan) {
        self.tasks.insert(id, (clock::now(), plan));
    }

    /// Forgets a task: it is absent from answers.
    pub fn forget(&mut self, id: &TaskId) {
        self.tasks.remove(id);
    }

    /// The text of a task's entry, where it is known.
    pub(super) fn entry(&self, id: &TaskId, now: Instant) -> Option<String> {
        let (added, plan) = self.tasks.get(id)?;
        Some(plan.entry(id, now.since(*added)))
    }
}

impl Plan {
    /// A task of `rows` rows that ends after `takes`, honest about its progress.
    #[must_use]
    pub fn ends(rows: u32, takes: Duration, end: Ending) -> Self {
        Self {
            rows,
            takes: Some(takes),
            waiting: "PENDING_PARSE".to_owned(),
            progress: Progress::Honest,
            end,
        }
    }

    /// A task of `rows` rows that stays pending.
    #[must_use]
    pub fn never(rows: u32) -> Self {
        Self {
            takes: None,
            ..Self::ends(rows, Duration::ZERO, Ending::Available)
        }
    }

    fn entry(&self, id: &TaskId, age: Duration) -> String {
        if self.takes.is_none_or(|takes| age < takes) {
            return self.pending(id, age).to_string();
        }
        let (status, progress, failed, details) = match &self.end {
            Ending::Available => ("AVAILABLE", 100, 0, &[][..]),
            Ending::Partial { failed, details } => ("AVAILABLE", 100, *failed, &details[..]),
            Ending::Fail { details } => ("FAIL", 1, self.rows, &details[..]),
            Ending::Raw(text) => return text.clone(),
        };
        json!({
            "id": id.to_string(),
            "progress": progress,
            "status": status,
            "total_count": self.rows,
            "success_count": self.rows.saturating_sub(failed),
            "fail_count": failed,
            "fail_detail": details.iter().map(detail).collect::<Vec<_>>(),
        })
        .to_string()
    }

    fn pending(&self, id: &TaskId, age: Duration) -> Value {
        let mut entry = Map::new();
        entry.insert("id".to_owned(), id.to_string().into());
        let progress = match self.progress {
            Progress::Honest => Some(self.honest(age)),
            Progress::Stuck(percent) => Some(percent.into()),
            Progress::None => None,
        };
        if let Some(percent) = progress {
            entry.insert("progress".to_owned(), percent.into());
        }
        entry.insert("status".to_owned(), self.waiting.clone().into());
        Value::Object(entry)
    }

    fn honest(&self, age: Duration) -> u64 {
        let over = self
            .takes
            .and_then(|takes| (age.as_millis() * 100).checked_div(takes.as_millis()));
        over.map_or(1, |percent| {
            u64::try_from(percent).unwrap_or(99).clamp(1, 99)
        })
    }
}

fn detail(detail: &FailDetail) -> Value {
    let mut entry = Map::new();
    match detail.row {
        RowField::Absent => {}
        RowField::Null => drop(entry.insert("row".to_owned(), Value::Null)),
        RowField::Row(row) => drop(entry.insert("row".to_owned(), row.into())),
    }
    let ends = [
        ("row_number_start", detail.start),
        ("row_number_end", detail.end),
    ];
    for (key, end) in ends {
        if let Some(end) = end {
            entry.insert(key.to_owned(), end.into());
        }
    }
    entry.insert("fail_reason".to_owned(), detail.reason.clone().into());
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(plan: &Plan, seconds: u64) -> Value {
        let id = "task".parse().unwrap();
        serde_json::from_str(&plan.entry(&id, Duration::from_secs(seconds))).unwrap()
    }

    #[test]
    fn a_task_is_pending_for_its_time() {
        let plan = Plan::ends(4, Duration::from_secs(10), Ending::Available);
        for (age, percent) in [(0, 1), (5, 50), (9, 90)] {
            let expected = json!({"id": "task", "progress": percent, "status": "PENDING_PARSE"});
            assert_eq!(value(&plan, age), expected);
        }
        let ended = value(&plan, 10);
        assert_eq!(ended["status"], "AVAILABLE");
        assert_eq!(ended["success_count"], 4);
        assert_eq!(value(&Plan::never(4), 1_000_000)["progress"], 1);
    }

    #[test]
    fn a_task_that_fails_says_which_rows() {
        let details = vec![FailDetail {
            row: RowField::Null,
            start: Some(1),
            end: None,
            reason: "no".to_owned(),
        }];
        let fail = Ending::Fail {
            details: details.clone(),
        };
        let fail = value(&Plan::ends(4, Duration::ZERO, fail), 0);
        assert_eq!(fail["status"], "FAIL");
        assert_eq!(fail["fail_count"], 4);
        let listed = json!([{"row": null, "row_number_start": 1, "fail_reason": "no"}]);
        assert_eq!(fail["fail_detail"], listed);
        let partial = Ending::Partial { failed: 1, details };
        let partial = value(&Plan::ends(4, Duration::ZERO, partial), 0);
        assert_eq!(partial["status"], "AVAILABLE");
        assert_eq!(partial["success_count"], 3);
    }
}
