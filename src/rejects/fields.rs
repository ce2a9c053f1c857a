//! The fields of one record, and what is in them.
//!
//! It never fails: a record that is not well formed has the fields that a lenient reader sees.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::rejects::dialect::{Dialect, Form};

/// The names of the columns of a file, as far as they are needed to find a value.
#[derive(Debug, Clone, Default)]
pub struct Header {
    names: Vec<String>,
}

impl Header {
    /// The columns that the header record names. Names are compared without the blanks around them.
    #[must_use]
    pub fn read(record: &[u8], dialect: Dialect) -> Self {
        let names = split(record, dialect);
        let names = names.map(|raw| String::from_utf8_lossy(&unquoted(raw)).trim().to_owned());
        Self {
            names: names.collect(),
        }
    }

    /// The names, in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Where the column `name` is: exactly so, or but for the case of its letters.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        let exact = self.names.iter().position(|other| other == name);
        exact.or_else(|| {
            let alike = |other: &String| other.to_lowercase() == name.to_lowercase();
            self.names.iter().position(alike)
        })
    }
}

/// The record without its line break.
#[must_use]
pub fn body(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

/// The fields of a record of CSV as they stand in it, quotes and all.
pub fn split(record: &[u8], dialect: Dialect) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(body(record));
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = field_end(bytes, dialect.delimiter);
        rest = bytes.get(end + 1..);
        Some(&bytes[..end])
    })
}

fn field_end(bytes: &[u8], delimiter: u8) -> usize {
    let mut at = 0;
    if bytes.first() == Some(&b'"') {
        at = 1;
        loop {
            let Some(place) = memchr::memchr(b'"', &bytes[at..]) else {
                return bytes.len();
            };
            at += place + 1;
            if bytes.get(at) != Some(&b'"') {
                break;
            }
            at += 1;
        }
    }
    let rest = memchr::memchr(delimiter, &bytes[at..]);
    rest.map_or(bytes.len(), |place| at + place)
}

/// What a field says: without its quotes, with single ones for those that were doubled.
#[must_use]
pub fn unquoted(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(inside) = raw.strip_prefix(b"\"") else {
        return Cow::Borrowed(raw);
    };
    let mut said = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(place) = memchr::memchr(b'"', rest) {
        said.extend_from_slice(&rest[..place]);
        rest = &rest[place + 1..];
        match rest.strip_prefix(b"\"") {
            Some(after) => {
                said.push(b'"');
                rest = after;
            }
            None => break,
        }
    }
    said.extend_from_slice(rest);
    Cow::Owned(said)
}

/// What stands in the column `name` of a record; `None` if the record has no such column.
#[must_use]
pub fn value<'r>(
    record: &'r [u8],
    dialect: Dialect,
    header: &Header,
    name: &str,
) -> Option<Cow<'r, [u8]>> {
    match dialect.form {
        Form::Csv => {
            let place = header.find(name)?;
            split(record, dialect).nth(place).map(unquoted)
        }
        Form::JsonLines => {
            let object: Map<String, Value> = serde_json::from_slice(body(record)).ok()?;
            let text = match object.get(name)? {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            Some(Cow::Owned(text.into_bytes()))
        }
    }
}

/// Whether a cell holds the value that the server named. The database may have trimmed a text, or
/// read a number: `014`, ` 14` and `14.0` are 14 to it.
#[must_use]
pub fn is_same(cell: &[u8], value: &str) -> bool {
    if cell == value.as_bytes() {
        return true;
    }
    let Ok(cell) = str::from_utf8(cell) else {
        return false;
    };
    let (cell, value) = (cell.trim(), value.trim());
    cell == value || number(cell).is_some_and(|cell| Some(cell) == number(value))
}

/// A decimal number as its sign and its digits without idle zeros, so that long ones do not collapse
/// into one float.
fn number(text: &str) -> Option<(bool, &str, &str)> {
    let (minus, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    Some((
        minus,
        whole.trim_start_matches('0'),
        part.trim_end_matches('0'),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEMICOLON: Dialect = Dialect::csv(b';', b'\n');

    fn texts(record: &[u8]) -> Vec<String> {
        let fields = split(record, SEMICOLON).map(unquoted);
        let text = |field: Cow<'_, [u8]>| String::from_utf8(field.into_owned()).unwrap();
        fields.map(text).collect()
    }

    #[test]
    fn fields_come_without_their_quotes() {
        assert_eq!(
            texts(b"a;\"b;\"\"c\"\"\n\";;d\r\n"),
            ["a", "b;\"c\"\n", "", "d"]
        );
        assert_eq!(texts(b"a\"b;\"c\"d"), ["a\"b", "cd"]);
        assert_eq!(texts(b"\"open;a"), ["open;a"]);
        assert_eq!(texts(b"\n"), [""]);
    }

    #[test]
    fn a_value_is_found_by_its_column() {
        let header = Header::read(b"\" Id \";Name\r\n", SEMICOLON);
        let get = |name| value(b"7;chair\r\n", SEMICOLON, &header, name);
        assert_eq!(get("Id").unwrap().as_ref(), b"7");
        assert_eq!(get("name").unwrap().as_ref(), b"chair");
        assert_eq!(get("price"), None);
        let lines = Dialect::json_lines();
        let none = Header::default();
        let get = |name| value(b"{\"id\": 14, \"x\": null}\n", lines, &none, name);
        assert_eq!(get("id").unwrap().as_ref(), b"14");
        assert_eq!(get("x").unwrap().as_ref(), b"");
        assert_eq!(get("y"), None);
    }

    #[test]
    fn what_the_database_takes_for_the_same_is_the_same() {
        for (cell, value) in [
            ("14", "14"),
            (" 14 ", "14"),
            ("014", "14"),
            ("14.0", "14"),
            ("-.5", "-0.50"),
        ] {
            assert!(is_same(cell.as_bytes(), value), "{cell} {value}");
        }
        for (cell, value) in [
            ("14", "15"),
            ("", "0"),
            ("a", "A"),
            ("9007199254740993", "9007199254740992"),
            ("1e1", "10"),
        ] {
            assert!(!is_same(cell.as_bytes(), value), "{cell} {value}");
        }
    }
}
