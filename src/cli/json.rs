//! What `--json` prints of a task: one object a line, whose fields scripts rely on.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::failure::Failure;
use crate::notice::safe;
use crate::store::outlook::End;
use crate::task::Counts;
use crate::watch::{Source, State, Watch};

/// A task as `--json` shows it. Fields may be added, never changed.
#[derive(Debug, Serialize)]
pub(super) struct Task<'a> {
    id: String,
    account: &'a str,
    import: &'a str,
    state: &'static str,
    progress: Option<u8>,
    total: Option<u32>,
    succeeded: Option<u32>,
    failed: Option<u32>,
    failures: Vec<Refusal<'a>>,
    polls: u32,
    added_at: String,
    polled_at: Option<String>,
    settled_at: Option<String>,
    source: Option<Rows>,
    expected_end: Option<Range>,
}

/// Between which times something is expected to end, eight chances of ten.
#[derive(Debug, Serialize)]
pub(super) struct Range {
    from: String,
    to: String,
}

impl From<End> for Range {
    fn from(end: End) -> Self {
        Self {
            from: time(end.from),
            to: time(end.to),
        }
    }
}

/// The records of a file that a task was made of; record 1 is the first after the header.
#[derive(Debug, Serialize)]
struct Rows {
    path: String,
    first_row: u64,
    last_row: u64,
}

#[derive(Debug, Serialize)]
struct Refusal<'a> {
    row: Option<u32>,
    first_row: Option<u32>,
    last_row: Option<u32>,
    kind: &'static str,
    column: Option<&'a str>,
    value: Option<&'a str>,
    reason: &'a str,
}

impl<'a> Task<'a> {
    /// A watch, and when its task is expected to end, where that is known.
    pub(super) fn of(watch: &'a Watch, expected: Option<End>) -> Self {
        let (state, counts, failures, settled_at): (_, Counts, &[Failure], _) = match &watch.state {
            State::Pending(counts) => ("pending", *counts, &[], None),
            State::Settled { at, settlement } => (
                settlement.outcome.as_str(),
                settlement.counts,
                &settlement.failures,
                Some(time(*at)),
            ),
        };
        Self {
            id: watch.id.to_string(),
            account: watch.account.as_str(),
            import: &watch.import.name,
            state,
            progress: watch.progress,
            total: counts.total,
            succeeded: counts.succeeded,
            failed: counts.failed,
            failures: failures.iter().map(Refusal::from).collect(),
            polls: watch.polls,
            added_at: time(watch.added_at),
            polled_at: watch.polled_at.map(time),
            settled_at,
            source: watch.source.as_ref().map(Rows::from),
            expected_end: expected.map(Range::from),
        }
    }
}

impl From<&Source> for Rows {
    fn from(source: &Source) -> Self {
        Self {
            path: source.file.path.to_string_lossy().into_owned(),
            first_row: source.first_row,
            last_row: source.last_row,
        }
    }
}

impl<'a> From<&'a Failure> for Refusal<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            row: failure.row,
            first_row: failure.first_row,
            last_row: failure.last_row,
            kind: failure.kind.as_str(),
            column: failure.column.as_deref(),
            value: failure.value.as_deref(),
            reason: &failure.reason,
        }
    }
}

/// Writes `value` on one line, without its end. Characters that a terminal would obey, or that hide
/// what is around them, are spelt out, which is the same to whoever reads JSON.
pub(super) fn write(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(out, Tame);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// `value` as [`write`] writes it, with the end of its line.
pub(super) fn line(value: &impl Serialize) -> io::Result<String> {
    let mut line = Vec::new();
    write(&mut line, value)?;
    line.push(b'\n');
    String::from_utf8(line).map_err(io::Error::other)
}

struct Tame;

impl Formatter for Tame {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        let is_wild = |c| safe::is_hidden(c) || matches!(c, '\u{2028}' | '\u{2029}');
        while let Some((at, wild)) = rest.char_indices().find(|(_, c)| is_wild(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in wild.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + wild.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// A time in UTC, to the millisecond: `2026-11-22T09:00:00.000Z`.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &impl Serialize) -> String {
        let mut line = Vec::new();
        write(&mut line, value).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn what_a_terminal_would_obey_is_spelt_out_and_reads_the_same() {
        let text = "a\u{9b}31m\u{7f}\u{202e}\u{2028}\u{e0041}\u{10ffff}é日本\"\\\n";
        let line = written(&text);
        let expected = r#""a\u009b31m\u007f\u202e\u2028\udb40\udc41\udbff\udfffé日本\"\\\n""#;
        assert_eq!(line, expected);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
    use crate::failure::FailureKind;
    use crate::outcome::{Outcome, Settlement};
    use crate::watch::{Fingerprint, Import, ImportKey, SourceFile};

    #[test]
    fn prints_what_the_contract_says() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut watch = Watch {
            id: "68ec7ad3e307920f002648cd".parse().unwrap(),
            account: "default".parse().unwrap(),
            import: Import {
                key: ImportKey(1),
                name: "products".to_owned(),
                started_at: at("2026-11-22T09:00:00Z"),
            },
            added_at: at("2026-11-22T09:00:00Z"),
            deadline: at("2026-11-23T09:00:00Z"),
            polls: 7,
            polled_at: Some(at("2026-11-22T09:01:00.5Z")),
            progress: Some(41),
            source: None,
            state: State::Pending(Counts::default()),
        };
        assert_eq!(
            written(&Task::of(&watch, None)),
            r#"{"id":"68ec7ad3e307920f002648cd","account":"default","import":"products","state":"pending","progress":41,"total":null,"succeeded":null,"failed":null,"failures":[],"polls":7,"added_at":"2026-11-22T09:00:00.000Z","polled_at":"2026-11-22T09:01:00.500Z","settled_at":null,"source":null,"expected_end":null}"#
        );
        let expected = End {
            from: at("2026-11-22T09:03:00Z"),
            to: at("2026-11-22T09:05:00.5Z"),
        };
        let printed = written(&Task::of(&watch, Some(expected)));
        let end = r#""expected_end":{"from":"2026-11-22T09:03:00.000Z","to":"2026-11-22T09:05:00.500Z"}}"#;
        assert!(printed.ends_with(end), "{printed}");
        watch.source = Some(Source {
            file: SourceFile {
                path: "/home/me/products.csv".into(),
                fingerprint: Fingerprint {
                    size: 1,
                    modified_at: 2,
                    head: 3,
                    tail: 4,
                },
                records: 1500,
            },
            first_row: 1001,
            last_row: 1500,
        });
        watch.state = State::Settled {
            at: at("2026-11-22T09:02:00Z"),
            settlement: Settlement {
                outcome: Outcome::Failed,
                progress: None,
                counts: Counts {
                    total: Some(4),
                    succeeded: Some(0),
                    failed: Some(4),
                },
                failures: vec![Failure {
                    row: Some(2),
                    first_row: None,
                    last_row: None,
                    kind: FailureKind::DuplicateInImport,
                    column: Some("id".to_owned()),
                    value: Some("14".to_owned()),
                    reason: "\u{1b}[31m\"".to_owned(),
                }],
            },
        };
        let printed = written(&Task::of(&watch, None));
        let end = r#""state":"failed","progress":41,"total":4,"succeeded":0,"failed":4,"failures":[{"row":2,"first_row":null,"last_row":null,"kind":"duplicate_in_import","column":"id","value":"14","reason":"\u001b[31m\""}],"polls":7,"added_at":"2026-11-22T09:00:00.000Z","polled_at":"2026-11-22T09:01:00.500Z","settled_at":"2026-11-22T09:02:00.000Z","source":{"path":"/home/me/products.csv","first_row":1001,"last_row":1500},"expected_end":null}"#;
        assert!(printed.ends_with(end), "{printed}");
    }
}
