//! What has changed on the watch list, for the one process that asks about it.
//!
//! It never tells of outcomes: those come from that same process.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::account::AccountName;
use crate::store::Store;
use crate::store::error::{Cause, StoreError};
use crate::store::rows;
use crate::task::TaskId;

/// A watch's number. Later additions have greater ones; none is ever used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub i64);

impl Seq {
    /// Before every watch.
    pub const START: Self = Self(0);
}

/// A pending watch, with what is needed to ask about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingWatch {
    /// Its number.
    pub seq: Seq,
    /// The task.
    pub id: TaskId,
    /// Whose key asks about it.
    pub account: AccountName,
    /// When it was added.
    pub added_at: Timestamp,
    /// When the watch gives up.
    pub deadline: Timestamp,
    /// How many answers there were about it.
    pub polls: u32,
    /// When the last of them came.
    pub polled_at: Option<Timestamp>,
    /// The progress last claimed, in percent.
    pub progress: Option<u8>,
}

/// A watch that was pending and has been removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The removal's number; later removals have greater ones.
    pub number: i64,
    /// The number that the watch had.
    pub seq: Seq,
    /// The task.
    pub id: TaskId,
}

/// A page of changes. The removals come first: an id may have been removed and added again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Removals not yet forgotten, in their order.
    pub removals: Vec<Removal>,
    /// Additions that are pending, in their order.
    pub added: Vec<PendingWatch>,
    /// Up to where additions have been looked at: where the next page begins.
    pub upto: Seq,
    /// Whether there may be more than this page.
    pub more: bool,
}

impl Store {
    /// What has changed on the watch list: the removals that nobody has forgotten yet, and the
    /// pending watches after `after`; at most `limit` of each, at least one. While removals fill the page, no
    /// additions are in it.
    ///
    /// Apply the removals, then the additions; forget the removals
    /// ([`forget_removals`](Self::forget_removals)), and go on from `upto` while there is `more`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn changes(&self, after: Seq, limit: usize) -> Result<Changes, StoreError> {
        self.read("read the watch list", |conn| {
            let limit = limit.max(1);
            let sql_limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut select =
                conn.prepare_cached("SELECT n, watch, id FROM removal ORDER BY n LIMIT ?1")?;
            let removals = rows::all(&mut select, [sql_limit], "removal", |mut columns| {
                Ok(Removal {
                    number: columns.key(),
                    seq: Seq(columns.get()?),
                    id: columns.parse()?,
                })
            })?;
            if removals.len() == limit {
                return Ok(Changes {
                    removals,
                    added: Vec::new(),
                    upto: after,
                    more: true,
                });
            }
            let added = added(conn, after, sql_limit)?;
            let more = added.len() == limit;
            let upto = match added.last() {
                Some(last) if more => last.seq,
                _ => newest(conn)?.max(after),
            };
            Ok(Changes {
                removals,
                added,
                upto,
                more,
            })
        })
    }

    /// Deletes the removals up to `number`, which have been applied.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn forget_removals(&mut self, number: i64) -> Result<(), StoreError> {
        self.write("forget the removals that were seen", |tx| {
            tx.prepare_cached("DELETE FROM removal WHERE n <= ?1")?
                .execute([number])?;
            Ok(())
        })
    }
}

fn added(conn: &Connection, after: Seq, limit: i64) -> Result<Vec<PendingWatch>, Cause> {
    let accounts = accounts(conn)?;
    // Whose it is has nearly always been found for the watch before it.
    let mut last: Option<&(i64, AccountName)> = None;
    let mut select = conn.prepare_cached(
        "SELECT seq, id, account, added_at, deadline, polls, polled_at, progress
        FROM watch
        WHERE seq > ?1 AND outcome IS NULL ORDER BY seq LIMIT ?2",
    )?;
    rows::all(&mut select, (after.0, limit), "watch", |mut columns| {
        Ok(PendingWatch {
            seq: Seq(columns.key()),
            id: columns.parse()?,
            account: {
                let key: i64 = columns.get()?;
                if last.is_none_or(|(last, _)| *last != key) {
                    last = accounts.iter().find(|(other, _)| *other == key);
                }
                let name = last.map(|(_, name)| name.clone());
                name.ok_or_else(|| columns.bad("its account is not there"))?
            },
            added_at: columns.time()?,
            deadline: columns.time()?,
            polls: columns.get()?,
            polled_at: columns.time_if_any()?,
            progress: columns.get()?,
        })
    })
}

fn accounts(conn: &Connection) -> Result<Vec<(i64, AccountName)>, Cause> {
    let mut select = conn.prepare_cached("SELECT key, name FROM account")?;
    rows::all(&mut select, [], "account", |mut columns| {
        Ok((columns.key(), columns.parse()?))
    })
}

fn newest(conn: &Connection) -> Result<Seq, Cause> {
    let mut select = conn.prepare_cached("SELECT next_watch - 1 FROM counter")?;
    Ok(Seq(select.query_row([], |row| row.get(0))?))
}
