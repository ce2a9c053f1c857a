//! The adaptive policy at work for one account: which of its watches come into question, when the next
//! request is worth it, and what an answer teaches.
//!
//! However many watches there are, a decision looks at few of them: those at the front of the orders
//! in which a watch may come to be the one to ask. The reckoning is the policy's.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Instant;
use crate::schedule::account::{Account, Shared};
use crate::schedule::policy::belief::{Belief, Prospect, Seen, Sight};
use crate::schedule::policy::effort::Effort;
use crate::schedule::policy::experience::Experience;
use crate::schedule::policy::when::{Question, when};
use crate::schedule::policy::whom::best;
use crate::schedule::policy::{Policy, instant, seconds};
use crate::schedule::roster::{Entry, Key, Place};

/// Of so many watches all come into question.
const FEW: usize = 1024;
/// Of more, so many of each order, or as many batches as below if that is more.
const FRONT: usize = 256;
/// See above.
const BATCHES: usize = 2;
/// What was seen in earlier imports is worth at most so many ends.
const HISTORY: f64 = 25.0;
/// From so many ends on, an account knows how long its tasks take.
const KNOWN: f64 = 5.0;
/// A request that is never charged for would be a hot loop; in seconds.
const CHEAPEST: f64 = 0.01;

/// What the adaptive policy keeps of an account.
#[derive(Debug, Default)]
pub(in crate::schedule) struct Mind {
    pub(super) belief: Belief,
    pub(super) effort: Effort,
    /// All watches of the account, in the order of adding.
    order: BTreeSet<(u32, Key)>,
    last_number: u32,
    /// The watches whose end their progress predicts, by when.
    predicted: BTreeSet<(Instant, Key)>,
    /// Whether it was known how long tasks take when there last was something to do.
    has_history: bool,
    /// Ends that were seen since the experience was last given out to be kept.
    unkept: f64,
    /// When the next request is worth it; `None` where that has to be found out.
    plan: Option<Instant>,
}

impl Mind {
    /// Something has changed: when to ask has to be found out anew.
    pub(super) fn doubt(&mut self) {
        self.plan = None;
    }

    /// When the next request is worth it, as far as that has been found out.
    pub(super) fn plan(&self) -> Option<Instant> {
        self.plan
    }

    /// The account has something to do again.
    pub(super) fn start(&mut self, now: Instant) {
        let now = seconds(now);
        self.belief.start(now, HISTORY);
        self.effort.start(now);
        self.has_history = self.belief.experience().table.total() >= KNOWN;
    }

    /// Numbers a watch that is added.
    pub(super) fn add(&mut self, key: Key, entry: &mut Entry) {
        self.last_number = self.last_number.saturating_add(1);
        entry.number = self.last_number;
        self.order.insert((entry.number, key));
        self.predict(key, entry);
    }

    /// Forgets a watch.
    pub(super) fn remove(&mut self, key: Key, entry: &Entry) {
        self.order.remove(&(entry.number, key));
        self.unpredict(key, entry);
    }

    /// Takes in a claim about a task that is pending.
    pub(super) fn claim(&mut self, key: Key, entry: &mut Entry, percent: u8, now: Instant) {
        self.unpredict(key, entry);
        entry
            .claims
            .take(now.since(entry.began).as_secs_f64(), percent);
        self.predict(key, entry);
    }

    fn predict(&mut self, key: Key, entry: &Entry) {
        self.predicted
            .extend(predicted_end(entry).map(|at| (at, key)));
    }

    fn unpredict(&mut self, key: Key, entry: &Entry) {
        if let Some(at) = predicted_end(entry) {
            self.predicted.remove(&(at, key));
        }
    }

    /// The rank that a watch has among the pending if as many are gone everywhere.
    fn rank(&self, number: u32) -> f64 {
        let (Some(&(first, _)), Some(&(last, _))) = (self.order.first(), self.order.last()) else {
            return 0.0;
        };
        let numbers = f64::from(last - first).max(1.0);
        f64::from(number.saturating_sub(first)) / numbers * (count(self.order.len()) - 1.0)
    }

    /// Takes over what an earlier run has learnt.
    pub(in crate::schedule) fn recall(&mut self, experience: Experience) {
        self.belief.recall(experience);
        self.plan = None;
    }

    /// What is learnt that will serve the next run.
    pub(in crate::schedule) fn experience(&self) -> Experience {
        self.belief.experience()
    }
}

fn predicted_end(entry: &Entry) -> Option<Instant> {
    let age = entry.claims.predicted_end()?;
    Some(instant(seconds(entry.began) + age))
}

/// A number of watches, which is far below where floating point becomes coarse.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

impl Entry {
    /// What the belief needs to know of it.
    fn sight(&self, rank: f64) -> Sight {
        let last = if self.polls == 0 {
            self.began
        } else {
            self.asked
        };
        Sight {
            began: seconds(self.began),
            last: seconds(last.max(self.began)),
            rank,
            claims: self.claims,
        }
    }
}

impl Account {
    /// How many batches its watches fill.
    pub(super) fn batches(&self) -> f64 {
        count(self.watches.div_ceil(self.batch_limit()))
    }

    /// What a request costs, in seconds of waiting.
    fn price(&self, set: Option<Duration>, now: Instant) -> f64 {
        let price = set.map_or_else(|| self.budget.price(now), |price| price.as_secs_f64());
        price.max(CHEAPEST)
    }

    /// How much longer than the longest interval a watch may have to wait, since the rates do not allow
    /// for asking about all of them within it.
    fn stretch(&self, shared: &Shared) -> Duration {
        let a_minute = self
            .rates()
            .windows()
            .map(|(length, most)| f64::from(most) * 60.0 / length.as_secs_f64());
        let a_minute = a_minute.fold(f64::INFINITY, f64::min);
        let factor = (4.0 * self.batches() / a_minute - 1.0).clamp(0.0, 1e6);
        shared.pacing.longest().mul_f64(factor)
    }

    /// Finds out when the next request is worth it, if that is not known.
    pub(in crate::schedule) fn think(&mut self, now: Instant, shared: &Shared) {
        let Policy::Adaptive { price } = shared.policy else {
            return;
        };
        if self.mind.plan.is_some() || self.in_flight.is_some() || self.inquiry.is_some() {
            return;
        }
        let Some(&(first_due, first)) = self.waiting.first() else {
            return;
        };
        let first_is_exact = shared
            .roster
            .get(first)
            .is_some_and(|entry| entry.apart || entry.deadline <= first_due);
        let end = if first_is_exact {
            first_due
        } else {
            first_due.after(self.stretch(shared))
        };
        if end <= now {
            self.mind.plan = Some(end);
            return;
        }
        let prospects: Vec<Prospect> = self
            .candidates(shared)
            .into_iter()
            .map(|(_, prospect)| prospect)
            .collect();
        let question = Question {
            belief: &self.mind.belief,
            effort: &self.mind.effort,
            prospects: &prospects,
            batch: self.batch_limit(),
            batches: self.batches(),
            price: self.price(price, now),
            has_history: self.mind.has_history,
        };
        let at = when(&question, seconds(now), seconds(end));
        self.mind.plan = Some(instant(at).max(now).min(end));
    }

    /// The watches that come into question, each once.
    fn candidates(&self, shared: &Shared) -> Vec<(Key, Prospect)> {
        let all = self.mind.order.len();
        let front = FRONT.max(BATCHES * self.batch_limit());
        let mut found: Vec<(Key, Option<f64>)> = Vec::new();
        let in_order = self.mind.order.iter().zip(0_u32..);
        let in_order = in_order.map(|(&(_, key), rank)| (key, Some(f64::from(rank))));
        if all <= FEW.max(front) {
            found.extend(in_order);
        } else {
            found.extend(in_order.take(front));
            let unranked = |key| (key, None);
            let longest = self.waiting.iter().map(|&(_, key)| key);
            found.extend(longest.take(front).map(unranked));
            let newest = self.mind.order.iter().rev().map(|&(_, key)| key);
            found.extend(newest.take(front / 2).map(unranked));
            if self.mind.belief.trusts_progress() {
                let ending = self.mind.predicted.iter().map(|&(_, key)| key);
                found.extend(ending.take(front).map(unranked));
            }
            found.sort_unstable_by_key(|&(key, rank)| (key, rank.is_none()));
            found.dedup_by_key(|&mut (key, _)| key);
        }
        let fits = |entry: &&Entry| entry.place == Place::Waiting && !entry.apart;
        let found = found.into_iter().filter_map(|(key, rank)| {
            let entry = shared.roster.get(key).filter(fits)?;
            let rank = rank.unwrap_or_else(|| self.mind.rank(entry.number));
            Some((key, self.mind.belief.prospect(&entry.sight(rank))))
        });
        found.collect()
    }

    /// Chooses whom to ask: who has waited for as long as a watch may, which is few of them unless a
    /// deadline has passed, and then those about whom asking would end the most waiting.
    pub(super) fn choose_by_belief(&self, now: Instant, limit: usize, shared: &Shared) -> Vec<Key> {
        let stretch = self.stretch(shared);
        let reserved = (limit / 4).max(1);
        let mut keys: Vec<Key> = Vec::new();
        let mut overdue = 0;
        for &(due, key) in self.waiting.iter().take_while(|&&(due, _)| due <= now) {
            let Some(entry) = shared.roster.get(key).filter(|entry| !entry.apart) else {
                continue;
            };
            let past_deadline = entry.deadline <= now;
            if !past_deadline && (due.after(stretch) > now || overdue == reserved) {
                // Those behind it may be past their deadline; who is asked of them can wait.
                break;
            }
            overdue += usize::from(!past_deadline);
            keys.push(key);
            if keys.len() == limit {
                return keys;
            }
        }
        keys.sort_unstable();
        let (others, prospects): (Vec<Key>, Vec<Prospect>) = self
            .candidates(shared)
            .into_iter()
            .filter(|(key, _)| keys.binary_search(key).is_err())
            .unzip();
        let most = limit - keys.len();
        let chosen = best(&self.mind.belief, &prospects, most, seconds(now));
        keys.extend(chosen.into_iter().map(|index| others[index]));
        if keys.is_empty() {
            keys.extend(self.waiting.first().map(|&(_, key)| key));
        }
        keys
    }

    /// What is to be kept of what has been learnt, now that it has become more: by a tenth, or because
    /// there is nothing to do for the time being.
    pub(in crate::schedule) fn lesson(&mut self) -> Option<Experience> {
        if self.mind.unkept < 1.0 {
            return None;
        }
        let experience = || self.mind.experience();
        let enough = if self.watches == 0 {
            1.0
        } else {
            f64::max(20.0, 0.1 * experience().table.total())
        };
        let kept = (self.mind.unkept >= enough).then(experience)?;
        self.mind.unkept = 0.0;
        Some(kept)
    }

    /// The ranks of watches that are about to be asked.
    pub(super) fn ranks(&self, keys: &[Key], shared: &Shared) -> Vec<(Key, f64)> {
        let mut ranks: Vec<(Key, f64)> = keys
            .iter()
            .filter_map(|&key| Some((key, self.mind.rank(shared.roster.get(key)?.number))))
            .collect();
        ranks.sort_unstable_by_key(|&(key, _)| key);
        // Those in front are known better.
        let front = self.mind.order.iter().take(FEW).zip(0_u32..);
        for (&(_, key), rank) in front {
            if let Ok(index) = ranks.binary_search_by_key(&key, |&(key, _)| key) {
                ranks[index].1 = f64::from(rank);
            }
        }
        ranks
    }

    /// What was known of a watch when it was asked, and what the answer says of it.
    pub(super) fn note(&mut self, key: Key, what: Seen, ranks: &[(Key, f64)], shared: &Shared) {
        if let Some(entry) = shared.roster.get(key)
            && let Ok(index) = ranks.binary_search_by_key(&key, |&(key, _)| key)
        {
            self.seen.push((entry.sight(ranks[index].1), what));
        }
    }

    /// Learns from the answer as a whole.
    pub(super) fn learn(&mut self, now: Instant) {
        let seen = std::mem::take(&mut self.seen);
        let ends = seen.iter().filter(|(_, what)| *what == Seen::Ended).count();
        self.mind.unkept += count(ends);
        self.mind.belief.learn(&seen, seconds(now));
        self.mind.effort.asked(seconds(now));
    }
}
