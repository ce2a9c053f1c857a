//! What a shell completes as it is typed: commands, options, and the names of imports and accounts.
//!
//! It makes nothing and says nothing: where there are no settings, no store, or something is wrong
//! with them, there are no names.

use std::ffi::{OsStr, OsString};

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
/// So many names are offered at most, the newest first.
const MOST: usize = 100;

/// Answers a shell that asks. Returns whether one has.
pub(super) fn answer() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    // Before the words are the program itself and a mark.
    let words = std::env::args_os().enumerate();
    let words = words.map(|(index, word)| if index < 2 { word } else { unquoted(word) });
    let here = std::env::current_dir().ok();
    let shells = CompleteEnv::with_factory(Arguments::command).var(VARIABLE);
    // What goes wrong is not for the line that is being typed.
    !matches!(shells.try_complete(words, here.as_deref()), Ok(false))
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

/// A word as the shell will hand it over, of what has been typed of it: shells show it to us as it stands on
/// the line, where a quote may still be open. What cannot be told without running something stays as it is.
fn unquoted(word: OsString) -> OsString {
    let Some(text) = word.to_str() else {
        return word;
    };
    let (mut plain, mut quote) = (String::with_capacity(text.len()), None);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let escapes = match (quote, rest.peek()) {
            (None, Some(_)) => true,
            (Some('"'), Some(next)) => "\"\\$`".contains(*next),
            _ => false,
        };
        match c {
            '\\' if escapes => plain.extend(rest.next()),
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            _ => plain.push(c),
        }
    }
    plain.into()
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
    let newest = names.into_iter().rev().take(MOST).enumerate();
    let candidates = newest.map(|(order, (name, help))| {
        CompletionCandidate::new(name)
            .help(Some(help.into()))
            .display_order(Some(order))
    });
    Some(candidates.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_of_a_word_is_read_as_a_shell_reads_it() {
        for (typed, word) in [
            ("", ""),
            ("plain", "plain"),
            (r"two\ words", "two words"),
            ("'two wo", "two wo"),
            ("'it'\\''s", "it's"),
            (r#"--import="a \"b\" \$c \d"#, r#"--import=a "b" $c \d"#),
            (r"'a\b", r"a\b"),
            (r"end\", r"end\"),
            ("$(touch x)", "$(touch x)"),
        ] {
            assert_eq!(unquoted(typed.into()), word, "{typed}");
        }
    }
}
