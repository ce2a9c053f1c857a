//! How a file writes its records: CSV with which delimiter and line breaks, or JSON lines.
//!
//! It says nothing of a file: what one is written in is found out from its beginning.

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Fields between delimiters; the first record is the header.
    Csv,
    /// One JSON object a line; there is no header.
    JsonLines,
}

/// How the records of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// What a record is.
    pub form: Form,
    /// What stands between two fields of CSV.
    pub delimiter: u8,
    /// The last byte of a line break: a line feed, or a carriage return where a file has no other.
    pub line_end: u8,
}

impl Dialect {
    /// CSV with this delimiter and line end.
    #[must_use]
    pub const fn csv(delimiter: u8, line_end: u8) -> Self {
        Self {
            form: Form::Csv,
            delimiter,
            line_end,
        }
    }

    /// JSON lines.
    #[must_use]
    pub const fn json_lines() -> Self {
        Self {
            form: Form::JsonLines,
            delimiter: b',',
            line_end: b'\n',
        }
    }
}
