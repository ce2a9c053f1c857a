//! `importwatch wait`: waits until tasks have settled, for a script and for a person at a terminal.
//!
//! It reads how they stand from the store, whoever asks about them: a daemon, another `wait`, or this
//! one, where there is neither. Whatever ends it, its tasks stay on the watch list.

mod asker;
mod engine;
pub(super) mod follow;
mod ledger;
mod limit;
mod pace;
mod view;

use std::io;
use std::thread;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use crate::account::AccountName;
use crate::cli::add::import_name;
use crate::cli::exit::Exit;
use crate::cli::intake::{self, Elsewhere, Intake, Tally};
use crate::cli::wait::follow::Following;
use crate::cli::wait::limit::MaxFailed;
use crate::cli::{Context, by_settings, complete, find};
use crate::store::Store;
use crate::store::add::Add;
use crate::task::TaskId;
use crate::telemetry;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:
  importwatch wait --import products                        until every task of it has settled
  ./import.sh | importwatch wait --import products -        watch the ids that it prints, and wait
  importwatch wait --timeout 2h --max-failed-rows 1% ID…    for a script

Exit codes: 0 every row is in, or no more failed than allowed; 1 more failed; 3 out of time; 4 cannot \
ask; see --help",
    after_long_help = "With a daemon it waits for what that finds out. Without one it asks by itself, \
about all that is on the watch list, and gives way to a daemon that is started meanwhile. Interrupting \
it leaves everything watched; a daemon or another wait goes on.

With ids it waits for those, and --import names the import that new ones of them go to. Without ids it \
waits for all tasks of the import, those that are added meanwhile too.

Examples:
  importwatch wait --import products
      until every task of the newest import of that name has settled
  ./import.sh | importwatch wait --import products -
      watch the ids that the script prints, from the first on, and wait for them
  importwatch wait --import products --timeout 2h --max-failed-rows 1%
      for a script: at most two hours, and one row in a hundred may fail
  importwatch wait --import products --json | jq -r 'select(.id and .failed > 0).id'
      the tasks of which rows failed, as they settle

Exit codes, the first that applies: 130 interrupted; 5 the store failed; 4 what is left belongs to \
accounts that are refused or could not be asked; 3 out of time, or a task expired; 1 tasks or rows \
failed beyond what is allowed; 2 bad arguments or settings, no key where one is needed, or an id that \
could not be used, though all else is well; 0 done."
)]
pub(super) struct Arguments {
    /// The account whose key asks about ids that are not watched yet
    #[arg(long, value_name = "NAME", add = complete::accounts())]
    account: Option<AccountName>,
    /// The import to wait for; with ids, the import that new ones go to
    #[arg(long, value_name = "NAME", add = complete::imports())]
    import: Option<String>,
    #[command(flatten)]
    terms: Terms,
    /// Print one JSON object for each task as it settles, and one for the whole
    #[arg(long)]
    json: bool,
    /// Ids of import tasks; or - to read them from standard input, one a line or as the answers of
    /// the import endpoint
    #[arg(value_name = "ID", allow_hyphen_values = false)]
    ids: Vec<String>,
}

/// When waiting ends before all has settled, and when it has failed.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Terms {
    /// Wait no longer than this, for example 90s or 2h; what is pending then stays watched
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) timeout: Option<Duration>,
    /// Allow so many failed rows, or such a share of all rows, of all the tasks together; without it,
    /// none. A task whose failed rows the server did not count exceeds it
    #[arg(long, value_name = "N|P%")]
    pub(super) max_failed_rows: Option<MaxFailed>,
    /// End as soon as more has failed than is allowed
    #[arg(long)]
    pub(super) fail_fast: bool,
}

/// A time that a person types: more than nothing.
fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("give a time such as 90s, 30m or 2h".to_owned()),
    }
}

/// What comes while it waits.
#[derive(Debug)]
pub(super) enum News {
    /// Tasks that are to be waited for too.
    Ids(Vec<TaskId>),
    /// There will be no more of them.
    Read(anyhow::Result<Tally>),
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    if context.flags.verbose > 0 {
        telemetry::init(&by_settings::log(context))?;
    }
    let following = Following::begin(context, arguments.terms.clone(), arguments.json)?;
    if arguments.ids.is_empty() {
        let Some(name) = &arguments.import else {
            bail!(
                "nothing to wait for; give ids, - to read them from standard input, or --import NAME (`importwatch list --imports` shows them)"
            );
        };
        let store = Store::open(&context.state()?)?;
        let import = find::import(&store, name, &TimeZone::system())?;
        return following.wait_for(import);
    }
    let mut intake = open_intake(context, arguments)?;
    let (send, news) = mpsc::unbounded_channel();
    if intake::is_piped(&arguments.ids)? {
        let coming = intake::read(io::stdin());
        thread::spawn(move || {
            let ids = |ids| drop(send.send(News::Ids(ids)));
            let read = intake.take_coming(&coming, ids);
            drop(send.send(News::Read(read.map(|()| intake.tally().clone()))));
        });
    } else {
        drop(send.send(News::Ids(intake.take_arguments(&arguments.ids)?)));
        drop(send.send(News::Read(Ok(intake.tally().clone()))));
    }
    following.wait_for_news(news)
}

fn open_intake(context: &Context, arguments: &Arguments) -> anyhow::Result<Intake> {
    let settings = &context.settings;
    let import = arguments.import.as_deref().map(import_name).transpose()?;
    // Whose the tasks are matters only for those that are not watched yet.
    let named = arguments.account.as_ref();
    let (account, elsewhere) = match (settings.account_for(named), named) {
        (Ok(account), Some(_)) => (account.clone(), Elsewhere::Refused),
        (Ok(account), None) => (account.clone(), Elsewhere::Known),
        (Err(error), Some(_)) => return Err(error.into()),
        (Err(error), None) => (
            AccountName::default_account(),
            Elsewhere::KnownAlone(error.to_string()),
        ),
    };
    let add = Add {
        account,
        import: intake::import_of(import),
        give_up_after: settings.watch.give_up_after,
    };
    Intake::open(&context.state()?, add, elsewhere)
}
