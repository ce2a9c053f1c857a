//! What the store keeps of accounts: the names that watches point to, what is remembered of each
//! from one run to the next, and, together with that, what the user is to be told of it.
//!
//! It never holds a key.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::account::{AccountName, Trouble};
use crate::notice::AccountNews;
use crate::notice::channel::Channel;
use crate::schedule::memory::Memory;
use crate::store::Store;
use crate::store::error::{Cause, StoreError};
use crate::store::rows::{self, Columns};

impl Store {
    /// What is remembered of `account`; `None` if nothing ever was.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn memory(&self, account: &AccountName) -> Result<Option<Memory>, StoreError> {
        self.read("read what is remembered of an account", |conn| {
            rows::one(
                conn,
                "SELECT m.account, m.answered, m.knows_an_id, m.batch_limit,
                    m.requests_per_minute, m.told
                FROM memory m JOIN account a ON a.key = m.account WHERE a.name = ?1",
                [account.as_str()],
                "memory",
                |mut columns| memory(&mut columns),
            )
        })
    }

    /// Remembers `memory` of `account`, in place of what was remembered.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn remember(&mut self, account: &AccountName, memory: &Memory) -> Result<(), StoreError> {
        self.write("remember something of an account", |tx| {
            remember(tx, account, memory).map(drop)
        })
    }

    /// Remembers `memory` and, in the same transaction, that `news` are to be told on each of
    /// `channels` that tells of accounts.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn tell(
        &mut self,
        news: &AccountNews,
        memory: &Memory,
        at: Timestamp,
        channels: &[Channel],
    ) -> Result<(), StoreError> {
        self.write("note what is to be told of an account", |tx| {
            let account = remember(tx, &news.account, memory)?;
            let mut insert = tx.prepare_cached(
                "INSERT INTO outbox (channel, committed_at, account, trouble, over, cause)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for channel in channels.iter().filter(|c| !c.tells_results()) {
                insert.execute(params![
                    channel.as_str(),
                    at.as_millisecond(),
                    account,
                    news.trouble.as_str(),
                    news.over,
                    news.cause,
                ])?;
            }
            Ok(())
        })
    }
}

/// Reads `answered, knows_an_id, batch_limit, requests_per_minute, told`.
pub(super) fn memory(columns: &mut Columns<'_, '_>) -> Result<Memory, Cause> {
    Ok(Memory {
        answered: columns.get()?,
        knows_an_id: columns.get()?,
        batch_limit: columns.get()?,
        requests_per_minute: columns.get()?,
        told: columns.parse_if_any()?,
    })
}

fn remember(conn: &Connection, account: &AccountName, memory: &Memory) -> Result<i64, Cause> {
    let key = key(conn, account)?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO memory
            (account, answered, knows_an_id, batch_limit, requests_per_minute, told)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        key,
        memory.answered,
        memory.knows_an_id,
        memory.batch_limit,
        memory.requests_per_minute,
        memory.told.map(Trouble::as_str),
    ])?;
    Ok(key)
}

/// The number of `account`, which it gets here if it has none.
pub(super) fn key(conn: &Connection, account: &AccountName) -> Result<i64, Cause> {
    if let Some(key) = key_if_any(conn, account)? {
        return Ok(key);
    }
    let mut insert = conn.prepare_cached("INSERT INTO account (name) VALUES (?1)")?;
    Ok(insert.insert([account.as_str()])?)
}

/// The number of `account`, if it has one.
pub(super) fn key_if_any(conn: &Connection, account: &AccountName) -> Result<Option<i64>, Cause> {
    let mut find = conn.prepare_cached("SELECT key FROM account WHERE name = ?1")?;
    let key = find.query_row([account.as_str()], |row| row.get(0));
    Ok(key.optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::directory::StateDir;

    #[test]
    fn memory_reads_back_whole() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        let mut store = Store::open(&dir).unwrap();
        let account = AccountName::default_account();
        assert_eq!(store.memory(&account).unwrap(), None);
        let full = |told| Memory {
            answered: true,
            knows_an_id: true,
            batch_limit: Some(12),
            requests_per_minute: Some(3),
            told,
        };
        let memories = [
            full(Some(Trouble::Refused)),
            full(Some(Trouble::Unavailable)),
            full(Some(Trouble::KnowsNone)),
            full(None),
            Memory::default(),
        ];
        for memory in memories {
            store.remember(&account, &memory).unwrap();
            let reopened = Store::open(&dir).unwrap();
            assert_eq!(reopened.memory(&account).unwrap(), Some(memory));
        }
        let other = "other".parse().unwrap();
        assert_eq!(store.memory(&other).unwrap(), None);
    }
}
