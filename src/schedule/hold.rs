//! What holds an account up, for a person to read.
//!
//! It decides nothing: when the account is asked is decided elsewhere.

use crate::account::AccountName;
use crate::clock::Instant;

/// An account of which there are watches, and which is not asked as its watches would have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held<'a> {
    /// Its name.
    pub account: &'a AccountName,
    /// Why.
    pub why: Why,
    /// When it is asked again; `None` while it is being asked, and where it never is.
    pub until: Option<Instant>,
}

/// Why an account is held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is over the limit of its rate, as the server says.
    Limited,
    /// It does not answer.
    Failing,
    /// It is refused.
    Refused,
    /// The settings do not name it.
    Unset,
}
