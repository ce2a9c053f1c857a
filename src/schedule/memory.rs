//! What is remembered of an account from one run to the next, as the store keeps it.

use crate::account::Trouble;

/// What is remembered of an account. The default is that of one never asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Whether it has ever given a readable answer.
    pub answered: bool,
    /// Whether any of its ids was ever seen in an answer. Where none was, an absent id says more of
    /// the account than of the task.
    pub knows_an_id: bool,
    /// The most ids a poll may carry, where the server has shown that the setting is too much.
    pub batch_limit: Option<u32>,
    /// Requests a minute, where the server has shown that the setting is too much.
    pub requests_per_minute: Option<u32>,
    /// What the user was told is wrong with it, and not yet told is over.
    pub told: Option<Trouble>,
}
