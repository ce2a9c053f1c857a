//! Reads the body of an answer, in each of the shapes that are known.
//!
//! It never guesses: a body in no known shape is unreadable as a whole, and what it says of a task
//! in a way that cannot be relied on is "unread", never an outcome and never an absence.

use std::str::Utf8Error;

use thiserror::Error;

use crate::api::entries::Entries;
use crate::api::json::{self, Field};
use crate::task::{Snapshot, TaskId};

/// What a body says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// It lists tasks.
    Tasks(Tasks),
    /// It reports an error, whatever the HTTP status.
    Complaint(Complaint),
}

/// What an answer says of the tasks that it was asked about. An id in neither list was certainly
/// absent from it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Ids with what was said of them, in the order asked.
    pub found: Vec<(TaskId, Snapshot)>,
    /// Ids whose entry could not be read, or may have been among those that could not.
    pub unread: Vec<TaskId>,
}

/// An error as a body reports it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// Its code, where it is a number.
    pub code: Option<i64>,
    /// The HTTP status that the body itself names.
    pub status: Option<u16>,
    /// Its message, whole. Hostile.
    pub message: Option<String>,
}

/// Why a body cannot be read. What it shows of the body is nothing but where.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Encoding(#[source] Utf8Error),
    /// Not JSON, or JSON with something behind it.
    #[error("it is not JSON ({0})")]
    Json(#[source] serde_json::Error),
    /// JSON in a shape that the endpoint is not known to give.
    #[error("{0}")]
    Shape(&'static str),
}

/// Reads `body`, the answer about the ids `asked`.
///
/// Its memory is bounded by the body's size and, for failed rows, by the number of ids.
///
/// # Errors
///
/// [`Unreadable`] where the body as a whole says nothing that can be relied on.
pub fn read(body: &[u8], asked: &[TaskId]) -> Result<Said, Unreadable> {
    let text = std::str::from_utf8(body).map_err(Unreadable::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();
    match text.as_bytes().first() {
        None => Err(Unreadable::Empty),
        Some(b'[') => tasks(text, asked).map(Said::Tasks),
        Some(b'{') => envelope(text, asked),
        // Told here, since the reader's own message would quote the body.
        Some(_) => Err(Unreadable::Shape("it is neither a list nor an object")),
    }
}

fn tasks(list: &str, asked: &[TaskId]) -> Result<Tasks, Unreadable> {
    let mut entries = Entries::of(asked);
    json::elements(list, |entry| entries.take(entry)).map_err(Unreadable::Json)?;
    let (found, unread) = entries.finish(asked);
    Ok(Tasks { found, unread })
}

fn envelope(object: &str, asked: &[TaskId]) -> Result<Said, Unreadable> {
    let found = json::fields(object, ["code", "data", "error", "message", "msg"])
        .map_err(Unreadable::Json)?;
    if found.iter().any(|field| matches!(field, Field::Twice)) {
        return Err(Unreadable::Shape("it has a key twice"));
    }
    // A null under these keys says as little as no key.
    let [code, data, error, message, msg] = found.map(|field| match field {
        Field::Once(value) => Some(value),
        Field::Absent | Field::Twice => None,
    });
    let [code, error, message, msg] =
        [code, error, message, msg].map(|value| value.filter(|value| *value != "null"));
    let said = message.and_then(text).or_else(|| msg.and_then(text));
    if let Some(error) = error {
        return complaint(error, code, said).map(Said::Complaint);
    }
    let code = code.map(number);
    if let Some(code) = code
        && code != Some(0)
    {
        return Ok(Said::Complaint(Complaint {
            code,
            status: None,
            message: said,
        }));
    }
    match data {
        Some(list) if list.starts_with('[') => tasks(list, asked).map(Said::Tasks),
        Some("null") if code.is_some() => tasks("[]", asked).map(Said::Tasks),
        Some(_) => Err(Unreadable::Shape("its `data` is not a list")),
        None => Err(Unreadable::Shape("it has no `data`")),
    }
}

/// What the value of `error` reports, with the code and the message beside it.
fn complaint(
    error: &str,
    code: Option<&str>,
    beside: Option<String>,
) -> Result<Complaint, Unreadable> {
    let outer = code.and_then(number);
    if error.starts_with('"') {
        return Ok(Complaint {
            code: outer,
            status: None,
            message: beside.or_else(|| text(error)),
        });
    }
    if !error.starts_with('{') {
        return Err(Unreadable::Shape(
            "its `error` is neither a text nor an object",
        ));
    }
    let found =
        json::fields(error, ["code", "message", "msg", "status"]).map_err(Unreadable::Json)?;
    let [code, message, msg, status] = found.map(|field| match field {
        Field::Once(value) => Some(value),
        Field::Absent | Field::Twice => None,
    });
    Ok(Complaint {
        code: code.and_then(number).or(outer),
        status: status
            .and_then(number)
            .and_then(|status| status.try_into().ok()),
        message: message
            .and_then(text)
            .or_else(|| msg.and_then(text))
            .or(beside),
    })
}

/// A whole number, or a string of one.
fn number(json: &str) -> Option<i64> {
    let digits = json
        .strip_prefix('"')
        .and_then(|json| json.strip_suffix('"'));
    digits.unwrap_or(json).trim().parse().ok()
}

fn text(json: &str) -> Option<String> {
    json::text(json).filter(|text| !text.trim().is_empty())
}
