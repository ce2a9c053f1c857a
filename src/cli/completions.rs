//! `importwatch completions`: what a shell needs to complete the program's arguments.
//!
//! It reads no settings and touches no state, so that it works while a package is being built.

use std::io::{self, Write as _};

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell as Known;

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

/// Prints the completions of `program`.
pub(super) fn run(mut program: Command, arguments: &Arguments) -> anyhow::Result<Exit> {
    let shell = match arguments.shell {
        Shell::Bash => Known::Bash,
        Shell::Zsh => Known::Zsh,
        Shell::Fish => Known::Fish,
    };
    // The generator panics where a write fails, which a pipe may do and memory does not.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, "importwatch", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Done)
}
