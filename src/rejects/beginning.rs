//! How a file writes its records, found out from how it begins.
//!
//! It guesses from that alone, and never from the file's name.

use crate::rejects::dialect::Dialect;
use crate::rejects::encoding::{self, Unreadable};
use crate::rejects::fields;
use crate::rejects::scan::{self, Scanner};

/// The delimiters that are looked for, the more usual first.
const DELIMITERS: [u8; 5] = [b',', b';', b'\t', b'|', 0x1f];
/// How many records are looked at.
const RECORDS: usize = 50;

/// What the beginning of a file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// How its records are written.
    pub dialect: Dialect,
    /// How many bytes come before the first, which say the encoding.
    pub mark: usize,
    /// Whether it is UTF-8 as far as it was seen.
    pub is_utf8: bool,
}

impl Beginning {
    /// The bytes that come before the first record.
    #[must_use]
    pub fn mark_bytes(&self) -> &'static [u8] {
        encoding::mark(self.mark)
    }
}

/// How the file that begins with `head` is written; with `delimiter`, where that is known.
///
/// # Errors
///
/// That its bytes cannot be read as records, and what they are.
pub fn detect(head: &[u8], delimiter: Option<u8>) -> Result<Beginning, Unreadable> {
    let (mark, is_utf8) = encoding::look(head)?;
    let text = &head[mark..];
    let first = text.trim_ascii_start();
    if delimiter.is_none() && first.starts_with(b"{") {
        return Ok(Beginning {
            dialect: Dialect::json_lines(),
            mark,
            is_utf8,
        });
    }
    if first.strip_prefix(b"[").is_some_and(|inside| {
        let inside = inside.trim_ascii_start();
        inside.starts_with(b"{") || inside.starts_with(b"[")
    }) {
        return Err(Unreadable::JsonArray);
    }
    let line_end = if memchr::memchr(b'\n', text).is_none() && memchr::memchr(b'\r', text).is_some()
    {
        b'\r'
    } else {
        b'\n'
    };
    let delimiter = delimiter.unwrap_or_else(|| guess(text, line_end, is_utf8));
    Ok(Beginning {
        dialect: Dialect::csv(delimiter, line_end),
        mark,
        is_utf8,
    })
}

/// The delimiter by which the most records have as many fields as the header, and more than one.
fn guess(text: &[u8], line_end: u8, is_utf8: bool) -> u8 {
    let mut best = (b',', (0, 0));
    for delimiter in DELIMITERS {
        if delimiter == b'|' && !is_utf8 && has_half_bar(text) {
            continue;
        }
        let score = score(text, Dialect::csv(delimiter, line_end));
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

/// Whether a bar may be half of a character, as in the older encodings of Chinese and Japanese.
fn has_half_bar(text: &[u8]) -> bool {
    memchr::memchr_iter(b'|', text).any(|at| at > 0 && !text[at - 1].is_ascii())
}

/// How many percent of the records have as many fields as the first, and how many those are.
fn score(text: &[u8], dialect: Dialect) -> (usize, usize) {
    let mut scanner = Scanner::new(dialect);
    let (mut rest, mut columns, mut seen, mut alike) = (text, None, 0, 0);
    while seen < RECORDS {
        let Some(end) = scanner.end(rest) else {
            // What is cut off says something only if it is all there is.
            if seen == 0 {
                columns = Some(fields::split(rest, dialect).count());
                (seen, alike) = (1, 1);
            }
            break;
        };
        let (record, after) = rest.split_at(end);
        rest = after;
        if scan::is_blank(record) {
            continue;
        }
        let fields = fields::split(record, dialect).count();
        seen += 1;
        alike += usize::from(*columns.get_or_insert(fields) == fields);
    }
    match columns {
        Some(columns) if columns > 1 => (alike * 100 / seen.max(1), columns),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &[u8], dialect: Dialect) {
        assert_eq!(detect(head, None).unwrap().dialect, dialect);
    }

    #[test]
    fn the_delimiter_is_the_one_that_makes_a_table() {
        check(b"id,name\n1,a;b;c\n", Dialect::csv(b',', b'\n'));
        check(b"id;name\n1;3,5\n2;\"a,\nb\"\n", Dialect::csv(b';', b'\n'));
        check(b"id\tname, full\n1\ta\n", Dialect::csv(b'\t', b'\n'));
        check(b"id|name\r\n1|x\r\n", Dialect::csv(b'|', b'\n'));
        check(b"id,name\r1,x\r", Dialect::csv(b',', b'\r'));
        check(b"id\n1\n2\n", Dialect::csv(b',', b'\n'));
        check(b"id;name", Dialect::csv(b';', b'\n'));
        check(b"\n  {\"id\": 1}\n", Dialect::json_lines());
    }

    #[test]
    fn half_of_a_character_is_no_delimiter() {
        check(b"id|n\xfcm\n1|2\n", Dialect::csv(b'|', b'\n'));
        let head = b"id,n\x83|me\n1,\x83|\n2,\x83|\n";
        check(head, Dialect::csv(b',', b'\n'));
        let told = detect(head, Some(b'|')).unwrap();
        assert_eq!(told.dialect.delimiter, b'|');
    }

    #[test]
    fn one_array_is_not_lines() {
        assert_eq!(
            detect(b" [\n {\"id\": 1}]", None),
            Err(Unreadable::JsonArray)
        );
        check(b"[id],name\n1,2\n", Dialect::csv(b',', b'\n'));
    }
}
