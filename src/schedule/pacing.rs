//! The exponential series of delays, as a function of the step number.
//!
//! This is the one file that knows the crate `backoff`, which is no longer maintained: the crate
//! gives the growth of the delay, everything else (jitter, limits, when to give up) is decided
//! elsewhere. It never draws a random number and never reads a clock.

use std::sync::Arc;
use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff as _;
use thiserror::Error;

/// A series of delays that grows by a constant factor up to a limit. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pacing {
    delays: Arc<[Duration]>,
}

/// Why three numbers make no series of delays.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum PacingError {
    /// A first delay so short that it would be a hot loop, or one longer than the longest.
    #[error("the first delay is {0:?}; it must be from 10ms to the longest delay")]
    Initial(Duration),
    /// A longest delay beyond any use.
    #[error("the longest delay is {0:?}; it must be at most 7 days")]
    Longest(Duration),
    /// A factor that shrinks the delay, or is no number.
    #[error("the multiplier is {0}; it must be from 1 to 10")]
    Multiplier(f64),
}

impl Pacing {
    /// The shortest first delay.
    pub const SHORTEST: Duration = Duration::from_millis(10);
    /// The longest delay.
    pub const LONGEST: Duration = Duration::from_hours(7 * 24);
    /// A series is cut here, however slowly it grows: by then 10 ms have grown to 7 days with a
    /// multiplier of 1.005, and a slower one differs from it in nothing that matters.
    const MOST_STEPS: usize = 4096;

    /// The series `initial`, `initial · multiplier`, … up to `longest`.
    ///
    /// # Errors
    ///
    /// [`PacingError`] for numbers that the crate would turn into a hot loop or worse.
    pub fn new(initial: Duration, multiplier: f64, longest: Duration) -> Result<Self, PacingError> {
        if longest > Self::LONGEST {
            return Err(PacingError::Longest(longest));
        }
        if initial < Self::SHORTEST || initial > longest {
            return Err(PacingError::Initial(initial));
        }
        if !(1.0..=10.0).contains(&multiplier) {
            return Err(PacingError::Multiplier(multiplier));
        }
        let mut series = ExponentialBackoffBuilder::new()
            .with_initial_interval(initial)
            .with_multiplier(multiplier)
            .with_max_interval(longest)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        let mut delays: Vec<Duration> = Vec::new();
        while delays.len() < Self::MOST_STEPS && delays.last() < Some(&longest) {
            // With no limit on the elapsed time the crate always gives a delay.
            let next = series.next_backoff().unwrap_or(longest).min(longest);
            if delays.last() == Some(&next) {
                break;
            }
            delays.push(next);
        }
        Ok(Self {
            delays: delays.into(),
        })
    }

    /// The delay after `step` earlier ones: the first for 0.
    #[must_use]
    pub fn delay(&self, step: u32) -> Duration {
        let last = self.delays.len() - 1;
        let step = usize::try_from(step).map_or(last, |step| step.min(last));
        self.delays[step]
    }

    /// The longest delay of the series.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.delay(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(initial: u64, multiplier: f64, longest: u64, steps: u32) -> Vec<u128> {
        let millis = Duration::from_millis;
        let pacing = Pacing::new(millis(initial), multiplier, millis(longest)).unwrap();
        (0..steps)
            .map(|step| pacing.delay(step).as_millis())
            .collect()
    }

    #[test]
    fn grows_to_the_longest_and_stays() {
        assert_eq!(
            series(2000, 1.5, 10_000, 7),
            [2000, 3000, 4500, 6750, 10_000, 10_000, 10_000]
        );
        assert_eq!(series(1000, 2.0, 300_000, 10)[8..], [256_000, 300_000]);
    }

    #[test]
    fn may_stand_still() {
        assert_eq!(series(500, 1.0, 60_000, 3), [500, 500, 500]);
        assert_eq!(series(500, 3.0, 500, 3), [500, 500, 500]);
    }

    #[test]
    fn an_endless_series_is_cut() {
        let slow = Pacing::new(Pacing::SHORTEST, 1.000_001, Pacing::LONGEST).unwrap();
        assert!(slow.longest() < Duration::from_secs(1));
    }

    #[test]
    fn refuses_what_would_be_a_hot_loop() {
        let new = |initial, multiplier, longest| {
            Pacing::new(
                Duration::from_millis(initial),
                multiplier,
                Duration::from_millis(longest),
            )
        };
        for initial in [0, 9, 101] {
            let refused = Duration::from_millis(initial);
            assert_eq!(new(initial, 2.0, 100), Err(PacingError::Initial(refused)));
        }
        for multiplier in [0.0, 0.99, 10.01, f64::INFINITY, -1.0] {
            assert_eq!(
                new(10, multiplier, 100),
                Err(PacingError::Multiplier(multiplier))
            );
        }
        assert!(new(10, f64::NAN, 100).is_err());
        assert!(new(10, 2.0, u64::MAX).is_err());
    }
}
