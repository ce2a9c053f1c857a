//! What to say of outcomes and of accounts, and how urgent it is.
//!
//! It never delivers anything, and never reads time: what it says follows from a [`Notice`] alone.
//! The wording of imports is in [`import`], that of accounts in [`account`].

pub mod account;
pub mod amount;
mod cause;
pub mod channel;
pub mod import;
pub mod safe;

use std::time::Duration;

use crate::account::{AccountName, Trouble};
use crate::outcome::{Outcome, Settlement};
use crate::task::TaskId;
use crate::watch::ImportKey;

/// The most characters a body has: a longer one covers the screen.
pub const BODY_MAX: usize = 300;

/// The most lines a body has.
pub const BODY_LINES_MAX: usize = 6;

/// The most characters a summary has, so that it fits on the one line that desktops give it.
pub const SUMMARY_MAX: usize = 120;

/// What is said, once, about outcomes of one import or about one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub subject: Subject,
}

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Tasks of one import that have settled.
    Import(ImportNews),
    /// Trouble with an account, or its end.
    Account(AccountNews),
}

/// Tasks of one import that have settled, and where the import stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportNews {
    /// The import's number: news of one import replace each other on the screen.
    pub key: ImportKey,
    /// The import's name, as the user gave it.
    pub import: String,
    /// Whose key asked about the tasks.
    pub account: AccountName,
    /// The tasks that are told now; at least one.
    pub tasks: Vec<TaskNews>,
    /// The whole import, these tasks and those told earlier included.
    pub standing: Standing,
}

/// What became of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskNews {
    /// The task.
    pub id: TaskId,
    /// Its outcome, and its rows. What the server said in it is hostile.
    pub settlement: Settlement,
    /// From the moment it was added until it settled.
    pub elapsed: Duration,
}

/// Where a set of tasks stands. The default is that of no tasks at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Tasks without an outcome.
    pub pending: u64,
    /// Tasks by outcome.
    pub settled: Tally,
    /// Rows that went in, of the tasks that the server settled; `None` where it did not give the
    /// number for one of them.
    pub rows_in: Option<u64>,
    /// Rows that did not go in, of the tasks that the server settled; `None` where it did not give
    /// the number for one of them.
    pub rows_failed: Option<u64>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            pending: 0,
            settled: Tally::default(),
            rows_in: Some(0),
            rows_failed: Some(0),
        }
    }
}

impl Standing {
    /// How many tasks there are.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.pending.saturating_add(self.settled.total())
    }

    /// Counts one more settled task, and its rows where the server settled it.
    pub fn count(&mut self, settlement: &Settlement) {
        self.settled.add(settlement.outcome);
        if settlement.outcome.is_by_server() {
            self.rows_in = sum(self.rows_in, rows_in(settlement));
            self.rows_failed = sum(self.rows_failed, settlement.failed_rows());
        }
    }

    /// The standing of `tasks` alone.
    #[must_use]
    pub fn of(tasks: &[TaskNews]) -> Self {
        let mut standing = Self::default();
        for task in tasks {
            standing.count(&task.settlement);
        }
        standing
    }
}

/// How many rows of a task went in, as far as the server's numbers tell.
fn rows_in(settlement: &Settlement) -> Option<u64> {
    let counts = settlement.counts;
    let told = match (settlement.outcome, counts.succeeded) {
        (_, Some(rows)) => Some(rows),
        (Outcome::Available, None) => counts.total,
        (Outcome::Failed, None) => Some(0),
        (_, None) => match (counts.total, counts.failed) {
            (Some(total), Some(failed)) => total.checked_sub(failed),
            _ => None,
        },
    };
    told.map(u64::from)
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.saturating_add(b?))
}

/// How many tasks had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Every row went in.
    pub available: u64,
    /// Some rows went in.
    pub partial: u64,
    /// No row went in.
    pub failed: u64,
    /// The deadline passed first.
    pub expired: u64,
    /// The server does not know the id.
    pub missing: u64,
    /// The server will not take the id.
    pub refused: u64,
}

impl Tally {
    /// Counts one more task.
    pub fn add(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Available => &mut self.available,
            Outcome::Partial => &mut self.partial,
            Outcome::Failed => &mut self.failed,
            Outcome::Expired => &mut self.expired,
            Outcome::Missing => &mut self.missing,
            Outcome::Refused => &mut self.refused,
        };
        *count = count.saturating_add(1);
    }

    /// How many tasks had `outcome`.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Available => self.available,
            Outcome::Partial => self.partial,
            Outcome::Failed => self.failed,
            Outcome::Expired => self.expired,
            Outcome::Missing => self.missing,
            Outcome::Refused => self.refused,
        }
    }

    /// How many tasks there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = Outcome::ALL.map(|outcome| self.of(outcome));
        counts.into_iter().fold(0, u64::saturating_add)
    }
}

/// Trouble with an account, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountNews {
    /// The account.
    pub account: AccountName,
    /// What is wrong, or was.
    pub trouble: Trouble,
    /// Whether it is over.
    pub over: bool,
    /// What was said of it by our client or by the server; may be empty. Hostile.
    pub cause: String,
}

/// A notice in words.
///
/// Every character of it is visible and safe to show as plain text; markup in it is not escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// One line of at most [`SUMMARY_MAX`] characters. Nothing of what the server said is in it.
    pub summary: String,
    /// At most [`BODY_LINES_MAX`] lines and [`BODY_MAX`] characters; may be empty.
    pub body: String,
    /// How urgent it is.
    pub urgency: Urgency,
    /// What it amounts to.
    pub tone: Tone,
}

/// How urgent a notice is, in the desktop's three steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Good to know: some tasks went in, others are pending; trouble is over.
    Low,
    /// What the user waits for: all went in; or no result for some tasks; or an account that may
    /// mend by itself or has the wrong key.
    Normal,
    /// Something did not go in (failed, partial, refused), or an account was refused: it needs the
    /// user.
    Critical,
}

/// What a notice amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// All is as it should be.
    Good,
    /// It is not known what became of something.
    Unsure,
    /// Something did not work.
    Bad,
}

/// `notice` in words.
#[must_use]
pub fn wording(notice: &Notice) -> Wording {
    match &notice.subject {
        Subject::Import(news) => import::wording(news),
        Subject::Account(news) => account::wording(news),
    }
}

/// Joins the parts of a body: `first` where there is one, then as much of `details`, the most important first, as the
/// limits leave room for, and `last` where it is not empty. Each is one line.
fn body(first: Option<&str>, details: impl IntoIterator<Item = String>, last: &str) -> String {
    // Only absurd numbers make the first line this long.
    const FIRST_MAX: usize = 180;
    const DETAIL_MAX: usize = 120;
    // Less than this of a line says nothing.
    const DETAIL_MIN: usize = 30;
    let first = first.map(|first| safe::start(first, FIRST_MAX));
    let mut lines: Vec<String> = first.into_iter().collect();
    let ending = usize::from(!last.is_empty());
    let first = lines.iter().map(|line| line.chars().count() + 1);
    let taken = first.sum::<usize>() + last.chars().count();
    let mut left = BODY_MAX.saturating_sub(taken);
    for detail in details {
        if lines.len() + ending >= BODY_LINES_MAX || left <= DETAIL_MIN {
            break;
        }
        let line = safe::start(&detail, DETAIL_MAX.min(left - 1));
        left -= line.chars().count() + 1;
        lines.push(line);
    }
    if !last.is_empty() {
        lines.push(last.to_owned());
    }
    lines.join("\n")
}
