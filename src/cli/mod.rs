//! The command line: arguments, and one file a command.
//!
//! What a command prints for a program goes to standard output, what it says to a person about its
//! work to standard error.

mod add;
mod daemon;
pub mod exit;
mod ids;
mod json;
mod list;
mod output;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser, Subcommand};

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
    /// Read the settings from this file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
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
}

/// What every command has.
#[derive(Debug)]
struct Context {
    settings: Settings,
    environment: Environment,
    /// 0, or how much more than usual is to be said.
    verbose: u8,
    quiet: bool,
}

impl Context {
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
    let environment = Environment::of_process();
    let context = Context {
        settings: load::load(arguments.config.as_deref(), &environment)?,
        environment,
        verbose: arguments.verbose,
        quiet: arguments.quiet,
    };
    match arguments.command {
        Command::Daemon(arguments) => daemon::run(&context, &arguments),
        Command::Add(arguments) => add::run(&context, arguments),
        Command::List(arguments) => list::run(&context, &arguments),
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
