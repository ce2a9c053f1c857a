//! The command line: arguments, and one file a command.
//!
//! What a command prints for a program goes to standard output, what it says to a person about its
//! work to standard error.

mod add;
mod check;
mod daemon;
mod demo;
pub mod exit;
mod ids;
mod json;
mod list;
mod output;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::cli::exit::Exit;
use crate::notice::safe;
use crate::settings::environment::Environment;
use crate::settings::{Settings, load};
use crate::store::directory::StateDir;

/// Watches bulk imports into tables of GPTBots agents until the server has parsed them, and says
/// what became of each: in the log and on the desktop.
#[derive(Debug, Parser)]
#[command(
    name = "importwatch",
    version,
    max_term_width = 100,
    arg_required_else_help = true
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
    /// Read the settings from this file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch in the foreground: poll until each task has settled, and tell of it
    Daemon(daemon::Arguments),
    /// Put import tasks on the watch list
    Add(add::Arguments),
    /// Show the watch list and what became of it
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// Look whether everything is in order: settings, keys, store, notifiers
    Check(check::Arguments),
    /// Show the whole thing at work against a simulated server: no key, no network
    Demo(demo::Arguments),
}

/// What every command has.
#[derive(Debug)]
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

/// Runs the command that the process was called with.
#[must_use]
pub fn run() -> Exit {
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
            output::say(&format!("importwatch: {}", safe_lines(&error)));
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
        Command::Add(arguments) => add::run(&context(environment)?, arguments),
        Command::List(arguments) => list::run(&context(environment)?, &arguments),
        Command::Check(arguments) => check::run(&context(environment)?, &arguments),
        // It brings settings of its own, so that it works whatever the user's are.
        Command::Demo(arguments) => demo::run(&flags, &environment, &arguments),
    }
}

/// An error with its causes. The settings' errors have several lines, made safe where they are made;
/// what they came from is one line each.
fn safe_lines(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = safe::one_line(&cause.to_string());
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
