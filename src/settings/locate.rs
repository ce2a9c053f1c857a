//! Where the settings file is, and where the store is to be.
//!
//! Nothing is created here.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::settings::environment::Environment;

/// Where the settings and the store of a system's service are.
pub(super) const SYSTEM_SETTINGS: &str = "/etc/importwatch";
const SYSTEM_STATE: &str = "/var/lib/importwatch";

/// The settings file that was named, and by what: the option, else the variable.
pub(super) fn named(
    option: Option<&Path>,
    environment: &Environment,
) -> Option<(PathBuf, &'static str)> {
    match (option, environment.get("IMPORTWATCH_CONFIG")) {
        (Some(path), _) => Some((path.to_owned(), "--config")),
        (None, Some(path)) => Some((PathBuf::from(path), "$IMPORTWATCH_CONFIG")),
        (None, None) => None,
    }
}

/// Where a settings file is looked for if none was named; the first that exists counts. `system` is
/// [`SYSTEM_SETTINGS`].
pub(super) fn candidates(environment: &Environment, system: &Path) -> Vec<PathBuf> {
    let user = base_directory(environment, "XDG_CONFIG_HOME", ".config");
    let user = user.map(|directory| directory.join("importwatch/config.toml"));
    user.into_iter()
        .chain([system.join("config.toml")])
        .collect()
}

/// The settings file that one who has none would make.
#[must_use]
pub fn usual(environment: &Environment) -> PathBuf {
    let system = Path::new(SYSTEM_SETTINGS);
    let mut places = candidates(environment, system).into_iter();
    places.next().unwrap_or_else(|| system.join("config.toml"))
}

/// The store's directory where the settings name none; `None` if there is no home to have it in.
pub(super) fn state_directory(file: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    if file.is_some_and(is_of_system) {
        return Some(PathBuf::from(SYSTEM_STATE));
    }
    let base = base_directory(environment, "XDG_STATE_HOME", ".local/state")?;
    Some(base.join("importwatch"))
}

/// Whether a settings file is that of the machine's service.
pub(super) fn is_of_system(file: &Path) -> bool {
    file.starts_with(SYSTEM_SETTINGS) && !file.components().any(|c| c == Component::ParentDir)
}

/// Whether systemd's `$STATE_DIRECTORY` (one path or several, joined by colons) has the directory.
pub(super) fn is_among(directory: &Path, given: &OsStr) -> bool {
    std::env::split_paths(given).any(|path| {
        path == directory
            // With a dynamic user the one is a link to the other.
            || matches!((path.canonicalize(), directory.canonicalize()), (Ok(a), Ok(b)) if a == b)
    })
}

/// A directory of the XDG base directory specification, by which a relative one counts as unset.
fn base_directory(environment: &Environment, variable: &str, in_home: &str) -> Option<PathBuf> {
    let absolute = |name| {
        environment
            .get(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(in_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_was_named_goes_first() {
        let environment = Environment::from_iter([("IMPORTWATCH_CONFIG", "/variable")]);
        let option = Some(Path::new("/option"));
        assert_eq!(named(option, &environment).unwrap().0, Path::new("/option"));
        assert_eq!(named(None, &environment).unwrap().0, Path::new("/variable"));
        assert_eq!(named(None, &Environment::default()), None);
    }

    #[test]
    fn files_are_looked_for_in_this_order() {
        let found = |variables: &[(&str, &str)]| {
            let environment = variables.iter().copied().collect();
            candidates(&environment, Path::new("/etc/importwatch"))
        };
        let system = PathBuf::from("/etc/importwatch/config.toml");
        assert_eq!(found(&[]), std::slice::from_ref(&system));
        assert_eq!(
            found(&[("HOME", "/home/u"), ("XDG_CONFIG_HOME", "/xdg")]),
            [
                PathBuf::from("/xdg/importwatch/config.toml"),
                system.clone()
            ]
        );
        for relative in ["", "xdg"] {
            assert_eq!(
                found(&[("HOME", "/home/u"), ("XDG_CONFIG_HOME", relative)]),
                [
                    PathBuf::from("/home/u/.config/importwatch/config.toml"),
                    system.clone()
                ]
            );
        }
    }

    #[test]
    fn the_state_follows_the_settings() {
        let user = Environment::from_iter([("HOME", "/home/u")]);
        let state = |file: Option<&str>| state_directory(file.map(Path::new), &user);
        let of_user = Some(PathBuf::from("/home/u/.local/state/importwatch"));
        let of_system = Some(PathBuf::from("/var/lib/importwatch"));
        assert_eq!(state(None), of_user);
        assert_eq!(
            state(Some("/home/u/.config/importwatch/config.toml")),
            of_user
        );
        assert_eq!(state(Some("/etc/importwatch/config.toml")), of_system);
        assert_eq!(state(Some("/etc/importwatch/second.toml")), of_system);
        assert_eq!(state(Some("/etc/importwatch/../mine.toml")), of_user);
        assert_eq!(state(Some("/etc/importwatch-old/config.toml")), of_user);
        assert_eq!(state_directory(None, &Environment::default()), None);
        let xdg = Environment::from_iter([("HOME", "/home/u"), ("XDG_STATE_HOME", "/xdg")]);
        assert_eq!(
            state_directory(None, &xdg),
            Some(PathBuf::from("/xdg/importwatch"))
        );
    }

    #[test]
    fn one_of_several_state_directories_will_do() {
        let directory = Path::new("/var/lib/importwatch");
        assert!(is_among(directory, OsStr::new("/var/lib/importwatch/")));
        assert!(is_among(
            directory,
            OsStr::new("/var/lib/other:/var/lib/importwatch")
        ));
        assert!(!is_among(directory, OsStr::new("/var/lib/importwatch2")));
    }
}
