//! What a request brings in real time: the real program's daemon against the simulated server on a
//! socket, beside the schedule alone in simulated time, in the same worlds with the same seeds.
//! `cargo bench --bench economy_real [-- WORD…]` plays the worlds whose names contain a word.
//!
//! A delay goes from the end of a task to the arrival at the server of the request that found it, so that
//! the server's own latency is in it only as far as it holds up what follows; "told" goes on to the
//! outcome as it is kept.
#![expect(
    clippy::print_stdout,
    reason = "a benchmark is there to print its figures"
)]

#[path = "../economy/figures.rs"]
#[expect(dead_code, reason = "the other benchmark shows more")]
mod figures;
mod live;
#[path = "../economy/play.rs"]
mod play;
#[path = "../economy/progress.rs"]
#[expect(
    dead_code,
    reason = "a server that lies has its place in simulated time"
)]
mod progress;
#[path = "../economy/rivals.rs"]
#[expect(dead_code, reason = "the other benchmark has the rivals")]
mod rivals;
#[path = "../economy/worlds.rs"]
#[expect(dead_code, reason = "most worlds take too long for real time")]
mod worlds;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use importwatch::schedule::policy::Policy;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::figures::Pool;
use crate::live::Lived;
use crate::play::{Setting, play};
use crate::progress::Progress;
use crate::worlds::{Kind, draw};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What a request is worth, as in the other benchmark.
const PRICE: Duration = Duration::from_secs(3);
/// Where the seeds of its figures begin.
const SEED: u64 = 1_000_000;
/// So many daemons run at once: each sleeps nearly all the time.
const AT_ONCE: usize = 6;

/// A line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) tasks: usize,
    pub(crate) progress: Progress,
    pub(crate) latency: Duration,
    pub(crate) draws: u64,
}

fn cells() -> Vec<Cell> {
    let burst = Cell {
        name: "burst 3 s, σ 0.5, 400",
        kind: Kind::Burst(3.0, 0.5),
        tasks: 400,
        progress: Progress::None,
        latency: Duration::ZERO,
        draws: 24,
    };
    let in_order = Cell {
        name: "in order, 0.5 s each, 400",
        kind: Kind::InOrder(0.5),
        draws: 6,
        ..burst.clone()
    };
    let apart = Cell {
        name: "uploaded 0.5 s apart, 3 s, 120",
        kind: Kind::Apart(0.5, 3.0, 0.8),
        tasks: 120,
        draws: 12,
        ..burst.clone()
    };
    let honest = |cell: &Cell| Cell {
        progress: Progress::Honest,
        ..cell.clone()
    };
    let late = |cell: &Cell| Cell {
        latency: Duration::from_millis(100),
        ..cell.clone()
    };
    vec![
        burst.clone(),
        late(&burst),
        honest(&burst),
        late(&honest(&burst)),
        apart.clone(),
        late(&apart),
        in_order.clone(),
        late(&in_order),
    ]
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted =
        |cell: &Cell| words.is_empty() || words.iter().any(|word| cell.name.contains(word));
    println!(
        "| world | progress | latency | requests | simulated | mean s | simulated | ratio | median ratio | p99 s | simulated | ratio | told, mean s |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let runtime = Runtime::new()?;
    for cell in cells().into_iter().filter(wanted) {
        show(&cell, &runtime)?;
    }
    Ok(())
}

fn show(cell: &Cell, runtime: &Runtime) -> Outcome<()> {
    let setting = Setting {
        policy: Policy::Adaptive { price: Some(PRICE) },
        batch: 100,
        a_minute: 6_000,
        progress: cell.progress,
        history: None,
    };
    let mut simulated = Vec::new();
    for n in 0..cell.draws {
        let world = draw(cell.kind, cell.tasks, SEED + n);
        simulated.push(play(&world, &setting, n).map_err(|error| error.to_string())?);
    }
    let lived = runtime.block_on(live_all(cell))?;
    let mut ratios: Vec<f64> = lived
        .iter()
        .zip(&simulated)
        .map(|(real, simulated)| mean(&real.run.delays) / mean(&simulated.delays))
        .collect();
    ratios.sort_by(f64::total_cmp);
    let told: Vec<f64> = lived.iter().flat_map(|lived| lived.told.clone()).collect();
    let real = Pool::of(lived.into_iter().map(|lived| lived.run));
    let simulated = Pool::of(simulated);
    println!(
        "| {} | {} | {} ms | {:.1} | {:.1} | {:.3} | {:.3} | **{:.2}** | {:.2} | {:.2} | {:.2} | **{:.2}** | {:.3} |",
        cell.name,
        match cell.progress {
            Progress::Honest => "honest",
            _ => "none",
        },
        cell.latency.as_millis(),
        real.requests(),
        simulated.requests(),
        real.mean(),
        simulated.mean(),
        real.mean() / simulated.mean(),
        ratios[ratios.len() / 2],
        real.percentile(99),
        simulated.percentile(99),
        real.percentile(99) / simulated.percentile(99),
        mean(&told),
    );
    Ok(())
}

/// Lives through all draws of a world, some at a time; in the order of the draws.
async fn live_all(cell: &Cell) -> Outcome<Vec<Lived>> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    for n in 0..cell.draws {
        let (cell, room) = (cell.clone(), Arc::clone(&room));
        under_way.spawn(async move {
            let _place = room.acquire_owned().await?;
            let world = draw(cell.kind, cell.tasks, SEED + n);
            Outcome::Ok((n, live::live(&cell, &world).await?))
        });
    }
    let mut lived = Vec::new();
    while let Some(one) = under_way.join_next().await {
        lived.push(one??);
    }
    lived.sort_by_key(|&(n, _)| n);
    Ok(lived.into_iter().map(|(_, lived)| lived).collect())
}

fn mean(delays: &[f64]) -> f64 {
    delays.iter().sum::<f64>() / rivals::count(delays.len())
}
