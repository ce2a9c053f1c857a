//! Whether the server works in order: the first in, the first out.
//!
//! It reckons how many of those at the front have ended since it was last known who the front is.

use crate::schedule::policy::experience::Pace;

/// What was seen so many ends ago counts for 1/e.
const FADING: f64 = 50.0;

/// The pace of the server, and how well its order is kept to.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// Ends, fading, and the seconds in which they were.
    ends: f64,
    time: f64,
    /// How far from the front those were that had ended, summed over these ends.
    strayed: f64,
    /// Since when the front is known.
    since: f64,
    /// Ends seen since.
    found: f64,
    /// Up to when time is counted.
    counted_to: f64,
}

/// One watch in an answer: its rank among the pending, and whether it had ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) rank: f64,
    pub(super) ended: bool,
}

impl Order {
    /// The account has something to do again.
    pub(super) fn start(&mut self, now: f64) {
        self.since = now;
        self.counted_to = now;
        self.found = 0.0;
    }

    /// How fast tasks end, and how well the order is kept to.
    pub(super) fn pace(&self) -> Pace {
        Pace {
            ends: self.ends,
            time: self.time,
            strayed: self.strayed,
        }
    }

    /// How many of the pending have ended by `at`, as far as the pace tells.
    fn ended(&self, at: f64) -> f64 {
        let pace = if self.time > 0.0 {
            self.ends / self.time
        } else {
            0.0
        };
        (pace * (at - self.since) - self.found).max(0.0)
    }

    /// The chance that who is at `rank` has ended by `at`.
    pub(super) fn chance(&self, rank: f64, at: f64) -> f64 {
        let ended = self.ended(at);
        let spread = if self.ends > 0.0 {
            self.strayed / self.ends
        } else {
            0.0
        };
        let width = 0.3 + spread + 0.3 * ended.sqrt();
        1.0 / (1.0 + ((rank + 0.5 - ended) / width).exp())
    }

    /// Takes in an answer about watches at these places.
    pub(super) fn learn(&mut self, places: &[Place], now: f64) {
        let (mut found, mut ranks) = (0.0, 0.0);
        for place in places.iter().filter(|place| place.ended) {
            found += 1.0;
            ranks += place.rank;
        }
        let fade = f64::exp(-found / FADING);
        self.ends = self.ends * fade + found;
        self.time = self.time * fade + (now - self.counted_to).max(0.0);
        self.strayed *= fade;
        if found > 0.0 {
            // Whoever is in front of those at 0, 1, 2, … is nobody: half of one less than their number.
            let mean_rank = ranks / found;
            self.strayed += found * (mean_rank - (found - 1.0) / 2.0).max(0.0);
        }
        self.counted_to = now;
        if shows_the_front(places) {
            self.since = now;
            self.found = 0.0;
        } else {
            self.found += found;
        }
    }
}

/// Whether the answer was about the front, and left some of it pending: then who comes next is known.
fn shows_the_front(places: &[Place]) -> bool {
    let mut asked: Vec<Place> = places.to_vec();
    asked.sort_by(|a, b| a.rank.total_cmp(&b.rank));
    let mut expected = 0.5;
    for place in asked {
        if place.rank > expected {
            return false;
        }
        if !place.ended {
            return true;
        }
        expected = place.rank + 1.5;
    }
    false
}
