//! Where the program is, for someone who has just built it and is to type its name.
//!
//! It runs nothing and changes nothing.

use std::env;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::settings::environment::Environment;

/// The folder that the running program is in, if a shell does not find the program by its name, and
/// the folder can stand between double quotes as it is.
pub(super) fn folder(environment: &Environment) -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let path = environment.get("PATH").unwrap_or_default();
    let is_found = env::split_paths(path).any(|folder| {
        let there = folder.join("importwatch");
        there.is_file() && access(&there, AccessFlags::X_OK).is_ok()
    });
    let folder = program.parent().filter(|_| !is_found)?;
    is_plain(folder).then(|| folder.to_owned())
}

fn is_plain(folder: &Path) -> bool {
    let means_something = |c: char| c.is_control() || "\"$`\\:!".contains(c);
    folder
        .to_str()
        .is_some_and(|text| !text.contains(means_something))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_shown_where_a_shell_takes_it_as_it_is() {
        for plain in ["/home/u/importwatch/target/release", "/srv/a b/ü"] {
            assert!(is_plain(Path::new(plain)), "{plain}");
        }
        for other in ["/a$b", "/a\"b", "/a`b", "/a\\b", "/a:b", "/a!b", "/a\nb"] {
            assert!(!is_plain(Path::new(other)), "{other}");
        }
    }
}
