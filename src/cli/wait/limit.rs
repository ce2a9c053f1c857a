//! How many rows may fail before waiting has failed.

use std::str::FromStr;

use thiserror::Error;

use crate::store::follow::Left;
use crate::watch::Standing;

/// The most rows that one request to the import endpoint takes, by the vendor's documentation.
const MOST_ROWS: u64 = 1000;
/// A whole, in millionths of a percent.
const WHOLE: u128 = 100_000_000;

/// The failed rows that are allowed, of all the tasks waited for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum MaxFailed {
    /// So many.
    Rows(u64),
    /// Such a share of the sum of the tasks' totals, in millionths of a percent.
    Share(u64),
}

/// A text that is no such limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("give a number of rows, such as 10, or a share of all rows from 0% to 100%, such as 0.5%")]
pub(in crate::cli) struct MaxFailedError;

impl FromStr for MaxFailed {
    type Err = MaxFailedError;

    fn from_str(text: &str) -> Result<Self, MaxFailedError> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let Some(share) = text.strip_suffix('%') else {
            let rows = text.parse().ok().filter(|_| digits(text));
            return rows.map(Self::Rows).ok_or(MaxFailedError);
        };
        let (whole, part) = share.split_once('.').unwrap_or((share, "0"));
        let is_good = [whole, part].iter().all(|t| !t.is_empty() && digits(t)) && part.len() <= 6;
        let millionths = || -> Option<u64> {
            let part: u64 = format!("{part:0<6}").parse().ok()?;
            whole
                .parse::<u64>()
                .ok()?
                .checked_mul(1_000_000)?
                .checked_add(part)
        };
        millionths()
            .filter(|share| is_good && u128::from(*share) <= WHOLE)
            .map(Self::Share)
            .ok_or(MaxFailedError)
    }
}

impl MaxFailed {
    /// Whether more failed than is allowed. `total` is the sum of the totals.
    fn is_exceeded(self, failed: u64, total: u64) -> bool {
        match self {
            Self::Rows(most) => failed > most,
            Self::Share(share) => {
                u128::from(failed) * WHOLE > u128::from(share) * u128::from(total)
            }
        }
    }
}

/// Whether tasks or rows failed beyond what is allowed. Without a limit none may. With one, a task
/// whose failed rows the server did not give exceeds it, and so does one that it does not know or
/// will not take.
pub(super) fn is_exceeded(limit: Option<MaxFailed>, standing: &Standing, total: u64) -> bool {
    let settled = &standing.settled;
    let lost = settled.missing + settled.refused;
    match limit {
        None => lost + settled.partial + settled.failed > 0,
        Some(limit) => {
            lost > 0
                || standing
                    .rows_failed
                    .is_none_or(|failed| limit.is_exceeded(failed, total))
        }
    }
}

/// Whether it is sure to be exceeded in the end, whatever becomes of what is `left`.
pub(super) fn is_lost(
    limit: Option<MaxFailed>,
    standing: &Standing,
    total: u64,
    left: &Left,
) -> bool {
    let most_untold = left.untold.saturating_mul(MOST_ROWS);
    let most = total.saturating_add(left.rows).saturating_add(most_untold);
    is_exceeded(limit, standing, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_shares() {
        for (text, expected) in [
            ("0", MaxFailed::Rows(0)),
            ("10", MaxFailed::Rows(10)),
            ("0%", MaxFailed::Share(0)),
            ("2%", MaxFailed::Share(2_000_000)),
            ("0.5%", MaxFailed::Share(500_000)),
            ("100%", MaxFailed::Share(100_000_000)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "%",
            "-1",
            "+1",
            "1e3",
            "101%",
            "1.%",
            ".5%",
            "0.1234567%",
            "100.1%",
            "x",
            "5 %",
        ] {
            assert_eq!(text.parse::<MaxFailed>(), Err(MaxFailedError), "{text}");
        }
    }

    fn standing(failed: Option<u64>) -> Standing {
        let mut standing = Standing {
            rows_failed: failed,
            ..Standing::default()
        };
        standing.settled.partial = 1;
        standing
    }

    #[test]
    fn a_limit_is_reached_but_not_passed() {
        let limit = |text: &str| Some(text.parse().unwrap());
        for (text, failed, total, expected) in [
            ("10", Some(10), 0, false),
            ("10", Some(11), 1_000_000, true),
            ("1%", Some(10), 1000, false),
            ("1%", Some(11), 1000, true),
            ("0%", Some(0), 0, false),
            ("100%", Some(1), 0, true),
            ("100%", None, 1000, true),
            ("1000000", None, 1000, true),
        ] {
            assert_eq!(
                is_exceeded(limit(text), &standing(failed), total),
                expected,
                "{text} {failed:?} {total}"
            );
        }
        assert!(is_exceeded(None, &standing(Some(0)), 10));
        assert!(!is_exceeded(None, &Standing::default(), 10));
        let mut lost = Standing::default();
        lost.settled.missing = 1;
        assert!(is_exceeded(limit("100%"), &lost, 10));
    }

    #[test]
    fn a_share_is_lost_only_where_no_task_can_make_up_for_it() {
        let limit = Some("1%".parse().unwrap());
        let left = |rows, untold| Left {
            rows,
            untold,
            ..Left::default()
        };
        assert!(is_lost(limit, &standing(Some(11)), 1000, &left(0, 0)));
        assert!(!is_lost(limit, &standing(Some(11)), 1000, &left(100, 0)));
        assert!(!is_lost(limit, &standing(Some(11)), 1000, &left(0, 1)));
        assert!(is_lost(limit, &standing(Some(21)), 1000, &left(0, 1)));
        assert!(is_lost(limit, &standing(None), 1000, &left(0, 1)));
    }
}
