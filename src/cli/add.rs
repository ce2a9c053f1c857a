//! `importwatch add`: ids to the watch list.

use std::io::{self, Write as _};

use anyhow::bail;
use clap::Args;

use crate::account::AccountName;
use crate::cli::Context;
use crate::cli::complete;
use crate::cli::exit::Exit;
use crate::cli::intake::{self, Elsewhere, Intake};
use crate::cli::{output, start};
use crate::store::add::Add;
use crate::watchlist::name::{self, NameError};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  importwatch add --import products 68ec7ad3e307920f002648cd
  importwatch add --account shop ID…
  importwatch add --start ID…                          and starts the service that asks about it
  ./import.sh | importwatch add --import products -    reads ids, or the import endpoint's answers

A task is watched until it has settled, at most for watch.give_up_after of the settings (24 h). It \
is asked about by a daemon, started before or after: importwatch daemon; or by a service of systemd, \
which --start starts: importwatch.service if that is enabled, else importwatch-once.service, which ends \
once everything is settled.")]
pub(super) struct Arguments {
    /// The account whose key asks about the tasks
    #[arg(long, value_name = "NAME", add = complete::accounts())]
    account: Option<AccountName>,
    /// The import that the tasks belong to; without it, an import named after the present time
    #[arg(long, value_name = "NAME", value_parser = import_name, add = complete::imports())]
    import: Option<String>,
    /// Have systemd start the service that asks about them, if no daemon runs: the user's, or the
    /// machine's where the settings are the machine's
    #[arg(long)]
    start: bool,
    /// Ids of import tasks; or - to read them from standard input, one a line or as the answers of
    /// the import endpoint
    #[arg(value_name = "ID", required = true, allow_hyphen_values = false)]
    ids: Vec<String>,
}

/// An import's name, as [`name::check`] takes it.
pub(super) fn import_name(text: &str) -> Result<String, NameError> {
    name::check(text).map(|()| text.to_owned())
}

pub(super) fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let account = context.settings.account_for(arguments.account.as_ref())?;
    let directory = context.state()?;
    let add = Add {
        account: account.clone(),
        import: intake::import_of(arguments.import),
        give_up_after: context.settings.watch.give_up_after,
    };
    let mut intake = Intake::open(&directory, add, Elsewhere::Refused)?;
    if intake::is_piped(&arguments.ids)? {
        intake.take_coming(&intake::read(io::stdin()), drop)?;
    } else {
        intake.take_arguments(&arguments.ids)?;
    }
    let tally = intake.tally();
    if tally.given() == 0 {
        bail!("standard input held no ids: nothing was added");
    }
    if !context.flags.quiet {
        let summary = intake::summary(tally, intake.import());
        writeln!(io::stdout().lock(), "{summary}")?;
        if tally.watched() > 0 && !intake.was_heard() && !arguments.start {
            output::say(&output::no_daemon(&directory));
        }
    }
    let has_unusable = tally.unusable > 0;
    drop(intake);
    if arguments.start {
        start::start(context, &directory)?;
    }
    Ok(if has_unusable {
        Exit::Usage
    } else {
        Exit::Done
    })
}
