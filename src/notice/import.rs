//! The wording of what became of an import's tasks.
//!
//! While tasks are pending, how bad a notice sounds follows from the tasks it tells of; the last
//! one, from the whole import. Numbers are always those of the whole import so far. It never calls
//! an import complete of which anything is pending, refused, unknown or in part.

use std::borrow::Cow;
use std::time::Duration;

use crate::notice::amount::{counted, number, span};
use crate::notice::{ImportNews, TaskNews, Tone, Urgency, Wording, body, cause, safe};
use crate::outcome::Outcome;
use crate::watch::{Standing, Tally};

/// The most characters of an import's name or a task's id that are shown.
pub(super) const NAME_MAX: usize = 40;
/// Who has waited for longer than this may have gone away meanwhile.
const LONG: Duration = Duration::from_mins(1);

/// `news` in words.
#[must_use]
pub fn wording(news: &ImportNews) -> Wording {
    let whole = at_least(news.standing, news);
    let done = whole.pending == 0;
    let worst = worst(if done { whole.settled } else { news.told });
    let (urgency, tone) = match worst {
        Worst::RowsFailed | Worst::IdsRefused => (Urgency::Critical, Tone::Bad),
        Worst::NoResult => (Urgency::Normal, Tone::Unsure),
        Worst::Nothing if done => (Urgency::Normal, Tone::Good),
        Worst::Nothing => (Urgency::Low, Tone::Good),
    };
    let headline = match worst {
        Worst::RowsFailed => rows_failed(whole),
        Worst::IdsRefused => ids_refused(whole),
        Worst::NoResult => no_result(whole, news),
        Worst::Nothing => went_in(whole),
    };
    let body = match (worst, done) {
        (Worst::Nothing, true) => body(Some(&all_in(whole, news.longest)), [], ""),
        _ => body(
            standing(whole).as_deref(),
            details(news, whole),
            &next_step(&news.import),
        ),
    };
    Wording {
        summary: summary(&news.import, &headline),
        body,
        urgency,
        tone,
        progress: None,
        stays: done && news.longest >= LONG,
    }
}

/// A summary: of what, and what is to be said of it.
pub(super) fn summary(import: &str, headline: &str) -> String {
    let name = match safe::ends(import, NAME_MAX) {
        name if name.is_empty() => "import".to_owned(),
        name => name,
    };
    safe::start(&format!("{name}: {headline}"), crate::notice::SUMMARY_MAX)
}

/// Where its reader finds more.
pub(super) fn next_step(import: &str) -> String {
    format!("Details: {}", show_command(import))
}

/// The worst that came of some tasks, in the order in which it is told.
#[derive(Clone, Copy)]
enum Worst {
    RowsFailed,
    IdsRefused,
    NoResult,
    Nothing,
}

fn worst(tally: Tally) -> Worst {
    if tally.failed > 0 || tally.partial > 0 {
        Worst::RowsFailed
    } else if tally.refused > 0 {
        Worst::IdsRefused
    } else if tally.expired > 0 || tally.missing > 0 {
        Worst::NoResult
    } else {
        Worst::Nothing
    }
}

/// `whole` made to hold what is told now, whatever it was computed from: an import whose rows are
/// told to have failed must not be called complete.
fn at_least(whole: Standing, news: &ImportNews) -> Standing {
    let told = Standing::of(news.tasks.iter().map(|task| &task.settlement));
    let most = |outcome| whole.settled.of(outcome).max(news.told.of(outcome));
    let known = |whole: Option<u64>, told: Option<u64>| Some(whole?.max(told?));
    Standing {
        pending: whole.pending,
        settled: Tally {
            available: most(Outcome::Available),
            partial: most(Outcome::Partial),
            failed: most(Outcome::Failed),
            expired: most(Outcome::Expired),
            missing: most(Outcome::Missing),
            refused: most(Outcome::Refused),
        },
        rows_in: known(whole.rows_in, told.rows_in),
        rows_failed: known(whole.rows_failed, told.rows_failed),
    }
}

fn rows_failed(whole: Standing) -> String {
    let Tally {
        partial, failed, ..
    } = whole.settled;
    let tasks = whole.tasks();
    let by_server = whole
        .settled
        .available
        .saturating_add(partial.saturating_add(failed));
    // Only where the server has counted every task is the sum that of the import.
    let sum = whole.rows_in.filter(|_| by_server == tasks);
    match (sum, whole.rows_failed) {
        (Some(0), Some(rows)) if rows > 1 => {
            format!("none of {} went in", counted(rows, "row"))
        }
        (Some(rows_in), Some(rows)) if rows > 0 && rows_in > 0 => {
            let all = counted(rows_in.saturating_add(rows), "row");
            format!("{} of {all} did not go in", number(rows))
        }
        (_, Some(rows)) if rows > 0 => {
            format!("{} did not go in{}", counted(rows, "row"), so_far(whole))
        }
        _ if tasks == 1 && failed == 0 => "went in only in part".to_owned(),
        _ if tasks == 1 => "failed, nothing went in".to_owned(),
        _ if failed == 0 => format!("{} went in only in part", of_tasks(partial, tasks)),
        _ if partial == 0 => format!("{} failed", of_tasks(failed, tasks)),
        _ => {
            let both = partial.saturating_add(failed);
            format!("{} failed or went in only in part", of_tasks(both, tasks))
        }
    }
}

fn ids_refused(whole: Standing) -> String {
    if whole.tasks() == 1 {
        "the server will not take the task's id".to_owned()
    } else {
        let ids = number(whole.settled.refused);
        format!(
            "the server will not take {ids} of {} ids",
            number(whole.tasks())
        )
    }
}

fn no_result(whole: Standing, news: &ImportNews) -> String {
    let Tally {
        expired, missing, ..
    } = whole.settled;
    let tasks = whole.tasks();
    match (expired, missing) {
        (_, 0) if tasks == 1 => format!("the server still had not finished {}", patience(news)),
        (_, 0) => format!(
            "{} still not finished {}",
            of_tasks(expired, tasks),
            patience(news)
        ),
        (0, _) if tasks == 1 => "the server does not know the task".to_owned(),
        (0, _) => format!("the server does not know {}", of_tasks(missing, tasks)),
        _ => {
            let both = expired.saturating_add(missing);
            format!("no result for {}", of_tasks(both, tasks))
        }
    }
}

fn went_in(whole: Standing) -> String {
    if whole.pending > 0 {
        let went_in = of_tasks(whole.settled.available, whole.tasks());
        return format!("{went_in} went in{}", so_far(whole));
    }
    match whole.rows_in {
        Some(1) => "its one row went in".to_owned(),
        Some(rows) if rows > 1 => format!("all {} went in", counted(rows, "row")),
        _ => "everything went in".to_owned(),
    }
}

fn so_far(whole: Standing) -> String {
    match whole.pending {
        0 => String::new(),
        pending => format!(", {} pending", counted(pending, "task")),
    }
}

fn of_tasks(some: u64, tasks: u64) -> String {
    format!("{} of {}", number(some), counted(tasks, "task"))
}

/// How long a task was waited for that then expired: the shortest, since that is true of all; where not
/// all are looked at, nothing is said of it.
fn patience(news: &ImportNews) -> String {
    let expired = of_outcome(&news.tasks, Outcome::Expired);
    match expired.clone().map(|task| task.elapsed).min() {
        Some(elapsed) if expired.count() as u64 >= news.told.expired => {
            format!("after {}", span(elapsed))
        }
        _ => "in time".to_owned(),
    }
}

/// The body of an import that is complete.
fn all_in(whole: Standing, longest: Duration) -> String {
    let last = span(longest);
    let mut text = match whole.tasks() {
        1 => format!("1 task, finished after {last}."),
        tasks => format!(
            "{}, the last finished after {last}.",
            counted(tasks, "task")
        ),
    };
    if whole.rows_in == Some(0) {
        text.push_str(" The server counted no rows in it.");
    }
    text
}

/// Rows and tasks of the whole import, as one line; none where the summary says it all.
pub(super) fn standing(whole: Standing) -> Option<String> {
    let Tally {
        available,
        partial,
        failed,
        ..
    } = whole.settled;
    let rows = whole
        .rows_in
        .filter(|_| available.max(partial).max(failed) > 0);
    let rows = rows.map(|rows| match rows {
        0 => "No rows went in.".to_owned(),
        rows => format!("{} went in.", counted(rows, "row")),
    });
    if whole.tasks() == 1 {
        return rows.filter(|_| partial > 0);
    }
    let parts = [
        (whole.settled.available, "in full"),
        (whole.settled.partial, "in part"),
        (whole.settled.failed, "failed"),
        (whole.settled.refused, "refused"),
        (whole.settled.missing, "unknown"),
        (whole.settled.expired, "not finished"),
        (whole.pending, "still pending"),
    ];
    let some = parts.iter().filter(|(count, _)| *count > 0);
    let some: Vec<String> = some
        .map(|(count, what)| format!("{} {what}", number(*count)))
        .collect();
    let tasks = format!("{}: {}.", counted(whole.tasks(), "task"), some.join(", "));
    Some(match rows {
        Some(rows) => format!("{rows} {tasks}"),
        None => tasks,
    })
}

/// What is told now, the most important first: why rows failed, then which tasks have no rows to
/// speak of, and what to do about them.
fn details(news: &ImportNews, whole: Standing) -> Vec<String> {
    let Tally {
        partial,
        failed,
        expired,
        missing,
        refused,
        ..
    } = news.told;
    let without_rows = refused + missing + expired > 0;
    let most = if without_rows { 2 } else { 3 };
    // The server counts rows from the start of each task, so a number alone names a row only where
    // there is one task.
    let mut details = cause::lines(&news.tasks, most, whole.tasks() == 1);
    if details.is_empty() && partial + failed > 0 {
        details.push("The server gave no reason.".to_owned());
    }
    let which = |outcome| which(news, outcome);
    if refused > 0 {
        let which = which(Outcome::Refused);
        details.push(format!("Refused: {which}. Was it copied right?"));
    }
    if missing > 0 {
        let which = which(Outcome::Missing);
        details.push(format!("Unknown to the server: {which}. Check id and key."));
    }
    if expired > 0 {
        let (which, patience) = (which(Outcome::Expired), patience(news));
        details.push(format!(
            "Not finished {patience}: {which}. Add it again to watch on."
        ));
    }
    details
}

/// The first task told of with `outcome`, and how many more there are.
fn which(news: &ImportNews, outcome: Outcome) -> String {
    let first = of_outcome(&news.tasks, outcome).next();
    let first = first.map(|task| task.id.to_string());
    let first = safe::ends(&first.unwrap_or_default(), NAME_MAX);
    match news.told.of(outcome).saturating_sub(1) {
        0 => first,
        more => format!("{first} and {} more", number(more)),
    }
}

fn of_outcome(tasks: &[TaskNews], outcome: Outcome) -> impl Iterator<Item = &TaskNews> + Clone {
    let is_so = move |task: &&TaskNews| task.settlement.outcome == outcome;
    tasks.iter().filter(is_so)
}

/// The command that shows what became of the import, as it can be typed into a shell.
fn show_command(import: &str) -> String {
    match shell_word(import) {
        Some(word) => format!("importwatch show --import={word}"),
        None => "importwatch list --settled".to_owned(),
    }
}

/// `name` as one word of a shell; none where what is shown would not be the name: it was too long,
/// or not all of it visible.
fn shell_word(name: &str) -> Option<Cow<'_, str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if name.is_empty() || safe::ends(name, NAME_MAX) != name || name.contains('\'') {
        None
    } else if name.chars().all(plain) {
        Some(Cow::Borrowed(name))
    } else {
        Some(Cow::Owned(format!("'{name}'")))
    }
}

#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod tests;
