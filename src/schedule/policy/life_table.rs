//! The life table: how many tasks ended at which age, and for how long tasks of that age were pending.
//!
//! It knows ages alone, no task and no clock.

use std::sync::LazyLock;

/// So many classes of age, four an octave; the last one has no end.
pub const BUCKETS: usize = 80;
/// The end of the first class, in seconds.
const FIRST: f64 = 0.25;
/// What is taken for the hazard of the first class while nothing is known, a second.
const FIRST_HAZARD: f64 = 0.1;
/// By so many octaves the hazard of a class is guessed lower than that of the one before it:
/// durations of most things have tails longer than exponential.
const DECLINE: f64 = 0.125;
/// So many ends the guess for a class is worth, which goes on from the class before it.
pub(super) const WEIGHT_OF_GUESS: f64 = 2.0;
/// What was seen so many ends ago counts for 1/e.
const FADING: f64 = 1000.0;

/// Where each class of age begins.
pub(super) static EDGES: LazyLock<[f64; BUCKETS]> = LazyLock::new(|| {
    let mut edges = [0.0; BUCKETS];
    let mut edge = FIRST;
    for slot in &mut edges[1..] {
        *slot = edge;
        edge *= 2_f64.powf(0.25);
    }
    edges
});

/// Ends and pending time by age, fading, and the hazard that follows from them.
#[derive(Debug, Clone, PartialEq)]
pub struct LifeTable {
    ends: [f64; BUCKETS],
    /// Seconds that tasks of the age were pending.
    exposure: [f64; BUCKETS],
    /// Ends a second among the pending.
    hazard: [f64; BUCKETS],
    /// The hazard, summed up to the beginning of the class.
    cumulated: [f64; BUCKETS],
}

impl Default for LifeTable {
    fn default() -> Self {
        let mut table = Self {
            ends: [0.0; BUCKETS],
            exposure: [0.0; BUCKETS],
            hazard: [0.0; BUCKETS],
            cumulated: [0.0; BUCKETS],
        };
        table.refresh();
        table
    }
}

impl LifeTable {
    /// The table of so many ends and so many seconds of pending by class of age. What is not a number
    /// from 0 up counts as 0.
    #[must_use]
    pub fn of(rows: impl IntoIterator<Item = (usize, f64, f64)>) -> Self {
        let sane = |number: f64| {
            Some(number)
                .filter(|n| n.is_finite())
                .map_or(0.0, |n| n.max(0.0))
        };
        let mut table = Self::default();
        for (bucket, ends, exposure) in rows {
            if bucket < BUCKETS {
                table.ends[bucket] = sane(ends);
                table.exposure[bucket] = sane(exposure);
            }
        }
        table.refresh();
        table
    }

    /// The classes of age in which anything was seen: their number, ends, and seconds of pending.
    pub fn rows(&self) -> impl Iterator<Item = (usize, f64, f64)> {
        let both = self.ends.iter().zip(&self.exposure).enumerate();
        let rows = both.map(|(bucket, (&ends, &exposure))| (bucket, ends, exposure));
        rows.filter(|&(_, ends, exposure)| ends > 0.0 || exposure > 0.0)
    }

    /// A task was still pending at the age `to`, as it was at `from`.
    pub(super) fn saw_pending(&mut self, from: f64, to: f64) {
        let (from, to) = (from.max(0.0), to.max(0.0));
        for bucket in bucket(from)..=bucket(to) {
            let begin = EDGES[bucket].max(from);
            let end = EDGES.get(bucket + 1).map_or(to, |&edge| edge.min(to));
            self.exposure[bucket] += (end - begin).max(0.0);
        }
    }

    /// A task that was pending at the age `from` had ended by the age `to`: at any age between, as far
    /// as this shows. Were the end put at one age, all that lie behind it would count as survived, and
    /// the ages just reached, by which those to come are judged, as safe.
    pub(super) fn saw_end(&mut self, from: f64, to: f64) {
        let (from, to) = (from.max(0.0), to.max(0.0));
        let span = to - from;
        if span <= 0.0 {
            self.ends[bucket(to)] += 1.0;
            return;
        }
        for bucket in bucket(from)..=bucket(to) {
            let begin = EDGES[bucket].max(from);
            let end = EDGES.get(bucket + 1).map_or(to, |&edge| edge.min(to));
            let within = (end - begin).max(0.0);
            let pending = (to - f64::midpoint(begin, end)) / span;
            self.ends[bucket] += within / span;
            self.exposure[bucket] += within * pending;
        }
    }

    /// Lets everything fade by so many ends seen, and takes what was seen since into account.
    pub(super) fn conclude(&mut self, found: f64) {
        self.scale((-found / FADING).exp());
    }

    /// Makes all that was seen worth no more than so many ends.
    pub(super) fn keep_at_most(&mut self, ends: f64) {
        let total = self.total();
        if total > ends {
            self.scale(ends / total);
        }
    }

    /// How many ends it holds.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.ends.iter().sum()
    }

    /// The hazard up to an age, summed: the survival to that age is `exp` of its negative.
    pub(super) fn cumulated(&self, age: f64) -> f64 {
        let age = age.max(0.0);
        let bucket = bucket(age);
        self.cumulated[bucket] + self.hazard[bucket] * (age - EDGES[bucket])
    }

    fn scale(&mut self, factor: f64) {
        for number in self.ends.iter_mut().chain(&mut self.exposure) {
            *number *= factor;
        }
        self.refresh();
    }

    /// Each class guesses at the hazard of the one before it, a little lower.
    fn refresh(&mut self) {
        let decline = (-DECLINE).exp2();
        let (mut before, mut sum) = (FIRST_HAZARD, 0.0);
        for bucket in 0..BUCKETS {
            let pseudo_time = WEIGHT_OF_GUESS / (before * decline);
            let hazard =
                (self.ends[bucket] + WEIGHT_OF_GUESS) / (self.exposure[bucket] + pseudo_time);
            self.hazard[bucket] = hazard;
            self.cumulated[bucket] = sum;
            let width = EDGES
                .get(bucket + 1)
                .map_or(0.0, |next| next - EDGES[bucket]);
            sum += hazard * width;
            before = hazard;
        }
    }
}

/// The class of an age. Its octave stands in the bits of the number: a logarithm takes several times as
/// long, and a decision asks for some thousands of classes.
pub(super) fn bucket(age: f64) -> usize {
    if age < FIRST {
        return 0;
    }
    let exponent = usize::try_from((age / FIRST).to_bits() >> 52).unwrap_or(usize::MAX);
    let begin = exponent.saturating_sub(1023).saturating_mul(4) + 1;
    let octave = EDGES.get(begin..).unwrap_or_default();
    // The edges have been multiplied up, and may be off an octave's beginning by a hair.
    let passed = octave.iter().take(5).take_while(|&&edge| age >= edge);
    (begin + passed.count()).min(BUCKETS) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_an_age_is_the_last_that_begins_before_it() {
        let slow = |age: f64| EDGES.iter().rposition(|&edge| age >= edge).unwrap_or(0);
        for step in 0..4000 {
            let age = 0.2 * 1.01_f64.powi(step);
            assert_eq!(bucket(age), slow(age), "{age}");
        }
        for &edge in EDGES.iter() {
            for age in [edge.next_down(), edge, edge.next_up()] {
                assert_eq!(bucket(age), slow(age), "{age}");
            }
        }
        for age in [0.0, -1.0, f64::INFINITY] {
            assert_eq!(bucket(age), slow(age), "{age}");
        }
    }

    /// The hazard at an age, a second.
    fn hazard(table: &LifeTable, age: f64) -> f64 {
        (table.cumulated(age + 0.1) - table.cumulated(age)) / 0.1
    }

    /// Of two hundred tasks asked first at the age of 8 s, those ended that a hazard of 0.1 would end.
    #[test]
    fn what_ended_between_two_answers_makes_no_age_between_them_look_safe() {
        let mut table = LifeTable::default();
        let ended = 110;
        for _ in 0..ended {
            table.saw_end(0.0, 8.0);
        }
        for _ in ended..200 {
            table.saw_pending(0.0, 8.0);
        }
        table.conclude(f64::from(ended));
        for age in [0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 7.8, 9.0] {
            let found = hazard(&table, age);
            assert!((0.06..0.16).contains(&found), "{found} at {age}");
        }
    }

    #[test]
    fn an_end_counts_as_one_wherever_it_was() {
        for (from, to) in [(0.0, 8.0), (0.1, 0.2), (3.0, 3.0), (5.0, 1e9), (-1.0, -1.0)] {
            let mut table = LifeTable::default();
            table.saw_end(from, to);
            assert!((table.total() - 1.0).abs() < 1e-9, "{from} to {to}");
        }
    }
}
