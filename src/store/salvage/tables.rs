//! Copies the rows of a damaged database, table by table, as they are.
//!
//! It reads from both ends towards what cannot be read, and then between such places; it does not look
//! at what a row says.

use std::collections::VecDeque;

use rusqlite::types::{FromSql as _, Value};
use rusqlite::{Connection, ErrorCode, Statement, params_from_iter};

use crate::store::error::Cause;

/// A table of the store: its key, a number, and the other columns.
struct Table {
    name: &'static str,
    key: &'static str,
    columns: &'static str,
}

const fn table(name: &'static str, key: &'static str, columns: &'static str) -> Table {
    Table { name, key, columns }
}

/// All but `counter`, whose numbers are reckoned anew.
const TABLES: [Table; 11] = [
    table("account", "key", "name"),
    table(
        "memory",
        "account",
        "answered, knows_an_id, batch_limit, requests_per_minute, told",
    ),
    table("experience", "account", "age_class, ends, exposure"),
    table(
        "judgement",
        "account",
        "pace_ends, pace_time, pace_strayed, say_age, say_order, say_steady, say_sloping",
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
pub(super) const LAST_KEY: i64 = 1 << 40;
/// How often it is tried to read on behind a place that cannot be read, in one table.
const TRIES: usize = 4_000;
/// Copies all that can be read. Whether that is everything.
pub(super) fn copy(old: &Connection, new: &Connection) -> Result<bool, Cause> {
    let mut whole = true;
    for table in &TABLES {
        whole &= copy_table(old, new, table)?;
    }
    Ok(whole)
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
