//! Finds where records end, at the speed of a search for one of two bytes.
//!
//! It never looks into a record further than that needs, and never changes one. A record is what it
//! is to every reader of CSV (RFC 4180): a field that begins with a quote may hold line breaks.

use memchr::{memchr, memchr2};

use crate::rejects::dialect::{Dialect, Form};

/// Finds the ends of records in bytes that are given one piece after another.
#[derive(Debug, Clone)]
pub struct Scanner {
    delimiter: u8,
    quote: Option<u8>,
    end: u8,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a record, or of a field of it: a quote opens a field here.
    FieldStart,
    /// In a field without quotes, or behind the closing one.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that closes the field, or is the first half of one that belongs to it.
    QuoteInQuoted,
}

impl Scanner {
    /// A scanner of records of this dialect, before the first.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            delimiter: dialect.delimiter,
            quote: (dialect.form == Form::Csv).then_some(b'"'),
            end: dialect.line_end,
            state: State::FieldStart,
        }
    }

    /// How many of `bytes`, which follow those of the call before, belong to the present record, with
    /// its line break; `None` if it has no end in them.
    pub fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let Some(quote) = self.quote else {
            return memchr(self.end, bytes).map(|place| place + 1);
        };
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
            match self.state {
                State::FieldStart if rest[0] == quote => {
                    self.state = State::Quoted;
                    at += 1;
                }
                State::FieldStart | State::Plain => {
                    self.state = State::Plain;
                    let Some(place) = memchr2(quote, self.end, rest) else {
                        if rest.last() == Some(&self.delimiter) {
                            self.state = State::FieldStart;
                        }
                        return None;
                    };
                    if rest[place] == self.end {
                        self.state = State::FieldStart;
                        return Some(at + place + 1);
                    }
                    if place > 0 && rest[place - 1] == self.delimiter {
                        self.state = State::Quoted;
                    }
                    at += place + 1;
                }
                State::Quoted => {
                    let place = memchr(quote, rest)?;
                    self.state = State::QuoteInQuoted;
                    at += place + 1;
                }
                State::QuoteInQuoted => {
                    let next = rest[0];
                    at += 1;
                    self.state = if next == quote {
                        State::Quoted
                    } else if next == self.end {
                        self.state = State::FieldStart;
                        return Some(at);
                    } else if next == self.delimiter {
                        State::FieldStart
                    } else {
                        State::Plain
                    };
                }
            }
        }
    }
}

/// Whether a line holds nothing: such lines are no records.
#[must_use]
pub fn is_blank(record: &[u8]) -> bool {
    matches!(record, b"\n" | b"\r\n" | b"\r" | b"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMA: Dialect = Dialect::csv(b',', b'\n');

    /// The records of `text`, given in pieces of `piece` bytes.
    fn records(text: &[u8], dialect: Dialect, piece: usize) -> Vec<Vec<u8>> {
        let mut scanner = Scanner::new(dialect);
        let (mut found, mut record) = (Vec::new(), Vec::new());
        for mut bytes in text.chunks(piece) {
            while let Some(end) = scanner.end(bytes) {
                record.extend_from_slice(&bytes[..end]);
                found.push(std::mem::take(&mut record));
                bytes = &bytes[end..];
            }
            record.extend_from_slice(bytes);
        }
        if !record.is_empty() {
            found.push(record);
        }
        found
    }

    #[test]
    fn quotes_hold_line_breaks_only_where_they_open_a_field() {
        let text = b"a,\"b\nc\",d\n1,2\"\n3,\"x\"\"\n\"\n\"q\"\n\"\"\"\"\n";
        for piece in 1..text.len() {
            let found = records(text, COMMA, piece);
            let expected: [&[u8]; 5] = [
                b"a,\"b\nc\",d\n",
                b"1,2\"\n",
                b"3,\"x\"\"\n\"\n",
                b"\"q\"\n",
                b"\"\"\"\"\n",
            ];
            assert_eq!(found, expected, "{piece}");
        }
    }

    #[test]
    fn lines_of_json_end_where_they_end() {
        let lines = Dialect::json_lines();
        let found = records(b"{\"a\":\"x,\\\"y\"}\n\n{}", lines, 4);
        let expected: [&[u8]; 3] = [b"{\"a\":\"x,\\\"y\"}\n", b"\n", b"{}"];
        assert_eq!(found, expected);
    }

    proptest! {
        /// The reader of CSV that others use finds the same records.
        #[test]
        fn records_are_those_of_the_csv_crate(
            text in "[ab,\"\n]{0,60}", piece in 1_usize..9,
        ) {
            let mut reader = csv::ReaderBuilder::new();
            reader.has_headers(false).flexible(true);
            let mut reader = reader.from_reader(text.as_bytes());
            let theirs = reader.byte_records().count();
            let ours = records(text.as_bytes(), COMMA, piece);
            let ours: Vec<_> = ours.into_iter().filter(|record| !is_blank(record)).collect();
            prop_assert_eq!(ours.len(), theirs, "{:?}", text);
        }
    }
}
