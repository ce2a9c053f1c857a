//! The server's words: a task's id, its status, and what one answer said of it.
//!
//! Nothing here judges; see [`crate::failure`] for what a refused row means and
//! [`crate::outcome`] for what a snapshot means.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;

/// The id of an import task.
///
/// Ids are opaque: 1 to 128 bytes without white space and control characters. Most are `MongoDB`
/// `ObjectId`s (24 lower-case hex digits), which are kept in their 12 bytes, since a watch list may
/// hold a million of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    ObjectId([u8; 12]),
    /// A pointer to the text and its length: with both in here every id would be half as large again.
    Other(Box<Text>),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text(Box<str>);

/// Why a text is not the id of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TaskIdError {
    /// No text at all.
    #[error("it is empty")]
    Empty,
    /// More than [`TaskId::MAX_LEN`] bytes.
    #[error("it has {0} bytes; an id has at most 128")]
    TooLong(usize),
    /// White space or a control character.
    #[error("it contains {0:?}; an id has no white space and no control or formatting characters")]
    Character(char),
}

impl TaskId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 128;

    /// When the task was created, by the first 8 digits of an `ObjectId` (Unix seconds). It is what
    /// the id claims, and no more reliable than that.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        let Repr::ObjectId([a, b, c, d, ..]) = self.0 else {
            return None;
        };
        Timestamp::from_second(u32::from_be_bytes([a, b, c, d]).into()).ok()
    }
}

impl FromStr for TaskId {
    type Err = TaskIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Nearly all are, and none of their digits is unfit.
        if let Some(bytes) = object_id(text) {
            return Ok(Self(Repr::ObjectId(bytes)));
        }
        if text.is_empty() {
            return Err(TaskIdError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(TaskIdError::TooLong(text.len()));
        }
        if let Some(bad) = text.chars().find(|&c| is_unfit(c)) {
            return Err(TaskIdError::Character(bad));
        }
        Ok(Self(Repr::Other(Box::new(Text(text.into())))))
    }
}

/// White space, controls, and the invisible characters that reorder or hide text on a screen.
fn is_unfit(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn object_id(text: &str) -> Option<[u8; 12]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let digits: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 12];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The 24 digits. Formatting each byte takes many times as long, and ids are written by the million.
fn hex(bytes: [u8; 12]) -> [u8; 24] {
    let mut digits = [0; 24];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
            *digit = b"0123456789abcdef"[usize::from(value)];
        }
    }
    digits
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Other(text) => f.pad(&text.0),
            Repr::ObjectId(bytes) => {
                let digits = hex(*bytes);
                f.pad(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

/// A task's status, as the endpoint names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// `PENDING_PARSE`: the server is still parsing the rows.
    PendingParse,
    /// `AVAILABLE`: at least one row was added. Not: all of them.
    Available,
    /// `FAIL`.
    Fail,
    /// A status that no version of the documentation names, as the server spelt it.
    Unknown(Box<str>),
}

impl From<&str> for Status {
    fn from(text: &str) -> Self {
        match text {
            "PENDING_PARSE" => Self::PendingParse,
            "AVAILABLE" => Self::Available,
            "FAIL" => Self::Fail,
            other => Self::Unknown(other.into()),
        }
    }
}

/// How many rows: of a task, added, refused. Each is absent until the server has given it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the task.
    pub total: Option<u32>,
    /// Rows that went in.
    pub succeeded: Option<u32>,
    /// Rows that did not.
    pub failed: Option<u32>,
}

/// What the server said of one task in one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The task's status.
    pub status: Status,
    /// Its progress in percent. Documented as 1 to 100; it never decides an outcome.
    pub progress: Option<u8>,
    /// Its rows.
    pub counts: Counts,
    /// What was refused, as far as it was listed: there may be fewer entries than rows.
    pub details: Vec<FailDetail>,
}

/// One entry of `fail_detail`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailDetail {
    /// The field `row`.
    pub row: RowField,
    /// The field `row_number_start`.
    pub start: Option<u32>,
    /// The field `row_number_end`.
    pub end: Option<u32>,
    /// The field `fail_reason`: the database's own text, which quotes the user's data. Hostile.
    pub reason: String,
}

/// The field `row` of a refused row. That it is there and null is a sign of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowField {
    /// The answer has no such field.
    Absent,
    /// The field is null.
    Null,
    /// The number of a row, 1 or above.
    Row(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_they_were_written() {
        let long = "x".repeat(128);
        for id in [
            "68ec7ad3e307920f002648cd",
            "68EC7AD3E307920F002648CD",
            "68ec7ad3e307920f002648cg",
            "68ec7ad3e307920f002648c",
            "--help",
            "täsk/1?&=%",
            long.as_str(),
        ] {
            assert_eq!(id.parse::<TaskId>().unwrap().to_string(), id);
        }
    }

    #[test]
    fn an_id_takes_sixteen_bytes() {
        assert_eq!(size_of::<TaskId>(), 16);
    }

    #[test]
    fn ids_that_cannot_be() {
        assert_eq!("".parse::<TaskId>(), Err(TaskIdError::Empty));
        assert_eq!(
            "x".repeat(129).parse::<TaskId>(),
            Err(TaskIdError::TooLong(129))
        );
        for (text, bad) in [
            ("a b", ' '),
            ("a\u{1b}[m", '\u{1b}'),
            ("a\u{202e}b", '\u{202e}'),
        ] {
            assert_eq!(text.parse::<TaskId>(), Err(TaskIdError::Character(bad)));
        }
    }

    #[test]
    fn an_object_id_tells_its_age() {
        let id: TaskId = "68ec7ad3e307920f002648cd".parse().unwrap();
        assert_eq!(id.created_at().unwrap().to_string(), "2025-10-13T04:06:43Z");
        assert_eq!("task-1".parse::<TaskId>().unwrap().created_at(), None);
    }
}
