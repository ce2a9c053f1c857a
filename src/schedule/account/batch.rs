//! Whom to ask next: what is due, filled up with what is coming, within the batch limit.

use std::ops::Bound;

use crate::clock::Instant;
use crate::schedule::account::{Account, InFlight, Shared};
use crate::schedule::policy::Policy;
use crate::schedule::roster::{Entry, Key, Place};
use crate::schedule::step::PollId;
use crate::task::TaskId;

/// One watch is picked from so many in front, where any will do and chance has met none.
const CANDIDATES: usize = 100;
/// Watches looked at beyond the due ones, as a multiple of the batch, to fill a poll up.
const FILL_REACH: usize = 4;

impl Account {
    /// Chooses whom to ask, and takes them as asked.
    pub(in crate::schedule) fn compose(
        &mut self,
        poll: PollId,
        now: Instant,
        shared: &mut Shared,
    ) -> Vec<TaskId> {
        let (keys, ranks) = self.choose(now, shared);
        let mut ids = Vec::with_capacity(keys.len());
        for &key in &keys {
            if let Some(entry) = shared.roster.get_mut(key) {
                if entry.place == Place::Waiting {
                    self.waiting.remove(&(entry.due, key));
                }
                entry.place = Place::Asked;
                ids.push(entry.id.clone());
            }
        }
        self.budget.record(now);
        self.in_flight = Some(InFlight {
            poll,
            size: keys.len(),
            ranks,
            keys,
            sent_at: now,
            is_outdated: false,
        });
        ids
    }

    /// The watches to ask, and their ranks among the pending, by key.
    fn choose(&mut self, now: Instant, shared: &mut Shared) -> (Vec<Key>, Vec<(Key, f64)>) {
        let Some(keys) = self.choose_without_belief(now, shared) else {
            return self.choose_by_belief(now, self.batch_limit(), shared);
        };
        let ranks = self.ranks(&keys, shared);
        (keys, ranks)
    }

    /// The watches to ask where it is not for the belief to say.
    fn choose_without_belief(&mut self, now: Instant, shared: &mut Shared) -> Option<Vec<Key>> {
        let limit = self.batch_limit();
        if let Some(inquiry) = &mut self.inquiry {
            let part = inquiry.next_part(limit, |parts| shared.random.usize(..parts.max(1)));
            return Some(part.unwrap_or_default());
        }
        if self.health.asks_alone() {
            return Some(self.anyone(shared).into_iter().collect());
        }
        let apart = |key: Key| shared.roster.get(key).is_some_and(|entry| entry.apart);
        if let Some(&(due, first)) = self.waiting.first()
            && due <= now
            && apart(first)
        {
            return Some(vec![first]);
        }
        if matches!(shared.policy, Policy::Adaptive { .. }) {
            return None;
        }
        let due = self.waiting.iter().take_while(|&&(due, _)| due <= now);
        let due = due.map(|&(_, key)| key).filter(|&key| !apart(key));
        let mut keys: Vec<Key> = due.take(limit).collect();
        // A fuller request costs nothing more. Whoever is half way to being asked is taken along;
        // an answer about one asked a moment ago is worth nothing, and would only part those that
        // were asked together.
        let later = (Bound::Excluded((now, Key::MAX)), Bound::Unbounded);
        let mut coming = self.waiting.range(later).take(FILL_REACH * limit);
        while keys.len() < limit
            && let Some(&(due, key)) = coming.next()
        {
            let half_way = shared
                .roster
                .get(key)
                .is_some_and(|entry| now.since(entry.asked) >= due.since(entry.asked) / 2);
            if half_way && !apart(key) {
                keys.push(key);
            }
        }
        Some(keys)
    }

    /// Any of those that wait. Not the ones in front alone: what holds the account up may fill those.
    pub(super) fn anyone(&self, shared: &mut Shared) -> Option<Key> {
        let Shared { roster, random, .. } = shared;
        let fits = |entry: &Entry| {
            entry.account == self.index && entry.place == Place::Waiting && !entry.apart
        };
        roster.any(random, fits).or_else(|| {
            let candidates = self.waiting.iter().take(CANDIDATES);
            random.choice(candidates).map(|&(_, key)| key)
        })
    }

    pub(super) fn batch_limit(&self) -> usize {
        let set = self.parameters.as_ref().map_or(1, |p| p.batch_size.max(1));
        let limit = self
            .memory
            .batch_limit
            .map_or(set, |limit| limit.clamp(1, set));
        usize::try_from(limit).unwrap_or(1)
    }

    pub(super) fn set_batch_limit(&mut self, limit: usize) {
        let set = self.parameters.as_ref().map_or(1, |p| p.batch_size);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).max(1);
        self.memory.batch_limit = Some(limit).filter(|&limit| limit < set);
        self.good_answers = 0;
    }
}
