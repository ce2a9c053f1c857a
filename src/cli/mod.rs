//! The command line: arguments, and one file a command.
//!
//! What a command prints for a program goes to standard output, what it says to a person about its
//! work to standard error.

mod add;
mod by_settings;
mod check;
mod complete;
mod completions;
mod daemon;
mod demo;
pub mod exit;
mod find;
mod intake;
mod json;
mod line;
mod list;
mod man;
mod output;
mod reckoning;
mod rejects;
mod reload;
mod remove;
mod run;
mod show;
mod signals;
mod source;
mod start;
mod times;
mod wait;
mod words;

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand};

use crate::cli::exit::Exit;
use crate::notice::safe;
use crate::settings::environment::Environment;
use crate::settings::{Settings, load};
use crate::store::directory::StateDir;
use crate::store::error::StoreError;
use crate::store::{Store, aside};
use crate::telemetry;

const AFTER_HELP: &str = "To begin, put the key of your Agent into $IMPORTWATCH_API_KEY, or name its \
file in the settings (~/.config/importwatch/config.toml), then:
  importwatch add --import products ID…    the ids that the import endpoint answered
  importwatch daemon                       asks about them, and tells you how they ended
  importwatch list                         how they stand
Or, in a script and without a daemon:
  ./import.sh | importwatch wait -         watches the ids that it prints until they have settled
  importwatch run --wait -- ./import.sh    the same, and fails if the script does

Exit codes: 0 done; 1 tasks or rows failed beyond what is allowed; 2 bad arguments or settings, or an \
unknown id or import; 3 out of time, or a task expired; 4 an account is refused or could not be \
asked; 5 the store failed, or another daemon holds it; 130 interrupted.";

const CONFIG: &str = "Read the settings from this file; else from $IMPORTWATCH_CONFIG, from \
importwatch/config.toml in $XDG_CONFIG_HOME (~/.config), or from /etc/importwatch/config.toml";

/// The options that go before or after any command.
const COMMON: &str = "Common options";

/// Watches bulk imports into tables of GPTBots agents until the server has parsed them, and says
/// what became of each: in the log and on the desktop.
#[derive(Debug, Parser)]
#[command(
    name = "importwatch",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = AFTER_HELP
)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

/// What can be said before or after any command.
#[derive(Debug, Clone, Args)]
struct Flags {
    #[arg(long, global = true, value_name = "FILE", help_heading = COMMON, help = CONFIG)]
    config: Option<PathBuf>,
    /// Log each request; twice, each id and each step too
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = COMMON)]
    verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = COMMON)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch in the foreground: poll until each task has settled, and tell of it
    Daemon(daemon::Arguments),
    /// Put import tasks on the watch list
    Add(add::Arguments),
    /// Run an import command, and watch the tasks that it starts
    Run(run::Arguments),
    /// Show the watch list and what became of it
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// Show all that is known of a task, or how an import stands, and what to do next
    Show(show::Arguments),
    /// Wait until tasks have settled, with a daemon or without, and say by the exit code how
    Wait(wait::Arguments),
    /// Take tasks off the watch list
    #[command(visible_alias = "rm")]
    Remove(remove::Arguments),
    /// Write the rows that failed, as they stand in the source, to be mended and imported again
    Rejects(rejects::Arguments),
    /// Look whether everything is in order: settings, keys, store, notifiers
    Check(check::Arguments),
    /// Show the whole thing at work against a simulated server: no key, no network
    Demo(demo::Arguments),
    /// Print the completions for a shell
    Completions(completions::Arguments),
    /// Write the manual pages
    Man(man::Arguments),
}

/// What every command has.
#[derive(Debug, Clone)]
struct Context {
    flags: Flags,
    settings: Settings,
    environment: Environment,
}

impl Context {
    fn load(flags: &Flags, environment: Environment) -> anyhow::Result<Self> {
        Ok(Self {
            flags: flags.clone(),
            settings: load::load(flags.config.as_deref(), &environment)?,
            environment,
        })
    }

    fn state(&self) -> anyhow::Result<StateDir> {
        Ok(StateDir::open(&self.settings.state.directory)?)
    }
}

/// Opens the store, and says so if a damaged one had to be set aside for that.
fn open_store(directory: &StateDir) -> Result<Store, StoreError> {
    let store = Store::open(directory)?;
    if let Some(recovery) = store.recovery() {
        output::say(&format!("importwatch: {}", recovery.told()));
    }
    Ok(store)
}

/// Runs the command that the process was called with.
#[must_use]
pub fn run() -> Exit {
    if complete::answer() {
        return Exit::Done;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and the version are printed on standard output, and are no error.
            let asked_for = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            drop(error.print());
            return if asked_for { Exit::Done } else { Exit::Usage };
        }
    };
    match dispatch(arguments) {
        Ok(exit) => exit,
        Err(error) if output::is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            complain(&told(&error));
            if let Some(database) = exit::damaged(&error) {
                heal(database);
            }
            exit::of(&error)
        }
    }
}

fn dispatch(arguments: Arguments) -> anyhow::Result<Exit> {
    let Arguments { flags, command } = arguments;
    let environment = Environment::of_process();
    let context = |environment| Context::load(&flags, environment);
    match command {
        Command::Daemon(arguments) => daemon::run(&context(environment)?, &arguments),
        Command::Add(arguments) => add::run(&context(environment)?, &arguments),
        Command::Run(arguments) => run::run(&context(environment)?, arguments),
        Command::List(arguments) => list::run(&context(environment)?, &arguments),
        Command::Show(arguments) => show::run(&context(environment)?, &arguments),
        Command::Wait(arguments) => wait::run(&context(environment)?, &arguments),
        Command::Remove(arguments) => remove::run(&context(environment)?, &arguments),
        Command::Rejects(arguments) => rejects::run(&context(environment)?, &arguments),
        Command::Check(arguments) => check::run(&context(environment)?, &arguments),
        // It brings settings of its own, so that it works whatever the user's are.
        Command::Demo(arguments) => demo::run(&flags, &environment, &arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(Arguments::command(), &arguments),
    }
}

/// Sets a database aside that has turned out to be damaged, so that the next command, or a daemon that
/// is started again, can go on.
fn heal(database: &Path) {
    let Some(directory) = database.parent() else {
        return;
    };
    let said = match StateDir::open(directory).and_then(|directory| aside::recover(&directory)) {
        Ok(Some(recovery)) => format!("{}; now run it again", recovery.told()),
        Ok(None) => {
            "a second look found nothing wrong with it; check the disk, and run it again".to_owned()
        }
        Err(error) => told(&error.into()),
    };
    complain(&said);
}

/// Says an error to the person at the terminal, or to the journal.
fn complain(what: &str) {
    let text = format!("importwatch: {what}");
    if telemetry::is_in_journal() {
        // By this the journal knows a line of standard error for an error.
        output::say(&format!("<3>{}", text.replace('\n', "\n<3>")));
    } else {
        output::say(&text);
    }
}

/// An error as the user reads it: what failed and what to do, then what it came from. The settings'
/// errors have several lines, made safe where they are made; what they came from is one line each.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    if exit::of(error) == Exit::Store {
        // Errors of the parts say what could not be done, as it stands behind "failed to".
        text.insert_str(0, "cannot ");
    }
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = safe::one_line(&cause.to_string());
        // Some errors repeat in their own text what they came from.
        if !said.contains(&cause) && !cause.contains(&said) {
            text.push_str("\n  cause: ");
            text.push_str(&cause);
        }
        said = cause;
    }
    text
}
