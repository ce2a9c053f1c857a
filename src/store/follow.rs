//! Follows some watches until they have settled, for whoever waits for them beside the one process
//! that asks about them.
//!
//! It never tells of what is pending more than whose it is; what has settled is read whole.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension;

use crate::account::AccountName;
use crate::store::changes::Seq;
use crate::store::error::StoreError;
use crate::store::rows::{self, Columns, WATCHES};
use crate::store::{CHUNK, Store};
use crate::task::TaskId;
use crate::watch::{Import, ImportKey, Watch};

/// What is still pending of some watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// How many belong to which account.
    pub accounts: BTreeMap<AccountName, u64>,
    /// The rows of those tasks of which the server has told how many they have.
    pub rows: u64,
    /// The tasks of which it has not.
    pub untold: u64,
}

impl Store {
    /// The numbers of the present watches of `ids` and the imports that they are in, in the order of
    /// `ids`, without those that are not watched.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn numbers(&self, ids: &[TaskId]) -> Result<Vec<(Seq, ImportKey)>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            self.read("find watches", |conn| {
                let mut select = conn.prepare_cached(
                    "SELECT seq, import FROM watch WHERE id = ?1 AND superseded = 0",
                )?;
                for id in chunk {
                    let row = select.query_row([id.to_string()], |row| {
                        Ok((Seq(row.get(0)?), ImportKey(row.get(1)?)))
                    });
                    found.extend(row.optional()?);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// The numbers of at most `limit` present watches of `import` after `after`, in the order of
    /// adding; an empty page is the end.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn numbers_in(
        &self,
        import: ImportKey,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Seq>, StoreError> {
        self.read("find the watches of an import", |conn| {
            let mut select = conn.prepare_cached(
                "SELECT seq FROM watch WHERE import = ?1 AND superseded = 0 AND seq > ?2
                AND seq >= (SELECT first_watch FROM import WHERE key = ?1)
                AND seq <= (SELECT last_watch FROM import WHERE key = ?1)
                ORDER BY seq LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            rows::all(&mut select, (import.0, after.0, limit), "watch", |c| {
                Ok(Seq(c.key()))
            })
        })
    }

    /// Those of `among` that are not pending any more: settled, or gone.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn not_pending(&self, among: &[Seq]) -> Result<Vec<Seq>, StoreError> {
        let mut ended = Vec::new();
        for chunk in among.chunks(CHUNK) {
            self.read("look what has settled", |conn| {
                let mut select =
                    conn.prepare_cached("SELECT outcome IS NULL FROM watch WHERE seq = ?1")?;
                for seq in chunk {
                    let pending = select.query_row([seq.0], |row| row.get(0)).optional()?;
                    if !pending.unwrap_or(false) {
                        ended.push(*seq);
                    }
                }
                Ok(())
            })?;
        }
        Ok(ended)
    }

    /// The watch with this number, with its failures; `None` if it is gone.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn numbered(&self, seq: Seq) -> Result<Option<Watch>, StoreError> {
        self.read("read a watch", |conn| {
            let sql = format!("{WATCHES} WHERE w.seq = ?1");
            rows::one(conn, &sql, [seq.0], "watch", |columns| {
                rows::watch(conn, columns)
            })
        })
    }

    /// The import with this key; `None` if it is gone.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn import(&self, key: ImportKey) -> Result<Option<Import>, StoreError> {
        self.read("read an import", |conn| {
            let sql = "SELECT key, name, started_at FROM import WHERE key = ?1";
            rows::one(conn, sql, [key.0], "import", |mut columns| {
                Ok(Import {
                    key: ImportKey(columns.key()),
                    name: columns.get()?,
                    started_at: columns.time()?,
                })
            })
        })
    }

    /// What is still pending of the watches with these numbers.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn left(&self, among: impl IntoIterator<Item = Seq>) -> Result<Left, StoreError> {
        self.read("look what is pending", |conn| {
            let mut select = conn.prepare_cached(
                "SELECT w.seq, a.name, w.total FROM watch w JOIN account a ON a.key = w.account
                WHERE w.seq = ?1 AND w.outcome IS NULL",
            )?;
            let mut left = Left::default();
            for seq in among {
                let mut found = select.query([seq.0])?;
                let Some(row) = found.next()? else { continue };
                let mut columns = Columns::new("watch", row)?;
                *left.accounts.entry(columns.parse()?).or_default() += 1;
                match columns.get::<Option<u32>>()? {
                    Some(total) => left.rows = left.rows.saturating_add(total.into()),
                    None => left.untold += 1,
                }
            }
            Ok(left)
        })
    }
}
