//! Names of imports: what may be one, and the one that a file of ids gives.

use std::path::Path;

use thiserror::Error;

use crate::notice::safe;

/// The import of the ids that stand in the settings themselves.
pub const OF_SETTINGS: &str = "watch list";

/// The longest name, in characters.
const LONGEST: usize = 200;

/// Why a text cannot name an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// None, or too many characters.
    #[error("the name has {0} characters; use 1 to {LONGEST}")]
    Length(usize),
    /// Line ends, control characters and the like.
    #[error("the name has characters that cannot be shown on one line")]
    Hidden,
    /// The sign between a name and a time.
    #[error("the name contains @, which stands between an import's name and its time")]
    At,
}

/// Checks an import's name: 1 to 200 characters that can be shown on one line, without an @, which
/// stands between a name and a time.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(name: &str) -> Result<(), NameError> {
    let length = name.chars().count();
    if !(1..=LONGEST).contains(&length) {
        Err(NameError::Length(length))
    } else if safe::one_line(name) != name {
        Err(NameError::Hidden)
    } else if name.contains('@') {
        Err(NameError::At)
    } else {
        Ok(())
    }
}

/// The import of the ids that a file lists: its file name, made good for a name.
#[must_use]
pub fn of_file(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = safe::start(&name.replace('@', "-"), LONGEST);
    if name.is_empty() {
        "list".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_an_import() {
        for good in ["a", "watch list", &"é".repeat(LONGEST)] {
            assert_eq!(check(good), Ok(()));
        }
        assert_eq!(check(""), Err(NameError::Length(0)));
        assert_eq!(check(&"é".repeat(201)), Err(NameError::Length(201)));
        assert_eq!(check("a\nb"), Err(NameError::Hidden));
        assert_eq!(check(" a"), Err(NameError::Hidden));
        assert_eq!(check("a@b"), Err(NameError::At));
        assert_eq!(check(OF_SETTINGS), Ok(()));
    }

    #[test]
    fn every_file_gives_a_name() {
        let long = format!("/srv/{}", "x".repeat(250));
        for (path, name) in [
            ("/srv/products.txt", "products.txt"),
            ("/srv/a@b", "a-b"),
            ("/srv/\u{1b}[31m a\nb", "[31m a b"),
            ("/srv/\u{200b}", "list"),
            ("/", "list"),
        ] {
            assert_eq!(of_file(Path::new(path)), name);
            assert_eq!(check(name), Ok(()));
        }
        assert_eq!(check(&of_file(Path::new(&long))), Ok(()));
        let bytes = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
        let not_text: &std::ffi::OsStr = bytes;
        assert_eq!(check(&of_file(Path::new(not_text))), Ok(()));
    }
}
