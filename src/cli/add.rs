//! `importwatch add`: ids to the watch list.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, value_parser};

use crate::account::AccountName;
use crate::cli::Context;
use crate::cli::complete;
use crate::cli::exit::Exit;
use crate::cli::intake::{self, Elsewhere, Intake};
use crate::cli::source::Opened;
use crate::cli::{output, start};
use crate::notice::amount::{counted, number};
use crate::store::add::Add;
use crate::store::portion::{Portion, Rows};
use crate::watchlist::name::{self, NameError};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  importwatch add --import products 68ec7ad3e307920f002648cd
  importwatch add --account shop ID…
  importwatch add --start ID…                          and starts the service that asks about it
  ./import.sh | importwatch add --import products -    reads ids, or the import endpoint's answers
  ./import.sh | importwatch add --import products --source products.csv -

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
    /// The file whose records the tasks were made of, CSV or JSON lines: in the order given, each took
    /// the next --chunk of them
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
    /// The records that the one ID took; record 1 is the first after the header
    #[arg(long, value_name = "A-B", requires = "source", conflicts_with = "chunk", value_parser = row_range)]
    rows: Option<(u64, u64)>,
    /// How many records each task took, the last maybe fewer; going on where the last addition of this
    /// import and file ended
    #[arg(long, value_name = "N", requires = "source", default_value_t = CHUNK, value_parser = value_parser!(u64).range(1..=1_000_000_000))]
    chunk: u64,
    /// Have systemd start the service that asks about them, if no daemon runs: the user's, or the
    /// machine's where the settings are the machine's
    #[arg(long)]
    start: bool,
    /// Ids of import tasks; or - to read them from standard input, one a line or as the answers of
    /// the import endpoint
    #[arg(value_name = "ID", required = true, allow_hyphen_values = false)]
    ids: Vec<String>,
}

/// Records that an import script sends at once, if nothing else is said: the most that the endpoint
/// takes.
const CHUNK: u64 = 1000;

/// Two numbers of rows, the first not above the second: `1-1000`.
fn row_range(text: &str) -> Result<(u64, u64), String> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (1 <= first && first <= last).then_some((first, last))
    });
    range.ok_or_else(|| {
        "write the first and the last row, as in 1001-2000; row 1 is the first after the header"
            .to_owned()
    })
}

/// What the tasks were made of, as it is kept with them.
fn portion(path: &Path, arguments: &Arguments) -> anyhow::Result<Portion> {
    let source = Opened::open(path, None)?;
    let file = source.kept(source.count()?);
    let rows = match arguments.rows {
        None => Rows::Chunks(arguments.chunk),
        Some((first, _)) if first > file.records => bail!(
            "{} has no row {}: it has {}",
            path.display(),
            number(first),
            counted(file.records, "record")
        ),
        Some((first, last)) => Rows::Range { first, last },
    };
    Ok(Portion { file, rows })
}

/// An import's name, as [`name::check`] takes it.
pub(super) fn import_name(text: &str) -> Result<String, NameError> {
    name::check(text).map(|()| text.to_owned())
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let account = context.settings.account_for(arguments.account.as_ref())?;
    let directory = context.state()?;
    let add = Add {
        account: account.clone(),
        import: intake::import_of(arguments.import.clone()),
        give_up_after: context.settings.watch.give_up_after,
    };
    let is_piped = intake::is_piped(&arguments.ids)?;
    if arguments.rows.is_some() && arguments.ids.len() > 1 {
        bail!(
            "--rows is for one task, and {} were given; add them one by one, or with --chunk",
            arguments.ids.len()
        );
    }
    let mut intake = Intake::open(&directory, add, Elsewhere::Refused)?;
    let mut is_source_bad = false;
    if let Some(path) = &arguments.source {
        match portion(path, arguments) {
            Ok(portion) => intake.made_of(portion),
            // An id that is lost is lost, while a file can be named again.
            Err(error) => {
                is_source_bad = true;
                output::say(&format!(
                    "importwatch: {error:#}\n  the tasks are watched without it; add them again with the right file to tell their rows"
                ));
            }
        }
    }
    if is_piped {
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
        if let (Some((first, last)), Some(path)) = (intake.rows(), &arguments.source) {
            writeln!(
                io::stdout().lock(),
                "made of rows {} to {} of {}",
                number(first),
                number(last),
                path.display()
            )?;
        }
        if tally.watched() > 0 && !intake.was_heard() && !arguments.start {
            output::say(&output::no_daemon(&directory));
        }
    }
    if tally.without_rows > 0
        && let Some(path) = &arguments.source
    {
        output::say(&format!(
            "importwatch: of {} no row was left for {}: its records were taken by the tasks before, in chunks of {}; if the chunks were others, tell the rows of each: importwatch add --source FILE --rows A-B ID",
            path.display(),
            counted(tally.without_rows, "task"),
            number(arguments.chunk)
        ));
    }
    let is_incomplete = tally.unusable > 0 || tally.without_rows > 0 || is_source_bad;
    drop(intake);
    if arguments.start {
        start::start(context, &directory)?;
    }
    Ok(if is_incomplete {
        Exit::Usage
    } else {
        Exit::Done
    })
}
