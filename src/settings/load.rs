//! Finds the settings file, reads it, and makes settings of it and the environment.
//!
//! It writes nothing, and it shows of the file only what cannot be a key.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::settings::assemble::{Assembled, Origin, assemble};
use crate::settings::document::Document;
use crate::settings::environment::Environment;
use crate::settings::layers::Layers;
use crate::settings::locate::{self, SYSTEM_SETTINGS};
use crate::settings::mistake::Mistakes;
use crate::settings::overrides::Overrides;
use crate::settings::{Settings, State};

/// The longest settings file, in bytes.
const LONGEST: u64 = 16 << 20;

/// Why there are no settings. All of it is for the user to mend; trying again is of no use.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file that was named does not exist.
    #[error("the settings file {path}, named by {by}, does not exist; create it, or name another")]
    NotFound {
        /// The file, as it was named.
        path: PathBuf,
        /// `--config` or `$IMPORTWATCH_CONFIG`.
        by: &'static str,
    },
    /// The file exists and cannot be read.
    #[error("cannot read the settings file {path}; see that it is a file and that you may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be a settings file.
    #[error("the settings file {path} is not UTF-8 text of at most 16 MiB; name another")]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// What the file or the environment say will not do.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// There is no telling where the state should be.
    #[error("there is no home to keep the state in: set directory in [state], or $HOME")]
    NoHome,
    /// systemd made another directory than the one that the settings mean.
    #[error(
        "the state is in {directory} by the settings, but $STATE_DIRECTORY is {given}; \
         set directory in [state], or StateDirectory= in the unit"
    )]
    StateDirectory {
        /// By the settings.
        directory: PathBuf,
        /// By systemd.
        given: PathBuf,
    },
}

/// Loads the settings: from the file `named` by the option `--config`, else by
/// `$IMPORTWATCH_CONFIG`, else from `$XDG_CONFIG_HOME/importwatch/config.toml`, else from
/// `/etc/importwatch/config.toml`, else the defaults; with the environment's overrides.
///
/// An override is `IMPORTWATCH__`, the key's section and the key, in capitals and joined by two
/// underscores; in the name of an account `_` stands for `-`. One that names an account which the
/// file does not have makes it. Where the environment gives one of `endpoint` and `base_url`, or of
/// `api_key` and `api_key_file`, the file's other counts no more.
///
/// # Errors
///
/// [`SettingsError`]; as many mistakes at once as can be found.
pub fn load(named: Option<&Path>, environment: &Environment) -> Result<Settings, SettingsError> {
    load_from(named, environment, Path::new(SYSTEM_SETTINGS))
}

fn load_from(
    named: Option<&Path>,
    environment: &Environment,
    system: &Path,
) -> Result<Settings, SettingsError> {
    if let Some((path, by)) = locate::named(named, environment) {
        let found = read(&path)?.ok_or(SettingsError::NotFound { path, by })?;
        return settings(Some(&found), environment);
    }
    for path in locate::candidates(environment, system) {
        if let Some(found) = read(&path)? {
            return settings(Some(&found), environment);
        }
    }
    settings(None, environment)
}

struct Found {
    origin: Origin,
    text: String,
}

/// Reads a file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Found>, SettingsError> {
    let failed = |source| SettingsError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        opened => opened.map_err(failed)?,
    };
    // Of the open file, so that it is the mode of what is read.
    let mode = file.metadata().map_err(failed)?.mode();
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let too_long = bytes.len() as u64 > LONGEST;
    match String::from_utf8(bytes) {
        Ok(text) if !too_long => Ok(Some(Found {
            origin: Origin {
                path: std::path::absolute(path).map_err(failed)?,
                mode,
            },
            text,
        })),
        _ => Err(SettingsError::NotText {
            path: path.to_owned(),
        }),
    }
}

fn settings(found: Option<&Found>, environment: &Environment) -> Result<Settings, SettingsError> {
    let mut mistakes = Mistakes::default();
    let overrides = Overrides::of(environment, &mut mistakes);
    let document = found.map(|found| Document::parse(&found.origin.path, &found.text));
    let document = document.transpose().map_err(|mistake| {
        // What cannot be parsed has nothing further to tell.
        let mut mistakes = std::mem::take(&mut mistakes);
        mistakes.push(*mistake);
        SettingsError::Mistakes(mistakes)
    })?;
    let mut layers = Layers::new(document, overrides);
    let read = layers.read(&mut mistakes);
    let origin = found.map(|found| &found.origin);
    let assembled = assemble(read, &layers, origin, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(SettingsError::Mistakes(mistakes));
    }
    let Assembled {
        accounts,
        watch,
        poll,
        notify,
        log,
        state,
    } = assembled;
    let file = origin.map(|origin| origin.path.clone());
    let directory = match state.directory {
        Some(directory) => directory,
        None => {
            locate::state_directory(file.as_deref(), environment).ok_or(SettingsError::NoHome)?
        }
    };
    if let Some(given) = environment.get("STATE_DIRECTORY")
        && !locate::is_among(&directory, given)
    {
        let given = PathBuf::from(given);
        return Err(SettingsError::StateDirectory { directory, given });
    }
    Ok(Settings {
        file,
        accounts,
        watch,
        poll,
        notify,
        log,
        state: State {
            directory,
            keep: state.keep,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A home and a system directory.
    fn places() -> (TempDir, Environment, PathBuf) {
        let root = TempDir::new().unwrap();
        let system = root.path().join("etc");
        fs::create_dir(&system).unwrap();
        let environment = Environment::from_iter([("HOME", root.path().join("home"))]);
        (root, environment, system)
    }

    #[test]
    fn the_user_goes_before_the_system_and_no_file_is_the_defaults() {
        let (root, environment, system) = places();
        let loaded = || load_from(None, &environment, &system).unwrap();
        assert_eq!(loaded().file, None);
        assert_eq!(loaded().accounts.len(), 1);

        let system_file = system.join("config.toml");
        fs::write(&system_file, "[accounts.system]").unwrap();
        assert_eq!(loaded().file, Some(system_file));

        let user_file = root.path().join("home/.config/importwatch/config.toml");
        fs::create_dir_all(user_file.parent().unwrap()).unwrap();
        fs::write(&user_file, "[accounts.user]").unwrap();
        assert_eq!(loaded().file, Some(user_file.clone()));

        // One that is there and cannot be read is not passed over.
        fs::remove_file(&user_file).unwrap();
        fs::create_dir(&user_file).unwrap();
        let error = load_from(None, &environment, &system).unwrap_err();
        assert!(matches!(error, SettingsError::Read { path, .. } if path == user_file));
    }

    #[test]
    fn a_file_without_an_end_is_not_read_to_it() {
        let (_root, environment, system) = places();
        let endless = Path::new("/dev/zero");
        let error = load_from(Some(endless), &environment, &system).unwrap_err();
        assert!(matches!(error, SettingsError::NotText { .. }));
    }
}
