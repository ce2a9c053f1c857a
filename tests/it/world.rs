//! A simulated world for the schedule: tasks that take time, and a server that may be slow, away,
//! over its limit, picky or forgetful. Time jumps from one event to the next.
//!
//! It checks at every step what must hold in any world: one outcome a task, and a true one; nothing
//! asked after it; no poll of two accounts; no rate exceeded; no batch above its limit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use importwatch::account::{AccountName, Trouble};
use importwatch::clock::Instant;
use importwatch::outcome::{Outcome, Pending, Settlement, Verdict};
use importwatch::schedule::Schedule;
use importwatch::schedule::budget::Rates;
use importwatch::schedule::fault::{Allowance, Fault};
use importwatch::schedule::memory::Memory;
use importwatch::schedule::pacing::Pacing;
use importwatch::schedule::policy::Policy;
use importwatch::schedule::step::{
    AccountParameters, Answer, Input, Parameters, PollId, Step, Watched,
};
use importwatch::task::{Counts, TaskId};

pub(crate) const UNAVAILABLE: Fault = Fault::Unavailable { retry_after: None };
pub(crate) const LIMITED: Fault = Fault::Limited { retry_after: None };

pub(crate) fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Second 0 of the world; the boot clock is well under way by then.
fn at(seconds: f64) -> Instant {
    Instant::from_boot(secs(100_000.0 + seconds))
}

fn seconds(instant: Instant) -> f64 {
    instant.since(at(0.0)).as_secs_f64()
}

pub(crate) fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

pub(crate) fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

pub(crate) fn settlement(outcome: Outcome) -> Settlement {
    Settlement::ours(outcome, Counts::default())
}

/// What the server knows of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Plan {
    /// Pending until this second, then with this outcome.
    Done(f64, Outcome),
    /// Not known before the first second and from the second one on; pending between.
    Known(f64, f64),
    /// An id that the server refuses, and with it the whole request.
    Bad,
    /// Always there, and never readable.
    Garbled,
    /// An id that the server breaks over, and with it over the whole request.
    Poison,
}

/// How the server treats an account from some second on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Fine,
    Failing(Fault),
    /// More ids than this are refused with this fault.
    AtMost(usize, Fault),
    /// Each poll fails so with this probability.
    Flaky(f64, Fault),
}

#[derive(Debug)]
struct Account {
    moods: Vec<(f64, Mood)>,
    rates: Rates,
    batch_size: usize,
    memory: Memory,
}

#[derive(Debug)]
struct Task {
    account: AccountName,
    plan: Plan,
    deadline: f64,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) schedule: Schedule,
    pub(crate) now: f64,
    /// The shortest and the longest time that a poll takes.
    pub(crate) latency: (f64, f64),
    random: fastrand::Rng,
    accounts: BTreeMap<AccountName, Account>,
    tasks: HashMap<TaskId, Task>,
    removed: HashSet<TaskId>,
    /// What happens later: in any order.
    events: Vec<(f64, Input)>,
    under_way: HashMap<PollId, (f64, AccountName, Vec<TaskId>)>,
    /// The poll that ended last.
    landed: Option<(f64, AccountName, Vec<TaskId>)>,
    /// Every poll: when, whom, about what.
    pub(crate) polls: Vec<(f64, AccountName, Vec<TaskId>)>,
    pub(crate) settled: BTreeMap<TaskId, (f64, Outcome)>,
    pub(crate) told: Vec<(f64, AccountName, Trouble, bool)>,
    /// Inputs are given twice, as a careless caller might.
    pub(crate) stutter: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::under(Policy::Exponential, seed)
    }

    pub(crate) fn under(policy: Policy, seed: u64) -> Self {
        let parameters = Parameters {
            policy,
            pacing: Pacing::new(secs(2.0), 1.5, secs(60.0)).unwrap(),
            missing_after: secs(600.0),
            seed,
        };
        Self {
            schedule: Schedule::new(parameters).unwrap(),
            now: 0.0,
            latency: (0.0, 0.0),
            random: fastrand::Rng::with_seed(seed),
            accounts: BTreeMap::new(),
            tasks: HashMap::new(),
            removed: HashSet::new(),
            events: Vec::new(),
            under_way: HashMap::new(),
            landed: None,
            polls: Vec::new(),
            settled: BTreeMap::new(),
            told: Vec::new(),
            stutter: false,
        }
    }

    /// A world with one account, `default`: batches of 100, 6,000 requests a minute.
    pub(crate) fn with_default(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.account("default", 100, Rates::new(6000, None, None, 0.0), vec![]);
        world
    }

    pub(crate) fn account(
        &mut self,
        account: &str,
        batch: u32,
        rates: Rates,
        moods: Vec<(f64, Mood)>,
    ) {
        let account = name(account);
        self.accounts.entry(account.clone()).or_insert(Account {
            moods,
            rates,
            batch_size: batch as usize,
            memory: Memory::default(),
        });
        let parameters = AccountParameters {
            batch_size: batch,
            rates,
        };
        self.give(Input::Configured {
            account,
            parameters,
        });
    }

    pub(crate) fn mood(&mut self, from: f64, mood: Mood) {
        let account = self.accounts.get_mut("default").unwrap();
        account.moods.push((from, mood));
    }

    /// Watches a task of `default` from now on, for a day.
    pub(crate) fn watch(&mut self, task: &str, plan: Plan) {
        self.watch_until(task, "default", plan, self.now + 86_400.0);
    }

    pub(crate) fn watch_until(&mut self, task: &str, account: &str, plan: Plan, deadline: f64) {
        self.watch_since(task, account, plan, deadline, self.now);
    }

    /// Watches a task that began at some second, which may be long past.
    pub(crate) fn watch_since(
        &mut self,
        task: &str,
        account: &str,
        plan: Plan,
        deadline: f64,
        began: f64,
    ) {
        let task_id = id(task);
        self.tasks.entry(task_id.clone()).or_insert(Task {
            account: name(account),
            plan,
            deadline,
        });
        self.give(Input::Watched(Watched {
            id: task_id,
            account: name(account),
            began: at(began),
            deadline: at(deadline),
            polled: None,
            progress: None,
        }));
    }

    pub(crate) fn unwatch(&mut self, task: &str) {
        self.removed.insert(id(task));
        self.give(Input::Unwatched(id(task)));
    }

    /// Watches a task again as after a restart: answered about so often, the last time then.
    pub(crate) fn come_back(&mut self, task: &str, polls: u32, last: f64) {
        self.removed.remove(&id(task));
        self.give(Input::Watched(Watched {
            id: id(task),
            account: name("default"),
            began: at(last),
            deadline: at(86_400.0),
            polled: Some((polls, at(last))),
            progress: None,
        }));
    }

    pub(crate) fn give(&mut self, input: Input) {
        if self.stutter {
            self.schedule.handle(input.clone(), at(self.now));
        }
        self.schedule.handle(input, at(self.now));
    }

    pub(crate) fn memory(&self) -> Memory {
        self.accounts["default"].memory
    }

    /// The seconds at which a task was asked about.
    pub(crate) fn asked(&self, task: &str) -> Vec<f64> {
        let task = id(task);
        let polls = self.polls.iter().filter(|(_, _, ids)| ids.contains(&task));
        polls.map(|(when, ..)| *when).collect()
    }

    pub(crate) fn outcome(&self, task: &str) -> Option<Outcome> {
        self.settled.get(&id(task)).map(|(_, outcome)| *outcome)
    }

    /// Lets the world run until `end`, or until there is nothing to do in it.
    pub(crate) fn run_until(&mut self, end: f64) {
        loop {
            let step = self.schedule.next_step(at(self.now));
            let until = match step {
                Step::Sleep { until } => Some(seconds(until)),
                Step::Idle => None,
                step => {
                    self.take(step);
                    continue;
                }
            };
            assert!(
                until.is_none_or(|until| until > self.now),
                "a sleep that is over"
            );
            let next = (0..self.events.len())
                .min_by(|&a, &b| self.events[a].0.total_cmp(&self.events[b].0));
            let event_at = next.map(|next| self.events[next].0);
            let wake = match (until, event_at) {
                (None, None) => return,
                (until, event) => until.unwrap_or(f64::MAX).min(event.unwrap_or(f64::MAX)),
            };
            if wake > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(wake);
            if let (Some(next), Some(event_at)) = (next, event_at)
                && event_at <= self.now
            {
                let (_, input) = self.events.swap_remove(next);
                self.land(&input);
                self.give(input);
            }
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Settle { id, settlement, .. } => self.settle(id, settlement.outcome),
            Step::Tell {
                account,
                trouble,
                over,
                memory,
            } => {
                assert_eq!(memory.told, (!over).then_some(trouble));
                self.accounts.get_mut(&account).unwrap().memory = memory;
                self.told.push((self.now, account, trouble, over));
            }
            Step::Learn { .. } => {}
            Step::Remember { account, memory } => {
                self.accounts.get_mut(&account).unwrap().memory = memory;
            }
            Step::Poll {
                poll,
                account,
                ids,
                rates,
            } => self.poll(poll, account, ids, rates),
            Step::Sleep { .. } | Step::Idle => unreachable!("no step to take"),
        }
    }

    fn poll(&mut self, poll: PollId, name: AccountName, ids: Vec<TaskId>, rates: Rates) {
        let account = &self.accounts[&name];
        assert!(!ids.is_empty(), "a poll about nothing");
        assert!(
            ids.len() <= account.batch_size,
            "more ids than a poll may carry"
        );
        let distinct: HashSet<&TaskId> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "an id twice in one poll");
        for task in &ids {
            assert_eq!(self.tasks[task].account, name, "a poll of two accounts");
            assert!(
                !self.settled.contains_key(task),
                "{task} asked after its outcome"
            );
            assert!(
                !self.removed.contains(task),
                "{task} asked after it was removed"
            );
        }
        self.polls.push((self.now, name.clone(), ids.clone()));
        for (length, most) in account.rates.windows().chain(rates.windows()) {
            let recent = (self.polls.iter().rev())
                .take_while(|(when, ..)| self.now - when < length.as_secs_f64() - 1e-6)
                .filter(|(_, other, _)| *other == name);
            assert!(recent.count() <= most as usize, "a rate exceeded");
        }
        let input = self.answer(poll, &name, &ids);
        let (least, most) = self.latency;
        let lands = self.now + least + (most - least) * self.random.f64();
        self.under_way.insert(poll, (self.now, name, ids));
        self.events.push((lands, input));
    }

    /// What comes of a poll that is sent now.
    fn answer(&mut self, poll: PollId, name: &AccountName, ids: &[TaskId]) -> Input {
        let moods = &self.accounts[name].moods;
        let mood = moods.iter().rfind(|(from, _)| *from <= self.now);
        let bad = ids.iter().any(|task| self.tasks[task].plan == Plan::Bad);
        let fault = match mood.map_or(Mood::Fine, |(_, mood)| *mood) {
            Mood::Failing(fault) => Some(fault),
            Mood::AtMost(most, fault) if ids.len() > most => Some(fault),
            Mood::Flaky(share, fault) if self.random.f64() < share => Some(fault),
            _ if bad => Some(Fault::Rejected),
            _ if ids.iter().any(|task| self.tasks[task].plan == Plan::Poison) => Some(UNAVAILABLE),
            _ => None,
        };
        if let Some(fault) = fault {
            return Input::Failed { poll, fault };
        }
        let mut answer = Answer {
            poll,
            found: Vec::new(),
            unread: Vec::new(),
            allowance: Allowance::default(),
        };
        for task in ids {
            let pending = Verdict::Pending(Pending::default());
            match self.tasks[task].plan {
                Plan::Done(end, outcome) if end <= self.now => {
                    let settled = Verdict::Settled(settlement(outcome));
                    answer.found.push((task.clone(), settled));
                }
                Plan::Done(..) => answer.found.push((task.clone(), pending)),
                Plan::Known(from, to) if from <= self.now && self.now < to => {
                    answer.found.push((task.clone(), pending));
                }
                Plan::Known(..) => {}
                Plan::Garbled => answer.unread.push(task.clone()),
                Plan::Bad | Plan::Poison => unreachable!("failed above"),
            }
        }
        // Nobody asked for this one, and the order means nothing.
        answer.found.push((
            id("nobody-asked"),
            Verdict::Settled(settlement(Outcome::Failed)),
        ));
        self.random.shuffle(&mut answer.found);
        Input::Answered(answer)
    }

    /// An outcome may come from nothing but the answer that lands now.
    fn land(&mut self, input: &Input) {
        let poll = match input {
            Input::Answered(Answer { poll, .. })
            | Input::Failed { poll, .. }
            | Input::Denied { poll, .. } => *poll,
            _ => return,
        };
        self.landed = self.under_way.remove(&poll);
    }

    fn settle(&mut self, task: TaskId, outcome: Outcome) {
        let known = &self.tasks[&task];
        // A refused id is not in the answer that shows that another is well.
        let landed = self
            .landed
            .as_ref()
            .filter(|(_, _, ids)| ids.contains(&task));
        let sent_at = landed.map_or(f64::NEG_INFINITY, |(sent_at, ..)| *sent_at);
        let precision = 1e-6;
        match (known.plan, outcome) {
            (_, Outcome::Expired) => {
                assert!(
                    sent_at + precision >= known.deadline,
                    "{task} expired early"
                );
            }
            (Plan::Done(end, planned), outcome) => {
                assert_eq!(planned, outcome);
                assert!(end <= sent_at + precision, "{task} settled before its end");
            }
            (Plan::Known(..), Outcome::Missing) | (Plan::Bad, Outcome::Refused) => {}
            (plan, outcome) => panic!("{task}, {plan:?}, became {outcome}"),
        }
        assert!(
            !self.removed.contains(&task),
            "{task} settled after it was removed"
        );
        let earlier = self.settled.insert(task, (self.now, outcome));
        assert_eq!(earlier, None, "a second outcome");
    }
}
