//! The settings: TOML and environment made into one validated, plain [`Settings`].
//!
//! It opens the settings file and the files of keys, and nothing else; it builds nothing of what it
//! describes, and no error, no `Debug` and no message of it shows a key.
//!
//! To add a key: a field here (or in `raw`) with its default and its kind of value, and its lines in
//! `config/importwatch.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::account::{AccountName, ApiKey};
use crate::settings::environment::Environment;
use crate::settings::value::{DAY, HOUR, MINUTE, SECOND};
use crate::task::TaskId;

mod assemble;
mod document;
pub mod environment;
mod fault;
pub mod key;
mod layers;
mod list;
pub mod load;
pub mod locate;
pub mod mistake;
mod overrides;
mod raw;
mod value;

/// The whole validated configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The file that the settings came from, as an absolute path; `None` where there was none.
    pub file: Option<PathBuf>,
    /// The accounts by name; never empty.
    pub accounts: BTreeMap<AccountName, Account>,
    /// `[watch]`
    pub watch: Watch,
    /// `[poll]`
    pub poll: Poll,
    /// `[notify]`
    pub notify: Notify,
    /// `[log]`
    pub log: Log,
    /// `[state]`
    pub state: State,
}

/// `[accounts.NAME]`: one deployment, and where its key is. Paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// `http` or `https`, without user, query, fragment and trailing slash (but for the root's).
    pub base_url: Url,
    /// The key's file; never beside [`Account::api_key`].
    pub api_key_file: Option<PathBuf>,
    /// The key itself, where the settings hold it.
    pub api_key: Option<InlineKey>,
    /// 1 to 6,000.
    pub requests_per_minute: u32,
    /// 1 to 360,000; `None`: no such limit.
    pub requests_per_hour: Option<u32>,
    /// 1 to 8,640,000; `None`: no such limit.
    pub requests_per_day: Option<u32>,
    /// The share of the rates left to the user's own uploads: 0 or more, below 1.
    pub reserve: f64,
    /// Certificate authorities (PEM) to trust for this account.
    pub ca_file: Option<PathBuf>,
    /// What of it is kept from the desktop.
    pub quiet: Quiet,
}

/// What of an account is kept from the desktop; other channels tell everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Quiet {
    /// Nothing.
    #[default]
    Never,
    /// Imports that go well, and the progress of any.
    Success,
    /// Everything, trouble with the account itself included.
    Always,
}

/// A key that stands in the settings themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineKey {
    /// The key.
    pub key: ApiKey,
    /// The variable that gave it; `None`: the settings file did, which no one else can read.
    pub variable: Option<String>,
}

/// `[watch]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// Ids that are watched from the start, under the account that is meant where none is named;
    /// such an account exists if there are any.
    #[serde(deserialize_with = "list::ids")]
    pub ids: Vec<TaskId>,
    /// Files of ids to be watched in the same way; absolute paths.
    #[serde(deserialize_with = "list::paths")]
    pub files: Vec<PathBuf>,
    /// From the start of a watch to its deadline; 1 s to 3,650 days.
    #[serde(deserialize_with = "value::duration::<_, SECOND, { 3650 * DAY }>")]
    pub give_up_after: Duration,
    /// How long the server must not know an id before its task is missing; up to 365 days.
    #[serde(deserialize_with = "value::duration::<_, 0, { 365 * DAY }>")]
    pub missing_after: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            files: Vec::new(),
            give_up_after: Duration::from_millis(DAY),
            missing_after: Duration::from_millis(10 * MINUTE),
        }
    }
}

/// `[poll]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Poll {
    /// When a watch is asked.
    #[serde(deserialize_with = "value::policy")]
    pub policy: Policy,
    /// How much waiting a request is worth to the adaptive policy, 10 ms to 1 h; `None`: as the rates of
    /// the account have it.
    #[serde(deserialize_with = "value::price")]
    pub price: Option<Duration>,
    /// The first delay between two polls of a watch; 10 ms to 7 days, at most `max_interval`.
    #[serde(deserialize_with = "value::duration::<_, 10, { 7 * DAY }>")]
    pub initial_interval: Duration,
    /// By what the delay grows with each poll; 1 to 10.
    #[serde(deserialize_with = "value::multiplier")]
    pub multiplier: f64,
    /// The longest delay; 10 ms to 7 days.
    #[serde(deserialize_with = "value::duration::<_, 10, { 7 * DAY }>")]
    pub max_interval: Duration,
    /// The most ids a poll may carry; 1 to 1,000.
    #[serde(deserialize_with = "value::whole::<_, 1, 1000>")]
    pub batch_size: u32,
    /// How long a connection may take; 100 ms to 10 min.
    #[serde(deserialize_with = "value::duration::<_, 100, { 10 * MINUTE }>")]
    pub connect_timeout: Duration,
    /// How long a request may take as a whole; 100 ms to 10 min.
    #[serde(deserialize_with = "value::duration::<_, 100, { 10 * MINUTE }>")]
    pub request_timeout: Duration,
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            policy: Policy::Adaptive,
            price: None,
            initial_interval: Duration::from_secs(2),
            multiplier: 1.5,
            max_interval: Duration::from_mins(1),
            batch_size: 100,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// When a watch is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// When asking is worth the price of a request, by what has been learnt of the server.
    Adaptive,
    /// At growing intervals.
    Exponential,
}

/// `[notify]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// Whether outcomes are shown on the desktop.
    #[serde(deserialize_with = "value::desktop")]
    pub desktop: Desktop,
    /// How long outcomes of one import are gathered into one notice, from the first; up to 1 h.
    #[serde(deserialize_with = "value::duration::<_, 0, HOUR>")]
    pub gather: Duration,
    /// How long an import must have been pending to have a living notice on the desktop; up to 24 h,
    /// zero: it never has.
    #[serde(deserialize_with = "value::duration::<_, 0, DAY>")]
    pub progress_after: Duration,
    /// More imports than this that wait for the desktop at once become one notice; up to 100,000,
    /// zero: never.
    #[serde(deserialize_with = "value::whole::<_, 0, 100_000>")]
    pub digest: u32,
    /// A program and its arguments, run for each import's result; never an empty list. A program
    /// named with a slash is absolute.
    #[serde(deserialize_with = "value::command")]
    pub command: Option<Vec<String>>,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            desktop: Desktop::Auto,
            gather: Duration::from_secs(2),
            progress_after: Duration::from_mins(1),
            digest: 20,
            command: None,
        }
    }
}

/// Whether outcomes are shown on the desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desktop {
    /// If there is a session bus.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or directives that
    /// tracing-subscriber's `EnvFilter` takes.
    #[serde(deserialize_with = "value::level")]
    pub level: String,
    /// How events are written.
    #[serde(deserialize_with = "value::log_format")]
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Auto,
        }
    }
}

/// How events are written: to standard error but for the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// To the journal, where standard error goes there under systemd; else text.
    Auto,
    /// One line an event, for people.
    Text,
    /// One JSON object a line.
    Json,
    /// To systemd's journal, with its fields, wherever standard error goes.
    Journald,
}

/// `[state]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where the store is; absolute.
    pub directory: PathBuf,
    /// How long settled and told watches are kept; 1 h to 3,650 days.
    pub keep: Duration,
}

/// Why there is no account for a task.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccountError {
    /// The named account is not in the settings.
    #[error(
        "there is no account {name}: {} {}; name one of these with --account, or add [accounts.{name}]",
        has(.settings.as_deref()), listed(.known)
    )]
    Unknown {
        /// The file that the accounts are from.
        settings: Option<PathBuf>,
        /// What was asked for.
        name: AccountName,
        /// What there is.
        known: Vec<AccountName>,
    },
    /// None was named, and the settings have several, none of them called `default`.
    #[error(
        "name an account with --account: {} {}, and none called default",
        has(.settings.as_deref()), listed(.known)
    )]
    Ambiguous {
        /// The file that the accounts are from.
        settings: Option<PathBuf>,
        /// What there is.
        known: Vec<AccountName>,
    },
}

fn has(settings: Option<&Path>) -> String {
    match settings {
        Some(path) => format!("{} has", path.display()),
        None => "there is no settings file, so there is only".to_owned(),
    }
}

fn listed(names: &[AccountName]) -> String {
    let names: Vec<_> = names.iter().map(AccountName::as_str).collect();
    names.join(", ")
}

impl Settings {
    /// The account of a task: the named one; else `default`, or the only one.
    ///
    /// # Errors
    ///
    /// [`AccountError`], which lists the accounts that there are.
    pub fn account_for(&self, named: Option<&AccountName>) -> Result<&AccountName, AccountError> {
        let known = || self.accounts.keys().cloned().collect();
        match named {
            Some(name) => match self.accounts.get_key_value(name) {
                Some((name, _)) => Ok(name),
                None => Err(AccountError::Unknown {
                    settings: self.file.clone(),
                    name: name.clone(),
                    known: known(),
                }),
            },
            None => self
                .unnamed_account()
                .ok_or_else(|| AccountError::Ambiguous {
                    settings: self.file.clone(),
                    known: known(),
                }),
        }
    }

    /// The account that is meant where none is named.
    fn unnamed_account(&self) -> Option<&AccountName> {
        unnamed(&self.accounts)
    }

    /// Whether the machine's service, where they are its settings, or else that of the user whose
    /// environment this is, reads this file without being told.
    #[must_use]
    pub fn is_found_by_services(&self, environment: &Environment) -> bool {
        let system = Path::new(locate::SYSTEM_SETTINGS);
        if self.is_of_system() {
            return self.file == Some(system.join("config.toml"));
        }
        let places = locate::candidates(environment, system);
        self.file == places.into_iter().find(|place| place.exists())
    }

    /// Whether these are the settings of the machine's service.
    #[must_use]
    pub fn is_of_system(&self) -> bool {
        self.file.as_deref().is_some_and(locate::is_of_system)
    }
}

/// The account that is meant where none is named: `default`, or the only one.
fn unnamed(accounts: &BTreeMap<AccountName, Account>) -> Option<&AccountName> {
    let default = accounts.get_key_value("default").map(|(name, _)| name);
    match accounts.len() {
        1 => accounts.keys().next(),
        _ => default,
    }
}
