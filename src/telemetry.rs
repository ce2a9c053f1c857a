//! Sets up the log: what is logged, and how it is written, to standard error or to systemd's journal.
//!
//! It never lets a value's characters reach the terminal as they are: in text, whatever is not
//! printable is escaped, so that a server cannot forge lines or colours. It never fails because of
//! a standard error that is closed.

mod journal;

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, IsTerminal as _};

use thiserror::Error;
use tracing::Dispatch;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::{FormatFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{MakeWriter, layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, registry, reload};

use crate::clock;
use crate::settings::LogFormat;
use crate::telemetry::journal::Journal;

/// What the log is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogParams {
    /// A level, or directives that tracing-subscriber's `EnvFilter` takes. A level is that of our
    /// own events; the libraries' are then logged from `warn` on.
    pub filter: String,
    /// How events are written.
    pub format: LogFormat,
}

/// Why the log could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error(
        "{filter:?} is not a log filter; write a level such as info, or warn,importwatch=debug"
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// It is to be written to the journal, and there is none.
    #[error(
        "format in [log] is \"journald\", and no journal of systemd listens here; write \"auto\", which \
         uses it where it is"
    )]
    NoJournal(#[from] io::Error),
    /// There is a log already.
    #[error("the log is set up already, once is enough")]
    Already(#[from] SetGlobalDefaultError),
}

/// What the log shows, to be changed while it is in use.
#[derive(Debug)]
pub struct Filter(reload::Handle<EnvFilter, Registry>);

impl Filter {
    /// Has the log show this from now on; see [`LogParams::filter`].
    ///
    /// # Errors
    ///
    /// [`TelemetryError::Filter`]; the log goes on as before.
    pub fn set(&self, text: &str) -> Result<(), TelemetryError> {
        let filter = filter(text)?;
        // It fails only where there is no log any more.
        _ = self.0.reload(filter);
        Ok(())
    }
}

/// Sets up the log of the whole process. Colours are used if standard error is a terminal and
/// `NO_COLOR` is unset or empty.
///
/// # Errors
///
/// [`TelemetryError`], for a bad filter, a journal that is not there, and a second call.
pub fn init(params: &LogParams) -> Result<Filter, TelemetryError> {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = io::stderr().is_terminal() && !no_colour;
    let (log, filter) = match params.format {
        LogFormat::Journald => to_journal(params, Journal::open()?)?,
        LogFormat::Auto if is_in_journal() => match Journal::open() {
            Ok(journal) => to_journal(params, journal)?,
            Err(_) => dispatch(params, colour, io::stderr)?,
        },
        LogFormat::Auto | LogFormat::Text | LogFormat::Json => {
            dispatch(params, colour, io::stderr)?
        }
    };
    tracing::dispatcher::set_global_default(log)?;
    Ok(filter)
}

/// Whether standard error goes to the journal.
#[must_use]
pub fn is_in_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    journal::is_stream(io::stderr(), stream.as_deref())
}

fn to_journal(params: &LogParams, journal: Journal) -> Result<(Dispatch, Filter), TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter(&params.filter)?);
    let log = Dispatch::new(registry().with(filter).with(journal));
    Ok((log, Filter(handle)))
}

fn dispatch<W>(
    params: &LogParams,
    colour: bool,
    writer: W,
) -> Result<(Dispatch, Filter), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(&params.filter)?);
    let registry = registry().with(filter);
    // What cannot be written is dropped: to report that, the layer would write to standard error
    // itself, and panic where that is closed.
    let layer = layer()
        .with_writer(writer)
        .with_timer(WallTime)
        .log_internal_errors(false);
    let log = if params.format == LogFormat::Json {
        let json = layer.json().flatten_event(true);
        Dispatch::new(registry.with(json.with_current_span(false).with_span_list(false)))
    } else {
        let text = layer.fmt_fields(Escaped).with_ansi(colour);
        Dispatch::new(registry.with(text))
    };
    Ok((log, Filter(handle)))
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let directives = match text.parse::<LevelFilter>() {
        Ok(ours) => format!("{},importwatch={ours}", ours.min(LevelFilter::WARN)),
        Err(_) => text.to_owned(),
    };
    let parsed = EnvFilter::builder().parse(directives);
    parsed.map_err(|source| TelemetryError::Filter {
        filter: text.to_owned(),
        source,
    })
}

/// Wall time in RFC 3339, UTC, to the millisecond.
struct WallTime;

impl FormatTime for WallTime {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{:.3}", clock::wall())
    }
}

/// Writes `message field=value …`, with nothing in it that is not printable.
struct Escaped;

impl<'w> FormatFields<'w> for Escaped {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = EscapedVisitor::default();
        fields.record(&mut visitor);
        writer.write_str(&visitor.line)
    }
}

#[derive(Default)]
struct EscapedVisitor {
    line: String,
}

impl EscapedVisitor {
    fn put(&mut self, field: &Field, value: &str) {
        if !self.line.is_empty() {
            self.line.push(' ');
        }
        if field.name() == "message" {
            push_escaped(&mut self.line, value);
            return;
        }
        self.line.push_str(field.name());
        self.line.push('=');
        if is_plain(value) || is_quoted(value) {
            push_escaped(&mut self.line, value);
        } else {
            let quoted = format!("{value:?}");
            self.line.push_str(&quoted);
        }
    }
}

impl Visit for EscapedVisitor {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        self.put(field, &text);
    }
}

/// Whether a value needs no quotes to be told from what follows it.
fn is_plain(value: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !matches!(c, '"' | '=' | '\\') && is_printable(c);
    !value.is_empty() && value.chars().all(fits)
}

/// Whether a value is in quotes already, as `Debug` of a text is.
fn is_quoted(value: &str) -> bool {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| {
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => return false,
                // A backslash without anything behind it would escape the closing quote.
                '\\' if chars.next().is_none() => return false,
                _ => {}
            }
        }
        true
    })
}

fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        if is_printable(c) {
            line.push(c);
        } else {
            line.extend(c.escape_debug());
        }
    }
}

/// Whether a terminal shows the character and does nothing else. What `Debug` writes as it is, is
/// neither a control nor one of the characters that hide or reorder others.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `events` leave in a log of such a filter and format.
    fn logged(filter: &str, format: LogFormat, colour: bool, events: impl FnOnce()) -> String {
        let written = Shared::default();
        let writer = written.clone();
        let params = LogParams {
            filter: filter.to_owned(),
            format,
        };
        let (log, _) = dispatch(&params, colour, move || writer.clone()).unwrap();
        tracing::dispatcher::with_default(&log, events);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// A line without its timestamp, which is held to its form.
    fn without_time(line: &str) -> &str {
        let (time, rest) = line.split_once(' ').unwrap();
        let form = |c: char| if c.is_ascii_digit() { '0' } else { c };
        let form: String = time.chars().map(form).collect();
        assert_eq!(form, "0000-00-00T00:00:00.000Z");
        rest
    }

    #[test]
    fn text_has_one_line_an_event() {
        let log = logged("info", LogFormat::Auto, false, || {
            let span = tracing::info_span!("poll", account = "default").entered();
            tracing::warn!(task = %"a1", failed = 3, rows = ?Some("x y"), "task settled");
            drop(span);
        });
        assert_eq!(
            without_time(&log),
            " WARN poll{account=default}: importwatch::telemetry::tests: task settled task=a1 \
             failed=3 rows=\"Some(\\\"x y\\\")\"\n"
        );
    }

    #[test]
    fn nothing_in_a_value_reaches_the_terminal() {
        let evil = "a\u{1b}[31m\n\r\u{7f}\u{9b}\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}\u{ad}\0 b";
        let error = io::Error::other(evil);
        let log = logged("trace", LogFormat::Text, false, || {
            let span = tracing::info_span!("span", evil = %evil, later = tracing::field::Empty);
            span.record("later", evil);
            let _in_span = span.entered();
            let quoted = format!("\"{evil}\"");
            tracing::info!(s = evil, d = ?evil, p = %evil, e = &error as &dyn StdError, q = %quoted);
            tracing::info!("{evil}");
        });
        assert_eq!(log.lines().count(), 2, "{log}");
        let bad = |c: char| !(' '..='~').contains(&c) && c != '\n';
        assert_eq!(log.find(bad), None, "{log}");
        assert_eq!(log.matches("\\u{202e}").count(), 5 + 1 + 2 * 2, "{log}");
    }

    #[test]
    fn a_value_cannot_pass_for_another_field() {
        let log = logged("info", LogFormat::Text, false, || {
            tracing::info!(reason = %"x outcome=available", empty = "", open = %"\"a\\\"");
        });
        assert!(
            log.ends_with(" reason=\"x outcome=available\" empty=\"\" open=\"\\\"a\\\\\\\"\"\n"),
            "{log}"
        );
    }

    #[test]
    fn what_people_write_stays_readable() {
        let log = logged("info", LogFormat::Text, false, || {
            tracing::info!(name = "Grüße_表_😀", text = ?"two words", "it's \"done\"");
        });
        assert!(
            log.ends_with("it's \"done\" name=Grüße_表_😀 text=\"two words\"\n"),
            "{log}"
        );
    }

    #[test]
    fn colours_only_where_wanted() {
        let event = || tracing::info!("x");
        assert!(logged("info", LogFormat::Text, true, event).contains("\u{1b}["));
        assert!(!logged("info", LogFormat::Text, false, event).contains('\u{1b}'));
        assert!(!logged("info", LogFormat::Json, true, event).contains('\u{1b}'));
    }

    #[test]
    fn json_is_flat() {
        let log = logged("info", LogFormat::Json, false, || {
            let _span = tracing::info_span!("poll", account = "default").entered();
            tracing::error!(task = "a\n1", failed = 3_u32, "task settled");
        });
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(log.trim_end()).unwrap();
        let names: Vec<&str> = object.keys().map(String::as_str).collect();
        let mut expected = ["timestamp", "level", "message", "task", "failed", "target"];
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(object["message"], "task settled");
        assert_eq!(object["task"], "a\n1");
        assert_eq!(object["failed"], 3);
        assert_eq!(object["level"], "ERROR");
        assert_eq!(log.lines().count(), 1);
    }

    #[test]
    fn a_level_is_for_our_own_events() {
        let events = || {
            tracing::debug!(target: "hyper::client", "their debug");
            tracing::warn!(target: "hyper::client", "their warning");
            tracing::debug!("our debug");
            tracing::error!("our error");
        };
        let messages = |filter: &str| -> Vec<String> {
            let log = logged(filter, LogFormat::Text, false, events);
            let last = |line: &str| line.rsplit(": ").next().unwrap().to_owned();
            log.lines().map(last).collect()
        };
        assert_eq!(messages("info"), ["their warning", "our error"]);
        assert_eq!(
            messages("DEBUG"),
            ["their warning", "our debug", "our error"]
        );
        assert_eq!(messages("error"), ["our error"]);
        assert_eq!(messages("off"), [""; 0]);
        assert_eq!(
            messages("hyper=debug,off"),
            ["their debug", "their warning"]
        );
    }

    #[test]
    fn a_filter_that_is_none() {
        let error = filter("importwatch=loud").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"importwatch=loud\" is not a log filter; \
             write a level such as info, or warn,importwatch=debug"
        );
    }
}
