//! Everything that is known of one task, in words.
//!
//! What the server said is shown safe, and as what the server said.

use std::io::Write;

use crate::account::AccountName;
use crate::cli::find;
use crate::cli::show::causes::Causes;
use crate::cli::show::{block, causes, field, field_of_end};
use crate::cli::times::Now;
use crate::cli::words::{self, STRONG};
use crate::failure::FailureKind;
use crate::notice::amount::{counted, number, span};
use crate::notice::safe;
use crate::outcome::{Outcome, Settlement};
use crate::store::Store;
use crate::store::outlook::End;
use crate::task::Counts;
use crate::watch::{State, Watch};

/// Rows and values that are named for each cause.
const EXAMPLES: usize = 20;
/// Causes that are told.
const CAUSES: usize = 50;

pub(super) fn print(
    out: &mut impl Write,
    store: &Store,
    watch: &Watch,
    expected: Option<End>,
    is_watched: bool,
    now: &Now,
) -> anyhow::Result<()> {
    let outcome = words::outcome(watch);
    let style = words::style(outcome);
    writeln!(out, "task {STRONG}{}{STRONG:#}", watch.id)?;
    writeln!(
        out,
        "  {style}{}{style:#}: {}",
        words::state(outcome),
        meaning(outcome)
    )?;
    writeln!(out)?;
    facts(out, store, watch, now)?;
    field_of_end(out, expected, now)?;
    let mut found = Causes::new(EXAMPLES);
    if let State::Settled { settlement, .. } = &watch.state {
        found.add(settlement);
    }
    causes(out, &mut found, CAUSES, true)?;
    let history = store.history(&watch.id)?;
    if !history.is_empty() {
        let lines: Vec<_> = history.iter().map(|earlier| past(earlier, now)).collect();
        block(out, "Earlier", &lines)?;
    }
    let import = find::selector(store, &watch.import, &now.zone)?;
    block(
        out,
        "What to do",
        &advice(watch, is_watched, &found, &import),
    )?;
    Ok(())
}

/// What an outcome means by the vendor's rules, or by ours.
fn meaning(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        None => "the server has not finished it",
        Some(Outcome::Available) => "the server has finished it, and every row is in the table",
        Some(Outcome::Partial) => {
            "the server has finished it; some rows are in the table, some are not"
        }
        Some(Outcome::Failed) => "the server has finished it, and no row of it is in the table",
        Some(Outcome::Expired) => {
            "the server had not finished it when the time to watch it was up; it may have since"
        }
        Some(Outcome::Missing) => "the server went on not knowing this id",
        Some(Outcome::Refused) => "the server does not take this id",
    }
}

fn facts(out: &mut impl Write, store: &Store, watch: &Watch, now: &Now) -> anyhow::Result<()> {
    let counts = match &watch.state {
        State::Pending(counts) => *counts,
        State::Settled { settlement, .. } => settlement.counts,
    };
    field(out, "rows", &rows(watch, counts))?;
    let import = find::selector(store, &watch.import, &now.zone)?;
    field(out, "import", &safe::one_line(&import))?;
    field(out, "account", watch.account.as_str())?;
    if let Some(created_at) = watch.id.created_at() {
        let created = format!("{}, by its id", now.full(created_at));
        field(out, "created", &created)?;
    }
    field(out, "added", &now.full(watch.added_at))?;
    match &watch.state {
        State::Pending(_) => field(out, "gives up", &now.full(watch.deadline))?,
        State::Settled { at, .. } => {
            let after = span(at.duration_since(watch.added_at).unsigned_abs());
            let settled = format!("{}, {after} after it was added", now.full(*at));
            field(out, "settled", &settled)?;
        }
    }
    let answered = match watch.polled_at {
        None => "not yet".to_owned(),
        Some(at) => format!(
            "{}, last {}",
            counted(watch.polls.into(), "time"),
            now.full(at)
        ),
    };
    field(out, "answered", &answered)?;
    if let (State::Pending(_), Some(progress)) = (&watch.state, watch.progress) {
        field(
            out,
            "progress",
            &format!("{progress} %, as the server says"),
        )?;
    }
    Ok(())
}

fn rows(watch: &Watch, counts: Counts) -> String {
    match &watch.state {
        State::Settled { settlement, .. } if settlement.outcome.is_by_server() => {
            words::in_the_table(settlement.rows_in(), settlement.failed_rows())
        }
        _ => match counts.total {
            Some(total) => format!("{} in all", number(total.into())),
            None => "their number is not known".to_owned(),
        },
    }
}

/// One line for an outcome that gave way when the task was added again.
fn past(watch: &Watch, now: &Now) -> String {
    let outcome = words::state(words::outcome(watch));
    let import = safe::start(&watch.import.name, 40);
    match &watch.state {
        State::Settled { at, .. } => {
            let after = span(at.duration_since(watch.added_at).unsigned_abs());
            format!(
                "{outcome} {}, after {after}, in import {import}",
                now.full(*at)
            )
        }
        State::Pending(_) => format!("pending, in import {import}"),
    }
}

fn advice(watch: &Watch, is_watched: bool, causes: &Causes, import: &str) -> Vec<String> {
    let id = find::word(&watch.id.to_string());
    let again = add_command(&watch.account, import, &watch.import.name, &id);
    let settlement = match &watch.state {
        State::Pending(_) => None,
        State::Settled { settlement, .. } => Some(settlement),
    };
    let lines: Vec<&str> = match settlement.map(|settlement| settlement.outcome) {
        None if is_watched => vec!["Nothing: the daemon asks about it until it has settled."],
        None => vec![
            "Start a daemon, for none is running here:",
            "  importwatch daemon",
        ],
        Some(Outcome::Available) => vec!["Nothing."],
        Some(Outcome::Partial) => settlement.map(partial_advice).unwrap_or_default(),
        Some(Outcome::Failed) if causes.has(FailureKind::ConflictWithTable) => vec![
            "Take the rows whose values are in the table already out of these rows, or out of the",
            "table, and import the rest again: none of it is in the table.",
        ],
        Some(Outcome::Failed) => vec![
            "Mend the rows and import all rows of this task again: none of them is in the table.",
        ],
        Some(Outcome::Expired) => {
            return vec!["Watch it again:".to_owned(), format!("  {again}")];
        }
        Some(Outcome::Missing | Outcome::Refused) => {
            return vec![
                format!(
                    "Compare the id with the answer of the import endpoint, and see that the account {}",
                    watch.account
                ),
                "has the key of the Agent that the table belongs to. Then watch it again, or let it go:"
                    .to_owned(),
                format!("  {again}"),
                format!("  importwatch remove {id}"),
            ];
        }
    };
    lines.into_iter().map(str::to_owned).collect()
}

fn partial_advice(settlement: &Settlement) -> Vec<&'static str> {
    let listed = settlement
        .failures
        .iter()
        .all(|failure| failure.row.is_some());
    let complete = settlement.failed_rows() == Some(settlement.failures.len() as u64);
    if listed && complete {
        vec![
            "Mend the rows that are named above and import them alone: the others are in the table",
            "already. A row that came twice needs nothing if both are the same.",
        ]
    } else {
        vec![
            "Find out which rows are not in the table by comparing it with what was sent, mend those",
            "and import them alone: the others are in the table already.",
        ]
    }
}

/// The command that watches a task again.
fn add_command(account: &AccountName, selector: &str, import: &str, id: &str) -> String {
    let account = match account.as_str() {
        "default" => String::new(),
        other => format!("--account {other} "),
    };
    // To an older import of a name nothing can be added.
    let import = if selector == import && !import.contains('@') {
        format!("--import {} ", find::word(import))
    } else {
        String::new()
    };
    format!("importwatch add {account}{import}{id}")
}
