//! Which records of a file the added tasks were made of, as whoever adds them says it.

use crate::watch::SourceFile;

/// The file that the tasks were made of, and how they took its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// The file.
    pub file: SourceFile,
    /// The records of each task.
    pub rows: Rows,
}

/// Which records of a file tasks took; record 1 is the first after the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Each, in the order given, so many, going on where the last addition of this import and file
    /// ended; the last may have had fewer.
    Chunks(u64),
    /// All of these.
    Range {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
}
