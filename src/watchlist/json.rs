//! The import endpoint's answers, as scripts pass them on, and plain JSON lists of ids.
//!
//! It judges no id.

use serde::Deserialize;

use crate::notice::safe;
use crate::watchlist::unusable::What;

/// The longest JSON value that is read, in bytes.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;

/// What the import endpoint answers, or a list of ids.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Given {
    Answer {
        code: Option<i64>,
        #[serde(alias = "msg")]
        message: Option<String>,
        data: Option<Vec<String>>,
    },
    Ids(Vec<String>),
    Other(serde::de::IgnoredAny),
}

impl Given {
    /// What were given as ids.
    pub(super) fn ids(self) -> Result<Vec<String>, What> {
        match self {
            Self::Answer {
                code: Some(code),
                message,
                ..
            } if code != 0 => {
                let message = safe::start(&message.unwrap_or_default(), 200);
                Err(What::NotAccepted { code, message })
            }
            Self::Answer {
                data: Some(ids), ..
            }
            | Self::Ids(ids) => Ok(ids),
            Self::Answer { .. } | Self::Other(_) => Err(What::NoIds),
        }
    }
}

/// How deep in brackets a JSON text is, strings left aside.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    pub(super) fn follow(&mut self, text: &[u8]) {
        for byte in text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn is_closed(&self) -> bool {
        self.depth == 0
    }
}
