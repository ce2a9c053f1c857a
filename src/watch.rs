//! A watch, our standing interest in one task, and the import it belongs to, as they are kept and
//! shown.
//!
//! What the schedule needs of a watch it keeps itself, in a smaller form.

use jiff::Timestamp;

use crate::account::AccountName;
use crate::outcome::Settlement;
use crate::task::{Counts, TaskId};

/// The number by which the store knows an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportKey(pub i64);

/// A named set of tasks that were started together. Names may repeat; keys do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The import's number.
    pub key: ImportKey,
    /// Its name.
    pub name: String,
    /// When its first task was added.
    pub started_at: Timestamp,
}

/// A watch, with all that is known of its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The task.
    pub id: TaskId,
    /// Whose key asks about it.
    pub account: AccountName,
    /// What it belongs to.
    pub import: Import,
    /// When it was added.
    pub added_at: Timestamp,
    /// When the watch gives up, if the task is still pending then.
    pub deadline: Timestamp,
    /// How many answers there were about it.
    pub polls: u32,
    /// When the last of them came.
    pub polled_at: Option<Timestamp>,
    /// The progress last claimed, in percent.
    pub progress: Option<u8>,
    /// Where it stands.
    pub state: State,
}

/// Where a watch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The task has no outcome yet; what is known of its rows.
    Pending(Counts),
    /// It has.
    Settled {
        /// When the outcome became known here.
        at: Timestamp,
        /// The outcome and its rows.
        settlement: Settlement,
    },
}
