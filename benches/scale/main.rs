//! A thousand, a hundred thousand and a million watches: what adding them, starting again with them,
//! holding them and deciding about them costs, beside the least that SQLite needs for the same rows.
//! `cargo bench --bench scale [-- SIZE…]`
//!
//! The program that is measured is the real one, against a simulated server on a socket; decisions
//! are those of the library. Each figure that hangs on the disk is the best of three, since other
//! programs' work can only make it worse.
#![expect(
    clippy::print_stdout,
    reason = "a benchmark is there to print its figures"
)]

mod bare;
mod decide;
mod program;

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use importwatch::clock;
use tempfile::TempDir;

use crate::program::Program;

/// What the figures are by default taken for.
const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];
/// Each figure that hangs on the disk is taken so often, and the best one counts.
const ROUNDS: usize = 3;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    // Cargo itself adds `--bench`.
    let sizes: Vec<u32> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() { &SIZES } else { &sizes[..] };
    for (index, &size) in sizes.iter().enumerate() {
        let last = index + 1 == sizes.len();
        measure(size, last)?;
    }
    Ok(())
}

fn measure(size: u32, idles: bool) -> Outcome<()> {
    println!("{size} watches");
    let ids = ids(size);
    let program = adding(&ids)?;
    listing(&program)?;
    for with_progress in [false, true] {
        program.pretend_polls(&ids, with_progress)?;
        restarting(&program, with_progress)?;
        deciding(&ids, with_progress)?;
    }
    if idles {
        let (wakes, watched) = program.wake_ups()?;
        let minutes = watched.as_secs_f64() / 60.0;
        let text = format!("{wakes} in {minutes:.1} min");
        print("wake-ups with nobody to ask", &text);
    }
    removing(&program)?;
    println!();
    Ok(())
}

/// Adds the ids from standard input; gives the program with its store of the last round.
fn adding(ids: &[String]) -> Outcome<Program> {
    let mut best = [Duration::MAX; 2];
    let mut kept = None;
    for _ in 0..ROUNDS {
        best[0] = best[0].min(bare::insert(ids)?);
        let program = Program::new(folder()?)?;
        best[1] = best[1].min(program.add(ids)?);
        kept = Some(program);
    }
    let [bare, ours] = best;
    print("added from standard input", &time(ours));
    print("  beside a bare INSERT", &ratio(ours, bare));
    kept.ok_or_else(|| "no round".into())
}

/// Starts the daemon again and again, with everything polled before.
fn restarting(program: &Program, with_progress: bool) -> Outcome<()> {
    let mut best = [Duration::MAX; 2];
    let (mut resident, mut peak) = (0, 0);
    for _ in 0..ROUNDS {
        best[0] = best[0].min(bare::select(&program.database())?);
        let life = program.live()?;
        best[1] = best[1].min(life.first_poll);
        resident = resident.max(life.resident_kib);
        peak = peak.max(life.peak_kib);
    }
    let [bare, ours] = best;
    let kind = kind(with_progress);
    let print = |what: &str, figure: &str| print(&format!("{kind}{what}"), figure);
    print("restart to first poll", &time(ours));
    print("beside a bare SELECT", &ratio(ours, bare));
    print("resident, after some polls", &mib(resident));
    print("resident, at its highest", &mib(peak));
    Ok(())
}

fn deciding(ids: &[String], with_progress: bool) -> Outcome<()> {
    let decisions = decide::measure(ids, with_progress)?;
    let kind = kind(with_progress);
    let print = |what: &str, figure: &str| print(&format!("{kind}{what}"), figure);
    print("a decision, mean", &time(decisions.mean));
    print("of a hundred the longest", &time(decisions.most));
    print("the longest", &time(decisions.longest));
    print("the first", &time(decisions.first));
    print("an answer taken in, mean", &time(decisions.taking_in));
    print("the schedule alone", &mib(decisions.resident_kib));
    Ok(())
}

/// Whether the server has claimed progress of each task.
fn kind(with_progress: bool) -> &'static str {
    if with_progress {
        "with progress, "
    } else {
        "no progress, "
    }
}

fn listing(program: &Program) -> Outcome<()> {
    for (what, arguments) in [
        ("list, into a pipe", &["list"][..]),
        ("list --json", &["list", "--json"]),
        ("list --imports", &["list", "--imports"]),
        ("show --import", &["show", "--import", "scale"]),
    ] {
        print(what, &time(program.run(arguments)?));
    }
    Ok(())
}

fn removing(program: &Program) -> Outcome<()> {
    let took = program.run(&["remove", "--import", "scale"])?;
    print("remove --import", &time(took));
    Ok(())
}

/// Ids as the server gives them: the second, the machine that made it, and its counter.
fn ids(size: u32) -> Vec<String> {
    let id = |number: u32| {
        let second = 0x6900_0000 + number / 50;
        let machine = [0x1f_e307_920fu64, 0xa2_77d1_04c9, 0x5b_90c3_aa12][number as usize % 3];
        format!("{second:08x}{machine:010x}{:06x}", number & 0xff_ffff)
    };
    (0..size).map(id).collect()
}

/// A place on the disk that the project is built on.
fn folder() -> Outcome<TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn print(what: &str, figure: &str) {
    println!("  {what:40} {figure:>12}");
    // Whoever watches sees each as it comes.
    let _flushed = std::io::stdout().flush();
}

fn time(time: Duration) -> String {
    format!("{time:.2?}")
}

fn mib(kib: u64) -> String {
    format!("{} MiB", kib.div_ceil(1024))
}

fn ratio(ours: Duration, bare: Duration) -> String {
    format!(
        "{:.2} ({:.2?})",
        ours.as_secs_f64() / bare.as_secs_f64(),
        bare
    )
}

/// How long `work` takes.
fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let start = clock::now();
    work()?;
    Ok(clock::now().since(start))
}
