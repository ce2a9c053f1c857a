//! What to say of outcomes and of accounts, and how urgent it is.
//!
//! It never delivers anything, and never reads time: what it says follows from a [`Notice`] alone.
//! The wording of imports is in [`import`], that of accounts in [`account`]; how an import gets on is in
//! [`progress`], many at once in [`digest`], and what other programs read of one in [`report`].

pub mod account;
pub mod ahead;
pub mod amount;
pub mod cause;
pub mod channel;
pub mod digest;
pub mod import;
pub mod progress;
pub mod report;
pub mod safe;

use std::time::Duration;

use crate::account::{AccountName, Trouble};
use crate::outcome::Settlement;
use crate::task::TaskId;
use crate::watch::{ImportKey, Standing, Tally};

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
    /// Of the tasks that are told now, those that are looked at for details: all of them, or the
    /// worst where they are many.
    pub tasks: Vec<TaskNews>,
    /// How many tasks are told now, by outcome.
    pub told: Tally,
    /// The longest that one of the tasks told now took from the moment it was added.
    pub longest: Duration,
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
    /// How much is done of what goes on, in percent; `None` where it is a result.
    pub progress: Option<u8>,
    /// Whether it was waited for so long that its reader may be away: it is to stay until it is seen.
    pub stays: bool,
}

/// What a notice is known by on the screen: a later one about the same takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// An import.
    Import(ImportKey),
    /// An account.
    Account(AccountName),
    /// Many imports.
    Digest,
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

impl Notice {
    /// What it is known by on the screen.
    #[must_use]
    pub fn about(&self) -> About {
        match &self.subject {
            Subject::Import(news) => About::Import(news.key),
            Subject::Account(news) => About::Account(news.account.clone()),
        }
    }
}

/// `notice` in words.
#[must_use]
pub fn wording(notice: &Notice) -> Wording {
    match &notice.subject {
        Subject::Import(news) => import::wording(news),
        Subject::Account(news) => account::wording(news),
    }
}

/// Joins the parts of a body: `first` where there is one, then as much of `details`, the most
/// important first, as the limits leave room for, and `last` where it is not empty. Each is one line.
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
