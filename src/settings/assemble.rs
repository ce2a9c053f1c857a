//! Makes settings of what was read: accounts find their URLs, paths their directory, and values that
//! must fit one another are held against one another.
//!
//! It looks at no file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::account::AccountName;
use crate::settings::layers::{Layers, Read};
use crate::settings::mistake::Mistakes;
use crate::settings::raw::{Raw, RawAccount, RawState};
use crate::settings::value;
use crate::settings::{Account, InlineKey, Log, Notify, Poll, Watch, unnamed};

/// The file that settings were read from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Where it is; absolute.
    pub(super) path: PathBuf,
    /// Its permission bits, as they were when it was read.
    pub(super) mode: u32,
}

/// Settings but for the directory of the state, which has rules of its own.
pub(super) struct Assembled {
    pub(super) accounts: BTreeMap<AccountName, Account>,
    pub(super) watch: Watch,
    pub(super) poll: Poll,
    pub(super) notify: Notify,
    pub(super) log: Log,
    pub(super) state: RawState,
}

/// Assembles the settings; what does not fit goes to the mistakes, and then the result is for nothing
/// but to go on looking for more.
pub(super) fn assemble(
    read: Read,
    layers: &Layers<'_>,
    origin: Option<&Origin>,
    mistakes: &mut Mistakes,
) -> Assembled {
    let Read { raw, mut keys } = read;
    let Raw {
        accounts,
        mut watch,
        poll,
        mut notify,
        log,
        mut state,
    } = raw;
    let mut assembly = Assembly {
        layers,
        origin,
        directory: origin.and_then(|origin| origin.path.parent()),
        mistakes,
    };
    let mut found = BTreeMap::new();
    for (name, account) in accounts {
        let key = keys.remove(&name);
        // Names that cannot be were told and taken out before.
        if let (Ok(valid), Some(account)) = (name.parse(), assembly.account(&name, account, key)) {
            found.insert(valid, account);
        }
    }
    if found.is_empty() {
        let account = assembly.account("default", RawAccount::default(), None);
        found.extend(account.map(|account| (AccountName::default_account(), account)));
    }
    assembly.check_intervals(&poll);
    assembly.resolve_command(&mut notify);
    assembly.check_lists(&watch, &found);
    for file in &mut watch.files {
        let path = std::mem::take(file);
        *file = assembly.resolve_in(&["watch", "files"], path);
    }
    state.directory = assembly.resolve(&["state", "directory"], state.directory);
    Assembled {
        accounts: found,
        watch,
        poll,
        notify,
        log,
        state,
    }
}

struct Assembly<'a, 't> {
    layers: &'a Layers<'t>,
    origin: Option<&'a Origin>,
    directory: Option<&'a Path>,
    mistakes: &'a mut Mistakes,
}

impl Assembly<'_, '_> {
    fn account(&mut self, name: &str, raw: RawAccount, key: Option<InlineKey>) -> Option<Account> {
        let at = |key: &'static str| ["accounts", name, key];
        if raw.endpoint.is_some() && raw.base_url.is_some() {
            let message = "give either endpoint or base_url, not both";
            self.mistakes
                .push(self.layers.mistake(&at("endpoint"), message));
        }
        if key.is_some() && raw.api_key_file.is_some() {
            let message = "give either api_key_file or api_key, not both";
            self.mistakes
                .push(self.layers.mistake(&at("api_key_file"), message));
        }
        let in_file = key.as_ref().is_some_and(|key| key.variable.is_none());
        if let Some(origin) = self.origin.filter(|o| in_file && o.mode & 0o077 != 0) {
            let message = format!(
                "others can read this file, and so the key; run: chmod 600 {}",
                quoted(&origin.path)
            );
            self.mistakes
                .push(self.layers.hidden_mistake(&at("api_key"), &message));
        }
        let url = match raw.base_url.or(raw.endpoint) {
            Some(url) => Ok(url),
            None => value::default_url(),
        };
        let base_url = match url {
            Ok(url) => url,
            Err(message) => {
                self.mistakes
                    .push(self.layers.mistake(&at("endpoint"), &message));
                return None;
            }
        };
        Some(Account {
            base_url,
            api_key_file: self.resolve(&at("api_key_file"), raw.api_key_file),
            api_key: key,
            requests_per_minute: raw.requests_per_minute,
            requests_per_hour: raw.requests_per_hour,
            requests_per_day: raw.requests_per_day,
            reserve: raw.reserve,
            ca_file: self.resolve(&at("ca_file"), raw.ca_file),
            quiet: raw.quiet,
        })
    }

    fn resolve(&mut self, key: &[&str], path: Option<PathBuf>) -> Option<PathBuf> {
        path.map(|path| self.resolve_in(key, path))
    }

    fn resolve_in(&mut self, key: &[&str], path: PathBuf) -> PathBuf {
        self.layers
            .resolve(key, path, self.directory, self.mistakes)
    }

    /// Listed ids name no account, so one must be meant.
    fn check_lists(&mut self, watch: &Watch, accounts: &BTreeMap<AccountName, Account>) {
        if unnamed(accounts).is_some() {
            return;
        }
        for (key, is_empty) in [
            (["watch", "ids"], watch.ids.is_empty()),
            (["watch", "files"], watch.files.is_empty()),
        ] {
            if !is_empty {
                let known: Vec<_> = accounts.keys().map(AccountName::as_str).collect();
                let message = format!(
                    "there are the accounts {}, and none called default, so it is open whose ids these are; call one of them default, or add the ids with: importwatch add --account NAME",
                    known.join(", ")
                );
                self.mistakes.push(self.layers.mistake(&key, &message));
            }
        }
    }

    /// A program with a slash in its name is a path like any other; one without is looked for in
    /// `$PATH` when it is run.
    fn resolve_command(&mut self, notify: &mut Notify) {
        let program = notify.command.as_mut().and_then(|words| words.first_mut());
        let Some(program) = program.filter(|program| program.contains('/')) else {
            return;
        };
        let path = self.resolve(&["notify", "command"], Some(PathBuf::from(&*program)));
        if let Some(path) = path.as_deref().and_then(Path::to_str) {
            path.clone_into(program);
        } else {
            let message = "the path of the program is not UTF-8";
            let mistake = self.layers.mistake(&["notify", "command"], message);
            self.mistakes.push(mistake);
        }
    }

    fn check_intervals(&mut self, poll: &Poll) {
        let [initial, max] = [["poll", "initial_interval"], ["poll", "max_interval"]];
        let told = self.mistakes.has(&initial) || self.mistakes.has(&max);
        if poll.initial_interval > poll.max_interval && !told {
            let shown = humantime::format_duration;
            let (first, last) = (shown(poll.initial_interval), shown(poll.max_interval));
            // The default of the one cannot be to blame; the other is what was written.
            let (key, message) = if self.layers.is_given(&initial) {
                (
                    initial,
                    format!("{first} is above poll.max_interval, which is {last}"),
                )
            } else {
                (
                    max,
                    format!("{last} is below poll.initial_interval, which is {first}"),
                )
            };
            self.mistakes.push(self.layers.mistake(&key, &message));
        }
    }
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@,".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
