//! The requests of the last day, by which whoever sends one keeps an account's rates.
//!
//! It never lets two processes take the last free place: a request is recorded in the transaction
//! that grants it, before it is sent. The server counts it when it arrives, which may be as late as
//! its answer: so it counts from its end, and until then as late as it may end.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::account::AccountName;
use crate::store::error::{Cause, StoreError};
use crate::store::{CHUNK, Store, accounts};

/// How long a request is kept at least, in milliseconds: a rate a day may be set at any time.
const KEPT: i64 = 24 * 60 * 60 * 1000;

/// The number of a request that may be sent, by which its end is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(i64);

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// It may, and is recorded: send it now.
    Granted(RequestKey),
    /// It may not, and nothing is recorded. Ask again after this time, if no other is sent meanwhile.
    Wait(Duration),
}

impl Store {
    /// Asks to send one request of `account` at `now`, where of each window `(length, limit)` any
    /// stretch of that length may hold at most `limit` requests. A limit of 0 never grants. The
    /// request ends within `patience`, whatever comes; where that is sooner it is told by
    /// [`end_request`](Self::end_request).
    ///
    /// What is recorded as later than `now`, since the clock went back, counts as sent now.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn claim_request(
        &mut self,
        account: &AccountName,
        now: Timestamp,
        windows: &[(Duration, u32)],
        patience: Duration,
    ) -> Result<Claim, StoreError> {
        let now = now.as_millisecond();
        let lengths = windows.iter().map(|(length, _)| millis(*length));
        let kept = lengths.fold(KEPT, i64::max);
        self.write("record a request", |tx| {
            let account = accounts::key(tx, account)?;
            // The sum is what the index holds.
            tx.prepare_cached(
                "UPDATE request SET at = ?2
                WHERE account = ?1 AND at + patience > ?2 AND at > ?2",
            )?
            .execute((account, now))?;
            tx.prepare_cached(
                "DELETE FROM request WHERE n IN
                    (SELECT n FROM request WHERE account = ?1 AND at + patience <= ?2 LIMIT ?3)",
            )?
            .execute(params![
                account,
                now.saturating_sub(kept),
                i64::try_from(CHUNK).unwrap_or(i64::MAX)
            ])?;
            let mut free_at = now;
            for &(length, limit) in windows {
                free_at = free_at.max(room(tx, account, now, millis(length), limit)?);
            }
            if let Ok(wait @ 1..) = u64::try_from(free_at.saturating_sub(now)) {
                return Ok(Claim::Wait(Duration::from_millis(wait)));
            }
            let mut insert = tx.prepare_cached(
                "INSERT INTO request (account, at, patience) VALUES (?1, ?2, ?3)",
            )?;
            let key = insert.insert((account, now, millis(patience)))?;
            Ok(Claim::Granted(RequestKey(key)))
        })
    }

    /// Records that a request has ended at `now`, with an answer or without.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn end_request(&mut self, key: RequestKey, now: Timestamp) -> Result<(), StoreError> {
        self.write("record the end of a request", |tx| {
            tx.prepare_cached("UPDATE request SET at = ?2, patience = 0 WHERE n = ?1")?
                .execute((key.0, now.as_millisecond()))?;
            Ok(())
        })
    }

    /// How long ago each request of `account` ended, as far as that is less than `within` before
    /// `now`, zero where it may not have ended yet; the oldest first.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn recent_requests(
        &self,
        account: &AccountName,
        now: Timestamp,
        within: Duration,
    ) -> Result<Vec<Duration>, StoreError> {
        let now = now.as_millisecond();
        self.read("read the requests of an account", |conn| {
            let Some(account) = accounts::key_if_any(conn, account)? else {
                return Ok(Vec::new());
            };
            let mut select = conn.prepare_cached(
                "SELECT at + patience FROM request WHERE account = ?1 AND at + patience > ?2
                ORDER BY at + patience",
            )?;
            let since = now.saturating_sub(millis(within));
            let mut found = select.query((account, since))?;
            let mut ages = Vec::new();
            while let Some(row) = found.next()? {
                let at: i64 = row.get(0)?;
                let age = u64::try_from(now.saturating_sub(at)).unwrap_or(0);
                ages.push(Duration::from_millis(age));
            }
            Ok(ages)
        })
    }
}

/// From when on a window has room: when the request that is `limit` back leaves it.
fn room(conn: &Connection, account: i64, now: i64, length: i64, limit: u32) -> Result<i64, Cause> {
    if limit == 0 {
        return Ok(now.saturating_add(length.max(1)));
    }
    let mut select = conn.prepare_cached(
        "SELECT at + patience FROM request WHERE account = ?1
        ORDER BY at + patience DESC LIMIT 1 OFFSET ?2",
    )?;
    let last: Option<i64> = select
        .query_row((account, i64::from(limit) - 1), |row| row.get(0))
        .optional()?;
    Ok(last.map_or(now, |at| at.saturating_add(length)))
}

/// Whole milliseconds; what is left over counts as one more, so that no window is too short.
fn millis(duration: Duration) -> i64 {
    let whole = i64::try_from(duration.as_nanos().div_ceil(1_000_000));
    whole.unwrap_or(i64::MAX)
}
