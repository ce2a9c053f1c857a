//! One account's side of the schedule: which of its watches to ask about next, when it may be asked,
//! and what an answer or a fault means for it.
//!
//! Errors belong to the account: whatever goes wrong with a poll changes when the account is asked
//! again, and never what becomes of a task.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::budget::{Budget, Rates};
use super::fault::{Allowance, Fault};
use super::inquiry::{Finding, Inquiry};
use super::memory::{Memory, Trouble};
use super::pacing::Pacing;
use super::roster::{Entry, Key, Place, Roster};
use super::{AccountParameters, PollId, Step};
use crate::account::AccountName;
use crate::clock::Instant;
use crate::outcome::{Outcome, Settlement, Verdict};
use crate::task::{Counts, TaskId};

/// A refused account is asked again this often.
const PROBE_INTERVAL: Duration = Duration::from_mins(15);
/// An account that cannot be asked for so long is told of.
const TELL_AFTER: Duration = Duration::from_mins(5);
/// The server may not keep us away for longer than this.
const LONGEST_FLOOR: Duration = Duration::from_hours(1);
/// Good answers after which a lowered batch limit is doubled.
const GOOD_ANSWERS: u32 = 10;
/// Absences in a row that make a task missing, given the time.
const ABSENCES: u32 = 3;
/// One watch is picked from so many in front, where any will do.
const CANDIDATES: usize = 100;
/// Watches looked at beyond the due ones, as a multiple of the batch, to fill a poll up.
const FILL_REACH: usize = 4;

/// What the accounts share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) roster: Roster,
    /// Steps that are to be taken before any other.
    pub(super) ready: VecDeque<Step>,
    pub(super) random: fastrand::Rng,
    pub(super) pacing: Pacing,
    /// The backoff after errors, before jitter.
    pub(super) backoff: Pacing,
    pub(super) missing_after: Duration,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: AccountName,
    /// Its number among the accounts, by which its watches name it.
    index: u32,
    /// `None` while the settings do not name the account: it is then not asked.
    parameters: Option<AccountParameters>,
    pub(super) memory: Memory,
    budget: Budget,
    /// The watches that wait to be asked, the one that is due first in front.
    waiting: BTreeSet<(Instant, Key)>,
    /// How many watches it has, wherever they are.
    watches: usize,
    in_flight: Option<InFlight>,
    health: Health,
    /// Not before: what the server said of its rate.
    floor: Instant,
    /// Refusals for the rate in a row.
    limited: u32,
    /// Good answers since the batch limit last changed.
    good_answers: u32,
    inquiry: Option<Inquiry>,
    suspects: Vec<Key>,
    /// An id was just answered alone after the whole account had seemed to refuse.
    answered_alone: bool,
    /// How long the account has been answering, in all; time in which it did not is not counted.
    answering: Instant,
    last_answer: Option<Instant>,
}

#[derive(Debug)]
struct InFlight {
    poll: PollId,
    /// How many ids were asked together, those forgotten since included.
    size: usize,
    keys: Vec<Key>,
    sent_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    Failing {
        since: Instant,
        attempts: u32,
        retry_at: Instant,
        /// The server refused ids one by one: one id alone finds out whether it still does.
        rejecting: bool,
    },
    Refused {
        probe_at: Instant,
    },
}

impl Account {
    pub(super) fn new(name: AccountName, index: u32) -> Self {
        Self {
            name,
            index,
            parameters: None,
            memory: Memory::default(),
            budget: Budget::new(Rates::new(1, None, None, 0.0), None),
            waiting: BTreeSet::new(),
            watches: 0,
            in_flight: None,
            health: Health::Well,
            floor: Instant::ZERO,
            limited: 0,
            good_answers: 0,
            inquiry: None,
            suspects: Vec::new(),
            answered_alone: false,
            answering: Instant::ZERO,
            last_answer: None,
        }
    }

    /// Sets what the settings say; an account that was stopped or failing is asked again.
    pub(super) fn configure(&mut self, parameters: AccountParameters) {
        self.budget.set_rates(parameters.rates);
        self.parameters = Some(parameters);
        self.health = Health::Well;
        self.floor = Instant::ZERO;
    }

    /// Takes over what was remembered from earlier runs, and when requests were sent.
    pub(super) fn recall(&mut self, memory: Memory, sent: &[Instant]) {
        self.memory = memory;
        if let Some(parameters) = &self.parameters {
            self.budget = Budget::new(parameters.rates, memory.requests_per_minute);
            for &at in sent {
                self.budget.record(at);
            }
        }
    }

    pub(super) fn rates(&self) -> Rates {
        self.budget.rates()
    }

    pub(super) fn watches(&self) -> usize {
        self.watches
    }

    /// Whether asking it now or soon may bring an answer.
    pub(super) fn can_be_asked(&self) -> bool {
        let told_unavailable = self.memory.told == Some(Trouble::Unavailable);
        self.parameters.is_some()
            && match self.health {
                Health::Well => true,
                Health::Failing { .. } => !told_unavailable,
                Health::Refused { .. } => false,
            }
    }

    pub(super) fn take_in(&mut self, key: Key, due: Instant) {
        self.watches += 1;
        self.waiting.insert((due, key));
    }

    /// Forgets a watch that has just left the roster.
    pub(super) fn forget(&mut self, key: Key, entry: &Entry, now: Instant, shared: &mut Shared) {
        self.watches -= 1;
        match entry.place {
            Place::Waiting => {
                self.waiting.remove(&(entry.due, key));
            }
            Place::Asked => {
                if let Some(flight) = &mut self.in_flight {
                    flight.keys.retain(|&other| other != key);
                }
            }
            Place::Parted => {
                if let Some(inquiry) = &mut self.inquiry {
                    inquiry.forget(key);
                }
            }
            Place::Suspect => self.suspects.retain(|&other| other != key),
        }
        if self.in_flight.is_none() {
            self.conclude(now, shared);
        }
    }

    /// When it is to be asked next, at `now` at the earliest.
    pub(super) fn poll_at(&self, now: Instant) -> Option<Instant> {
        if self.parameters.is_none() || self.in_flight.is_some() {
            return None;
        }
        let due = match &self.inquiry {
            Some(_) => Instant::ZERO,
            None => self.waiting.first()?.0,
        };
        let healthy = match self.health {
            Health::Well => Instant::ZERO,
            Health::Failing { retry_at, .. } => retry_at,
            Health::Refused { probe_at } => probe_at,
        };
        let earliest = now.max(due).max(healthy).max(self.floor);
        Some(self.budget.free_at(earliest))
    }

    /// When the user is to be told that it cannot be asked, if it stays so.
    pub(super) fn tell_at(&self) -> Option<Instant> {
        match self.health {
            Health::Failing { since, .. }
                if self.watches > 0 && self.memory.told != Some(Trouble::Unavailable) =>
            {
                Some(since.after(TELL_AFTER))
            }
            _ => None,
        }
    }

    pub(super) fn tell_unavailable(&mut self, shared: &mut Shared) {
        self.tell(Trouble::Unavailable, false, shared);
    }

    /// Chooses whom to ask, and takes them as asked.
    pub(super) fn compose(
        &mut self,
        poll: PollId,
        now: Instant,
        shared: &mut Shared,
    ) -> Vec<TaskId> {
        let keys = self.choose(now, shared);
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
            keys,
            sent_at: now,
        });
        ids
    }

    fn choose(&mut self, now: Instant, shared: &mut Shared) -> Vec<Key> {
        let limit = self.batch_limit();
        let random = &mut shared.random;
        if let Some(inquiry) = &mut self.inquiry {
            return inquiry
                .next_part(limit, |parts| random.usize(..parts.max(1)))
                .unwrap_or_default();
        }
        if matches!(
            self.health,
            Health::Failing {
                rejecting: true,
                ..
            }
        ) {
            return self.anyone(random).into_iter().collect();
        }
        let due = self.waiting.iter().take_while(|&&(due, _)| due <= now);
        let mut keys: Vec<Key> = due.take(limit).map(|&(_, key)| key).collect();
        // A fuller request costs nothing more. Whoever is half way to being asked is taken along;
        // an answer about one asked a moment ago is worth nothing, and would only part those that
        // were asked together.
        let mut coming = self
            .waiting
            .iter()
            .skip(keys.len())
            .take(FILL_REACH * limit);
        while keys.len() < limit
            && let Some(&(due, key)) = coming.next()
        {
            let half_way = shared
                .roster
                .get(key)
                .is_some_and(|entry| now.since(entry.asked) >= due.since(entry.asked) / 2);
            if half_way {
                keys.push(key);
            }
        }
        keys
    }

    /// Any of those that wait in front.
    fn anyone(&self, random: &mut fastrand::Rng) -> Option<Key> {
        let candidates = self.waiting.iter().take(CANDIDATES);
        random.choice(candidates).map(|&(_, key)| key)
    }

    fn batch_limit(&self) -> usize {
        let set = self.parameters.as_ref().map_or(1, |p| p.batch_size.max(1));
        let limit = self
            .memory
            .batch_limit
            .map_or(set, |limit| limit.clamp(1, set));
        usize::try_from(limit).unwrap_or(1)
    }

    fn set_batch_limit(&mut self, limit: usize) {
        let set = self.parameters.as_ref().map_or(1, |p| p.batch_size);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).max(1);
        self.memory.batch_limit = Some(limit).filter(|&limit| limit < set);
        self.good_answers = 0;
    }

    /// Whether this poll is under way.
    pub(super) fn is_asked(&self, poll: PollId) -> bool {
        let flight = self.in_flight.as_ref();
        flight.is_some_and(|flight| flight.poll == poll)
    }

    /// Takes the poll under way, if it is this one; any other input about a poll is stale.
    fn land(&mut self, poll: PollId) -> Option<InFlight> {
        self.in_flight.take_if(|flight| flight.poll == poll)
    }

    /// A readable answer came.
    pub(super) fn answered(&mut self, answer: super::Answer, now: Instant, shared: &mut Shared) {
        let Some(flight) = self.land(answer.poll) else {
            return;
        };
        self.count_answering_time(now, shared.pacing.longest());
        self.recover(shared);
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
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.answered(flight.size);
        } else {
            self.good_answers += 1;
            if self.good_answers >= GOOD_ANSWERS && self.memory.batch_limit.is_some() {
                self.set_batch_limit(self.batch_limit() * 2);
            }
        }
        self.ask_suspects_again(shared);
        self.conclude(now, shared);
    }

    /// A poll brought no readable answer.
    pub(super) fn failed(&mut self, poll: PollId, fault: Fault, now: Instant, shared: &mut Shared) {
        let Some(InFlight { keys, size, .. }) = self.land(poll) else {
            return;
        };
        self.last_answer = None;
        match fault {
            Fault::Refused => self.stop(keys, now, shared),
            Fault::NotFound if !self.memory.answered => self.stop(keys, now, shared),
            Fault::NotFound => {
                self.hold(keys, shared);
                self.fail(None, false, now, shared);
            }
            Fault::Unavailable { retry_after } => {
                self.hold(keys, shared);
                self.fail(retry_after, false, now, shared);
            }
            Fault::TooLarge if size == 1 => {
                self.hold(keys, shared);
                self.fail(None, false, now, shared);
            }
            Fault::TooLarge => {
                self.set_batch_limit(size / 2);
                self.hold(keys, shared);
            }
            Fault::Limited { retry_after } => {
                self.hold(keys, shared);
                self.slow_down(retry_after, now, shared);
            }
            Fault::Rejected => self.inquire(keys, size == 1, shared),
        }
        self.conclude(now, shared);
    }

    /// A poll was not sent after all, since another process has used the rate up.
    pub(super) fn denied(
        &mut self,
        poll: PollId,
        wait: Duration,
        now: Instant,
        shared: &mut Shared,
    ) {
        let Some(InFlight { keys, .. }) = self.land(poll) else {
            return;
        };
        self.budget.take_back();
        self.hold(keys, shared);
        self.keep_away(Some(wait), now);
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

    fn recover(&mut self, shared: &mut Shared) {
        self.memory.answered = true;
        self.limited = 0;
        self.answered_alone = matches!(
            self.health,
            Health::Failing {
                rejecting: true,
                ..
            }
        ) || self.answered_alone;
        self.health = Health::Well;
        if let Some(trouble @ (Trouble::Refused | Trouble::Unavailable)) = self.memory.told {
            self.tell(trouble, true, shared);
        }
    }

    fn heed(&mut self, allowance: Allowance, now: Instant) {
        let Allowance {
            remaining,
            resets_in,
        } = allowance;
        let within_a_minute = resets_in.is_none_or(|time| time <= Duration::from_mins(1));
        self.budget.praise(remaining.filter(|_| within_a_minute));
        self.memory.requests_per_minute = self.budget.lowered();
        if remaining == Some(0) {
            self.keep_away(resets_in, now);
        }
    }

    fn keep_away(&mut self, wait: Option<Duration>, now: Instant) {
        let wait = wait.unwrap_or_default().min(LONGEST_FLOOR);
        self.floor = self.floor.max(now.after(wait));
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
            Verdict::Settled(settlement) => self.settle(key, settlement, shared),
            Verdict::Pending(pending) => {
                let Some(entry) = shared.roster.get_mut(key) else {
                    return;
                };
                entry.absences = 0;
                entry.counts = pending.counts;
                if flight.sent_at >= entry.deadline {
                    self.settle(
                        key,
                        Settlement::ours(Outcome::Expired, pending.counts),
                        shared,
                    );
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
            entry.absent_since = self.answering;
        }
        entry.absences += 1;
        let counts = entry.counts;
        let long = self.answering.since(entry.absent_since) >= shared.missing_after;
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

    /// The one way to an outcome.
    fn settle(&mut self, key: Key, settlement: Settlement, shared: &mut Shared) {
        let Some(entry) = shared.roster.remove(key) else {
            return;
        };
        self.watches -= 1;
        shared.ready.push_back(Step::Settle {
            id: entry.id,
            polls: entry.polls.saturating_add(1),
            settlement,
        });
    }

    /// The watch was answered about and goes on: its next turn comes after its next delay, and at
    /// its deadline at the latest.
    fn ask_later(&mut self, key: Key, now: Instant, sent_at: Instant, shared: &mut Shared) {
        let Some(entry) = shared.roster.get_mut(key) else {
            return;
        };
        let next = now.after(shared.pacing.delay(entry.polls));
        entry.polls = entry.polls.saturating_add(1);
        entry.asked = now;
        entry.refused_before = false;
        entry.due = if sent_at < entry.deadline {
            next.min(entry.deadline.max(now))
        } else {
            next
        };
        entry.place = Place::Waiting;
        self.waiting.insert((entry.due, key));
    }

    /// Ids that were refused alone are asked again, now that another was answered: a gateway that
    /// refused everything for a moment must not make a bad id of a good one.
    fn ask_suspects_again(&mut self, shared: &mut Shared) {
        if self.suspects.is_empty() {
            return;
        }
        let inquiry = self.inquiry.get_or_insert_with(Inquiry::trusting);
        for key in std::mem::take(&mut self.suspects) {
            if let Some(entry) = shared.roster.get_mut(key) {
                entry.refused_before = true;
                entry.place = Place::Parted;
                inquiry.put_back(vec![key]);
            }
        }
    }

    /// An id was refused alone: for the second time, with another answered in between, it is the id.
    fn suspect(&mut self, key: Key, shared: &mut Shared) {
        let Some(entry) = shared.roster.get_mut(key) else {
            return;
        };
        if entry.refused_before {
            let settlement = Settlement::ours(Outcome::Refused, Counts::default());
            self.settle(key, settlement, shared);
        } else {
            entry.place = Place::Suspect;
            self.suspects.push(key);
        }
    }

    /// Keeps ids whose poll brought nothing for the next one.
    fn hold(&mut self, keys: Vec<Key>, shared: &mut Shared) {
        if let Some(inquiry) = &mut self.inquiry {
            place(&keys, Place::Parted, shared);
            inquiry.put_back(keys);
        } else {
            self.wait(keys, shared);
        }
    }

    /// Puts watches back to where they were before they were asked.
    fn wait(&mut self, keys: impl IntoIterator<Item = Key>, shared: &mut Shared) {
        for key in keys {
            if let Some(entry) = shared.roster.get_mut(key) {
                entry.refused_before = false;
                entry.place = Place::Waiting;
                self.waiting.insert((entry.due, key));
            }
        }
    }

    fn inquire(&mut self, keys: Vec<Key>, alone: bool, shared: &mut Shared) {
        let doubted = matches!(
            self.health,
            Health::Failing {
                rejecting: true,
                ..
            }
        );
        let trusted = std::mem::take(&mut self.answered_alone);
        let inquiry = self
            .inquiry
            .get_or_insert_with(|| match (doubted, trusted) {
                (true, _) => Inquiry::doubting(),
                (false, true) => Inquiry::trusting(),
                (false, false) => Inquiry::new(),
            });
        if alone {
            inquiry.refused_alone();
            for key in keys {
                self.suspect(key, shared);
            }
        } else {
            place(&keys, Place::Parted, shared);
            inquiry.split(keys);
        }
    }

    /// An id was refused, and no other is left in the inquiry to hold against it: any other watch
    /// will do.
    fn ask_another(&mut self, shared: &mut Shared) {
        let Some(inquiry) = &self.inquiry else { return };
        if !inquiry.wants_another() {
            return;
        }
        if let Some(key) = self.anyone(&mut shared.random)
            && let Some(entry) = shared.roster.get_mut(key)
            && let Some(inquiry) = &mut self.inquiry
        {
            self.waiting.remove(&(entry.due, key));
            entry.place = Place::Parted;
            inquiry.put_back(vec![key]);
        }
    }

    /// Ends an inquiry that has found something.
    fn conclude(&mut self, now: Instant, shared: &mut Shared) {
        self.ask_another(shared);
        match self.inquiry.as_ref().map(Inquiry::finding) {
            None | Some(Finding::Open) => {}
            Some(Finding::TooLong(answered)) => {
                self.inquiry = None;
                if answered > 0 {
                    self.set_batch_limit(answered.min(self.batch_limit()));
                }
            }
            Some(Finding::BadIds) => self.inquiry = None,
            Some(Finding::Account) => {
                self.end_inquiry(shared);
                self.fail(None, true, now, shared);
            }
        }
        let nobody_to_confirm = self.in_flight.is_none()
            && self.inquiry.is_none()
            && self.waiting.is_empty()
            && !self.suspects.is_empty();
        if nobody_to_confirm {
            self.end_inquiry(shared);
            self.fail(None, true, now, shared);
        }
    }

    /// Gives up an inquiry: nothing was found out about any id.
    fn end_inquiry(&mut self, shared: &mut Shared) {
        let rest = self.inquiry.take().into_iter().flat_map(Inquiry::into_rest);
        let suspects = std::mem::take(&mut self.suspects);
        let keys: Vec<Key> = rest.chain(suspects).collect();
        self.wait(keys, shared);
    }

    fn stop(&mut self, keys: Vec<Key>, now: Instant, shared: &mut Shared) {
        self.end_inquiry(shared);
        self.wait(keys, shared);
        self.health = Health::Refused {
            probe_at: now.after(PROBE_INTERVAL),
        };
        if self.memory.told != Some(Trouble::Refused) {
            self.tell(Trouble::Refused, false, shared);
        }
    }

    fn fail(
        &mut self,
        retry_after: Option<Duration>,
        rejecting: bool,
        now: Instant,
        shared: &mut Shared,
    ) {
        let (since, attempts) = match self.health {
            Health::Well => (now, 0),
            Health::Failing {
                since, attempts, ..
            } => (since, attempts),
            // What a stopped account answers to a probe does not make it worse.
            Health::Refused { .. } => {
                self.health = Health::Refused {
                    probe_at: now.after(PROBE_INTERVAL),
                };
                return;
            }
        };
        self.keep_away(retry_after, now);
        self.health = Health::Failing {
            since,
            attempts: attempts.saturating_add(1),
            retry_at: now.after(jittered(attempts, shared)),
            rejecting,
        };
    }

    fn slow_down(&mut self, retry_after: Option<Duration>, now: Instant, shared: &mut Shared) {
        self.budget.lower();
        self.memory.requests_per_minute = self.budget.lowered();
        let wait = retry_after.unwrap_or_else(|| {
            // Without a word from the server: a slot of the smallest plan, then twice as long.
            let slots = shared.backoff.delay(self.limited).as_secs_f64();
            Duration::from_secs_f64(20.0 * slots).min(shared.backoff.longest())
        });
        self.limited = self.limited.saturating_add(1);
        self.keep_away(Some(wait), now);
    }

    fn tell(&mut self, trouble: Trouble, over: bool, shared: &mut Shared) {
        self.memory.told = (!over).then_some(trouble);
        shared.ready.push_back(Step::Tell {
            account: self.name.clone(),
            trouble,
            over,
        });
    }
}

fn place(keys: &[Key], place: Place, shared: &mut Shared) {
    for &key in keys {
        if let Some(entry) = shared.roster.get_mut(key) {
            entry.place = place;
        }
    }
}

/// Full jitter, but never nothing: two refusals a moment apart would tell no more than one.
fn jittered(attempts: u32, shared: &mut Shared) -> Duration {
    let most = shared.backoff.delay(attempts);
    most.mul_f64(shared.random.f64())
        .max(Duration::from_millis(100))
}
