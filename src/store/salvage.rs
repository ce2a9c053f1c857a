//! Copies what can be read of a damaged database into a new one.
//!
//! It never guesses an outcome: a task of which only the id can be read is watched anew. What it puts
//! into the new file can be read back; what could not be is left out, and it says that there was some.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::{FromSql as _, Value};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Statement, Transaction, params, params_from_iter,
};

use crate::account::{AccountName, Trouble};
use crate::notice::channel::Channel;
use crate::store::accounts::memory;
use crate::store::error::Cause;
use crate::store::rows::{self, Columns, WATCHES};
use crate::store::tally::{Tally, Weight};
use crate::task::TaskId;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Salvaged {
    /// Tasks.
    pub(super) tasks: u64,
    /// Whether that is everything.
    pub(super) whole: bool,
}

/// A table of the store: its key, a number, and the other columns.
struct Table {
    name: &'static str,
    key: &'static str,
    columns: &'static str,
}

const fn table(name: &'static str, key: &'static str, columns: &'static str) -> Table {
    Table { name, key, columns }
}

/// All but `counter`, whose numbers are reckoned anew, and `experience`, which the next import brings
/// again.
const TABLES: [Table; 9] = [
    table("account", "key", "name"),
    table(
        "memory",
        "account",
        "answered, knows_an_id, batch_limit, requests_per_minute, told",
    ),
    table("request", "n", "account, at, patience"),
    table(
        "import",
        "key",
        "name, started_at, last_added_at, first_watch, last_watch",
    ),
    table(
        "source",
        "key",
        "import, path, size, modified_at, head, tail, records, next_row",
    ),
    table(
        "watch",
        "seq",
        "id, superseded, account, import, added_at, deadline, polls, polled_at, progress, total,
        succeeded, failed, outcome, settled_at, rows_in, rows_refused, source, source_first,
        source_last",
    ),
    table(
        "failure",
        "watch",
        "n, row, first_row, last_row, kind, in_column, value, reason",
    ),
    table("removal", "n", "watch, id"),
    table(
        "outbox",
        "key",
        "channel, committed_at, watch, account, trouble, over, cause",
    ),
];

/// Keys are numbers that count up from 1, so none is greater.
const LAST_KEY: i64 = 1 << 40;
/// How often it is tried to read on behind a place that cannot be read, in one table.
const TRIES: usize = 4_000;
/// How long a task is watched of which only the id can be read.
const WATCHED_ANEW: SignedDuration = SignedDuration::from_hours(24);

/// Copies all that can be read of `old` into `new`, which has the tables and nothing in them.
/// `modified` is when the old file was last written.
pub(super) fn copy(
    old: &Connection,
    new: &mut Connection,
    modified: Timestamp,
) -> Result<Salvaged, Cause> {
    // A draft that is not finished is thrown away, so nothing of it need be safe before its end.
    new.pragma_update_and_check(None, "journal_mode", "memory", |_| Ok(()))?;
    new.pragma_update(None, "synchronous", "off")?;
    new.pragma_update(None, "foreign_keys", false)?;
    let tx = new.transaction()?;
    let mut whole = true;
    for table in &TABLES {
        whole &= copy_table(old, &tx, table)?;
    }
    for step in [drop_bad_names, adopt_orphans, drop_bad_watches] {
        whole &= step(&tx)?;
    }
    whole &= watch_anew(old, &tx, modified)?;
    whole &= tell_anew(old, &tx)?;
    whole &= drop_strays(&tx)?;
    whole &= reckon(old, &tx)?;
    let tasks: i64 = tx.query_row(
        "SELECT count(*) FROM watch WHERE superseded = 0",
        [],
        |row| row.get(0),
    )?;
    tx.commit()?;
    new.pragma_update(None, "foreign_keys", true)?;
    new.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    Ok(Salvaged {
        tasks: u64::try_from(tasks).unwrap_or(0),
        whole,
    })
}

/// Copies the rows of a table. Whether all of them could be read.
fn copy_table(old: &Connection, new: &Connection, table: &Table) -> Result<bool, Cause> {
    let Table { name, key, columns } = table;
    let count = columns.split(',').count() + 1;
    let places = vec!["?"; count].join(", ");
    let mut insert = new.prepare(&format!(
        "INSERT OR IGNORE INTO {name} ({key}, {columns}) VALUES ({places})"
    ))?;
    let read = |order: &str| {
        old.prepare(&format!(
            "SELECT {key}, {columns} FROM {name} WHERE {key} BETWEEN ?1 AND ?2 ORDER BY {key} {order}"
        ))
    };
    let (Ok(mut upwards), Ok(mut downwards)) = (read("ASC"), read("DESC")) else {
        return Ok(false);
    };
    let mut whole = true;
    let mut gaps = VecDeque::from([(i64::MIN, LAST_KEY)]);
    for _ in 0..TRIES {
        let Some((low, high)) = gaps.pop_front() else {
            return Ok(whole);
        };
        let read = copy_range(&mut upwards, &mut insert, count, (low, high))?;
        whole &= read.whole && read.ended;
        if read.ended {
            continue;
        }
        let low = read.last.map_or(low, |last| last.saturating_add(1));
        let read = copy_range(&mut downwards, &mut insert, count, (low, high))?;
        if read.ended {
            continue;
        }
        let high = read.last.map_or(high, |last| last.saturating_sub(1));
        if low < high {
            let low = low.max(0);
            let middle = low.midpoint(high);
            gaps.extend([(low, middle), (middle + 1, high)]);
        }
    }
    Ok(false)
}

/// How far some rows could be copied.
struct Read {
    /// Whether each row that was there could be used.
    whole: bool,
    /// Whether it went to the end.
    ended: bool,
    /// The last key that was read.
    last: Option<i64>,
}

fn copy_range(
    select: &mut Statement<'_>,
    insert: &mut Statement<'_>,
    count: usize,
    range: (i64, i64),
) -> Result<Read, Cause> {
    let mut read = Read {
        whole: true,
        ended: false,
        last: None,
    };
    let mut rows = select.query(range)?;
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => {
                read.ended = true;
                return Ok(read);
            }
            Err(_) => return Ok(read),
        };
        let value = |at| Value::column_result(row.get_ref(at).ok()?).ok();
        let values: Option<Vec<Value>> = (0..count).map(value).collect();
        let Some(values) = values else {
            read.whole = false;
            continue;
        };
        if let Some(Value::Integer(key)) = values.first() {
            read.last = Some((*key).clamp(range.0, range.1));
        }
        match insert.execute(params_from_iter(values)) {
            Ok(1) => {}
            // A row that contradicts another, or the table.
            Ok(_) => read.whole = false,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                read.whole = false;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The keys of the rows that `read` does not take.
fn unreadable(
    conn: &Connection,
    table: &'static str,
    sql: &str,
    read: impl Fn(&mut Columns<'_, '_>) -> Result<(), Cause>,
) -> Result<Vec<i64>, Cause> {
    let mut select = conn.prepare_cached(sql)?;
    let found = rows::all(&mut select, [], table, |mut columns| {
        let key = columns.key();
        Ok(read(&mut columns).is_err().then_some(key))
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Deletes some rows. Whether there were none.
fn delete(conn: &Connection, sql: &str, keys: &[i64]) -> Result<bool, Cause> {
    let mut delete = conn.prepare_cached(sql)?;
    for key in keys {
        delete.execute([key])?;
    }
    Ok(keys.is_empty())
}

/// Drops accounts and imports that cannot be named.
fn drop_bad_names(new: &Transaction<'_>) -> Result<bool, Cause> {
    let bad = unreadable(new, "account", "SELECT key, name FROM account", |columns| {
        columns.parse::<AccountName>().map(drop)
    })?;
    let accounts = delete(new, "DELETE FROM account WHERE key = ?1", &bad)?;
    let times = "SELECT key, started_at, last_added_at FROM import";
    let bad = unreadable(new, "import", times, |columns| {
        columns.time()?;
        columns.time().map(drop)
    })?;
    Ok(delete(new, "DELETE FROM import WHERE key = ?1", &bad)? && accounts)
}

/// Gives watches an account and an import where theirs could not be read. Whose account cannot be
/// known is dropped: asked about with another key, it would be said to be missing.
fn adopt_orphans(new: &Transaction<'_>) -> Result<bool, Cause> {
    let lost: Option<i64> = new
        .query_row(
            "SELECT min(account) FROM watch WHERE account NOT IN (SELECT key FROM account)",
            [],
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    let Some(lost) = lost else {
        return Ok(new.execute(IMPORTS_OF_ORPHANS, [])? == 0);
    };
    new.execute(
        "INSERT OR IGNORE INTO account (key, name) VALUES (?1, ?2)",
        (lost, AccountName::default_account().as_str()),
    )?;
    new.execute(
        "DELETE FROM watch WHERE account NOT IN (SELECT key FROM account)",
        [],
    )?;
    new.execute(IMPORTS_OF_ORPHANS, [])?;
    Ok(false)
}

const IMPORTS_OF_ORPHANS: &str =
    "INSERT INTO import (key, name, started_at, last_added_at, first_watch, last_watch)
    SELECT import, 'recovered', min(added_at), max(added_at), min(seq), max(seq) FROM watch
    WHERE import NOT IN (SELECT key FROM import) GROUP BY import";

/// Drops watches, or failures of theirs, that cannot be read.
fn drop_bad_watches(new: &Transaction<'_>) -> Result<bool, Cause> {
    let mut whole = new.execute(
        "UPDATE watch SET rows_in = max(rows_in, 0), rows_refused = max(rows_refused, 0)
        WHERE rows_in < 0 OR rows_refused < 0",
        [],
    )? == 0;
    let lost = new.execute(
        "UPDATE watch SET source = NULL, source_first = NULL, source_last = NULL
        WHERE source IS NOT NULL
            AND (source NOT IN (SELECT key FROM source WHERE size >= 0 AND records >= 0)
                OR source_first < 1 OR source_first > source_last)",
        [],
    )?;
    whole &= lost == 0;
    let sql = format!("{WATCHES} WHERE w.seq = ?1");
    let is_good = |seq: i64| match rows::one(new, &sql, [seq], "watch", |c| rows::watch(new, c)) {
        Ok(found) => Ok(found.is_some()),
        Err(Cause::Row { .. }) => Ok(false),
        Err(error) => Err(error),
    };
    let mut after = i64::MIN;
    let mut next = new.prepare("SELECT min(seq) FROM watch WHERE seq > ?1")?;
    while let Some(seq) = next.query_row([after], |row| row.get::<_, Option<i64>>(0))? {
        after = seq;
        for sql in [
            "DELETE FROM failure WHERE watch = ?1",
            "DELETE FROM watch WHERE seq = ?1",
        ] {
            if is_good(seq)? {
                break;
            }
            whole = delete(new, sql, &[seq])?;
        }
    }
    Ok(whole)
}

/// Watches the tasks anew of which nothing but the id could be read, which is in the index as well.
/// Whether there were none.
fn watch_anew(old: &Connection, new: &Transaction<'_>, modified: Timestamp) -> Result<bool, Cause> {
    let accounts: Vec<i64> = keys(new, "SELECT key FROM account")?;
    let deadline = modified.saturating_add(WATCHED_ANEW).unwrap_or(modified);
    let import: i64 = new.query_row("SELECT coalesce(max(key), 0) + 1 FROM import", [], |row| {
        row.get(0)
    })?;
    let mut whole = true;
    let mut is_known = new.prepare("SELECT 1 FROM watch WHERE id = ?1 AND superseded = 0")?;
    let mut insert = new.prepare(
        "INSERT OR IGNORE INTO watch (seq, id, account, import, added_at, deadline)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for order in ["ASC", "DESC"] {
        let sql = format!(
            "SELECT seq, id FROM watch INDEXED BY watch_id WHERE superseded = 0 ORDER BY id {order}"
        );
        let Ok(mut select) = old.prepare(&sql) else {
            return Ok(false);
        };
        let mut found = select.query([])?;
        // What cannot be read ends it; the other order comes from the other end.
        while let Ok(Some(row)) = found.next() {
            let (Ok(seq), Ok(id)) = (row.get::<_, i64>(0), row.get::<_, String>(1)) else {
                continue;
            };
            if id.parse::<TaskId>().is_err() || is_known.exists([&id])? {
                continue;
            }
            whole = false;
            let account = match accounts.as_slice() {
                [] => 1,
                [only] => *only,
                _ => continue,
            };
            let added_at = modified.as_millisecond();
            insert.execute(params![
                seq,
                id,
                account,
                import,
                added_at,
                deadline.as_millisecond()
            ])?;
        }
    }
    Ok(adopt_orphans(new)? && whole)
}

/// Tells of outcomes again that the table of what is to be told has lost, and its index has not.
fn tell_anew(old: &Connection, new: &Transaction<'_>) -> Result<bool, Cause> {
    let Ok(mut select) = old.prepare(
        "SELECT key, watch, channel FROM outbox INDEXED BY outbox_watch WHERE watch IS NOT NULL
        ORDER BY watch, channel",
    ) else {
        return Ok(false);
    };
    let mut insert = new.prepare(
        "INSERT OR IGNORE INTO outbox (key, channel, committed_at, watch)
        SELECT ?1, ?3, settled_at, seq FROM watch WHERE seq = ?2 AND outcome IS NOT NULL",
    )?;
    let mut whole = true;
    let mut found = select.query([])?;
    while let Ok(Some(row)) = found.next() {
        if let (Ok(key), Ok(watch), Ok(channel)) = (
            row.get::<_, i64>(0),
            row.get::<_, i64>(1),
            row.get::<_, String>(2),
        ) {
            whole &= insert.execute(params![key, watch, channel])? == 0;
        }
    }
    Ok(whole)
}

/// Drops what belongs to nothing that is there, or cannot be read.
fn drop_strays(new: &Transaction<'_>) -> Result<bool, Cause> {
    let mut whole = true;
    for sql in [
        "DELETE FROM failure WHERE watch NOT IN (SELECT seq FROM watch)",
        "DELETE FROM memory WHERE account NOT IN (SELECT key FROM account)",
        "DELETE FROM request WHERE account NOT IN (SELECT key FROM account)",
        "DELETE FROM outbox WHERE account NOT IN (SELECT key FROM account)",
        "DELETE FROM outbox
        WHERE watch NOT IN (SELECT seq FROM watch WHERE outcome IS NOT NULL)",
    ] {
        whole &= new.execute(sql, [])? == 0;
    }
    let rows = "SELECT key, channel, committed_at, trouble, over, account, cause FROM outbox";
    let bad = unreadable(new, "outbox", rows, |columns| {
        columns.parse::<Channel>()?;
        columns.time()?;
        let trouble: Option<Trouble> = columns.parse_if_any()?;
        let over: Option<bool> = columns.get()?;
        let account: Option<i64> = columns.get()?;
        let cause: Option<String> = columns.get()?;
        let is_complete = trouble.is_some() && over.is_some() && cause.is_some();
        if account.is_some() && !is_complete {
            return Err(columns.bad("it does not say what is wrong"));
        }
        Ok(())
    })?;
    whole &= delete(new, "DELETE FROM outbox WHERE key = ?1", &bad)?;
    let rows = "SELECT account, answered, knows_an_id, batch_limit, requests_per_minute, told
        FROM memory";
    let bad = unreadable(new, "memory", rows, |columns| memory(columns).map(drop))?;
    whole &= delete(new, "DELETE FROM memory WHERE account = ?1", &bad)?;
    let bad = unreadable(new, "removal", "SELECT n, id FROM removal", |columns| {
        columns.parse::<TaskId>().map(drop)
    })?;
    Ok(delete(new, "DELETE FROM removal WHERE n = ?1", &bad)? && whole)
}

/// Reckons anew what is kept of the numbers: how imports stand, and which number comes next.
fn reckon(old: &Connection, new: &Transaction<'_>) -> Result<bool, Cause> {
    let mut tally = Tally::default();
    // Imports of which no watch is left go with this.
    for import in keys(new, "SELECT key FROM import")? {
        tally.plus(import, Weight::Pending);
        tally.minus(import, Weight::Pending);
    }
    let mut select = new.prepare(
        "SELECT seq, superseded, outcome, rows_in, rows_refused, import FROM watch ORDER BY seq",
    )?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        let mut columns = Columns::new("watch", row)?;
        let weight = Weight::read(&mut columns)?;
        tally.plus(columns.get()?, weight);
    }
    tally.apply(new)?;
    new.execute(
        "UPDATE import SET first_watch = its.first, last_watch = its.last
        FROM (SELECT import, min(seq) AS first, max(seq) AS last FROM watch GROUP BY import) AS its
        WHERE its.import = import.key",
        [],
    )?;
    let kept = old.query_row("SELECT next_watch, next_import FROM counter", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let (watch, import): (i64, i64) = kept.as_ref().copied().unwrap_or_default();
    new.execute(
        "UPDATE counter SET
            next_watch = max(?1, 1 + max((SELECT coalesce(max(seq), 0) FROM watch),
                (SELECT coalesce(max(watch), 0) FROM removal))),
            next_import = max(?2, 1 + (SELECT coalesce(max(key), 0) FROM import))",
        [watch.clamp(1, LAST_KEY), import.clamp(1, LAST_KEY)],
    )?;
    Ok(kept.is_ok())
}

fn keys(conn: &Connection, sql: &str) -> Result<Vec<i64>, Cause> {
    let mut select = conn.prepare(sql)?;
    let found = select.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}
