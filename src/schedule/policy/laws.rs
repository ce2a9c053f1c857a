//! The laws that the durations of tasks may follow, and how well each goes with what was seen.
//!
//! A life table says little of ages that few tasks have reached, which is where the last task of an
//! import ends. So it is held against laws that durations often follow, at any scale, and beside them
//! stands the table itself, read high and low and with tails of its own. Nothing here knows of tasks.

use std::sync::LazyLock;

use crate::schedule::policy::life_table::{BUCKETS, EDGES, LifeTable, WEIGHT_OF_GUESS, bucket};

/// What the table itself is worth at first, beside the laws.
const OWN: f64 = 0.3;
/// Ends beyond this many prove no more: tasks of one server are alike in more than their law.
const INDEPENDENT: f64 = 150.0;
/// Laws that make up so much of the whole stand for the rest, which are at most so many.
const HEARD: f64 = 0.97;
const MOST: usize = 40;
/// What is taken for the hazard of the first class while nothing is known, a second.
const FIRST_HAZARD: f64 = 0.2;
/// No hazard is less, a second, so that nothing is impossible.
const LEAST_HAZARD: f64 = 1e-12;
/// A summed hazard beyond which nobody is left, as far as floating point goes.
const HIGHEST: f64 = 700.0;
/// How high the table is read, in standard deviations: five readings that are worth the same.
const READINGS: [f64; 5] = [-1.28, -0.52, 0.0, 0.52, 1.28];
/// How it may go on where nothing was seen.
const TAILS: [Tail; 6] = [
    Tail::Falling(0.0),
    Tail::Falling(0.4),
    Tail::Falling(1.0),
    Tail::Another(1.5),
    Tail::Another(3.0),
    Tail::Another(6.0),
];
/// How much the durations of another kind of tasks differ: the standard deviation of their logarithms.
const ANOTHER_SIGMA: f64 = 0.6;
/// A class of which less was seen than this tells nothing.
const UNSEEN: f64 = 0.5;

/// Scales that are tried in each class of age.
const PHASES: usize = 2;
/// The summed hazard of a law at each edge, by how many classes it is above its scale.
const OFFSETS: usize = 2 * BUCKETS;

/// Laws, each with its share.
#[derive(Debug, Clone)]
pub(super) struct Laws(Vec<Law>);

/// One law.
#[derive(Debug, Clone)]
pub(super) struct Law {
    /// Its share; those of all laws come to 1.
    pub(super) share: f64,
    hazard: [f64; BUCKETS],
    /// The hazard, summed up to the beginning of the class.
    cumulated: [f64; BUCKETS],
}

/// What the hazard does behind the ages that were seen.
#[derive(Debug, Clone, Copy)]
enum Tail {
    /// It falls by this power of the age.
    Falling(f64),
    /// Whoever is left is of another kind, which takes so many times as long as what was seen.
    Another(f64),
}

impl Tail {
    /// The hazard in `bucket`, where that of `last`, the last class that was seen, is `level`.
    fn hazard(self, bucket: usize, last: usize, level: f64) -> f64 {
        let last_age = EDGES[last].max(EDGES[1]);
        match self {
            Self::Falling(power) => level * (last_age / EDGES[bucket]).powf(power),
            Self::Another(times) => {
                let summed = |age: f64| lognormal(age / (last_age * times), ANOTHER_SIGMA);
                let end = EDGES[bucket] + width(bucket);
                ((summed(end).min(HIGHEST) - summed(EDGES[bucket]).min(HIGHEST)) / width(bucket))
                    .max(level.min(LEAST_HAZARD))
            }
        }
    }
}

/// An age, found in the classes once for all laws.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age {
    bucket: usize,
    rest: f64,
}

impl Age {
    pub(super) fn of(seconds: f64) -> Self {
        let seconds = seconds.max(0.0);
        let bucket = bucket(seconds);
        Self {
            bucket,
            rest: seconds - EDGES[bucket],
        }
    }
}

impl Law {
    fn of(share: f64, hazard: &[f64; BUCKETS]) -> Self {
        let mut cumulated = [0.0; BUCKETS];
        let mut sum = 0.0;
        for bucket in 0..BUCKETS {
            cumulated[bucket] = sum;
            sum += hazard[bucket] * width(bucket);
        }
        Self {
            share,
            hazard: *hazard,
            cumulated,
        }
    }

    /// The hazard up to an age, summed: the survival to that age is `exp` of its negative.
    pub(super) fn cumulated(&self, age: Age) -> f64 {
        self.cumulated[age.bucket] + self.hazard[age.bucket] * age.rest
    }
}

impl Laws {
    /// The laws that go with a table.
    pub(super) fn of(table: &LifeTable) -> Self {
        let seen = Seen::of(table);
        let mut candidates = Vec::new();
        for (number, shape) in SHAPES.iter().enumerate() {
            for place in 0..BUCKETS {
                let told = seen.likelihood(shape, place) + shape.prior;
                candidates.push((told, Candidate::Known(number, place)));
            }
        }
        let (own, readings) = own(&seen);
        let each = f64::from(u32::try_from(readings.len()).unwrap_or(1));
        for reading in 0..readings.len() {
            candidates.push((own + (OWN / each).ln(), Candidate::Own(reading)));
        }
        let best = candidates
            .iter()
            .map(|&(told, _)| told)
            .fold(f64::NEG_INFINITY, f64::max);
        for (told, _) in &mut candidates {
            *told = (*told - best).exp();
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        let all: f64 = candidates.iter().map(|&(share, _)| share).sum();
        let (mut heard, mut laws) = (0.0, Vec::new());
        for (share, candidate) in candidates.into_iter().take(MOST) {
            if heard > HEARD * all {
                break;
            }
            heard += share;
            laws.push(match candidate {
                Candidate::Known(number, place) => Law::of(share, &SHAPES[number].at(place)),
                Candidate::Own(reading) => Law::of(share, &readings[reading]),
            });
        }
        for law in &mut laws {
            law.share /= heard;
        }
        Self(laws)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Law> {
        self.0.iter()
    }
}

/// A law that is held against what was seen.
enum Candidate {
    /// The number of a shape, and the class of its scale.
    Known(usize, usize),
    /// The number of a reading of the table itself.
    Own(usize),
}

fn width(bucket: usize) -> f64 {
    let next = EDGES.get(bucket + 1).copied();
    next.map_or(EDGES[bucket], |next| next - EDGES[bucket])
}

/// The classes in which something was seen.
struct Seen {
    ends: [f64; BUCKETS],
    exposure: [f64; BUCKETS],
    /// Their numbers, with their widths.
    classes: Vec<(usize, f64)>,
    /// What part of the likelihood counts.
    power: f64,
}

impl Seen {
    fn of(table: &LifeTable) -> Self {
        let mut seen = Self {
            ends: [0.0; BUCKETS],
            exposure: [0.0; BUCKETS],
            classes: Vec::new(),
            power: (INDEPENDENT / table.total()).min(1.0),
        };
        for (bucket, ends, exposure) in table.rows() {
            seen.ends[bucket] = ends;
            seen.exposure[bucket] = exposure;
            seen.classes.push((bucket, width(bucket)));
        }
        seen
    }

    /// The logarithm of the likelihood of what was seen, under hazards summed by class.
    fn likelihood(&self, shape: &Shape, place: usize) -> f64 {
        let mut told = 0.0;
        for &(bucket, width) in &self.classes {
            let hazard = shape.hazard(bucket, place, width);
            let ends = self.ends[bucket];
            if ends > 0.0 {
                told += ends * hazard.ln();
            }
            told -= hazard * self.exposure[bucket];
        }
        told * self.power
    }
}

/// The table itself: the likelihood of what was seen if each class guesses at the one before it, and the
/// readings of it.
fn own(seen: &Seen) -> (f64, Vec<[f64; BUCKETS]>) {
    let decline = 2_f64.powf(-1.0 / 16.0);
    let (mut before, mut told) = (FIRST_HAZARD, 0.0);
    let mut level = [0.0; BUCKETS];
    let mut last = 0;
    for (bucket, level) in level.iter_mut().enumerate() {
        let (ends, exposure) = (seen.ends[bucket], seen.exposure[bucket]);
        let time = WEIGHT_OF_GUESS / (before * decline);
        let known = WEIGHT_OF_GUESS + ends;
        if exposure > 0.0 || ends > 0.0 {
            told += WEIGHT_OF_GUESS * time.ln() - known * (time + exposure).ln()
                + libm::lgamma(known)
                - libm::lgamma(WEIGHT_OF_GUESS);
        }
        if ends > UNSEEN || before * exposure > UNSEEN {
            last = bucket;
        }
        *level = known / (time + exposure);
        before = *level;
    }
    let mut readings = Vec::new();
    for tail in TAILS {
        for reading in READINGS {
            let mut hazard = [0.0; BUCKETS];
            for bucket in 0..BUCKETS {
                let near = bucket.saturating_sub(2)..=(bucket + 2).min(BUCKETS - 1);
                let known = WEIGHT_OF_GUESS + near.map(|near| seen.ends[near]).sum::<f64>();
                let sure = (reading / known.sqrt()).exp();
                hazard[bucket] = if bucket <= last {
                    level[bucket] * sure
                } else {
                    tail.hazard(bucket, last, hazard[last])
                };
            }
            readings.push(hazard);
        }
    }
    (told * seen.power, readings)
}

/// The shape of a law, at one of the scales within a class.
struct Shape {
    /// The logarithm of what it is worth at first, at each scale.
    prior: f64,
    /// Its hazard, summed up to the beginning of a class that is so many classes above its scale, less
    /// [`BUCKETS`].
    summed: [f64; OFFSETS + 1],
}

impl Shape {
    fn of(summed: impl Fn(f64) -> f64, phase: f64, prior: f64) -> Self {
        let mut shape = Self {
            prior,
            summed: [0.0; OFFSETS + 1],
        };
        let mut offset = -f64::from(u32::try_from(BUCKETS).unwrap_or(0)) - phase;
        for slot in &mut shape.summed {
            *slot = summed(2_f64.powf(offset / 4.0)).min(HIGHEST);
            offset += 1.0;
        }
        shape
    }

    /// Its hazard in a class of this width, where its scale is in the class `place`.
    fn hazard(&self, bucket: usize, place: usize, width: f64) -> f64 {
        let index = bucket + BUCKETS - place;
        let before = if bucket == 0 { 0.0 } else { self.summed[index] };
        ((self.summed[index + 1] - before) / width).max(LEAST_HAZARD)
    }

    /// Its hazards, where its scale is in the class `place`.
    fn at(&self, place: usize) -> [f64; BUCKETS] {
        let mut hazard = [0.0; BUCKETS];
        for (bucket, slot) in hazard.iter_mut().enumerate() {
            *slot = self.hazard(bucket, place, width(bucket));
        }
        hazard
    }
}

/// A law's summed hazard up to an age, in its scale.
type Summed = Box<dyn Fn(f64) -> f64>;

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let mut families: Vec<(f64, Vec<Summed>)> = Vec::new();
    let lognormal =
        steps(0.2, 1.12, 22).map(|sigma| -> Summed { Box::new(move |age| lognormal(age, sigma)) });
    families.push((0.4, lognormal.collect()));
    let loglogistic =
        steps(0.7, 1.2, 15).map(|power| -> Summed { Box::new(move |age| age.powf(power).ln_1p()) });
    families.push((0.2, loglogistic.collect()));
    let weibull =
        steps(0.4, 1.2, 14).map(|power| -> Summed { Box::new(move |age| age.powf(power)) });
    families.push((0.2, weibull.collect()));
    let lomax =
        steps(0.6, 1.3, 7).map(|power| -> Summed { Box::new(move |age| power * age.ln_1p()) });
    families.push((0.2, lomax.collect()));
    let mut shapes = Vec::new();
    let scales = f64::from(u32::try_from(BUCKETS * PHASES).unwrap_or(1));
    for (worth, family) in families {
        let each = f64::from(u32::try_from(family.len()).unwrap_or(1)) * scales;
        let prior = ((1.0 - OWN) * worth / each).ln();
        for summed in family {
            shapes.push(Shape::of(&summed, 0.0, prior));
            shapes.push(Shape::of(&summed, 0.5, prior));
        }
    }
    shapes
});

/// The summed hazard of a lognormal law up to an age, in medians.
fn lognormal(age: f64, sigma: f64) -> f64 {
    -(0.5 * libm::erfc(age.ln() / (sigma * std::f64::consts::SQRT_2))).ln()
}

fn steps(first: f64, factor: f64, count: i32) -> impl Iterator<Item = f64> {
    (0..count).map(move |n| first * factor.powi(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chance to be pending at an age.
    fn pending(laws: &Laws, age: f64) -> f64 {
        let chances = laws.iter().map(|law| {
            let hazard = law.cumulated(Age::of(age));
            law.share * (-hazard).exp()
        });
        chances.sum()
    }

    #[test]
    fn a_law_is_known_by_its_beginning() {
        // What is seen of many tasks that follow a lognormal law, of median 20 s, by the age of 16 s.
        let mut rows = Vec::new();
        let survival = |age: f64| (-lognormal(age / 20.0, 0.8)).exp();
        for bucket in (0..BUCKETS).take_while(|bucket| EDGES[*bucket] < 16.0) {
            let (begin, end) = (EDGES[bucket], EDGES[bucket + 1]);
            let middle = 400.0 * survival(f64::midpoint(begin, end));
            rows.push((
                bucket,
                400.0 * (survival(begin) - survival(end)),
                middle * (end - begin),
            ));
        }
        let laws = Laws::of(&LifeTable::of(rows));
        assert!((laws.iter().map(|law| law.share).sum::<f64>() - 1.0).abs() < 1e-9);
        for (age, near) in [(10.0, 0.03), (20.0, 0.06), (60.0, 0.1)] {
            let (told, truth) = (pending(&laws, age), survival(age));
            assert!((told - truth).abs() < near, "at {age}: {told}, not {truth}");
        }
    }

    #[test]
    fn nothing_known_and_nonsense_give_chances_all_the_same() {
        for rows in [
            vec![],
            vec![(0, 1e9, 0.0)],
            vec![(79, 0.0, 1e12), (3, 1e-300, 1e-300)],
            vec![(40, 1000.0, 1e-9), (41, 0.0, 1e9)],
        ] {
            let laws = Laws::of(&LifeTable::of(rows.clone()));
            let mut before = 1.0;
            for age in [0.0, 0.1, 1.0, 60.0, 1e4, 1e7] {
                let chance = pending(&laws, age);
                assert!(
                    (0.0..=before + 1e-9).contains(&chance),
                    "{rows:?} at {age}: {chance}"
                );
                before = chance;
            }
        }
    }
}
