//! The tables, and how an older file gets them.
//!
//! It never touches a file that a newer importwatch or another program has written.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::error::Cause;

/// What marks a file as ours (`PRAGMA application_id`): "iwat".
const APPLICATION: i32 = 0x6977_6174;

/// The version that this program writes.
pub(super) const VERSION: i64 = 1;

/// Each brings the tables from the version that is its index to the next; there are [`VERSION`].
const MIGRATIONS: [&str; 1] = [V1];

/// Times are Unix milliseconds. A watch names its account and its import without a foreign key,
/// since checking them for each of a million ids costs more than the rest of the insertion; only
/// `add` writes them, in the transaction that makes them. Watches have no index but that by id: what
/// reads many of them reads them in the order of `seq`, an import between its first and its last.
/// The file that an import was made of is one row, however many watches took records of it.
const V1: &str = "
CREATE TABLE counter (next_watch INTEGER NOT NULL, next_import INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (1, 1);

CREATE TABLE account (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE memory (
    account INTEGER PRIMARY KEY REFERENCES account,
    answered INTEGER NOT NULL,
    knows_an_id INTEGER NOT NULL,
    batch_limit INTEGER,
    requests_per_minute INTEGER,
    told TEXT
) STRICT;

CREATE TABLE experience (
    account INTEGER NOT NULL REFERENCES account,
    age_class INTEGER NOT NULL,
    ends REAL NOT NULL,
    exposure REAL NOT NULL,
    PRIMARY KEY (account, age_class)
) STRICT, WITHOUT ROWID;

CREATE TABLE judgement (
    account INTEGER PRIMARY KEY REFERENCES account,
    pace_ends REAL NOT NULL,
    pace_time REAL NOT NULL,
    pace_strayed REAL NOT NULL,
    say_age REAL NOT NULL,
    say_order REAL NOT NULL,
    say_steady REAL NOT NULL,
    say_sloping REAL NOT NULL
) STRICT;

CREATE TABLE request (
    n INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account,
    at INTEGER NOT NULL,
    patience INTEGER NOT NULL
) STRICT;
CREATE INDEX request_end ON request (account, at + patience);

CREATE TABLE import (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    last_added_at INTEGER NOT NULL,
    first_watch INTEGER NOT NULL,
    last_watch INTEGER NOT NULL,
    superseded INTEGER NOT NULL DEFAULT 0,
    tasks INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    available INTEGER NOT NULL DEFAULT 0,
    partial INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    expired INTEGER NOT NULL DEFAULT 0,
    missing INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    rows_in INTEGER NOT NULL DEFAULT 0,
    rows_refused INTEGER NOT NULL DEFAULT 0,
    uncounted_in INTEGER NOT NULL DEFAULT 0,
    uncounted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX import_name ON import (name);

CREATE TABLE source (
    key INTEGER PRIMARY KEY,
    import INTEGER NOT NULL,
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    head INTEGER NOT NULL,
    tail INTEGER NOT NULL,
    records INTEGER NOT NULL,
    next_row INTEGER NOT NULL,
    UNIQUE (import, path, size, modified_at, head, tail)
) STRICT;

CREATE TABLE watch (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    superseded INTEGER NOT NULL DEFAULT 0,
    account INTEGER NOT NULL,
    import INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    polls INTEGER NOT NULL DEFAULT 0,
    polled_at INTEGER,
    progress INTEGER,
    total INTEGER,
    succeeded INTEGER,
    failed INTEGER,
    outcome TEXT,
    settled_at INTEGER,
    rows_in INTEGER,
    rows_refused INTEGER,
    source INTEGER,
    source_first INTEGER,
    source_last INTEGER,
    CHECK ((outcome IS NULL) = (settled_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX watch_id ON watch (id) WHERE superseded = 0;
CREATE INDEX watch_superseded ON watch (id) WHERE superseded = 1;

CREATE TABLE failure (
    watch INTEGER NOT NULL REFERENCES watch,
    n INTEGER NOT NULL,
    row INTEGER,
    first_row INTEGER,
    last_row INTEGER,
    kind TEXT NOT NULL,
    in_column TEXT,
    value TEXT,
    reason TEXT NOT NULL,
    PRIMARY KEY (watch, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE removal (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    watch INTEGER NOT NULL,
    id TEXT NOT NULL
) STRICT;

CREATE TABLE outbox (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    committed_at INTEGER NOT NULL,
    watch INTEGER REFERENCES watch,
    account INTEGER REFERENCES account,
    trouble TEXT,
    over INTEGER,
    cause TEXT,
    CHECK ((watch IS NULL) <> (account IS NULL))
) STRICT;
CREATE INDEX outbox_channel ON outbox (channel);
CREATE UNIQUE INDEX outbox_watch ON outbox (watch, channel);
";

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Ours, of this version: 0 is an empty file, [`VERSION`] needs nothing.
    Ours(i64),
    /// Ours, of a version that this program does not know.
    Newer(i64),
    /// Another program's.
    Foreign,
}

/// Tells what the file is, without writing to it.
pub(super) fn identify(conn: &Connection) -> Result<Format, Cause> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match application {
        APPLICATION if version > VERSION => Format::Newer(version),
        APPLICATION if version > 0 => Format::Ours(version),
        0 if version == 0 && tables == 0 => Format::Ours(0),
        _ => Format::Foreign,
    })
}

/// Brings the file to [`VERSION`], in one transaction; whoever comes second finds it done.
pub(super) fn migrate(conn: &mut Connection) -> Result<Format, Cause> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = identify(&tx)?;
    let Format::Ours(version) = found else {
        return Ok(found);
    };
    let done = usize::try_from(version).unwrap_or(MIGRATIONS.len());
    for step in MIGRATIONS.iter().skip(done) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(Format::Ours(VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_lead_to_the_version() {
        assert_eq!(i64::try_from(MIGRATIONS.len()), Ok(VERSION));
    }

    #[test]
    fn an_empty_file_gets_the_tables_once() {
        let mut conn = Connection::open_in_memory().unwrap();
        assert_eq!(identify(&conn).unwrap(), Format::Ours(0));
        for _ in 0..2 {
            assert_eq!(migrate(&mut conn).unwrap(), Format::Ours(VERSION));
            assert_eq!(identify(&conn).unwrap(), Format::Ours(VERSION));
        }
    }

    #[test]
    fn a_newer_file_is_left_alone() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        conn.pragma_update(None, "user_version", VERSION + 1)
            .unwrap();
        let newer = Format::Newer(VERSION + 1);
        assert_eq!(identify(&conn).unwrap(), newer);
        assert_eq!(migrate(&mut conn).unwrap(), newer);
        assert_eq!(identify(&conn).unwrap(), newer);
    }

    #[test]
    fn the_file_of_another_program_is_left_alone() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert_eq!(migrate(&mut conn).unwrap(), Format::Foreign);
        let version: i64 = conn
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, 0);
    }
}
