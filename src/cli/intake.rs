//! Ids that a command is given, from its arguments or as they come from a pipe, to the watch list.
//!
//! What has come is stored at once, so that a command that is killed loses nothing that it has read.
//! One id that cannot be used never keeps the others from being watched.

use std::io::{self, BufReader, Read};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Context as _, bail};

use crate::cli::{find, open_store, output};
use crate::clock;
use crate::notice::amount::counted;
use crate::store::Store;
use crate::store::add::{Add, Added, Addition, ImportChoice};
use crate::store::directory::StateDir;
use crate::store::doorbell;
use crate::store::portion::{Portion, Rows};
use crate::task::TaskId;
use crate::watchlist::ids::Ids;
use crate::watchlist::unusable::{self, Unusable};

/// Ids that are stored together at most.
const CHUNK: usize = 10_000;
/// So many ids that cannot be used are said one by one.
const MOST_SAID: u64 = 20;

/// What was given as ids, as it comes.
pub(super) type Coming = Receiver<io::Result<Result<TaskId, Unusable>>>;

/// What came of what was given.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) new: u64,
    pub(super) again: u64,
    pub(super) known: u64,
    pub(super) unusable: u64,
    /// Tasks for which the source had no record left.
    pub(super) without_rows: u64,
}

impl Tally {
    /// How much was given.
    pub(super) fn given(&self) -> u64 {
        self.watched() + self.known + self.unusable
    }

    /// How many watches there are more.
    pub(super) fn watched(&self) -> u64 {
        self.new + self.again
    }
}

/// What is done with ids that are watched under another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// They cannot be used: the account was meant.
    Refused,
    /// They are known, whoever's they are.
    Known,
    /// So, and ids that are not known cannot be used, for this reason.
    KnownAlone(String),
}

/// Puts ids on the watch list.
#[derive(Debug)]
pub(super) struct Intake {
    store: Store,
    directory: StateDir,
    add: Add,
    elsewhere: Elsewhere,
    portion: Option<Portion>,
    /// From which to which record of it tasks took.
    rows: Option<(u64, u64)>,
    tally: Tally,
    has_rung: bool,
}

impl Intake {
    pub(super) fn open(
        directory: &StateDir,
        add: Add,
        elsewhere: Elsewhere,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            store: open_store(directory)?,
            directory: directory.clone(),
            add,
            elsewhere,
            portion: None,
            rows: None,
            tally: Tally::default(),
            has_rung: false,
        })
    }

    /// What is added from now on was made of this part of a file.
    pub(super) fn made_of(&mut self, portion: Portion) {
        self.portion = Some(portion);
    }

    /// From which to which record of its file the tasks took.
    pub(super) fn rows(&self) -> Option<(u64, u64)> {
        self.rows
    }

    /// What has come of it so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The name of the import that new tasks are in.
    pub(super) fn import(&self) -> &str {
        let (ImportChoice::Named(name) | ImportChoice::New(name)) = &self.add.import;
        name
    }

    /// Whether a daemon, or a `wait`, was there to hear of what was added.
    pub(super) fn was_heard(&self) -> bool {
        self.has_rung
    }

    /// Watches what was given as arguments. Returns the ids of it that are watched.
    pub(super) fn take_arguments(&mut self, texts: &[String]) -> anyhow::Result<Vec<TaskId>> {
        let mut watched = Vec::new();
        for (chunk, texts) in texts.chunks(CHUNK).enumerate() {
            let numbered = texts.iter().enumerate();
            let found = numbered.map(|(at, text)| unusable::argument(chunk * CHUNK + at + 1, text));
            watched.extend(self.take(found)?);
        }
        Ok(watched)
    }

    /// Watches what comes until there is no more, and says each time which ids are watched by that.
    pub(super) fn take_coming(
        &mut self,
        coming: &Coming,
        mut watched: impl FnMut(Vec<TaskId>),
    ) -> anyhow::Result<()> {
        while let Ok(first) = coming.recv() {
            let mut found = vec![first.context("cannot read standard input")?];
            while found.len() < CHUNK
                && let Ok(next) = coming.try_recv()
            {
                found.push(next.context("cannot read standard input")?);
            }
            watched(self.take(found)?);
        }
        Ok(())
    }

    /// Watches some ids. Returns those that are watched now, whoever added them.
    pub(super) fn take(
        &mut self,
        found: impl IntoIterator<Item = Result<TaskId, Unusable>>,
    ) -> anyhow::Result<Vec<TaskId>> {
        let (mut ids, mut watched) = (Vec::new(), Vec::new());
        for found in found {
            match found {
                Ok(id) => ids.push(id),
                Err(unusable) => {
                    if self.portion.is_some() {
                        self.store_ids(std::mem::take(&mut ids), &mut watched)?;
                        self.lose_count();
                    }
                    self.refuse(&unusable.to_string());
                }
            }
        }
        if let Elsewhere::KnownAlone(why) = &self.elsewhere {
            let why = why.clone();
            return self.take_known(ids, &why);
        }
        self.store_ids(ids, &mut watched)?;
        Ok(watched)
    }

    /// Which records a task took is told by how many came before it, so behind something that may
    /// have been one or not it is not known.
    fn lose_count(&mut self) {
        if let Some(portion) = self.portion.take()
            && let Rows::Chunks(_) = portion.rows
        {
            output::say(&format!(
                "importwatch: what comes after this is watched without rows of {}, since it cannot be told whether this took some; tell them one by one: importwatch add --source FILE --rows A-B ID",
                portion.file.path.display()
            ));
        }
    }

    fn store_ids(&mut self, mut ids: Vec<TaskId>, watched: &mut Vec<TaskId>) -> anyhow::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let is_range = self
            .portion
            .as_ref()
            .is_some_and(|portion| matches!(portion.rows, Rows::Range { .. }));
        if is_range {
            let others = ids.split_off(1);
            self.store_some(ids, watched)?;
            self.portion = None;
            if !others.is_empty() {
                output::say(
                    "importwatch: --rows is for one task, so all but the first are watched without rows",
                );
            }
            ids = others;
        }
        self.store_some(ids, watched)
    }

    fn store_some(&mut self, ids: Vec<TaskId>, watched: &mut Vec<TaskId>) -> anyhow::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let now = clock::wall();
        let addition = match &self.portion {
            None => self.store.add(&self.add, &ids, now)?,
            Some(portion) => {
                let addition = self.store.add_of_source(&self.add, portion, &ids, now)?;
                self.note_rows(&addition);
                addition
            }
        };
        if let Some(import) = addition.import {
            // What comes later goes to the same import.
            self.add.import = ImportChoice::Named(import.name);
        }
        let before = self.tally.watched();
        for (id, added) in ids.into_iter().zip(addition.ids) {
            match added {
                Added::New => self.tally.new += 1,
                Added::Again => self.tally.again += 1,
                Added::Known { .. } => self.tally.known += 1,
                Added::OtherAccount(_) if self.elsewhere == Elsewhere::Known => {
                    self.tally.known += 1;
                }
                Added::OtherAccount(other) => {
                    self.refuse(&format!(
                        "{id} is watched under the account {other} already, so it was not added; to move it, run first: importwatch remove {}",
                        find::word(&id.to_string())
                    ));
                    continue;
                }
            }
            watched.push(id);
        }
        if self.tally.watched() > before {
            // What there is can be asked about while more is read.
            self.has_rung = doorbell::ring(&self.directory);
        }
        Ok(())
    }

    fn note_rows(&mut self, addition: &Addition) {
        self.tally.without_rows += addition.beyond;
        self.rows = match (self.rows, addition.rows) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (before, now) => now.or(before),
        };
    }

    fn take_known(&mut self, ids: Vec<TaskId>, why: &str) -> anyhow::Result<Vec<TaskId>> {
        let mut known = Vec::new();
        for id in ids {
            if self.store.watch(&id)?.is_some() {
                self.tally.known += 1;
                known.push(id);
            } else {
                self.refuse(&format!("{id} is not watched yet: {why}"));
            }
        }
        Ok(known)
    }

    fn refuse(&mut self, why: &str) {
        self.tally.unusable += 1;
        if self.tally.unusable <= MOST_SAID {
            output::say(&format!("importwatch: {why}"));
        } else if self.tally.unusable == MOST_SAID + 1 {
            output::say(
                "importwatch: there are more that cannot be used; they are counted, not listed",
            );
        }
    }
}

/// What came of it, in one line.
pub(super) fn summary(tally: &Tally, import: &str) -> String {
    let mut parts = Vec::new();
    if tally.watched() + tally.known == 0 {
        parts.push("nothing added".to_owned());
    }
    if tally.new > 0 {
        parts.push(format!(
            "{} added to import {import}",
            counted(tally.new, "task")
        ));
    }
    if tally.again > 0 {
        parts.push(format!(
            "{} watched again in import {import}",
            counted(tally.again, "task")
        ));
    }
    if tally.known > 0 {
        parts.push(format!("{} known already", counted(tally.known, "task")));
    }
    if tally.unusable > 0 {
        parts.push(format!("{} unusable", tally.unusable));
    }
    parts.join(", ")
}

/// The import of tasks for which none was named: one after the present time.
pub(super) fn import_of(name: Option<String>) -> ImportChoice {
    match name {
        Some(name) => ImportChoice::Named(name),
        None => ImportChoice::New(clock::wall().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
    }
}

/// Whether the ids come on standard input, of which a `-` in their place tells.
pub(super) fn is_piped(ids: &[String]) -> anyhow::Result<bool> {
    let is_piped = ids.iter().any(|id| id == "-");
    if is_piped && ids.len() > 1 {
        bail!("give ids, or - alone to read them from standard input, not both");
    }
    Ok(is_piped)
}

/// Reads `input` in a thread of its own, which ends with it.
pub(super) fn read(input: impl Read + Send + 'static) -> Coming {
    let (send, coming) = mpsc::sync_channel(CHUNK);
    thread::spawn(move || {
        for found in Ids::new(BufReader::new(input)) {
            let found = found.map(|found| found.map(|found| found.id));
            if send.send(found).is_err() {
                return;
            }
        }
    });
    coming
}
