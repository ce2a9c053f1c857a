//! Sets a damaged database aside under a name that says so, and puts one in its place with what could
//! be read from it.
//!
//! It never deletes or changes the damaged file, and never touches one that turns out to be whole.
//! Whoever dies in the middle of it leaves the old file in its place, for the next to do it again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::directory::StateDir;
use crate::store::error::StoreError;
use crate::store::gate::{Gate, Identity};
use crate::store::salvage::{self, Salvaged};
use crate::store::{DATABASE, connect};

/// The new database while it is filled. Only whoever has closed the gate makes it.
pub(super) const DRAFT: &str = "state.db.salvaged";
/// A copy of the damaged file with a new first page.
pub(super) const COPY: &str = "state.db.salvaging";
/// What SQLite keeps beside a database.
const LOG: &str = "-wal";
const INDEX: &str = "-shm";
/// The length of a page, and where the first has the number of pages
/// (<https://sqlite.org/fileformat.html>).
const PAGE: usize = 4096;
const PAGE_COUNT: u64 = 28;

/// What was done about a damaged database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Where the damaged file is now.
    pub aside: PathBuf,
    /// How many tasks were recovered from it.
    pub tasks: u64,
    /// How many of them are under an account called `recovered`, or `recovered-1` and so on, as whose
    /// they are could not be read.
    pub adrift: u64,
    /// Whether all that it held could be read.
    pub whole: bool,
}

impl Recovery {
    /// What to tell a person.
    #[must_use]
    pub fn told(&self) -> String {
        let aside = self.aside.display();
        let tasks = match self.tasks {
            0 => "no task".to_owned(),
            1 => "1 task".to_owned(),
            many => format!("{many} tasks"),
        };
        let rest = if self.whole {
            "all that it held"
        } else {
            "what else it held cannot be read; add again what is missing"
        };
        let adrift = match self.adrift {
            0 => String::new(),
            adrift => format!(
                "; whose {adrift} of them are cannot be read, so they are under accounts called recovered: give \
                 those a key in the settings, or remove these tasks and add them again"
            ),
        };
        format!(
            "the database was damaged: it was set aside as {aside}, and a new one holds what could be read from it, {tasks} ({rest}){adrift}"
        )
    }
}

/// Looks whether the database in `dir` is damaged, and if so sets it aside and puts what can be read
/// from it in its place. `None`: it is not damaged (any more), and nothing was done.
///
/// Each process that has the old file open is told so by its next call
/// ([`StoreError::Replaced`]).
///
/// # Errors
///
/// Whatever keeps the directory from being written; the damaged file is then where it was.
pub fn recover(dir: &StateDir) -> Result<Option<Recovery>, StoreError> {
    let path = dir.path().join(DATABASE);
    let failed = |source| StoreError::SetAside {
        path: path.clone(),
        source,
    };
    let gate = Gate::of(dir.path()).map_err(failed)?;
    let _closed = gate.close().map_err(failed)?;
    restore(dir, &path).map_err(failed)?;
    if !fs::exists(&path).map_err(failed)? {
        return Ok(None);
    }
    let recovered = salvage(dir, &path).and_then(|salvaged| {
        let Some(salvaged) = salvaged else {
            return Ok(None);
        };
        let aside = replace(dir, &path).map_err(failed)?;
        Ok(Some(Recovery {
            aside,
            tasks: salvaged.tasks,
            adrift: salvaged.adrift,
            whole: salvaged.whole,
        }))
    });
    for name in [DRAFT, COPY] {
        clear(&dir.path().join(name)).map_err(failed)?;
    }
    recovered
}

/// The damaged databases that were set aside in `dir` and are still there.
///
/// # Errors
///
/// The system's, from reading the directory.
pub fn set_aside(dir: &StateDir) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir.path())? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(is_name) {
            found.push(dir.path().join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether someone died while setting `path` aside.
pub(super) fn is_interrupted(dir: &StateDir, path: &Path) -> io::Result<bool> {
    let identity = Identity::of(path)?;
    let same = |aside: PathBuf| Identity::of(&aside).is_ok_and(|found| found == identity);
    Ok(set_aside(dir)?.into_iter().any(same))
}

fn name(number: u32) -> String {
    format!("state-damaged-{number}.db")
}

fn is_name(name: &str) -> bool {
    let number = name.strip_prefix("state-damaged-");
    let number = number.and_then(|rest| rest.strip_suffix(".db"));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a database of ours that is not used, with what is beside it.
fn clear(path: &Path) -> io::Result<()> {
    for suffix in ["", LOG, INDEX, "-journal"] {
        remove(&beside(path, suffix))?;
    }
    Ok(())
}

/// Undoes what someone began who died: the old file gets its log back and loses its second name.
fn restore(dir: &StateDir, path: &Path) -> io::Result<()> {
    let Ok(identity) = Identity::of(path) else {
        return Ok(());
    };
    for aside in set_aside(dir)? {
        if Identity::of(&aside)? != identity {
            continue;
        }
        let (log, kept) = (beside(path, LOG), beside(&aside, LOG));
        if fs::exists(&kept)? && !fs::exists(&log)? {
            fs::hard_link(&kept, &log)?;
        }
        remove(&kept)?;
        remove(&aside)?;
    }
    sync(dir.path())
}

/// Gives the old file and its log a second name, and then the draft the place of the old file: at no
/// moment is there a file with a log that is not its own.
fn replace(dir: &StateDir, path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    let aside = loop {
        let aside = dir.path().join(name(number));
        match fs::hard_link(path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            other => break other.map(|()| aside)?,
        }
    };
    match fs::hard_link(beside(path, LOG), beside(&aside, LOG)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => sync(dir.path())?,
    }
    remove(&beside(path, LOG))?;
    remove(&beside(path, INDEX))?;
    fs::rename(dir.path().join(DRAFT), path)?;
    sync(dir.path())?;
    Ok(aside)
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Fills the draft with what can be read; `None` if the file is whole.
fn salvage(dir: &StateDir, path: &Path) -> Result<Option<Salvaged>, StoreError> {
    let failed = |source| StoreError::SetAside {
        path: path.to_owned(),
        source,
    };
    let sorted = |cause| StoreError::sort("recover the damaged store", path, cause);
    let (draft, copy) = (dir.path().join(DRAFT), dir.path().join(COPY));
    for name in [&draft, &copy] {
        clear(name).map_err(failed)?;
    }
    let mut new = empty(dir, DRAFT)?;
    let objects = count_objects(&new).map_err(|error| sorted(error.into()))?;
    let (mut is_sound, mut has_all_pages) = (true, true);
    let source = if let Ok(source) = read_only(path, objects) {
        source
    } else {
        is_sound = false;
        has_all_pages = transplant(dir, path, &new).map_err(failed)?;
        match read_only(&copy, objects) {
            Ok(source) => source,
            // Nothing can be read.
            Err(_) => Connection::open_in_memory().map_err(|error| sorted(error.into()))?,
        }
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    let modified = Timestamp::new(metadata.mtime(), 0).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut salvaged = salvage::copy(&source, &mut new, modified).map_err(sorted)?;
    salvaged.whole &= has_all_pages && passes_check(&source);
    is_sound &= salvaged.whole;
    drop(source);
    if is_sound {
        return Ok(None);
    }
    new.close().map_err(|(_, error)| sorted(error.into()))?;
    sync(&draft).map_err(failed)?;
    Ok(Some(salvaged))
}

/// A new database, with our mode.
fn empty(dir: &StateDir, name: &str) -> Result<Connection, StoreError> {
    let path = dir.path().join(name);
    drop(dir.create(name).map_err(|source| StoreError::Create {
        path: path.clone(),
        source,
    })?);
    connect(&path)
}

/// Opens a file with its log, if it has all our tables, as far as that can be told of a damaged one.
fn read_only(path: &Path, objects: i64) -> rusqlite::Result<Connection> {
    if fs::metadata(path).is_ok_and(|found| found.len() == 0) {
        // SQLite would delete the log of an empty file.
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // So SQLite reads on where the file is shorter than it should be.
    conn.pragma_update(None, "writable_schema", true)?;
    if count_objects(&conn)? == objects {
        Ok(conn)
    } else {
        Err(rusqlite::Error::QueryReturnedNoRows)
    }
}

/// How many tables and indexes there are.
fn count_objects(conn: &Connection) -> rusqlite::Result<i64> {
    let named = "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'";
    conn.query_row(named, [], |row| row.get(0))
}

fn passes_check(conn: &Connection) -> bool {
    let checked = conn.query_row("PRAGMA integrity_check(1)", [], |row| {
        row.get::<_, String>(0)
    });
    checked.is_ok_and(|checked| checked == "ok")
}

/// Copies the file and its log, with those pages of the draft in place of its own that say where each
/// table begins: they say the same in every database that this program has made. Where the file ends
/// before the draft does, the tables are empty. Whether it was as long as the draft.
fn transplant(dir: &StateDir, path: &Path, new: &Connection) -> io::Result<bool> {
    new.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .map_err(io::Error::other)?;
    let draft = fs::read(dir.path().join(DRAFT))?;
    let copy = dir.path().join(COPY);
    drop(dir.create(COPY)?);
    let length = fs::copy(path, &copy)?;
    if fs::exists(beside(path, LOG))? {
        fs::copy(beside(path, LOG), beside(&copy, LOG))?;
    }
    let file = OpenOptions::new().write(true).open(&copy)?;
    let page = PAGE as u64;
    let complete = length / page;
    let schema = schema_pages(&draft);
    for (number, bytes) in (0..).zip(draft.chunks(PAGE)) {
        if number >= complete || schema.contains(&number) {
            file.write_all_at(bytes, number * page)?;
        }
    }
    let pages = u32::try_from(file.metadata()?.len() / page).unwrap_or(u32::MAX);
    file.write_all_at(&pages.to_be_bytes(), PAGE_COUNT)?;
    Ok(length >= draft.len() as u64)
}

/// The pages of the table of tables, counted from 0: the first, and those that it names if it has no
/// room for all.
fn schema_pages(database: &[u8]) -> Vec<u64> {
    const HEAD: usize = 100;
    const INTERIOR: u8 = 5;
    let number = |at: usize| {
        let bytes = database.get(at..at + 4)?;
        let page = u32::from_be_bytes(bytes.try_into().ok()?);
        Some(u64::from(page).saturating_sub(1))
    };
    let short = |at: usize| {
        let bytes = database.get(at..at + 2)?;
        Some(usize::from(u16::from_be_bytes(bytes.try_into().ok()?)))
    };
    let mut pages = vec![0];
    if database.get(HEAD) == Some(&INTERIOR) {
        pages.extend(number(HEAD + 8));
        let cells = short(HEAD + 3).unwrap_or(0);
        pages.extend((0..cells).filter_map(|cell| number(short(HEAD + 12 + 2 * cell)?)));
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_tables_is_where_it_is_sought() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        let new = empty(&dir, DRAFT).unwrap();
        new.close().unwrap();
        let database = fs::read(root.path().join(DRAFT)).unwrap();
        let pages = schema_pages(&database);
        let text: Vec<u8> = pages
            .iter()
            .flat_map(|page| {
                let from = usize::try_from(*page).unwrap() * PAGE;
                database[from..from + PAGE].to_vec()
            })
            .collect();
        let text = String::from_utf8_lossy(&text);
        for name in [
            "account", "memory", "request", "import", "watch", "failure", "outbox",
        ] {
            assert!(text.contains(&format!("CREATE TABLE {name} (")), "{name}");
        }
    }

    #[test]
    fn names() {
        assert!(is_name(&name(1)) && is_name(&name(4_000)));
        for other in ["state.db", "state-damaged-1.db-wal", "state-damaged-.db"] {
            assert!(!is_name(other), "{other}");
        }
    }
}
