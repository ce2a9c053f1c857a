//! Tells whether a file's bytes can be read as they are: in any encoding that keeps ASCII, a comma is
//! a comma and a line break is a line break.
//!
//! It never converts anything: what is written again are the bytes that were read.

use thiserror::Error;

/// The bytes that a file begins with to say its encoding, and that belong to no record.
const MARKS: [&[u8]; 2] = [b"\xef\xbb\xbf", b"\x84\x31\x95\x33"];

/// What kind of file it is, by the bytes that such files begin with, although it is none with records.
const OTHERS: [(&[u8], &str); 9] = [
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook (.xlsx)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"%PDF-", "a PDF document"),
];

/// The encodings in which ASCII is not ASCII, by the mark that a file in them begins with; longer
/// ones first, since one begins with another.
const FOREIGN: [(&[u8], &str); 8] = [
    (b"\xff\xfe\0\0", "UTF-32 (little endian)"),
    (b"\0\0\xfe\xff", "UTF-32 (big endian)"),
    (b"\xff\xfe", "UTF-16 (little endian)"),
    (b"\xfe\xff", "UTF-16 (big endian)"),
    (b"+/v", "UTF-7"),
    (b"\xdds\x66\x73", "UTF-EBCDIC"),
    (b"\x0e\xfe\xff", "SCSU"),
    (b"\xfb\xee\x28", "BOCU-1"),
];

/// How much of the beginning is looked at for the signs that are not a mark.
const LOOK: usize = 64 << 10;

/// Why a file's bytes cannot be read as records.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// An encoding in which the signs of ASCII are other bytes.
    #[error(
        "it is written in {0}, in which a comma or a line break is not the byte that it is in ASCII; convert it to UTF-8 (iconv does it) and import from that"
    )]
    Encoding(&'static str),
    /// Another kind of file.
    #[error("it is {0}, not text with one record a line")]
    Kind(&'static str),
    /// One JSON value with all records in it.
    #[error("it is one JSON array; write one object a line (JSON lines): jq -c '.[]' does it")]
    JsonArray,
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
}

/// How many bytes a file that begins with `head` has before its first record, and whether it is
/// UTF-8 as far as can be seen.
///
/// # Errors
///
/// That its bytes cannot be read as they are, and what they are.
pub fn look(head: &[u8]) -> Result<(usize, bool), Unreadable> {
    if head.is_empty() {
        return Err(Unreadable::Empty);
    }
    if let Some((_, name)) = FOREIGN.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Err(Unreadable::Encoding(name));
    }
    if let Some((_, name)) = OTHERS.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Err(Unreadable::Kind(name));
    }
    let look = head.get(..LOOK).unwrap_or(head);
    if let Some(name) = with_nuls(look) {
        return Err(name);
    }
    if let Some(name) = escaped(look).or_else(|| ebcdic(look)) {
        return Err(Unreadable::Encoding(name));
    }
    let mark = MARKS.iter().find(|mark| head.starts_with(mark));
    let mark = mark.map_or(0, |mark| mark.len());
    Ok((mark, is_utf8(&head[mark..])))
}

/// The mark that has so many bytes.
pub(super) fn mark(length: usize) -> &'static [u8] {
    let mark = MARKS.iter().find(|mark| mark.len() == length);
    mark.copied().unwrap_or_default()
}

/// Whether all is UTF-8; a character that is cut off at the end counts as one.
fn is_utf8(bytes: &[u8]) -> bool {
    match str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

/// What a text with NUL bytes is: where they stand tells the wide encodings, in which a sign of
/// ASCII has one or three of them.
fn with_nuls(bytes: &[u8]) -> Option<Unreadable> {
    let mut nuls = [0_usize; 4];
    for place in memchr::memchr_iter(0, bytes) {
        nuls[place % 4] += 1;
    }
    let all: usize = nuls.iter().sum();
    if all == 0 {
        return None;
    }
    let quarter = bytes.len() / 4;
    let many = nuls.map(|nuls| nuls > quarter / 2);
    Some(match many {
        [false, true, true, true] => Unreadable::Encoding("UTF-32 (little endian)"),
        [true, true, true, false] => Unreadable::Encoding("UTF-32 (big endian)"),
        [false, true, false, true] => Unreadable::Encoding("UTF-16 (little endian)"),
        [true, false, true, false] => Unreadable::Encoding("UTF-16 (big endian)"),
        _ => Unreadable::Kind("binary: it has NUL bytes"),
    })
}

/// The encodings that switch to another alphabet with bytes of ASCII.
fn escaped(bytes: &[u8]) -> Option<&'static str> {
    let is_there = |sign: &[u8]| memchr::memmem::find(bytes, sign).is_some();
    if is_there(b"\x1b$") || is_there(b"\x1b(J") || is_there(b"\x1b(I") {
        return Some("ISO-2022 (JIS and its like)");
    }
    (bytes.is_ascii() && is_there(b"~{") && is_there(b"~}")).then_some("HZ")
}

/// In EBCDIC letters and digits are bytes from 0x81 on, and a space is an `@`.
fn ebcdic(bytes: &[u8]) -> Option<&'static str> {
    let alike = bytes.iter().filter(|byte| {
        matches!(byte, 0x40 | 0x6b | 0x15 | 0x25 | 0x81..=0x89 | 0x91..=0x99 | 0xa2..=0xa9
            | 0xc1..=0xc9 | 0xd1..=0xd9 | 0xe2..=0xe9 | 0xf0..=0xf9)
    });
    let ascii = bytes.iter().filter(|byte| {
        byte.is_ascii_digit() || matches!(byte, b'a'..=b'z' | b' ' | b',' | b'\n' | b'"')
    });
    let (alike, ascii) = (alike.count(), ascii.count());
    let is_it = bytes.len() >= 8 && alike * 10 > bytes.len() * 9 && ascii * 5 < bytes.len();
    is_it.then_some("EBCDIC")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, width: usize, big: bool) -> Vec<u8> {
        let char = |c: char| {
            let mut bytes = vec![0; width];
            let place = if big { width - 1 } else { 0 };
            bytes[place] = u8::try_from(c).unwrap();
            bytes
        };
        text.chars().flat_map(char).collect()
    }

    #[test]
    fn what_keeps_ascii_is_read_as_it_is() {
        for (head, mark, utf8) in [
            (&b"id,name\n1,a\n"[..], 0, true),
            (b"\xef\xbb\xbfid,name\n", 3, true),
            (b"id\n\xc3\xa4\n", 0, true),
            (b"id\nabc\xc3", 0, true),
            (b"id,name\n1,M\xfcller\n", 0, false),
            (b"id,name\n1,\x83\x65\x83\x58\x83\x67\n", 0, false),
            (b"id,name\n1,\xd6\xd0\xce\xc4\xd6\xd0\xce\xc4\n", 0, false),
        ] {
            assert_eq!(look(head), Ok((mark, utf8)), "{head:x?}");
        }
    }

    #[test]
    fn the_others_are_refused_by_name() {
        let text = "id,name\n1,chair\n2,table\n";
        for (width, big, name) in [
            (2, false, "UTF-16 (little endian)"),
            (2, true, "UTF-16 (big endian)"),
            (4, false, "UTF-32 (little endian)"),
            (4, true, "UTF-32 (big endian)"),
        ] {
            let found = look(&wide(text, width, big));
            assert_eq!(found, Err(Unreadable::Encoding(name)));
            let marked = wide(&format!("\u{e9}{text}"), width, big);
            assert_eq!(look(&marked), Err(Unreadable::Encoding(name)));
        }
        for (head, name) in [
            (&b"\xff\xfei\0d\0"[..], "UTF-16 (little endian)"),
            (b"\xff\xfe\0\0i\0\0\0", "UTF-32 (little endian)"),
            (b"id\n\x1b$B$3$s\x1b(B\n", "ISO-2022 (JIS and its like)"),
            (b"id\n~{VPND~}\n", "HZ"),
            (
                b"\x89\x84\x6b\x95\x81\x94\x85\x15\xf1\x6b\x83\x88\x81\x89\x99\x15",
                "EBCDIC",
            ),
        ] {
            assert_eq!(look(head), Err(Unreadable::Encoding(name)), "{head:x?}");
        }
        assert!(matches!(look(b"\x1f\x8b\x08"), Err(Unreadable::Kind(_))));
        assert!(matches!(look(b"id\n1\0\n2,3,4"), Err(Unreadable::Kind(_))));
        assert_eq!(look(b""), Err(Unreadable::Empty));
    }
}
