//! Which ids the lists hold at one moment, and where.
//!
//! It keeps a few bytes an id, so that a list of a million can be held against what is to be deleted.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::Path;

use crate::task::TaskId;
use crate::watchlist::file;

/// Where an id is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the settings themselves.
    Settings,
    /// In a file.
    File {
        /// Which: the number of files that were taken before it.
        file: u32,
        /// The line, from 1.
        line: u32,
    },
}

/// The ids that lists hold.
#[derive(Debug, Default)]
pub struct Listed {
    /// Made anew for each process, so that nobody can write ids that are taken for one another.
    hasher: RandomState,
    places: HashMap<u64, Place>,
    files: u32,
}

impl Listed {
    /// Takes in the ids of the settings.
    pub fn take_ids(&mut self, ids: &[TaskId]) {
        for id in ids {
            let sign = self.hasher.hash_one(id);
            self.places.entry(sign).or_insert(Place::Settings);
        }
    }

    /// Takes in the ids of a file. Blocks.
    ///
    /// # Errors
    ///
    /// The system's; then the file is passed over, but for what was read of it before.
    pub fn take_file(&mut self, path: &Path) -> io::Result<()> {
        let file = self.files;
        self.files += 1;
        for found in file::read(path)? {
            if let Ok(found) = found? {
                let line = u32::try_from(found.line).unwrap_or(u32::MAX);
                let sign = self.hasher.hash_one(&found.id);
                let place = Place::File { file, line };
                self.places.entry(sign).or_insert(place);
            }
        }
        Ok(())
    }

    /// Where `id` is listed first.
    #[must_use]
    pub fn find(&self, id: &TaskId) -> Option<Place> {
        self.places.get(&self.hasher.hash_one(id)).copied()
    }
}
