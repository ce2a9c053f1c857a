//! The files that imports were made of, which records of them each watch took, and whether that adds up.
//!
//! It never looks at a file: it keeps what it is told of one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use rusqlite::{Connection, params};

use crate::store::Store;
use crate::store::error::{Cause, StoreError};
use crate::store::portion::{Portion, Rows};
use crate::store::rows::{self, Columns};
use crate::watch::{Fingerprint, ImportKey, Reckoning, Source, SourceFile};

/// The watches of an import lie between its first and its last; each with how many rows it was made of,
/// and how many the server counted, where it has settled it and said so. Rows before the next one to be
/// taken were taken, although the watches that took them may have gone for their age.
const RECKONING: &str = "
SELECT 0, coalesce(sum(told), 0),
    (SELECT coalesce(sum(max(0, records - max(next_row - 1, coalesce((
        SELECT max(source_last) FROM import
        JOIN watch ON watch.seq BETWEEN import.first_watch AND import.last_watch
        WHERE import.key = ?1 AND watch.source = source.key
    ), 0)))), 0) FROM source WHERE import = ?1),
    coalesce(sum(counted <> told), 0),
    coalesce(sum(iif(counted <> told, told, 0)), 0),
    coalesce(sum(iif(counted <> told, counted, 0)), 0)
FROM (
    SELECT watch.source_last - watch.source_first + 1 AS told,
        iif(watch.outcome IN ('available', 'partial', 'failed'),
            coalesce(watch.total, watch.succeeded + watch.failed), NULL) AS counted
    FROM import JOIN watch ON watch.seq BETWEEN import.first_watch AND import.last_watch
    WHERE import.key = ?1 AND watch.import = ?1 AND watch.superseded = 0
        AND watch.source IS NOT NULL
)";

impl Store {
    /// What the tasks of `import` were told to be made of beside what the server counted; `None` where
    /// nothing was told.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn reckoning(&self, import: ImportKey) -> Result<Option<Reckoning>, StoreError> {
        self.read("reckon what an import was made of", |conn| {
            let sql = "SELECT key FROM source WHERE import = ?1 LIMIT 1";
            let key = |columns: Columns<'_, '_>| Ok(columns.key());
            if rows::one(conn, sql, [import.0], "source", key)?.is_none() {
                return Ok(None);
            }
            rows::one(conn, RECKONING, [import.0], "watch", |mut columns| {
                Ok(Reckoning {
                    submitted: columns.count()?,
                    untaken: columns.count()?,
                    differing: columns.count()?,
                    differing_submitted: columns.count()?,
                    differing_counted: columns.count()?,
                })
            })
        })
    }
}

/// The records that one watch took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) source: i64,
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Share {
    /// The next three columns.
    pub(super) fn read(columns: &mut Columns<'_, '_>) -> Result<Option<Self>, Cause> {
        let (source, first, last) = (columns.get()?, columns.get()?, columns.get()?);
        match (source, first, last) {
            (None, None, None) => Ok(None),
            (Some(source), Some(first), Some(last)) if 1 <= first && first <= last => {
                Ok(Some(Self {
                    source,
                    first,
                    last,
                }))
            }
            _ => Err(columns.bad("it has a part of a source, or records that cannot be")),
        }
    }
}

/// What was taken of a file in one transaction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    /// From which to which record.
    pub(super) rows: Option<(u64, u64)>,
    /// Tasks for which no record was left.
    pub(super) beyond: u64,
}

/// The records that the tasks of one transaction take, one after another.
#[derive(Debug)]
pub(super) struct Sources<'tx> {
    tx: &'tx Connection,
    portion: Option<&'tx Portion>,
    /// The record with which the next task begins.
    next: i64,
    /// The rows of this very file, by import.
    keys: BTreeMap<i64, i64>,
    taken: Taken,
}

impl<'tx> Sources<'tx> {
    pub(super) fn begin(
        tx: &'tx Connection,
        portion: Option<&'tx Portion>,
        import: i64,
    ) -> Result<Self, Cause> {
        let mut sources = Self {
            tx,
            portion,
            next: 1,
            keys: BTreeMap::new(),
            taken: Taken::default(),
        };
        if let Some(portion) = portion
            && let Some((key, next)) = find(tx, &portion.file, import)?
        {
            sources.keys.insert(import, key);
            sources.next = next;
        }
        Ok(sources)
    }

    /// What the next task takes, in a watch of `import`.
    pub(super) fn next(&mut self, import: i64) -> Result<Option<Share>, Cause> {
        let Some(portion) = self.portion else {
            return Ok(None);
        };
        let records = whole(portion.file.records);
        let (first, last) = match portion.rows {
            Rows::Chunks(chunk) => (self.next, self.next.saturating_add(whole(chunk) - 1)),
            Rows::Range { first, last } => (whole(first), whole(last)),
        };
        if first > records {
            return Ok(None);
        }
        let source = match self.keys.get(&import) {
            Some(key) => *key,
            None => self.key(&portion.file, import)?,
        };
        Ok(Some(Share {
            source,
            first,
            last: last.min(records).max(first),
        }))
    }

    /// The row of `file` in `import`, made if there is none.
    fn key(&mut self, file: &SourceFile, import: i64) -> Result<i64, Cause> {
        let key = match find(self.tx, file, import)? {
            Some((key, _)) => key,
            None => insert(self.tx, file, import)?,
        };
        self.keys.insert(import, key);
        Ok(key)
    }

    /// The last that [`next`](Self::next) gave has become a watch's; `None`: nothing was left for it.
    pub(super) fn taken(&mut self, share: Option<Share>) {
        let Some(share) = share else {
            self.taken.beyond += u64::from(self.portion.is_some());
            return;
        };
        let (from, to) = (share.first.unsigned_abs(), share.last.unsigned_abs());
        self.taken.rows = Some(match self.taken.rows {
            Some((first, last)) => (first.min(from), last.max(to)),
            None => (from, to),
        });
        self.next = share.last + 1;
    }

    /// A task had its records already: the next goes on behind them, if they are of this file.
    pub(super) fn known(&mut self, share: Share) -> Result<(), Cause> {
        let Some(portion) = self.portion else {
            return Ok(());
        };
        let is_this = self.keys.values().any(|key| *key == share.source)
            || file(self.tx, share.source)?.as_ref() == Some(&portion.file);
        if is_this {
            self.next = self.next.max(share.last.saturating_add(1));
        } else {
            self.passed();
        }
        Ok(())
    }

    /// A task took records, although none are kept for it.
    pub(super) fn passed(&mut self) {
        if let Some(Portion {
            rows: Rows::Chunks(chunk),
            ..
        }) = self.portion
        {
            self.next = self.next.saturating_add(whole(*chunk));
        }
    }

    /// Gives a watch that has none the records that are its.
    pub(super) fn attach(&mut self, watch: i64, import: i64) -> Result<(), Cause> {
        let share = self.next(import)?;
        if let Some(share) = share {
            self.tx
                .prepare_cached(
                    "UPDATE watch SET source = ?2, source_first = ?3, source_last = ?4
                    WHERE seq = ?1",
                )?
                .execute(params![watch, share.source, share.first, share.last])?;
        }
        self.taken(share);
        Ok(())
    }

    /// The same records for a watch of `import`, which takes the place of one that had them.
    pub(super) fn moved(
        &mut self,
        share: Option<Share>,
        import: i64,
    ) -> Result<Option<Share>, Cause> {
        let Some(share) = share else {
            return Ok(None);
        };
        let Some(file) = file(self.tx, share.source)? else {
            return Ok(None);
        };
        let source = match find(self.tx, &file, import)? {
            Some((key, _)) => key,
            None => insert(self.tx, &file, import)?,
        };
        Ok(Some(Share { source, ..share }))
    }

    /// Keeps where the next addition goes on.
    pub(super) fn end(self, import: i64) -> Result<Taken, Cause> {
        for (of, key) in &self.keys {
            // Only the import that was added to goes back where it was told to.
            let sql = if *of == import {
                "UPDATE source SET next_row = ?2 WHERE key = ?1"
            } else {
                "UPDATE source SET next_row = max(next_row, ?2) WHERE key = ?1"
            };
            self.tx.prepare_cached(sql)?.execute([*key, self.next])?;
        }
        Ok(self.taken)
    }
}

/// What a watch took, by its next three columns.
pub(super) fn of_watch(
    conn: &Connection,
    columns: &mut Columns<'_, '_>,
) -> Result<Option<Source>, Cause> {
    let Some(share) = Share::read(columns)? else {
        return Ok(None);
    };
    let Some(file) = file(conn, share.source)? else {
        return Err(columns.bad("the file that it was made of is not there"));
    };
    Ok(Some(Source {
        file,
        first_row: share.first.unsigned_abs(),
        last_row: share.last.unsigned_abs(),
    }))
}

fn file(conn: &Connection, key: i64) -> Result<Option<SourceFile>, Cause> {
    rows::one(
        conn,
        "SELECT key, path, size, modified_at, head, tail, records FROM source WHERE key = ?1",
        [key],
        "source",
        |mut columns| {
            let path: Vec<u8> = columns.get()?;
            Ok(SourceFile {
                path: PathBuf::from(OsString::from_vec(path)),
                fingerprint: Fingerprint {
                    size: columns.count()?,
                    modified_at: columns.get()?,
                    head: columns.get::<i64>()?.cast_unsigned(),
                    tail: columns.get::<i64>()?.cast_unsigned(),
                },
                records: columns.count()?,
            })
        },
    )
}

/// The row of `file` in `import`, and the record that is next there.
fn find(conn: &Connection, file: &SourceFile, import: i64) -> Result<Option<(i64, i64)>, Cause> {
    let print = file.fingerprint;
    rows::one(
        conn,
        "SELECT key, next_row FROM source WHERE import = ?1 AND path = ?2 AND size = ?3
            AND modified_at = ?4 AND head = ?5 AND tail = ?6",
        params![
            import,
            file.path.as_os_str().as_bytes(),
            whole(print.size),
            print.modified_at,
            print.head.cast_signed(),
            print.tail.cast_signed(),
        ],
        "source",
        |mut columns| Ok((columns.key(), columns.get()?)),
    )
}

fn insert(conn: &Connection, file: &SourceFile, import: i64) -> Result<i64, Cause> {
    let print = file.fingerprint;
    conn.prepare_cached(
        "INSERT INTO source (import, path, size, modified_at, head, tail, records, next_row)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)",
    )?
    .execute(params![
        import,
        file.path.as_os_str().as_bytes(),
        whole(print.size),
        print.modified_at,
        print.head.cast_signed(),
        print.tail.cast_signed(),
        whole(file.records),
    ])?;
    Ok(conn.last_insert_rowid())
}

/// A number as SQLite has them; no file has more bytes than fit.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
