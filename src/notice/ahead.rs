//! When something is expected, as a clock on the wall tells it: a range, to the minute.
//!
//! It never tells of a time that is past.

use jiff::civil::DateTime;
use jiff::{ToSpan as _, Unit};

/// `between 14:05 and 14:20`, or `by 14:20` where it may be over at any moment, with the date where that
/// is not today's; `None` if all of the range is past.
#[must_use]
pub fn words(from: DateTime, to: DateTime, now: DateTime) -> Option<String> {
    if to <= now {
        return None;
    }
    // A range that is told is never narrower than the one that is meant.
    let down = |at: DateTime| {
        at.round(
            jiff::civil::DateTimeRound::new()
                .smallest(Unit::Minute)
                .mode(jiff::RoundMode::Floor),
        )
    };
    let (from, this) = (down(from).ok()?, down(now).ok()?);
    let begins = down(to).ok()?;
    let to = if begins == to {
        to
    } else {
        begins.checked_add(1.minute()).ok()?
    };
    let day = |at: DateTime, known: DateTime| {
        if at.date() == known.date() {
            at.strftime("%H:%M").to_string()
        } else {
            at.strftime("%H:%M on %Y-%m-%d").to_string()
        }
    };
    Some(if from <= this {
        format!("by {}", day(to, now))
    } else if from.date() == to.date() && from.date() != now.date() {
        format!("between {} and {}", from.strftime("%H:%M"), day(to, now))
    } else {
        format!("between {} and {}", day(from, now), day(to, now))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_told_to_the_minute_and_never_as_past() {
        let at = |text: &str| -> DateTime { text.parse().unwrap() };
        let now = at("2026-11-22T14:03:40");
        for (from, to, expected) in [
            (
                "2026-11-22T14:05:59",
                "2026-11-22T14:19:01",
                Some("between 14:05 and 14:20"),
            ),
            (
                "2026-11-22T14:05:00",
                "2026-11-22T14:20:00",
                Some("between 14:05 and 14:20"),
            ),
            (
                "2026-11-22T14:03:50",
                "2026-11-22T14:03:55",
                Some("by 14:04"),
            ),
            (
                "2026-11-22T14:01:00",
                "2026-11-22T14:20:00",
                Some("by 14:20"),
            ),
            ("2026-11-22T14:01:00", "2026-11-22T14:03:40", None),
            (
                "2026-11-22T23:05:00",
                "2026-11-23T01:20:00",
                Some("between 23:05 and 01:20 on 2026-11-23"),
            ),
            (
                "2026-11-23T01:05:00",
                "2026-11-23T01:20:00",
                Some("between 01:05 and 01:20 on 2026-11-23"),
            ),
            (
                "2026-11-23T01:05:00",
                "2026-11-24T01:20:00",
                Some("between 01:05 on 2026-11-23 and 01:20 on 2026-11-24"),
            ),
        ] {
            assert_eq!(words(at(from), at(to), now).as_deref(), expected);
        }
    }
}
