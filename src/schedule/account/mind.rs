//! The adaptive policy at work for one account: which of its watches come into question, when the next
//! request is worth it, and what an answer teaches.
//!
//! However many watches there are, a decision looks at few of them: those at the front of the orders
//! in which a watch may come to be the one to ask. The reckoning is the policy's.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Instant;
use crate::schedule::account::ranks::{Ranks, count};
use crate::schedule::account::{Account, Shared, add_all};
use crate::schedule::policy::belief::{Belief, Prospect, Seen, Sight};
use crate::schedule::policy::effort::Effort;
use crate::schedule::policy::experience::Experience;
use crate::schedule::policy::when::{Question, when};
use crate::schedule::policy::whom::best;
use crate::schedule::policy::{Policy, instant, seconds};
use crate::schedule::roster::{Entry, Key, Place, Roster};

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
    ranks: Ranks,
    /// The watches whose end their progress predicts, by when.
    predicted: BTreeSet<(Quarter, Key)>,
    /// Whether it was known how long tasks take when there last was something to do.
    has_history: bool,
    /// Ends that were seen since the experience was last given out to be kept.
    unkept: f64,
    /// When the next request is worth it; `None` where that has to be found out.
    plan: Option<Instant>,
    /// The watches that came into question when it was found out, which are the same as long as the
    /// plan holds; none where there was no question.
    considered: Candidates,
}

/// Watches that come into question, each once.
#[derive(Debug, Clone, Default)]
struct Candidates {
    keys: Vec<Key>,
    prospects: Vec<Prospect>,
}

/// Quarters of a second since the first instant: near enough to find those that end first, and a
/// million of them take half the room.
type Quarter = u32;

impl Mind {
    /// Something has changed: when to ask has to be found out anew.
    pub(super) fn doubt(&mut self) {
        self.plan = None;
        self.considered.keys.clear();
        self.considered.prospects.clear();
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

    /// Takes in a watch that is added.
    pub(super) fn add(&mut self, key: Key, roster: &mut Roster) {
        self.ranks.push(key, roster);
    }

    /// Reckons with what is predicted of watches that have been added.
    pub(super) fn line_up(&mut self, fresh: impl Iterator<Item = Key>, roster: &Roster) {
        let predicted = |key| Some((predicted_end(roster.get(key)?)?, key));
        add_all(&mut self.predicted, fresh.filter_map(predicted).collect());
    }

    /// Forgets a watch that has just left the roster.
    pub(super) fn remove(&mut self, key: Key, entry: &Entry, roster: &mut Roster) {
        self.ranks.remove(entry, roster);
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

    /// Takes over what an earlier run has learnt.
    pub(in crate::schedule) fn recall(&mut self, experience: Experience) {
        self.belief.recall(experience);
        self.doubt();
    }

    /// What is learnt that will serve the next run.
    pub(in crate::schedule) fn experience(&self) -> Experience {
        self.belief.experience()
    }
}

fn predicted_end(entry: &Entry) -> Option<Quarter> {
    let age = entry.claims.predicted_end()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and what is too large for it saturates"
    )]
    let at = ((seconds(entry.began) + age) * 4.0) as Quarter;
    Some(at)
}

impl Candidates {
    /// Takes in those of some watches, with their ranks, that may be asked.
    fn extend<'a>(
        &mut self,
        belief: &Belief,
        watches: impl IntoIterator<Item = (Key, &'a Entry, f64)>,
    ) {
        for (key, entry, rank) in watches {
            if entry.place == Place::Waiting && !entry.apart {
                self.keys.push(key);
                self.prospects.push(belief.prospect(&entry.sight(rank)));
            }
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(Key, &Prospect) -> bool) {
        let all = std::mem::take(self);
        for (key, prospect) in all.keys.into_iter().zip(all.prospects) {
            if keep(key, &prospect) {
                self.keys.push(key);
                self.prospects.push(prospect);
            }
        }
    }
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
        self.mind.considered = self.candidates(shared);
        let question = Question {
            belief: &self.mind.belief,
            effort: &self.mind.effort,
            prospects: &self.mind.considered.prospects,
            batch: self.batch_limit(),
            batches: self.batches(),
            price: self.price(price, now),
            has_history: self.mind.has_history,
        };
        let at = when(&question, seconds(now), seconds(end));
        self.mind.plan = Some(instant(at).max(now).min(end));
    }

    fn candidates(&self, shared: &Shared) -> Candidates {
        let Mind { belief, ranks, .. } = &self.mind;
        let Shared { roster, .. } = shared;
        let front = FRONT.max(BATCHES * self.batch_limit());
        let scale = ranks.scale(roster);
        let in_order = ranks.oldest_first(roster).zip(0_u32..);
        let in_order = in_order.map(|((key, entry), rank)| (key, entry, f64::from(rank)));
        let mut found = Candidates::default();
        if ranks.len() <= FEW.max(front) {
            found.extend(belief, in_order);
            return found;
        }
        let mut sightings: Vec<(Key, &Entry, f64)> = in_order.take(front).collect();
        let mut others: Vec<Key> = Vec::new();
        others.extend(self.waiting.iter().map(|&(_, key)| key).take(front));
        let newest = ranks.newest_first(roster).map(|(key, _)| key);
        others.extend(newest.take(front / 2));
        if belief.trusts_progress() {
            let ending = self.mind.predicted.iter().map(|&(_, key)| key);
            others.extend(ending.take(front));
        }
        others.sort_unstable();
        others.dedup();
        let last_in_front = sightings.last().map_or(0, |(_, entry, _)| entry.number);
        sightings.extend(others.into_iter().filter_map(|key| {
            let entry = roster.get(key)?;
            let is_new = entry.number > last_in_front;
            is_new.then(|| (key, entry, scale.rank(entry.number)))
        }));
        found.extend(belief, sightings);
        found
    }

    /// Chooses whom to ask: who has waited for as long as a watch may, which is few of them unless a
    /// deadline has passed, and then those about whom asking would end the most waiting. Tells their
    /// ranks as well, by key.
    pub(super) fn choose_by_belief(
        &mut self,
        now: Instant,
        limit: usize,
        shared: &Shared,
    ) -> (Vec<Key>, Vec<(Key, f64)>) {
        let overdue = self.overdue(now, limit, shared);
        let mut considered = std::mem::take(&mut self.mind.considered);
        if considered.keys.is_empty() {
            considered = self.candidates(shared);
        }
        let mut ranks = Vec::with_capacity(limit);
        if !overdue.is_empty() {
            considered.retain(|key, prospect| {
                let is_other = overdue.binary_search(&key).is_err();
                if !is_other {
                    ranks.push((key, prospect.rank()));
                }
                is_other
            });
            ranks.sort_unstable_by_key(|&(key, _)| key);
            let missed: Vec<Key> = overdue
                .iter()
                .copied()
                .filter(|key| ranks.binary_search_by_key(key, |&(key, _)| key).is_err())
                .collect();
            ranks.extend(self.ranks(&missed, shared));
        }
        let mut keys = overdue;
        let most = limit - keys.len();
        for index in best(&self.mind.belief, &considered.prospects, most, seconds(now)) {
            let key = considered.keys[index];
            keys.push(key);
            ranks.push((key, considered.prospects[index].rank()));
        }
        if keys.is_empty() {
            keys.extend(self.waiting.first().map(|&(_, key)| key));
            ranks = self.ranks(&keys, shared);
        }
        ranks.sort_unstable_by_key(|&(key, _)| key);
        (keys, ranks)
    }

    /// Who has waited for as long as a watch may, at most a quarter of `limit`, and who is past its
    /// deadline, by key.
    fn overdue(&self, now: Instant, limit: usize, shared: &Shared) -> Vec<Key> {
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
                break;
            }
        }
        keys.sort_unstable();
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
            f64::max(2.0, 0.1 * experience().table.total())
        };
        let kept = (self.mind.unkept >= enough).then(experience)?;
        self.mind.unkept = 0.0;
        Some(kept)
    }

    /// The ranks of watches that are about to be asked, by key.
    pub(super) fn ranks(&self, keys: &[Key], shared: &Shared) -> Vec<(Key, f64)> {
        let scale = self.mind.ranks.scale(&shared.roster);
        let mut ranks: Vec<(Key, f64)> = keys
            .iter()
            .filter_map(|&key| Some((key, scale.rank(shared.roster.get(key)?.number))))
            .collect();
        ranks.sort_unstable_by_key(|&(key, _)| key);
        // Those in front are known better.
        let front = self
            .mind
            .ranks
            .oldest_first(&shared.roster)
            .take(FEW)
            .zip(0_u32..);
        for ((key, _), rank) in front {
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
