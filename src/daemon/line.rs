//! The one line on how the daemon stands: what it says, and in which words.
//!
//! It says nothing that goes stale while nothing happens: a time of day, not a time left.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::clock::Instant;
use crate::notice::amount::{counted, number};
use crate::outcome::Outcome;
use crate::schedule::hold::{Held, Why};
use crate::watch::Standing;

/// So many accounts that are held up are named.
const MOST_HELD: usize = 2;

/// What the line tells.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) standing: Standing,
    /// Pending tasks of accounts that cannot be asked.
    pub(super) unaskable: u64,
    /// Whether the store cannot be written, so that nothing is asked.
    pub(super) is_blocked: bool,
    /// Whether the settings, as they are now, were refused.
    pub(super) is_refused: bool,
    /// The accounts that are held up, and until when.
    pub(super) held: Vec<String>,
    pub(super) next: Next,
}

/// What is said of accounts that are held up.
pub(super) fn held<'a>(
    held: impl Iterator<Item = Held<'a>>,
    now: Instant,
    wall: Timestamp,
) -> Vec<String> {
    let said = held.map(
        |Held {
             account,
             why,
             until,
         }| {
            let until = until.map(|at| time_of_day(at, now, wall));
            let (what, when) = match why {
                Why::Limited => ("over its limit", " until "),
                Why::Failing => ("does not answer", ", asked again at "),
                Why::Refused => ("refused", ", asked again at "),
                Why::Unset => ("not in the settings", ""),
            };
            let until = until.map_or_else(String::new, |time| format!("{when}{time}"));
            format!("account {account}: {what}{until}")
        },
    );
    said.collect()
}

/// When the next poll goes out.
#[derive(Debug)]
pub(super) enum Next {
    /// One is under way.
    Now,
    /// At this time of day.
    At(String),
    /// There is nobody to ask.
    Never,
}

pub(super) fn line(facts: &Facts) -> String {
    let Standing {
        pending, settled, ..
    } = facts.standing;
    let refused = "; the settings as they are now were refused, see the log";
    if pending == 0 {
        let refused = if facts.is_refused { refused } else { "" };
        return format!("no task is pending{refused}");
    }
    let tasks = counted(facts.standing.tasks(), "task");
    let mut line = format!("{} of {tasks} settled", number(settled.total()));
    // What went well needs no mention; of the rest, what matters most comes first.
    for outcome in [
        Outcome::Failed,
        Outcome::Refused,
        Outcome::Partial,
        Outcome::Expired,
        Outcome::Missing,
    ] {
        let count = settled.of(outcome);
        if count > 0 {
            // Writing to a String does not fail.
            _ = write!(line, ", {} {outcome}", number(count));
        }
    }
    if facts.unaskable > 0 {
        let unaskable = number(facts.unaskable);
        _ = write!(line, "; {unaskable} cannot be asked about, see the log");
    }
    match &facts.next {
        _ if facts.is_blocked => {
            line.push_str("; nothing is polled, as the state cannot be written, see the log");
        }
        Next::Now => line.push_str("; asking now"),
        Next::At(time) => _ = write!(line, "; next poll at {time}"),
        Next::Never => {}
    }
    for account in facts.held.iter().take(MOST_HELD) {
        _ = write!(line, "; {account}");
    }
    if let Some(more @ 1..) = facts.held.len().checked_sub(MOST_HELD) {
        _ = write!(line, "; and {} more", counted(more as u64, "account"));
    }
    if facts.is_refused {
        line.push_str(refused);
    }
    line
}

/// A point ahead as the user's clock will show it, with its date unless that is today's. `wall` is what
/// it shows `now`: the same for all of a line, so that the same point has the same name in it.
pub(super) fn time_of_day(at: Instant, now: Instant, wall: Timestamp) -> String {
    let ahead = SignedDuration::try_from(at.since(now)).unwrap_or(SignedDuration::MAX);
    let zone = TimeZone::system();
    let then = wall
        .saturating_add(ahead)
        .unwrap_or(wall)
        .to_zoned(zone.clone());
    let format = if then.date() == wall.to_zoned(zone).date() {
        "%H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    then.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;
    use crate::watch::Tally;

    fn facts(pending: u64, settled: Tally) -> Facts {
        Facts {
            standing: Standing {
                pending,
                settled,
                ..Standing::default()
            },
            unaskable: 0,
            is_blocked: false,
            is_refused: false,
            held: Vec::new(),
            next: Next::At("14:03:25".to_owned()),
        }
    }

    #[test]
    fn lines() {
        let none = Tally::default();
        assert_eq!(line(&facts(0, none)), "no task is pending");
        assert_eq!(
            line(&facts(1, none)),
            "0 of 1 task settled; next poll at 14:03:25"
        );
        let settled = Tally {
            available: 1_409,
            partial: 2,
            failed: 3,
            expired: 4,
            missing: 5,
            refused: 6,
        };
        assert_eq!(
            line(&facts(88, settled)),
            "1,429 of 1,517 tasks settled, 3 failed, 6 refused, 2 partial, 4 expired, 5 missing; \
             next poll at 14:03:25"
        );
        let refused = Facts {
            is_refused: true,
            ..facts(0, none)
        };
        assert_eq!(
            line(&refused),
            "no task is pending; the settings as they are now were refused, see the log"
        );
        let refused = Facts {
            is_refused: true,
            ..facts(1, none)
        };
        assert_eq!(
            line(&refused),
            "0 of 1 task settled; next poll at 14:03:25; the settings as they are now were refused, \
             see the log"
        );
        let held = Facts {
            held: (1..=4).map(|n| format!("account {n}: held")).collect(),
            ..facts(1, none)
        };
        assert_eq!(
            line(&held),
            "0 of 1 task settled; next poll at 14:03:25; account 1: held; account 2: held; \
             and 2 accounts more"
        );
        let refused = Facts {
            unaskable: 40,
            next: Next::Never,
            ..facts(88, none)
        };
        assert_eq!(
            line(&refused),
            "0 of 88 tasks settled; 40 cannot be asked about, see the log"
        );
        let asking = Facts {
            next: Next::Now,
            ..facts(88, none)
        };
        assert_eq!(line(&asking), "0 of 88 tasks settled; asking now");
        let full = Facts {
            is_blocked: true,
            ..facts(88, none)
        };
        assert_eq!(
            line(&full),
            "0 of 88 tasks settled; nothing is polled, as the state cannot be written, see the log"
        );
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let now = clock::now();
        let wall = clock::wall();
        let later = now.after(Duration::from_hours(48));
        assert_eq!(time_of_day(later, now, wall).len(), 19);
        assert_eq!(time_of_day(now, now, wall).len(), 8);
    }
}
