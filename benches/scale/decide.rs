//! The schedule by itself: what one decision costs, and what it takes of memory.
//!
//! Times are the processor's, so that what else the machine does is not in them.

use std::fs;
use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::clock::Instant;
use importwatch::outcome::{Outcome as End, Pending, Settlement, Verdict};
use importwatch::schedule::Schedule;
use importwatch::schedule::budget::Rates;
use importwatch::schedule::fault::Allowance;
use importwatch::schedule::pacing::Pacing;
use importwatch::schedule::policy::Policy;
use importwatch::schedule::step::{AccountParameters, Answer, Input, Parameters, Step, Watched};
use importwatch::task::{Counts, TaskId};
use nix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// Polls that are looked at.
const POLLS: usize = 10_000;
/// What a request is worth in waiting: enough for the schedule to have to find out when it is.
const PRICE: Duration = Duration::from_secs(3);
/// The longest that a task takes, in seconds.
const LONGEST: f64 = 600.0;
/// Each was asked at this age by an earlier run.
const POLLED_AT: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Debug)]
pub(crate) struct Decisions {
    /// Of the time from asking what to do until a poll is composed, or it is known when one is.
    pub(crate) mean: Duration,
    /// Nine hundred and ninety of a thousand take less.
    pub(crate) most: Duration,
    pub(crate) longest: Duration,
    /// The first of all, which puts the watches in line.
    pub(crate) first: Duration,
    /// The mean time to take an answer in.
    pub(crate) taking_in: Duration,
    /// What the schedule takes of memory, after all polls.
    pub(crate) resident_kib: u64,
}

/// Lets a schedule poll all of `ids`, whose tasks end at random, with honest progress or with none.
pub(crate) fn measure(ids: &[String], with_progress: bool) -> Outcome<Decisions> {
    let account: AccountName = "default".parse()?;
    let began = Instant::from_boot(Duration::from_hours(100));
    let mut now = began.after(POLLED_AT);
    let before = resident_kib()?;
    let mut schedule = Schedule::new(Parameters {
        policy: Policy::Adaptive { price: Some(PRICE) },
        pacing: Pacing::new(Duration::from_secs(2), 1.5, Duration::from_mins(1))?,
        missing_after: Duration::from_mins(10),
        seed: 1,
    })?;
    let parameters = AccountParameters {
        batch_size: 100,
        rates: Rates::new(6000, None, None, 0.0),
    };
    schedule.handle(
        Input::Configured {
            account: account.clone(),
            parameters,
        },
        now,
    );
    for id in ids {
        let id: TaskId = id.parse()?;
        let watched = Watched {
            progress: with_progress.then(|| progress(&id, POLLED_AT)),
            id,
            account: account.clone(),
            deadline: now.after(Duration::from_hours(24 * 30)),
            began,
            polled: Some((1, now)),
        };
        schedule.handle(Input::Watched(watched), now);
    }
    let (mut decisions, mut taking_in) = (Vec::new(), Vec::new());
    while taking_in.len() < POLLS {
        let start = processor()?;
        let step = schedule.next_step(now);
        let took = processor()?.saturating_sub(start);
        match step {
            Step::Poll { poll, ids, .. } => {
                decisions.push(took);
                let age = now.since(began);
                let found = ids.into_iter().map(|id| {
                    let verdict = verdict(&id, age, with_progress);
                    (id, verdict)
                });
                let answer = Answer {
                    poll,
                    found: found.collect(),
                    unread: Vec::new(),
                    allowance: Allowance::default(),
                };
                now = now.after(Duration::from_millis(10));
                let start = processor()?;
                schedule.handle(Input::Answered(answer), now);
                taking_in.push(processor()?.saturating_sub(start));
            }
            Step::Sleep { until } => {
                decisions.push(took);
                now = until;
            }
            Step::Settle { .. }
            | Step::Tell { .. }
            | Step::Remember { .. }
            | Step::Learn { .. } => {}
            Step::Idle => break,
        }
    }
    let resident_kib = resident_kib()?.saturating_sub(before);
    let first = decisions.swap_remove(0);
    decisions.sort_unstable();
    let longest = decisions.last().copied().unwrap_or_default();
    let most = decisions.get(decisions.len() * 99 / 100);
    Ok(Decisions {
        mean: mean(&decisions)?,
        most: most.copied().unwrap_or(longest),
        longest,
        first,
        taking_in: mean(&taking_in)?,
        resident_kib,
    })
}

/// What becomes of a task at this age.
fn verdict(id: &TaskId, age: Duration, with_progress: bool) -> Verdict {
    if age.as_secs_f64() >= takes(id) {
        return Verdict::Settled(Settlement::ours(End::Available, Counts::default()));
    }
    Verdict::Pending(Pending {
        progress: with_progress.then(|| progress(id, age)),
        ..Pending::default()
    })
}

/// How long a task takes, in seconds, drawn by its id.
fn takes(id: &TaskId) -> f64 {
    let mix = |seed: u64, byte: u8| seed.wrapping_mul(31).wrapping_add(byte.into());
    let seed = id.to_string().bytes().fold(0, mix);
    LONGEST * fastrand::Rng::with_seed(seed).f64()
}

/// What an honest server claims for a task that is pending at this age.
fn progress(id: &TaskId, age: Duration) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 1 to 99"
    )]
    let percent = (age.as_secs_f64() / takes(id) * 100.0).clamp(1.0, 99.0) as u8;
    percent
}

/// The processor time that this thread has taken.
fn processor() -> Outcome<Duration> {
    Ok(Duration::from(clock_gettime(
        ClockId::CLOCK_THREAD_CPUTIME_ID,
    )?))
}

fn mean(times: &[Duration]) -> Outcome<Duration> {
    Ok(times.iter().sum::<Duration>() / u32::try_from(times.len())?)
}

fn resident_kib() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.ok_or("no VmRSS in /proc/self/status")?;
    Ok(text.trim().trim_end_matches(" kB").parse()?)
}
