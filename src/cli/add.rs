//! `importwatch add`: ids to the watch list.

use std::io::{self, BufReader, Write as _};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::account::AccountName;
use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::{find, output};
use crate::clock;
use crate::notice::amount::counted;
use crate::store::Store;
use crate::store::add::{Add, Added, ImportChoice};
use crate::store::directory::StateDir;
use crate::store::doorbell;
use crate::task::TaskId;
use crate::watchlist::ids::Ids;
use crate::watchlist::name::{self, NameError};
use crate::watchlist::unusable::{self, Unusable};

/// Ids that are stored together.
const CHUNK: usize = 10_000;
/// So many ids that cannot be used are said one by one.
const MOST_SAID: u64 = 20;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  importwatch add --import products 68ec7ad3e307920f002648cd
  importwatch add --account shop ID…
  ./import.sh | importwatch add --import products -    reads ids, or the import endpoint's answers

A task is watched until it has settled, at most for watch.give_up_after of the settings (24 h). It \
is asked about by a daemon, started before or after: importwatch daemon")]
pub(super) struct Arguments {
    /// The account whose key asks about the tasks
    #[arg(long, value_name = "NAME")]
    account: Option<AccountName>,
    /// The import that the tasks belong to; without it, an import named after the present time
    #[arg(long, value_name = "NAME", value_parser = import_name)]
    import: Option<String>,
    /// Ids of import tasks; or - to read them from standard input, one a line or as the answers of
    /// the import endpoint
    #[arg(value_name = "ID", required = true, allow_hyphen_values = false)]
    ids: Vec<String>,
}

/// An import's name, as [`name::check`] takes it.
pub(super) fn import_name(text: &str) -> Result<String, NameError> {
    name::check(text).map(|()| text.to_owned())
}

/// What came of adding.
#[derive(Debug, Default)]
struct Tally {
    new: u64,
    again: u64,
    known: u64,
    unusable: u64,
}

pub(super) fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let account = context.settings.account_for(arguments.account.as_ref())?;
    let directory = context.state()?;
    let mut store = Store::open(&directory)?;
    let import = match arguments.import {
        Some(name) => ImportChoice::Named(name),
        None => ImportChoice::New(clock::wall().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
    };
    let mut session = Session {
        store: &mut store,
        directory: &directory,
        has_rung: false,
        add: Add {
            account: account.clone(),
            import,
            give_up_after: context.settings.watch.give_up_after,
        },
        waiting: Vec::new(),
        tally: Tally::default(),
    };
    if arguments.ids.iter().any(|id| id == "-") {
        if arguments.ids.len() > 1 {
            bail!("give ids, or - alone to read them from standard input, not both");
        }
        for id in Ids::new(BufReader::new(io::stdin().lock())) {
            let found = id.context("cannot read standard input")?;
            session.take(found.map(|found| found.id))?;
        }
    } else {
        for (number, text) in arguments.ids.iter().enumerate() {
            session.take(unusable::argument(number + 1, text))?;
        }
    }
    session.store_waiting()?;
    let Session { tally, add, .. } = session;
    let found = tally.new + tally.again + tally.known + tally.unusable;
    if found == 0 {
        bail!("standard input held no ids: nothing was added");
    }
    if !context.flags.quiet {
        print(&tally, &add)?;
    }
    let rung = tally.new + tally.again > 0 && doorbell::ring(&directory);
    if !rung && tally.new + tally.again > 0 && !context.flags.quiet {
        output::say(&output::no_daemon(&directory));
    }
    Ok(if tally.unusable > 0 {
        Exit::Usage
    } else {
        Exit::Done
    })
}

fn print(tally: &Tally, add: &Add) -> io::Result<()> {
    let (ImportChoice::Named(name) | ImportChoice::New(name)) = &add.import;
    let mut parts = Vec::new();
    if tally.new + tally.again + tally.known == 0 {
        parts.push("nothing added".to_owned());
    }
    if tally.new > 0 {
        parts.push(format!(
            "{} added to import {name}",
            counted(tally.new, "task")
        ));
    }
    if tally.again > 0 {
        parts.push(format!(
            "{} watched again in import {name}",
            counted(tally.again, "task")
        ));
    }
    if tally.known > 0 {
        parts.push(format!("{} known already", counted(tally.known, "task")));
    }
    if tally.unusable > 0 {
        parts.push(format!("{} unusable", tally.unusable));
    }
    writeln!(io::stdout().lock(), "{}", parts.join(", "))
}

/// An addition under way.
struct Session<'a> {
    store: &'a mut Store,
    directory: &'a StateDir,
    /// Whether the daemon was told before the end.
    has_rung: bool,
    add: Add,
    waiting: Vec<TaskId>,
    tally: Tally,
}

impl Session<'_> {
    fn take(&mut self, found: Result<TaskId, Unusable>) -> anyhow::Result<()> {
        match found {
            Ok(id) => self.waiting.push(id),
            Err(unusable) => self.refuse(&unusable.to_string()),
        }
        if self.waiting.len() == CHUNK {
            self.store_waiting()?;
            if self.tally.new + self.tally.again > 0 && !self.has_rung {
                self.has_rung = true;
                // What there is can be asked about while more is read.
                let _heard = doorbell::ring(self.directory);
            }
        }
        Ok(())
    }

    fn store_waiting(&mut self) -> anyhow::Result<()> {
        let ids = std::mem::take(&mut self.waiting);
        if ids.is_empty() {
            return Ok(());
        }
        let addition = self.store.add(&self.add, &ids, clock::wall())?;
        if let Some(import) = addition.import {
            // What comes later goes to the same import.
            self.add.import = ImportChoice::Named(import.name);
        }
        for (id, added) in ids.iter().zip(addition.ids) {
            match added {
                Added::New => self.tally.new += 1,
                Added::Again => self.tally.again += 1,
                Added::Known { .. } => self.tally.known += 1,
                Added::OtherAccount(other) => self.refuse(&format!(
                    "{id} is watched under the account {other} already, so it was not added; to move it, run first: importwatch remove {}",
                    find::word(&id.to_string())
                )),
            }
        }
        Ok(())
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
