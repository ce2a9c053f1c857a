//! The doorbell: by which a command tells the daemon that the watch list has changed.
//!
//! It never carries anything, never blocks who rings it, and losing a ring loses nothing: the daemon
//! looks by itself as well.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram as BlockingDatagram;
use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;

use crate::store::directory::StateDir;
use crate::store::lock::Lock;

const DOORBELL: &str = "doorbell";
/// The longest path of a socket on Linux, in bytes.
const LONGEST: usize = 107;
/// How many rings are taken at once, so that one who rings without end does not hold up the rest.
const AT_ONCE: usize = 256;

/// The daemon's side of the doorbell.
#[derive(Debug)]
pub struct Doorbell {
    socket: UnixDatagram,
}

impl Doorbell {
    /// Hangs the doorbell in `dir`, in place of one that an earlier daemon has left. Only who holds
    /// the lock may; keep it until the doorbell is dropped.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    pub fn bind(dir: &StateDir, _held: &Lock) -> io::Result<Self> {
        let path = dir.path().join(DOORBELL);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let address = Address::of(dir)?;
        let socket = UnixDatagram::bind(&address.path)?;
        fs::set_permissions(&path, dir.permissions())?;
        Ok(Self { socket })
    }

    /// Returns when it has been rung since the last time, however often.
    ///
    /// Cancel safe: a ring is taken only by the call that returns.
    ///
    /// # Errors
    ///
    /// The system's, from waiting for the socket or from reading it.
    pub async fn rung(&self) -> io::Result<()> {
        loop {
            self.socket.readable().await?;
            let mut rings = 0;
            while rings < AT_ONCE {
                match self.socket.try_recv(&mut [0]) {
                    Ok(_) => rings += 1,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            if rings > 0 {
                return Ok(());
            }
        }
    }
}

/// Rings the doorbell in `dir`, without blocking. Returns whether someone will hear it.
#[must_use]
pub fn ring(dir: &StateDir) -> bool {
    let rung = || {
        let address = Address::of(dir)?;
        let socket = BlockingDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to(&[0], &address.path)
    };
    match rung() {
        Ok(_) => true,
        // So many rings wait there already that this one is not needed.
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// A path to the doorbell that fits into the address of a socket.
struct Address {
    path: PathBuf,
    /// What the path goes through, where it is not the plain one.
    _through: Option<File>,
}

impl Address {
    fn of(dir: &StateDir) -> io::Result<Self> {
        let path = dir.path().join(DOORBELL);
        if path.as_os_str().as_bytes().len() <= LONGEST {
            return Ok(Self {
                path,
                _through: None,
            });
        }
        let through = File::open(dir.path())?;
        let short = format!("/proc/self/fd/{}", through.as_raw_fd());
        Ok(Self {
            path: Path::new(&short).join(DOORBELL),
            _through: Some(through),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;
    use tokio::time::timeout;

    use crate::store::lock::Holder;

    /// Long enough for anything that is not stuck.
    const STUCK: Duration = Duration::from_secs(30);

    fn lock(path: &Path) -> (StateDir, Lock) {
        let dir = StateDir::open(path).unwrap();
        let lock = Lock::acquire(&dir, Holder::Daemon).unwrap();
        (dir, lock)
    }

    /// What a second wait finds right after a first: nothing, if the first took all.
    async fn is_silent(bell: &Doorbell) -> bool {
        timeout(Duration::ZERO, bell.rung()).await.is_err()
    }

    async fn rings_and_is_silent_again(path: &Path) {
        let (dir, lock) = lock(path);
        assert!(!ring(&dir), "no one is there");
        let bell = Doorbell::bind(&dir, &lock).unwrap();
        assert!(is_silent(&bell).await);
        for _ in 0..3 {
            assert!(ring(&dir));
        }
        timeout(STUCK, bell.rung()).await.unwrap().unwrap();
        assert!(is_silent(&bell).await);
        let mode = fs::metadata(path.join(DOORBELL)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
        drop(bell);
        assert!(!ring(&dir), "what is left does not ring");
        let bell = Doorbell::bind(&dir, &lock).unwrap();
        assert!(ring(&dir));
        timeout(STUCK, bell.rung()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn it_rings() {
        let root = tempfile::tempdir().unwrap();
        rings_and_is_silent_again(root.path()).await;
    }

    #[tokio::test]
    async fn it_rings_in_a_directory_with_a_long_name() {
        let root = tempfile::tempdir().unwrap();
        let long = root.path().join("x".repeat(200));
        rings_and_is_silent_again(&long).await;
    }

    #[tokio::test]
    async fn a_bell_that_no_one_answers_blocks_no_one() {
        let root = tempfile::tempdir().unwrap();
        let (dir, lock) = lock(root.path());
        let bell = Doorbell::bind(&dir, &lock).unwrap();
        for _ in 0..10_000 {
            assert!(ring(&dir));
        }
        timeout(STUCK, bell.rung()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_takes_no_ring() {
        let root = tempfile::tempdir().unwrap();
        let (dir, lock) = lock(root.path());
        let bell = Doorbell::bind(&dir, &lock).unwrap();
        assert!(is_silent(&bell).await);
        assert!(ring(&dir));
        timeout(STUCK, bell.rung()).await.unwrap().unwrap();
    }
}
