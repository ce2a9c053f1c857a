//! What the schedule has decided, as work on the store.
//!
//! It decides nothing, and does nothing itself.

use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::{self, Instant};
use crate::daemon::jobs::Jobs;
use crate::daemon::notes::Notes;
use crate::daemon::parts::NoticeSetup;
use crate::daemon::polls::Polls;
use crate::daemon::trace;
use crate::daemon::work::{Job, Request};
use crate::notice::AccountNews;
use crate::notice::channel::Channel;
use crate::notifier::Notifier;
use crate::outcome::Settlement;
use crate::schedule::Schedule;
use crate::schedule::step::Step;
use crate::store::settle::Settled;
use crate::task::TaskId;

/// Outcomes in one commit.
const MOST_SETTLED: usize = 10_000;

/// The channels by which notices go.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    /// Those that are told.
    pub(super) told: Arc<[Channel]>,
    /// Those that are not off by the settings.
    pub(super) kept: Arc<[Channel]>,
}

impl Channels {
    pub(super) fn of(notices: &NoticeSetup) -> Self {
        let told = notices.notifiers.iter().map(Notifier::channel);
        let told = told.chain(notices.later.iter().copied());
        let all = Channel::ALL.into_iter();
        let kept = all.filter(|channel| !notices.dropped.contains(channel));
        Self {
            told: told.collect(),
            kept: kept.collect(),
        }
    }
}

/// What the schedule decides next.
pub(super) fn next(schedule: &mut Schedule, now: Instant) -> Step {
    let step = schedule.next_step(now);
    trace::step(&step);
    step
}

/// Whom a step concerns.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    pub(super) schedule: &'a mut Schedule,
    pub(super) jobs: &'a mut Jobs,
    pub(super) notes: &'a mut Notes,
    pub(super) polls: &'a Polls,
    pub(super) channels: &'a Channels,
}

impl Steps<'_> {
    /// Makes a step a piece of work.
    pub(super) fn take(&mut self, step: Step, now: Instant) {
        match step {
            Step::Settle {
                id,
                polls,
                settlement,
            } => {
                let at = clock::wall();
                let first = self.settled(id, polls, settlement, at);
                self.settle(first, at, now);
            }
            Step::Tell {
                account,
                trouble,
                over,
                memory,
            } => {
                let cause = if over {
                    String::new()
                } else {
                    self.polls.cause(&account)
                };
                let news = AccountNews {
                    account,
                    trouble,
                    over,
                    cause,
                };
                self.jobs.push(Job::Tell {
                    news,
                    memory,
                    at: clock::wall(),
                    channels: Arc::clone(&self.channels.told),
                });
            }
            Step::Remember { account, memory } => {
                self.jobs.push(Job::Remember { account, memory });
            }
            Step::Learn {
                account,
                experience,
            } => self.jobs.push(Job::Learn {
                account,
                experience,
            }),
            Step::Poll {
                poll,
                account,
                ids,
                rates,
            } => self.jobs.push(Job::Claim(Request {
                patience: self.polls.patience(&account),
                poll,
                account,
                ids,
                windows: rates.windows().collect(),
            })),
            Step::Sleep { .. } | Step::Idle => {}
        }
    }

    /// Outcomes that came together are committed together.
    fn settle(&mut self, first: Settled, at: Timestamp, now: Instant) {
        let mut settled = vec![first];
        let mut after = None;
        while settled.len() < MOST_SETTLED && after.is_none() {
            match next(self.schedule, now) {
                Step::Settle {
                    id,
                    polls,
                    settlement,
                } => settled.push(self.settled(id, polls, settlement, at)),
                other => after = Some(other),
            }
        }
        self.jobs.push(Job::Settle {
            settled,
            at,
            channels: Arc::clone(&self.channels.told),
        });
        if let Some(step) = after {
            self.take(step, now);
        }
    }

    fn settled(
        &mut self,
        id: TaskId,
        polls: u32,
        settlement: Settlement,
        at: Timestamp,
    ) -> Settled {
        self.notes.forget(&id);
        Settled {
            id,
            settlement,
            polls,
            polled_at: Some(at),
        }
    }
}
