//! Which tasks have rows that failed, of which file they were made, and of which of its rows.
//!
//! It never reads a record.

use std::path::Path;

use anyhow::bail;
use jiff::tz::TimeZone;

use crate::cli::find;
use crate::cli::list::each;
use crate::cli::source::Opened;
use crate::notice::amount::{counted, number};
use crate::outcome::Outcome;
use crate::store::Store;
use crate::store::watches::{Filter, Which};
use crate::task::TaskId;
use crate::watch::{SourceFile, State, Watch};
use crate::watchlist::unusable;

/// A task of which rows failed, and its rows in the source.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: TaskId,
    pub(super) first: u64,
    pub(super) last: u64,
}

#[derive(Debug)]
struct Found {
    id: TaskId,
    /// By what was told when it was added: the file, and the rows.
    told: Option<(usize, u64, u64)>,
    /// By the totals of the tasks before it.
    reckoned: Option<(u64, u64)>,
}

/// What is known of the tasks that were asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    found: Vec<Found>,
    files: Vec<SourceFile>,
    /// The sum of the totals, as far as all are known.
    sum: Option<u64>,
    /// Tasks of which rows failed.
    pub(super) failed: u64,
    /// Tasks that have not settled.
    pub(super) pending: u64,
    /// Tasks that we settled ourselves.
    ours: u64,
}

/// What is known of the tasks of an import, or of those with these ids.
pub(super) fn wanted(
    store: &Store,
    import: Option<&str>,
    ids: &[String],
    zone: &TimeZone,
) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted {
        found: Vec::new(),
        files: Vec::new(),
        sum: Some(0),
        failed: 0,
        pending: 0,
        ours: 0,
    };
    if let Some(name) = import {
        let filter = Filter {
            import: Some(find::import(store, name, zone)?.key),
            which: Which::All,
        };
        each(store, filter, |_, watch| {
            wanted.take(watch);
            Ok(())
        })?;
    }
    for (at, text) in ids.iter().enumerate() {
        let id = unusable::argument(at + 1, text)?;
        let Some(watch) = store.watch(&id)? else {
            bail!(find::unknown_task(&id));
        };
        wanted.take(&watch);
    }
    Ok(wanted)
}

impl Wanted {
    fn take(&mut self, watch: &Watch) {
        let (counts, is_failed) = match &watch.state {
            State::Pending(counts) => {
                self.pending += 1;
                (*counts, false)
            }
            State::Settled { settlement, .. } => {
                self.ours += u64::from(!settlement.outcome.is_by_server());
                let is_failed = matches!(settlement.outcome, Outcome::Partial | Outcome::Failed);
                (settlement.counts, is_failed)
            }
        };
        let before = self.sum;
        self.sum = before
            .zip(counts.total)
            .map(|(sum, total)| sum + u64::from(total));
        if !is_failed {
            return;
        }
        self.failed += 1;
        let told = watch.source.as_ref().map(|source| {
            let known = self.files.iter().position(|file| *file == source.file);
            let file = known.unwrap_or_else(|| {
                self.files.push(source.file.clone());
                self.files.len() - 1
            });
            (file, source.first_row, source.last_row)
        });
        let reckoned = before.zip(self.sum).filter(|(before, sum)| before < sum);
        self.found.push(Found {
            id: watch.id.clone(),
            told,
            reckoned: reckoned.map(|(before, sum)| (before + 1, sum)),
        });
    }

    /// The source, and the tasks that were made of it, in the order of their rows.
    pub(super) fn choose(
        &self,
        path: Option<&Path>,
        delimiter: Option<u8>,
        force: bool,
    ) -> anyhow::Result<(Opened, Vec<Part>)> {
        let Some(path) = path else {
            let file = match self.files.as_slice() {
                [file] => file,
                [] => bail!(
                    "it was not told of which file these tasks were made; name it with --source FILE, or add them again with: importwatch add --source FILE --chunk N ID…"
                ),
                files => bail!("{}", several(files)),
            };
            let opened = Opened::open(&file.path, delimiter)?;
            check(&opened, file, force)?;
            let parts = self.parts(|found| found.told.map(|(_, first, last)| (first, last)));
            return Ok((opened, parts));
        };
        let opened = Opened::open(path, delimiter)?;
        let place = match self.files.as_slice() {
            [] => {
                let parts = self.parts(|found| found.reckoned);
                if (parts.len() as u64) < self.failed {
                    bail!(
                        "which rows of {} the tasks took cannot be reckoned, since the server did not give how many rows each has; tell them with: importwatch add --source FILE --chunk N ID…",
                        path.display()
                    );
                }
                return Ok((opened, parts));
            }
            [_] => 0,
            files => match files
                .iter()
                .position(|file| file.path == opened.path || is_same(&opened, file))
            {
                Some(place) => place,
                None => bail!(
                    "{} is none of the sources. {}",
                    path.display(),
                    several(files)
                ),
            },
        };
        check(&opened, &self.files[place], force)?;
        let parts = self.parts(|found| {
            let told = found.told.filter(|(file, ..)| *file == place);
            told.map(|(_, first, last)| (first, last))
        });
        Ok((opened, parts))
    }

    fn parts(&self, rows: impl Fn(&Found) -> Option<(u64, u64)>) -> Vec<Part> {
        let part = |found: &Found| {
            let (first, last) = rows(found)?;
            Some(Part {
                id: found.id.clone(),
                first,
                last,
            })
        };
        let mut parts: Vec<_> = self.found.iter().filter_map(part).collect();
        parts.sort_by_key(|part| part.first);
        parts
    }

    /// That there is nothing to write, and why.
    pub(super) fn nothing(&self) -> String {
        let mut parts =
            vec!["no rows failed, as far as the server has told: nothing was written".to_owned()];
        if self.pending > 0 {
            parts.push(self.still_pending());
        }
        if self.ours > 0 {
            parts.push(format!(
                "what became of {} is not known: importwatch list",
                counted(self.ours, "task")
            ));
        }
        parts.join("; ")
    }

    /// That more may come.
    pub(super) fn still_pending(&self) -> String {
        let verb = if self.pending == 1 { "is" } else { "are" };
        format!(
            "{} {verb} still pending; rows of them may fail yet",
            counted(self.pending, "task")
        )
    }
}

fn several(files: &[SourceFile]) -> String {
    let names: Vec<_> = files
        .iter()
        .take(5)
        .map(|file| format!("\n  --source {}", find::word(&file.path.to_string_lossy())))
        .collect();
    format!(
        "the tasks were made of {}; take one at a time:{}",
        counted(files.len() as u64, "file"),
        names.concat()
    )
}

/// Whether a file holds the same, as far as is kept; a copy has a time of its own.
fn is_same(opened: &Opened, file: &SourceFile) -> bool {
    let (now, then) = (opened.fingerprint, file.fingerprint);
    now.size == then.size && now.head == then.head && now.tail == then.tail
}

fn check(opened: &Opened, file: &SourceFile, force: bool) -> anyhow::Result<()> {
    let (now, then) = (opened.fingerprint, file.fingerprint);
    let is_touched = opened.path == file.path && now.modified_at != then.modified_at;
    if force || (is_same(opened, file) && !is_touched) {
        return Ok(());
    }
    let how = if now.size == then.size {
        "it was written to".to_owned()
    } else {
        format!(
            "it had {} bytes and has {}",
            number(then.size),
            number(now.size)
        )
    };
    bail!(
        "{} has changed since the tasks were added ({how}), so its rows may be others; give the file as it was with --source FILE, or go on with --force",
        opened.path.display()
    )
}
