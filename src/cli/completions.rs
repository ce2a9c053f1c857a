//! `importwatch completions`: what a shell needs to complete the program's arguments.
//!
//! It reads no settings and touches no state, so that it works while a package is being built.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use clap_complete::env::{self, EnvCompleter};

use crate::cli::complete;
use crate::cli::exit::Exit;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  importwatch completions bash > ~/.local/share/bash-completion/completions/importwatch
  importwatch completions zsh > ~/.zfunc/_importwatch      (a directory of your $fpath)
  importwatch completions fish > ~/.config/fish/completions/importwatch.fish")]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script, which asks the program itself as something is typed.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let shell: &dyn EnvCompleter = match arguments.shell {
        Shell::Bash => &env::Bash,
        Shell::Zsh => &env::Zsh,
        Shell::Fish => &env::Fish,
    };
    let mut script = Vec::new();
    let name = "importwatch";
    shell.write_registration(complete::VARIABLE, name, name, name, &mut script)?;
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Done)
}
