//! How one import stands, why rows of it did not go in, and what is next.
//!
//! It reads every task once and keeps none of them.

use std::collections::BTreeSet;
use std::io::Write;

use crate::cli::list::each;
use crate::cli::show::causes::Causes;
use crate::cli::show::{block, causes, field, field_of_end};
use crate::cli::times::Now;
use crate::cli::words::{self, STRONG};
use crate::cli::{find, reckoning};
use crate::notice::amount::{counted, number};
use crate::notice::safe;
use crate::store::Store;
use crate::store::outlook::Outlook;
use crate::store::watches::{Filter, Which};
use crate::watch::{Import, Standing, State, Watch};

/// Values that are named for each cause.
const EXAMPLES: usize = 3;
/// Causes that are told.
const CAUSES: usize = 20;

pub(super) fn print(
    out: &mut impl Write,
    store: &Store,
    import: &Import,
    is_watched: bool,
    now: &Now,
) -> anyhow::Result<()> {
    let standing = store.standing(import.key)?;
    let mut found = Causes::new(EXAMPLES);
    let mut accounts = BTreeSet::new();
    let mut oldest: Option<Watch> = None;
    let filter = Filter {
        import: Some(import.key),
        which: Which::All,
    };
    each(store, filter, |_, watch| {
        if !accounts.contains(&watch.account) {
            accounts.insert(watch.account.clone());
        }
        match &watch.state {
            State::Settled { settlement, .. } => found.add(settlement),
            State::Pending(_) if oldest.is_none() => oldest = Some(watch.clone()),
            State::Pending(_) => {}
        }
        Ok(())
    })?;
    let name = find::selector(store, import, &now.zone)?;
    writeln!(out, "import {STRONG}{}{STRONG:#}", safe::one_line(&name))?;
    writeln!(out, "  {} settled", words::bar(&standing))?;
    writeln!(out)?;
    field(out, "tasks", &tasks(&standing))?;
    field(out, "rows", &rows(&standing))?;
    let reckoned = store.reckoning(import.key)?;
    if let Some(reckoned) = &reckoned {
        let submitted = counted(reckoned.submitted, "row");
        field(out, "submitted", &format!("{submitted} of the source"))?;
        for doubt in reckoning::told(reckoned) {
            field(out, "", &doubt)?;
        }
    }
    let accounts: Vec<_> = accounts.iter().map(ToString::to_string).collect();
    field(out, "account", &accounts.join(", "))?;
    field(out, "started", &now.full(import.started_at))?;
    let expected = Outlook::new(store, now.at).import(import.key)?;
    field_of_end(out, expected, now)?;
    if let Some(oldest) = &oldest {
        let about = words::about(oldest, now);
        field(out, "waits for", &format!("{}: {about}", oldest.id))?;
        let added = format!("added {}", now.full(oldest.added_at));
        field(out, "", &added)?;
        let gives_up = format!("gives up {}", now.full(oldest.deadline));
        field(out, "", &gives_up)?;
    }
    causes(out, &mut found, CAUSES, false)?;
    block(
        out,
        "What to do",
        &advice(
            &standing,
            is_watched,
            reckoned.is_some(),
            &find::word(&name),
        ),
    )?;
    Ok(())
}

fn tasks(standing: &Standing) -> String {
    let parts: Vec<_> = words::counts(standing)
        .into_iter()
        .map(|(outcome, count)| {
            let style = words::style(outcome);
            format!(
                "{style}{} {}{style:#}",
                number(count),
                words::state(outcome)
            )
        })
        .collect();
    format!("{}: {}", number(standing.tasks()), parts.join(", "))
}

fn rows(standing: &Standing) -> String {
    let by_server = standing.settled.available + standing.settled.partial + standing.settled.failed;
    if by_server == 0 {
        return "none known yet".to_owned();
    }
    let rows = words::in_the_table(standing.rows_in, standing.rows_failed);
    if standing.pending > 0 {
        format!("so far {rows}")
    } else {
        rows
    }
}

fn advice(standing: &Standing, is_watched: bool, has_source: bool, import: &str) -> Vec<String> {
    let settled = standing.settled;
    let mut lines = Vec::new();
    if settled.failed + settled.partial > 0 && has_source {
        lines
            .push("Write the rows that failed to a file, mend them, import them again:".to_owned());
        lines.push(format!(
            "  importwatch rejects --import {import} --output rejected.csv"
        ));
    } else if settled.failed + settled.partial > 0 {
        lines.push(
            "Mend what is told above and import those rows again. Which rows of which tasks:"
                .to_owned(),
        );
        lines.push(format!("  importwatch list --import {import} --settled"));
        lines.push("  importwatch show ID".to_owned());
    }
    let ours = settled.expired + settled.missing + settled.refused;
    if ours > 0 {
        lines.push(format!(
            "What became of {} is not known; for each, this says what to do:",
            counted(ours, "task")
        ));
        lines.push("  importwatch show ID".to_owned());
    }
    if standing.pending > 0 && is_watched {
        lines.push("Wait: the daemon asks about what is pending until it has settled.".to_owned());
    } else if standing.pending > 0 {
        lines.push("Start a daemon, for none is running here and some is pending:".to_owned());
        lines.push("  importwatch daemon".to_owned());
    }
    if lines.is_empty() {
        lines.push("Nothing: every row is in the table.".to_owned());
    }
    lines
}
