//! What a request brings: the schedule in simulated worlds, beside what else could watch them.
//! `cargo bench --bench economy [-- WORD…]` shows the worlds whose names contain a word; `tuning` is the
//! other seeds and durations on which the policy was tuned.
#![expect(
    clippy::print_stdout,
    reason = "a benchmark is there to print its figures"
)]

mod bound;
mod catalogue;
mod figures;
mod play;
mod progress;
mod rivals;
mod worlds;

use std::error::Error;

use importwatch::schedule::policy::Policy;
use importwatch::schedule::policy::experience::Experience;

use crate::catalogue::{Cell, History, cells};
use crate::figures::{Pool, matched};
use crate::play::{Run, Setting, play};
use crate::progress::Progress;
use crate::rivals::{count, in_turn, sweep, waiters};
use crate::worlds::{Task, draw};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let tuning = arguments.iter().any(|word| word == "tuning");
    let wanted = |cell: &Cell| {
        let mut words = arguments.iter().filter(|word| *word != "tuning").peekable();
        words.peek().is_none() || words.any(|word| cell.name.contains(word.as_str()))
    };
    println!(
        "| world | progress | history | requests | ids asked | mean s | p50 | p95 | p99 | max | mean / loop | p99 / loop | exponential / loop | bound / loop | waiters / ours |"
    );
    println!(
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    let mut rivals: Option<(String, Rivals)> = None;
    for mut cell in cells(if tuning { 1.37 } else { 1.0 })
        .into_iter()
        .filter(wanted)
    {
        if tuning {
            cell.draws = cell.draws.div_ceil(4);
        }
        let seed = if tuning { 0 } else { 1_000_000 };
        let known = rivals.take().filter(|(name, _)| *name == cell.name);
        let worlds: Vec<Vec<Task>> = (0..cell.draws)
            .map(|n| draw(cell.kind, cell.tasks, seed + n))
            .collect();
        let of_world = match known {
            Some((_, known)) => known,
            None => Rivals::of(&cell, &worlds)?,
        };
        show(&cell, &worlds, &of_world, seed)?;
        rivals = Some((cell.name.clone(), of_world));
    }
    Ok(())
}

/// What the rivals make of a world, which neither progress nor history changes.
struct Rivals {
    /// Requests times mean delay of one waiter a task.
    waiters: f64,
    /// Mean and p99 of the delay under batched exponential backoff, as ratios to the loop.
    exponential: (f64, f64),
}

impl Rivals {
    fn of(cell: &Cell, worlds: &[Vec<Task>]) -> Result<Self, Box<dyn Error>> {
        let setting = Setting {
            policy: Policy::Exponential,
            batch: cell.batch,
            a_minute: cell.a_minute,
            progress: Progress::None,
            history: None,
        };
        let mut runs = Vec::new();
        for (n, world) in (0..).zip(worlds) {
            runs.push(play(world, &setting, n)?);
        }
        let exponential = Pool::of(runs);
        let same = the_loop(cell, worlds, exponential.requests());
        let alone = Pool::of(worlds.iter().map(|world| waiters(world)));
        Ok(Self {
            waiters: alone.requests() * alone.mean(),
            exponential: (
                exponential.mean() / same.mean(),
                exponential.percentile(99) / same.percentile(99),
            ),
        })
    }
}

/// The fixed-interval loop at so many requests a run.
fn the_loop(cell: &Cell, worlds: &[Vec<Task>], requests: f64) -> Pool {
    let batch = f64::from(cell.batch);
    let play = if cell.in_turn { in_turn } else { sweep };
    matched(requests, |interval| {
        Pool::of(worlds.iter().map(|world| play(world, batch, interval)))
    })
}

fn show(
    cell: &Cell,
    worlds: &[Vec<Task>],
    rivals: &Rivals,
    seed: u64,
) -> Result<(), Box<dyn Error>> {
    let setting = Setting {
        policy: Policy::Adaptive { price: cell.price },
        batch: cell.batch,
        a_minute: cell.a_minute,
        progress: cell.progress,
        history: None,
    };
    let batch = f64::from(cell.batch);
    let mut runs: Vec<Run> = Vec::new();
    for (n, world) in (0..).zip(worlds) {
        let history = history(cell, &setting, seed + 500_000 + n)?;
        let setting = Setting {
            history,
            ..setting.clone()
        };
        runs.push(play(world, &setting, n)?);
    }
    let ours = Pool::of(runs);
    let same = the_loop(cell, worlds, ours.requests());
    let bound = bound::least(worlds, batch, ours.requests());
    println!(
        "| {} | {} | {} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | **{:.2}** | {:.2} | {:.2}/{:.2} | {:.2} | {:.0} |",
        cell.name,
        cell.progress_name(),
        cell.history_name(),
        ours.requests(),
        ours.asked(),
        ours.mean(),
        ours.percentile(50),
        ours.percentile(95),
        ours.percentile(99),
        ours.percentile(100),
        ours.mean() / same.mean(),
        ours.percentile(99) / same.percentile(99),
        rivals.exponential.0,
        rivals.exponential.1,
        bound / same.mean(),
        rivals.waiters / (ours.requests() * ours.mean()),
    );
    if let Some(name) = cell.in_order() {
        let batches: f64 = worlds
            .iter()
            .map(|world| bound::mean_batches(world, batch))
            .sum();
        println!(
            "<!-- {name}: 1 / mean ceil(pending/B) = {:.3} -->",
            count(worlds.len()) / batches
        );
    }
    Ok(())
}

/// What earlier imports of the same or of another kind have taught.
fn history(
    cell: &Cell,
    setting: &Setting,
    seed: u64,
) -> Result<Option<Experience>, Box<dyn Error>> {
    let factor = match cell.history {
        History::None => return Ok(None),
        History::Same => 1.0,
        History::Longer => 8.0,
        History::Shorter => 1.0 / 8.0,
    };
    let tasks = cell.tasks.max(50);
    let mut world = draw(cell.kind, tasks, seed);
    for task in &mut world {
        task.end = task.added + (task.end - task.added) * factor;
    }
    Ok(play(&world, setting, seed)?.experience)
}
