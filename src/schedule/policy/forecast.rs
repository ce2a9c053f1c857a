//! When tasks will have ended: for one, and for all of an import together, between which instants with
//! eight chances of ten.
//!
//! It reckons with what an account has learnt, and with nothing else: the laws that the durations seen
//! may follow, the pace at which a server works that keeps to the order, and the progress as far as it
//! has told well. Each is a view of the world as a whole: where a server keeps to the order, its tasks
//! end one after the other, and the last of them is the last. So they are mixed for the import as a
//! whole, not for each of its tasks. Where too little is known to say it honestly, it says nothing.

use std::collections::BTreeMap;

use crate::schedule::policy::experience::{Experience, Pace, Say};
use crate::schedule::policy::laws::{Age, Law, Laws};
use crate::schedule::policy::progress;

/// So many ends must have been seen, unless the progress has told well.
const KNOWN: f64 = 5.0;
/// The progress has told well where it has more of a say than this.
const TRUSTED: f64 = 0.5;
/// What is left to the others where the progress predicts an end.
const DOUBT: f64 = 0.05;
/// An expert with less of a say than this is passed over.
const UNHEARD: f64 = 0.01;
/// How much one end in order is apart from the next, as a part of the mean.
const UNEVEN: f64 = 0.7;
/// The chances of having ended by the beginning of a range, by its middle, and by its end.
const CHANCES: [f64; 3] = [0.1, 0.5, 0.9];
/// A range is sought within so many seconds from now, and told to about one part in a hundred.
const SOONEST: f64 = 0.01;
const LATEST: f64 = 1e8;
const HALVINGS: u32 = 12;
/// So many tasks are reckoned with one by one; of more, those whose ages fall into the same of so many
/// classes an octave are taken together.
const FEW: usize = 32;
const CLASSES: f64 = 8.0;
/// The logarithm of a chance that is none.
const IMPOSSIBLE: f64 = -50.0;

/// A task without an outcome, or several of which the same is known. Times are seconds.
#[derive(Debug, Clone, Copy)]
pub struct Unsettled {
    /// How long ago it began.
    pub age: f64,
    /// How long ago it was last known to be pending.
    pub silent: f64,
    /// The progress that was claimed then, in percent.
    pub claim: Option<u8>,
    /// How many of the account's pending tasks were added before it.
    pub rank: f64,
    /// How many such tasks there are.
    pub count: f64,
}

/// When something will have ended on the server, seconds from now: by these instants with the chances
/// 1/10, 1/2 and 9/10. What may have ended already begins at 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Its beginning.
    pub from: f64,
    /// Its middle.
    pub likely: f64,
    /// Its end.
    pub to: f64,
}

/// What an account's tasks are expected to do.
#[derive(Debug, Clone)]
pub struct Forecast {
    laws: Laws,
    pace: Pace,
    say: Say,
    /// How long ago the first of the pending was last known to be.
    front: f64,
}

impl Forecast {
    /// By what an account has learnt, where it is enough.
    #[must_use]
    pub fn of(experience: &Experience) -> Option<Self> {
        let say = experience.say;
        let is_known = experience.table.total() >= KNOWN || say.steady > TRUSTED;
        is_known.then(|| Self {
            laws: Laws::of(&experience.table),
            pace: experience.pace,
            say,
            front: 0.0,
        })
    }

    /// The same, where the account's first pending task was last known to be pending so many seconds
    /// ago.
    #[must_use]
    pub fn since(self, front: f64) -> Self {
        Self { front, ..self }
    }

    /// Whether the ranks of tasks make a difference.
    #[must_use]
    pub fn heeds_order(&self) -> bool {
        self.say.order > UNHEARD
    }

    /// When all of these will have ended; `None` where nothing can be said, or everything should have.
    #[must_use]
    pub fn all(&self, tasks: &[Unsettled]) -> Option<Expected> {
        if tasks.is_empty() {
            return None;
        }
        let mixed = Mixed::of(self, tasks);
        let [from, likely, to] = CHANCES.map(|chance| mixed.reaches(chance));
        let expected = Expected {
            from: from?,
            likely: likely?,
            to: to?,
        };
        (expected.to > 0.0).then_some(expected)
    }
}

/// Tasks of which so much the same is known that they may be taken together.
#[derive(Debug, Clone, Copy)]
struct Cohort {
    age: f64,
    /// How old they were when they were last known to be pending.
    last: f64,
    /// The end that the progress predicts, in seconds from now.
    span: Option<(f64, f64)>,
    /// How old they will be at the end at least, if the progress is right.
    least: f64,
    /// The last of them.
    rank: f64,
    silent: f64,
    count: f64,
}

impl Cohort {
    fn of(task: &Unsettled) -> Self {
        let last = (task.age - task.silent).max(0.0);
        let claim = task.claim.filter(|_| last > 0.0);
        let span = claim.and_then(|claim| progress::steady(last, claim));
        Self {
            age: task.age,
            last,
            span: span.map(|(from, to)| (from - task.age, to - task.age)),
            least: claim.map_or(last, |claim| progress::least(last, claim)),
            rank: task.rank,
            silent: task.silent,
            count: task.count,
        }
    }

    /// Takes in more that are nearly the same.
    fn join(&mut self, task: &Unsettled) {
        let other = Self::of(task);
        let all = self.count + other.count;
        let mix = |ours: f64, theirs: f64| (ours * self.count + theirs * other.count) / all;
        self.span = self
            .span
            .zip(other.span)
            .map(|(ours, theirs)| (mix(ours.0, theirs.0), mix(ours.1, theirs.1)));
        (self.age, self.last) = (mix(self.age, other.age), mix(self.last, other.last));
        self.least = mix(self.least, other.least);
        if other.rank > self.rank {
            (self.rank, self.silent) = (other.rank, other.silent);
        }
        self.count = all;
    }
}

/// Few tasks as they are, many by what they have in common.
fn cohorts(tasks: &[Unsettled]) -> Vec<Cohort> {
    if tasks.len() <= FEW {
        return tasks.iter().map(Cohort::of).collect();
    }
    let class = |age: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is too large for a class saturates"
        )]
        let class = (age.max(SOONEST).log2() * CLASSES).floor() as i32;
        class
    };
    let mut found: BTreeMap<(i32, i32, Option<u8>), Cohort> = BTreeMap::new();
    for task in tasks {
        let key = (class(task.age), class(task.age - task.silent), task.claim);
        found
            .entry(key)
            .and_modify(|cohort| cohort.join(task))
            .or_insert_with(|| Cohort::of(task));
    }
    found.into_values().collect()
}

/// Tasks as each view of the world has them.
struct Mixed<'a> {
    forecast: &'a Forecast,
    cohorts: Vec<Cohort>,
    /// The hazard of each law, summed to when a cohort was last known to be pending.
    seen: Vec<Vec<f64>>,
    /// The same, to the age that each of them will reach if the progress is right.
    claimed: Vec<Vec<f64>>,
    heeds_progress: bool,
}

impl<'a> Mixed<'a> {
    fn of(forecast: &'a Forecast, tasks: &[Unsettled]) -> Self {
        let cohorts = cohorts(tasks);
        let summed = |ages: &dyn Fn(&Cohort) -> f64| {
            let ages: Vec<Age> = cohorts.iter().map(|one| Age::of(ages(one))).collect();
            let of_law = |law: &Law| ages.iter().map(|age| law.cumulated(*age)).collect();
            forecast.laws.iter().map(of_law).collect()
        };
        let heeds_progress = forecast.say.steady >= UNHEARD
            && cohorts
                .iter()
                .any(|one| one.span.is_some() || one.least > one.last);
        Self {
            forecast,
            seen: summed(&|one| one.last),
            claimed: summed(&|one| one.least.max(one.last)),
            heeds_progress,
            cohorts,
        }
    }

    /// The first instant, in seconds from now, by which all have ended with this chance.
    fn reaches(&self, chance: f64) -> Option<f64> {
        if self.chance(0.0) >= chance {
            return Some(0.0);
        }
        let (mut no, mut yes) = (SOONEST, LATEST);
        if self.chance(yes) < chance {
            return None;
        }
        for _ in 0..HALVINGS {
            let middle = f64::sqrt(no * yes);
            if self.chance(middle) >= chance {
                yes = middle;
            } else {
                no = middle;
            }
        }
        Some(f64::sqrt(no * yes))
    }

    /// The chance that all have ended `after` seconds from now.
    fn chance(&self, after: f64) -> f64 {
        let say = self.forecast.say;
        let everyone = |_: &Cohort| true;
        let base = self.base(after, &self.seen, everyone);
        if !self.heeds_progress {
            return base;
        }
        let (mut apart, mut together) = (1.0, 1.0);
        for cohort in &self.cohorts {
            if let Some((from, to)) = cohort.span {
                let chance = ((after - from) / (to - from)).clamp(0.0, 1.0);
                apart *= chance.powf(cohort.count);
                together = f64::min(together, chance);
            }
        }
        // Claims are told in whole percent, and those with the same are not spread over all of it.
        let mut foretold = f64::midpoint(apart, together);
        if foretold > 0.0 {
            let silent = |one: &Cohort| one.span.is_none();
            let seen = self.base(after, &self.seen, silent);
            let claimed = self.base(after, &self.claimed, silent);
            foretold *= f64::midpoint(seen, claimed);
        }
        let trusted = say.steady * (1.0 - DOUBT);
        trusted * foretold + (1.0 - trusted) * base
    }

    /// The chance by age and order alone that those of `which` have ended, given the hazards that they
    /// have behind them.
    fn base(&self, after: f64, behind: &[Vec<f64>], which: fn(&Cohort) -> bool) -> f64 {
        let say = self.forecast.say;
        // Where no pace is known, the order says nothing.
        let order = if self.forecast.pace.time > 0.0 && self.forecast.pace.ends > 0.0 {
            say.order / (say.order + say.age)
        } else {
            0.0
        };
        let by_age = self.by_age(after, behind, which);
        if order < UNHEARD {
            return by_age;
        }
        (1.0 - order) * by_age + order * self.in_order(after, which)
    }

    fn by_age(&self, after: f64, behind: &[Vec<f64>], which: fn(&Cohort) -> bool) -> f64 {
        let cohorts = self.cohorts.iter().enumerate();
        let ages: Vec<(usize, Age, f64)> = cohorts
            .filter(|(_, one)| which(one))
            .map(|(index, one)| (index, Age::of(one.age + after), one.count))
            .collect();
        let mut chance = 0.0;
        for (law, behind) in self.forecast.laws.iter().zip(behind) {
            let mut log = 0.0;
            for &(index, age, count) in &ages {
                let hazard = (law.cumulated(age) - behind[index]).max(0.0);
                // The logarithm of the chance to have ended.
                log += count * (-f64::exp(-hazard)).ln_1p();
                if log < IMPOSSIBLE {
                    break;
                }
            }
            chance += law.share * log.exp();
        }
        chance
    }

    /// In order, all have ended when the last has.
    fn in_order(&self, after: f64, which: fn(&Cohort) -> bool) -> f64 {
        let cohorts = self.cohorts.iter().filter(|one| which(one));
        let chances = cohorts.map(|one| self.forecast.in_order(one, after));
        chances.fold(1.0, f64::min)
    }
}

impl Forecast {
    /// The chance that a task has ended if the server keeps to the order.
    fn in_order(&self, task: &Cohort, after: f64) -> f64 {
        let Pace {
            ends,
            time,
            strayed,
        } = self.pace;
        let before = task.rank + 0.5;
        let spread = strayed / ends / before;
        let width = f64::sqrt(UNEVEN * UNEVEN * (1.0 / before + 1.0 / ends) + spread * spread);
        let chance = |seconds: f64| {
            let turns = seconds * ends / time;
            if turns <= 0.0 {
                0.0
            } else {
                0.5 * libm::erfc(-(turns / before).ln() / (width * std::f64::consts::SQRT_2))
            }
        };
        let already = chance(self.front - task.silent);
        if already > 0.999_999 {
            return 1.0;
        }
        ((chance(self.front + after) - already) / (1.0 - already)).max(0.0)
    }
}

#[cfg(test)]
mod tests;
