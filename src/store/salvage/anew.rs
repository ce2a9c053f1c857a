//! What an index still tells of rows that are lost, and the numbers that follow from the rows that are
//! there.
//!
//! It never guesses an outcome: a task of which only the id can be read is watched anew.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, params};

use crate::store::error::Cause;
use crate::store::rows::Columns;
use crate::store::salvage::mend::{adopt_orphans, keys};
use crate::store::salvage::tables::LAST_KEY;
use crate::store::tally::{Tally, Weight};
use crate::task::TaskId;

/// How long a task is watched of which only the id can be read.
const WATCHED_ANEW: SignedDuration = SignedDuration::from_hours(24);

/// Names accounts by the index of their names where their table is lost. Whether it was not.
pub(super) fn name_accounts(old: &Connection, new: &Transaction<'_>) -> Result<bool, Cause> {
    let mut insert = new.prepare("INSERT OR IGNORE INTO account (key, name) VALUES (?1, ?2)")?;
    let mut whole = true;
    for order in ["ASC", "DESC"] {
        let sql = format!(
            "SELECT key, name FROM account INDEXED BY sqlite_autoindex_account_1
            ORDER BY name {order}"
        );
        let Ok(mut select) = old.prepare(&sql) else {
            return Ok(false);
        };
        let mut found = select.query([])?;
        // What cannot be read ends it; the other order comes from the other end.
        while let Ok(Some(row)) = found.next() {
            if let (Ok(key), Ok(name)) = (row.get::<_, i64>(0), row.get::<_, String>(1)) {
                whole &= insert.execute(params![key, name])? == 0;
            }
        }
    }
    Ok(whole)
}

/// Watches the tasks anew of which nothing but the id could be read, which is in the index as well.
/// Whether there were none.
pub(super) fn watch(
    old: &Connection,
    new: &Transaction<'_>,
    modified: Timestamp,
) -> Result<bool, Cause> {
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
                several => match account_of(old, seq).filter(|found| several.contains(found)) {
                    Some(found) => found,
                    None => account_of_nobody(new)?,
                },
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

/// The account in a row of which something else cannot be read, perhaps.
fn account_of(old: &Connection, seq: i64) -> Option<i64> {
    let sql = "SELECT account FROM watch WHERE seq = ?1";
    old.query_row(sql, [seq], |row| row.get(0)).ok()
}

/// An account that no settings have, for tasks that may be anybody's.
fn account_of_nobody(new: &Connection) -> Result<i64, Cause> {
    let mut insert =
        new.prepare_cached("INSERT OR IGNORE INTO account (name) VALUES ('recovered')")?;
    insert.execute([])?;
    let mut find = new.prepare_cached("SELECT key FROM account WHERE name = 'recovered'")?;
    Ok(find.query_row([], |row| row.get(0))?)
}

/// Tells of outcomes again that the table of what is to be told has lost, and its index has not.
pub(super) fn tell(old: &Connection, new: &Transaction<'_>) -> Result<bool, Cause> {
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

/// Reckons anew what is kept of the numbers: how imports stand, and which number comes next.
pub(super) fn reckon(old: &Connection, new: &Transaction<'_>) -> Result<bool, Cause> {
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
