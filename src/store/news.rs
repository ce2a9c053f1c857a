//! What is still to be told of whole imports, for the channels that tell of imports and not of tasks.
//!
//! It never gives out a row of which less than the whole import is known to the caller: what is told
//! is noted up to a row, and what came after that row waits.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::account::{AccountName, Trouble};
use crate::notice::AccountNews;
use crate::notice::channel::Channel;
use crate::store::error::{Cause, StoreError};
use crate::store::imports::{STANDING, standing};
use crate::store::outbox::OutboxKey;
use crate::store::rows::{self, Columns, Page, WATCHES};
use crate::store::{CHUNK, Store};
use crate::watch::{Import, ImportKey, Standing, Tally, Watch};

/// Tasks beyond which what the server claims of each is not looked at: it would change little.
const CLAIMED_TASKS: u64 = 100;
/// Watches that are looked through for them.
const CLAIMED_SPAN: i64 = 10_000;

/// What one channel has not told yet of one import and account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportWaiting {
    /// The import.
    pub import: Import,
    /// The account of the tasks that are to be told.
    pub account: AccountName,
    /// When the first of them was committed.
    pub since: Timestamp,
    /// The last row of them.
    pub upto: OutboxKey,
    /// The longest that one of them took from the moment it was added.
    pub longest: Duration,
    /// How many they are, by outcome.
    pub told: Tally,
    /// Where the whole import stands.
    pub standing: Standing,
}

/// An import of which a task is pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportPending {
    /// The import.
    pub import: Import,
    /// The account of its first task.
    pub account: AccountName,
    /// What the user was told to be wrong with that account.
    pub trouble: Option<Trouble>,
    /// Where it stands.
    pub standing: Standing,
    /// The sum of what the server claims of its pending tasks, in percent; 0 where they are many.
    pub claimed: u64,
}

impl Store {
    /// What `channel` has not told yet of accounts, in the order of committing.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn account_news(
        &self,
        channel: Channel,
    ) -> Result<Vec<(OutboxKey, AccountNews)>, StoreError> {
        self.read("read what is to be told of accounts", |conn| {
            let mut select = conn.prepare_cached(
                "SELECT o.key, a.name, o.trouble, o.over, o.cause
                FROM outbox o JOIN account a ON a.key = o.account
                WHERE o.channel = ?1 ORDER BY o.key",
            )?;
            rows::all(&mut select, [channel.as_str()], "outbox", |mut columns| {
                let news = AccountNews {
                    account: columns.parse()?,
                    trouble: columns.parse()?,
                    over: columns.get()?,
                    cause: columns.get()?,
                };
                Ok((OutboxKey(columns.key()), news))
            })
        })
    }

    /// The imports of which `channel` has not told something yet, by account.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn import_news(&self, channel: Channel) -> Result<Vec<ImportWaiting>, StoreError> {
        self.read("read what is to be told of imports", |conn| {
            let mut select = conn.prepare_cached(&format!(
                "SELECT i.key, i.name, i.started_at, a.name, min(o.committed_at), max(o.key),
                    max(w.settled_at - w.added_at),
                    sum(w.outcome = 'available'), sum(w.outcome = 'partial'),
                    sum(w.outcome = 'failed'), sum(w.outcome = 'expired'),
                    sum(w.outcome = 'missing'), sum(w.outcome = 'refused'), {}
                FROM outbox o
                CROSS JOIN watch w ON w.seq = o.watch
                CROSS JOIN import i ON i.key = w.import
                CROSS JOIN account a ON a.key = w.account
                WHERE o.channel = ?1 GROUP BY i.key, a.key ORDER BY min(o.key)",
                of_import(),
            ))?;
            rows::all(&mut select, [channel.as_str()], "import", |mut columns| {
                let import = import(&mut columns)?;
                let account = columns.parse()?;
                let since = columns.time()?;
                let upto = OutboxKey(columns.get()?);
                let longest: i64 = columns.get()?;
                Ok(ImportWaiting {
                    import,
                    account,
                    since,
                    upto,
                    // A clock that was set back may have made it less than nothing.
                    longest: Duration::from_millis(u64::try_from(longest).unwrap_or(0)),
                    told: Tally {
                        available: columns.count()?,
                        partial: columns.count()?,
                        failed: columns.count()?,
                        expired: columns.count()?,
                        missing: columns.count()?,
                        refused: columns.count()?,
                    },
                    standing: standing(&mut columns)?,
                })
            })
        })
    }

    /// The tasks that `waiting` is about, the worst first; at most `limit`, fewer where their failures
    /// are many.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn tasks_of_news(
        &self,
        channel: Channel,
        waiting: &ImportWaiting,
        limit: usize,
    ) -> Result<Vec<Watch>, StoreError> {
        self.read("read which tasks are to be told", |conn| {
            let mut select = conn.prepare_cached(
                "SELECT w.seq FROM outbox o CROSS JOIN watch w ON w.seq = o.watch
                CROSS JOIN account a ON a.key = w.account
                WHERE o.channel = ?1 AND o.key <= ?2 AND w.import = ?3 AND a.name = ?4
                ORDER BY CASE w.outcome WHEN 'failed' THEN 0 WHEN 'refused' THEN 0
                    WHEN 'partial' THEN 1 WHEN 'available' THEN 3 ELSE 2 END, o.key
                LIMIT ?5",
            )?;
            let params = params![
                channel.as_str(),
                waiting.upto.0,
                waiting.import.key.0,
                waiting.account.as_str(),
                i64::try_from(limit).unwrap_or(i64::MAX),
            ];
            let found = rows::all(&mut select, params, "watch", |columns| Ok(columns.key()))?;
            let mut page = Page::of(limit);
            let mut tasks = Vec::new();
            for seq in found {
                if page.is_full() {
                    break;
                }
                let sql = format!("{WATCHES} WHERE w.seq = ?1");
                let task = rows::one(conn, &sql, [seq], "watch", |c| rows::watch(conn, c))?;
                page.take(task.as_ref());
                tasks.extend(task);
            }
            Ok(tasks)
        })
    }

    /// Notes that `channel` has told all of `waiting`, in one transaction, or in one for each ten
    /// thousand rows.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn told_of(
        &mut self,
        channel: Channel,
        waiting: &[ImportWaiting],
    ) -> Result<(), StoreError> {
        let mut rest = waiting;
        while !rest.is_empty() {
            let done = self.write("note what was told", |tx| {
                let mut delete = tx.prepare_cached(
                    "DELETE FROM outbox WHERE key IN (
                        SELECT o.key FROM outbox o CROSS JOIN watch w ON w.seq = o.watch
                        WHERE o.channel = ?1 AND o.key <= ?2 AND w.import = ?3
                            AND w.account = (SELECT key FROM account WHERE name = ?4)
                        LIMIT ?5)",
                )?;
                let mut room = CHUNK;
                let mut done = 0;
                for one in rest {
                    let rows = delete.execute(params![
                        channel.as_str(),
                        one.upto.0,
                        one.import.key.0,
                        one.account.as_str(),
                        i64::try_from(room).unwrap_or(i64::MAX),
                    ])?;
                    room -= rows;
                    if room == 0 {
                        break;
                    }
                    done += 1;
                }
                Ok(done)
            })?;
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(())
    }

    /// The newest imports of which a task is pending, at most `limit`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn pending_imports(&self, limit: usize) -> Result<Vec<ImportPending>, StoreError> {
        self.read("read which imports are pending", |conn| {
            let mut select = conn.prepare_cached(&format!(
                "SELECT i.key, i.name, i.started_at, i.first_watch, i.last_watch, a.name, m.told, {}
                FROM import i
                CROSS JOIN watch w ON w.seq = (
                    SELECT min(seq) FROM watch
                    WHERE seq BETWEEN i.first_watch AND i.last_watch AND import = i.key)
                CROSS JOIN account a ON a.key = w.account
                LEFT JOIN memory m ON m.account = a.key
                WHERE i.pending > 0 ORDER BY i.key DESC LIMIT ?1",
                of_import(),
            ))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            rows::all(&mut select, [limit], "import", |mut columns| {
                let import = import(&mut columns)?;
                let (first, last): (i64, i64) = (columns.get()?, columns.get()?);
                let account = columns.parse()?;
                let trouble = columns.parse_if_any()?;
                let standing = standing(&mut columns)?;
                let few = standing.tasks() <= CLAIMED_TASKS && last - first < CLAIMED_SPAN;
                let claimed = if few {
                    claimed(conn, import.key, first, last)?
                } else {
                    0
                };
                Ok(ImportPending {
                    import,
                    account,
                    trouble,
                    standing,
                    claimed,
                })
            })
        })
    }

    /// The longest that a settled task of `import` took from the moment it was added.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn longest(&self, import: ImportKey) -> Result<Duration, StoreError> {
        self.read("read how long an import took", |conn| {
            let longest = rows::one(
                conn,
                "SELECT i.key, coalesce((
                    SELECT max(0, max(settled_at - added_at)) FROM watch
                    WHERE seq BETWEEN i.first_watch AND i.last_watch AND import = i.key), 0)
                FROM import i WHERE i.key = ?1",
                [import.0],
                "import",
                |mut columns| columns.count(),
            )?;
            Ok(Duration::from_millis(longest.unwrap_or(0)))
        })
    }

    /// The imports whose results `channel` has not told yet, each with where it stands and with the
    /// rows about it, of which there may be several.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn results(
        &self,
        channel: Channel,
    ) -> Result<Vec<(Import, Standing, Vec<OutboxKey>)>, StoreError> {
        self.read("read which results are to be told", |conn| {
            let mut select = conn.prepare_cached(&format!(
                "SELECT i.key, i.name, i.started_at, o.key, {}
                FROM outbox o
                CROSS JOIN watch w ON w.seq = o.watch
                CROSS JOIN import i ON i.key = w.import
                WHERE o.channel = ?1 ORDER BY o.key",
                of_import(),
            ))?;
            let mut results: Vec<(Import, Standing, Vec<OutboxKey>)> = Vec::new();
            let found = rows::all(&mut select, [channel.as_str()], "import", |mut columns| {
                let import = import(&mut columns)?;
                let key = OutboxKey(columns.get()?);
                Ok((import, key, standing(&mut columns)?))
            })?;
            for (import, key, standing) in found {
                match results
                    .iter_mut()
                    .find(|(known, ..)| known.key == import.key)
                {
                    Some((.., keys)) => keys.push(key),
                    None => results.push((import, standing, vec![key])),
                }
            }
            Ok(results)
        })
    }
}

fn import(columns: &mut Columns<'_, '_>) -> Result<Import, Cause> {
    Ok(Import {
        key: ImportKey(columns.key()),
        name: columns.get()?,
        started_at: columns.time()?,
    })
}

/// The columns of a standing, of the table `i`.
fn of_import() -> String {
    let columns: Vec<String> = STANDING
        .split(',')
        .map(|column| format!("i.{}", column.trim()))
        .collect();
    columns.join(", ")
}

fn claimed(conn: &Connection, import: ImportKey, first: i64, last: i64) -> Result<u64, Cause> {
    let sum = rows::one(
        conn,
        "SELECT 0, coalesce(sum(min(progress, 100)), 0) FROM watch
        WHERE seq BETWEEN ?1 AND ?2 AND import = ?3 AND superseded = 0 AND outcome IS NULL",
        [first, last, import.0],
        "watch",
        |mut columns| columns.count(),
    )?;
    Ok(sum.unwrap_or(0))
}
