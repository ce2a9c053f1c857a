//! Reads task ids as import scripts have them at hand: one a line, the import endpoint's answers one
//! after another, or both mixed.
//!
//! It never gives up on the rest for one that cannot be used, and never shows such a one raw.

use std::io::{self, BufRead, Read as _};

use serde::Deserialize;
use thiserror::Error;

use crate::notice::safe;
use crate::task::{TaskId, TaskIdError};

/// Something that was given as an id and is none, and where it stood.
#[derive(Debug, Error)]
#[error("{place}: {what}")]
pub(super) struct Unusable {
    place: Place,
    #[source]
    what: What,
}

/// Where it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Argument(usize),
    Line(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Argument(number) => write!(f, "id {number}"),
            Self::Line(number) => write!(f, "line {number}"),
        }
    }
}

#[derive(Debug, Error)]
enum What {
    #[error("{text:?} is not an id: {source}")]
    Id {
        text: String,
        #[source]
        source: TaskIdError,
    },
    #[error("the line has more than {LONGEST_LINE} bytes; an id has at most 128")]
    LongLine,
    #[error("the line is not UTF-8 text")]
    NotText,
    #[error("this begins JSON and is none: {0}; give the import endpoint's answer as it came")]
    Json(String),
    #[error("the JSON is longer than {LONGEST_JSON} bytes, or never ends")]
    LongJson,
    #[error("this import was not accepted, so it has no task id: code {code}, {message}")]
    NotAccepted { code: i64, message: String },
    #[error(
        "this JSON holds no task ids; expected the import endpoint's answer, {{\"data\":[\"ID\"]}}"
    )]
    NoIds,
}

/// The longest line that is read as one; the rest of a longer one is passed over.
const LONGEST_LINE: u64 = 64 * 1024;
/// The longest JSON value that is read.
const LONGEST_JSON: usize = 16 * 1024 * 1024;

/// The id that was given as the `number`th argument.
pub(super) fn argument(number: usize, text: &str) -> Result<TaskId, Unusable> {
    text.parse().map_err(|source| Unusable {
        place: Place::Argument(number),
        what: What::Id {
            text: safe::start(text, 60),
            source,
        },
    })
}

/// What comes next in a text.
enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

/// The ids of a text, as they are read from it.
#[derive(Debug)]
pub(super) struct Ids<R> {
    input: R,
    line: usize,
    /// Found and not given out yet, in reverse.
    found: Vec<Result<TaskId, Unusable>>,
    ended: bool,
}

impl<R: BufRead> Ids<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            found: Vec::new(),
            ended: false,
        }
    }

    /// The next line without its end.
    fn next_line(&mut self) -> io::Result<Line> {
        let mut line = Vec::new();
        let read = (&mut self.input)
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.line += 1;
        if line.last() != Some(&b'\n') && read as u64 > LONGEST_LINE {
            skip_line(&mut self.input)?;
            return Ok(Line::TooLong);
        }
        while line.last().is_some_and(u8::is_ascii_whitespace) {
            line.pop();
        }
        Ok(Line::Text(line))
    }

    /// Reads on until something is found.
    fn read(&mut self) -> io::Result<()> {
        while self.found.is_empty() {
            let line = self.next_line()?;
            let place = self.line;
            let line = match line {
                Line::Text(line) => line,
                Line::TooLong => {
                    self.refuse(place, What::LongLine);
                    continue;
                }
                Line::End => {
                    self.ended = true;
                    return Ok(());
                }
            };
            let Ok(text) = std::str::from_utf8(&line) else {
                self.refuse(place, What::NotText);
                continue;
            };
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if text.starts_with(['{', '[']) {
                self.read_json(text.as_bytes(), place)?;
            } else {
                self.take(text, place);
            }
        }
        Ok(())
    }

    /// Reads the JSON that begins with `first`, over as many lines as it takes.
    fn read_json(&mut self, first: &[u8], place: usize) -> io::Result<()> {
        let mut json = first.to_vec();
        let mut nesting = Nesting::default();
        nesting.follow(first);
        while !nesting.is_closed() {
            let line = self.next_line()?;
            match line {
                Line::Text(line) if json.len() + line.len() < LONGEST_JSON => {
                    json.push(b'\n');
                    nesting.follow(&line);
                    json.extend(line);
                }
                Line::Text(_) | Line::TooLong => {
                    self.refuse(place, What::LongJson);
                    return Ok(());
                }
                Line::End => break,
            }
        }
        let mut found = Vec::new();
        for value in serde_json::Deserializer::from_slice(&json).into_iter::<Given>() {
            match value {
                Ok(given) => found.push(given),
                Err(error) => {
                    self.refuse(place, What::Json(error.to_string()));
                    break;
                }
            }
        }
        for given in found {
            self.take_given(given, place);
        }
        self.found.reverse();
        Ok(())
    }

    fn take_given(&mut self, given: Given, place: usize) {
        let ids = match given {
            Given::Answer {
                code: Some(code),
                message,
                ..
            } if code != 0 => {
                let message = safe::start(&message.unwrap_or_default(), 200);
                return self.refuse(place, What::NotAccepted { code, message });
            }
            Given::Answer {
                data: Some(ids), ..
            }
            | Given::Ids(ids) => ids,
            Given::Answer { .. } | Given::Other(_) => return self.refuse(place, What::NoIds),
        };
        for text in ids {
            self.take(&text, place);
        }
    }

    fn take(&mut self, text: &str, place: usize) {
        match text.parse() {
            Ok(id) => self.found.push(Ok(id)),
            Err(source) => {
                let text = safe::start(text, 60);
                self.refuse(place, What::Id { text, source });
            }
        }
    }

    fn refuse(&mut self, line: usize, what: What) {
        let place = Place::Line(line);
        self.found.push(Err(Unusable { place, what }));
    }
}

impl<R: BufRead> Iterator for Ids<R> {
    type Item = io::Result<Result<TaskId, Unusable>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.found.is_empty()
            && !self.ended
            && let Err(error) = self.read()
        {
            self.ended = true;
            return Some(Err(error));
        }
        self.found.pop().map(Ok)
    }
}

/// What the import endpoint answers, or a list of ids.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Given {
    Answer {
        code: Option<i64>,
        #[serde(alias = "msg")]
        message: Option<String>,
        data: Option<Vec<String>>,
    },
    Ids(Vec<String>),
    Other(serde::de::IgnoredAny),
}

/// How deep in brackets a JSON text is, strings left aside.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    fn follow(&mut self, text: &[u8]) {
        for byte in text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.depth == 0
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let (used, ended) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), false),
        };
        input.consume(used);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Vec<String>, Vec<String>) {
        let (mut ids, mut unusable) = (Vec::new(), Vec::new());
        for found in Ids::new(text) {
            match found.unwrap() {
                Ok(id) => ids.push(id.to_string()),
                Err(error) => unusable.push(error.to_string()),
            }
        }
        (ids, unusable)
    }

    #[test]
    fn lines_and_answers_mixed() {
        let text = "\u{feff}a\r\n\n# comment\n{\"code\":0,\"message\":\"OK\",\"data\":[\"b\"]}\n{\n  \"code\": 0,\n  \"data\": [\n    \"c\", \"d\"\n  ]\n}\n[\"e\"] [\"f\"]\n g \n";
        let (ids, unusable) = read(text.as_bytes());
        assert_eq!(ids, ["a", "b", "c", "d", "e", "f", "g"]);
        assert_eq!(unusable, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_used_is_said_and_the_rest_goes_on() {
        let long = "x".repeat(1_000_000);
        let text = format!(
            "a b\n{long}\n{{\"code\":40000,\"msg\":\"bad\\u001b[m\"}}\n{{\"x\":1}}\n{{,}}\ngood\n{{\"data\":[\"never\""
        );
        let (ids, unusable) = read(text.as_bytes());
        assert_eq!(ids, ["good"]);
        assert_eq!(unusable.len(), 6, "{unusable:#?}");
        assert!(unusable[0].starts_with("line 1: \"a b\" is not an id"));
        assert!(unusable[1].starts_with("line 2: the line has more than"));
        assert!(unusable[2].starts_with("line 3: this import was not accepted"));
        assert!(!unusable[2].contains('\u{1b}'));
        assert!(unusable[3].starts_with("line 4: this JSON holds no task ids"));
        assert!(unusable[4].starts_with("line 5: this begins JSON and is none"));
        assert!(unusable[5].starts_with("line 7: this begins JSON and is none"));
        assert_eq!(read(b"\xff\xfe\nok").0, ["ok"]);
    }
}
