//! What a poll that brought no readable answer means for its account, and what any answer may tell
//! of the account's allowance.
//!
//! Whoever talks to the endpoint sorts what went wrong into one of these; the schedule knows no
//! status codes.

use std::time::Duration;

/// What went wrong with a poll, sorted by what follows from it. It belongs to the account, never to
/// a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The key, the plan, the Agent or the URL will not do, and asking again will not mend it: the
    /// account stops, and is probed rarely.
    Refused,
    /// There is nothing at the URL (HTTP 404): refused, but from an account that has answered before
    /// unavailable.
    NotFound,
    /// Over the rate limit.
    Limited {
        /// How long to keep away, where the server says so.
        retry_after: Option<Duration>,
    },
    /// Too many ids for one request, or too long an answer.
    TooLarge,
    /// The parameters were not accepted: too many ids, or one that cannot be.
    Rejected,
    /// Anything else, on their side, on the way, or unreadable: try again later.
    Unavailable {
        /// How long to keep away, where the server says so.
        retry_after: Option<Duration>,
    },
}

/// What the headers of an answer told of the account's rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in all (`X-RateLimit-Limit`).
    pub limit: Option<u32>,
    /// Requests left (`X-RateLimit-Remaining`).
    pub remaining: Option<u32>,
    /// Until the allowance is renewed (`X-RateLimit-Reset`, made relative).
    pub resets_in: Option<Duration>,
}
