//! What a shell completes as it is typed: commands, options, and the names of imports and accounts.
//!
//! It makes nothing and says nothing: where there are no settings, no store, or something is wrong
//! with them, there are no names.

use std::ffi::OsStr;
use std::sync::OnceLock;

use clap::CommandFactory as _;
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use jiff::tz::TimeZone;

use crate::cli::times::Now;
use crate::cli::{Arguments, find, words};
use crate::clock;
use crate::settings::environment::Environment;
use crate::settings::{Settings, load};
use crate::store::Store;
use crate::store::directory::StateDir;

/// The variable by which a shell's script asks for completions.
pub(super) const VARIABLE: &str = "IMPORTWATCH_COMPLETE";
/// Whether the shell is the one that puts in what it is given as it is, so that it must be one word.
static IS_BASH: OnceLock<bool> = OnceLock::new();
/// So many names are offered at most, the newest first.
const MOST: usize = 100;

/// Answers a shell that asks. Returns whether one has.
pub(super) fn answer() -> bool {
    let Some(shell) = std::env::var_os(VARIABLE) else {
        return false;
    };
    // Set once, before anything reads it.
    _ = IS_BASH.set(shell == "bash");
    let here = std::env::current_dir().ok();
    let shells = CompleteEnv::with_factory(Arguments::command).var(VARIABLE);
    // What goes wrong is not for the line that is being typed.
    !matches!(
        shells.try_complete(std::env::args_os(), here.as_deref()),
        Ok(false)
    )
}

/// Completes the name of an import.
pub(super) fn imports() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| begun.to_str().and_then(imports_of).unwrap_or_default())
}

/// Completes the name of an account.
pub(super) fn accounts() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let begun = begun.to_str().unwrap_or_default();
        let settings = settings();
        let accounts = settings
            .iter()
            .flat_map(|settings| settings.accounts.keys());
        let names = accounts.filter(|name| name.as_str().starts_with(begun));
        names
            .map(|name| CompletionCandidate::new(name.as_str()))
            .collect()
    })
}

fn settings() -> Option<Settings> {
    load::load(None, &Environment::of_process()).ok()
}

fn imports_of(begun: &str) -> Option<Vec<CompletionCandidate>> {
    let directory = settings()?.state.directory;
    // Opening what is not there would make it.
    if !Store::is_in(&directory) {
        return None;
    }
    let store = Store::open(&StateDir::open(&directory).ok()?).ok()?;
    let now = Now {
        at: clock::wall(),
        zone: TimeZone::system(),
    };
    let mut names: Vec<(String, String)> = Vec::new();
    let read = find::each_import(&store, |import, standing| {
        if import.name.starts_with(begun) {
            // Of one name, the newest is meant.
            names.retain(|(name, _)| *name != import.name);
            let started = now.distance(import.started_at);
            names.push((import.name, format!("{}, {started}", words::bar(&standing))));
        }
        Ok(())
    });
    read.ok()?;
    let is_bash = IS_BASH.get().is_some_and(|is_bash| *is_bash);
    let newest = names.into_iter().rev().take(MOST).enumerate();
    let candidates = newest.map(|(order, (name, help))| {
        let name = if is_bash { find::word(&name) } else { name };
        CompletionCandidate::new(name)
            .help(Some(help.into()))
            .display_order(Some(order))
    });
    Some(candidates.collect())
}
