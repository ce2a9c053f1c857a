//! Plays a world: the real schedule against tasks that end when they end, with no latency.

use std::collections::HashMap;
use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::clock::Instant;
use importwatch::outcome::{Outcome, Pending, Settlement, Verdict};
use importwatch::schedule::Schedule;
use importwatch::schedule::budget::Rates;
use importwatch::schedule::fault::Allowance;
use importwatch::schedule::pacing::Pacing;
use importwatch::schedule::policy::Policy;
use importwatch::schedule::policy::experience::Experience;
use importwatch::schedule::step::{AccountParameters, Answer, Input, Parameters, Step, Watched};
use importwatch::task::{Counts, TaskId};

use crate::progress::{Progress, claim};
use crate::worlds::Task;

/// How a world is watched.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) policy: Policy,
    pub(crate) batch: u32,
    pub(crate) a_minute: u32,
    pub(crate) progress: Progress,
    pub(crate) history: Option<Experience>,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Run {
    pub(crate) requests: f64,
    /// Ids asked about, over all requests.
    pub(crate) asked: f64,
    /// From each task's end to the answer that said so.
    pub(crate) delays: Vec<f64>,
    pub(crate) experience: Option<Experience>,
}

fn at(seconds: f64) -> Instant {
    Instant::from_boot(Duration::from_secs_f64(1_000_000.0 + seconds))
}

fn seconds(at: Instant) -> f64 {
    at.since(self::at(0.0)).as_secs_f64()
}

/// Plays it to its end.
pub(crate) fn play(
    tasks: &[Task],
    setting: &Setting,
    seed: u64,
) -> Result<Run, Box<dyn std::error::Error>> {
    let account = AccountName::default_account();
    let mut schedule = Schedule::new(Parameters {
        policy: setting.policy,
        pacing: Pacing::new(Duration::from_secs(2), 1.5, Duration::from_mins(1))?,
        missing_after: Duration::from_mins(10),
        seed,
    })?;
    let mut now = 0.0;
    schedule.handle(
        Input::Configured {
            account: account.clone(),
            parameters: AccountParameters {
                batch_size: setting.batch,
                rates: Rates::new(setting.a_minute, None, None, 0.0),
            },
        },
        at(now),
    );
    if let Some(history) = &setting.history {
        let experience = Box::new(history.clone());
        let account = account.clone();
        schedule.handle(
            Input::Learnt {
                account,
                experience,
            },
            at(now),
        );
    }
    let mut ids: Vec<TaskId> = Vec::with_capacity(tasks.len());
    let mut numbers: HashMap<TaskId, usize> = HashMap::new();
    for number in 0..tasks.len() {
        let id: TaskId = format!("{number:024x}").parse()?;
        numbers.insert(id.clone(), number);
        ids.push(id);
    }
    let mut run = Run::default();
    let mut next = 0;
    loop {
        while next < tasks.len() && tasks[next].added <= now {
            let watched = Watched {
                id: ids[next].clone(),
                account: account.clone(),
                began: at(now),
                deadline: at(now + 1e7),
                polled: None,
                progress: None,
            };
            schedule.handle(Input::Watched(watched), at(now));
            next += 1;
        }
        let until = match schedule.next_step(at(now)) {
            Step::Poll { poll, ids, .. } => {
                run.requests += 1.0;
                let mut found = Vec::with_capacity(ids.len());
                for id in ids {
                    run.asked += 1.0;
                    let number = numbers[&id];
                    let task = tasks[number];
                    let verdict = if task.end <= now {
                        run.delays.push(now - task.end);
                        Verdict::Settled(Settlement::ours(Outcome::Available, Counts::default()))
                    } else {
                        Verdict::Pending(Pending {
                            progress: claim(setting.progress, task, number, now),
                            ..Pending::default()
                        })
                    };
                    found.push((id, verdict));
                }
                let answer = Answer {
                    poll,
                    found,
                    unread: Vec::new(),
                    allowance: Allowance::default(),
                };
                schedule.handle(Input::Answered(answer), at(now));
                continue;
            }
            Step::Settle { .. }
            | Step::Tell { .. }
            | Step::Remember { .. }
            | Step::Learn { .. } => continue,
            Step::Sleep { until } => Some(seconds(until)),
            Step::Idle => None,
        };
        let added = tasks.get(next).map(|task| task.added);
        now = match (until, added) {
            (None, None) => break,
            (until, added) => until
                .unwrap_or(f64::MAX)
                .min(added.unwrap_or(f64::MAX))
                .max(now),
        };
    }
    run.experience = schedule.experience(&account);
    Ok(run)
}
