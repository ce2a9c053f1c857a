//! How fast tasks settle: what has been seen since waiting began, and nothing else.
//!
//! It says nothing as long as it has seen too little to say it honestly, and it never says how it will
//! go on.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Instant;

/// What was seen so long ago counts no longer.
const WINDOW: Duration = Duration::from_mins(2);
/// It takes so long at least to see how fast it goes.
const LEAST: Duration = Duration::from_secs(5);
/// It takes so many tasks at least.
const FEW: u64 = 3;

/// When how many had settled.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seen: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// Takes in that `settled` tasks have settled by `now`.
    pub(super) fn see(&mut self, settled: u64, now: Instant) {
        if self.seen.back().is_none_or(|(_, last)| *last != settled) {
            self.seen.push_back((now, settled));
        }
        // One point from before the window stays: it says where the window began.
        while self
            .seen
            .get(1)
            .is_some_and(|(at, _)| now.since(*at) >= WINDOW)
        {
            self.seen.pop_front();
        }
    }

    /// How many settle in a minute.
    pub(super) fn a_minute(&self, now: Instant) -> Option<f64> {
        let (from, before) = self.seen.front()?;
        let (_, settled) = self.seen.back()?;
        let span = now.since(*from);
        let seen = settled.saturating_sub(*before);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate for a person, of numbers far below 2^52"
        )]
        let rate = seen as f64 * 60.0 / span.as_secs_f64();
        (seen >= FEW && span >= LEAST).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_boot(Duration::from_secs(1000 + seconds))
    }

    #[test]
    fn nothing_is_said_before_something_is_seen() {
        let mut pace = Pace::default();
        assert_eq!(pace.a_minute(at(0)), None);
        pace.see(40, at(0));
        let rate = pace.a_minute(at(60));
        assert_eq!(rate, None, "what was there before is no pace");
        pace.see(42, at(60));
        assert_eq!(pace.a_minute(at(60)), None, "two are too few");
        pace.see(60, at(60));
        assert_eq!(pace.a_minute(at(60)), Some(20.0));
        assert_eq!(pace.a_minute(at(120)), Some(10.0));
    }

    #[test]
    fn what_is_long_ago_counts_no_longer() {
        let mut pace = Pace::default();
        for second in 0..100 {
            pace.see(second * 10, at(second));
        }
        for second in 0..100 {
            pace.see(1000 + second, at(1000 + second * 10));
        }
        let rate = pace.a_minute(at(1990)).unwrap();
        assert!((5.0..7.0).contains(&rate), "{rate}");
    }
}
