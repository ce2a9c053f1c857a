//! The yardsticks: the same rows in the same table with SQLite alone, in one transaction.
//!
//! It never checks, parses or counts anything.

use std::path::Path;
use std::time::Duration;

use importwatch::store::Store;
use importwatch::store::directory::StateDir;
use rusqlite::{Connection, params};

use crate::{Outcome, folder, timed};

/// How long a prepared INSERT of all ids takes, with the index by id.
pub(crate) fn insert(ids: &[String]) -> Outcome<Duration> {
    let folder = folder()?;
    let mut conn = Connection::open(folder.path().join("bare.db"))?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    for sql in tables()? {
        conn.execute_batch(&sql)?;
    }
    timed(|| {
        let tx = conn.transaction()?;
        let mut insert = tx.prepare(
            "INSERT INTO watch (seq, id, account, import, added_at, deadline)
            VALUES (?1, ?2, 1, 1, ?3, ?4)",
        )?;
        let (added, deadline) = (1_795_000_000_000_i64, 1_795_086_400_000_i64);
        for (seq, id) in (1_i64..).zip(ids) {
            insert.execute(params![seq, id, added, deadline])?;
        }
        drop(insert);
        Ok(tx.commit()?)
    })
}

/// The table of watches and its indexes, as the store makes them.
fn tables() -> Outcome<Vec<String>> {
    let folder = folder()?;
    let store = Store::open(&StateDir::open(folder.path())?)?;
    let conn = Connection::open(store.path())?;
    let mut select = conn.prepare(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = 'watch' AND sql IS NOT NULL ORDER BY rowid",
    )?;
    let tables = select.query_map([], |row| row.get(0))?;
    Ok(tables.collect::<Result<_, _>>()?)
}

/// How long it takes to read all pending rows, on a connection that is open.
pub(crate) fn select(file: &Path) -> Outcome<Duration> {
    let conn = Connection::open(file)?;
    timed(|| {
        let mut select = conn.prepare(
            "SELECT seq, id, account, added_at, deadline, polls, polled_at FROM watch
            WHERE outcome IS NULL ORDER BY seq",
        )?;
        let mut rows = select.query([])?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            for column in 0..7 {
                let value = row.get_ref(column)?;
                read += usize::from(value != rusqlite::types::ValueRef::Null);
            }
        }
        if read == 0 {
            return Err("there is nothing to read".into());
        }
        Ok(())
    })
}
