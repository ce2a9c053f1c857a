//! The gate of the state directory: whoever opens the database or writes to it goes through, and
//! whoever puts another file in its place closes it meanwhile.
//!
//! It is a lock on the directory itself, so it takes no space on a full disk, and the system opens it
//! when its holder dies. It never waits for ever.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How often the gate is tried, and how long it is waited for in between: half a minute in all.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// The gate of one directory, for one caller at a time.
#[derive(Debug)]
pub(super) struct Gate(File);

/// The gate, passed or closed for as long as this is held.
#[derive(Debug)]
pub(super) struct Held<'a>(&'a File);

impl Gate {
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        File::open(directory).map(Self)
    }

    /// Goes through, beside any number of others.
    pub(super) fn pass(&self) -> io::Result<Held<'_>> {
        self.hold(File::try_lock_shared)
    }

    /// Closes it: nobody else is inside, or comes in.
    pub(super) fn close(&self) -> io::Result<Held<'_>> {
        self.hold(File::try_lock)
    }

    /// Closes it if nobody is inside at this moment.
    pub(super) fn try_close(&self) -> Option<Held<'_>> {
        self.0.try_lock().ok().map(|()| Held(&self.0))
    }

    fn hold(&self, attempt: fn(&File) -> Result<(), TryLockError>) -> io::Result<Held<'_>> {
        for _ in 0..TRIES {
            match attempt(&self.0) {
                Ok(()) => return Ok(Held(&self.0)),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Where this fails, the lock goes with the file.
        drop(self.0.unlock());
    }
}

/// What makes a file the same file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self(found.dev(), found.ino()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_pass_and_one_closes() {
        let root = tempfile::tempdir().unwrap();
        let gate = || Gate::of(root.path()).unwrap();
        let (one, two, three) = (gate(), gate(), gate());
        let is_closed =
            |gate: &Gate| matches!(gate.0.try_lock_shared(), Err(TryLockError::WouldBlock));
        let passed = (one.pass().unwrap(), two.pass().unwrap());
        assert!(matches!(three.0.try_lock(), Err(TryLockError::WouldBlock)));
        drop(passed);
        let closed = three.close().unwrap();
        assert!(is_closed(&one) && is_closed(&two));
        drop(closed);
        drop(one.pass().unwrap());
    }

    #[test]
    fn a_file_is_the_same_under_another_name() {
        let root = tempfile::tempdir().unwrap();
        let [one, two, three] = ["one", "two", "three"].map(|name| root.path().join(name));
        fs::write(&one, "").unwrap();
        fs::hard_link(&one, &two).unwrap();
        fs::write(&three, "").unwrap();
        let identity = |path| Identity::of(path).unwrap();
        assert_eq!(identity(&one), identity(&two));
        assert_ne!(identity(&one), identity(&three));
    }
}
