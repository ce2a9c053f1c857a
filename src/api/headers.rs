//! Reads the headers by which a server says when to come back.
//!
//! A header that makes no sense is passed over: it never makes an answer worse.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::schedule::fault::Allowance;

/// The longest that `Retry-After` is heeded.
const LONGEST_RETRY: Duration = Duration::from_hours(1);

/// The latest reset that is believed: published allowances are by the minute, the hour and the day.
const LATEST_RESET: Duration = Duration::from_hours(31 * 24);

/// From here on a reset is a point in Unix seconds, below it is seconds from now.
const FIRST_POINT: u64 = 1_000_000_000;

/// From here on it is in milliseconds.
const FIRST_MILLISECOND: u64 = 100_000_000_000;

/// How long `Retry-After` asks to keep away, at most an hour; a date is taken relative to `now`.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = text(headers, RETRY_AFTER.as_str())?;
    let asked = match seconds(text) {
        Some(seconds) => Duration::from_secs(seconds),
        None => httpdate::parse_http_date(text)
            .ok()?
            .duration_since(SystemTime::from(now))
            .unwrap_or(Duration::ZERO),
    };
    Some(asked.min(LONGEST_RETRY))
}

/// What `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` tell.
pub(super) fn allowance(headers: &HeaderMap, now: Timestamp) -> Allowance {
    let number = |name| text(headers, name).and_then(seconds);
    let requests = |name| number(name).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Allowance {
        // None at all can be no limit: no request would ever be answered.
        limit: requests("x-ratelimit-limit").filter(|&limit| limit > 0),
        remaining: requests("x-ratelimit-remaining"),
        resets_in: number("x-ratelimit-reset").map(|reset| from_now(reset, now).min(LATEST_RESET)),
    }
}

fn from_now(reset: u64, now: Timestamp) -> Duration {
    if reset < FIRST_POINT {
        return Duration::from_secs(reset);
    }
    let millis = if reset < FIRST_MILLISECOND {
        reset * 1_000
    } else {
        reset
    };
    let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Duration::from_millis(millis.saturating_sub(now))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// The digits as a number, the greatest there is if it does not fit.
fn seconds(digits: &str) -> Option<u64> {
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    whole.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const HOUR: Option<Duration> = Some(Duration::from_hours(1));

    fn now() -> Timestamp {
        "2026-11-22T09:00:00Z".parse().unwrap()
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            name.parse().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )])
    }

    #[test]
    fn retry_after_in_each_form() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (value, expected) in [
            ("0", seconds(0)),
            (" 120 ", seconds(120)),
            ("3601", HOUR),
            ("99999999999999999999999", HOUR),
            ("Sun, 22 Nov 2026 09:00:30 GMT", seconds(30)),
            ("Sunday, 22-Nov-26 09:00:30 GMT", seconds(30)),
            ("Sun Nov 22 09:00:30 2026", seconds(30)),
            ("Sun, 22 Nov 2026 08:00:00 GMT", seconds(0)),
            ("Sun, 22 Nov 2099 09:00:00 GMT", HOUR),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("\u{ff}", None),
        ] {
            let found = retry_after(&headers("retry-after", value), now());
            assert_eq!(found, expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now()), None);
    }

    #[test]
    fn allowance_in_each_form() {
        let unix = now().as_second();
        for (value, expected) in [
            ("17".to_owned(), Some(17)),
            ((unix + 42).to_string(), Some(42)),
            ((unix - 42).to_string(), Some(0)),
            (format!("{}500", unix + 41), Some(41)),
            ("999999999".to_owned(), Some(LATEST_RESET.as_secs())),
            (
                "99999999999999999999".to_owned(),
                Some(LATEST_RESET.as_secs()),
            ),
            ("x".to_owned(), None),
        ] {
            let found = allowance(&headers("x-ratelimit-reset", &value), now()).resets_in;
            assert_eq!(found.map(|d| d.as_secs()), expected, "{value}");
        }
        for (value, expected) in [("0", Some(0)), ("5000000000", Some(u32::MAX)), ("-1", None)] {
            let found = allowance(&headers("x-ratelimit-remaining", value), now());
            assert_eq!(found.remaining, expected, "{value}");
        }
        for (value, expected) in [
            ("3", Some(3)),
            ("0", None),
            ("5000000000", Some(u32::MAX)),
            ("100;w=60", None),
        ] {
            let found = allowance(&headers("x-ratelimit-limit", value), now());
            assert_eq!(found.limit, expected, "{value}");
        }
    }
}
