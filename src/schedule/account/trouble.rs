//! What follows from a poll that brought no readable answer: when the account is asked again, and
//! when the user is told that it cannot be.
//!
//! It never decides what becomes of a task.

use std::time::Duration;

use crate::account::Trouble;
use crate::clock::Instant;
use crate::schedule::Access;
use crate::schedule::account::inquiry::Inquiry;
use crate::schedule::account::{Account, InFlight, Shared, place};
use crate::schedule::fault::Fault;
use crate::schedule::hold::Why;
use crate::schedule::roster::{Key, Place};
use crate::schedule::step::PollId;

/// A refused account is asked again this often.
const PROBE_INTERVAL: Duration = Duration::from_mins(15);
/// An account that cannot be asked for so long is told of.
const TELL_AFTER: Duration = Duration::from_mins(5);
/// After so many failures in a row it may be one of the ids, and not the account.
const PATIENCE: u32 = 3;
/// After so many failures in a row it is not one of the ids.
const ENOUGH: u32 = 10;
/// The server may not keep us away for longer than this.
const LONGEST_FLOOR: Duration = Duration::from_hours(1);

/// How an account has been answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Well,
    Failing {
        since: Instant,
        /// Failures in a row, those for the rate left aside: they have a wait of their own.
        attempts: u32,
        retry_at: Instant,
        /// The server refused ids one by one: one id alone finds out whether it still does.
        rejecting: bool,
        /// It has been so for long enough to be told.
        lasting: bool,
    },
    Refused {
        probe_at: Instant,
        /// The last probe was neither answered nor refused.
        unclear: bool,
    },
}

impl Health {
    /// Not before this is the account to be asked, as far as its health goes.
    pub(super) fn ask_at(self) -> Instant {
        match self {
            Self::Well => Instant::ZERO,
            Self::Failing { retry_at, .. } => retry_at,
            Self::Refused { probe_at, .. } => probe_at,
        }
    }

    /// Whether a failure more is surely the account's, and no id's.
    fn is_hopeless(self) -> bool {
        match self {
            Self::Well => false,
            Self::Failing { attempts, .. } => attempts >= ENOUGH,
            Self::Refused { .. } => true,
        }
    }

    /// Failures in a row.
    fn attempts(self) -> u32 {
        match self {
            Self::Failing { attempts, .. } => attempts,
            Self::Well | Self::Refused { .. } => 0,
        }
    }

    /// Whether one id alone is to find out whether the account still fails. After a few failures
    /// that is every other try, since it may be one of the ids that the server breaks over.
    pub(super) fn asks_alone(self) -> bool {
        match self {
            Self::Failing {
                rejecting: false,
                attempts,
                ..
            } => attempts > PATIENCE && attempts.is_multiple_of(2),
            Self::Refused { unclear, .. } => unclear,
            _ => self.is_rejecting(),
        }
    }

    pub(super) fn is_rejecting(self) -> bool {
        matches!(
            self,
            Self::Failing {
                rejecting: true,
                ..
            }
        )
    }
}

impl Account {
    /// Whether asking it now or soon may bring an answer.
    pub(in crate::schedule) fn can_be_asked(&self) -> bool {
        self.parameters.is_some()
            && match self.health {
                Health::Well => true,
                Health::Failing { lasting, .. } => !lasting,
                Health::Refused { .. } => false,
            }
    }

    /// How it stands, if it does not answer.
    pub(in crate::schedule) fn access(&self) -> Option<Access> {
        if !self.can_be_asked() {
            Some(Access::Shut)
        } else if self.health == Health::Well {
            None
        } else {
            Some(Access::Failing)
        }
    }

    /// What holds it up, if anything does.
    pub(in crate::schedule) fn held_by(&self) -> Option<Why> {
        match self.health {
            _ if self.parameters.is_none() => Some(Why::Unset),
            Health::Refused { .. } => Some(Why::Refused),
            _ if self.limited > 0 => Some(Why::Limited),
            Health::Failing { .. } => Some(Why::Failing),
            Health::Well => None,
        }
    }

    /// When it will have failed for so long that the user is to be told, if it stays so. While it is
    /// being asked, what comes of that decides.
    pub(in crate::schedule) fn tell_at(&self) -> Option<Instant> {
        match self.health {
            Health::Failing {
                since,
                lasting: false,
                ..
            } if self.watches > 0 && self.in_flight.is_none() && self.parameters.is_some() => {
                Some(since.after(TELL_AFTER))
            }
            _ => None,
        }
    }

    /// Tells the user if it has failed for too long. Where it may be asked now, that comes first:
    /// after a suspend the time is long over, and nobody has tried.
    pub(in crate::schedule) fn tell_if_lasting(&mut self, now: Instant, shared: &mut Shared) {
        let over = self.tell_at().is_some_and(|at| at <= now);
        if !over || self.poll_at(now).is_some_and(|at| at <= now) {
            return;
        }
        if let Health::Failing { lasting, .. } = &mut self.health {
            *lasting = true;
        }
        if self.memory.told != Some(Trouble::Unavailable) {
            self.tell(Trouble::Unavailable, false, shared);
        }
    }

    /// A poll brought no readable answer.
    pub(in crate::schedule) fn failed(
        &mut self,
        poll: PollId,
        fault: Fault,
        now: Instant,
        shared: &mut Shared,
    ) {
        let Some(flight) = self.land(poll) else {
            return;
        };
        let is_outdated = flight.is_outdated;
        let InFlight { keys, size, .. } = flight;
        self.budget.ended(now);
        self.last_answer = None;
        match fault {
            Fault::Refused | Fault::NotFound | Fault::Unavailable { .. } if is_outdated => {
                self.hold(keys, shared);
            }
            Fault::Refused => self.stop(keys, now, shared),
            Fault::NotFound if !self.memory.answered => self.stop(keys, now, shared),
            Fault::NotFound => self.bring_nothing(keys, size, None, now, shared),
            Fault::Unavailable { retry_after } => {
                self.bring_nothing(keys, size, retry_after, now, shared);
            }
            Fault::TooLarge if size == 1 => self.bring_nothing(keys, size, None, now, shared),
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

    /// The account failed, as far as one poll can tell. Where it has just answered about others, it
    /// is one of the ids: the batch is asked in parts, and what brings nothing alone is put off, so
    /// that it holds up nobody else. None of them settles by that.
    fn bring_nothing(
        &mut self,
        keys: Vec<Key>,
        size: usize,
        retry_after: Option<Duration>,
        now: Instant,
        shared: &mut Shared,
    ) {
        let inquiry = self.inquiry.as_ref();
        let answers = inquiry.map_or(self.answered_alone, Inquiry::knows_an_answer);
        let apart = |key: &Key| shared.roster.get(*key).is_some_and(|entry| entry.apart);
        if self.health.is_hopeless() {
            self.end_inquiry(shared);
            self.wait(keys, shared);
        } else if size == 1 && (answers || keys.iter().any(apart)) {
            self.put_off(keys, now, shared);
        } else if answers {
            let inquiry = self.inquiry.get_or_insert_with(Inquiry::trusting);
            place(&keys, Place::Parted, shared);
            inquiry.split_for_last(keys);
        } else {
            self.hold(keys, shared);
        }
        self.answered_alone = false;
        self.fail(retry_after, self.health.is_rejecting(), now, shared);
    }

    fn put_off(&mut self, keys: Vec<Key>, now: Instant, shared: &mut Shared) {
        for &key in &keys {
            if let Some(entry) = shared.roster.get_mut(key) {
                entry.apart = true;
                entry.due = now.after(shared.backoff.longest());
            }
        }
        self.wait(keys, shared);
    }

    /// A poll was not sent after all, since another process has used the rate up.
    pub(in crate::schedule) fn denied(
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

    pub(super) fn keep_away(&mut self, wait: Option<Duration>, now: Instant) {
        let wait = wait.unwrap_or_default().min(LONGEST_FLOOR);
        self.floor = self.floor.max(now.after(wait));
    }

    fn stop(&mut self, keys: Vec<Key>, now: Instant, shared: &mut Shared) {
        self.end_inquiry(shared);
        self.wait(keys, shared);
        self.health = Health::Refused {
            probe_at: now.after(PROBE_INTERVAL),
            unclear: false,
        };
        if self.memory.told != Some(Trouble::Refused) {
            self.tell(Trouble::Refused, false, shared);
        }
    }

    pub(super) fn fail(
        &mut self,
        retry_after: Option<Duration>,
        rejecting: bool,
        now: Instant,
        shared: &mut Shared,
    ) {
        self.keep_away(retry_after, now);
        let attempts = self.health.attempts();
        let retry_at = now.after(jittered(attempts, shared));
        self.worsen(attempts.saturating_add(1), retry_at, rejecting, now);
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
        // Whoever is over the limit for long cannot be asked either.
        self.worsen(self.health.attempts(), now, self.health.is_rejecting(), now);
    }

    /// Another poll brought no readable answer.
    fn worsen(&mut self, attempts: u32, retry_at: Instant, rejecting: bool, now: Instant) {
        let (since, lasting) = match self.health {
            Health::Well => (now, false),
            Health::Failing { since, lasting, .. } => (since, lasting),
            // What a stopped account answers to a probe does not make it worse.
            Health::Refused { .. } => {
                self.health = Health::Refused {
                    probe_at: now.after(PROBE_INTERVAL),
                    unclear: true,
                };
                return;
            }
        };
        // The user is told after a try, not after a long wait.
        let told_at = since.after(TELL_AFTER);
        let retry_at = if now < told_at {
            retry_at.min(told_at)
        } else {
            retry_at
        };
        self.health = Health::Failing {
            since,
            attempts,
            retry_at,
            rejecting,
            lasting,
        };
    }
}

/// Full jitter, but never nothing: two refusals a moment apart would tell no more than one.
fn jittered(attempts: u32, shared: &mut Shared) -> Duration {
    let most = shared.backoff.delay(attempts);
    most.mul_f64(shared.random.f64())
        .max(Duration::from_millis(100))
}
