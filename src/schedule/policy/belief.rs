//! What is believed of an account's tasks: the chance that one has ended, and the waiting that asking
//! about it would end.
//!
//! Four experts have a say, by how well each has told so far: the age against the durations seen, the
//! order, and the progress, read in two ways. Nothing here decides whom to ask, or when.

use crate::schedule::policy::experience::{Experience, Say};
use crate::schedule::policy::life_table::LifeTable;
use crate::schedule::policy::order::{Order, Place};
use crate::schedule::policy::progress::{Claims, Span};

const EXPERTS: usize = 4;
const AGE: usize = 0;
const ORDER: usize = 1;
/// The first of the two that go by progress.
const PROGRESS: usize = 2;
/// The say of each expert at first.
const START: [f64; EXPERTS] = Say::START;
/// So much of their say at first the experts always have, so that who was wrong may be heard again.
const SHARED: f64 = 0.02;
/// What is left to the others where the progress predicts an end.
const DOUBT: f64 = 0.05;
/// No answer proves an expert wrong beyond this.
const SUREST: f64 = 0.99;
/// An expert with less of a say than this, beside the other one, is passed over.
const UNHEARD: f64 = 0.005;
/// An answer about more tasks than this counts for no more than one about so many: they are alike.
const INDEPENDENT: f64 = 5.0;
/// An end is counted for the durations only where it is known this well, in seconds.
const WIDEST: f64 = 600.0;

/// One watch, as far as beliefs go. Times are seconds.
#[derive(Debug, Clone, Copy)]
pub(in crate::schedule) struct Sight {
    /// When its task began.
    pub(in crate::schedule) began: f64,
    /// When it was last known to be pending.
    pub(in crate::schedule) last: f64,
    /// How many of the pending were added before it.
    pub(in crate::schedule) rank: f64,
    pub(in crate::schedule) claims: Claims,
}

/// What an answer said of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::schedule) enum Seen {
    Pending,
    Ended,
}

/// A watch with what of its chances does not change with time.
#[derive(Debug, Clone, Copy)]
pub(in crate::schedule) struct Prospect {
    began: f64,
    last: f64,
    rank: f64,
    /// The summed hazard and the chance by order when it was last known to be pending.
    hazard: f64,
    in_order: f64,
    ends: [Option<(f64, f64)>; 2],
}

impl Prospect {
    pub(in crate::schedule) fn rank(&self) -> f64 {
        self.rank
    }
}

/// The experts, and the say that each has.
#[derive(Debug, Clone)]
pub(in crate::schedule) struct Belief {
    pub(super) table: LifeTable,
    order: Order,
    weights: [f64; EXPERTS],
}

impl Default for Belief {
    fn default() -> Self {
        Self {
            table: LifeTable::default(),
            order: Order::default(),
            weights: START,
        }
    }
}

impl Belief {
    /// The account has something to do again, after it had nothing.
    /// What was seen before is worth at most so many ends from now on.
    pub(in crate::schedule) fn start(&mut self, now: f64, history: f64) {
        self.table.keep_at_most(history);
        self.order.start(now);
    }

    /// What will serve the next run.
    pub(in crate::schedule) fn experience(&self) -> Experience {
        let [age, order, steady, sloping] = self.weights;
        Experience {
            table: self.table.clone(),
            pace: self.order.pace(),
            say: Say {
                age,
                order,
                steady,
                sloping,
            },
        }
    }

    /// Takes over what an earlier run has learnt.
    pub(in crate::schedule) fn recall(&mut self, experience: Experience) {
        self.table = experience.table;
    }

    /// Whether the progress has proved honest.
    pub(in crate::schedule) fn trusts_progress(&self) -> bool {
        self.weights[PROGRESS..].iter().sum::<f64>() > 0.5
    }

    /// When it will have ended by its progress: by the reading that has told better so far, where that
    /// says anything.
    pub(super) fn latest_end(&self, one: &Prospect) -> Option<f64> {
        let [steady, sloping] = one.ends;
        let (better, other) = if self.weights[PROGRESS] >= self.weights[PROGRESS + 1] {
            (steady, sloping)
        } else {
            (sloping, steady)
        };
        better.or(other).map(|(_, to)| to)
    }

    /// A watch, made ready to be reckoned with.
    pub(in crate::schedule) fn prospect(&self, sight: &Sight) -> Prospect {
        let &Sight {
            began,
            last,
            rank,
            claims,
        } = sight;
        let ends = claims.spans().map(|span: Span| {
            let (from, to) = span.known()?;
            let (from, to) = ((began + from).max(last), began + to);
            (to > last).then_some((from, to.max(from + 1e-3)))
        });
        Prospect {
            began,
            last,
            rank,
            hazard: self.table.cumulated(last - began),
            in_order: self.order.chance(rank, last),
            ends,
        }
    }

    /// What each expert holds the chance to be that it has ended by `at`.
    fn opinions(&self, one: &Prospect, at: f64) -> [f64; EXPERTS] {
        let by_age = self.by_age(one, at);
        let in_order = self.in_order(one, at);
        let base = self.mixed(by_age, in_order);
        let by_progress = one.ends.map(|end| match end {
            None => base,
            Some(end) => (1.0 - DOUBT) * uniform(end, at) + DOUBT * base,
        });
        [by_age, in_order, by_progress[0], by_progress[1]]
    }

    fn by_age(&self, one: &Prospect, at: f64) -> f64 {
        -(one.hazard - self.table.cumulated(at - one.began)).exp_m1()
    }

    fn in_order(&self, one: &Prospect, at: f64) -> f64 {
        if one.in_order > 0.999_999 {
            return 1.0;
        }
        ((self.order.chance(one.rank, at) - one.in_order) / (1.0 - one.in_order)).max(0.0)
    }

    /// Age and order alone, which also speak where the progress says nothing.
    fn mixed(&self, by_age: f64, in_order: f64) -> f64 {
        let [age, order] = [self.weights[AGE], self.weights[ORDER]];
        (age * by_age + order * in_order) / (age + order)
    }

    /// The chance that it has ended by `at`.
    pub(super) fn chance(&self, one: &Prospect, at: f64) -> f64 {
        let opinions = self.opinions(one, at);
        opinions.iter().zip(self.weights).map(|(p, w)| p * w).sum()
    }

    /// The waiting, in seconds, that asking about it at `at` would end: the chance that it has ended,
    /// summed over the time since it was last known to be pending.
    pub(super) fn waiting(&self, one: &Prospect, at: f64) -> f64 {
        let span = at - one.last;
        if span <= 0.0 {
            return 0.0;
        }
        let middle = f64::midpoint(one.last, at);
        // Most of the time the order has nothing to say, and is not asked.
        let [age, order] = [self.weights[AGE], self.weights[ORDER]];
        let heard = order > UNHEARD * (age + order);
        let base = |at| {
            let by_age = self.by_age(one, at);
            if heard {
                self.mixed(by_age, self.in_order(one, at))
            } else {
                by_age
            }
        };
        // Simpson's rule, over a chance that is 0 at the start.
        let base = span / 6.0 * (4.0 * base(middle) + base(at));
        let mut waiting = base * (self.weights[AGE] + self.weights[ORDER]);
        for (end, weight) in one.ends.iter().zip(&self.weights[PROGRESS..]) {
            waiting += weight
                * match end {
                    None => base,
                    Some(end) => (1.0 - DOUBT) * uniform_summed(*end, at) + DOUBT * base,
                };
        }
        waiting
    }

    /// Takes in what an answer said of each watch that was asked.
    pub(in crate::schedule) fn learn(&mut self, seen: &[(Sight, Seen)], now: f64) {
        if seen.is_empty() {
            return;
        }
        let mut log_likelihood = [0.0; EXPERTS];
        for (sight, what) in seen {
            let opinions = self.opinions(&self.prospect(sight), now);
            for (sum, opinion) in log_likelihood.iter_mut().zip(opinions) {
                let chance = match what {
                    Seen::Ended => opinion,
                    Seen::Pending => 1.0 - opinion,
                };
                *sum += chance.clamp(1.0 - SUREST, SUREST).ln();
            }
        }
        let asked: f64 = seen.iter().map(|_| 1.0).sum();
        let predicts = |reading: usize| {
            let mut spans = seen.iter().map(|(sight, _)| sight.claims.spans()[reading]);
            spans.any(|span| span.known().is_some())
        };
        self.weigh(
            log_likelihood.map(|sum| sum * (INDEPENDENT / asked).min(1.0)),
            [true, true, predicts(0), predicts(1)],
        );
        let mut found = 0.0;
        for (sight, what) in seen {
            let (from, to) = (sight.last - sight.began, now - sight.began);
            match what {
                Seen::Pending => self.table.saw_pending(from, to),
                Seen::Ended => {
                    found += 1.0;
                    if to - from <= WIDEST {
                        self.table.saw_end(from, to);
                    }
                }
            }
        }
        self.table.conclude(found);
        let places: Vec<Place> = seen
            .iter()
            .map(|(sight, what)| Place {
                rank: sight.rank,
                ended: *what == Seen::Ended,
            })
            .collect();
        self.order.learn(&places, now);
    }

    /// Shifts the say among those that spoke; what the others have stays theirs.
    fn weigh(&mut self, log_likelihood: [f64; EXPERTS], spoke: [bool; EXPERTS]) {
        let best = log_likelihood.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let (mut before, mut after) = (0.0, 0.0);
        for ((weight, told), _) in
            (self.weights.iter_mut().zip(log_likelihood).zip(spoke)).filter(|(_, spoke)| *spoke)
        {
            before += *weight;
            *weight *= (told - best).exp();
            after += *weight;
        }
        for (weight, _) in (self.weights.iter_mut().zip(spoke)).filter(|(_, spoke)| *spoke) {
            *weight *= before / f64::max(after, f64::MIN_POSITIVE);
        }
        for (weight, start) in self.weights.iter_mut().zip(START) {
            *weight = *weight * (1.0 - SHARED) + start * SHARED;
        }
    }
}

/// The chance that an end between the two has come by `at`.
fn uniform((from, to): (f64, f64), at: f64) -> f64 {
    ((at - from) / (to - from)).clamp(0.0, 1.0)
}

/// The same, summed up to `at`.
fn uniform_summed((from, to): (f64, f64), at: f64) -> f64 {
    let within = at.clamp(from, to) - from;
    within * within / (2.0 * (to - from)) + (at - to).max(0.0)
}
