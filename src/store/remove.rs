//! Takes ids off the watch list.
//!
//! It never leaves a trace of a task but the note by which the daemon learns that it is gone.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use crate::notice::channel::Channel;
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
    /// An import of which nothing is pending any more by that has its result; it is to be told on the
    /// channels that tell results, which drop it where they are off.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written. Those before it may be gone already.
    pub fn remove(&mut self, ids: &[TaskId]) -> Result<Vec<Removed>, StoreError> {
        let mut removed = Vec::with_capacity(ids.len());
        while removed.len() < ids.len() {
            self.write("remove tasks", |tx| {
                let mut tally = Tally::default();
                let mut concluded = BTreeSet::new();
                let mut written = 0;
                for id in ids.iter().skip(removed.len()) {
                    let (what, rows) = remove(tx, id, &mut tally, &mut concluded)?;
                    removed.push(what);
                    written += rows;
                    if written >= CHUNK {
                        break;
                    }
                }
                tally.apply(tx)?;
                concluded
                    .into_iter()
                    .try_for_each(|import| conclude(tx, import))
            })?;
        }
        Ok(removed)
    }
}

/// Notes that an import's result is to be told, if nothing of it is pending and that is not noted yet.
fn conclude(conn: &Connection, import: i64) -> Result<(), Cause> {
    for channel in Channel::ALL.into_iter().filter(|c| c.tells_results()) {
        conn.prepare_cached(
            "INSERT INTO outbox (channel, committed_at, watch)
            SELECT ?1, w.settled_at, w.seq FROM import i
            CROSS JOIN watch w ON w.seq = (
                SELECT max(seq) FROM watch WHERE seq BETWEEN i.first_watch AND i.last_watch
                    AND import = i.key AND superseded = 0 AND outcome IS NOT NULL)
            WHERE i.key = ?2 AND i.pending = 0 AND NOT EXISTS (
                SELECT 1 FROM outbox o CROSS JOIN watch v ON v.seq = o.watch
                WHERE o.channel = ?1 AND v.import = ?2)",
        )?
        .execute(params![channel.as_str(), import])?;
    }
    Ok(())
}

/// Removes one id; also says how many rows that took, and adds the import to those that may have their
/// result by that.
fn remove(
    conn: &Connection,
    id: &TaskId,
    tally: &mut Tally,
    concluded: &mut BTreeSet<i64>,
) -> Result<(Removed, usize), Cause> {
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
        // What a row of it was to tell of the whole import is still to be told.
        let told = conn
            .prepare_cached("SELECT 1 FROM outbox WHERE watch = ?1 AND channel = ?2")?
            .exists((watch.seq, Channel::Command.as_str()))?;
        if told || matches!(watch.weight, Weight::Pending) {
            concluded.insert(watch.import);
        }
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
