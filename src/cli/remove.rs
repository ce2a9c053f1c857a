//! `importwatch remove`: tasks off the watch list.
//!
//! It never tells the server anything: the import itself goes on, and nothing that went in goes out.

use std::collections::HashSet;
use std::io::{self, Write as _};

use clap::{ArgGroup, Args};
use jiff::tz::TimeZone;

use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::{find, ids, output};
use crate::notice::amount::counted;
use crate::store::Store;
use crate::store::changes::Seq;
use crate::store::doorbell;
use crate::store::remove::Removed;
use crate::store::watches::{Filter, Which};
use crate::task::TaskId;

/// Tasks of an import that are read and removed together.
const PAGE: usize = 1000;
/// So many ids that cannot be removed are said one by one.
const MOST_SAID: u64 = 20;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true), after_help = "A pending task is no longer asked about, and nothing is told of it. A \
settled one is forgotten, with its rows and with any notice of it that is still to come. The server \
learns nothing of it: the import itself goes on.

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
    #[arg(long, value_name = "NAME", group = "what")]
    import: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let directory = context.state()?;
    let mut removal = Removal {
        store: Store::open(&directory)?,
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
struct Removal {
    store: Store,
    pending: u64,
    settled: u64,
    unusable: u64,
}

impl Removal {
    fn take_ids(&mut self, texts: &[String]) -> anyhow::Result<()> {
        let mut good = Vec::new();
        let mut seen = HashSet::new();
        for (number, text) in texts.iter().enumerate() {
            match ids::argument(number + 1, text) {
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
        let removed = self.store.remove(ids)?;
        for (id, removed) in ids.iter().zip(removed) {
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
