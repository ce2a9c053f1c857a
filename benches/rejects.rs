//! Ten million rows (2 GB) of which ten thousand were rejected, by the real program: how long it takes
//! to find them, against only counting the records with the csv crate, and how much memory it needs.
//! `cargo bench --bench rejects [-- ROWS]`
#![expect(
    clippy::print_stdout,
    reason = "a benchmark is there to print its figures"
)]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use importwatch::clock;
use importwatch::failure::{Failure, FailureKind};
use importwatch::outcome::{Outcome, Settlement};
use importwatch::store::Store;
use importwatch::store::directory::StateDir;
use importwatch::store::settle::Settled;
use importwatch::task::{Counts, TaskId};
use jiff::Timestamp;

/// Rows of a task, of which the first of each was rejected.
const CHUNK: u64 = 1000;
/// How often each side is measured, by turns; the best counts.
const TURNS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let rows: u64 = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(10_000_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let source = folder.path().join("source.csv");
    let size = write_source(&source, rows)?;
    prepare(folder.path(), &source, rows)?;

    let (mut counting, mut finding) = (Duration::MAX, Duration::MAX);
    let (mut records, mut memory) = (0, 0);
    for _ in 0..TURNS {
        let start = clock::now();
        records = count(&source)?;
        counting = counting.min(clock::now().since(start));
        let start = clock::now();
        memory = memory.max(rejects(folder.path())?);
        finding = finding.min(clock::now().since(start));
    }
    let found = fs::read_to_string(folder.path().join("out.csv"))?;
    let exact = found
        .lines()
        .filter(|line| line.contains(",exact,"))
        .count();
    println!(
        "source                      {records} rows, {} MB",
        size / 1_000_000
    );
    println!("rejected rows               {exact}, all of them exact");
    println!("counting with the csv crate {counting:.2?}");
    println!(
        "importwatch rejects         {finding:.2?}, {:.2} times that",
        finding.as_secs_f64() / counting.as_secs_f64()
    );
    println!("most memory                 {} MiB", memory / 1024);
    Ok(())
}

fn write_source(path: &Path, rows: u64) -> Result<u64, Box<dyn Error>> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(b"id,name,description,price,stock\n")?;
    let filler =
        "wood, oiled and waxed by hand, delivered in parts with all that it takes; ".repeat(2);
    for row in 1..=rows {
        let price = row % 997;
        writeln!(
            out,
            "{row:010},\"item {row}\",\"{filler}\",{price}.50,{}",
            row % 13
        )?;
    }
    out.flush()?;
    Ok(out.get_ref().metadata()?.len())
}

/// Puts the tasks and what became of them where the program looks.
fn prepare(home: &Path, source: &Path, rows: u64) -> Result<(), Box<dyn Error>> {
    let tasks: Vec<TaskId> = (0..rows / CHUNK)
        .map(|task| format!("{:024x}", 0x6900_0000_u64 + task).parse())
        .collect::<Result<_, _>>()?;
    fs::write(home.join("config.toml"), "[state]\ndirectory = \"state\"\n")?;
    let ids: Vec<String> = tasks.iter().map(ToString::to_string).collect();
    fs::write(home.join("ids"), ids.join("\n"))?;
    let added = program(home)
        .args(["add", "--import", "products", "--source"])
        .arg(source)
        .arg("-")
        .stdin(File::open(home.join("ids"))?)
        .output()?;
    assert!(added.status.success(), "{added:?}");
    let mut store = Store::open(&StateDir::open(&home.join("state"))?)?;
    let at = clock::wall();
    let settled: Vec<Settled> = tasks
        .iter()
        .zip(0_u64..)
        .map(|(id, task)| settled(id, task * CHUNK + 1, at))
        .collect();
    store.settle(&settled, at, &[])?;
    Ok(())
}

/// One row in the middle of the task broke a rule.
fn settled(id: &TaskId, first: u64, at: Timestamp) -> Settled {
    let value = format!("{:010}", first + CHUNK / 2 - 1);
    let failure = Failure {
        row: u32::try_from(CHUNK / 2).ok(),
        first_row: None,
        last_row: None,
        kind: FailureKind::InvalidRow,
        column: Some("id".to_owned()),
        reason: format!("`id` must be shorter, but the value '{value}' is not."),
        value: Some(value),
    };
    let count = |rows: u64| u32::try_from(rows).ok();
    Settled {
        id: id.clone(),
        settlement: Settlement {
            outcome: Outcome::Partial,
            progress: None,
            counts: Counts {
                total: count(CHUNK),
                succeeded: count(CHUNK - 1),
                failed: Some(1),
            },
            failures: vec![failure],
        },
        polls: 1,
        polled_at: Some(at),
    }
}

fn count(source: &Path) -> Result<u64, Box<dyn Error>> {
    let mut reader = csv::Reader::from_path(source)?;
    let mut record = csv::ByteRecord::new();
    let mut records = 0;
    while reader.read_byte_record(&mut record)? {
        records += 1;
    }
    Ok(records)
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_importwatch"));
    command
        .env_clear()
        .env("HOME", home)
        .env("IMPORTWATCH_CONFIG", home.join("config.toml"));
    command
}

/// Runs the program, and asks the kernel meanwhile for the most memory that it had, in KiB.
fn rejects(home: &Path) -> Result<u64, Box<dyn Error>> {
    let mut child = program(home)
        .args(["rejects", "--import", "products", "--output"])
        .arg(home.join("out.csv"))
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        if let Ok(text) = fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
            && let Ok(kib) = line.trim().trim_end_matches(" kB").parse()
        {
            peak = kib;
        }
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(ended.success(), "{ended}");
    Ok(peak)
}
