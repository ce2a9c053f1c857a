//! One account's side of the schedule: which of its watches to ask about next, when it may be asked,
//! and what an answer or a fault means for it.
//!
//! Errors belong to the account: whatever goes wrong with a poll changes when the account is asked
//! again, and never what becomes of a task.

mod answer;
mod batch;
mod inquiry;
mod mind;
mod ranks;
mod refusal;
mod trouble;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::account::{AccountName, Trouble};
use crate::clock::Instant;
use crate::outcome::Settlement;
use crate::schedule::account::inquiry::Inquiry;
use crate::schedule::account::mind::Mind;
use crate::schedule::account::trouble::Health;
use crate::schedule::budget::{Budget, Rates};
use crate::schedule::memory::Memory;
use crate::schedule::pacing::Pacing;
use crate::schedule::policy::Policy;
use crate::schedule::policy::belief::{Seen, Sight};
use crate::schedule::policy::seconds;
use crate::schedule::roster::{Entry, Key, Place, Roster};
use crate::schedule::step::{AccountParameters, PollId, Step};

/// What the accounts share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) roster: Roster,
    /// Steps that are to be taken before any other.
    pub(super) ready: VecDeque<Step>,
    pub(super) random: fastrand::Rng,
    pub(super) policy: Policy,
    pub(super) pacing: Pacing,
    /// The backoff after errors, before jitter.
    pub(super) backoff: Pacing,
    pub(super) missing_after: Duration,
}

impl Shared {
    /// How long after the last of so many answers a watch is asked again, at the latest.
    pub(super) fn delay(&self, polls: u32) -> Duration {
        delay(self.policy, &self.pacing, polls)
    }
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
    /// Those that have just come and are not among them yet.
    fresh: Vec<(Instant, Key)>,
    /// How many watches it has, wherever they are.
    watches: usize,
    in_flight: Option<InFlight>,
    health: Health,
    /// Not before: what the server said of its rate.
    floor: Instant,
    /// Refusals for the rate in a row.
    limited: u32,
    /// Good answers since the batch limit was last lowered or raised.
    good_answers: u32,
    inquiry: Option<Inquiry>,
    suspects: Vec<Key>,
    /// How many of them there were when the inquiry began; they come first.
    suspects_before: usize,
    /// The last answer was about one id alone, after the whole account had seemed to refuse or to
    /// fail: it does answer.
    answered_alone: bool,
    /// How long the account has been answering, in all; time in which it did not is not counted.
    answering: Instant,
    last_answer: Option<Instant>,
    pub(super) mind: Mind,
    /// What the answer that is being taken in says, watch by watch.
    seen: Vec<(Sight, Seen)>,
}

#[derive(Debug)]
struct InFlight {
    poll: PollId,
    /// How many ids were asked together, those forgotten since included.
    size: usize,
    keys: Vec<Key>,
    /// Their ranks among the pending, by key.
    ranks: Vec<(Key, f64)>,
    sent_at: Instant,
    /// Whether the account's settings or key have changed since: that it was not answered says
    /// nothing of the account as it is now.
    is_outdated: bool,
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
            fresh: Vec::new(),
            watches: 0,
            in_flight: None,
            health: Health::Well,
            floor: Instant::ZERO,
            limited: 0,
            good_answers: 0,
            inquiry: None,
            suspects: Vec::new(),
            suspects_before: 0,
            answered_alone: false,
            answering: Instant::ZERO,
            last_answer: None,
            mind: Mind::default(),
            seen: Vec::new(),
        }
    }

    /// Sets what the settings say; an account that was stopped or failing is asked again.
    pub(super) fn configure(&mut self, parameters: AccountParameters) {
        self.budget.set_rates(parameters.rates);
        self.parameters = Some(parameters);
        self.health = Health::Well;
        self.floor = Instant::ZERO;
        self.mind.doubt();
        if let Some(flight) = &mut self.in_flight {
            flight.is_outdated = true;
        }
    }

    /// The settings do not name it any more: it is not asked until they do.
    pub(super) fn unconfigure(&mut self) {
        self.parameters = None;
    }

    /// Has watches asked earlier that a changed pacing would have asked earlier.
    pub(super) fn hasten(&mut self, shared: &mut Shared) {
        let Shared {
            roster,
            policy,
            pacing,
            ..
        } = shared;
        for (due, key) in std::mem::take(&mut self.waiting) {
            let mut at = due;
            if let Some(entry) = roster.get_mut(key)
                && !entry.apart
            {
                at = due.min(entry.asked.after(delay(*policy, pacing, entry.polls)));
                entry.due = at;
            }
            self.waiting.insert((at, key));
        }
        self.mind.doubt();
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

    /// Takes in a watch that has just come onto the roster.
    pub(super) fn take_in(&mut self, key: Key, now: Instant, shared: &mut Shared) {
        if self.watches == 0 {
            self.mind.start(now);
        }
        self.count_effort(now);
        self.watches += 1;
        self.mind.add(key, &mut shared.roster);
        self.mind.doubt();
        if let Some(entry) = shared.roster.get(key) {
            self.fresh.push((entry.due, key));
        }
    }

    /// Has the watches that have just come wait with the others. Many are sorted and put there as a
    /// whole, which takes a fraction of the time and of the room: at a start there may be a million.
    pub(super) fn line_up(&mut self, roster: &Roster) {
        self.mind
            .line_up(self.fresh.iter().map(|&(_, key)| key), roster);
        let fresh = std::mem::take(&mut self.fresh);
        add_all(&mut self.waiting, fresh);
    }

    /// To be called before the number of watches changes.
    fn count_effort(&mut self, now: Instant) {
        self.mind.effort.count(self.batches(), seconds(now));
    }

    /// Forgets a watch that has just left the roster.
    pub(super) fn forget(&mut self, key: Key, entry: &Entry, now: Instant, shared: &mut Shared) {
        self.count_effort(now);
        self.watches -= 1;
        self.mind.remove(key, entry, &mut shared.roster);
        self.mind.doubt();
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
        let due = if self.inquiry.is_some() {
            Instant::ZERO
        } else {
            let first = self.waiting.first().into_iter().chain(&self.fresh).min();
            self.mind.plan().unwrap_or(first?.0)
        };
        let earliest = now.max(due).max(self.health.ask_at()).max(self.floor);
        Some(self.budget.free_at(earliest))
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
        self.mind.doubt();
        self.in_flight.take_if(|flight| flight.poll == poll)
    }

    /// The one way to an outcome.
    fn settle(&mut self, key: Key, settlement: Settlement, shared: &mut Shared) {
        let Some(entry) = shared.roster.remove(key) else {
            return;
        };
        self.watches -= 1;
        self.mind.remove(key, &entry, &mut shared.roster);
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

/// Adds to an order what is to be in it.
fn add_all<T: Ord>(order: &mut BTreeSet<T>, more: Vec<T>) {
    if more.len() > order.len() / 8 {
        let mut more: BTreeSet<T> = more.into_iter().collect();
        order.append(&mut more);
    } else {
        order.extend(more);
    }
}

/// How long after the last of so many answers a watch is asked again, at the latest.
fn delay(policy: Policy, pacing: &Pacing, polls: u32) -> Duration {
    match (policy, polls.checked_sub(1)) {
        (Policy::Exponential, None) => Duration::ZERO,
        (Policy::Exponential, Some(step)) => pacing.delay(step),
        // A request that is worth it comes earlier.
        (Policy::Adaptive { .. }, _) => pacing.longest(),
    }
}

fn place(keys: &[Key], place: Place, shared: &mut Shared) {
    for &key in keys {
        if let Some(entry) = shared.roster.get_mut(key) {
            entry.place = place;
        }
    }
}
