//! One account's side of the schedule: which of its watches to ask about next, when it may be asked,
//! and what an answer or a fault means for it.
//!
//! Errors belong to the account: whatever goes wrong with a poll changes when the account is asked
//! again, and never what becomes of a task.

mod answer;
mod batch;
mod inquiry;
mod refusal;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::account::{AccountName, Trouble};
use crate::clock::Instant;
use crate::outcome::Settlement;
use crate::schedule::account::inquiry::Inquiry;
use crate::schedule::budget::{Budget, Rates};
use crate::schedule::fault::Fault;
use crate::schedule::memory::Memory;
use crate::schedule::pacing::Pacing;
use crate::schedule::roster::{Entry, Key, Place, Roster};
use crate::schedule::step::{AccountParameters, PollId, Step};

/// A refused account is asked again this often.
const PROBE_INTERVAL: Duration = Duration::from_mins(15);
/// An account that cannot be asked for so long is told of.
const TELL_AFTER: Duration = Duration::from_mins(5);
/// The server may not keep us away for longer than this.
const LONGEST_FLOOR: Duration = Duration::from_hours(1);

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

    /// Whether a poll is under way.
    pub(super) fn is_asking(&self) -> bool {
        self.in_flight.is_some()
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

    fn keep_away(&mut self, wait: Option<Duration>, now: Instant) {
        let wait = wait.unwrap_or_default().min(LONGEST_FLOOR);
        self.floor = self.floor.max(now.after(wait));
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
            memory: self.memory,
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
