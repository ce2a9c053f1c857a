//! `importwatch remove`: tasks off the watch list.
//!
//! It never tells the server anything: the import itself goes on, and nothing that went in goes out.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::Path;

use clap::{ArgGroup, Args};
use jiff::tz::TimeZone;

use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::{complete, find, open_store, output};
use crate::notice::amount::counted;
use crate::notice::safe;
use crate::store::Store;
use crate::store::changes::Seq;
use crate::store::doorbell;
use crate::store::remove::Removed;
use crate::store::watches::{Filter, Which};
use crate::task::TaskId;
use crate::watchlist::listed::{Listed, Place};
use crate::watchlist::unusable;

/// Tasks of an import that are read and removed together.
const PAGE: usize = 1000;
/// So many ids that cannot be removed are said one by one.
const MOST_SAID: u64 = 20;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true), after_help = "A pending task is no longer asked about, and nothing is told of it. A \
settled one is forgotten, with its rows and with any notice of it that is still to come. The server \
learns nothing of it: the import itself goes on. What watch.ids or a file of watch.files still lists \
is not removed, since the list would bring it back.

Examples:
  importwatch remove 68ec7ad3e307920f002648cd
  importwatch remove --import products
  importwatch remove --import products@2026-11-21T02:00Z"
)]
pub(super) struct Arguments {
    /// Ids of import tasks
    #[arg(value_name = "ID", group = "what")]
    ids: Vec<String>,
    /// All tasks of this import: the newest of this name, or NAME@2026-11-21T02:00 for an older
    #[arg(long, value_name = "NAME", group = "what", add = complete::imports())]
    import: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let directory = context.state()?;
    let mut removal = Removal {
        store: open_store(&directory)?,
        lists: Lists::read(context),
        pending: 0,
        settled: 0,
        unusable: 0,
    };
    match &arguments.import {
        Some(name) => removal.take_import(name)?,
        None => removal.take_ids(&arguments.ids)?,
    }
    if removal.pending > 0 {
        // Without a daemon there is nobody who must stop asking.
        let _heard = doorbell::ring(&directory);
    }
    if !context.flags.quiet {
        writeln!(io::stdout().lock(), "{}", removal.told())?;
    }
    Ok(if removal.unusable > 0 {
        Exit::Usage
    } else {
        Exit::Done
    })
}

/// A removal under way, and what came of it so far.
struct Removal<'a> {
    store: Store,
    lists: Lists<'a>,
    pending: u64,
    settled: u64,
    unusable: u64,
}

impl Removal<'_> {
    fn take_ids(&mut self, texts: &[String]) -> anyhow::Result<()> {
        let mut good = Vec::new();
        let mut seen = HashSet::new();
        for (number, text) in texts.iter().enumerate() {
            match unusable::argument(number + 1, text) {
                Ok(id) if seen.insert(id.clone()) => good.push(id),
                Ok(_) => {}
                Err(unusable) => self.refuse(&unusable.to_string()),
            }
        }
        self.remove(&good)
    }

    fn take_import(&mut self, name: &str) -> anyhow::Result<()> {
        let import = find::import(&self.store, name, &TimeZone::system())?;
        let filter = Filter {
            import: Some(import.key),
            which: Which::All,
        };
        let mut after = Seq::START;
        loop {
            let page = self.store.watches(filter, after, PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = *last;
            let ids: Vec<_> = page.into_iter().map(|(_, watch)| watch.id).collect();
            self.remove(&ids)?;
        }
    }

    /// Every id passes here before it goes, so that what must stay is refused here.
    fn remove(&mut self, ids: &[TaskId]) -> anyhow::Result<()> {
        let mut free = Vec::with_capacity(ids.len());
        for id in ids {
            match self.lists.why_kept(id) {
                Some(why) => self.refuse(&why),
                None => free.push(id.clone()),
            }
        }
        let removed = self.store.remove(&free)?;
        for (id, removed) in free.iter().zip(removed) {
            match removed {
                Removed::Pending => self.pending += 1,
                Removed::Settled => self.settled += 1,
                Removed::Unknown => self.refuse(&format!(
                    "the task {id} is not watched; `importwatch list` shows what is"
                )),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, why: &str) {
        self.unusable += 1;
        if self.unusable <= MOST_SAID {
            output::say(&format!("importwatch: {why}"));
        } else if self.unusable == MOST_SAID + 1 {
            output::say("importwatch: there are more that cannot be removed");
        }
    }

    fn told(&self) -> String {
        let removed = counted(self.pending + self.settled, "task");
        match (self.pending, self.settled) {
            (0, 0) => "nothing removed".to_owned(),
            (0, _) => format!("{removed} removed"),
            (_, 0) if self.pending == 1 => format!("{removed} removed, while it was pending"),
            (_, 0) => format!("{removed} removed, while they were pending"),
            (pending, _) => format!("{removed} removed, {pending} of them while pending"),
        }
    }
}

/// What the settings and their files list, read once.
struct Lists<'a> {
    context: &'a Context,
    listed: Listed,
    /// A file that could not be read, and why.
    unread: Option<(&'a Path, io::Error)>,
}

impl<'a> Lists<'a> {
    fn read(context: &'a Context) -> Self {
        let watch = &context.settings.watch;
        let mut lists = Self {
            context,
            listed: Listed::default(),
            unread: None,
        };
        lists.listed.take_ids(&watch.ids);
        for path in &watch.files {
            match lists.listed.take_file(path) {
                // What is not there lists nothing.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    lists.unread = Some((path, error));
                }
                _ => {}
            }
        }
        lists
    }

    /// Why an id cannot go, and what to do; `None` if it can.
    fn why_kept(&self, id: &TaskId) -> Option<String> {
        let place = match self.listed.find(id) {
            None => {
                let (path, error) = self.unread.as_ref()?;
                let error = safe::one_line(&error.to_string());
                return Some(format!(
                    "{id} was not removed: {} of watch.files cannot be read ({error}), and may list it; mend that, or take the file out of watch.files",
                    path.display()
                ));
            }
            Some(Place::Settings) => self.settings_place(),
            Some(Place::File { file, line }) => {
                let files = &self.context.settings.watch.files;
                let path = files.get(file as usize)?;
                format!("in line {line} of {}", path.display())
            }
        };
        Some(format!(
            "{id} was not removed: it is still listed {place}; take it out there first"
        ))
    }

    fn settings_place(&self) -> String {
        const VARIABLE: &str = "IMPORTWATCH__WATCH__IDS";
        match &self.context.settings.file {
            _ if self.context.environment.get(VARIABLE).is_some() => format!("in ${VARIABLE}"),
            Some(file) => format!("in watch.ids in {}", file.display()),
            None => "in watch.ids".to_owned(),
        }
    }
}
