//! What a readable answer means for each watch that was asked.
//!
//! Every outcome passes through `settle`, which takes the watch off the roster; so none has two.

use std::time::Duration;

use crate::account::Trouble;
use crate::clock::Instant;
use crate::outcome::{Outcome, Settlement, Verdict};
use crate::schedule::account::trouble::Health;
use crate::schedule::account::{Account, InFlight, Shared, delay};
use crate::schedule::fault::Allowance;
use crate::schedule::policy::belief::Seen;
use crate::schedule::roster::{Key, Place};
use crate::schedule::step::Answer;
use crate::task::TaskId;

/// Good answers after which a lowered batch limit is doubled.
const GOOD_ANSWERS: u32 = 10;
/// Absences in a row that make a task missing, given the time.
const ABSENCES: u8 = 3;
/// How exactly the time of an absence is kept.
const TENTH: Duration = Duration::from_millis(100);
const ALMOST_A_TENTH: Duration = Duration::from_nanos(99_999_999);

impl Account {
    /// A readable answer came.
    pub(in crate::schedule) fn answered(
        &mut self,
        answer: Answer,
        now: Instant,
        shared: &mut Shared,
    ) {
        let Some(flight) = self.land(answer.poll) else {
            return;
        };
        self.budget.ended(now);
        self.count_answering_time(now, shared.pacing.longest());
        self.count_effort(now);
        self.recover(flight.size, shared);
        self.heed(answer.allowance, now);
        for (id, verdict) in answer.found {
            if let Some(key) = self.asked(&id, shared) {
                self.see_an_id(shared);
                self.take_verdict(key, verdict, &flight, now, shared);
            }
        }
        for id in answer.unread {
            if let Some(key) = self.asked(&id, shared) {
                self.take_unread(key, &flight, now, shared);
            }
        }
        for &key in &flight.keys {
            let still_asked = shared
                .roster
                .get(key)
                .is_some_and(|e| e.place == Place::Asked);
            if still_asked {
                self.take_absence(key, &flight, now, shared);
            }
        }
        self.learn(now);
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.answered(flight.size);
        } else if self.memory.batch_limit.is_some() {
            self.good_answers += 1;
            if self.good_answers >= GOOD_ANSWERS {
                self.set_batch_limit(self.batch_limit() * 2);
            }
        }
        self.ask_suspects_again(shared);
        self.conclude(now, shared);
    }

    fn count_answering_time(&mut self, now: Instant, longest: Duration) {
        if let Some(last) = self.last_answer {
            // A longer gap than polling leaves is a suspend, in which nobody answered.
            let gap = now.since(last).min(longest * 2);
            self.answering = self.answering.after(gap);
        }
        self.last_answer = Some(now);
    }

    fn recover(&mut self, asked: usize, shared: &mut Shared) {
        self.memory.answered = true;
        self.limited = 0;
        self.answered_alone = asked == 1 && self.inquiry.is_none() && self.health.asks_alone();
        self.health = Health::Well;
        if let Some(trouble @ (Trouble::Refused | Trouble::Unavailable)) = self.memory.told {
            self.tell(trouble, true, shared);
        }
    }

    fn heed(&mut self, allowance: Allowance, now: Instant) {
        self.budget.praise(allowance, now);
        self.memory.requests_per_minute = self.budget.lowered();
        if allowance.remaining == Some(0) {
            self.keep_away(allowance.resets_in, now);
        }
    }

    /// The server showed that it knows an id of this account.
    fn see_an_id(&mut self, shared: &mut Shared) {
        self.memory.knows_an_id = true;
        if self.memory.told == Some(Trouble::KnowsNone) {
            self.tell(Trouble::KnowsNone, true, shared);
        }
    }

    /// The key of a watch that is in the poll under way, of which an account has one at most.
    fn asked(&self, id: &TaskId, shared: &Shared) -> Option<Key> {
        let key = shared.roster.find(id)?;
        let entry = shared.roster.get(key)?;
        (entry.account == self.index && entry.place == Place::Asked).then_some(key)
    }

    fn take_verdict(
        &mut self,
        key: Key,
        verdict: Verdict,
        flight: &InFlight,
        now: Instant,
        shared: &mut Shared,
    ) {
        match verdict {
            Verdict::Settled(settlement) => {
                self.note(key, Seen::Ended, &flight.ranks, shared);
                self.settle(key, settlement, shared);
            }
            Verdict::Pending(pending) => {
                self.note(key, Seen::Pending, &flight.ranks, shared);
                let Some(entry) = shared.roster.get_mut(key) else {
                    return;
                };
                entry.absences = 0;
                entry.rows = pending.counts.into();
                if let Some(percent) = pending.progress {
                    self.mind.claim(key, entry, percent, now);
                }
                if flight.sent_at >= entry.deadline {
                    let settlement = Settlement {
                        progress: pending.progress,
                        ..Settlement::ours(Outcome::Expired, pending.counts)
                    };
                    self.settle(key, settlement, shared);
                } else {
                    self.ask_later(key, now, flight.sent_at, shared);
                }
            }
        }
    }

    /// The answer said something of the task that could not be read: neither a sight nor an absence,
    /// and no reason to give up.
    fn take_unread(&mut self, key: Key, flight: &InFlight, now: Instant, shared: &mut Shared) {
        if let Some(entry) = shared.roster.get_mut(key) {
            entry.absences = 0;
        }
        self.ask_later(key, now, flight.sent_at, shared);
    }

    fn take_absence(&mut self, key: Key, flight: &InFlight, now: Instant, shared: &mut Shared) {
        let Some(entry) = shared.roster.get_mut(key) else {
            return;
        };
        if entry.absences == 0 {
            // Rounded up, so that it is not absent for longer than it was.
            entry.absent_since = tenths(self.answering.after(ALMOST_A_TENTH));
        }
        entry.absences = entry.absences.saturating_add(1);
        let counts = entry.rows.into();
        let absent = tenths(self.answering).saturating_sub(entry.absent_since);
        let long = TENTH * absent >= shared.missing_after;
        let missing = long && entry.absences >= ABSENCES;
        if flight.sent_at >= entry.deadline {
            self.settle(key, Settlement::ours(Outcome::Expired, counts), shared);
        } else if missing && self.memory.knows_an_id {
            self.settle(key, Settlement::ours(Outcome::Missing, counts), shared);
        } else {
            self.ask_later(key, now, flight.sent_at, shared);
            if missing && self.memory.told.is_none() {
                self.tell(Trouble::KnowsNone, false, shared);
            }
        }
    }

    /// The watch was answered about and goes on: its next turn comes after its next delay, and at
    /// its deadline at the latest.
    fn ask_later(&mut self, key: Key, now: Instant, sent_at: Instant, shared: &mut Shared) {
        let Some(entry) = shared.roster.get_mut(key) else {
            return;
        };
        entry.polls = entry.polls.saturating_add(1);
        let next = now.after(delay(shared.policy, &shared.pacing, entry.polls));
        entry.asked = now;
        entry.refused_before = false;
        entry.apart = false;
        entry.due = if sent_at < entry.deadline {
            next.min(entry.deadline.max(now))
        } else {
            next
        };
        entry.place = Place::Waiting;
        self.waiting.insert((entry.due, key));
    }
}

/// Tenths of a second of an account's answering time: enough for thirteen years.
fn tenths(answering: Instant) -> u32 {
    let tenths = answering.since(Instant::ZERO).as_millis() / TENTH.as_millis();
    u32::try_from(tenths).unwrap_or(u32::MAX)
}
