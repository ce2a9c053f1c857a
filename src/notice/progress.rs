//! The wording of an import that goes on: the living notice, which is replaced as it does.
//!
//! It never says how long something has taken, which would change while nothing happens, but when by the
//! clock it began and is expected to end; and it never calls an import done.

use std::fmt::Write as _;

use jiff::civil::DateTime;

use crate::account::AccountName;
use crate::notice::amount::{counted, number};
use crate::notice::{Tone, Urgency, Wording, ahead, body, import};
use crate::watch::Standing;

/// How an import gets on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The import's name, as the user gave it.
    pub import: String,
    /// Where it stands; something of it is pending.
    pub standing: Standing,
    /// The sum of what the server claims of each pending task, in percent, where it is known.
    pub claimed: u64,
    /// When it was started, as the user's clock had it.
    pub started: DateTime,
    /// The user's time now.
    pub now: DateTime,
    /// Between when it is expected to have ended, as the user's clock has it.
    pub expected: Option<(DateTime, DateTime)>,
    /// The account that cannot be asked, so that nothing of it goes on here.
    pub unasked: Option<AccountName>,
    /// Why rows failed so far, as lines that are safe to show.
    pub causes: Vec<String>,
}

impl Progress {
    /// How much is done, in percent: tasks, and of a pending one what the server claims of it. It
    /// is below 100 as long as something is pending.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let tasks = self.standing.tasks().max(1);
        let settled = self.standing.settled.total().saturating_mul(100);
        let percent = settled.saturating_add(self.claimed) / tasks;
        u8::try_from(percent.min(99)).unwrap_or(99)
    }
}

/// `progress` in words.
#[must_use]
pub fn wording(progress: &Progress) -> Wording {
    let standing = progress.standing;
    let (failed, lost) = bad(standing);
    let done = progress.percent();
    let mut headline = match standing.tasks() {
        1 if done > 0 => format!("the server says {done} % done"),
        1 => "still pending".to_owned(),
        tasks => {
            let settled = number(standing.settled.total());
            format!("{settled} of {} done", counted(tasks, "task"))
        }
    };
    if failed > 0 {
        // Writing to a String does not fail.
        _ = write!(headline, ", {} not in full", number(failed));
    }
    if lost > 0 {
        _ = write!(headline, ", {} without a result", number(lost));
    }
    let tone = match (failed, lost) {
        (0, 0) => Tone::Good,
        (0, _) => Tone::Unsure,
        _ => Tone::Bad,
    };
    let is_bad = tone != Tone::Good;
    let waits = progress.unasked.as_ref();
    let waits = waits.map(|account| format!("Waiting: account {account} cannot be asked."));
    let rest = [started(progress)].into_iter().chain(waits);
    let lines = progress.causes.iter().cloned().chain(rest);
    let next = is_bad.then(|| import::next_step(&progress.import));
    Wording {
        summary: import::summary(&progress.import, &headline),
        body: body(
            import::standing(standing).as_deref(),
            lines,
            &next.unwrap_or_default(),
        ),
        // What failed has broken through when it did.
        urgency: if is_bad {
            Urgency::Normal
        } else {
            Urgency::Low
        },
        tone,
        progress: Some(done),
        stays: true,
    }
}

/// What is left on the screen of an import of which something has failed, when nobody watches it any
/// more.
#[must_use]
pub fn parting(progress: &Progress) -> Wording {
    let pending = counted(progress.standing.pending, "task");
    let verb = if progress.standing.pending == 1 {
        "is"
    } else {
        "are"
    };
    let goes_on = format!("{pending} {verb} pending; watching goes on with the next daemon.");
    let said = wording(progress);
    Wording {
        body: body(
            Some(&goes_on),
            progress.causes.iter().cloned(),
            &import::next_step(&progress.import),
        ),
        progress: None,
        ..said
    }
}

/// Tasks of which not every row went in, and those whose result is not known.
fn bad(standing: Standing) -> (u64, u64) {
    let settled = standing.settled;
    (
        settled.failed.saturating_add(settled.partial),
        settled.refused + settled.missing + settled.expired,
    )
}

/// Whether something has failed so far, or has no result.
#[must_use]
pub fn is_bad(standing: Standing) -> bool {
    bad(standing) != (0, 0)
}

fn started(progress: &Progress) -> String {
    let time = progress.started;
    let started = if time.date() == progress.now.date() {
        format!("Started at {}", time.strftime("%H:%M"))
    } else {
        format!("Started on {}", time.strftime("%Y-%m-%d at %H:%M"))
    };
    let expected = progress
        .expected
        .filter(|_| progress.unasked.is_none())
        .and_then(|(from, to)| ahead::words(from, to, progress.now));
    match expected {
        Some(expected) => format!("{started}, expected to end {expected}."),
        None => format!("{started}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Tally;

    fn progress(pending: u64, settled: Tally) -> Progress {
        let rows = settled.available * 1_000;
        Progress {
            import: "products".to_owned(),
            standing: Standing {
                pending,
                settled,
                rows_in: Some(rows),
                rows_failed: Some(0),
            },
            claimed: 0,
            started: jiff::civil::date(2026, 11, 22).at(9, 5, 0, 0),
            now: jiff::civil::date(2026, 11, 22).at(10, 0, 0, 0),
            expected: None,
            unasked: None,
            causes: Vec::new(),
        }
    }

    #[track_caller]
    fn check(said: &Wording, urgency: Urgency, tone: Tone, percent: Option<u8>, text: &[&str]) {
        let all = format!("{}\n{}", said.summary, said.body);
        assert_eq!(all.lines().collect::<Vec<_>>(), text);
        assert_eq!(
            (said.urgency, said.tone, said.progress),
            (urgency, tone, percent)
        );
    }

    #[test]
    fn many_tasks() {
        let settled = Tally {
            available: 412,
            ..Tally::default()
        };
        let mut going = progress(88, settled);
        check(
            &wording(&going),
            Urgency::Low,
            Tone::Good,
            Some(82),
            &[
                "products: 412 of 500 tasks done",
                "412,000 rows went in. 500 tasks: 412 in full, 88 still pending.",
                "Started at 09:05.",
            ],
        );
        let at = |hour, minute| jiff::civil::date(2026, 11, 22).at(hour, minute, 0, 0);
        going.expected = Some((at(10, 5), at(10, 20)));
        let body = wording(&going).body;
        let last = body.lines().last();
        let expected = "Started at 09:05, expected to end between 10:05 and 10:20.";
        assert_eq!(last, Some(expected));
        going.now = at(10, 20);
        assert!(wording(&going).body.ends_with("Started at 09:05."));
        going.now = jiff::civil::date(2026, 11, 23).at(10, 0, 0, 0);
        going.expected = Some((at(10, 5), going.now.date().at(10, 20, 0, 0)));
        going.unasked = Some("shop".parse().unwrap());
        assert_eq!(
            wording(&going).body.lines().collect::<Vec<_>>(),
            [
                "412,000 rows went in. 500 tasks: 412 in full, 88 still pending.",
                "Started on 2026-11-22 at 09:05.",
                "Waiting: account shop cannot be asked."
            ]
        );
    }

    #[test]
    fn what_failed_stays_in_it_and_is_left_behind() {
        let settled = Tally {
            available: 408,
            partial: 2,
            failed: 1,
            missing: 1,
            ..Tally::default()
        };
        let mut going = progress(1, settled);
        going.causes = vec!["Already in the table: id “14”".to_owned()];
        check(
            &wording(&going),
            Urgency::Normal,
            Tone::Bad,
            Some(99),
            &[
                "products: 412 of 413 tasks done, 3 not in full, 1 without a result",
                "408,000 rows went in. 413 tasks: 408 in full, 2 in part, 1 failed, 1 unknown, 1 still pending.",
                "Already in the table: id “14”",
                "Started at 09:05.",
                "Details: importwatch show --import=products",
            ],
        );
        check(
            &parting(&going),
            Urgency::Normal,
            Tone::Bad,
            None,
            &[
                "products: 412 of 413 tasks done, 3 not in full, 1 without a result",
                "1 task is pending; watching goes on with the next daemon.",
                "Already in the table: id “14”",
                "Details: importwatch show --import=products",
            ],
        );
    }

    #[test]
    fn one_task_is_as_far_as_the_server_says() {
        let mut going = progress(1, Tally::default());
        check(
            &wording(&going),
            Urgency::Low,
            Tone::Good,
            Some(0),
            &["products: still pending", "Started at 09:05."],
        );
        going.claimed = 41;
        let said = wording(&going);
        assert_eq!(said.summary, "products: the server says 41 % done");
        assert_eq!(said.progress, Some(41));
        going.claimed = 100;
        assert_eq!(wording(&going).progress, Some(99));
    }
}
