//! An account's rates: how soon it may be asked again.
//!
//! Rates are sliding windows: in any span as long as a window there are at most so many requests.
//! The store guards the same windows for all processes; here they are kept so that no poll is
//! planned that would not be let through.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Instant;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The rates of an account, as they are set, less what is left to the user's own uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    minute: u32,
    hour: Option<u32>,
    day: Option<u32>,
}

impl Rates {
    /// The rates that a plan allows, of which the share `reserve` (from 0 to below 1) is left
    /// untouched. Whatever the reserve, one request remains in each window.
    #[must_use]
    pub fn new(per_minute: u32, per_hour: Option<u32>, per_day: Option<u32>, reserve: f64) -> Self {
        let ours = |rate: u32| {
            // A share such as 100 · (1 − 0.9) is a hair below the whole number that is meant.
            let share = (f64::from(rate) * (1.0 - reserve.clamp(0.0, 1.0)) + 1e-6).floor();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a u32 is within u32, and not negative"
            )]
            let whole = share as u32;
            whole.max(1)
        };
        Self {
            minute: ours(per_minute),
            hour: per_hour.map(ours),
            day: per_day.map(ours),
        }
    }

    /// The sliding windows: a length, and the most requests in any span of that length.
    pub fn windows(self) -> impl Iterator<Item = (Duration, u32)> {
        [
            Some((MINUTE, self.minute)),
            self.hour.map(|rate| (HOUR, rate)),
            self.day.map(|rate| (DAY, rate)),
        ]
        .into_iter()
        .flatten()
    }

    /// The same rates with at most `per_minute` requests a minute.
    #[must_use]
    pub fn at_most(self, per_minute: Option<u32>) -> Self {
        let lowered = per_minute.map_or(self.minute, |rate| self.minute.min(rate.max(1)));
        Self {
            minute: lowered,
            ..self
        }
    }
}

/// What was sent of late, and how much may be.
#[derive(Debug)]
pub(super) struct Budget {
    rates: Rates,
    /// Requests a minute, where the server has shown that the setting is too much.
    lowered: Option<u32>,
    /// Good answers since it was last lowered or raised.
    good: u32,
    /// When requests were sent, oldest first; no more than the widest window can count.
    sent: VecDeque<Instant>,
}

impl Budget {
    /// What the rate falls to when the server first says that it is too high: the smallest plan.
    const SMALLEST_PLAN: u32 = 3;

    pub(super) fn new(rates: Rates, lowered: Option<u32>) -> Self {
        Self {
            rates,
            lowered: lowered.filter(|&rate| rate < rates.minute),
            good: 0,
            sent: VecDeque::new(),
        }
    }

    /// Sets other rates; what was sent stays known.
    pub(super) fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
        self.lowered = self.lowered.filter(|&rate| rate < rates.minute);
    }

    pub(super) fn lowered(&self) -> Option<u32> {
        self.lowered
    }

    /// The rates in force.
    pub(super) fn rates(&self) -> Rates {
        self.rates.at_most(self.lowered)
    }

    /// The first instant, from `now` on, at which a request fits into every window.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        let mut free = now;
        for (length, most) in self.rates().windows() {
            // The request that must have left the window before another one fits.
            let blocking = (self.sent.len())
                .checked_sub(most as usize)
                .and_then(|index| self.sent.get(index));
            if let Some(&blocking) = blocking {
                free = free.max(blocking.after(length));
            }
        }
        free
    }

    pub(super) fn record(&mut self, at: Instant) {
        let widest = self.rates.windows().map(|(_, most)| most as usize).max();
        while self.sent.len() >= widest.unwrap_or(1) {
            self.sent.pop_front();
        }
        self.sent.push_back(at);
    }

    /// Takes the last request back: it was not sent.
    pub(super) fn take_back(&mut self) {
        self.sent.pop_back();
    }

    /// The server said that the rate is too high.
    pub(super) fn lower(&mut self) {
        let present = self.rates().minute;
        let lowered = if present > Self::SMALLEST_PLAN {
            Self::SMALLEST_PLAN
        } else {
            (present / 2).max(1)
        };
        self.lowered = Some(lowered).filter(|&rate| rate < self.rates.minute);
        self.good = 0;
    }

    /// A good answer: after a minute's worth of them one request a minute more is tried, and at once
    /// as many as the server says are `left` for less than a minute.
    pub(super) fn praise(&mut self, left: Option<u32>) {
        let Some(rate) = self.lowered else { return };
        self.good += 1;
        let mut raised = rate;
        if self.good >= rate {
            raised += 1;
        }
        if let Some(left) = left {
            raised = raised.max(left);
        }
        if raised != rate {
            self.good = 0;
            self.lowered = Some(raised).filter(|&rate| rate < self.rates.minute);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_boot(Duration::from_secs(1_000_000 + seconds))
    }

    #[test]
    fn the_reserve_is_left_alone_but_one_request_remains() {
        let windows = |rates: Rates| rates.windows().map(|(_, most)| most).collect::<Vec<_>>();
        assert_eq!(windows(Rates::new(60, Some(100), None, 0.25)), [45, 75]);
        assert_eq!(windows(Rates::new(3, None, Some(100), 0.9)), [1, 10]);
    }

    #[test]
    fn a_window_slides() {
        let mut budget = Budget::new(Rates::new(3, None, Some(5), 0.0), None);
        for second in [0, 10, 20] {
            assert_eq!(budget.free_at(at(second)), at(second));
            budget.record(at(second));
        }
        assert_eq!(budget.free_at(at(21)), at(60));
        budget.record(at(60));
        assert_eq!(budget.free_at(at(60)), at(70));
        budget.take_back();
        assert_eq!(budget.free_at(at(60)), at(60));
        budget.record(at(60));
        budget.record(at(70));
        assert_eq!(budget.free_at(at(80)), at(24 * 60 * 60));
    }

    #[test]
    fn falls_to_the_smallest_plan_and_rises_slowly() {
        let mut budget = Budget::new(Rates::new(60, None, None, 0.0), None);
        budget.lower();
        assert_eq!(budget.lowered(), Some(3));
        budget.lower();
        budget.lower();
        assert_eq!(budget.lowered(), Some(1));
        budget.praise(None);
        assert_eq!(budget.lowered(), Some(2));
        budget.praise(None);
        assert_eq!(budget.lowered(), Some(2));
        budget.praise(None);
        assert_eq!(budget.lowered(), Some(3));
        budget.praise(Some(29));
        assert_eq!(budget.lowered(), Some(29));
        budget.praise(Some(600));
        assert_eq!(budget.lowered(), None);
        budget.praise(None);
        assert_eq!(budget.lowered(), None);
    }
}
