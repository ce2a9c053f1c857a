//! Picks task ids out of what an import command prints, among anything else that it may print.
//!
//! Only what can hardly be anything else is taken for an id: a line that is nothing but 24
//! hexadecimal digits, the form of the server's ids; and the import endpoint's answers, alone or
//! inside a line, over several lines too. It never takes a word of a sentence for an id.

use serde_json::Deserializer;

use crate::notice::safe;
use crate::task::TaskId;
use crate::watchlist::json::{Given, Nesting};
use crate::watchlist::unusable::{self, Unusable, What};

/// The longest line that is looked at, and the longest JSON value over several lines, in bytes.
const LONGEST: usize = 1024 * 1024;
/// While a JSON value has so few lines, each more of them is a time to see whether it is one at all;
/// later, each doubling.
const FEW: usize = 64;
/// No answer is nested so deep, and looking deeper would take long where every line opens a bracket.
const DEEPEST: usize = 4;
/// So many places of one line are tried for an answer inside it.
const MOST_TRIED: usize = 32;
/// The vendor's codes of failure have five digits; smaller ones in some JSON are not the vendor's.
const LEAST_CODE: i64 = 10_000;

/// What was picked out, or an import that was not accepted.
pub type Picked = Result<TaskId, Unusable>;

/// Picks, as the output comes.
#[derive(Debug, Default)]
pub struct Picker {
    /// The line that has no end yet.
    line: Vec<u8>,
    is_too_long: bool,
    /// The number of the last line that has an end.
    number: usize,
    /// Lines that may be JSON, while it is not known yet.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    lines: Vec<String>,
    length: usize,
    /// The number of the first of them.
    number: usize,
    nesting: Nesting,
}

impl Picker {
    /// Takes in what was printed next.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Picked> {
        let mut picked = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() > LONGEST {
                self.is_too_long = true;
                self.line.clear();
            }
            if !self.is_too_long {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                self.end_line(&mut picked);
            }
        }
        picked
    }

    /// There is no more.
    #[must_use]
    pub fn end(mut self) -> Vec<Picked> {
        let mut picked = Vec::new();
        if !self.line.is_empty() {
            self.end_line(&mut picked);
        }
        // What is still held is no JSON after all, but some of it may be ids.
        while let Some(held) = self.held.take() {
            self.let_go(held, &mut picked);
        }
        picked
    }

    fn end_line(&mut self, picked: &mut Vec<Picked>) {
        self.number += 1;
        let line = std::mem::take(&mut self.line);
        let is_too_long = std::mem::take(&mut self.is_too_long);
        match String::from_utf8(line) {
            Ok(line) if !is_too_long => self.take(line, self.number, picked),
            _ => {
                if let Some(held) = self.held.take() {
                    self.let_go(held, picked);
                }
            }
        }
    }

    fn take(&mut self, line: String, number: usize, picked: &mut Vec<Picked>) {
        let text = line.trim_start_matches('\u{feff}').trim();
        let mut held = match self.held.take() {
            Some(held) => held,
            None if text.starts_with(['{', '[']) => Held {
                lines: Vec::new(),
                length: 0,
                number,
                nesting: Nesting::default(),
            },
            None => {
                pick_line(text, number, picked);
                return;
            }
        };
        held.nesting.follow(text.as_bytes());
        held.length += line.len() + 1;
        held.lines.push(line);
        let lines = held.lines.len();
        if !held.nesting.is_closed() && lines > FEW && !lines.is_power_of_two() {
            self.held = Some(held);
            return;
        }
        let read = if held.nesting.depth() > DEEPEST {
            Read::Other
        } else {
            read(&held)
        };
        match read {
            Read::Whole(all) => {
                for given in all {
                    pick(given, held.number, picked);
                }
            }
            Read::Begun if held.length < LONGEST => self.held = Some(held),
            Read::Begun | Read::Other => self.let_go(held, picked),
        }
    }

    /// What was held is not one JSON text: its first line is a line like any other, and the next may
    /// begin one.
    fn let_go(&mut self, held: Held, picked: &mut Vec<Picked>) {
        let mut lines = held.lines.into_iter().zip(held.number..);
        if let Some((first, number)) = lines.next() {
            pick_line(first.trim_start_matches('\u{feff}').trim(), number, picked);
        }
        for (line, number) in lines {
            self.take(line, number, picked);
        }
    }
}

enum Read {
    /// JSON values and nothing else.
    Whole(Vec<Given>),
    /// That, but the last has no end yet.
    Begun,
    /// Something else.
    Other,
}

fn read(held: &Held) -> Read {
    let text = held.lines.join("\n");
    let text = text.trim_start_matches('\u{feff}');
    let mut all = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Given>() {
        match value {
            Ok(given) => all.push(given),
            Err(error) if error.is_eof() => return Read::Begun,
            Err(_) => return Read::Other,
        }
    }
    Read::Whole(all)
}

/// Picks out of one line that is no JSON as a whole.
fn pick_line(text: &str, number: usize, picked: &mut Vec<Picked>) {
    if is_server_id(text) {
        take_id(text, number, picked);
        return;
    }
    let mut rest = text;
    for _ in 0..MOST_TRIED {
        let Some(at) = rest.find('{') else { return };
        rest = rest.get(at..).unwrap_or_default();
        let mut values = Deserializer::from_str(rest).into_iter::<Given>();
        let length = match values.next() {
            Some(Ok(given)) => {
                pick(given, number, picked);
                values.byte_offset()
            }
            _ => 1,
        };
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// Picks out of a JSON value: an answer of the import endpoint, or a list of what look like ids.
fn pick(given: Given, number: usize, picked: &mut Vec<Picked>) {
    match given {
        Given::Answer {
            code: Some(0),
            data: Some(ids),
            ..
        } => ids.iter().for_each(|id| take_id(id, number, picked)),
        Given::Answer {
            code: Some(code),
            message: Some(message),
            ..
        } if code >= LEAST_CODE => {
            let message = safe::start(&message, 200);
            let what = What::NotAccepted { code, message };
            picked.push(Err(Unusable::at_line(number, what)));
        }
        Given::Answer {
            code: None,
            data: Some(ids),
            ..
        }
        | Given::Ids(ids)
            if ids.iter().all(|id| is_server_id(id)) =>
        {
            for id in &ids {
                take_id(id, number, picked);
            }
        }
        Given::Answer { .. } | Given::Ids(_) | Given::Other(_) => {}
    }
}

fn take_id(text: &str, number: usize, picked: &mut Vec<Picked>) {
    picked.push(
        text.parse()
            .map_err(|source| Unusable::at_line(number, unusable::not_an_id(text, source))),
    );
}

/// Whether a text has the form of the server's own ids.
fn is_server_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "68ec7ad3e307920f002648cd";

    /// The ids, and how many imports were not accepted.
    fn picked(text: &str, size: usize) -> (Vec<String>, usize) {
        let mut picker = Picker::default();
        let mut all: Vec<_> = text
            .as_bytes()
            .chunks(size)
            .flat_map(|c| picker.feed(c))
            .collect();
        all.extend(picker.end());
        let refused = all.iter().filter(|one| one.is_err()).count();
        let ids = all.into_iter().filter_map(Result::ok);
        (ids.map(|id| id.to_string()).collect(), refused)
    }

    fn ids(text: &str) -> Vec<String> {
        let (ids, refused) = picked(text, text.len().max(1));
        assert_eq!(refused, 0, "{text}");
        // How the text comes in does not matter.
        for size in [1, 7] {
            assert_eq!(picked(text, size).0, ids, "{text}");
        }
        ids
    }

    #[test]
    fn ids_are_found_among_anything() {
        let pretty = format!(
            "{{\n  \"code\": 0,\n  \"message\": \"OK\",\n  \"data\": [\n    \"{ID}\"\n  ]\n}}"
        );
        for text in [
            ID.to_owned(),
            format!("\u{feff}  {ID} \r\n"),
            format!("uploading\n{ID}\ndone\n"),
            "{\"code\":0,\"message\":\"OK\",\"data\":[\"ID\"]}".replace("ID", ID),
            format!("[INFO] begin\n{pretty}\n[INFO] end\n"),
            format!("[1/3 rows\n{ID}\n"),
            format!("[\n{ID}\n"),
            format!("{{\n{pretty}\n"),
            format!("[1,\n2,\n{pretty}\n"),
            "12:00 answered: {\"code\":0,\"data\":[\"ID\"]} in 3 s\n".replace("ID", ID),
            "{\"code\":0,\"data\":[\"ID\"]} done".replace("ID", ID),
            "rows {1, 2} {\"code\":0,\"data\":[\"ID\"]}".replace("ID", ID),
            format!("[\"{ID}\"]\n"),
            format!("{{\"data\":[\"{ID}\"]}}\n"),
            format!("{}\n{ID}\n", "x".repeat(3 * LONGEST)),
            format!("{{\"a\":\"{}\n{ID}\n", "x".repeat(2 * LONGEST)),
        ] {
            if text.len() < 10_000 {
                assert_eq!(ids(&text), [ID], "{text}");
            } else {
                assert_eq!(picked(&text, 65_536).0, [ID]);
            }
        }
        let three = "{\"code\":0,\"data\":[\"a\"]}{\"code\":0,\"data\":[\"b\",\"c\"]}\n";
        assert_eq!(ids(three), ["a", "b", "c"]);
    }

    #[test]
    fn nothing_else_is_taken_for_an_id() {
        for text in [
            "done",
            "products",
            "68ec7ad3e307920f002648cde",
            "see 68ec7ad3e307920f002648cd for more",
            "dataset: 68ec7ad3e307920f002648cd",
            "8f3c2d1e0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d",
            "[\"done\"]",
            "[\"68ec7ad3e307920f002648cd\",\"done\"]",
            "{\"data\":[\"done\"]}",
            "{\"level\":\"info\",\"msg\":\"68ec7ad3e307920f002648cd\",\"code\":200}",
            "{\"code\":0,\"data\":{\"id\":\"68ec7ad3e307920f002648cd\"}}",
            "{\"id\":\"68ec7ad3e307920f002648cd\"}",
            "[[[[[[[[",
            "{",
            "",
        ] {
            assert_eq!(ids(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(ids(&"[\n".repeat(3000)), Vec::<String>::new());
    }

    #[test]
    fn an_import_that_was_not_accepted_is_told() {
        let (ids, refused) = picked("x\n{\"code\":40127,\"message\":\"bad key\"}\n", 5);
        assert_eq!((ids.len(), refused), (0, 1));
    }
}
