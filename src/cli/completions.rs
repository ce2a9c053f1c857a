//! `importwatch completions`: what a shell needs to complete the program's arguments.
//!
//! It reads no settings and touches no state, so that it works while a package is being built.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use clap_complete::env::{self, EnvCompleter};

use crate::cli::complete;
use crate::cli::exit::Exit;

/// The script of bash. That of `clap_complete` hands over what is found as it is, and bash runs what is in it
/// where a double quote is open or a file is named so; it does not complete `--import=NAME` either.
const BASH: &str = include_str!("completions.bash");

/// What the script of zsh lacks: loaded by the first completion, it only prepares for the second one.
const ZSH_FIRST: &str = r#"
[[ $funcstack[1] != _importwatch ]] || _clap_dynamic_completer_importwatch "$@"
"#;

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
        Shell::Bash => return print(BASH.as_bytes()),
        Shell::Zsh => &env::Zsh,
        Shell::Fish => &env::Fish,
    };
    let mut script = Vec::new();
    let name = "importwatch";
    shell.write_registration(complete::VARIABLE, name, name, name, &mut script)?;
    if let Shell::Zsh = arguments.shell {
        script.extend_from_slice(ZSH_FIRST.as_bytes());
    }
    print(&script)
}

fn print(script: &[u8]) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    out.write_all(script)?;
    out.flush()?;
    Ok(Exit::Done)
}
