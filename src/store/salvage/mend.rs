//! What was copied, made such that it can be read back: what contradicts itself or belongs to nothing
//! goes, and a watch that has lost its account or import gets one that says so.
//!
//! Each step tells whether it found nothing to do.

use rusqlite::{Connection, Transaction};

use crate::account::{AccountName, Trouble};
use crate::notice::channel::Channel;
use crate::store::accounts::memory;
use crate::store::error::Cause;
use crate::store::rows::{self, Columns, WATCHES};
use crate::task::TaskId;

/// Drops accounts and imports that cannot be named.
pub(super) fn drop_bad_names(new: &Transaction<'_>) -> Result<bool, Cause> {
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

/// Gives watches an account and an import where theirs could not be read. Where it may be one of several,
/// its name is one that no settings have: asked about with another key, they would be said to be missing.
pub(super) fn adopt_orphans(new: &Transaction<'_>) -> Result<bool, Cause> {
    let lost = keys(
        new,
        "SELECT DISTINCT account FROM watch WHERE account NOT IN (SELECT key FROM account)",
    )?;
    let known = keys(new, "SELECT key FROM account")?;
    for key in &lost {
        let name = if known.is_empty() && lost.len() == 1 {
            AccountName::default_account().to_string()
        } else {
            format!("recovered-{key}")
        };
        new.execute(
            "INSERT OR IGNORE INTO account (key, name) VALUES (?1, ?2)",
            (key, &name),
        )?;
        // An earlier recovery may have used the name.
        new.execute(
            "UPDATE watch SET account = (SELECT key FROM account WHERE name = ?2)
            WHERE account = ?1",
            (key, &name),
        )?;
    }
    let imports = new.execute(IMPORTS_OF_ORPHANS, [])?;
    Ok(lost.is_empty() && imports == 0)
}

const IMPORTS_OF_ORPHANS: &str =
    "INSERT INTO import (key, name, started_at, last_added_at, first_watch, last_watch)
    SELECT import, 'recovered', min(added_at), max(added_at), min(seq), max(seq) FROM watch
    WHERE import NOT IN (SELECT key FROM import) GROUP BY import";

/// Drops watches, or failures of theirs, that cannot be read.
pub(super) fn drop_bad_watches(new: &Transaction<'_>) -> Result<bool, Cause> {
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

/// Drops what belongs to nothing that is there, or cannot be read.
pub(super) fn drop_strays(new: &Transaction<'_>) -> Result<bool, Cause> {
    let mut whole = true;
    for sql in [
        "DELETE FROM failure WHERE watch NOT IN (SELECT seq FROM watch)",
        "DELETE FROM memory WHERE account NOT IN (SELECT key FROM account)",
        "DELETE FROM experience WHERE account NOT IN (SELECT key FROM account)",
        "DELETE FROM judgement WHERE account NOT IN (SELECT key FROM account)",
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

/// The keys that `sql` finds.
pub(super) fn keys(conn: &Connection, sql: &str) -> Result<Vec<i64>, Cause> {
    let mut select = conn.prepare(sql)?;
    let found = select.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}
