//! Finds the key of an account.
//!
//! A key belongs to one Agent of one deployment, so one account's key is never used for another: the
//! credential and the variable without a name serve only the account that is meant where none is
//! named (`default`, or the only one). No error shows a key.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::account::{AccountName, ApiKey, ApiKeyError};
use crate::settings::assemble::quoted;
use crate::settings::environment::Environment;
use crate::settings::locate;
use crate::settings::{Account, Settings};

/// The longest file of a key, in bytes.
const LONGEST: u64 = 4096;

/// Where a key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `api_key_file`.
    File(PathBuf),
    /// `api_key` in the settings file.
    Settings,
    /// A credential of systemd.
    Credential(PathBuf),
    /// The environment variable of this name.
    Variable(String),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Settings => f.write_str("api_key in the settings file"),
            Self::Credential(path) => write!(f, "the systemd credential {}", path.display()),
            Self::Variable(name) => write!(f, "${name}"),
        }
    }
}

impl KeySource {
    /// What to do where it holds no key.
    fn cure(&self) -> &'static str {
        match self {
            Self::File(_) => {
                "put the key of the Agent there and nothing else, or name its file with api_key_file"
            }
            Self::Settings => "put the key of the Agent there",
            Self::Credential(_) => {
                "see LoadCredential= in the unit: its file is to hold the key alone"
            }
            Self::Variable(_) => "set it to the key of the Agent, or unset it",
        }
    }
}

/// Why there is no key for an account. It never contains the key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The settings have no such account.
    #[error("there is no account {0} in the settings")]
    NoAccount(AccountName),
    /// None was given, in any way.
    #[error("there is no key for the account {account}; give one in one of these ways:\n{}",
        ways(.account, .settings, *.unnamed))]
    Missing {
        /// The account.
        account: AccountName,
        /// Whether the unnamed credential and variable would serve it.
        unnamed: bool,
        /// The settings file, there or not.
        settings: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {origin}, which should hold a key; {}", .origin.cure())]
    Read {
        /// The file.
        origin: KeySource,
        /// What the system said.
        source: io::Error,
    },
    /// The file is longer than any key.
    #[error("{origin} has more than 4 KiB: put the key there, and nothing else")]
    TooLong {
        /// The file.
        origin: KeySource,
    },
    /// What is there is not a key.
    #[error("{origin} does not hold a key; {}", .origin.cure())]
    Bad {
        /// The file or the variable.
        origin: KeySource,
        /// What is wrong with it.
        source: ApiKeyError,
    },
    /// Others could read the file.
    #[error("others can read {}, and so the key; run: chmod {mode} {}", .path.display(), quoted(.path))]
    Exposed {
        /// The file.
        path: PathBuf,
        /// The permission bits that it should have, in octal as text.
        mode: &'static str,
    },
}

fn ways(account: &AccountName, settings: &Path, unnamed: bool) -> String {
    let named = variable_of(account);
    let (variable, credential) = if unnamed {
        (
            format!("$IMPORTWATCH_API_KEY or ${named}"),
            format!("api-key or api-key_{account}"),
        )
    } else {
        (format!("${named}"), format!("api-key_{account}"))
    };
    format!(
        "  in the environment variable {variable};\n  \
         in a file, named by api_key_file under [accounts.{account}] in {};\n  \
         for a service, as the systemd credential {credential}",
        settings.display()
    )
}

/// Finds the key of `account`: `api_key_file`, else `api_key`, else the systemd credential
/// `api-key_NAME` or `api-key`, else `$IMPORTWATCH_API_KEY_NAME` (the name in capitals, `-` as `_`)
/// or `$IMPORTWATCH_API_KEY`. What is there and cannot be used is an error, and nothing further is
/// tried.
///
/// A key file that others can read is refused. Its group may read it if root owns it: then it was an
/// administrator who chose the group, as one does for a service. Credentials are systemd's to guard.
///
/// # Errors
///
/// [`KeyError`].
pub fn find(
    settings: &Settings,
    account: &AccountName,
    environment: &Environment,
) -> Result<(ApiKey, KeySource), KeyError> {
    let Some(Account {
        api_key_file,
        api_key,
        ..
    }) = settings.accounts.get(account)
    else {
        return Err(KeyError::NoAccount(account.clone()));
    };
    if let Some(path) = api_key_file {
        return from_file(path);
    }
    if let Some(inline) = api_key {
        let source = inline.variable.clone();
        let source = source.map_or(KeySource::Settings, KeySource::Variable);
        return Ok((inline.key.clone(), source));
    }
    let unnamed = settings.unnamed_account() == Some(account);
    if let Some(directory) = environment.get("CREDENTIALS_DIRECTORY") {
        let named = Some(format!("api-key_{account}"));
        let general = unnamed.then(|| "api-key".to_owned());
        for name in named.into_iter().chain(general) {
            if let Some(found) = from_credential(Path::new(directory).join(name))? {
                return Ok(found);
            }
        }
    }
    let general = unnamed.then(|| "IMPORTWATCH_API_KEY".to_owned());
    for name in [variable_of(account)].into_iter().chain(general) {
        if let Some(value) = environment.get(&name) {
            // A key is ASCII, so that what is lost here was none.
            return key_of(&value.to_string_lossy(), KeySource::Variable(name));
        }
    }
    Err(KeyError::Missing {
        account: account.clone(),
        unnamed,
        settings: match &settings.file {
            Some(file) => file.clone(),
            None => locate::usual(environment),
        },
    })
}

/// Whether a variable of the environment may hold a key or lead to one: no other program is to have
/// it from us.
#[must_use]
pub fn is_delicate(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    name == "CREDENTIALS_DIRECTORY"
        || name.starts_with("IMPORTWATCH_API_KEY")
        || (name.starts_with("IMPORTWATCH__ACCOUNTS__") && name.ends_with("__API_KEY"))
}

fn variable_of(account: &AccountName) -> String {
    let name = account.as_str().to_ascii_uppercase().replace('-', "_");
    format!("IMPORTWATCH_API_KEY_{name}")
}

fn from_file(path: &Path) -> Result<(ApiKey, KeySource), KeyError> {
    let origin = KeySource::File(path.to_owned());
    match open(path) {
        Ok((file, permissions)) => {
            if let Some(mode) = permissions.mended() {
                return Err(KeyError::Exposed {
                    path: path.to_owned(),
                    mode,
                });
            }
            key_in(file, origin)
        }
        Err(source) => Err(KeyError::Read { origin, source }),
    }
}

fn from_credential(path: PathBuf) -> Result<Option<(ApiKey, KeySource)>, KeyError> {
    match open(&path) {
        Ok((file, _)) => key_in(file, KeySource::Credential(path)).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyError::Read {
            origin: KeySource::Credential(path),
            source,
        }),
    }
}

struct Permissions {
    mode: u32,
    owner: u32,
}

impl Permissions {
    /// The permission bits that the file should have, if those that it has are too many.
    fn mended(&self) -> Option<&'static str> {
        let (allowed, mended) = if self.owner == 0 {
            (0o740, "640")
        } else {
            (0o700, "600")
        };
        (self.mode & 0o777 & !allowed != 0).then_some(mended)
    }
}

fn open(path: &Path) -> io::Result<(File, Permissions)> {
    // Asked before it is opened, since opening a pipe would wait for its other end.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let permissions = Permissions {
        mode: metadata.mode(),
        owner: metadata.uid(),
    };
    Ok((file, permissions))
}

fn key_in(file: File, origin: KeySource) -> Result<(ApiKey, KeySource), KeyError> {
    let mut bytes = Vec::new();
    match file.take(LONGEST + 1).read_to_end(&mut bytes) {
        Err(source) => Err(KeyError::Read { origin, source }),
        Ok(_) if bytes.len() as u64 > LONGEST => Err(KeyError::TooLong { origin }),
        // A key is ASCII, so that what is lost here was none.
        Ok(_) => key_of(&String::from_utf8_lossy(&bytes), origin),
    }
}

fn key_of(text: &str, origin: KeySource) -> Result<(ApiKey, KeySource), KeyError> {
    match ApiKey::new(text) {
        Ok(key) => Ok((key, origin)),
        Err(source) => Err(KeyError::Bad { origin, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_with_keys_are_known() {
        for (name, delicate) in [
            ("IMPORTWATCH_API_KEY", true),
            ("IMPORTWATCH_API_KEY_SHOP", true),
            ("IMPORTWATCH__ACCOUNTS__SHOP__API_KEY", true),
            ("IMPORTWATCH__accounts__shop__api_key", true),
            ("CREDENTIALS_DIRECTORY", true),
            ("IMPORTWATCH__ACCOUNTS__SHOP__API_KEY_FILE", false),
            ("IMPORTWATCH_CONFIG", false),
            ("PATH", false),
        ] {
            assert_eq!(is_delicate(OsStr::new(name)), delicate, "{name}");
        }
    }

    #[test]
    fn a_group_may_read_what_root_owns() {
        let mended = |mode, owner| Permissions { mode, owner }.mended();
        for mode in [0o100_600, 0o100_400, 0o100_700] {
            assert_eq!(mended(mode, 0), None);
            assert_eq!(mended(mode, 1000), None);
        }
        assert_eq!(mended(0o100_640, 0), None);
        assert_eq!(mended(0o100_640, 1000), Some("600"));
        for mode in [0o100_644, 0o100_660, 0o100_601, 0o100_602] {
            assert_eq!(mended(mode, 0), Some("640"));
            assert_eq!(mended(mode, 1000), Some("600"));
        }
    }
}
