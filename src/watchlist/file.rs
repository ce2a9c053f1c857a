//! One file of ids, as it comes, grows, is replaced and goes.
//!
//! It is read again where it has changed, and then from where it was read to, if all before that is
//! still the same. Each trouble with it is said once, and once more when it is over; each line that
//! cannot be used is said once, however often the file is read.

use std::collections::HashSet;
use std::fs::{File, Metadata, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufReader, Seek as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::OFlag;

use crate::account::AccountName;
use crate::clock::Instant;
use crate::notice::safe;
use crate::watchlist::ids::{Found, Ids};
use crate::watchlist::lines::Position;
use crate::watchlist::unusable::Unusable;

/// How long a file must not have changed before its last line counts without an end: longer than
/// scripts take between two parts of a line, as far as one can tell.
pub(super) const QUIET: Duration = Duration::from_secs(10);
/// A file that was written so shortly before it was read may be written again without a sign of it,
/// in milliseconds: file systems count time in coarse steps.
const COARSE: i64 = 2000;
/// So many lines of a file that cannot be used are said one by one.
const MOST_SAID: usize = 20;

/// Opens a file of ids, which must be a file: opening anything else could wait for ever.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(io::Error::other("it is not a file"))
    }
}

/// The ids of a file as it is now, its last line included.
///
/// # Errors
///
/// The system's, or that it is not a file.
pub fn read(path: &Path) -> io::Result<Ids<BufReader<File>>> {
    Ok(Ids::new(BufReader::new(open(path)?.0)))
}

/// By what one tells that a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// How long before `wall` it was written, in milliseconds; negative if that is still to come.
    fn age(&self, wall: Timestamp) -> i64 {
        let (seconds, nanos) = self.modified;
        let modified = seconds
            .saturating_mul(1000)
            .saturating_add(nanos / 1_000_000);
        wall.as_millisecond().saturating_sub(modified)
    }
}

/// A file that is followed.
#[derive(Debug)]
pub(super) struct ListFile {
    path: PathBuf,
    /// What was read of it last; `None` while it is not there or cannot be read.
    read: Option<Reading>,
    /// The reading under way.
    pass: Option<Pass>,
    trouble: Option<Trouble>,
    said: Said,
}

/// What was read of a file.
#[derive(Debug, Clone, Copy)]
struct Reading {
    stamp: Stamp,
    /// When this stamp was seen first.
    seen_at: Instant,
    /// Whether the file may have been written after it was read without a sign of it.
    is_unsure: bool,
    /// Whether something without an end was held back.
    is_held: bool,
    /// Up to where it was read.
    taken: Option<Position>,
}

/// A reading under way.
#[derive(Debug)]
struct Pass {
    ids: Ids<BufReader<File>>,
    stamp: Stamp,
    seen_at: Instant,
    is_unsure: bool,
}

/// What keeps a file from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// It is not there.
    Missing { since: Instant },
    /// It is there.
    Unreadable,
}

impl ListFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: None,
            pass: None,
            trouble: None,
            said: Said::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to read the file, if there is something to read in it. Blocks.
    pub(super) fn look(&mut self, now: Instant, wall: Timestamp) {
        if let Err(error) = self.begin(now, wall) {
            self.say_trouble(&error, now);
        }
    }

    fn begin(&mut self, now: Instant, wall: Timestamp) -> io::Result<()> {
        let stamp = Stamp::of(&std::fs::metadata(&self.path)?);
        let last = self.read.filter(|read| read.stamp == stamp);
        let waits = |read: &Reading| read.is_held && now.since(read.seen_at) < QUIET;
        if last.is_some_and(|read| !read.is_unsure && (!read.is_held || waits(&read))) {
            return Ok(());
        }
        let (file, metadata) = open(&self.path)?;
        let stamp = Stamp::of(&metadata);
        let last = self.read.filter(|read| read.stamp == stamp);
        let seen_at = last.map_or(now, |read| read.seen_at);
        let age = stamp.age(wall);
        let quiet = i64::try_from(QUIET.as_millis()).unwrap_or(i64::MAX);
        let is_quiet = age >= quiet || now.since(seen_at) >= QUIET;
        let again = file.try_clone()?;
        let ids = |file| {
            let input = BufReader::new(file);
            if is_quiet {
                Ids::new(input)
            } else {
                Ids::of_growing(input)
            }
        };
        let mut found = ids(file);
        let resumed = match self.read.and_then(|read| read.taken) {
            Some(taken) => found.resume(taken)?,
            None => false,
        };
        if !resumed {
            let mut file = again;
            file.rewind()?;
            found = ids(file);
        }
        self.said.begin(!resumed);
        self.pass = Some(Pass {
            ids: found,
            stamp,
            seen_at,
            is_unsure: age.abs() < COARSE,
        });
        Ok(())
    }

    /// Reads up to `most` more ids; none is the end of what there is to read. Blocks.
    pub(super) fn next(&mut self, most: usize, now: Instant) -> Vec<Found> {
        let mut found = Vec::new();
        let Some(pass) = &mut self.pass else {
            return found;
        };
        while found.len() < most {
            match pass.ids.next() {
                Some(Ok(Ok(one))) => found.push(one),
                Some(Ok(Err(unusable))) => self.said.unusable(&self.path, &unusable),
                Some(Err(error)) => {
                    self.pass = None;
                    self.say_trouble(&error, now);
                    return found;
                }
                None => break,
            }
        }
        if found.is_empty() {
            self.end();
        }
        found
    }

    fn end(&mut self) {
        let Some(pass) = self.pass.take() else {
            return;
        };
        self.said.end();
        if self.trouble.take().is_some() {
            tracing::info!(list = ?self.path, "a list of ids is back");
        }
        self.read = Some(Reading {
            stamp: pass.stamp,
            seen_at: pass.seen_at,
            is_unsure: pass.is_unsure,
            is_held: pass.ids.is_held(),
            taken: pass.ids.taken(),
        });
    }

    /// When something that is held back is to be looked at again.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let held = self.read.filter(|read| read.is_held)?;
        Some(held.seen_at.after(QUIET))
    }

    /// For how long the file has not been there; `None` if it is.
    pub(super) fn gone_for(&self, now: Instant) -> Option<Duration> {
        match self.trouble {
            Some(Trouble::Missing { since }) => Some(now.since(since)),
            _ => None,
        }
    }

    /// Says that a listed id is watched under another account.
    pub(super) fn say_elsewhere(&mut self, found: &Found, account: &AccountName) {
        let mut sign = DefaultHasher::new();
        (&found.id, account.as_str()).hash(&mut sign);
        let Found { id, line } = found;
        self.said.once(sign.finish(), &self.path, || {
            tracing::warn!(
                list = ?self.path,
                line,
                task = %id,
                %account,
                "a listed task is watched under another account already; to move it, remove it there"
            );
        });
    }

    fn say_trouble(&mut self, error: &io::Error, now: Instant) {
        // What comes back is read from the start.
        self.read = None;
        let is_missing = matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        );
        match (is_missing, self.trouble) {
            (true, Some(Trouble::Missing { .. })) | (false, Some(Trouble::Unreadable)) => {}
            (true, _) => {
                self.trouble = Some(Trouble::Missing { since: now });
                tracing::warn!(
                    list = ?self.path,
                    "a list of ids is not there; it is read when it is made, or take it out of watch.files"
                );
            }
            (false, _) => {
                self.trouble = Some(Trouble::Unreadable);
                let cause = safe::one_line(&error.to_string());
                tracing::warn!(
                    list = ?self.path,
                    ?cause,
                    "a list of ids cannot be read; it is tried again, and what it listed stays watched"
                );
            }
        }
    }
}

/// What was said of a file's lines.
#[derive(Debug, Default)]
struct Said {
    /// Signs of what the file held when it was last read as a whole.
    earlier: HashSet<u64>,
    /// Signs of what it has held in this reading.
    seen: HashSet<u64>,
    /// Whether it was said that there are more.
    more: bool,
}

impl Said {
    fn begin(&mut self, from_the_start: bool) {
        self.seen = if from_the_start {
            HashSet::new()
        } else {
            self.earlier.clone()
        };
    }

    fn end(&mut self) {
        self.more &= self.seen.len() >= MOST_SAID;
        self.earlier = std::mem::take(&mut self.seen);
    }

    fn unusable(&mut self, path: &Path, unusable: &Unusable) {
        let (line, cause) = (unusable.line(), unusable.what());
        self.once(unusable.sign(), path, || {
            tracing::warn!(
                list = ?path,
                line,
                ?cause,
                "a line of a list cannot be used; the others are watched"
            );
        });
    }

    /// Says something, unless it was said when the file was read before.
    fn once(&mut self, sign: u64, path: &Path, say: impl FnOnce()) {
        if self.seen.len() >= MOST_SAID {
            if !self.more {
                self.more = true;
                tracing::warn!(
                    list = ?path,
                    "more lines of a list cannot be used; importwatch check counts them"
                );
            }
            return;
        }
        // The same thing in another line is said too.
        let mut sign = sign;
        while !self.seen.insert(sign) {
            sign = sign.wrapping_add(1);
        }
        if !self.earlier.contains(&sign) {
            say();
        }
    }
}
