//! What an account has learnt of its server, and what follows from it: when the next request is worth
//! its price, and whom it is to ask.
//!
//! Everything here is a function of what was seen. Times are seconds, as floating point numbers, since
//! the first [`Instant`]; nothing here decides what becomes of a task.

pub(super) mod belief;
pub(super) mod effort;
pub mod experience;
pub mod forecast;
mod laws;
pub mod life_table;
pub(super) mod order;
pub(super) mod progress;
pub(super) mod when;
pub(super) mod whom;

use std::time::Duration;

use crate::clock::Instant;

/// When a watch is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// At the growing intervals of the pacing, whatever the server shows.
    Exponential,
    /// When asking is worth the price of a request.
    Adaptive {
        /// How much waiting of tasks that have ended a request is worth; `None`: as the rates of the
        /// account have it.
        price: Option<Duration>,
    },
}

/// An instant as seconds.
pub(super) fn seconds(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64()
}

/// Seconds as an instant; before the first one or beyond the last there is none other.
pub(super) fn instant(seconds: f64) -> Instant {
    let since = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    Instant::from_boot(since)
}
