//! When the next request is worth its price.

use crate::schedule::policy::belief::{Belief, Prospect};
use crate::schedule::policy::effort::Effort;
use crate::schedule::policy::whom::best;

/// Instants just after predicted ends that are held against one another.
const MOMENTS: usize = 16;
/// An earlier moment is taken that costs no more than this times what the best one costs.
const NEARLY: f64 = 1.2;
/// Halvings by which the first instant that is worth it is found.
const HALVINGS: usize = 24;

/// What the decision is about.
#[derive(Debug)]
pub(in crate::schedule) struct Question<'a> {
    pub(in crate::schedule) belief: &'a Belief,
    pub(in crate::schedule) effort: &'a Effort,
    /// The watches that may be asked.
    pub(in crate::schedule) prospects: &'a [Prospect],
    /// The most of them in one request.
    pub(in crate::schedule) batch: usize,
    /// How many batches all pending watches fill.
    pub(in crate::schedule) batches: f64,
    /// What a request costs, in seconds of waiting.
    pub(in crate::schedule) price: f64,
    /// Whether the account knew before how long tasks take.
    pub(in crate::schedule) has_history: bool,
}

/// The first instant, from `now` and up to `end`, at which a request is worth its price.
pub(in crate::schedule) fn when(question: &Question<'_>, now: f64, end: f64) -> f64 {
    let belief = question.belief;
    let patience = match (belief.trusts_progress(), question.has_history) {
        (true, _) => 3.0,
        (false, true) => 2.0,
        (false, false) => 1.5,
    };
    let guard = question.effort.silent_until(question.batches, patience);
    let end = guard.map_or(end, |guard| end.min(guard)).max(now);
    let worth = first_worth(question, now, end);
    if belief.trusts_progress() {
        after_predicted_ends(question, now, worth, end)
    } else {
        worth
    }
}

/// The first instant at which the best batch would end waiting for the price. That batch is another at
/// another instant, but a batch that is worth it shows that the instant is not later than its own.
fn first_worth(question: &Question<'_>, now: f64, end: f64) -> f64 {
    let mut found = end;
    for _ in 0..4 {
        let asked = best(question.belief, question.prospects, question.batch, found);
        let worth = |at| {
            let waiting = asked
                .iter()
                .map(|&i| question.belief.waiting(&question.prospects[i], at));
            waiting.sum::<f64>() >= question.price
        };
        if worth(now) {
            return now;
        }
        if !worth(found) {
            return found;
        }
        let earlier = first_true(worth, now, found);
        let gained = found - earlier;
        found = earlier;
        if gained < 1e-3 + 0.01 * (found - now) {
            break;
        }
    }
    found
}

/// Where a condition that once true stays true first is so, between an instant at which it is not and
/// one at which it is.
fn first_true(condition: impl Fn(f64) -> bool, mut no: f64, mut yes: f64) -> f64 {
    for _ in 0..HALVINGS {
        if yes - no < 1e-3 {
            break;
        }
        let middle = f64::midpoint(no, yes);
        if condition(middle) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    yes
}

/// Of `worth` and the instants at which predicted ends will just have come: the one at which price and
/// waiting are the least for each end found.
fn after_predicted_ends(question: &Question<'_>, now: f64, worth: f64, end: f64) -> f64 {
    let reach = now + 2.0 * (worth - now).max(1.0);
    let mut moments: Vec<f64> = question
        .prospects
        .iter()
        .filter_map(|one| question.belief.latest_end(one))
        .filter(|&at| at > now && at < reach.min(end))
        .collect();
    moments.sort_by(f64::total_cmp);
    let step = moments.len().div_ceil(MOMENTS).max(1);
    let chosen = moments.into_iter().step_by(step).chain([worth]);
    let cost = |at: f64| {
        let asked = best(question.belief, question.prospects, question.batch, at);
        let (mut waiting, mut ends) = (0.0, 0.0);
        for &i in &asked {
            let one = &question.prospects[i];
            waiting += question.belief.waiting(one, at);
            ends += question.belief.chance(one, at);
        }
        (question.price + waiting) / ends.max(1e-9)
    };
    let costs: Vec<(f64, f64)> = chosen.map(|at| (cost(at), at)).collect();
    let least = costs
        .iter()
        .map(|&(cost, _)| cost)
        .fold(f64::INFINITY, f64::min);
    let good = costs.into_iter().find(|&(cost, _)| cost <= least * NEARLY);
    good.map_or(worth, |(_, at)| at)
}
