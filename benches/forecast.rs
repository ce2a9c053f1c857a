//! How often an expected end is right: forecasts made at moments of simulated imports, by what the store
//! would know then, held against when the tasks ended.
//! `cargo bench --bench forecast [-- WORD…]` shows the worlds whose names contain a word; `tuning` is the
//! other seeds and durations on which it was tuned.
#![expect(
    clippy::print_stdout,
    reason = "a benchmark is there to print its figures"
)]

#[allow(dead_code, reason = "the other benchmark needs the rest of it")]
#[path = "economy/catalogue.rs"]
mod catalogue;
#[path = "economy/progress.rs"]
mod progress;
#[path = "economy/worlds.rs"]
mod worlds;

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write as _};
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
use importwatch::schedule::policy::forecast::{Expected, Forecast, Unsettled};
use importwatch::schedule::step::{AccountParameters, Answer, Input, Parameters, Step, Watched};
use importwatch::task::{Counts, TaskId};

use crate::catalogue::{Cell, History, cells};
use crate::progress::claim;
use crate::worlds::{Task, draw};

/// The moments of an import: when so many quarters of its tasks have settled.
const MOMENTS: [usize; 4] = [0, 1, 2, 3];

/// Tasks of a world that are played, over all its draws, and draws at most.
const TASKS: usize = 6_000;
const MOST_DRAWS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let tuning = words.iter().any(|word| word == "tuning");
    let wanted = |cell: &Cell| {
        let mut words = words.iter().filter(|word| *word != "tuning").peekable();
        words.peek().is_none() || words.any(|word| cell.name.contains(word.as_str()))
    };
    println!(
        "| world | progress | history | imports: said | within | before | after | by moment | width | tasks: said | within | before | after | by moment | width |"
    );
    println!(
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    let mut all = Score::default();
    for mut cell in cells(if tuning { 1.37 } else { 1.0 })
        .into_iter()
        .filter(wanted)
    {
        // So many tasks in all, whatever the world.
        let draws = TASKS.div_ceil(cell.tasks).clamp(2, MOST_DRAWS);
        cell.draws = cell.draws.min(u64::try_from(draws)?);
        let seed = if tuning { 2_000_000 } else { 3_000_000 };
        let score = score(&cell, seed)?;
        println!(
            "| {} | {} | {} | {} | {} |",
            cell.name,
            cell.progress_name(),
            cell.history_name(),
            score.imports.shown(),
            score.tasks.shown(),
        );
        io::stdout().flush()?;
        all.add(&score);
    }
    println!(
        "| all | | | {} | {} |",
        all.imports.shown(),
        all.tasks.shown()
    );
    Ok(())
}

/// How forecasts of imports and of tasks did.
#[derive(Debug, Default)]
struct Score {
    imports: Tally,
    tasks: Tally,
}

impl Score {
    fn add(&mut self, other: &Self) {
        self.imports.add(&other.imports);
        self.tasks.add(&other.tasks);
    }
}

/// Where the truths lay.
#[derive(Debug, Default)]
struct Tally {
    asked: f64,
    before: f64,
    within: [f64; 4],
    said: [f64; 4],
    /// The end of the range over its beginning, as logarithms, summed.
    width: f64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.before += other.before;
        self.width += other.width;
        for moment in MOMENTS {
            self.within[moment] += other.within[moment];
            self.said[moment] += other.said[moment];
        }
    }

    /// Takes in what was said at a moment of something that ended so many seconds later, or before.
    fn count(&mut self, moment: usize, expected: Option<Expected>, truth: f64, weight: f64) {
        self.asked += weight;
        let Some(expected) = expected else {
            return;
        };
        self.said[moment] += weight;
        self.width += weight * (expected.to / expected.from.max(expected.to / 100.0)).ln();
        // What begins now says that it may have ended already.
        if expected.from > 0.0 && truth < expected.from {
            self.before += weight;
        } else if truth <= expected.to {
            self.within[moment] += weight;
        }
    }

    fn shown(&self) -> String {
        let said: f64 = self.said.iter().sum();
        let within: f64 = self.within.iter().sum();
        let part = |of: f64, all: f64| {
            if all > 0.0 {
                format!("{:.2}", of / all)
            } else {
                "–".to_owned()
            }
        };
        let by_moment = MOMENTS.map(|n| part(self.within[n], self.said[n]));
        format!(
            "{} | **{}** | {} | {} | {} | {:.1}",
            part(said, self.asked),
            part(within, said),
            part(self.before, said),
            part(said - within - self.before, said),
            by_moment.join(" "),
            (self.width / said.max(1e-9)).exp()
        )
    }
}

fn score(cell: &Cell, seed: u64) -> Result<Score, Box<dyn Error>> {
    let mut score = Score::default();
    for n in 0..cell.draws {
        let world = draw(cell.kind, cell.tasks, seed + n);
        let history = history(cell, seed + 500_000 + n)?;
        let mut watched = World::new(cell, &world, history, seed + n)?;
        watched.play(|moment, sight| sight.judge(moment, &world, &mut score))?;
    }
    Ok(score)
}

/// What earlier imports of the same or of another kind have taught.
fn history(cell: &Cell, seed: u64) -> Result<Option<Experience>, Box<dyn Error>> {
    let factor = match cell.history {
        History::None => return Ok(None),
        History::Same => 1.0,
        History::Longer => 8.0,
        History::Shorter => 1.0 / 8.0,
    };
    let mut world = draw(cell.kind, cell.tasks.max(50), seed);
    for task in &mut world {
        task.end = task.added + (task.end - task.added) * factor;
    }
    let mut earlier = World::new(cell, &world, None, seed)?;
    earlier.play(|_, _| {})?;
    Ok(earlier.stored)
}

/// A world that is watched, and what the store knows of it.
struct World<'a> {
    cell: &'a Cell,
    tasks: &'a [Task],
    schedule: Schedule,
    /// What was last given out to be kept.
    stored: Option<Experience>,
    known: Vec<Known>,
}

/// What is known of a task.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// When it was last known to be pending, and what was claimed then.
    last: f64,
    claim: Option<u8>,
    is_settled: bool,
}

/// What is known at a moment.
struct Sight<'a> {
    now: f64,
    known: &'a [Known],
    stored: Option<&'a Experience>,
}

impl Sight<'_> {
    /// Holds what is said against what came.
    fn judge(&self, moment: usize, tasks: &[Task], score: &mut Score) {
        let pending = self.known.iter().zip(tasks);
        let pending: Vec<_> = pending.filter(|(known, _)| !known.is_settled).collect();
        let Some((front, _)) = pending.first() else {
            return;
        };
        let forecast = self
            .stored
            .and_then(Forecast::of)
            .map(|forecast| forecast.since(self.now - front.last));
        let mut unsettled: Vec<(Unsettled, f64)> = Vec::new();
        let mut rank = 0.0;
        for (known, task) in pending {
            let one = Unsettled {
                age: self.now - task.added,
                silent: self.now - known.last,
                claim: known.claim,
                rank,
                count: 1.0,
            };
            unsettled.push((one, task.end - self.now));
            rank += 1.0;
        }
        let all: Vec<Unsettled> = unsettled.iter().map(|(one, _)| *one).collect();
        let last = unsettled
            .iter()
            .map(|(_, end)| *end)
            .fold(f64::MIN, f64::max);
        let expected = forecast.as_ref().and_then(|forecast| forecast.all(&all));
        score.imports.count(moment, expected, last, 1.0);
        // Of many alike a few will do.
        let step = unsettled.len().div_ceil(20);
        for (one, truth) in unsettled.iter().step_by(step) {
            let expected = forecast.as_ref().and_then(|forecast| forecast.all(&[*one]));
            score.tasks.count(moment, expected, *truth, 1.0);
        }
    }
}

fn at(seconds: f64) -> Instant {
    Instant::from_boot(Duration::from_secs_f64(1_000_000.0 + seconds))
}

fn seconds(instant: Instant) -> f64 {
    instant.since(at(0.0)).as_secs_f64()
}

fn id(number: usize) -> Result<TaskId, Box<dyn Error>> {
    Ok(format!("{number:024x}").parse()?)
}

impl<'a> World<'a> {
    fn new(
        cell: &'a Cell,
        tasks: &'a [Task],
        history: Option<Experience>,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let account = AccountName::default_account();
        let mut schedule = Schedule::new(Parameters {
            policy: Policy::Adaptive { price: cell.price },
            pacing: Pacing::new(Duration::from_secs(2), 1.5, Duration::from_mins(1))?,
            missing_after: Duration::from_mins(10),
            seed,
        })?;
        let parameters = AccountParameters {
            batch_size: cell.batch,
            rates: Rates::new(cell.a_minute, None, None, 0.0),
        };
        let configured = Input::Configured {
            account: account.clone(),
            parameters,
        };
        schedule.handle(configured, at(0.0));
        if let Some(experience) = history.clone().map(Box::new) {
            schedule.handle(
                Input::Learnt {
                    account,
                    experience,
                },
                at(0.0),
            );
        }
        Ok(Self {
            cell,
            tasks,
            schedule,
            stored: history,
            known: Vec::new(),
        })
    }

    /// Plays it to its end, and shows `see` what is known at each of its moments.
    fn play(&mut self, mut see: impl FnMut(usize, &Sight<'_>)) -> Result<(), Box<dyn Error>> {
        let numbers: Result<HashMap<TaskId, usize>, Box<dyn Error>> = (0..self.tasks.len())
            .map(|number| Ok((id(number)?, number)))
            .collect();
        let numbers = numbers?;
        let (mut now, mut settled) = (0.0, 0);
        let mut moments = MOMENTS.into_iter().peekable();
        loop {
            while let Some(task) = self.tasks.get(self.known.len())
                && task.added <= now
            {
                let watched = Watched {
                    id: id(self.known.len())?,
                    account: AccountName::default_account(),
                    began: at(now),
                    deadline: at(now + 1e7),
                    polled: None,
                    progress: None,
                };
                self.known.push(Known {
                    last: now,
                    claim: None,
                    is_settled: false,
                });
                self.schedule.handle(Input::Watched(watched), at(now));
            }
            let until = match self.schedule.next_step(at(now)) {
                Step::Poll { poll, ids, .. } => {
                    let mut found = Vec::with_capacity(ids.len());
                    for id in ids {
                        let verdict = self.ask(numbers[&id], now);
                        settled += usize::from(matches!(verdict, Verdict::Settled(_)));
                        found.push((id, verdict));
                    }
                    let answer = Answer {
                        poll,
                        found,
                        unread: Vec::new(),
                        allowance: Allowance::default(),
                    };
                    self.schedule.handle(Input::Answered(answer), at(now));
                    continue;
                }
                Step::Learn { experience, .. } => {
                    self.stored = Some(*experience);
                    continue;
                }
                Step::Settle { .. } | Step::Tell { .. } | Step::Remember { .. } => continue,
                Step::Sleep { until } => Some(seconds(until)),
                Step::Idle => None,
            };
            while let Some(moment) =
                moments.next_if(|quarters| settled * 4 >= quarters * self.tasks.len())
            {
                see(
                    moment,
                    &Sight {
                        now,
                        known: &self.known,
                        stored: self.stored.as_ref(),
                    },
                );
            }
            let added = self.tasks.get(self.known.len()).map(|task| task.added);
            now = match (until, added) {
                (None, None) => return Ok(()),
                (until, added) => until
                    .unwrap_or(f64::MAX)
                    .min(added.unwrap_or(f64::MAX))
                    .max(now),
            };
        }
    }

    /// What the server says of a task.
    fn ask(&mut self, number: usize, now: f64) -> Verdict {
        let (task, known) = (self.tasks[number], &mut self.known[number]);
        if task.end <= now {
            known.is_settled = true;
            return Verdict::Settled(Settlement::ours(Outcome::Available, Counts::default()));
        }
        let progress = claim(self.cell.progress, task, number, now);
        known.last = now;
        known.claim = progress.or(known.claim);
        Verdict::Pending(Pending {
            progress,
            ..Pending::default()
        })
    }
}
