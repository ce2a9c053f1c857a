//! Numbers and durations in the words of a notice.
//!
//! It knows nothing of tasks and rows, and never rounds a number.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `n` with its digits in groups of three: `1,204`.
#[must_use]
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `n` of a thing whose plural ends in s: `1 row`, `1,204 rows`.
#[must_use]
pub fn counted(n: u64, thing: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{} {thing}{ending}", number(n))
}

/// A duration in its one or two largest units, rounded down: `45 s`, `2 h 3 min`, `24 h`, `7 d`.
/// Days are used from two days on.
#[must_use]
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (unit, name, smaller, smaller_name) = match seconds {
        0 => return "less than 1 s".to_owned(),
        1..MINUTE => return format!("{seconds} s"),
        MINUTE..HOUR => (MINUTE, "min", 1, "s"),
        _ if seconds < 2 * DAY => (HOUR, "h", MINUTE, "min"),
        _ => (DAY, "d", HOUR, "h"),
    };
    match (seconds / unit, seconds % unit / smaller) {
        (large, 0) => format!("{} {name}", number(large)),
        (large, small) => format!("{} {name} {small} {smaller_name}", number(large)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_204), "1,204");
        assert_eq!(number(100_000), "100,000");
        assert_eq!(number(1_000_000), "1,000,000");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
        assert_eq!(counted(1_204, "row"), "1,204 rows");
    }

    #[test]
    fn spans() {
        for (seconds, text) in [
            (0, "less than 1 s"),
            (1, "1 s"),
            (59, "59 s"),
            (60, "1 min"),
            (754, "12 min 34 s"),
            (7_380, "2 h 3 min"),
            (86_400, "24 h"),
            (172_799, "47 h 59 min"),
            (172_800, "2 d"),
            (612_000, "7 d 2 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
