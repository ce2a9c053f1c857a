//! What is still to be told, and to whom: one row for each outcome or account event and each
//! notifier, committed together with what it tells.
//!
//! It never words anything, and never forgets a row that has not been told.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::notice::AccountNews;
use crate::notice::channel::Channel;
use crate::store::error::{Cause, StoreError};
use crate::store::rows::{self, Columns, Page, WATCHES};
use crate::store::{CHUNK, Store};
use crate::watch::Watch;

/// A row's number. Later rows have greater ones; none is ever used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxKey(pub i64);

impl OutboxKey {
    /// Before every row.
    pub const START: Self = Self(0);
}

/// Something that one channel has not told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The row.
    pub key: OutboxKey,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// What is to be told.
    pub news: News,
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A task has an outcome: the watch, settled, with its failures.
    Task(Box<Watch>),
    /// Something is wrong with an account, or no longer.
    Account(AccountNews),
}

impl Store {
    /// A page of what `channel` has not told yet, after `after`, in the order of committing. It has
    /// at most `limit` rows, fewer where the failures of their tasks are many; an empty page is the
    /// end.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn waiting(
        &self,
        channel: Channel,
        after: OutboxKey,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.read("read what is to be told", |conn| {
            let mut select = conn.prepare_cached(
                "SELECT o.key, o.committed_at, o.watch, a.name, o.trouble, o.over, o.cause
                FROM outbox o LEFT JOIN account a ON a.key = o.account
                WHERE o.channel = ?1 AND o.key > ?2 ORDER BY o.key",
            )?;
            let mut found = select.query((channel.as_str(), after.0))?;
            let mut page = Page::of(limit);
            let mut waiting = Vec::new();
            while !page.is_full()
                && let Some(row) = found.next()?
            {
                let one = read(conn, Columns::new("outbox", row)?)?;
                page.take(match &one.news {
                    News::Task(watch) => Some(watch),
                    News::Account(_) => None,
                });
                waiting.push(one);
            }
            Ok(waiting)
        })
    }

    /// Notes that what these rows say has been told. Ten thousand are one transaction.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn told(&mut self, keys: &[OutboxKey]) -> Result<(), StoreError> {
        for chunk in keys.chunks(CHUNK) {
            self.write("note what was told", |tx| {
                let mut delete = tx.prepare_cached("DELETE FROM outbox WHERE key = ?1")?;
                for key in chunk {
                    delete.execute([key.0])?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// How many rows `channel` has not told yet.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn waiting_count(&self, channel: Channel) -> Result<u64, StoreError> {
        self.count_waiting("SELECT 0, count(*) FROM outbox WHERE channel = ?1", channel)
    }

    /// Of how many imports `channel` has something not told yet.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn imports_waiting(&self, channel: Channel) -> Result<u64, StoreError> {
        self.count_waiting(
            "SELECT 0, count(DISTINCT w.import)
            FROM outbox o CROSS JOIN watch w ON w.seq = o.watch WHERE o.channel = ?1",
            channel,
        )
    }

    fn count_waiting(&self, sql: &str, channel: Channel) -> Result<u64, StoreError> {
        self.read("count what is to be told", |conn| {
            let count = rows::one(conn, sql, [channel.as_str()], "outbox", |mut columns| {
                columns.count()
            })?;
            Ok(count.unwrap_or(0))
        })
    }

    /// Drops what waits for a channel that is not among `on`: the settings have turned it off, and
    /// what waits for it would keep its watches from ever being pruned. Returns how many rows went.
    ///
    /// It is for channels that are off by the settings; one that merely cannot deliver now keeps its
    /// rows.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn keep_channels(&mut self, on: &[Channel]) -> Result<usize, StoreError> {
        let mut dropped = 0;
        for channel in Channel::ALL {
            if on.contains(&channel) {
                continue;
            }
            loop {
                let rows = self.write("drop what a notifier that is off was to tell", |tx| {
                    let mut delete = tx.prepare_cached(
                        "DELETE FROM outbox WHERE key IN
                            (SELECT key FROM outbox WHERE channel = ?1 LIMIT ?2)",
                    )?;
                    let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
                    Ok(delete.execute((channel.as_str(), limit))?)
                })?;
                dropped += rows;
                if rows < CHUNK {
                    break;
                }
            }
        }
        Ok(dropped)
    }
}

fn read(conn: &Connection, mut columns: Columns<'_, '_>) -> Result<Waiting, Cause> {
    let key = OutboxKey(columns.key());
    let committed_at = columns.time()?;
    let watch: Option<i64> = columns.get()?;
    let news = if let Some(watch) = watch {
        let sql = format!("{WATCHES} WHERE w.seq = ?1");
        let watch = rows::one(conn, &sql, [watch], "watch", |c| rows::watch(conn, c))?;
        let watch = watch.ok_or_else(|| columns.bad("its watch is not there"))?;
        News::Task(Box::new(watch))
    } else {
        News::Account(AccountNews {
            account: columns.parse()?,
            trouble: columns.parse()?,
            over: columns.get()?,
            cause: columns.get()?,
        })
    };
    Ok(Waiting {
        key,
        committed_at,
        news,
    })
}
