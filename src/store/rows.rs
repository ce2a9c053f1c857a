//! Reads rows back into types.
//!
//! It never lets a row pass that this program cannot have written: such a row is an error that
//! names its table and its key.

use std::error::Error as StdError;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use crate::failure::Failure;
use crate::outcome::{Outcome, Settlement};
use crate::store::error::Cause;
use crate::store::sources;
use crate::task::Counts;
use crate::watch::{Import, ImportKey, State, Watch};

/// The columns of one row, taken from left to right; the first is the row's key.
pub(super) struct Columns<'r, 'stmt> {
    row: &'r Row<'stmt>,
    table: &'static str,
    key: i64,
    next: usize,
}

impl<'r, 'stmt> Columns<'r, 'stmt> {
    pub(super) fn new(table: &'static str, row: &'r Row<'stmt>) -> Result<Self, Cause> {
        let key = row.get(0)?;
        Ok(Self {
            row,
            table,
            key,
            next: 1,
        })
    }

    pub(super) fn key(&self) -> i64 {
        self.key
    }

    /// The next column, as SQLite has it.
    fn take(&mut self) -> Result<ValueRef<'r>, Cause> {
        let value = self.row.get_ref(self.next)?;
        self.next += 1;
        Ok(value)
    }

    /// What a row is that cannot be read.
    pub(super) fn bad(&self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Cause {
        Cause::Row {
            table: self.table,
            row: self.key,
            source: source.into(),
        }
    }

    /// The next column, a number or a text.
    pub(super) fn get<T: FromSql>(&mut self) -> Result<T, Cause> {
        let value = self.take()?;
        T::column_result(value).map_err(|error| self.bad(error))
    }

    /// The next column, a number that is not negative.
    pub(super) fn count(&mut self) -> Result<u64, Cause> {
        let value: i64 = self.get()?;
        u64::try_from(value).map_err(|error| self.bad(error))
    }

    /// The next column, a text that names something.
    pub(super) fn parse<T>(&mut self) -> Result<T, Cause>
    where
        T: FromStr<Err: StdError + Send + Sync + 'static>,
    {
        let parsed = self.parse_if_any()?;
        parsed.ok_or_else(|| self.bad(FromSqlError::InvalidType))
    }

    /// The next column, where it is not null.
    pub(super) fn parse_if_any<T>(&mut self) -> Result<Option<T>, Cause>
    where
        T: FromStr<Err: StdError + Send + Sync + 'static>,
    {
        let text = match self.take()? {
            ValueRef::Null => return Ok(None),
            other => other.as_str().map_err(|error| self.bad(error))?,
        };
        text.parse().map(Some).map_err(|error| self.bad(error))
    }

    /// The next column, a time.
    pub(super) fn time(&mut self) -> Result<Timestamp, Cause> {
        let value = self.get()?;
        Timestamp::from_millisecond(value).map_err(|error| self.bad(error))
    }

    /// The next column, a time where it is not null.
    pub(super) fn time_if_any(&mut self) -> Result<Option<Timestamp>, Cause> {
        let value: Option<i64> = self.get()?;
        value
            .map(|ms| Timestamp::from_millisecond(ms).map_err(|error| self.bad(error)))
            .transpose()
    }

    pub(super) fn counts(&mut self) -> Result<Counts, Cause> {
        Ok(Counts {
            total: self.get()?,
            succeeded: self.get()?,
            failed: self.get()?,
        })
    }
}

/// The rows of `table` that `statement` finds, each read by `read`.
pub(super) fn all<T>(
    statement: &mut CachedStatement<'_>,
    params: impl Params,
    table: &'static str,
    mut read: impl FnMut(Columns<'_, '_>) -> Result<T, Cause>,
) -> Result<Vec<T>, Cause> {
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(Columns::new(table, row)?)?);
    }
    Ok(found)
}

/// The one row of `table` that `sql` finds, if it is there.
pub(super) fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    table: &'static str,
    read: impl FnOnce(Columns<'_, '_>) -> Result<T, Cause>,
) -> Result<Option<T>, Cause> {
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_one(params, |row| Ok(Columns::new(table, row).and_then(read)));
    found.optional()?.transpose()
}

/// What [`watch`] reads: the joins keep the order, so that watches are read by their own key.
pub(super) const WATCHES: &str = "
    SELECT w.seq, w.id, a.name, i.key, i.name, i.started_at, w.added_at, w.deadline, w.polls,
        w.polled_at, w.progress, w.total, w.succeeded, w.failed, w.outcome, w.settled_at,
        w.source, w.source_first, w.source_last
    FROM watch w
    CROSS JOIN import i ON i.key = w.import
    CROSS JOIN account a ON a.key = w.account";

/// A watch, with its failures.
pub(super) fn watch(conn: &Connection, mut columns: Columns<'_, '_>) -> Result<Watch, Cause> {
    let id = columns.parse()?;
    let account = columns.parse()?;
    let import = Import {
        key: ImportKey(columns.get()?),
        name: columns.get()?,
        started_at: columns.time()?,
    };
    let added_at = columns.time()?;
    let deadline = columns.time()?;
    let polls = columns.get()?;
    let polled_at = columns.time_if_any()?;
    let progress = columns.get()?;
    let counts = columns.counts()?;
    let outcome: Option<Outcome> = columns.parse_if_any()?;
    let settled_at = columns.time_if_any()?;
    let state = match (outcome, settled_at) {
        (Some(outcome), Some(at)) => State::Settled {
            at,
            settlement: Settlement {
                outcome,
                progress,
                counts,
                failures: failures(conn, columns.key())?,
            },
        },
        (None, None) => State::Pending(counts),
        (Some(_), None) | (None, Some(_)) => {
            return Err(
                columns.bad("it has an outcome without a time, or a time without an outcome")
            );
        }
    };
    let source = sources::of_watch(conn, &mut columns)?;
    Ok(Watch {
        id,
        account,
        import,
        added_at,
        deadline,
        polls,
        polled_at,
        progress,
        source,
        state,
    })
}

fn failures(conn: &Connection, watch: i64) -> Result<Vec<Failure>, Cause> {
    let mut statement = conn.prepare_cached(
        "SELECT watch, row, first_row, last_row, kind, in_column, value, reason
        FROM failure WHERE watch = ?1 ORDER BY n",
    )?;
    all(&mut statement, [watch], "failure", |mut columns| {
        Ok(Failure {
            row: columns.get()?,
            first_row: columns.get()?,
            last_row: columns.get()?,
            kind: columns.parse()?,
            column: columns.get()?,
            value: columns.get()?,
            reason: columns.get()?,
        })
    })
}

/// What a page may hold: a number of entries, and so many failed rows and so much text of
/// theirs that it stays small in memory whatever the server has sent.
#[derive(Debug)]
pub(super) struct Page {
    entries: usize,
    failures: usize,
    bytes: usize,
}

impl Page {
    const FAILURES: usize = 10_000;
    const BYTES: usize = 8 << 20;

    pub(super) fn of(entries: usize) -> Self {
        Self {
            entries,
            failures: Self::FAILURES,
            bytes: Self::BYTES,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries == 0 || self.failures == 0 || self.bytes == 0
    }

    /// Counts in an entry and its watch, if it is about one; a page that is not full takes any.
    pub(super) fn take(&mut self, watch: Option<&Watch>) {
        self.entries = self.entries.saturating_sub(1);
        if let Some(State::Settled { settlement, .. }) = watch.map(|watch| &watch.state) {
            let failures = &settlement.failures;
            let text = |f: &Failure| {
                f.reason.len()
                    + f.column.as_deref().map_or(0, str::len)
                    + f.value.as_deref().map_or(0, str::len)
            };
            self.failures = self.failures.saturating_sub(failures.len());
            self.bytes = self.bytes.saturating_sub(failures.iter().map(text).sum());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountName;
    use crate::task::TaskId;

    fn read(sql: &str) -> Result<TaskId, Cause> {
        let conn = Connection::open_in_memory().unwrap();
        one(&conn, sql, [], "watch", |mut columns| columns.parse()).map(Option::unwrap)
    }

    #[test]
    fn a_row_that_cannot_be_read_says_which() {
        assert_eq!(read("SELECT 7, 'x'").unwrap().to_string(), "x");
        for bad in [
            "SELECT 7, 'a b'",
            "SELECT 7, NULL",
            "SELECT 7, 1",
            "SELECT 7, x'ff'",
        ] {
            match read(bad).unwrap_err() {
                Cause::Row { table, row, .. } => assert_eq!((table, row), ("watch", 7)),
                Cause::Sqlite(error) => panic!("{bad}: {error}"),
            }
        }
    }

    #[test]
    fn numbers_keep_their_range() {
        let conn = Connection::open_in_memory().unwrap();
        let get = |sql| one(&conn, sql, [], "t", |mut columns| columns.get::<u8>());
        assert_eq!(get("SELECT 1, 255").unwrap(), Some(255));
        assert!(get("SELECT 1, 256").is_err());
        let count = |sql| one(&conn, sql, [], "t", |mut columns| columns.count());
        assert!(count("SELECT 1, -1").is_err());
        let time = |sql| one(&conn, sql, [], "t", |mut columns| columns.time());
        assert!(time("SELECT 1, 9223372036854775807").is_err());
    }

    /// How many watches with so many failures, each with so long a reason, fill a page.
    fn fill(failures: usize, reason: usize) -> usize {
        let failure = Failure {
            row: None,
            first_row: None,
            last_row: None,
            kind: crate::failure::FailureKind::Unknown,
            column: None,
            value: None,
            reason: "x".repeat(reason),
        };
        let mut settlement = Settlement::ours(Outcome::Failed, Counts::default());
        settlement.failures = vec![failure; failures];
        let epoch = Timestamp::UNIX_EPOCH;
        let watch = Watch {
            id: "x".parse().unwrap(),
            account: AccountName::default_account(),
            import: Import {
                key: ImportKey(1),
                name: "x".to_owned(),
                started_at: epoch,
            },
            added_at: epoch,
            deadline: epoch,
            polls: 0,
            polled_at: None,
            progress: None,
            source: None,
            state: State::Settled {
                at: epoch,
                settlement,
            },
        };
        let mut page = Page::of(5);
        let mut taken = 0;
        while !page.is_full() {
            page.take(Some(&watch));
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_page_ends_with_its_entries_its_failures_or_their_text() {
        assert_eq!(fill(0, 0), 5);
        assert_eq!(fill(Page::FAILURES / 2, 0), 2);
        assert_eq!(fill(1, Page::BYTES / 2), 2);
        assert_eq!(fill(1, Page::BYTES * 2), 1);
    }
}
