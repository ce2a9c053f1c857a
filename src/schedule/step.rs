//! The language of the core: what it is told, and what it says to do.
//!
//! Plain data; whoever speaks it needs to know nothing else of the schedule.

use std::time::Duration;

use crate::account::{AccountName, Trouble};
use crate::clock::Instant;
use crate::outcome::{Settlement, Verdict};
use crate::schedule::budget::Rates;
use crate::schedule::fault::{Allowance, Fault};
use crate::schedule::memory::Memory;
use crate::schedule::pacing::Pacing;
use crate::schedule::policy::Policy;
use crate::schedule::policy::experience::Experience;
use crate::task::TaskId;

/// The number of a poll, by which its end is told from that of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PollId(pub(in crate::schedule) u64);

/// What holds for all accounts.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// When a watch is asked.
    pub policy: Policy,
    /// The delays between the polls of a watch; with the adaptive policy the longest of them alone
    /// counts.
    pub pacing: Pacing,
    /// For how long the server must go on not knowing an id, time without a readable answer not
    /// counted, before the task is missing.
    pub missing_after: Duration,
    /// Where the random numbers start; any value will do.
    pub seed: u64,
}

/// What holds for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountParameters {
    /// The most ids in a poll; 0 counts as 1.
    pub batch_size: u32,
    /// How often it may be asked.
    pub rates: Rates,
}

/// A watch, as the schedule takes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The task.
    pub id: TaskId,
    /// Whose key asks about it.
    pub account: AccountName,
    /// When the task began, as far as is known.
    pub began: Instant,
    /// When the watch gives up.
    pub deadline: Instant,
    /// How many answers there were about it in earlier runs, and when the last came.
    pub polled: Option<(u32, Instant)>,
    /// The progress that the last of them claimed, in percent.
    pub progress: Option<u8>,
}

/// A readable answer to a poll. Ids that were asked and are in neither list were absent from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The poll.
    pub poll: PollId,
    /// What it means for each id that was found in it.
    pub found: Vec<(TaskId, Verdict)>,
    /// The ids of which it said something that could not be read.
    pub unread: Vec<TaskId>,
    /// What it told of the account's rate.
    pub allowance: Allowance,
}

/// What happened. A stale or spurious input changes nothing.
#[derive(Debug, Clone)]
pub enum Input {
    /// An account is in the settings, or its settings or key have changed: it is asked again, even
    /// if it had been stopped.
    Configured {
        /// Its name.
        account: AccountName,
        /// Its settings.
        parameters: AccountParameters,
    },
    /// The settings do not name an account any more: its watches are kept, and not asked.
    Unconfigured {
        /// Its name.
        account: AccountName,
    },
    /// What holds for all accounts has changed; where the random numbers started is passed over. A
    /// watch that would be asked earlier by this is.
    Changed(Parameters),
    /// What earlier runs knew of an account. Comes after its settings.
    Recalled {
        /// Its name.
        account: AccountName,
        /// What is remembered of it.
        memory: Memory,
        /// When requests were sent of late, oldest first.
        sent: Vec<Instant>,
    },
    /// A watch begins. One whose id is watched already changes nothing; one whose account is not in
    /// the settings is kept, and not asked.
    Watched(Watched),
    /// A watch ends without an outcome.
    Unwatched(TaskId),
    /// What earlier runs have learnt of an account. Comes before its watches.
    Learnt {
        /// Its name.
        account: AccountName,
        /// What they have learnt.
        experience: Box<Experience>,
    },
    /// A poll was answered.
    Answered(Answer),
    /// A poll brought no readable answer.
    Failed {
        /// The poll.
        poll: PollId,
        /// What follows.
        fault: Fault,
    },
    /// A poll was not sent, because the account's rate was used up by another process.
    Denied {
        /// The poll.
        poll: PollId,
        /// For how long there is no room.
        wait: Duration,
    },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Record what became of a task. It is not asked about again.
    Settle {
        /// The task.
        id: TaskId,
        /// How many answers there were about it.
        polls: u32,
        /// What became of it.
        settlement: Settlement,
    },
    /// Tell the user what is wrong with an account, or that it is over.
    Tell {
        /// The account.
        account: AccountName,
        /// What is, or was, wrong.
        trouble: Trouble,
        /// Whether it is over.
        over: bool,
        /// What to remember of the account from now on, in the same commit.
        memory: Memory,
    },
    /// Keep this of an account for the next run.
    Remember {
        /// The account.
        account: AccountName,
        /// What to remember.
        memory: Memory,
    },
    /// Keep for the next run what has been learnt of an account.
    Learn {
        /// The account.
        account: AccountName,
        /// What has been learnt.
        experience: Box<Experience>,
    },
    /// Ask about these ids. It ends with [`Input::Answered`], [`Input::Failed`] or
    /// [`Input::Denied`], however long that takes.
    Poll {
        /// The poll.
        poll: PollId,
        /// Whom to ask.
        account: AccountName,
        /// About what.
        ids: Vec<TaskId>,
        /// The rates that it must fit into.
        rates: Rates,
    },
    /// Nothing is to be done before then, unless something happens.
    Sleep {
        /// The instant.
        until: Instant,
    },
    /// Nothing is to be done until something happens.
    Idle,
}
