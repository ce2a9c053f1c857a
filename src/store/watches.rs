//! Reads watches, one or a page of many.
//!
//! It never holds a transaction between two pages; what changes meanwhile shows on the next.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::Store;
use crate::store::changes::Seq;
use crate::store::error::{Cause, StoreError};
use crate::store::rows::{self, Columns, Page, WATCHES};
use crate::task::TaskId;
use crate::watch::{ImportKey, Watch};

/// Which watches are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this import alone.
    pub import: Option<ImportKey>,
    /// Those that stand so.
    pub which: Which,
}

/// Where the watches that are listed stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// Anywhere.
    #[default]
    All,
    /// Without an outcome.
    Pending,
    /// With one.
    Settled,
    /// With the outcome `available`: every row went in.
    InFull,
    /// With any other outcome.
    NotInFull,
}

impl Store {
    /// The present watch of the task `id`, with its failures.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn watch(&self, id: &TaskId) -> Result<Option<Watch>, StoreError> {
        self.read("read a watch", |conn| {
            let sql = format!("{WATCHES} WHERE w.id = ?1 AND w.superseded = 0");
            rows::one(conn, &sql, [id.to_string()], "watch", |columns| {
                rows::watch(conn, columns)
            })
        })
    }

    /// The earlier watches of the task `id`, which we settled ourselves before it was added again;
    /// the oldest first.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn history(&self, id: &TaskId) -> Result<Vec<Watch>, StoreError> {
        self.read("read the history of a watch", |conn| {
            let mut select = conn.prepare_cached(&format!(
                "{WATCHES} WHERE w.id = ?1 AND w.superseded = 1 ORDER BY w.seq"
            ))?;
            rows::all(&mut select, [id.to_string()], "watch", |columns| {
                rows::watch(conn, columns)
            })
        })
    }

    /// A page of the watches that `filter` lets through, after `after`, in the order of adding, each
    /// with its failures. It has at most `limit`, fewer where their failures are many; an empty page
    /// is the end.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn watches(
        &self,
        filter: Filter,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<(Seq, Watch)>, StoreError> {
        self.read("list watches", |conn| {
            let Some((first, last)) = span(conn, filter.import)? else {
                return Ok(Vec::new());
            };
            let import = match filter.import {
                Some(_) => "AND w.import = ?3",
                None => "AND ?3 IS NULL",
            };
            let state = match filter.which {
                Which::All => "",
                Which::Pending => "AND w.outcome IS NULL",
                Which::Settled => "AND w.outcome IS NOT NULL",
                Which::InFull => "AND w.outcome = 'available'",
                Which::NotInFull => "AND w.outcome <> 'available'",
            };
            let mut select = conn.prepare_cached(&format!(
                "{WATCHES} WHERE w.seq > ?1 AND w.seq <= ?2 AND w.superseded = 0 {import} {state}
                ORDER BY w.seq"
            ))?;
            let mut found = select.query(params![
                after.0.max(first.saturating_sub(1)),
                last,
                filter.import.map(|key| key.0),
            ])?;
            let mut page = Page::of(limit);
            let mut watches = Vec::new();
            while !page.is_full()
                && let Some(row) = found.next()?
            {
                let columns = Columns::new("watch", row)?;
                let seq = Seq(columns.key());
                let watch = rows::watch(conn, columns)?;
                page.take(Some(&watch));
                watches.push((seq, watch));
            }
            Ok(watches)
        })
    }
}

/// Between which numbers the watches of `import` lie; `None` if it is not there.
fn span(conn: &Connection, import: Option<ImportKey>) -> Result<Option<(i64, i64)>, Cause> {
    let Some(import) = import else {
        return Ok(Some((0, i64::MAX)));
    };
    let mut select =
        conn.prepare_cached("SELECT first_watch, last_watch FROM import WHERE key = ?1")?;
    let span = select.query_row([import.0], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(span.optional()?)
}
