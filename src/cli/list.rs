//! `importwatch list`: the watch list and what became of it.

use std::io::{self, BufWriter, Write};

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::json;
use crate::notice::amount::{counted, number};
use crate::notice::safe;
use crate::store::Store;
use crate::store::changes::Seq;
use crate::store::watches::{Filter, Which};
use crate::watch::{State, Watch};

/// Watches read at once; no transaction stays open while they are printed.
const PAGE: usize = 1000;

#[derive(Debug, Default, Args)]
pub(super) struct Arguments {
    /// Those of this import alone: the newest of this name, or NAME@2026-11-21T02:00 for an older
    #[arg(long, value_name = "NAME")]
    import: Option<String>,
    /// Those without an outcome
    #[arg(long)]
    pending: bool,
    /// Those with one
    #[arg(long, conflicts_with = "pending")]
    settled: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let store = Store::open(&context.state()?)?;
    let zone = TimeZone::system();
    let import = match &arguments.import {
        None => None,
        Some(name) => match store.find_import(name, &zone)? {
            Some(import) => Some(import.key),
            None => bail!("there is no import {name:?}; `importwatch list` shows what there is"),
        },
    };
    let which = match (arguments.pending, arguments.settled) {
        (true, _) => Which::Pending,
        (_, true) => Which::Settled,
        _ => Which::All,
    };
    let filter = Filter { import, which };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut after = Seq::START;
    let mut heading = None;
    loop {
        let page = store.watches(filter, after, PAGE)?;
        for (seq, watch) in &page {
            if arguments.json {
                serde_json::to_writer(&mut out, &json::Task::from(watch))
                    .map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            } else {
                if heading != Some(watch.import.key) {
                    heading = Some(watch.import.key);
                    print_heading(&mut out, &store, watch, &zone)?;
                }
                print_task(&mut out, watch)?;
            }
            after = *seq;
        }
        if page.is_empty() {
            break;
        }
    }
    if heading.is_none() && !arguments.json && !context.flags.quiet {
        writeln!(out, "{}", nothing(filter))?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn nothing(filter: Filter) -> &'static str {
    match (filter.import, filter.which) {
        (None, Which::All) => {
            "nothing is watched yet; add tasks with: importwatch add --import NAME ID…"
        }
        (_, Which::Pending) => "nothing is pending",
        (_, Which::Settled) => "nothing has settled yet",
        (Some(_), Which::All) => "the import has no tasks",
    }
}

fn print_heading(
    out: &mut impl Write,
    store: &Store,
    watch: &Watch,
    zone: &TimeZone,
) -> anyhow::Result<()> {
    let standing = store.standing(watch.import.key)?;
    let settled = standing.settled;
    let mut parts = Vec::new();
    let counts = [
        (settled.failed, "failed"),
        (settled.refused, "refused"),
        (settled.partial, "partial"),
        (settled.expired, "expired"),
        (settled.missing, "missing"),
        (settled.available, "available"),
        (standing.pending, "pending"),
    ];
    for (count, name) in counts.into_iter().filter(|(count, _)| *count > 0) {
        parts.push(format!("{} {name}", number(count)));
    }
    writeln!(
        out,
        "{}  started {}, {}: {}",
        safe::one_line(&watch.import.name),
        local(watch.import.started_at, zone),
        counted(standing.tasks(), "task"),
        parts.join(", ")
    )?;
    Ok(())
}

/// One line a task: its id, its state, and what there is to know of its rows.
fn print_task(out: &mut impl Write, watch: &Watch) -> io::Result<()> {
    let (state, about) = match &watch.state {
        State::Pending(_) if watch.polls == 0 => ("pending", "not asked yet".to_owned()),
        State::Pending(_) => match watch.progress {
            Some(progress) => ("pending", format!("{progress} %")),
            None => ("pending", String::new()),
        },
        State::Settled { settlement, .. } => {
            let mut about = Vec::new();
            let rows = (settlement.rows_in(), settlement.failed_rows());
            match rows {
                (Some(rows), Some(0)) => about.push(format!("{} in", counted(rows, "row"))),
                (Some(rows), Some(failed)) => {
                    about.push(format!(
                        "{} in, {} not",
                        counted(rows, "row"),
                        number(failed)
                    ));
                }
                (None, Some(failed @ 1..)) => {
                    about.push(format!("{} not in", counted(failed, "row")));
                }
                _ => {}
            }
            if let Some(failure) = settlement.failures.first() {
                about.push(safe::start(&failure.reason, 100));
            }
            (settlement.outcome.as_str(), about.join("; "))
        }
    };
    let line = format!("  {:24}  {state:9}  {about}", watch.id);
    writeln!(out, "{}", line.trim_end())
}

/// A time as a person reads it, in the system's zone.
fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}
