//! Where the key of an account is looked for, and what is not accepted as one.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use importwatch::settings::key::{KeyError, KeySource, find};
use importwatch::settings::load::load;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn with(settings: &str) -> Self {
        let place = Self(TempDir::new().unwrap());
        place.write("config.toml", settings, 0o600);
        place
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn find(
        &self,
        account: &str,
        variables: &[(&str, &str)],
    ) -> Result<(String, KeySource), KeyError> {
        let home = [("HOME", "/home/u")];
        let environment = home.iter().chain(variables).copied().collect();
        let settings = load(Some(&self.0.path().join("config.toml")), &environment).unwrap();
        let (key, source) = find(&settings, &account.parse().unwrap(), &environment)?;
        Ok((key.expose().to_owned(), source))
    }

    /// The error's message, with the directory written as DIR and its source behind it.
    fn message(&self, account: &str, variables: &[(&str, &str)]) -> String {
        let error = self.find(account, variables).unwrap_err();
        let source = std::error::Error::source(&error).map(|s| format!(": {s}"));
        let message = format!("{error}{}", source.unwrap_or_default());
        message.replace(self.0.path().to_str().unwrap(), "DIR")
    }
}

fn variable(name: &str) -> KeySource {
    KeySource::Variable(name.to_owned())
}

#[test]
fn the_nearest_key_counts() {
    let place = Place::with("[accounts.shop-2]\n");
    let directory = place.0.path().to_str().unwrap().to_owned();
    let general = ("IMPORTWATCH_API_KEY", "general");
    let named = ("IMPORTWATCH_API_KEY_SHOP_2", "named");
    let credentials = ("CREDENTIALS_DIRECTORY", directory.as_str());
    let all = [general, named, credentials];

    assert_eq!(
        place.find("shop-2", &all[..1]).unwrap(),
        ("general".to_owned(), variable("IMPORTWATCH_API_KEY"))
    );
    assert_eq!(
        place.find("shop-2", &all).unwrap(),
        ("named".to_owned(), variable("IMPORTWATCH_API_KEY_SHOP_2"))
    );
    // Credentials are guarded by systemd, whatever their mode.
    let path = place.write("api-key", "credential\n", 0o644);
    assert_eq!(
        place.find("shop-2", &all).unwrap(),
        ("credential".to_owned(), KeySource::Credential(path))
    );
    let path = place.write("api-key_shop-2", " own\r\n", 0o444);
    assert_eq!(
        place.find("shop-2", &all).unwrap(),
        ("own".to_owned(), KeySource::Credential(path))
    );
    place.write(
        "config.toml",
        "[accounts.shop-2]\napi_key = \"inline\"",
        0o600,
    );
    assert_eq!(
        place.find("shop-2", &all).unwrap(),
        ("inline".to_owned(), KeySource::Settings)
    );
    place.write(
        "config.toml",
        "[accounts.shop-2]\napi_key_file = \"key\"",
        0o600,
    );
    let path = place.write("key", "file\n", 0o600);
    assert_eq!(
        place.find("shop-2", &all).unwrap(),
        ("file".to_owned(), KeySource::File(path))
    );
}

#[test]
fn a_key_without_a_name_serves_one_account_only() {
    let place = Place::with("[accounts.a]\n[accounts.b]\n");
    place.write("api-key", "credential", 0o600);
    let directory = place.0.path().to_str().unwrap().to_owned();
    let unnamed = [
        ("IMPORTWATCH_API_KEY", "general"),
        ("CREDENTIALS_DIRECTORY", directory.as_str()),
    ];
    assert_eq!(
        place.message("a", &unnamed),
        "there is no key for the account a; give one in one of these ways:\n  \
         in the environment variable $IMPORTWATCH_API_KEY_A;\n  \
         in a file, named by api_key_file under [accounts.a] in DIR/config.toml;\n  \
         for a service, as the systemd credential api-key_a"
    );
    place.write("config.toml", "[accounts.a]\n[accounts.default]\n", 0o600);
    assert!(place.find("a", &unnamed).is_err());
    assert_eq!(place.find("default", &unnamed).unwrap().0, "credential");
    assert_eq!(
        place.message("default", &[]),
        "there is no key for the account default; give one in one of these ways:\n  \
         in the environment variable $IMPORTWATCH_API_KEY or $IMPORTWATCH_API_KEY_DEFAULT;\n  \
         in a file, named by api_key_file under [accounts.default] in DIR/config.toml;\n  \
         for a service, as the systemd credential api-key or api-key_default"
    );
    assert_eq!(
        place.message("c", &[]),
        "there is no account c in the settings"
    );
}

#[test]
fn what_is_there_and_cannot_be_used_is_told() {
    let place = Place::with("[accounts.a]\napi_key_file = \"key\"\n");
    let general = [("IMPORTWATCH_API_KEY", "general")];
    assert_eq!(
        place.message("a", &general),
        "cannot read the file DIR/key, which should hold a key; put the key of the Agent there \
         and nothing else, or name its file with api_key_file: \
         No such file or directory (os error 2)"
    );
    let long = vec![b'k'; 4097];
    for (text, expected) in [
        (
            &b" \n"[..],
            "the file DIR/key does not hold a key; put the key of the Agent there and nothing else, \
             or name its file with api_key_file: it is empty",
        ),
        (
            b"two words",
            "the file DIR/key does not hold a key; put the key of the Agent there and nothing else, \
             or name its file with api_key_file: it contains a character that no key has \
             (white space, a control character, or one outside ASCII)",
        ),
        (
            b"k\xffy",
            "the file DIR/key does not hold a key; put the key of the Agent there and nothing else, \
             or name its file with api_key_file: it contains a character that no key has \
             (white space, a control character, or one outside ASCII)",
        ),
        (
            &long,
            "the file DIR/key has more than 4 KiB: put the key there, and nothing else",
        ),
    ] {
        place.write("key", text, 0o600);
        assert_eq!(place.message("a", &general), expected);
    }
    place.write("key", &long[..4096], 0o600);
    assert_eq!(place.find("a", &[]).unwrap().0.len(), 4096);

    fs::remove_file(place.0.path().join("key")).unwrap();
    fs::create_dir(place.0.path().join("key")).unwrap();
    assert_eq!(
        place.message("a", &general),
        "cannot read the file DIR/key, which should hold a key; put the key of the Agent there \
         and nothing else, or name its file with api_key_file: it is not a file"
    );

    let place = Place::with("[accounts.a]\n");
    assert_eq!(
        place.message("a", &[("IMPORTWATCH_API_KEY", "s3cret key")]),
        "$IMPORTWATCH_API_KEY does not hold a key; set it to the key of the Agent, or unset it: \
         it contains a character that no key has \
         (white space, a control character, or one outside ASCII)"
    );
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let place = Place::with("[accounts.a]\napi_key_file = \"a key\"\n");
    let path = place.write("a key", "file", 0o604);
    let mode = if path.metadata().unwrap().uid() == 0 {
        640
    } else {
        600
    };
    assert_eq!(
        place.message("a", &[]),
        format!("others can read DIR/a key, and so the key; run: chmod {mode} 'DIR/a key'")
    );
}
