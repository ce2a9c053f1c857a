//! The schedule by itself: what one decision costs, and what it takes of memory.

use std::fs;
use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::clock::{self, Instant};
use importwatch::outcome::{Outcome as End, Pending, Settlement, Verdict};
use importwatch::schedule::Schedule;
use importwatch::schedule::budget::Rates;
use importwatch::schedule::fault::Allowance;
use importwatch::schedule::pacing::Pacing;
use importwatch::schedule::policy::Policy;
use importwatch::schedule::step::{AccountParameters, Answer, Input, Parameters, Step, Watched};
use importwatch::task::Counts;

use crate::Outcome;

/// Polls that are looked at.
const POLLS: usize = 10_000;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Decisions {
    /// Of the time from asking what to do until a poll is composed, or it is known when one is.
    pub(crate) mean: Duration,
    /// Nine hundred and ninety of a thousand take less.
    pub(crate) most: Duration,
    pub(crate) longest: Duration,
    /// The mean time to take an answer in.
    pub(crate) taking_in: Duration,
    /// What the schedule takes of memory.
    pub(crate) resident_kib: u64,
}

/// Lets a schedule poll all of `ids`, a third of which have ended at each answer.
pub(crate) fn measure(ids: &[String]) -> Outcome<Decisions> {
    let account: AccountName = "default".parse()?;
    let mut now = Instant::from_boot(Duration::from_hours(100));
    let before = resident_kib()?;
    let mut schedule = Schedule::new(Parameters {
        policy: Policy::Adaptive { price: None },
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
        let watched = Watched {
            id: id.parse()?,
            account: account.clone(),
            deadline: now.after(Duration::from_hours(24 * 30)),
            began: now,
            polled: None,
            progress: None,
        };
        schedule.handle(Input::Watched(watched), now);
    }
    let resident_kib = resident_kib()?.saturating_sub(before);
    let mut random = fastrand::Rng::with_seed(7);
    let (mut decisions, mut taking_in) = (Vec::new(), Vec::new());
    while taking_in.len() < POLLS {
        let start = clock::now();
        let step = schedule.next_step(now);
        let took = clock::now().since(start);
        match step {
            Step::Poll { poll, ids, .. } => {
                decisions.push(took);
                let found = ids.into_iter().map(|id| (id, verdict(&mut random)));
                let answer = Answer {
                    poll,
                    found: found.collect(),
                    unread: Vec::new(),
                    allowance: Allowance::default(),
                };
                now = now.after(Duration::from_millis(10));
                let start = clock::now();
                schedule.handle(Input::Answered(answer), now);
                taking_in.push(clock::now().since(start));
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
    decisions.sort_unstable();
    let longest = decisions.last().copied().unwrap_or_default();
    let most = decisions.get(decisions.len() * 99 / 100);
    Ok(Decisions {
        mean: mean(&decisions)?,
        most: most.copied().unwrap_or(longest),
        longest,
        taking_in: mean(&taking_in)?,
        resident_kib,
    })
}

fn verdict(random: &mut fastrand::Rng) -> Verdict {
    if random.u8(..3) > 0 {
        return Verdict::Pending(Pending::default());
    }
    Verdict::Settled(Settlement::ours(End::Available, Counts::default()))
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
