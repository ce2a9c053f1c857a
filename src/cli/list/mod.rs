//! `importwatch list`: the watch list and what became of it.
//!
//! It never changes anything. What it prints for a program never depends on the terminal.

mod imports;
mod plain;
mod terminal;

use std::io::Write as _;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::times::Now;
use crate::cli::{complete, find, json, open_store, output};
use crate::clock;
use crate::store::Store;
use crate::store::changes::Seq;
use crate::store::doorbell;
use crate::store::outlook::Outlook;
use crate::store::watches::{Filter, Which};
use crate::watch::{Import, Standing, Watch};

/// Watches read at once; no transaction stays open while they are printed.
const PAGE: usize = 1000;

#[derive(Debug, Default, Args)]
#[command(
    after_help = "On a terminal, what needs you comes first: of each import at most ten tasks \
that did not go in as they should, then at most ten that are pending; those that went in are summed \
up in one line. --import, --pending and --settled list every task.

What is pending is shown with when it is expected to end on the server, where enough is known to say \
so: eight of ten tasks, and imports, end within the range.

Written to a pipe or a file, every task is one line, oldest first, whatever the terminal; columns \
are separated by two spaces or more, and - stands for what is not known:
  ID  STATE  ROWS IN  ROWS NOT IN  SETTLED OR ADDED (UTC)  ACCOUNT  IMPORT  CAUSE
and so is every import with --imports:
  STARTED (UTC)  TASKS  PENDING  AVAILABLE  PARTIAL  FAILED  EXPIRED  MISSING  REFUSED
  ROWS IN  ROWS NOT IN  IMPORT

Programs that need more read --json.

Examples:
  importwatch list                        how everything stands
  importwatch list --imports              one line an import
  importwatch list --import products      every task of the newest import of that name
  importwatch list --pending --json       for a program"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is there or not"
)]
pub(super) struct Arguments {
    /// Those of this import alone: the newest of this name, or NAME@2026-11-21T02:00 for an older
    #[arg(long, value_name = "NAME", add = complete::imports())]
    import: Option<String>,
    /// Those without an outcome
    #[arg(long)]
    pending: bool,
    /// Those with one
    #[arg(long, conflicts_with = "pending")]
    settled: bool,
    /// Imports, one line each, instead of tasks
    #[arg(long)]
    imports: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let directory = context.state()?;
    let store = open_store(&directory)?;
    let now = Now {
        at: clock::wall(),
        zone: TimeZone::system(),
    };
    let import = match &arguments.import {
        None => None,
        Some(name) => Some(find::import(&store, name, &now.zone)?.key),
    };
    let which = match (arguments.pending, arguments.settled) {
        (true, _) => Which::Pending,
        (_, true) => Which::Settled,
        _ => Which::All,
    };
    let filter = Filter { import, which };
    let mut out = output::out();
    let width = output::terminal_width();
    let any = match (arguments.imports, arguments.json, width) {
        (true, json, width) => imports::print(&mut out, &store, filter, width, json, &now)?,
        (_, true, _) => print_json(&mut out, &store, filter, now.at)?,
        (_, _, None) => plain::print(&mut out, context, &store, filter, &now)?,
        (_, _, Some(width)) => terminal::print(&mut out, &store, filter, width, &now)?,
    };
    if !any && !arguments.json && !context.flags.quiet {
        // A program that reads lines must not take this for one.
        out.flush()?;
        output::say(nothing(filter));
    }
    out.flush()?;
    let is_read_by_a_person = width.is_some() && !arguments.json && !context.flags.quiet;
    if is_read_by_a_person
        && which != Which::Settled
        && store.standing_of_all()?.pending > 0
        && !doorbell::ring(&directory)
    {
        output::say(&output::no_daemon(&directory));
    }
    Ok(Exit::Done)
}

fn nothing(filter: Filter) -> &'static str {
    match (filter.import, filter.which) {
        (None, Which::All) => {
            "nothing is watched yet; add tasks with: importwatch add --import NAME ID…"
        }
        (None, Which::Pending) => "nothing is pending",
        (None, _) => "nothing has settled yet",
        (Some(_), Which::Pending) => "nothing of this import is pending",
        (Some(_), _) => "nothing of this import has settled yet",
    }
}

/// Whether `filter` lets any task of an import through that stands so.
fn is_wanted(filter: Filter, import: &Import, standing: &Standing) -> bool {
    let stands_so = match filter.which {
        Which::All => true,
        Which::Pending => standing.pending > 0,
        Which::Settled => standing.settled.total() > 0,
        Which::InFull => standing.settled.available > 0,
        Which::NotInFull => standing.settled.total() > standing.settled.available,
    };
    stands_so && filter.import.is_none_or(|only| only == import.key)
}

/// Prints the tasks that `filter` lets through, for programs. Returns whether there were any.
pub(super) fn print_json(
    out: &mut output::Out,
    store: &Store,
    filter: Filter,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let mut outlook = Outlook::new(store, now);
    each(store, filter, |seq, watch| {
        let expected = outlook.task(seq, watch)?;
        json::write(out, &json::Task::of(watch, expected))?;
        Ok(out.write_all(b"\n")?)
    })
}

/// Shows each watch that `filter` lets through to `see`, in the order of adding. Returns whether
/// there were any.
pub(super) fn each(
    store: &Store,
    filter: Filter,
    mut see: impl FnMut(Seq, &Watch) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut after = Seq::START;
    loop {
        let page = store.watches(filter, after, PAGE)?;
        if page.is_empty() {
            return Ok(after != Seq::START);
        }
        for (seq, watch) in &page {
            see(*seq, watch)?;
            after = *seq;
        }
    }
}
