//! One engine a directory: the lock that whoever polls holds, and the sign by which a daemon asks
//! a `wait` to hand it over.
//!
//! It never outlives its process: the system releases it, however that ends. It never waits until
//! another process lets go of the lock; whoever wants that asks again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::store::directory::StateDir;

const LOCK: &str = "lock";
const WANTED: &str = "lock.wanted";
/// The length of the mark in the lock file. It is always overwritten whole and never grows, so that
/// a full disk does not keep a daemon from starting.
const MARK: usize = 32;

/// What kind of process holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The daemon, until it ends.
    Daemon,
    /// A `wait` that found no daemon; it gives the lock to one that asks.
    Wait,
}

impl Holder {
    fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Wait => "wait",
        }
    }
}

/// Why the lock could not be taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process holds it.
    #[error(
        "lock {path}: another {} (process {pid}) holds it; end that one, or set another `directory` under [state]",
        .holder.as_str()
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What it is.
        holder: Holder,
        /// Its process id, as it saw it itself.
        pid: u32,
    },
    /// Another process holds it and has not yet said what it is. Try again.
    #[error("lock {path}: a process that has just started holds it; try again")]
    Unmarked {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be used.
    #[error(
        "lock {path}: check the owner and the mode of the file, and that its file system can lock"
    )]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

/// The lock, held. Dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `dir`, and marks it with `holder` and this process.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] or [`LockError::Unmarked`] where another process has it; else
    /// [`LockError::Io`].
    pub fn acquire(dir: &StateDir, holder: Holder) -> Result<Self, LockError> {
        let path = dir.path().join(LOCK);
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let file = dir.open_or_create(LOCK).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(match read_mark(&file).map_err(failed)? {
                    Some((holder, pid)) => LockError::Held { path, holder, pid },
                    None => LockError::Unmarked { path },
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mark = format!("{} {}", holder.as_str(), std::process::id());
        let mark = format!("{mark:<width$}\n", width = MARK - 1);
        file.write_all_at(mark.as_bytes(), 0).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn read_mark(file: &File) -> io::Result<Option<(Holder, u32)>> {
    let mut mark = [0; MARK];
    let length = file.read_at(&mut mark, 0)?;
    let text = mark
        .get(..length)
        .and_then(|mark| str::from_utf8(mark).ok());
    Ok(text.and_then(|text| {
        let (holder, pid) = text.trim_end().split_once(' ')?;
        let holder = [Holder::Daemon, Holder::Wait]
            .into_iter()
            .find(|candidate| candidate.as_str() == holder)?;
        Some((holder, pid.parse().ok()?))
    }))
}

/// The sign that a daemon wants the lock, shown until it is dropped. It is a lock of its own, so
/// that it goes with the process that shows it.
#[derive(Debug)]
pub struct LockWanted {
    _file: File,
}

impl LockWanted {
    /// Shows the sign in `dir`; several may at once. The holder looks for it several times a second.
    ///
    /// # Errors
    ///
    /// [`LockError::Io`].
    pub fn show(dir: &StateDir) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            path: dir.path().join(WANTED),
            source,
        };
        let file = dir.open_or_create(WANTED).map_err(failed)?;
        // Whoever looks holds it for that moment alone, so this waits no longer.
        file.lock_shared().map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Whether a daemon asks for the lock of `dir`, whoever holds it.
///
/// # Errors
///
/// The system's, from looking at the sign.
pub fn is_wanted(dir: &StateDir) -> io::Result<bool> {
    is_shown(&dir.path().join(WANTED))
}

fn is_shown(path: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn dir() -> (tempfile::TempDir, StateDir) {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        (root, dir)
    }

    // Locks belong to an open file, so two of one process exclude each other as two processes do.
    #[test]
    fn one_holder_at_a_time_and_others_learn_which() {
        let (_root, dir) = dir();
        for holder in [Holder::Daemon, Holder::Wait] {
            let lock = Lock::acquire(&dir, holder).unwrap();
            match Lock::acquire(&dir, Holder::Daemon).unwrap_err() {
                LockError::Held {
                    holder: found, pid, ..
                } => {
                    assert_eq!((found, pid), (holder, std::process::id()));
                }
                other => panic!("{other}"),
            }
            drop(lock);
        }
        Lock::acquire(&dir, Holder::Daemon).unwrap();
    }

    #[test]
    fn a_holder_that_has_not_said_what_it_is_is_not_guessed() {
        let (_root, dir) = dir();
        let file = dir.create(LOCK).unwrap();
        file.try_lock().unwrap();
        for mark in ["", "daemon", "daemon x", "nobody 12", "daemon 12\nmore"] {
            file.set_len(0).unwrap();
            file.write_all_at(mark.as_bytes(), 0).unwrap();
            let error = Lock::acquire(&dir, Holder::Wait).unwrap_err();
            assert!(matches!(error, LockError::Unmarked { .. }), "{mark:?}");
        }
    }

    #[test]
    fn a_mark_takes_the_place_of_any_other() {
        let (root, dir) = dir();
        fs::write(root.path().join(LOCK), "wait 4294967295".repeat(9)).unwrap();
        let _lock = Lock::acquire(&dir, Holder::Daemon).unwrap();
        let error = Lock::acquire(&dir, Holder::Wait).unwrap_err();
        assert!(matches!(
            error,
            LockError::Held {
                holder: Holder::Daemon,
                ..
            }
        ));
    }

    #[test]
    fn a_daemon_asks_and_the_holder_sees_it() {
        let (_root, dir) = dir();
        let _lock = Lock::acquire(&dir, Holder::Wait).unwrap();
        assert!(!is_wanted(&dir).unwrap());
        let one = LockWanted::show(&dir).unwrap();
        let two = LockWanted::show(&dir).unwrap();
        assert!(is_wanted(&dir).unwrap());
        drop(one);
        assert!(is_wanted(&dir).unwrap());
        drop(two);
        assert!(!is_wanted(&dir).unwrap());
    }

    #[test]
    fn a_sign_that_cannot_be_looked_for_is_no_sign_and_no_silence() {
        let (root, dir) = dir();
        assert!(!is_wanted(&dir).unwrap());
        fs::create_dir(root.path().join(WANTED)).unwrap();
        let error = is_wanted(&dir).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
