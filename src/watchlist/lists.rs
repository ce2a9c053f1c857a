//! All lists: the ids of the settings once, then the files, each time that they are looked at.
//!
//! It hands out a chunk at a time, so that a list of a million ids neither fills memory nor holds up
//! who stores them. Its calls block on the files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::account::AccountName;
use crate::clock::Instant;
use crate::task::TaskId;
use crate::watchlist::file::ListFile;
use crate::watchlist::ids::Found;
use crate::watchlist::listed::Listed;
use crate::watchlist::name;
use crate::watchlist::watcher::Watches;

/// Ids that are handed out at once.
const CHUNK: usize = 10_000;
/// A file that has not been there for so long lists nothing: one that is on a disk which is mounted
/// late, or on a server that is away, does.
const GONE: Duration = Duration::from_hours(24);

/// The lists.
#[derive(Debug)]
pub struct Lists {
    ids: Vec<TaskId>,
    /// How many of them have been handed out.
    given: usize,
    files: Vec<ListFile>,
    /// The file that is read.
    at: usize,
    watches: Watches,
}

/// Some ids of one list.
#[derive(Debug)]
pub struct Chunk {
    /// The file; `None`: the settings.
    pub file: Option<usize>,
    /// The import that they belong to.
    pub import: String,
    /// The ids; the lines of those of the settings are 0.
    pub found: Vec<Found>,
}

impl Lists {
    /// The lists that the settings name. `watches` tells of changes to the files from the first look.
    #[must_use]
    pub fn new(ids: Vec<TaskId>, files: Vec<PathBuf>, watches: Watches) -> Self {
        let files: Vec<_> = files.into_iter().map(ListFile::new).collect();
        Self {
            ids,
            given: 0,
            at: files.len(),
            files,
            watches,
        }
    }

    /// Looks at all files anew; what is to be read of them comes from [`next`](Self::next).
    pub fn look(&mut self, now: Instant, wall: Timestamp) {
        // First, so that what changes while a file is read is told.
        self.watches.arm();
        for file in &mut self.files {
            file.look(now, wall);
        }
        self.at = 0;
    }

    /// The next ids; `None` is the end of this look.
    pub fn next(&mut self, now: Instant) -> Option<Chunk> {
        if self.given < self.ids.len() {
            let chunk = self.ids.iter().skip(self.given).take(CHUNK);
            let found: Vec<_> = chunk
                .map(|id| Found {
                    id: id.clone(),
                    line: 0,
                })
                .collect();
            self.given += found.len();
            return Some(Chunk {
                file: None,
                import: name::OF_SETTINGS.to_owned(),
                found,
            });
        }
        while let Some(file) = self.files.get_mut(self.at) {
            let found = file.next(CHUNK, now);
            if !found.is_empty() {
                return Some(Chunk {
                    file: Some(self.at),
                    import: name::of_file(file.path()),
                    found,
                });
            }
            self.at += 1;
        }
        None
    }

    /// When the files are to be looked at again, since one of them has something half written.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        self.files.iter().filter_map(ListFile::wake_at).min()
    }

    /// The path of a file.
    #[must_use]
    pub fn path(&self, file: usize) -> Option<&Path> {
        self.files.get(file).map(ListFile::path)
    }

    /// Says that a listed id is watched under another account.
    pub fn say_elsewhere(&mut self, file: Option<usize>, found: &Found, account: &AccountName) {
        if let Some(file) = file.and_then(|file| self.files.get_mut(file)) {
            file.say_elsewhere(found, account);
        } else {
            tracing::warn!(
                task = %found.id,
                %account,
                "a task of watch.ids is watched under another account already; to move it, remove it there"
            );
        }
    }

    /// All that is listed now; `None` if that is not known, since a file cannot be read or has gone
    /// only lately.
    #[must_use]
    pub fn listed(&self, now: Instant) -> Option<Listed> {
        let mut listed = Listed::default();
        listed.take_ids(&self.ids);
        for file in &self.files {
            let is_gone = file.gone_for(now).is_some_and(|gone| gone >= GONE);
            if listed.take_file(file.path()).is_err() && !is_gone {
                return None;
            }
        }
        Some(listed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;
    use crate::clock;
    use crate::watchlist::file::QUIET;
    use crate::watchlist::watcher;

    /// A folder with a list, followed.
    struct Followed {
        folder: tempfile::TempDir,
        lists: Lists,
        now: Instant,
        wall: Timestamp,
    }

    impl Followed {
        fn new(text: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ids.txt");
            fs::write(&path, text).unwrap();
            Self {
                folder,
                lists: Lists::new(Vec::new(), vec![path], watcher::watch(&[]).0),
                now: clock::now(),
                wall: clock::wall(),
            }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("ids.txt")
        }

        fn append(&self, text: &str) {
            let file = fs::OpenOptions::new().append(true).open(self.path());
            file.unwrap().write_all(text.as_bytes()).unwrap();
        }

        fn pass(&mut self, time: Duration) {
            self.now = self.now.after(time);
            self.wall += time;
        }

        /// What a look finds.
        fn look(&mut self) -> Vec<String> {
            let mut ids = Vec::new();
            self.lists.look(self.now, self.wall);
            while let Some(chunk) = self.lists.next(self.now) {
                assert_eq!(chunk.import, "ids.txt");
                ids.extend(chunk.found.iter().map(|found| {
                    let Found { id, line } = found;
                    format!("{line}:{id}")
                }));
            }
            ids
        }
    }

    #[test]
    fn only_what_is_new_is_read_of_a_file_that_has_grown() {
        let mut list = Followed::new("a\nb\n");
        assert_eq!(list.look(), ["1:a", "2:b"]);
        list.pass(Duration::from_mins(1));
        assert_eq!(list.look(), Vec::<String>::new());
        list.append("c\n");
        assert_eq!(list.look(), ["3:c"]);
        fs::write(list.path(), "x\nb\nc\n").unwrap();
        assert_eq!(list.look(), ["1:x", "2:b", "3:c"]);
        fs::write(list.path(), "x\n").unwrap();
        assert_eq!(list.look(), ["1:x"]);
        fs::remove_file(list.path()).unwrap();
        assert_eq!(list.look(), Vec::<String>::new());
        fs::write(list.path(), "x\n").unwrap();
        assert_eq!(list.look(), ["1:x"]);
    }

    #[test]
    fn a_line_without_its_end_waits_until_the_file_is_quiet() {
        let mut list = Followed::new("a\nb");
        assert_eq!(list.look(), ["1:a"]);
        assert_eq!(list.lists.wake_at(), Some(list.now.after(QUIET)));
        list.pass(QUIET / 2);
        list.append("c");
        assert_eq!(list.look(), Vec::<String>::new());
        assert_eq!(list.lists.wake_at(), Some(list.now.after(QUIET)));
        // By the file's own time it is as old as it looks; by this process's it has waited.
        list.now = list.now.after(QUIET);
        assert_eq!(list.look(), ["2:bc"]);
        assert_eq!(list.lists.wake_at(), None);
        list.append("\nd");
        list.pass(QUIET * 2);
        assert_eq!(list.look().last().unwrap(), "3:d");
        assert_eq!(list.lists.wake_at(), None);
    }

    #[test]
    fn a_large_list_comes_in_chunks() {
        let ids: Vec<_> = (0..25_000).map(|number| format!("id-{number}")).collect();
        let text = ids.join("\n") + "\n";
        let mut list = Followed::new(&text);
        list.lists.look(list.now, list.wall);
        let next = |list: &mut Followed| list.lists.next(list.now).map(|chunk| chunk.found.len());
        assert_eq!(next(&mut list), Some(CHUNK));
        assert_eq!(next(&mut list), Some(CHUNK));
        assert_eq!(next(&mut list), Some(5_000));
        assert_eq!(next(&mut list), None);
        assert_eq!(next(&mut list), None);
    }

    #[test]
    fn what_is_listed_is_not_known_while_a_file_has_gone_only_lately() {
        let mut list = Followed::new("a\n");
        list.look();
        let id: TaskId = "a".parse().unwrap();
        let listed = list.lists.listed(list.now).unwrap();
        assert!(listed.find(&id).is_some());
        assert!(listed.find(&"b".parse().unwrap()).is_none());
        fs::remove_file(list.path()).unwrap();
        assert!(list.lists.listed(list.now).is_none());
        list.look();
        list.pass(GONE.saturating_sub(Duration::from_secs(1)));
        list.look();
        assert!(list.lists.listed(list.now).is_none());
        list.pass(Duration::from_secs(1));
        assert!(list.lists.listed(list.now).unwrap().find(&id).is_none());
        // What is there and cannot be read may list anything.
        fs::create_dir(list.path()).unwrap();
        list.look();
        list.pass(GONE);
        assert!(list.lists.listed(list.now).is_none());
    }
}
