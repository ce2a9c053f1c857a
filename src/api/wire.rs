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

/// So much of a message is read at least, where there is as much, in bytes.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// An error as a body reports it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// Its code, where it is a number.
    pub code: Option<i64>,
    /// The HTTP status that the body itself names.
    pub status: Option<u16>,
    /// Its message, or the beginning of a very long one. Hostile.
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
    json::beginning(json, LONGEST_MESSAGE).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: [&str; 4] = [
        include_str!("../../tests/wire/answer-2024-envelope.json"),
        include_str!("../../tests/wire/answer-2025-bare-available-partial.json"),
        include_str!("../../tests/wire/answer-2025-bare-fail.json"),
        include_str!("../../tests/wire/answer-2025-envelope-progress.json"),
    ];

    fn asked() -> Vec<TaskId> {
        ["a", "673e9cda9f7bc178002dbd9c", "68ec7ad3e307920f002648cd"]
            .map(|id| id.parse().unwrap())
            .to_vec()
    }

    fn said(body: &str) -> Result<Said, Unreadable> {
        read(body.as_bytes(), &asked())
    }

    #[test]
    fn an_empty_list_is_an_absence() {
        for body in [
            "[]",
            " \n[ ]\n",
            "\u{feff}[]",
            r#"{"data":[]}"#,
            r#"{"code":0,"data":null}"#,
            r#"{"code":"0","data":[],"error":null}"#,
            r#"{"code":null,"data":[],"error":null,"other":1}"#,
        ] {
            let Ok(Said::Tasks(tasks)) = said(body) else {
                panic!("{body}");
            };
            assert_eq!(tasks, Tasks::default(), "{body}");
        }
    }

    #[test]
    fn a_list_of_something_else_leaves_all_unread() {
        for body in [
            r#"{"code":0,"message":"OK","data":["a"]}"#,
            "[[[]]]",
            "[null]",
        ] {
            let Ok(Said::Tasks(tasks)) = said(body) else {
                panic!("{body}");
            };
            assert_eq!((tasks.found.len(), tasks.unread), (0, asked()), "{body}");
        }
    }

    #[test]
    fn anything_else_is_unreadable() {
        for body in [
            "",
            "  ",
            "null",
            "0",
            "\"[]\"",
            "{}",
            "[]x",
            "[] []",
            "[",
            "[,]",
            "<html></html>",
            r#"{"data":null}"#,
            r#"{"code":0,"message":"OK"}"#,
            r#"{"code":0,"data":{}}"#,
            r#"{"code":0,"data":"[]"}"#,
            r#"{"code":0,"code":0,"data":[]}"#,
            r#"{"code":0,"data":[],"data":[]}"#,
            r#"{"error":false,"data":[]}"#,
            r#"{"id":"a","status":"AVAILABLE"}"#,
        ] {
            let found = said(body);
            assert!(found.is_err(), "{body}: {found:?}");
        }
        assert!(matches!(
            read(b"[\"\xff\"]", &asked()),
            Err(Unreadable::Encoding(_))
        ));
        let deep = "[".repeat(200_000);
        assert!(said(&deep).is_err());
        assert!(said(&format!(r#"{{"data":{deep}"#)).is_err());
        assert!(said(&deep.replace('[', r#"{"error":"#)).is_err());
    }

    #[test]
    fn complaints_in_each_form() {
        let complaint = |code, status, message: Option<&str>| Complaint {
            code,
            status,
            message: message.map(str::to_owned),
        };
        for (body, expected) in [
            (
                r#"{"code":40127,"message":"no"}"#,
                complaint(Some(40127), None, Some("no")),
            ),
            (
                r#"{"msg":"no","code":" 40127"}"#,
                complaint(Some(40127), None, Some("no")),
            ),
            (
                r#"{"code":-1,"message":7,"data":[]}"#,
                complaint(Some(-1), None, None),
            ),
            (
                r#"{"code":"FAIL","message":" "}"#,
                complaint(None, None, None),
            ),
            (r#"{"code":1e400}"#, complaint(None, None, None)),
            (
                r#"{"error":"no","status":404}"#,
                complaint(None, None, Some("no")),
            ),
            (
                r#"{"code":0,"data":[],"error":{"code":"x","message":"no","status":400}}"#,
                complaint(Some(0), Some(400), Some("no")),
            ),
            (
                r#"{"error":{"code":40008,"status":99999},"message":"no"}"#,
                complaint(Some(40008), None, Some("no")),
            ),
            (
                r#"{"error":{"status":400,"status":500}}"#,
                complaint(None, None, None),
            ),
        ] {
            match said(body) {
                Ok(Said::Complaint(found)) => assert_eq!(found, expected, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    /// Asserts what must hold of any body.
    fn check(body: &[u8]) {
        let asked = asked();
        if let Ok(Said::Tasks(tasks)) = read(body, &asked) {
            let told: Vec<&TaskId> = tasks
                .found
                .iter()
                .map(|(id, _)| id)
                .chain(&tasks.unread)
                .collect();
            for id in &told {
                assert!(asked.contains(id));
                assert_eq!(told.iter().filter(|other| other == &id).count(), 1);
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
            check(&body);
        }

        #[test]
        fn arbitrary_tokens(parts in prop::collection::vec(prop::sample::select(vec![
            "[", "]", "{", "}", ",", ":", "null", "0", "-1", "1e9", "\"a\"", "\"b\"", "\"id\"",
            "\"status\"", "\"FAIL\"", "\"fail_detail\"", "\"fail_count\"", "\"row\"", "\"code\"",
            "\"data\"", "\"error\"", "\"\\ud800\"",
        ]), 0..40)) {
            check(parts.concat().as_bytes());
        }

        #[test]
        fn mutated_good_bodies(
            which in 0..GOOD.len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
        ) {
            let mut body = GOOD[which].as_bytes().to_vec();
            for (place, byte, how) in changes {
                let place = place.index(body.len());
                match how {
                    0 => body[place] = byte,
                    1 => body.insert(place, byte),
                    _ => body.truncate(place.max(1)),
                }
            }
            check(&body);
        }

        /// A body that is cut off is never taken for a whole one.
        #[test]
        fn cut_bodies_are_unreadable(which in 0..GOOD.len(), place in any::<prop::sample::Index>()) {
            let body = GOOD[which].trim_end().as_bytes();
            prop_assert!(read(&body[..place.index(body.len())], &asked()).is_err());
        }
    }
}
