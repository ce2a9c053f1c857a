//! What was given as an id and is none: what it is, and where it stood.
//!
//! It never shows such a thing raw: whoever wrote it may have meant harm.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use thiserror::Error;

use crate::notice::safe;
use crate::task::{TaskId, TaskIdError};
use crate::watchlist::lines;

/// Something that was given as an id and is none, and where it stood.
#[derive(Debug, Error)]
#[error("{place}: {what}")]
pub struct Unusable {
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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(number) => write!(f, "id {number}"),
            Self::Line(number) => write!(f, "line {number}"),
        }
    }
}

/// What it is.
#[derive(Debug, Error)]
pub(super) enum What {
    #[error("{text:?} is not an id: {source}")]
    Id {
        text: String,
        #[source]
        source: TaskIdError,
    },
    #[error("{text:?} looks like an option, and is not taken for an id")]
    Option { text: String },
    #[error(
        "the line has more than {} bytes; an id has at most 128",
        lines::LONGEST
    )]
    LongLine,
    #[error("the line is not UTF-8 text")]
    NotText,
    #[error(
        "this begins like JSON and cannot be read: {0}; give the import endpoint's answer as it came"
    )]
    Json(String),
    #[error("the JSON is longer than {most} bytes, or never ends")]
    LongJson { most: usize },
    #[error("this import was not accepted, so it has no task id: code {code}: {message}")]
    NotAccepted { code: i64, message: String },
    #[error(
        "this JSON holds no task ids; expected the import endpoint's answer, {{\"data\":[\"ID\"]}}"
    )]
    NoIds,
}

impl Unusable {
    pub(super) fn at_line(line: usize, what: What) -> Self {
        let place = Place::Line(line);
        Self { place, what }
    }

    /// The line, from 1; `None` for an argument.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self.place {
            Place::Line(line) => Some(line),
            Place::Argument(_) => None,
        }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn what(&self) -> String {
        self.what.to_string()
    }

    /// A number that is the same for the same thing in another line.
    pub(super) fn sign(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.what().hash(&mut hasher);
        hasher.finish()
    }
}

/// The id that was given as the `number`th argument.
///
/// # Errors
///
/// [`Unusable`].
pub fn argument(number: usize, text: &str) -> Result<TaskId, Unusable> {
    text.parse().map_err(|source| Unusable {
        place: Place::Argument(number),
        what: not_an_id(text, source),
    })
}

pub(super) fn not_an_id(text: &str, source: TaskIdError) -> What {
    let text = safe::start(text, 60);
    What::Id { text, source }
}
