//! The watch list for a person: imports as headings, and first what needs someone.
//!
//! No line is wider than the terminal, but for an id that is.

use std::io::Write;

use anstyle::Style;

use crate::cli::find;
use crate::cli::line::Line;
use crate::cli::list::is_wanted;
use crate::cli::times::Now;
use crate::cli::words::{self, FAINT, STRONG};
use crate::notice::amount::{counted, number};
use crate::notice::safe;
use crate::outcome::Outcome;
use crate::store::Store;
use crate::store::changes::Seq;
use crate::store::outlook::Outlook;
use crate::store::watches::{Filter, Which};
use crate::watch::{Import, Standing, State, Watch};

/// Tasks of one kind that are listed where nobody asked for all of them.
const FEW: u64 = 10;
/// Watches read at once.
const PAGE: usize = 1000;

/// Prints the tasks that `filter` lets through. Returns whether there were any.
pub(super) fn print(
    out: &mut impl Write,
    store: &Store,
    filter: Filter,
    width: usize,
    now: &Now,
) -> anyhow::Result<bool> {
    let all = filter != Filter::default();
    let mut list = List {
        out,
        store,
        width,
        now,
        outlook: Outlook::new(store, now.at),
        most: if all { u64::MAX } else { FEW },
    };
    let mut any = false;
    find::each_import(store, |import, standing| {
        if !is_wanted(filter, &import, &standing) {
            return Ok(());
        }
        if any {
            writeln!(list.out)?;
        }
        any = true;
        list.heading(&import, &standing)?;
        if filter.which != Which::Pending {
            list.section(&import, Which::NotInFull, list.most)?;
        }
        if filter.which != Which::Settled {
            list.section(&import, Which::Pending, list.most)?;
        }
        match (filter.which, standing.settled.available) {
            (Which::Pending, _) => Ok(()),
            (_, tasks @ 2..) if !all => list.note(&format!("{} went in", counted(tasks, "task"))),
            _ => list.section(&import, Which::InFull, u64::MAX),
        }
    })?;
    Ok(any)
}

struct List<'a, W> {
    out: &'a mut W,
    store: &'a Store,
    width: usize,
    now: &'a Now,
    outlook: Outlook<'a>,
    most: u64,
}

impl<W: Write> List<'_, W> {
    fn heading(&mut self, import: &Import, standing: &Standing) -> anyhow::Result<()> {
        let name = find::selector(self.store, import, &self.now.zone)?;
        let mut line = Line::new(self.width);
        line.paint(STRONG, &safe::one_line(&name));
        line.push(&format!(
            "  started {}, {}: ",
            self.now.short(import.started_at),
            counted(standing.tasks(), "task")
        ));
        counts(&mut line, standing);
        writeln!(self.out, "{line}")?;
        if standing.pending > 0 {
            let mut line = Line::new(self.width);
            line.push(&format!("  {} settled", words::bar(standing)));
            let expected = self.outlook.import(import.key)?;
            if let Some(expected) = expected.and_then(|end| self.now.expected(end)) {
                line.push(&format!(", end {expected}"));
            }
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Lists at most `most` of the tasks, and says how many more there are.
    fn section(&mut self, import: &Import, which: Which, most: u64) -> anyhow::Result<()> {
        let filter = Filter {
            import: Some(import.key),
            which,
        };
        let mut left = most;
        let mut after = Seq::START;
        loop {
            let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
            let page = self.store.watches(filter, after, limit.max(1))?;
            if page.is_empty() {
                return Ok(());
            }
            if left == 0 {
                return self.more(import, which, most);
            }
            for (seq, watch) in &page {
                let expected = self.outlook.task(*seq, watch)?;
                let mut line = task(watch, self.width, self.now);
                if let Some(expected) = expected.and_then(|end| self.now.expected(end)) {
                    line.push(&format!(", {expected}"));
                }
                writeln!(self.out, "{line}")?;
                after = *seq;
                left -= 1;
            }
        }
    }

    fn more(&mut self, import: &Import, which: Which, shown: u64) -> anyhow::Result<()> {
        let standing = self.store.standing(import.key)?;
        let (tasks, what) = match which {
            Which::Pending => (standing.pending, "pending"),
            _ => (
                standing
                    .settled
                    .total()
                    .saturating_sub(standing.settled.available),
                "that did not go well",
            ),
        };
        let name = find::selector(self.store, import, &self.now.zone)?;
        let tasks = number(tasks.saturating_sub(shown));
        let name = find::word(&safe::one_line(&name));
        self.note(&format!(
            "… and {tasks} more {what}: importwatch list --import {name}"
        ))
    }

    fn note(&mut self, text: &str) -> anyhow::Result<()> {
        let mut line = Line::new(self.width);
        line.paint(FAINT, &format!("  {text}"));
        Ok(writeln!(self.out, "{line}")?)
    }
}

/// What became of the tasks of an import, each outcome in its colour.
pub(super) fn counts(line: &mut Line, standing: &Standing) {
    for (index, (outcome, count)) in words::counts(standing).into_iter().enumerate() {
        if index > 0 {
            line.push(", ");
        }
        let text = format!("{} {}", number(count), words::state(outcome));
        line.paint(words::style(outcome), &text);
    }
}

/// One line a task: its state, its id, when, and what there is to know of it.
fn task(watch: &Watch, width: usize, now: &Now) -> Line {
    const ID: usize = 13;
    const WHEN: usize = ID + 24 + 2;
    const ABOUT: usize = WHEN + 10 + 2;
    let outcome = words::outcome(watch);
    let at = match &watch.state {
        State::Pending(_) => watch.added_at,
        State::Settled { at, .. } => *at,
    };
    let mut line = Line::new(width);
    line.push("  ");
    line.paint(words::style(outcome), words::state(outcome));
    line.pad(ID);
    let good = outcome == Some(Outcome::Available);
    line.whole(
        if good { FAINT } else { Style::new() },
        &watch.id.to_string(),
    );
    line.pad(WHEN);
    line.paint(FAINT, &now.short(at));
    line.pad(ABOUT);
    line.push(&words::about(watch, now));
    line
}
