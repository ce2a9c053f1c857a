//! Times as a person reads them: how long ago, and when by the clock on the wall.
//!
//! It never reads time: what counts as now is given.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::notice::ahead;
use crate::store::outlook::End;

/// The moment of which a command tells, and the zone it tells it in.
#[derive(Debug, Clone)]
pub(super) struct Now {
    pub(super) at: Timestamp,
    pub(super) zone: TimeZone,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Now {
    /// How far away `at` is, in its largest unit, rounded down: `3 min ago`, `in 5 h`.
    pub(super) fn distance(&self, at: Timestamp) -> String {
        let seconds = self.at.as_second() - at.as_second();
        let (unit, name) = match seconds.abs() {
            0 => return "just now".to_owned(),
            1..MINUTE => (1, "s"),
            MINUTE..HOUR => (MINUTE, "min"),
            far if far < 2 * DAY => (HOUR, "h"),
            _ => (DAY, "d"),
        };
        let amount = seconds.abs() / unit;
        if seconds > 0 {
            format!("{amount} {name} ago")
        } else {
            format!("in {amount} {name}")
        }
    }

    /// [`Now::distance`] while it says something; the day after a week. At most ten characters.
    pub(super) fn short(&self, at: Timestamp) -> String {
        let seconds = self.at.as_second() - at.as_second();
        if seconds.abs() < 7 * DAY {
            self.distance(at)
        } else {
            let zoned = at.to_zoned(self.zone.clone());
            zoned.strftime("%Y-%m-%d").to_string()
        }
    }

    /// When something is expected: `expected between 14:05 and 14:20`; `None` if that is past.
    pub(super) fn expected(&self, end: End) -> Option<String> {
        let clock = |at: Timestamp| at.to_zoned(self.zone.clone()).datetime();
        let words = ahead::words(clock(end.from), clock(end.to), clock(self.at))?;
        Some(format!("expected {words}"))
    }

    /// Both: `2026-11-22 09:00:00 UTC (3 min ago)`.
    pub(super) fn full(&self, at: Timestamp) -> String {
        let zoned = at.to_zoned(self.zone.clone());
        let clock = zoned.strftime("%Y-%m-%d %H:%M:%S %Z");
        format!("{clock} ({})", self.distance(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_days() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = Now {
            at: at("2026-11-22T09:00:00Z"),
            zone: TimeZone::fixed(jiff::tz::offset(2)),
        };
        for (time, distance, short) in [
            ("2026-11-22T09:00:00.9Z", "just now", "just now"),
            ("2026-11-22T08:59:01Z", "59 s ago", "59 s ago"),
            ("2026-11-22T08:56:01Z", "3 min ago", "3 min ago"),
            ("2026-11-20T09:00:01Z", "47 h ago", "47 h ago"),
            ("2026-11-20T09:00:00Z", "2 d ago", "2 d ago"),
            ("2026-11-14T22:30:00Z", "7 d ago", "2026-11-15"),
            ("2026-11-22T09:01:30Z", "in 1 min", "in 1 min"),
        ] {
            assert_eq!(now.distance(at(time)), distance);
            assert_eq!(now.short(at(time)), short);
        }
        assert_eq!(
            now.full(at("2026-11-22T08:57:00Z")),
            "2026-11-22 10:57:00 +02 (3 min ago)"
        );
    }
}
