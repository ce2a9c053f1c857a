//! A million tasks through the core, with no server and no waiting: what a decision costs, and how
//! much memory the schedule takes. `cargo bench --bench core [-- TASKS]`
#![expect(
    clippy::print_stdout,
    reason = "a benchmark is there to print its figures"
)]

use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::clock::{self, Instant};
use importwatch::outcome::{Outcome, Pending, Settlement, Verdict};
use importwatch::schedule::Schedule;
use importwatch::schedule::budget::Rates;
use importwatch::schedule::fault::Allowance;
use importwatch::schedule::pacing::Pacing;
use importwatch::schedule::policy::Policy;
use importwatch::schedule::step::{AccountParameters, Answer, Input, Parameters, Step, Watched};
use importwatch::task::{Counts, TaskId};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tasks: u32 = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000);
    let account: AccountName = "default".parse()?;
    let mut schedule = Schedule::new(Parameters {
        policy: Policy::Adaptive { price: None },
        pacing: Pacing::new(Duration::from_secs(2), 1.5, Duration::from_mins(1))?,
        missing_after: Duration::from_mins(10),
        seed: 1,
    })?;
    let mut now = Instant::from_boot(Duration::from_hours(1));
    let before = resident_kib()?;
    let start = clock::now();
    schedule.handle(
        Input::Configured {
            account: account.clone(),
            parameters: AccountParameters {
                batch_size: 100,
                rates: Rates::new(6000, None, None, 0.0),
            },
        },
        now,
    );
    for number in 0..tasks {
        let id: TaskId = format!("{:08x}{number:016x}", 0x6900_0000 + number).parse()?;
        let watched = Watched {
            id,
            account: account.clone(),
            began: now,
            deadline: now.after(Duration::from_hours(24 * 30)),
            polled: None,
            progress: None,
        };
        schedule.handle(Input::Watched(watched), now);
    }
    let added = clock::now().since(start);
    let resident = resident_kib()?.saturating_sub(before);

    // Each task is found pending in the first two answers about it, and available in the third.
    let (mut polls, mut asked, mut settled) = (0_u64, 0_u64, 0_u64);
    let mut longest = Duration::ZERO;
    let start = clock::now();
    loop {
        let before = clock::now();
        let step = schedule.next_step(now);
        longest = longest.max(clock::now().since(before));
        match step {
            Step::Poll { poll, ids, .. } => {
                polls += 1;
                asked += ids.len() as u64;
                let found = ids.into_iter().map(|id| {
                    let polled = schedule.polls(&id).unwrap_or(0);
                    (id, verdict(polled))
                });
                let answer = Answer {
                    poll,
                    found: found.collect(),
                    unread: Vec::new(),
                    allowance: Allowance::default(),
                };
                now = now.after(Duration::from_millis(10));
                let before = clock::now();
                schedule.handle(Input::Answered(answer), now);
                longest = longest.max(clock::now().since(before));
            }
            Step::Settle { .. } => settled += 1,
            Step::Tell { .. } | Step::Remember { .. } | Step::Learn { .. } => {}
            Step::Sleep { until } => now = until,
            Step::Idle => break,
        }
    }
    let run = clock::now().since(start);
    println!("tasks                       {tasks}, settled {settled}");
    println!("taken in                    {added:.2?}");
    println!("resident memory for them    {} MiB", resident / 1024);
    println!("polls                       {polls}, about {asked} ids");
    println!(
        "deciding and judging        {run:.2?}, {:.2?} a poll",
        run / u32::try_from(polls)?
    );
    println!("longest single call         {longest:.2?}");
    Ok(())
}

fn verdict(polls: u32) -> Verdict {
    if polls < 2 {
        Verdict::Pending(Pending::default())
    } else {
        Verdict::Settled(Settlement::ours(Outcome::Available, Counts::default()))
    }
}

fn resident_kib() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.ok_or("no VmRSS in /proc/self/status")?;
    Ok(text.trim().trim_end_matches(" kB").parse()?)
}
