//! Learns from the kernel that a file of ids may have changed, so that it is seen at once.
//!
//! It tells of nothing that a look at the files would not show: where the kernel tells nothing
//! (network file systems, limits reached), the files are looked at once a minute anyway. What others
//! write beside the files in their folders does not wake the process, what they make or move there
//! does.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

/// What may happen in a folder.
const OF_FOLDER: AddWatchFlags = AddWatchFlags::IN_ONLYDIR
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF);
/// What may happen to a file.
const OF_FILE: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_ATTRIB);
/// How many batches of events are taken at once, so that one who writes without end does not hold up
/// the rest.
const AT_ONCE: usize = 64;

/// What the kernel is asked to tell of.
#[derive(Debug)]
pub struct Watches {
    inotify: Option<Arc<Inotify>>,
    files: Vec<(PathBuf, Option<WatchDescriptor>)>,
    /// Whether it was said that a limit is reached.
    is_limited: bool,
}

/// What the kernel tells.
#[derive(Debug)]
pub struct Changes {
    source: Option<(Arc<Inotify>, AsyncFd<OwnedFd>)>,
    /// The names of the files in their folders.
    names: HashSet<OsString>,
}

/// Prepares to be told of changes to `files`. Nothing is told before the watches are armed.
///
/// # Panics
///
/// Outside a tokio runtime with I/O enabled.
#[must_use]
pub fn watch(files: &[PathBuf]) -> (Watches, Changes) {
    let mut watches = Watches {
        inotify: None,
        files: files.iter().map(|file| (file.clone(), None)).collect(),
        is_limited: false,
    };
    let names = files.iter().filter_map(|file| file.file_name());
    let mut changes = Changes {
        source: None,
        names: names.map(ToOwned::to_owned).collect(),
    };
    if files.is_empty() {
        return (watches, changes);
    }
    match open() {
        Ok((inotify, readiness)) => {
            let inotify = Arc::new(inotify);
            watches.inotify = Some(Arc::clone(&inotify));
            changes.source = Some((inotify, readiness));
        }
        Err(error) => watches.say_limit(&error),
    }
    (watches, changes)
}

fn open() -> io::Result<(Inotify, AsyncFd<OwnedFd>)> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe, and an OwnedFd gives the safety that it asks for"
    )]
    let readiness = AsyncFd::new(inotify.as_fd().try_clone_to_owned()?)?;
    Ok((inotify, readiness))
}

impl Watches {
    /// Has the kernel tell of the files and folders as they are now. Blocks.
    pub(super) fn arm(&mut self) {
        let Some(inotify) = self.inotify.clone() else {
            return;
        };
        let mut fault = None;
        for at in 0..self.files.len() {
            let (path, last) = self.files[at].clone();
            let folder = path.parent().unwrap_or(Path::new("/"));
            fault = inotify.add_watch(folder, OF_FOLDER).err().or(fault);
            let watch = inotify.add_watch(&path, OF_FILE);
            fault = watch.err().or(fault);
            self.files[at].1 = watch.ok();
            // The file that was replaced may be there still, under another name.
            let left =
                last.filter(|last| self.files.iter().all(|(_, other)| other != &Some(*last)));
            if let Some(left) = left {
                // It is gone already where the file was deleted.
                let _removed = inotify.rm_watch(left);
            }
            if matches!(fault, Some(Errno::ENOSPC | Errno::ENOMEM)) {
                self.say_limit(&Errno::ENOSPC.into());
            }
        }
    }

    fn say_limit(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_limited, true) {
            let cause = error.to_string();
            tracing::info!(
                ?cause,
                "changes to lists of ids are seen only once a minute; see fs.inotify in sysctl"
            );
        }
    }
}

impl Changes {
    /// Returns when a file may have changed since the last time; never, if the kernel does not tell.
    ///
    /// Cancel safe: what is taken is told by the call that takes it.
    pub async fn changed(&self) {
        let Some((inotify, readiness)) = &self.source else {
            return std::future::pending().await;
        };
        loop {
            let Ok(mut ready) = readiness.readable().await else {
                // The runtime ends.
                return std::future::pending().await;
            };
            let mut is_told = false;
            for _ in 0..AT_ONCE {
                match inotify.read_events() {
                    Ok(events) => is_told |= events.iter().any(|event| self.matters(event)),
                    Err(Errno::EAGAIN) => {
                        ready.clear_ready();
                        break;
                    }
                    Err(_) => break,
                }
            }
            if is_told {
                return;
            }
        }
    }

    /// Whether an event is about one of the files. What has no name is about a file or a folder
    /// itself, or tells that events were lost.
    fn matters(&self, event: &InotifyEvent) -> bool {
        event
            .name
            .as_ref()
            .is_none_or(|name| self.names.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    /// Whether the kernel has told of something that matters; it does so before the call that
    /// changes something returns.
    fn is_told(changes: &Changes) -> bool {
        let (inotify, _) = changes.source.as_ref().unwrap();
        let mut is_told = false;
        loop {
            match inotify.read_events() {
                Ok(events) => is_told |= events.iter().any(|event| changes.matters(event)),
                Err(error) => {
                    assert_eq!(error, Errno::EAGAIN);
                    return is_told;
                }
            }
        }
    }

    #[tokio::test]
    async fn what_happens_to_a_file_is_told_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let list = path("ids.txt");
        let (mut watches, changes) = watch(std::slice::from_ref(&list));
        watches.arm();
        assert!(!is_told(&changes));
        fs::write(path("other"), "x").unwrap();
        assert!(!is_told(&changes));

        fs::write(&list, "a\n").unwrap();
        assert!(is_told(&changes), "made");
        watches.arm();
        let mut file = fs::OpenOptions::new().append(true).open(&list).unwrap();
        file.write_all(b"b\n").unwrap();
        assert!(is_told(&changes), "appended");
        fs::write(path("other"), "y").unwrap();
        assert_eq!(fs::read(&list).unwrap(), b"a\nb\n");
        assert!(!is_told(&changes), "read");

        fs::rename(&list, path("backup")).unwrap();
        fs::rename(path("other"), &list).unwrap();
        assert!(is_told(&changes), "replaced");
        watches.arm();
        is_told(&changes);
        file.write_all(b"c\n").unwrap();
        assert!(!is_told(&changes), "the one that was replaced");
        fs::write(&list, "z").unwrap();
        assert!(is_told(&changes), "the new one");

        fs::remove_file(&list).unwrap();
        assert!(is_told(&changes), "deleted");
        watches.arm();
        assert!(!is_told(&changes), "nothing is told twice");

        fs::write(&list, "a\n").unwrap();
        let long = Duration::from_secs(30);
        tokio::time::timeout(long, changes.changed()).await.unwrap();
    }
}
