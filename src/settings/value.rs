//! The kinds of values that settings have, each read from a file or a variable and held to its
//! range.
//!
//! Nothing is converted silently: a number in quotes is not a number. No message shows a value that
//! may hold a password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Deserializer, Error, Expected, SeqAccess, Visitor};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use url::Url;

use crate::settings::{Desktop, LogFormat, Policy, Quiet};

/// A second, in the milliseconds in which ranges are written.
pub(super) const SECOND: u64 = 1000;
/// A minute.
pub(super) const MINUTE: u64 = 60 * SECOND;
/// An hour.
pub(super) const HOUR: u64 = 60 * MINUTE;
/// A day.
pub(super) const DAY: u64 = 24 * HOUR;

/// A duration from `MIN` to `MAX` milliseconds.
pub(super) fn duration<'de, D: Deserializer<'de>, const MIN: u64, const MAX: u64>(
    from: D,
) -> Result<Duration, D::Error> {
    text(from, DURATION, |text| {
        let Ok(duration) = humantime::parse_duration(text) else {
            return Err(format!("{} is not {DURATION}", shown(text)));
        };
        if (Duration::from_millis(MIN)..=Duration::from_millis(MAX)).contains(&duration) {
            Ok(duration)
        } else {
            let (min, max) = (written(MIN), written(MAX));
            Err(format!(
                "{} is out of range: expected {min} to {max}",
                shown(text)
            ))
        }
    })
}

const DURATION: &str = r#"a duration, written for example "500ms", "30s", "24h" or "7d""#;

/// A number of milliseconds in the largest unit that it is a multiple of.
fn written(millis: u64) -> String {
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")];
    let whole = |&&(unit, _): &&(u64, _)| millis >= unit && millis.is_multiple_of(unit);
    match units.iter().find(whole) {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

/// A whole number from `MIN` to `MAX`.
pub(super) fn whole<'de, D: Deserializer<'de>, const MIN: u32, const MAX: u32>(
    from: D,
) -> Result<u32, D::Error> {
    from.deserialize_any(Whole { min: MIN, max: MAX })
}

/// A whole number from `MIN` to `MAX`, for a key without a default.
pub(super) fn whole_if_any<'de, D: Deserializer<'de>, const MIN: u32, const MAX: u32>(
    from: D,
) -> Result<Option<u32>, D::Error> {
    whole::<D, MIN, MAX>(from).map(Some)
}

struct Whole {
    min: u32,
    max: u32,
}

impl Visitor<'_> for Whole {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", self.min, self.max)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u32, E> {
        Err(not_a_number(text, &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u32, E> {
        match u32::try_from(number) {
            Ok(fit) if (self.min..=self.max).contains(&fit) => Ok(fit),
            _ => Err(E::custom(format!(
                "{number} is out of range: expected {} to {}",
                self.min, self.max
            ))),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u32, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Says that a text is no number, where serde would show it however long it is.
fn not_a_number<E: Error>(text: &str, expected: &dyn Expected) -> E {
    E::custom(format!("{} is text: expected {expected}", shown(text)))
}

/// By what an interval grows.
pub(super) fn multiplier<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    from.deserialize_any(Fraction {
        expected: "a number from 1 to 10",
        fits: |number| (1.0..=10.0).contains(&number),
    })
}

/// A part of a whole, and never the whole.
pub(super) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    from.deserialize_any(Fraction {
        expected: "a number from 0 to below 1",
        fits: |number| (0.0..1.0).contains(&number),
    })
}

struct Fraction {
    expected: &'static str,
    /// Must be false for what is not a number; a range's `contains` is.
    fits: fn(f64) -> bool,
}

impl Visitor<'_> for Fraction {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        Err(not_a_number(text, &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        if (self.fits)(number) {
            Ok(number)
        } else {
            let expected = self.expected;
            Err(E::custom(format!(
                "{number} is out of range: expected {expected}"
            )))
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        // What does not fit in 32 bits is far out of every range here.
        self.visit_f64(i32::try_from(number).map_or(f64::INFINITY, f64::from))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// When a watch is asked.
pub(super) fn policy<'de, D: Deserializer<'de>>(from: D) -> Result<Policy, D::Error> {
    let expected = r#""adaptive" or "exponential""#;
    text(from, expected, |text| match text {
        "adaptive" => Ok(Policy::Adaptive),
        "exponential" => Ok(Policy::Exponential),
        other => Err(format!("{} is not a policy: use {expected}", shown(other))),
    })
}

/// How much waiting a request is worth; `"auto"` is `None`.
pub(super) fn price<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let expected = r#""auto" or a duration such as "3s""#;
    text(from, expected, |text| match text {
        "auto" => Ok(None),
        text => match humantime::parse_duration(text) {
            Ok(price) if (Duration::from_millis(10)..=Duration::from_hours(1)).contains(&price) => {
                Ok(Some(price))
            }
            Ok(_) => Err(format!(
                "{} is out of range: expected 10ms to 1h",
                shown(text)
            )),
            Err(_) => Err(format!("{} is not {expected}", shown(text))),
        },
    })
}

/// How the log is written.
pub(super) fn log_format<'de, D: Deserializer<'de>>(from: D) -> Result<LogFormat, D::Error> {
    let expected = r#""auto", "text", "json" or "journald""#;
    text(from, expected, |text| match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        "journald" => Ok(LogFormat::Journald),
        other => Err(format!("{} is not a format: use {expected}", shown(other))),
    })
}

/// `"auto"`, true or false; the latter also in quotes, which a variable cannot do without.
pub(super) fn desktop<'de, D: Deserializer<'de>>(from: D) -> Result<Desktop, D::Error> {
    struct Choice;

    impl Visitor<'_> for Choice {
        type Value = Desktop;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(r#""auto", true or false"#)
        }

        fn visit_bool<E: Error>(self, on: bool) -> Result<Desktop, E> {
            Ok(if on { Desktop::On } else { Desktop::Off })
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Desktop, E> {
            match text {
                "auto" => Ok(Desktop::Auto),
                "true" => Ok(Desktop::On),
                "false" => Ok(Desktop::Off),
                other => Err(E::custom(format!(
                    r#"{} is none of "auto", true and false"#,
                    shown(other)
                ))),
            }
        }
    }

    from.deserialize_any(Choice)
}

/// What of an account is kept from the desktop.
pub(super) fn quiet<'de, D: Deserializer<'de>>(from: D) -> Result<Quiet, D::Error> {
    let expected = r#""never", "success" or "always""#;
    text(from, expected, |text| match text {
        "never" => Ok(Quiet::Never),
        "success" => Ok(Quiet::Success),
        "always" => Ok(Quiet::Always),
        other => Err(format!("{} will not do: use {expected}", shown(other))),
    })
}

/// A program and its arguments.
pub(super) fn command<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    struct Words;

    impl<'de> Visitor<'de> for Words {
        type Value = Option<Vec<String>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(
                r#"a list of a program and its arguments, such as ["notify-team", "--all"]"#,
            )
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Err(E::custom(format!(
                "{} is text: expected {}",
                shown(text),
                &self as &dyn Expected
            )))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut words: Vec<String> = Vec::new();
            while let Some(word) = list.next_element()? {
                words.push(word);
            }
            if words.iter().any(|word| word.contains('\0')) {
                return Err(A::Error::custom("a command has no NUL character"));
            }
            match words.first().map(String::as_str) {
                None | Some("") => Err(A::Error::custom(
                    "the program is missing; leave the key out if it is not needed",
                )),
                Some(program) if program.starts_with("~/") => Err(A::Error::custom(format!(
                    "{}: ~ is not expanded here; write the directory out",
                    shown(program)
                ))),
                Some(_) => Ok(Some(words)),
            }
        }
    }

    from.deserialize_any(Words)
}

/// What is logged: a level, or a filter that can be read.
pub(super) fn level<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(from, LEVEL, |text| {
        // A lone word that is not a level would be taken for the name of a crate, and a misspelt
        // level would silence the log.
        let is_word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let good = if is_word {
            !text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<LevelFilter>().is_ok()
        } else {
            EnvFilter::builder().parse(text).is_ok()
        };
        if good {
            Ok(text.to_owned())
        } else {
            Err(format!("{} is not {LEVEL}", shown(text)))
        }
    })
}

const LEVEL: &str = r#"a level (off, error, warn, info, debug, trace) or a filter such as "warn,importwatch=debug""#;

/// The deployment of an account that names none.
pub(super) fn default_url() -> Result<Url, String> {
    url_of_endpoint("sg")
}

fn url_of_endpoint(name: &str) -> Result<Url, String> {
    base_url_of(&format!("https://api-{name}.gptbots.ai"))
}

/// A deployment by its short name, as a URL that is known to be good.
pub(super) fn endpoint<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    let expected = r#""sg", "jp" or "th""#;
    text(from, expected, |text| match text {
        "sg" | "jp" | "th" => url_of_endpoint(text).map(Some),
        other => Err(format!(
            "{} is not an endpoint: use {expected}, or base_url for another",
            shown(other)
        )),
    })
}

/// A deployment's URL.
pub(super) fn base_url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    let expected = r#"a URL such as "https://api-sg.gptbots.ai""#;
    text(from, expected, |text| base_url_of(text).map(Some))
}

/// Reads a deployment's URL.
///
/// # Errors
///
/// What is wrong with it; the URL is shown only if it cannot hold a password.
fn base_url_of(text: &str) -> Result<Url, String> {
    let expected = "expected http:// or https://, a host, and perhaps a port and a path";
    // The parser would drop such characters without a word.
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!(
            "a URL has no white space and no control characters; {expected}"
        ));
    }
    let mut url = Url::parse(text)
        .map_err(|error| format!("{} is not a URL ({error}); {expected}", shown(text)))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "{} is not an http or https URL; {expected}",
            shown(text)
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "a URL with a user or a password is not accepted; {expected}"
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "a URL with a query (?) or a fragment (#) is not accepted; {expected}"
        ));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// A path, relative or absolute.
pub(super) fn path<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    text(from, "a path", |text| path_of(text).map(Some))
}

/// Reads a path.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn path_of(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("the path is empty; leave it out if it is not needed".to_owned()),
        text if text.contains('\0') => Err("a path has no NUL character".to_owned()),
        text if text.starts_with("~/") => Err(format!(
            "{}: ~ is not expanded here; write the directory out",
            shown(text)
        )),
        text => Ok(PathBuf::from(text)),
    }
}

fn text<'de, D, T, F>(from: D, expected: &'static str, read: F) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    F: FnOnce(&str) -> Result<T, String>,
{
    struct Text<F> {
        expected: &'static str,
        read: F,
    }

    impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expected)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.read)(text).map_err(E::custom)
        }
    }

    from.deserialize_any(Text { expected, read })
}

/// A value for a message: quoted, escaped, cut if it is long, and hidden if it may hold a password.
pub(super) fn shown(text: &str) -> String {
    if is_delicate(text) {
        return "the value".to_owned();
    }
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// Whether a value could hold a password: one of a URL's user or of its query, or one of an entry
/// that a text of several lines has swallowed, for want of quotes.
pub(super) fn is_delicate(text: &str) -> bool {
    text.contains(['@', '?', '\n'])
}
