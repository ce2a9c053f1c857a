//! The store: what is watched, what became of it and who must still be told, in one SQLite file
//! that commands and daemon open at the same time; beside it the lock and the doorbell.
//!
//! It never reads time, never waits for the network, and never decides: each call is one blocking
//! step that is stored entirely or not at all. What it reads back it parses; a row that it did not
//! write is an error, not a guess. A damaged file is set aside, never deleted.

pub mod accounts;
pub mod add;
pub mod aside;
pub mod budget;
pub mod changes;
pub mod directory;
pub mod doorbell;
pub mod error;
pub mod experience;
mod filesystem;
pub mod follow;
mod gate;
pub mod imports;
mod leftovers;
pub mod lock;
pub mod news;
pub mod outbox;
pub mod outlook;
pub mod portion;
pub mod prune;
pub mod remove;
mod rows;
mod salvage;
mod schema;
pub mod settle;
mod sources;
mod tally;
pub mod watches;

use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, ffi};

use crate::store::aside::Recovery;
use crate::store::directory::StateDir;
use crate::store::error::{Cause, StoreError};
use crate::store::gate::{Gate, Identity};
use crate::store::schema::Format;

/// The database, in the state directory.
const DATABASE: &str = "state.db";
/// What stands behind its name, before a number of 16 digits, while it is made.
const BEGUN: &str = ".new-";
/// The first SQLite without the WAL-reset bug, by which two writers can lose committed data or
/// damage the file (<https://sqlite.org/wal.html#the_wal_reset_bug>).
const OLDEST_SQLITE: i32 = 3_051_003;
/// How often a write that finds another program writing looks again, a millisecond apart, before it
/// says so.
const PATIENCE: i32 = 15_000;
/// How long whoever writes many transactions in a row leaves between two of them: time enough for one
/// who looks each millisecond.
const TURN: Duration = Duration::from_millis(5);
/// The size to which the log shrinks again after a large transaction, in bytes.
const LOG_SIZE: i64 = 16 << 20;
/// How many rows one transaction writes at most, so that others get their turn.
const CHUNK: usize = 10_000;

/// One connection to the database. Every call blocks; a transaction is over when the call returns.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    path: PathBuf,
    /// The file that is open, which may have lost its place in the directory.
    identity: Identity,
    recovery: Option<Recovery>,
    // Let go after the connection.
    gate: Gate,
}

impl Store {
    /// Opens the database in `dir`, makes it if there is none, and brings an older one up to date.
    /// One that is damaged is set aside first, and what can be read from it is in the new one
    /// ([`Self::recovery`]).
    ///
    /// # Errors
    ///
    /// [`StoreError::OldSqlite`], [`StoreError::Newer`], [`StoreError::Foreign`],
    /// [`StoreError::NoWal`], or whatever keeps the file from being made, read or written.
    pub fn open(dir: &StateDir) -> Result<Self, StoreError> {
        if !is_fit(rusqlite::version_number()) {
            return Err(StoreError::OldSqlite {
                version: rusqlite::version(),
            });
        }
        match Self::open_as_it_is(dir) {
            Err(StoreError::Damaged { .. }) => {
                let recovery = aside::recover(dir)?;
                let mut store = Self::open_as_it_is(dir)?;
                store.recovery = recovery;
                Ok(store)
            }
            other => other,
        }
    }

    fn open_as_it_is(dir: &StateDir) -> Result<Self, StoreError> {
        let path = dir.path().join(DATABASE);
        let denied = |source| StoreError::Directory {
            path: dir.path().to_owned(),
            source,
        };
        let gate = Gate::of(dir.path()).map_err(denied)?;
        leftovers::sweep(dir.path(), &gate);
        let passed = gate.pass().map_err(denied)?;
        create(dir, &path)?;
        let metadata = fs::metadata(&path).map_err(denied)?;
        // An empty file is nothing that was ever made here.
        let is_cut = metadata.len() == 0;
        if is_cut || metadata.nlink() > 1 && aside::is_interrupted(dir, &path).map_err(denied)? {
            let source = ffi::Error::new(ffi::SQLITE_NOTADB);
            return Err(StoreError::Damaged {
                doing: "open the store",
                path,
                source: rusqlite::Error::SqliteFailure(source, None),
            });
        }
        let identity = Identity::of(&path).map_err(denied)?;
        let conn = connect(&path)?;
        drop(passed);
        Ok(Self {
            conn,
            path,
            identity,
            recovery: None,
            gate,
        })
    }

    /// What was done when it was opened because the database was damaged, if it was.
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// Whether there is a database in `directory`, which need not be there either.
    #[must_use]
    pub fn is_in(directory: &Path) -> bool {
        directory.join(DATABASE).is_file()
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number that changes when another connection has changed the file. Numbers of one
    /// connection alone can be compared.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        self.read("look for changes", |conn| {
            Ok(conn.pragma_query_value(None, "data_version", |row| row.get(0))?)
        })
    }

    /// One transaction that writes. It takes the right to write at once, since one that reads first
    /// can be refused it when it comes to write.
    fn write<T>(
        &mut self,
        doing: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, Cause>,
    ) -> Result<T, StoreError> {
        // While this is held, no one sets the file aside.
        let _passed = self.gate.pass().map_err(|source| StoreError::Gate {
            path: self.path.clone(),
            source,
        })?;
        self.is_in_place()?;
        let conn = &mut self.conn;
        let attempt = || {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = body(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        attempt().map_err(|cause| StoreError::sort(doing, &self.path, cause))
    }

    /// One transaction that reads, so that all its answers belong to one moment.
    fn read<T>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&Connection) -> Result<T, Cause>,
    ) -> Result<T, StoreError> {
        self.is_in_place()?;
        let attempt = || {
            let tx = self.conn.unchecked_transaction()?;
            body(&tx)
        };
        attempt().map_err(|cause| StoreError::sort(doing, &self.path, cause))
    }

    /// Whether the file that is open is still the one that others open: what is written to another
    /// is lost.
    fn is_in_place(&self) -> Result<(), StoreError> {
        match Identity::of(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            _ => Err(StoreError::Replaced {
                path: self.path.clone(),
            }),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Whoever closes the last connection deletes the log, by its name: that of another file, if
        // this one was set aside.
        let passed = self.gate.pass();
        if passed.is_err() || self.is_in_place().is_err() {
            let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            drop(self.conn.set_db_config(no_checkpoint, true));
        }
        // It ends with the gate, which is let go after the connection.
        mem::forget(passed);
    }
}

/// Waits a moment for another program's write. SQLite's own waiting looks ten times a second, and
/// never hits the moment between two transactions of a large `add`.
fn is_patient(looks: i32) -> bool {
    thread::sleep(Duration::from_millis(1));
    looks < PATIENCE
}

/// Lets others have their turn at writing, between two transactions of one call.
fn give_turn() {
    thread::sleep(TURN);
}

fn is_fit(sqlite: i32) -> bool {
    sqlite >= OLDEST_SQLITE
}

/// Makes the database if there is none: under another name, complete, with its mode, and only then
/// under its own. So no one ever opens half a database, two that make it at once do not meet, and
/// no file descriptor of ours is ever closed on a file that SQLite has open, which would undo
/// SQLite's locks on it.
fn create(dir: &StateDir, path: &Path) -> Result<(), StoreError> {
    if fs::exists(path).unwrap_or(true) {
        return Ok(());
    }
    let draft_name = format!("{DATABASE}{BEGUN}{:016x}", fastrand::u64(..));
    let draft = dir.path().join(&draft_name);
    let failed = |source| StoreError::Create {
        path: path.to_owned(),
        source,
    };
    drop(dir.create(&draft_name).map_err(failed)?);
    let made = connect(&draft).map(drop).and_then(|()| {
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => File::open(dir.path()).and_then(|dir| dir.sync_all()),
        }
        .map_err(failed)
    });
    let removed = fs::remove_file(&draft).map_err(failed);
    made.and(removed)
}

/// Opens a file that exists, and sets up the connection.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let attempt = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(path, flags)?;
        conn.busy_handler(Some(is_patient))?;
        conn.set_prepared_statement_cache_capacity(64);
        let mut format = schema::identify(&conn)?;
        let Format::Ours(version) = format else {
            return Ok((conn, format, true));
        };
        let mode: String =
            conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        conn.pragma_update(None, "synchronous", "full")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        // A mapped file turns a disk that fails into a signal that kills the process.
        conn.pragma_update(None, "mmap_size", 0)?;
        conn.pragma_update(None, "journal_size_limit", LOG_SIZE)?;
        if version < schema::VERSION {
            format = schema::migrate(&mut conn)?;
        }
        Ok((conn, format, mode == "wal"))
    };
    let (conn, format, wal) =
        attempt().map_err(|cause| StoreError::sort("open the store", path, cause))?;
    let path = path.to_owned();
    match format {
        Format::Newer(found) => Err(StoreError::Newer {
            path,
            found,
            known: schema::VERSION,
        }),
        Format::Foreign => Err(StoreError::Foreign { path }),
        Format::Ours(_) if !wal => Err(StoreError::NoWal { path }),
        Format::Ours(_) => Ok(conn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountName;
    use crate::store::add::{Add, ImportChoice};
    use jiff::Timestamp;

    fn add_some(store: &mut Store, count: usize) -> Result<(), StoreError> {
        let add = Add {
            account: AccountName::default_account(),
            import: ImportChoice::Named("import".to_owned()),
            give_up_after: Duration::from_mins(1),
        };
        let ids: Vec<_> = (0..count)
            .map(|n| format!("task-{n}").parse().unwrap())
            .collect();
        store.add(&add, &ids, Timestamp::UNIX_EPOCH).map(drop)
    }

    #[test]
    fn a_sqlite_that_loses_data_is_refused() {
        assert!(!is_fit(3_040_001));
        assert!(!is_fit(3_051_002));
        assert!(is_fit(3_051_003));
        assert!(is_fit(rusqlite::version_number()));
    }

    #[test]
    fn a_connection_syncs_each_commit_and_maps_nothing() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(&StateDir::open(root.path()).unwrap()).unwrap();
        let number = |name| -> i64 {
            let value = store.conn.pragma_query_value(None, name, |row| row.get(0));
            value.unwrap()
        };
        assert_eq!(number("synchronous"), 2);
        assert_eq!(number("mmap_size"), 0);
        assert_eq!(number("foreign_keys"), 1);
    }

    #[test]
    fn a_store_moves_between_threads() {
        fn is_send<T: Send>() {}
        is_send::<Store>();
    }

    #[test]
    fn while_another_writes_it_is_busy_and_later_not() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        let mut store = Store::open(&dir).unwrap();
        let other = Store::open(&dir).unwrap();
        store.conn.busy_timeout(Duration::ZERO).unwrap();
        other.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = add_some(&mut store, 1).unwrap_err();
        assert!(matches!(error, StoreError::Busy { .. }), "{error}");
        assert!(error.is_transient());
        // Whoever only reads does not notice.
        assert_eq!(store.standing_of_all().unwrap().tasks(), 0);
        other.conn.execute_batch("ROLLBACK").unwrap();
        add_some(&mut store, 1).unwrap();
    }

    #[test]
    fn where_no_space_is_left_nothing_is_half_stored() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::open(&StateDir::open(root.path()).unwrap()).unwrap();
        let limit = |pages: i64| {
            let set = store.conn.pragma_update(None, "max_page_count", pages);
            set.unwrap();
        };
        limit(40);
        let error = add_some(&mut store, 5_000).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert!(error.is_transient());
        assert!(error.to_string().contains("state.db"));
        assert_eq!(store.standing_of_all().unwrap().tasks(), 0);
        store
            .conn
            .pragma_update(None, "max_page_count", 100_000)
            .unwrap();
        add_some(&mut store, 5_000).unwrap();
        assert_eq!(store.standing_of_all().unwrap().tasks(), 5_000);
    }
}
