//! Puts ids on the watch list.
//!
//! It never watches an id twice at the same time, and never changes what is pending or what the
//! server has decided.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, params};

use crate::account::AccountName;
use crate::store::error::{Cause, StoreError};
use crate::store::portion::Portion;
use crate::store::rows::{self, Columns};
use crate::store::sources::{Share, Sources, Taken};
use crate::store::tally::{Tally, Weight};
use crate::store::{CHUNK, Store, accounts, give_turn};
use crate::task::TaskId;
use crate::watch::{Import, ImportKey};

/// How long after its last addition an import is still open although none of its tasks is pending,
/// in milliseconds.
const OPEN_AFTER_LAST: i64 = 60 * 60 * 1000;

/// What the ids that are added have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// Whose tasks they are.
    pub account: AccountName,
    /// The import that they go to.
    pub import: ImportChoice,
    /// How long each is watched.
    pub give_up_after: Duration,
}

/// The import that added ids go to. A name has 1 to 200 characters; the caller sees to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportChoice {
    /// The newest of this name while it is open (a task of it is pending, or one was added within
    /// the last hour), else a new one.
    Named(String),
    /// A new one of this name, whatever there is.
    New(String),
}

/// What came of adding ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The import that the new watches are in; `None` if there is none.
    pub import: Option<Import>,
    /// What came of each id, in the order given.
    pub ids: Vec<Added>,
    /// From which to which record of the file the tasks took that have a place in it since.
    pub rows: Option<(u64, u64)>,
    /// How many tasks have none, since no record was left for them.
    pub beyond: u64,
}

/// What came of adding one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It is watched now, for the first time.
    New,
    /// It is watched again: we had settled it ourselves. The old outcome is kept in its history.
    Again,
    /// It was pending, or settled by the server (from a list: settled at all), or given twice: nothing
    /// has changed.
    Known {
        /// The name of the import that it is in.
        import: Arc<str>,
    },
    /// It is watched under this other account: nothing has changed.
    OtherAccount(AccountName),
}

impl Store {
    /// Watches `ids` from `now` on. An import is made only if one of them becomes a watch in it.
    ///
    /// Ten thousand ids are one transaction. After an error those before it may be watched already;
    /// adding all of them again then changes nothing for them.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn add(
        &mut self,
        add: &Add,
        ids: &[TaskId],
        now: Timestamp,
    ) -> Result<Addition, StoreError> {
        self.add_all(add, None, ids, now, true)
    }

    /// The same for the ids of tasks that were made of a file. A task that is known and has no
    /// records yet takes its own, too; one that has some keeps them.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn add_of_source(
        &mut self,
        add: &Add,
        portion: &Portion,
        ids: &[TaskId],
        now: Timestamp,
    ) -> Result<Addition, StoreError> {
        self.add_all(add, Some(portion), ids, now, true)
    }

    /// The same for ids that a list holds: one that we have settled ourselves is known, and not
    /// watched again. A list names its ids each time that it is read; only a person wants one again.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn add_listed(
        &mut self,
        add: &Add,
        ids: &[TaskId],
        now: Timestamp,
    ) -> Result<Addition, StoreError> {
        self.add_all(add, None, ids, now, false)
    }

    fn add_all(
        &mut self,
        add: &Add,
        portion: Option<&Portion>,
        ids: &[TaskId],
        now: Timestamp,
        again: bool,
    ) -> Result<Addition, StoreError> {
        let mut addition = Addition {
            import: None,
            ids: Vec::with_capacity(ids.len()),
            rows: None,
            beyond: 0,
        };
        for chunk in ids.chunks(CHUNK) {
            let (import, taken) = self.write("add tasks", |tx| {
                let earlier = addition.import.as_ref();
                let mut additions = Additions::begin(tx, add, portion, earlier, now)?;
                let mut insert = tx.prepare_cached(INSERT)?;
                for id in chunk {
                    let added = additions.add(&mut insert, id, again)?;
                    addition.ids.push(added);
                }
                additions.end()
            })?;
            addition.import = import.or(addition.import);
            addition.beyond += taken.beyond;
            addition.rows = match (addition.rows, taken.rows) {
                (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
                (before, taken) => taken.or(before),
            };
            if chunk.len() == CHUNK {
                // More is to come, in this call or in the next.
                give_turn();
            }
        }
        Ok(addition)
    }
}

/// Does nothing if the id is watched: that costs half of looking for it first.
const INSERT: &str = "INSERT INTO watch
    (seq, id, account, import, added_at, deadline, source, source_first, source_last)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) WHERE superseded = 0 DO NOTHING";

/// The additions of one transaction.
struct Additions<'tx> {
    tx: &'tx Connection,
    account: i64,
    import: Import,
    import_is_new: bool,
    now: i64,
    deadline: i64,
    first_watch: i64,
    next_watch: i64,
    tally: Tally,
    names: HashMap<i64, Arc<str>>,
    sources: Sources<'tx>,
}

impl<'tx> Additions<'tx> {
    fn begin(
        tx: &'tx Connection,
        add: &Add,
        portion: Option<&'tx Portion>,
        earlier: Option<&Import>,
        now: Timestamp,
    ) -> Result<Self, Cause> {
        let (next_watch, next_import) = tx
            .prepare_cached("SELECT next_watch, next_import FROM counter")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let existing = match (earlier, &add.import) {
            (Some(earlier), _) if is_there(tx, earlier.key)? => Some(earlier.clone()),
            (_, ImportChoice::Named(name)) => open_import(tx, name, now)?,
            (_, ImportChoice::New(_)) => None,
        };
        let import_is_new = existing.is_none();
        let (ImportChoice::Named(name) | ImportChoice::New(name)) = &add.import;
        let import = existing.unwrap_or_else(|| Import {
            key: ImportKey(next_import),
            name: name.clone(),
            started_at: now,
        });
        let sources = Sources::begin(tx, portion, import.key.0)?;
        let now = now.as_millisecond();
        let give_up_after = i64::try_from(add.give_up_after.as_millis()).unwrap_or(i64::MAX);
        Ok(Self {
            tx,
            account: accounts::key(tx, &add.account)?,
            import,
            import_is_new,
            now,
            deadline: now
                .saturating_add(give_up_after)
                .min(Timestamp::MAX.as_millisecond()),
            first_watch: next_watch,
            next_watch,
            tally: Tally::default(),
            names: HashMap::new(),
            sources,
        })
    }

    /// Adds one id; `again` is whether one that we have settled ourselves is watched again.
    fn add(
        &mut self,
        insert: &mut CachedStatement<'_>,
        id: &TaskId,
        again: bool,
    ) -> Result<Added, Cause> {
        let text = id.to_string();
        let share = self.sources.next(self.import.key.0)?;
        if self.insert(insert, &text, share)? {
            self.sources.taken(share);
            return Ok(Added::New);
        }
        let found = rows::one(
            self.tx,
            "SELECT seq, account, import, superseded, outcome, rows_in, rows_refused,
                source, source_first, source_last
            FROM watch WHERE id = ?1 AND superseded = 0",
            [&text],
            "watch",
            Existing::read,
        )?;
        let Some(existing) = found else {
            return Err(Cause::Sqlite(rusqlite::Error::QueryReturnedNoRows));
        };
        if existing.account != self.account {
            self.sources.passed();
            return self.other_account(existing.account);
        }
        match existing.weight {
            Weight::Settled { outcome, .. } if again && !outcome.is_by_server() => {
                let kept = self.sources.moved(existing.share, self.import.key.0)?;
                self.supersede(&existing)?;
                self.insert(insert, &text, kept.or(share))?;
                match kept {
                    Some(kept) => self.sources.known(kept)?,
                    None => self.sources.taken(share),
                }
                Ok(Added::Again)
            }
            _ => {
                match existing.share {
                    Some(share) => self.sources.known(share)?,
                    None => self.sources.attach(existing.seq, existing.import)?,
                }
                self.known(existing.import)
            }
        }
    }

    fn insert(
        &mut self,
        insert: &mut CachedStatement<'_>,
        id: &str,
        share: Option<Share>,
    ) -> Result<bool, Cause> {
        let inserted = insert.execute(params![
            self.next_watch,
            id,
            self.account,
            self.import.key.0,
            self.now,
            self.deadline,
            share.map(|share| share.source),
            share.map(|share| share.first),
            share.map(|share| share.last),
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        self.next_watch += 1;
        self.tally.plus(self.import.key.0, Weight::Pending);
        Ok(true)
    }

    fn supersede(&mut self, existing: &Existing) -> Result<(), Cause> {
        self.tx
            .prepare_cached("UPDATE watch SET superseded = 1 WHERE seq = ?1")?
            .execute([existing.seq])?;
        self.tally.minus(existing.import, existing.weight);
        self.tally.plus(existing.import, Weight::Superseded);
        Ok(())
    }

    fn known(&mut self, import: i64) -> Result<Added, Cause> {
        if let Some(name) = self.names.get(&import) {
            return Ok(Added::Known {
                import: Arc::clone(name),
            });
        }
        // The import of this very transaction has no row before its end.
        let name: Arc<str> = if import == self.import.key.0 {
            Arc::from(self.import.name.as_str())
        } else {
            self.tx
                .prepare_cached("SELECT name FROM import WHERE key = ?1")?
                .query_row([import], |row| row.get(0))?
        };
        self.names.insert(import, Arc::clone(&name));
        Ok(Added::Known { import: name })
    }

    fn other_account(&self, account: i64) -> Result<Added, Cause> {
        let sql = "SELECT key, name FROM account WHERE key = ?1";
        let name = rows::one(self.tx, sql, [account], "account", |mut c| c.parse())?;
        name.map(Added::OtherAccount)
            .ok_or(Cause::Sqlite(rusqlite::Error::QueryReturnedNoRows))
    }

    /// Writes what the transaction comes to; the import, if it has new watches.
    fn end(self) -> Result<(Option<Import>, Taken), Cause> {
        let taken = self.sources.end(self.import.key.0)?;
        if self.next_watch == self.first_watch {
            return Ok((None, taken));
        }
        let last_watch = self.next_watch - 1;
        let key = self.import.key.0;
        if self.import_is_new {
            self.tx
                .prepare_cached(
                    "INSERT INTO import
                        (key, name, started_at, last_added_at, first_watch, last_watch)
                    VALUES (?1, ?2, ?3, ?3, ?4, ?5)",
                )?
                .execute(params![
                    key,
                    self.import.name,
                    self.now,
                    self.first_watch,
                    last_watch
                ])?;
        } else {
            self.tx
                .prepare_cached(
                    "UPDATE import SET last_added_at = ?2, last_watch = ?3 WHERE key = ?1",
                )?
                .execute(params![key, self.now, last_watch])?;
        }
        self.tx
            .prepare_cached(
                "UPDATE counter SET next_watch = ?1, next_import = max(next_import, ?2)",
            )?
            .execute([self.next_watch, key + 1])?;
        self.tally.apply(self.tx)?;
        Ok((Some(self.import), taken))
    }
}

/// The watch that an id has already.
struct Existing {
    seq: i64,
    account: i64,
    import: i64,
    weight: Weight,
    share: Option<Share>,
}

impl Existing {
    fn read(mut columns: Columns<'_, '_>) -> Result<Self, Cause> {
        Ok(Self {
            seq: columns.key(),
            account: columns.get()?,
            import: columns.get()?,
            weight: Weight::read(&mut columns)?,
            share: Share::read(&mut columns)?,
        })
    }
}

fn is_there(conn: &Connection, import: ImportKey) -> Result<bool, Cause> {
    let mut find = conn.prepare_cached("SELECT 1 FROM import WHERE key = ?1")?;
    Ok(find.exists([import.0])?)
}

/// The newest import of this name, if it is open.
fn open_import(conn: &Connection, name: &str, now: Timestamp) -> Result<Option<Import>, Cause> {
    let newest = rows::one(
        conn,
        "SELECT key, started_at, last_added_at, pending FROM import
        WHERE name = ?1 ORDER BY key DESC LIMIT 1",
        [name],
        "import",
        |mut columns| {
            let import = Import {
                key: ImportKey(columns.key()),
                name: name.to_owned(),
                started_at: columns.time()?,
            };
            let last_added_at = columns.time()?.as_millisecond();
            let pending = columns.count()?;
            // An addition that lies in the future, since the clock went back, is a recent one.
            let recent = now.as_millisecond() - last_added_at <= OPEN_AFTER_LAST;
            Ok((pending > 0 || recent).then_some(import))
        },
    )?;
    Ok(newest.flatten())
}
