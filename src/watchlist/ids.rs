//! Reads task ids as import scripts have them at hand: one a line, the import endpoint's answers one
//! after another, or both mixed.
//!
//! It never gives up on the rest for one that cannot be used.

use std::io::{self, BufRead};

use crate::notice::safe;
use crate::task::TaskId;
use crate::watchlist::json::{self, Given, Nesting};
use crate::watchlist::lines::{Line, Lines, Position};
use crate::watchlist::unusable::{self, Unusable, What};

/// An id, and the line that it stood in, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The id.
    pub id: TaskId,
    /// Its line; that of a JSON value is its first.
    pub line: usize,
}

/// The ids of a text, as they are read from it.
#[derive(Debug)]
pub struct Ids<R> {
    lines: Lines<R>,
    /// Found and not given out yet, in reverse.
    found: Vec<Result<Found, Unusable>>,
    /// Up to where all has been found.
    taken: Position,
    /// Whether what has no end yet is held back, since it may still be growing.
    holds_back: bool,
    is_held: bool,
    ended: bool,
}

impl<R: BufRead> Ids<R> {
    /// The ids of a text that is whole: its last line needs no end.
    pub fn new(input: R) -> Self {
        let lines = Lines::new(input);
        Self {
            found: Vec::new(),
            taken: lines.position(),
            lines,
            holds_back: false,
            is_held: false,
            ended: false,
        }
    }

    /// The ids of a text that may still be growing: a last line or a last JSON value that has no end
    /// is left for later.
    pub(super) fn of_growing(input: R) -> Self {
        Self {
            holds_back: true,
            ..Self::new(input)
        }
    }

    /// Goes on from where an earlier reading had taken all. Returns whether the text before that is
    /// still the same; if it is not, this has to be dropped.
    pub(super) fn resume(&mut self, taken: Position) -> io::Result<bool> {
        self.taken = taken;
        self.lines.skip_to(taken)
    }

    /// Up to where all has been given out.
    pub(super) fn taken(&self) -> Option<Position> {
        self.found.is_empty().then_some(self.taken)
    }

    /// Whether something without an end has been held back.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Reads on until something is found.
    fn read(&mut self) -> io::Result<()> {
        while self.found.is_empty() {
            self.taken = self.lines.position();
            let line = self.lines.next()?;
            let place = self.lines.number();
            let text = match line {
                Line::End => {
                    self.ended = true;
                    return Ok(());
                }
                Line::Text {
                    is_whole: false, ..
                }
                | Line::TooLong { is_whole: false }
                    if self.holds_back =>
                {
                    self.hold();
                    return Ok(());
                }
                Line::TooLong { .. } => {
                    self.refuse(place, What::LongLine);
                    continue;
                }
                Line::Text { text, .. } => text,
            };
            let Ok(text) = std::str::from_utf8(&text) else {
                self.refuse(place, What::NotText);
                continue;
            };
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if text.starts_with(['{', '[']) {
                self.read_json(text.as_bytes(), place)?;
            } else if text.starts_with('-') {
                let text = safe::start(text, 60);
                self.refuse(place, What::Option { text });
            } else {
                self.take(text, place);
            }
            if self.ended {
                return Ok(());
            }
        }
        self.taken = self.lines.position();
        Ok(())
    }

    fn hold(&mut self) {
        self.is_held = true;
        self.ended = true;
    }

    /// Reads the JSON that begins with `first`, over as many lines as it takes.
    fn read_json(&mut self, first: &[u8], place: usize) -> io::Result<()> {
        let mut json = first.to_vec();
        let mut nesting = Nesting::default();
        nesting.follow(first);
        while !nesting.is_closed() {
            match self.lines.next()? {
                Line::End
                | Line::Text {
                    is_whole: false, ..
                }
                | Line::TooLong { is_whole: false }
                    if self.holds_back =>
                {
                    self.hold();
                    return Ok(());
                }
                Line::Text { text, .. } if json.len() + text.len() < json::LONGEST => {
                    json.push(b'\n');
                    nesting.follow(&text);
                    json.extend(text);
                }
                Line::Text { .. } | Line::TooLong { .. } => {
                    self.refuse(
                        place,
                        What::LongJson {
                            most: json::LONGEST,
                        },
                    );
                    return Ok(());
                }
                Line::End => break,
            }
        }
        let mut given = Vec::new();
        let mut fault = None;
        for value in serde_json::Deserializer::from_slice(&json).into_iter::<Given>() {
            match value {
                Ok(value) => given.push(value),
                Err(error) => {
                    fault = Some(What::Json(error.to_string()));
                    break;
                }
            }
        }
        for given in given {
            match given.ids() {
                Ok(ids) => ids.iter().for_each(|text| self.take(text, place)),
                Err(what) => self.refuse(place, what),
            }
        }
        if let Some(what) = fault {
            self.refuse(place, what);
        }
        self.found.reverse();
        Ok(())
    }

    fn take(&mut self, text: &str, line: usize) {
        match text.parse() {
            Ok(id) => self.found.push(Ok(Found { id, line })),
            Err(source) => self.refuse(line, unusable::not_an_id(text, source)),
        }
    }

    fn refuse(&mut self, line: usize, what: What) {
        self.found.push(Err(Unusable::at_line(line, what)));
    }
}

impl<R: BufRead> Iterator for Ids<R> {
    type Item = io::Result<Result<Found, Unusable>>;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Vec<String>, Vec<String>) {
        let (mut ids, mut unusable) = (Vec::new(), Vec::new());
        for found in Ids::new(text) {
            match found.unwrap() {
                Ok(found) => ids.push(found.id.to_string()),
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
            "a b\n{long}\n{{\"code\":40000,\"msg\":\"bad\\u001b[m\"}}\n{{\"x\":1}}\n{{,}}\ngood\n--import\n{{\"data\":[\"never\""
        );
        let (ids, unusable) = read(text.as_bytes());
        assert_eq!(ids, ["good"]);
        assert_eq!(unusable.len(), 7, "{unusable:#?}");
        assert!(unusable[0].starts_with("line 1: \"a b\" is not an id"));
        assert!(unusable[1].starts_with("line 2: the line has more than"));
        assert!(unusable[2].starts_with("line 3: this import was not accepted"));
        assert!(!unusable[2].contains('\u{1b}'));
        assert!(unusable[3].starts_with("line 4: this JSON holds no task ids"));
        assert!(unusable[4].starts_with("line 5: this begins like JSON and cannot be read"));
        assert!(unusable[5].starts_with("line 7: \"--import\" looks like an option"));
        assert!(unusable[6].starts_with("line 8: this begins like JSON and cannot be read"));
        assert_eq!(read(b"\xff\xfe\nok").0, ["ok"]);
    }

    /// The ids of a growing text, and up to where it was taken.
    fn growing(text: &str, from: Position) -> Option<(Vec<String>, Position, bool)> {
        let mut ids = Ids::of_growing(text.as_bytes());
        if !ids.resume(from).unwrap() {
            return None;
        }
        let found = ids.by_ref().map(|found| {
            let found = found.unwrap().unwrap();
            format!("{}:{}", found.line, found.id)
        });
        let found = found.collect();
        Some((found, ids.taken().unwrap(), ids.is_held()))
    }

    #[test]
    fn what_has_no_end_yet_is_held_back_and_found_later() {
        let start = Ids::new(&b""[..]).taken().unwrap();
        let text = "a\r\nb\n[\"c\",\n\"d\"]\ne";
        let whole = ["1:a", "2:b", "3:c", "3:d", "5:e"];
        for cut in 0..=text.len() {
            let (mut found, taken, is_held) = growing(&text[..cut], start).unwrap();
            let at_an_end = cut == 0 || [3, 5, 16].contains(&cut);
            assert_eq!(is_held, !at_an_end, "{cut}: {found:?}");
            let grown = format!("{text}\n");
            let (more, _, is_held) = growing(&grown, taken).unwrap();
            found.extend(more);
            assert_eq!((found, is_held), (whole.map(str::to_owned).to_vec(), false));
            if taken != start {
                assert_eq!(growing(&grown.replacen('a', "x", 1), taken), None);
            }
        }
    }
}
