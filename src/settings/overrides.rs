//! The environment variables that override settings: `IMPORTWATCH__` and the key's segments in
//! capitals, joined by two underscores, as in `IMPORTWATCH__POLL__MAX_INTERVAL=30s`.
//!
//! An underscore in the name of an account stands for `-`, since names of accounts have the one and
//! names of variables the other. A variable never shows its value here, and one that names no key at
//! all is a mistake, not ignored.

use std::collections::BTreeMap;

use crate::account::AccountName;
use crate::settings::environment::Environment;
use crate::settings::mistake::{Mistake, Mistakes, Place};

const PREFIX: &str = "IMPORTWATCH__";

/// The overrides that have the form of one, by key. A key has two segments, or three below
/// `accounts`; whether the settings know it is not looked at.
#[derive(Default)]
pub(super) struct Overrides(BTreeMap<Vec<String>, Override>);

/// A variable that overrides a setting.
pub(super) struct Override {
    pub(super) variable: String,
    pub(super) value: String,
}

impl Overrides {
    /// Collects the overrides; what has the prefix and not the form goes to the mistakes.
    pub(super) fn of(environment: &Environment, mistakes: &mut Mistakes) -> Self {
        let mut found = Self::default();
        for (name, value) in environment.iter() {
            let variable = name.to_string_lossy();
            let Some(rest) = variable.strip_prefix(PREFIX) else {
                continue;
            };
            let result = match (key_of(rest), value.to_str()) {
                (None, _) => Err(
                    "names no setting; expected a form such as IMPORTWATCH__POLL__MAX_INTERVAL"
                        .to_owned(),
                ),
                (_, None) => Err("the value is not UTF-8".to_owned()),
                (Some(key), Some(value)) => found.insert(key, &variable, value),
            };
            if let Err(message) = result {
                mistakes.push(mistake(&variable, &[], message));
            }
        }
        found
    }

    fn insert(&mut self, key: Vec<String>, variable: &str, value: &str) -> Result<(), String> {
        let new = Override {
            variable: variable.to_owned(),
            value: value.to_owned(),
        };
        if let Some(other) = self.0.get(&key) {
            let other = &other.variable;
            return Err(format!("sets the same key as {other}; unset one of them"));
        }
        self.0.insert(key, new);
        Ok(())
    }

    /// The override of `key`.
    pub(super) fn get<S: AsRef<str>>(&self, key: &[S]) -> Option<&Override> {
        let key: Vec<String> = key.iter().map(|s| s.as_ref().to_owned()).collect();
        self.0.get(&key)
    }

    /// All overrides, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[String], &Override)> {
        self.0.iter().map(|(key, found)| (key.as_slice(), found))
    }
}

/// A mistake in the variable of this name, which overrides `key`.
pub(super) fn mistake(variable: &str, key: &[String], message: String) -> Mistake {
    let shown = variable.chars().take(100);
    let place = Place::Variable(shown.flat_map(char::escape_debug).collect());
    Mistake::new(key, place, message)
}

fn key_of(rest: &str) -> Option<Vec<String>> {
    let rest = rest.to_ascii_lowercase();
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if let Some(rest) = rest.strip_prefix("accounts__") {
        // The last pair of underscores ends the name, which may have such pairs itself.
        let (name, key) = rest.rsplit_once("__")?;
        let name: AccountName = name.replace('_', "-").parse().ok()?;
        return is_name(key).then(|| vec!["accounts".to_owned(), name.to_string(), key.to_owned()]);
    }
    let (section, key) = rest.split_once("__")?;
    let good = is_name(section) && section != "accounts" && is_name(key) && !key.contains("__");
    good.then(|| vec![section.to_owned(), key.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables_are_keys() {
        let key = |rest: &str| key_of(rest).map(|key| key.join("."));
        for (rest, expected) in [
            ("POLL__MAX_INTERVAL", "poll.max_interval"),
            ("ACCOUNTS__SHOP_2__BASE_URL", "accounts.shop-2.base_url"),
            ("ACCOUNTS__shop-2__BASE_URL", "accounts.shop-2.base_url"),
            ("ACCOUNTS__A___BASE_URL", "accounts.a-.base_url"),
            ("ACCOUNTS__A__B__BASE_URL", "accounts.a--b.base_url"),
        ] {
            assert_eq!(key(rest).as_deref(), Some(expected));
        }
        for rest in [
            "",
            "POLL",
            "POLL__",
            "__X",
            "POLL__A.B",
            "A__B__C",
            "ACCOUNTS__X",
            "ACCOUNTS__É__Y",
            "ACCOUNTS__X__",
        ] {
            assert_eq!(key(rest), None, "{rest}");
        }
    }

    #[test]
    fn what_cannot_be_an_override_is_told() {
        let environment = Environment::from_iter([
            ("IMPORTWATCH_API_KEY", "s3cret"),
            ("IMPORTWATCH_CONFIG", "x"),
            ("IMPORTWATCH__API_KEY", "s3cret"),
            ("IMPORTWATCH__POLL__BATCH_SIZE", "5"),
            ("IMPORTWATCH__POLL__batch_size", "6"),
        ]);
        let mut mistakes = Mistakes::default();
        let overrides = Overrides::of(&environment, &mut mistakes);
        assert_eq!(overrides.get(&["poll", "batch_size"]).unwrap().value, "5");
        assert_eq!(overrides.iter().count(), 1);
        assert_eq!(
            mistakes.to_string(),
            "environment variable IMPORTWATCH__API_KEY: names no setting; \
             expected a form such as IMPORTWATCH__POLL__MAX_INTERVAL\n\
             environment variable IMPORTWATCH__POLL__batch_size: sets the same key as \
             IMPORTWATCH__POLL__BATCH_SIZE; unset one of them"
        );
    }
}
