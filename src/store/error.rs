//! What can go wrong with the store, and what follows from it.
//!
//! It never swallows the system's or SQLite's own words: they are the source of each error.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the store could not do something.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Something that is not a directory is where the state directory should be.
    #[error(
        "use {path} as the state directory: it is not a directory; move it away, or set `directory` under [state]"
    )]
    NotADirectory {
        /// The state directory.
        path: PathBuf,
    },
    /// The state directory is on a network file system.
    #[error(
        "use {path} as the state directory: it is on a network file system ({kind}), where two programs on one database damage it; set `directory` under [state] to one on a local disk"
    )]
    NetworkFileSystem {
        /// The state directory.
        path: PathBuf,
        /// Which kind.
        kind: &'static str,
    },
    /// The state directory cannot be made, read or written.
    #[error(
        "use {path} as the state directory: make it readable and writable for this user, or set `directory` under [state]"
    )]
    Directory {
        /// The state directory.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// A file in the state directory cannot be made.
    #[error("create {path}: check that its directory is writable and not full")]
    Create {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The SQLite that this program was built with loses data under several writers.
    #[error(
        "open the store: this program was built with SQLite {version}, which can lose data; build it with 3.51.3 or newer"
    )]
    OldSqlite {
        /// The version of SQLite.
        version: &'static str,
    },
    /// The file was written by a newer importwatch.
    #[error(
        "open {path}: it was written by a newer importwatch (format {found}, this one knows up to {known}); use that one"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The format of the file.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The file is a database of some other program.
    #[error(
        "open {path}: it is the database of another program; set `directory` under [state] to another place"
    )]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The file system cannot do what several programs on one database need.
    #[error(
        "open {path}: its file system cannot share a write-ahead log between programs; set `directory` under [state] to a local disk"
    )]
    NoWal {
        /// The database.
        path: PathBuf,
    },
    /// Another program is writing, and went on for longer than a write waits.
    #[error(
        "{doing} ({path}): another program keeps it busy; try again, and end whatever holds it open"
    )]
    Busy {
        /// What was to be done.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// No space is left.
    #[error("{doing} ({path}): no space is left for it; free some on its file system")]
    Full {
        /// What was to be done.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// The file may not be written.
    #[error(
        "{doing} ({path}): it cannot be written; check the owner and the mode of the file, of those beside it and of the directory"
    )]
    ReadOnly {
        /// What was to be done.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is damaged, or no database.
    #[error("{doing} ({path}): the file is damaged")]
    Damaged {
        /// What was to be done.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// A row holds what this program never writes.
    #[error(
        "{doing} ({path}): row {row} of table `{table}` is not readable; something else has written to the file"
    )]
    Row {
        /// What was to be done.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The row's key in it.
        row: i64,
        /// What is wrong with it.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The file that was opened is no longer the one in the directory.
    #[error(
        "use {path}: it is no longer the file that was opened; it was set aside since it was damaged, or moved away; run it again"
    )]
    Replaced {
        /// The database.
        path: PathBuf,
    },
    /// Another program is putting another file in its place.
    #[error("use {path}: another program is setting it aside since it is damaged; try again")]
    Gate {
        /// The database.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The file is damaged, and cannot be set aside.
    #[error(
        "set {path} aside, which is damaged: check that its directory is writable and not full, or move it away together with its -wal and -shm"
    )]
    SetAside {
        /// The database.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// Anything else that SQLite may say.
    #[error("{doing} ({path}): SQLite could not do it; check the file and its disk")]
    Sqlite {
        /// What was to be done.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anyone's touching the file: no space was
    /// left, or another program was writing. Nothing of the transaction that failed has been
    /// stored.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::Full { .. } | Self::Gate { .. }
        )
    }

    /// The database, if this says that it is damaged; [`recover`](crate::store::aside::recover) finds
    /// out whether it is.
    #[must_use]
    pub fn damaged(&self) -> Option<&Path> {
        match self {
            Self::Damaged { path, .. } | Self::Row { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Sorts what happened while `doing` something with the database at `path`.
    pub(super) fn sort(doing: &'static str, path: &Path, cause: Cause) -> Self {
        let path = path.to_owned();
        let source = match cause {
            Cause::Sqlite(source) => source,
            Cause::Row { table, row, source } => {
                return Self::Row {
                    doing,
                    path,
                    table,
                    row,
                    source,
                };
            }
        };
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy {
                doing,
                path,
                source,
            },
            Some(ErrorCode::DiskFull) => Self::Full {
                doing,
                path,
                source,
            },
            // Where it is the log or the shared index that finds no space, SQLite says only that
            // something failed.
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if is_full(&path) => {
                Self::Full {
                    doing,
                    path,
                    source,
                }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly {
                    doing,
                    path,
                    source,
                }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged {
                doing,
                path,
                source,
            },
            _ => Self::Sqlite {
                doing,
                path,
                source,
            },
        }
    }
}

/// Whether the file system under `path` has no space or no inode left for this user.
fn is_full(path: &Path) -> bool {
    statvfs(path).is_ok_and(|fs| {
        // What is left in so few blocks (commonly of 4 KiB) does not hold a transaction. Some file
        // systems count no inodes at all.
        fs.blocks_available() < 256 || (fs.files() > 0 && fs.files_available() == 0)
    })
}

/// What went wrong inside a transaction, before it is known which file it is about.
#[derive(Debug)]
pub(super) enum Cause {
    Sqlite(rusqlite::Error),
    Row {
        table: &'static str,
        row: i64,
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn sorted(code: i32) -> StoreError {
        let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        StoreError::sort("test", Path::new("/"), failure.into())
    }

    #[test]
    fn only_busy_and_full_pass() {
        for code in [
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_BUSY_RECOVERY,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_FULL,
        ] {
            assert!(sorted(code).is_transient(), "{code}");
        }
        for code in [
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_CONSTRAINT,
            ffi::SQLITE_CANTOPEN,
        ] {
            assert!(!sorted(code).is_transient(), "{code}");
        }
    }
}
