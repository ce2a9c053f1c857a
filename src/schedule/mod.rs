//! Whom to ask, and when: the core, without I/O.
//!
//! [`Schedule`] takes an [`Input`] with the present instant, and yields one [`Step`] at a time. It
//! never waits, never reads a clock, draws its random numbers from a seed that it is given, and
//! knows neither the endpoint nor the store. Every outcome, ours too, leaves it as [`Step::Settle`].

mod account;
pub mod budget;
pub mod fault;
pub mod hold;
pub mod memory;
pub mod pacing;
pub mod policy;
mod roster;
pub mod step;

use std::collections::VecDeque;
use std::time::Duration;

use crate::account::AccountName;
use crate::clock::Instant;
use crate::schedule::account::{Account, Shared};
use crate::schedule::hold::Held;
use crate::schedule::memory::Memory;
use crate::schedule::pacing::{Pacing, PacingError};
use crate::schedule::policy::experience::Experience;
use crate::schedule::policy::progress::Claims;
use crate::schedule::roster::{Entry, Key, Place, Roster};
use crate::schedule::step::{Input, Parameters, PollId, Step, Watched};
use crate::task::{Counts, TaskId};

/// How an account stands that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It fails, and is tried again soon.
    Failing,
    /// It cannot be asked: it is refused, has been away for so long that the user was told, or is
    /// missing from the settings.
    Shut,
}

/// The schedule of all polls.
#[derive(Debug)]
pub struct Schedule {
    accounts: Vec<Account>,
    /// What of each account was last given out to be remembered.
    remembered: Vec<Memory>,
    shared: Shared,
    last_poll: u64,
}

impl Schedule {
    /// The first delay after an error; it doubles up to [`Self::LONGEST_BACKOFF`], with full jitter.
    pub const FIRST_BACKOFF: Duration = Duration::from_secs(1);
    /// The longest delay after an error.
    pub const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

    /// A schedule without accounts and watches.
    ///
    /// # Errors
    ///
    /// None in practice: the backoff is a constant. It is a [`PacingError`] all the same, so that
    /// nothing here can panic.
    pub fn new(parameters: Parameters) -> Result<Self, PacingError> {
        Ok(Self {
            accounts: Vec::new(),
            remembered: Vec::new(),
            shared: Shared {
                roster: Roster::new(),
                ready: VecDeque::new(),
                random: fastrand::Rng::with_seed(parameters.seed),
                policy: parameters.policy,
                pacing: parameters.pacing,
                backoff: Pacing::new(Self::FIRST_BACKOFF, 2.0, Self::LONGEST_BACKOFF)?,
                missing_after: parameters.missing_after,
            },
            last_poll: 0,
        })
    }

    /// Makes room for so many more watches. They can be taken in without, only not as quickly.
    pub fn expect(&mut self, watches: usize) {
        self.shared.roster.reserve(watches);
    }

    /// Takes in what happened at `now`, which must not be earlier than in any call before.
    pub fn handle(&mut self, input: Input, now: Instant) {
        // Watches come by the thousand; all else finds them in their places.
        if !matches!(input, Input::Watched(_)) {
            self.line_up();
        }
        match input {
            Input::Configured {
                account,
                parameters,
            } => {
                let index = self.index(account);
                self.accounts[index].configure(parameters);
            }
            Input::Unconfigured { account } => {
                let index = self.index(account);
                self.accounts[index].unconfigure();
            }
            Input::Changed(parameters) => {
                self.shared.policy = parameters.policy;
                self.shared.pacing = parameters.pacing;
                self.shared.missing_after = parameters.missing_after;
                for account in &mut self.accounts {
                    account.hasten(&mut self.shared);
                }
            }
            Input::Recalled {
                account,
                memory,
                sent,
            } => {
                let index = self.index(account);
                self.accounts[index].recall(memory, &sent);
                self.remembered[index] = memory;
            }
            Input::Learnt {
                account,
                experience,
            } => {
                let index = self.index(account);
                self.accounts[index].mind.recall(*experience);
            }
            Input::Watched(watched) => self.watch(watched, now),
            Input::Unwatched(id) => self.unwatch(&id, now),
            Input::Answered(answer) => {
                if let Some(account) = self.asked(answer.poll) {
                    self.accounts[account].answered(answer, now, &mut self.shared);
                }
            }
            Input::Failed { poll, fault } => {
                if let Some(account) = self.asked(poll) {
                    self.accounts[account].failed(poll, fault, now, &mut self.shared);
                }
            }
            Input::Denied { poll, wait } => {
                if let Some(account) = self.asked(poll) {
                    self.accounts[account].denied(poll, wait, now, &mut self.shared);
                }
            }
        }
    }

    /// What to do next. To be called again once that is done, until it is [`Step::Sleep`] or
    /// [`Step::Idle`].
    #[must_use]
    pub fn next_step(&mut self, now: Instant) -> Step {
        self.line_up();
        for account in &mut self.accounts {
            account.think(now, &self.shared);
            account.tell_if_lasting(now, &mut self.shared);
        }
        if let Some(step) = self.shared.ready.pop_front() {
            if let Step::Tell {
                account, memory, ..
            } = &step
            {
                let index = self.index(account.clone());
                self.remembered[index] = *memory;
            }
            return step;
        }
        for (account, remembered) in self.accounts.iter().zip(&mut self.remembered) {
            if account.memory != *remembered {
                *remembered = account.memory;
                return Step::Remember {
                    account: account.name.clone(),
                    memory: account.memory,
                };
            }
        }
        for account in &mut self.accounts {
            if let Some(experience) = account.lesson() {
                return Step::Learn {
                    account: account.name.clone(),
                    experience: Box::new(experience),
                };
            }
        }
        let mut wake: Option<Instant> = None;
        for account in &mut self.accounts {
            let at = account.poll_at(now);
            if at.is_some_and(|at| at <= now) {
                self.last_poll += 1;
                let poll = PollId(self.last_poll);
                return Step::Poll {
                    poll,
                    account: account.name.clone(),
                    rates: account.rates(),
                    ids: account.compose(poll, now, &mut self.shared),
                };
            }
            for at in at.into_iter().chain(account.tell_at()) {
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
            }
        }
        wake.map_or(Step::Idle, |until| Step::Sleep { until })
    }

    /// When the next poll is due of those that are not under way, `now` at the earliest; `None` where
    /// nobody is to be asked.
    #[must_use]
    pub fn next_poll(&self, now: Instant) -> Option<Instant> {
        let times = self.accounts.iter().filter_map(|a| a.poll_at(now));
        times.min()
    }

    /// Whether a poll is under way.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.accounts.iter().any(Account::is_asking)
    }

    /// How many watches there are.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.roster.len()
    }

    /// How many of them belong to accounts that can be asked: neither refused, nor away for so long
    /// that the user was told, nor missing from the settings.
    #[must_use]
    pub fn askable(&self) -> usize {
        let askable = self.accounts.iter().filter(|a| a.can_be_asked());
        askable.map(Account::watches).sum()
    }

    /// How the accounts of watches stand, whose last poll brought no readable answer or that are not
    /// asked at all. An account that is not named here is well.
    pub fn unwell(&self) -> impl Iterator<Item = (&AccountName, Access)> {
        let watched = self.accounts.iter().filter(|a| a.watches() > 0);
        watched.filter_map(|account| Some((&account.name, account.access()?)))
    }

    /// What has been learnt of an account so far that will serve its next import.
    #[must_use]
    pub fn experience(&self, account: &AccountName) -> Option<Experience> {
        let found = self.accounts.iter().find(|a| a.name == *account);
        found.map(|account| account.mind.experience())
    }

    /// The accounts with watches that are held up, and until when.
    pub fn held(&self, now: Instant) -> impl Iterator<Item = Held<'_>> {
        let watched = self.accounts.iter().filter(|a| a.watches() > 0);
        watched.filter_map(move |account| {
            Some(Held {
                account: &account.name,
                why: account.held_by()?,
                until: account.poll_at(now),
            })
        })
    }

    /// How many answers there were about a task, while it is watched.
    #[must_use]
    pub fn polls(&self, id: &TaskId) -> Option<u32> {
        let key = self.shared.roster.find(id)?;
        self.shared.roster.get(key).map(|entry| entry.polls)
    }

    fn watch(&mut self, watched: Watched, now: Instant) {
        let Watched {
            id,
            account,
            began,
            deadline,
            polled,
            progress,
        } = watched;
        let (polls, asked) = polled.unwrap_or((0, now));
        let due = asked
            .after(self.shared.delay(polls))
            .min(deadline.max(asked));
        let index = self.index(account);
        let mut entry = Entry {
            id,
            account: u32::try_from(index).unwrap_or(u32::MAX),
            polls,
            due,
            asked,
            began: began.min(asked),
            number: 0,
            older: Key::MAX,
            newer: Key::MAX,
            claims: Claims::default(),
            deadline,
            absences: 0,
            absent_since: 0,
            refused_before: false,
            apart: false,
            rows: Counts::default().into(),
            place: Place::Waiting,
        };
        if let Some(percent) = progress {
            let age = asked.since(entry.began).as_secs_f64();
            entry.claims.take(age, percent);
        }
        if let Some(key) = self.shared.roster.insert(entry) {
            self.accounts[index].take_in(key, now, &mut self.shared);
        }
    }

    fn unwatch(&mut self, id: &TaskId, now: Instant) {
        let Some(key) = self.shared.roster.find(id) else {
            return;
        };
        let Some(entry) = self.shared.roster.remove(key) else {
            return;
        };
        if let Some(account) = self.accounts.get_mut(entry.account as usize) {
            account.forget(key, &entry, now, &mut self.shared);
        }
    }

    fn line_up(&mut self) {
        for account in &mut self.accounts {
            account.line_up(&self.shared.roster);
        }
    }

    /// The number of the account that a poll is under way to; none for a poll that has ended.
    fn asked(&self, poll: PollId) -> Option<usize> {
        self.accounts.iter().position(|a| a.is_asked(poll))
    }

    /// The number of an account, which is made where it is new. Accounts are few.
    fn index(&mut self, name: AccountName) -> usize {
        let found = self.accounts.iter().position(|a| a.name == name);
        found.unwrap_or_else(|| {
            let index = self.accounts.len();
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            self.accounts.push(Account::new(name, number));
            self.remembered.push(Memory::default());
            index
        })
    }
}
