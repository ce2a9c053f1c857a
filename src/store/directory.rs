//! The state directory: that it exists and can be used, and with which mode files are made in it.
//!
//! It never leaves a mode to the umask, and never changes the mode of what is there already.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, getgid};

use crate::store::error::StoreError;
use crate::store::{DATABASE, filesystem};

/// The state directory of one daemon, with the database, the lock and the doorbell.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
    file_mode: u32,
}

/// Who else than its owner may write to the store.
#[derive(Debug)]
pub struct Writers {
    /// A group, by its number.
    pub group: Option<u32>,
    /// What everybody on the machine may write to: the directory, the database.
    pub open_to_all: Vec<PathBuf>,
}

impl StateDir {
    /// Takes the directory at `path`, and makes it if nothing is there (0700, parents too).
    ///
    /// # Errors
    ///
    /// [`StoreError::NotADirectory`], [`StoreError::NetworkFileSystem`], or [`StoreError::Directory`] where it cannot be made, read or
    /// written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let denied = |source| StoreError::Directory {
            path: path.to_owned(),
            source,
        };
        let full = std::path::absolute(path).map_err(denied)?;
        let found = match fs::metadata(&full) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&full).and_then(|()| fs::metadata(&full))
            }
            other => other,
        };
        let metadata = match found {
            Ok(metadata) if metadata.is_dir() => metadata,
            Ok(_) => return Err(StoreError::NotADirectory { path: full }),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(StoreError::NotADirectory { path: full });
            }
            Err(error) => return Err(denied(error)),
        };
        if let Some(kind) = filesystem::network(&full) {
            return Err(StoreError::NetworkFileSystem { path: full, kind });
        }
        access(
            &full,
            AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK,
        )
        .map_err(|errno| denied(errno.into()))?;
        let file_mode = file_mode(metadata.mode(), metadata.gid(), getgid().as_raw());
        Ok(Self {
            path: full,
            file_mode,
        })
    }

    /// Who else may write to the store, by the modes of the directory and of the database in it.
    ///
    /// # Errors
    ///
    /// The system's, from looking at them.
    pub fn writers(&self) -> io::Result<Writers> {
        let directory = fs::metadata(&self.path)?;
        let mut group = (directory.mode() & 0o020 != 0).then_some(directory.gid());
        let mut open_to_all = Vec::new();
        if directory.mode() & 0o002 != 0 {
            open_to_all.push(self.path.clone());
        }
        let database = self.path.join(DATABASE);
        match fs::metadata(&database) {
            // Whoever may not pass through the directory does not get at the file.
            Ok(file) => {
                if file.mode() & 0o020 != 0 && directory.mode() & 0o010 != 0 {
                    group.get_or_insert(file.gid());
                }
                if file.mode() & 0o002 != 0 && directory.mode() & 0o001 != 0 {
                    open_to_all.push(database);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Writers { group, open_to_all })
    }

    /// Where it is; absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The permissions of every file in it: those of the owner, or those of owner and group.
    pub(super) fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.file_mode)
    }

    /// Makes a file that was not there.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(self.file_mode)
            .open(self.path.join(name))?;
        file.set_permissions(self.permissions())?;
        Ok(file)
    }

    /// Opens a file, and makes it if it was not there.
    pub(super) fn open_or_create(&self, name: &str) -> io::Result<File> {
        match self.create(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => OpenOptions::new()
                .read(true)
                .write(true)
                .open(self.path.join(name)),
            other => other,
        }
    }
}

fn make(path: &Path) -> io::Result<()> {
    // Two programs may get here at once; a recursive builder does not mind that it exists.
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Owner and group share the files where the directory shows that they are meant to: it belongs to
/// a group other than the user's own, or it hands its group on and lets it write (2770).
fn file_mode(dir_mode: u32, dir_group: u32, own_group: u32) -> u32 {
    const HANDED_ON_AND_WRITABLE: u32 = 0o2020;
    let handed_on = dir_mode & HANDED_ON_AND_WRITABLE == HANDED_ON_AND_WRITABLE;
    if handed_on || dir_group != own_group {
        0o660
    } else {
        0o600
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn what_is_not_there_is_made_for_the_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/state");
        let dir = StateDir::open(&path).unwrap();
        assert_eq!(dir.path(), path);
        assert_eq!(mode(&path), 0o700);
        drop(dir.create("file").unwrap());
        assert_eq!(mode(&path.join("file")), 0o600);
    }

    #[test]
    fn a_shared_directory_has_shared_files() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o2770)).unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        drop(dir.create("file").unwrap());
        assert_eq!(mode(&root.path().join("file")), 0o660);
    }

    #[test]
    fn modes() {
        assert_eq!(file_mode(0o40_700, 1000, 1000), 0o600);
        assert_eq!(file_mode(0o40_775, 100, 100), 0o600);
        assert_eq!(file_mode(0o42_770, 100, 100), 0o660);
        assert_eq!(file_mode(0o42_770, 990, 1000), 0o660);
        assert_eq!(file_mode(0o40_770, 990, 1000), 0o660);
    }

    #[test]
    fn a_file_is_no_directory() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "").unwrap();
        for bad in [path.clone(), path.join("below")] {
            let error = StateDir::open(&bad).unwrap_err();
            assert!(matches!(error, StoreError::NotADirectory { .. }));
            assert!(error.to_string().contains(bad.to_str().unwrap()));
        }
    }

    #[test]
    fn what_is_there_keeps_its_mode() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        drop(dir.create("file").unwrap());
        let path = root.path().join("file");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        drop(dir.open_or_create("file").unwrap());
        assert_eq!(mode(&path), 0o640);
    }
}
