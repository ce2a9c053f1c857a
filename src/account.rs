//! An account: its name, its key, and what can be wrong with it.
//!
//! It never shows a key: [`ApiKey`] has no `Display`, its `Debug` is a placeholder, and its memory is
//! wiped when it is dropped.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// The name of an account: 1 to 32 of `a`–`z`, `0`–`9` and `-`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(Arc<str>);

/// Why a text is not the name of an account.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} cannot name an account: use 1 to 32 of a-z, 0-9 and -")]
pub struct AccountNameError(pub String);

impl AccountName {
    /// The account of tasks that name none, where there are several: `default`.
    #[must_use]
    pub fn default_account() -> Self {
        Self(Arc::from("default"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(AccountNameError(text.to_owned()))
        }
    }
}

impl Borrow<str> for AccountName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The key of an account, as the endpoint wants it behind `Bearer`.
#[derive(Clone)]
pub struct ApiKey(SecretString);

/// Why a text is not a key. It never contains the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ApiKeyError {
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// White space inside, a control character, or something other than ASCII.
    #[error(
        "it contains a character that no key has (white space, a control character, or one outside ASCII)"
    )]
    Character,
}

impl ApiKey {
    /// Takes a key as it stands in a file or a variable; white space around it is dropped.
    ///
    /// # Errors
    ///
    /// [`ApiKeyError`] where it could not be sent in a header as it is.
    pub fn new(text: &str) -> Result<Self, ApiKeyError> {
        let key = text.trim();
        if key.is_empty() {
            Err(ApiKeyError::Empty)
        } else if key.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(SecretString::from(key)))
        } else {
            Err(ApiKeyError::Character)
        }
    }

    /// The key itself, for the header of a request and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for ApiKey {}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// What can be wrong with an account, so that the user is told: once, and once more when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// Its key, its plan, its Agent or its URL is refused.
    Refused,
    /// It could not be asked, or gave nothing readable, for five minutes.
    Unavailable,
    /// It answers, and knows none of the ids: probably the key of another Agent.
    KnowsNone,
}

impl Trouble {
    /// Its name in the store and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::KnowsNone => "knows_none",
        }
    }
}

/// A text that names no trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not the name of a trouble with an account")]
pub struct UnknownTrouble;

impl FromStr for Trouble {
    type Err = UnknownTrouble;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Refused, Self::Unavailable, Self::KnowsNone]
            .into_iter()
            .find(|trouble| trouble.as_str() == text)
            .ok_or(UnknownTrouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["default", "a", "shop-2", &"x".repeat(32)] {
            assert_eq!(good.parse::<AccountName>().unwrap().as_str(), good);
        }
        for bad in ["", "Shop", "a b", "ä", "a_b", &"x".repeat(33)] {
            assert_eq!(
                bad.parse::<AccountName>(),
                Err(AccountNameError(bad.to_owned()))
            );
        }
    }

    #[test]
    fn a_key_cannot_be_printed() {
        let key = ApiKey::new(" app-s3cret\n").unwrap();
        assert_eq!(key.expose(), "app-s3cret");
        assert_eq!(format!("{key:?}"), "ApiKey(hidden)");
        assert_eq!(ApiKey::new(" \n"), Err(ApiKeyError::Empty));
        assert_eq!(ApiKey::new("a b"), Err(ApiKeyError::Character));
        assert_eq!(ApiKey::new("a\u{e9}"), Err(ApiKeyError::Character));
    }
}
