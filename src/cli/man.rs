//! `importwatch man`: the manual pages, made from the same words as `--help`.
//!
//! It reads no settings and touches no state, so that it works while a package is being built.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};

use crate::cli::exit::Exit;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  importwatch man ~/.local/share/man/man1
  man importwatch-add")]
pub(super) struct Arguments {
    /// The directory that importwatch.1 and one page for each command are written to; it is made if
    /// it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages of `program`.
pub(super) fn run(program: Command, arguments: &Arguments) -> anyhow::Result<Exit> {
    let directory = &arguments.directory;
    let failed = || {
        format!(
            "cannot write manual pages to {}; name a directory that you may write to",
            directory.display()
        )
    };
    fs::create_dir_all(directory).with_context(failed)?;
    clap_mangen::generate_to(program.disable_help_subcommand(true), directory)
        .with_context(failed)?;
    Ok(Exit::Done)
}
