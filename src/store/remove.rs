//! Takes ids off the watch list.
//!
//! It never leaves a trace of a task but the note by which the daemon learns that it is gone.

use rusqlite::{Connection, params};

use crate::store::changes::Seq;
use crate::store::error::{Cause, StoreError};
use crate::store::rows;
use crate::store::tally::{Tally, Weight};
use crate::store::{CHUNK, Store};
use crate::task::TaskId;

/// What came of removing one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It was pending, and is no longer watched.
    Pending,
    /// It had an outcome, and went with what was not yet told of it.
    Settled,
    /// It is not on the watch list, or was given before.
    Unknown,
}

impl Store {
    /// Takes `ids` off the watch list, each with its history and with what was not yet told of it.
    /// Returns what came of each, in the order given.
    ///
    /// Each goes whole; several share a transaction as long as it stays below ten thousand rows.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written. Those before it may be gone already.
    pub fn remove(&mut self, ids: &[TaskId]) -> Result<Vec<Removed>, StoreError> {
        let mut removed = Vec::with_capacity(ids.len());
        while removed.len() < ids.len() {
            self.write("remove tasks", |tx| {
                let mut tally = Tally::default();
                let mut written = 0;
                for id in ids.iter().skip(removed.len()) {
                    let (what, rows) = remove(tx, id, &mut tally)?;
                    removed.push(what);
                    written += rows;
                    if written >= CHUNK {
                        break;
                    }
                }
                tally.apply(tx)
            })?;
        }
        Ok(removed)
    }
}

/// Removes one id; also says how many rows that took.
fn remove(conn: &Connection, id: &TaskId, tally: &mut Tally) -> Result<(Removed, usize), Cause> {
    let text = id.to_string();
    // Both indexes by id are partial, so the condition on `superseded` has to be spelt out.
    let mut select = conn.prepare_cached(
        "SELECT seq, import, superseded, outcome, rows_in, rows_refused FROM watch
        WHERE id = ?1 AND superseded = 0
        UNION ALL
        SELECT seq, import, superseded, outcome, rows_in, rows_refused FROM watch
        WHERE id = ?1 AND superseded = 1",
    )?;
    let watches = rows::all(&mut select, [&text], "watch", |mut columns| {
        Doomed::read(&mut columns)
    })?;
    let mut removed = Removed::Unknown;
    // An id that is not there costs a look, and counts as that.
    let mut written = 1;
    for watch in &watches {
        match watch.weight {
            Weight::Pending => {
                removed = Removed::Pending;
                conn.prepare_cached("INSERT INTO removal (watch, id) VALUES (?1, ?2)")?
                    .execute(params![watch.seq, text])?;
            }
            Weight::Settled { .. } => removed = Removed::Settled,
            Weight::Superseded => {}
        }
        written += watch.delete(conn, tally)?;
    }
    Ok((removed, written))
}

/// A watch that is to be deleted.
pub(super) struct Doomed {
    seq: i64,
    import: i64,
    weight: Weight,
}

impl Doomed {
    /// Reads `seq, import, superseded, outcome, rows_in, rows_refused`.
    pub(super) fn read(columns: &mut rows::Columns<'_, '_>) -> Result<Self, Cause> {
        Ok(Self {
            seq: columns.key(),
            import: columns.get()?,
            weight: Weight::read(columns)?,
        })
    }

    /// Its number.
    pub(super) fn seq(&self) -> Seq {
        Seq(self.seq)
    }

    /// Whether the task has a later watch.
    pub(super) fn is_superseded(&self) -> bool {
        matches!(self.weight, Weight::Superseded)
    }

    /// Deletes it, its failures and what was not yet told of it. Returns how many rows that were.
    pub(super) fn delete(&self, conn: &Connection, tally: &mut Tally) -> Result<usize, Cause> {
        let mut rows = 0;
        for sql in [
            "DELETE FROM failure WHERE watch = ?1",
            "DELETE FROM outbox WHERE watch = ?1",
            "DELETE FROM watch WHERE seq = ?1",
        ] {
            rows += conn.prepare_cached(sql)?.execute([self.seq])?;
        }
        tally.minus(self.import, self.weight);
        Ok(rows)
    }
}
