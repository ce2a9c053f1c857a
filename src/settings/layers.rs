//! Lays the environment over the settings file and reads both, twice over the same types: the file
//! alone, so that a mistake in it has its line, and both together, so that one in a variable has its
//! name.
//!
//! A mistake is noted, its entry taken out, and reading goes on, so that one run tells of them all.
//! Keys are taken out before anything is read, and so cannot get into a message.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, File, FileFormat};
use serde_path_to_error::Segment;

use crate::account::{AccountName, ApiKey};
use crate::settings::InlineKey;
use crate::settings::document::{Document, Part, Taken, not_taken};
use crate::settings::fault::{Fault, not_a_table};
use crate::settings::list::LISTS;
use crate::settings::mistake::{Mistake, Mistakes, Place, dotted};
use crate::settings::overrides::{self, Override, Overrides};
use crate::settings::raw::Raw;
use crate::settings::value::shown;

/// Keys of an account that say the same thing in two ways. Where the environment gives one, the
/// file's other counts no more.
const RIVALS: [[&str; 2]; 2] = [["endpoint", "base_url"], ["api_key", "api_key_file"]];

/// What the settings were read from.
pub(super) struct Layers<'t> {
    document: Option<Document<'t>>,
    overrides: Overrides,
}

/// What was read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) raw: Raw,
    /// The keys that stand in the settings themselves, by account.
    pub(super) keys: BTreeMap<String, InlineKey>,
}

impl<'t> Layers<'t> {
    pub(super) fn new(document: Option<Document<'t>>, overrides: Overrides) -> Self {
        Self {
            document,
            overrides,
        }
    }

    /// Reads both, without what is mistaken.
    pub(super) fn read(&mut self, mistakes: &mut Mistakes) -> Read {
        self.check_account_names(mistakes);
        self.displace_rivals();
        let keys = self.take_keys(mistakes);
        if let Some(document) = &mut self.document {
            for list in &LISTS {
                for mistake in document.sift(list) {
                    mistakes.push(mistake);
                }
            }
            read_document(document, mistakes);
        }
        let mut raw = self.read_merged(mistakes).unwrap_or_default();
        for name in keys.keys() {
            raw.accounts.entry(name.clone()).or_default();
        }
        Read { raw, keys }
    }

    /// A mistake in the value at `key`, placed where the value that counts comes from.
    pub(super) fn mistake<S: AsRef<str>>(&self, key: &[S], message: &str) -> Mistake {
        self.place(key, Part::Value, message)
    }

    /// The same about a value that may not be shown.
    pub(super) fn hidden_mistake<S: AsRef<str>>(&self, key: &[S], message: &str) -> Mistake {
        self.place(key, Part::Key, message)
    }

    /// Whether the value at `key` was given, and is not the default.
    pub(super) fn is_given(&self, key: &[&str]) -> bool {
        let in_file = |document: &Document<'_>| document.has(key);
        self.overrides.get(key).is_some() || self.document.as_ref().is_some_and(in_file)
    }

    fn place<S: AsRef<str>>(&self, key: &[S], part: Part, message: &str) -> Mistake {
        let with_key = format!("{}: {message}", dotted(key));
        match (self.overrides.get(key), &self.document) {
            (Some(found), _) => {
                let key: Vec<String> = key.iter().map(|s| s.as_ref().to_owned()).collect();
                overrides::mistake(&found.variable, &key, message.to_owned())
            }
            (None, Some(document)) if document.has(key) => document.mistake(key, part, with_key),
            _ => Mistake::new(key, Place::Default, with_key),
        }
    }

    /// A path made absolute: one from the file is relative to the directory of the file, one from a
    /// variable must be absolute already, since there is no telling what it is relative to.
    pub(super) fn resolve(
        &self,
        key: &[&str],
        path: PathBuf,
        directory: Option<&Path>,
        mistakes: &mut Mistakes,
    ) -> PathBuf {
        match directory {
            _ if path.is_absolute() => path,
            Some(directory) if self.overrides.get(key).is_none() => directory.join(path),
            _ => {
                let shown = shown(&path.to_string_lossy());
                let message = format!("{shown} is not an absolute path, as a variable needs one");
                mistakes.push(self.mistake(key, &message));
                path
            }
        }
    }

    fn check_account_names(&mut self, mistakes: &mut Mistakes) {
        let Some(document) = &mut self.document else {
            return;
        };
        for name in document.names_in(&["accounts"]) {
            if let Err(error) = name.parse::<AccountName>() {
                let key = ["accounts", &name];
                let shown = dotted(&[&error.0]);
                let message =
                    format!("{shown} cannot name an account: use 1 to 32 of a-z, 0-9 and -");
                mistakes.push(document.mistake(&key, Part::Key, message));
                document.take(&key);
            }
        }
    }

    fn displace_rivals(&mut self) {
        let Some(document) = &mut self.document else {
            return;
        };
        for (key, _) in self.overrides.iter() {
            let [accounts, account, key] = key else {
                continue;
            };
            for [one, other] in RIVALS {
                if key == one {
                    document.take(&[accounts, account, other]);
                } else if key == other {
                    document.take(&[accounts, account, one]);
                }
            }
        }
    }

    /// Takes the keys out of the file and finds those in the environment, which go first.
    fn take_keys(&mut self, mistakes: &mut Mistakes) -> BTreeMap<String, InlineKey> {
        let mut keys = BTreeMap::new();
        if let Some(document) = &mut self.document {
            for account in document.names_in(&["accounts"]) {
                let key = ["accounts", &account, "api_key"];
                let made = match document.take(&key) {
                    None => continue,
                    Some(Taken::Text(text)) => ApiKey::new(&text).map_err(|e| e.to_string()),
                    Some(Taken::Other) => Err("expected text in quotes".to_owned()),
                };
                match made {
                    Ok(key) => {
                        let variable = None;
                        keys.insert(account, InlineKey { key, variable });
                    }
                    Err(why) if self.overrides.get(&key).is_none() => {
                        let message = format!("{}: this is no key: {why}", dotted(&key));
                        mistakes.push(document.mistake(&key, Part::Key, message));
                    }
                    Err(_) => {}
                }
            }
        }
        for (key, found) in self.overrides.iter() {
            let [_, account, _] = key else {
                continue;
            };
            if !is_key(key) {
                continue;
            }
            match ApiKey::new(&found.value) {
                Ok(key) => {
                    let variable = Some(found.variable.clone());
                    keys.insert(account.clone(), InlineKey { key, variable });
                }
                Err(error) => {
                    let message = format!("this is no key: {error}");
                    mistakes.push(overrides::mistake(&found.variable, key, message));
                }
            }
        }
        keys
    }

    /// Reads file and environment together. What the file says is good by now, so that what fails is
    /// a variable's.
    fn read_merged(&self, mistakes: &mut Mistakes) -> Option<Raw> {
        let text = match self.document.as_ref().map(Document::rendered).transpose() {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => {
                let document = self.document.as_ref()?;
                mistakes.push(not_taken(document, &error));
                return None;
            }
        };
        let mut left: BTreeMap<&[String], &Override> = self
            .overrides
            .iter()
            .filter(|(key, _)| !is_key(key))
            .collect();
        // A variable is text; where text will not do, it may still be a number, a truth value or a list.
        let mut as_scalar = BTreeSet::new();
        loop {
            let merged = merge(&text, &left, &as_scalar);
            let error = match merged.map(serde_path_to_error::deserialize::<_, Raw>) {
                Ok(Ok(raw)) => return Some(raw),
                Ok(Err(error)) => error,
                Err(error) => {
                    let message = format!("cannot read the settings: {error}");
                    mistakes.push(self.mistake::<&str>(&[], &message));
                    return None;
                }
            };
            let (key, message) = (key_of(error.path()), message_of(error.inner()));
            // A section that is not known is told by its name alone, without the key in it.
            let of_variable = left.keys().find(|whole| whole.starts_with(&key)).copied();
            let Some((whole, found)) = of_variable.and_then(|whole| left.get_key_value(whole))
            else {
                mistakes.push(self.mistake(&key, &message));
                return None;
            };
            let whole = *whole;
            let fault = Fault::new(&key, &message);
            let is_value = matches!(fault, Fault::Value(_));
            if is_value && scalar(&found.value).is_some() && as_scalar.insert(key.clone()) {
                continue;
            }
            let mistake = overrides::mistake(&found.variable, &key, String::new());
            mistakes.push(fault.tell(mistake));
            left.remove(whole);
        }
    }
}

fn is_key(key: &[String]) -> bool {
    key.first().is_some_and(|k| k == "accounts") && key.last().is_some_and(|k| k == "api_key")
}

/// Reads the file alone, and takes out of it what is mistaken.
fn read_document(document: &mut Document<'_>, mistakes: &mut Mistakes) {
    while !mistakes.is_full() {
        let read = serde_path_to_error::deserialize::<_, Raw>(document.deserializer());
        let Err(error) = read else {
            break;
        };
        let key = key_of(error.path());
        let fault = Fault::new(&key, error.inner().message());
        let part = match fault {
            Fault::Value(_) => Part::Value,
            Fault::Unknown { .. } | Fault::Table(_) => Part::Key,
        };
        mistakes.push(fault.tell(document.mistake(&key, part, String::new())));
        if document.take(&key).is_none() {
            return;
        }
    }
    // Serde would take a list for a table, its values in the order of the fields.
    let accounts = document.names_in(&["accounts"]);
    let tables = document.names_in(&[]).into_iter().map(|name| vec![name]);
    let accounts = accounts
        .into_iter()
        .map(|name| vec!["accounts".to_owned(), name]);
    for key in tables.chain(accounts).collect::<Vec<_>>() {
        if document.is_list(&key) {
            mistakes.push(document.mistake(&key, Part::Key, not_a_table(&key)));
            document.take(&key);
        }
    }
}

fn merge(
    text: &str,
    overrides: &BTreeMap<&[String], &Override>,
    as_scalar: &BTreeSet<Vec<String>>,
) -> Result<Config, ConfigError> {
    let mut builder = Config::builder().add_source(File::from_str(text, FileFormat::Toml));
    for (key, found) in overrides {
        let scalar = as_scalar
            .contains(*key)
            .then(|| scalar(&found.value))
            .flatten();
        let value = scalar.unwrap_or_else(|| config::Value::from(found.value.as_str()));
        builder = builder.set_override(key.join("."), value)?;
    }
    builder.build()
}

/// A variable's value as TOML would write a number, a truth value or a list of texts.
fn scalar(text: &str) -> Option<config::Value> {
    match text.parse::<toml::Value>().ok()? {
        toml::Value::Integer(number) => Some(number.into()),
        toml::Value::Float(number) => Some(number.into()),
        toml::Value::Boolean(truth) => Some(truth.into()),
        toml::Value::Array(list) => {
            let texts: Option<Vec<&str>> = list.iter().map(toml::Value::as_str).collect();
            texts.map(config::Value::from)
        }
        _ => None,
    }
}

fn key_of(path: &serde_path_to_error::Path) -> Vec<String> {
    let name = |segment: &Segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().map_while(name).collect()
}

fn message_of(error: &ConfigError) -> String {
    match error {
        ConfigError::At { error, .. } => message_of(error),
        other => other.to_string(),
    }
}
