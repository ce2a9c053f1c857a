//! `importwatch show`: everything that is known of one task, or how one import stands.
//!
//! It never changes anything.

mod causes;
mod import;
mod task;

use std::io::{self, Write};

use anyhow::bail;
use clap::{ArgGroup, Args};
use jiff::tz::TimeZone;

use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::list::print_json;
use crate::cli::times::Now;
use crate::cli::words::STRONG;
use crate::cli::{complete, find, json, open_store, output};
use crate::clock;
use crate::store::doorbell;
use crate::store::outlook::{End, Outlook};
use crate::store::watches::{Filter, Which};
use crate::watchlist::unusable;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true), after_help = "For a task: its outcome and what that means, its rows, why rows did not go \
in, its times, earlier outcomes, and what to do next. For an import: how it stands, and the causes \
over all its tasks.

Examples:
  importwatch show 68ec7ad3e307920f002648cd
  importwatch show --import products
  importwatch show --import products@2026-11-21T02:00Z
  importwatch show --json 68ec7ad3e307920f002648cd    one object, as from list --json"
)]
pub(super) struct Arguments {
    /// The id of a task
    #[arg(value_name = "ID", group = "what")]
    id: Option<String>,
    /// An import: the newest of this name, or NAME@2026-11-21T02:00 for an older
    #[arg(long, value_name = "NAME", group = "what", add = complete::imports())]
    import: Option<String>,
    /// One JSON object a line: the task, or each task of the import
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
    // Only a daemon hears it, and it does no more than look at the store once more.
    let is_watched = doorbell::ring(&directory);
    let mut out = output::out();
    if let Some(name) = &arguments.import {
        let import = find::import(&store, name, &now.zone)?;
        if arguments.json {
            let filter = Filter {
                import: Some(import.key),
                which: Which::All,
            };
            print_json(&mut out, &store, filter, now.at)?;
        } else {
            import::print(&mut out, &store, &import, is_watched, &now)?;
        }
    } else {
        let id = unusable::argument(1, arguments.id.as_deref().unwrap_or_default())?;
        let Some(watch) = store.watch(&id)? else {
            bail!(find::unknown_task(&id));
        };
        let mut outlook = Outlook::new(&store, now.at);
        let expected = match store.numbers(std::slice::from_ref(&id))?.first() {
            Some((seq, _)) => outlook.task(*seq, &watch)?,
            None => None,
        };
        if arguments.json {
            let object = json::Task::of(&watch, expected);
            json::write(&mut out, &object)?;
            out.write_all(b"\n")?;
        } else {
            task::print(&mut out, &store, &watch, expected, is_watched, &now)?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// A line `label  text`, the texts below one another.
fn field(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {label:<11} {text}")
}

/// When something is expected to end, where that can be said.
fn field_of_end(out: &mut impl Write, expected: Option<End>, now: &Now) -> io::Result<()> {
    let Some(expected) = expected.and_then(|end| now.expected(end)) else {
        return Ok(());
    };
    field(
        out,
        "end",
        &format!("{expected}, with eight chances of ten"),
    )
}

/// A heading and the lines below it, after an empty line.
fn block(out: &mut impl Write, heading: &str, lines: &[String]) -> io::Result<()> {
    writeln!(out, "\n{STRONG}{heading}{STRONG:#}")?;
    for line in lines {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// The causes, each with what goes with it.
fn causes(
    out: &mut impl Write,
    causes: &mut causes::Causes,
    most: usize,
    one_task: bool,
) -> io::Result<()> {
    if causes.is_empty() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for (headline, more) in causes.told(most, one_task) {
        lines.push(headline);
        lines.extend(more.into_iter().map(|line| format!("  {line}")));
    }
    block(out, "Why rows did not go in", &lines)
}
