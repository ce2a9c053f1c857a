//! Settings as a user meets them: files in, settings out, and in the modules below, messages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::settings::environment::Environment;
use importwatch::settings::load::{SettingsError, load};
use importwatch::settings::{Account, Desktop, LogFormat, Policy, Quiet, Settings};
use importwatch::task::TaskId;
use tempfile::TempDir;

mod keys;
mod messages;
mod secrets;

const TEMPLATE: &str = include_str!("../../config/importwatch.toml");
const SECRET: &str = "app-s3cretKEY";

/// A directory with a settings file that no one else can read.
struct Place(TempDir);

impl Place {
    fn with(text: &str) -> Self {
        let place = Self(TempDir::new().unwrap());
        fs::write(place.file(), text).unwrap();
        place.chmod(0o600);
        place
    }

    fn chmod(&self, mode: u32) {
        fs::set_permissions(self.file(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("config.toml")
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        load(Some(&self.file()), &environment(variables))
    }

    /// The error's message, with the directory written as DIR.
    fn message(&self, variables: &[(&str, &str)]) -> String {
        let message = self.load(variables).unwrap_err().to_string();
        message.replace(self.0.path().to_str().unwrap(), "DIR")
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let home = [("HOME", "/home/u")];
    home.iter().chain(variables).copied().collect()
}

fn message(text: &str) -> String {
    Place::with(text).message(&[])
}

/// The message of a mistake in a variable.
fn variable(name: &str, value: &str) -> String {
    Place::with("").message(&[(name, value)])
}

fn account<'s>(settings: &'s Settings, name: &str) -> &'s Account {
    &settings.accounts[name]
}

#[test]
fn an_empty_file_is_the_defaults() {
    let settings = Place::with("").load(&[]).unwrap();
    assert_eq!(settings.accounts.len(), 1);
    let default = account(&settings, "default");
    assert_eq!(default.base_url.as_str(), "https://api-sg.gptbots.ai/");
    assert_eq!(default.requests_per_minute, 60);
    assert_eq!(
        (default.requests_per_hour, default.requests_per_day),
        (None, None)
    );
    assert_eq!(settings.poll.policy, Policy::Adaptive);
    assert_eq!(settings.poll.max_interval, Duration::from_mins(1));
    assert_eq!(settings.watch.give_up_after, Duration::from_hours(24));
    assert_eq!(settings.notify.desktop, Desktop::Auto);
    assert_eq!(settings.notify.progress_after, Duration::from_mins(1));
    assert_eq!(settings.notify.digest, 20);
    assert_eq!(settings.notify.command, None);
    assert_eq!(default.quiet, Quiet::Never);
    assert_eq!(settings.log.format, LogFormat::Auto);
    assert_eq!(settings.state.keep, Duration::from_hours(90 * 24));
    assert_eq!(
        settings.state.directory,
        Path::new("/home/u/.local/state/importwatch")
    );
}

#[test]
fn everything_can_be_set() {
    let place = Place::with(
        r#"
        [accounts.shop-2]
        base_url = "http://127.0.0.1:8080/api//"
        api_key_file = "key"
        requests_per_minute = 3
        requests_per_hour = 1000
        requests_per_day = 100
        reserve = 0.5
        ca_file = "/ca.pem"
        quiet = "success"
        [accounts.default]
        endpoint = "jp"
        [watch]
        ids = ["one", "two"]
        files = ["ids.txt", "/srv/ids"]
        give_up_after = "7d"
        missing_after = "0s"
        [poll]
        policy = "adaptive"
        price = "5s"
        initial_interval = "500ms"
        multiplier = 2
        max_interval = "2m 30s"
        batch_size = 1000
        connect_timeout = "1s"
        request_timeout = "10m"
        [notify]
        desktop = false
        gather = "0s"
        progress_after = "0s"
        digest = 0
        command = ["./hooks/tell", "--all"]
        [log]
        level = "warn,importwatch=debug"
        format = "json"
        [state]
        directory = "state"
        keep = "1h"
        "#,
    );
    let settings = place.load(&[]).unwrap();
    let directory = place.0.path();
    assert_eq!(settings.file, Some(place.file()));
    let shop = account(&settings, "shop-2");
    assert_eq!(shop.base_url.as_str(), "http://127.0.0.1:8080/api");
    assert_eq!(shop.api_key_file, Some(directory.join("key")));
    assert_eq!(shop.requests_per_minute, 3);
    assert_eq!(shop.requests_per_hour, Some(1000));
    assert_eq!(shop.requests_per_day, Some(100));
    assert!((shop.reserve - 0.5).abs() < f64::EPSILON);
    assert_eq!(shop.ca_file.as_deref(), Some(Path::new("/ca.pem")));
    assert_eq!(
        account(&settings, "default").base_url.as_str(),
        "https://api-jp.gptbots.ai/"
    );
    let ids: Vec<_> = settings.watch.ids.iter().map(TaskId::to_string).collect();
    assert_eq!(ids, ["one", "two"]);
    assert_eq!(
        settings.watch.files,
        [directory.join("ids.txt"), PathBuf::from("/srv/ids")]
    );
    assert_eq!(settings.watch.give_up_after, Duration::from_hours(7 * 24));
    assert_eq!(settings.watch.missing_after, Duration::ZERO);
    assert_eq!(settings.poll.policy, Policy::Adaptive);
    assert_eq!(settings.poll.price, Some(Duration::from_secs(5)));
    assert_eq!(settings.poll.initial_interval, Duration::from_millis(500));
    assert!((settings.poll.multiplier - 2.0).abs() < f64::EPSILON);
    assert_eq!(settings.poll.max_interval, Duration::from_secs(150));
    assert_eq!(settings.poll.batch_size, 1000);
    assert_eq!(settings.poll.connect_timeout, Duration::from_secs(1));
    assert_eq!(settings.poll.request_timeout, Duration::from_mins(10));
    assert_eq!(settings.notify.desktop, Desktop::Off);
    assert_eq!(settings.notify.gather, Duration::ZERO);
    assert_eq!(settings.notify.progress_after, Duration::ZERO);
    assert_eq!(settings.notify.digest, 0);
    let hook = directory.join("./hooks/tell").display().to_string();
    assert_eq!(
        settings.notify.command,
        Some(vec![hook, "--all".to_owned()])
    );
    assert_eq!(shop.quiet, Quiet::Success);
    assert_eq!(account(&settings, "default").quiet, Quiet::Never);
    assert_eq!(settings.log.level, "warn,importwatch=debug");
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.state.directory, directory.join("state"));
    assert_eq!(settings.state.keep, Duration::from_hours(1));
}

#[test]
fn the_environment_overrides_key_by_key() {
    let place = Place::with("[poll]\nbatch_size = 7\nmultiplier = 3\n[accounts.my-shop]\n");
    let settings = place
        .load(&[
            ("IMPORTWATCH__POLL__BATCH_SIZE", "9"),
            ("IMPORTWATCH__POLL__MAX_INTERVAL", "30s"),
            ("IMPORTWATCH__NOTIFY__DESKTOP", "false"),
            ("IMPORTWATCH__NOTIFY__DIGEST", "3"),
            ("IMPORTWATCH__NOTIFY__COMMAND", r#"["tell", "7"]"#),
            ("IMPORTWATCH__ACCOUNTS__MY_SHOP__QUIET", "always"),
            ("IMPORTWATCH__LOG__LEVEL", ""),
            ("IMPORTWATCH__ACCOUNTS__MY_SHOP__RESERVE", "0.25"),
            ("IMPORTWATCH__ACCOUNTS__MY_SHOP__API_KEY", SECRET),
            ("IMPORTWATCH__ACCOUNTS__NEW__REQUESTS_PER_DAY", "100"),
        ])
        .unwrap();
    assert_eq!(settings.poll.batch_size, 9);
    assert!((settings.poll.multiplier - 3.0).abs() < f64::EPSILON);
    assert_eq!(settings.poll.max_interval, Duration::from_secs(30));
    assert_eq!(settings.notify.desktop, Desktop::Off);
    assert_eq!(settings.notify.digest, 3);
    let command = ["tell", "7"].map(str::to_owned);
    assert_eq!(settings.notify.command, Some(command.to_vec()));
    assert_eq!(settings.log.level, "info");
    let shop = account(&settings, "my-shop");
    assert!((shop.reserve - 0.25).abs() < f64::EPSILON);
    assert_eq!(shop.quiet, Quiet::Always);
    assert_eq!(shop.api_key.as_ref().unwrap().key.expose(), SECRET);
    assert_eq!(account(&settings, "new").requests_per_day, Some(100));
    assert!(!format!("{settings:?}").contains(SECRET));
}

#[test]
fn a_list_of_the_environment_replaces_the_files() {
    let place = Place::with("[watch]\nids = [\"one\"]\nfiles = [\"ids\"]\n");
    let settings = place
        .load(&[
            ("IMPORTWATCH__WATCH__IDS", " 2 \n three"),
            ("IMPORTWATCH__WATCH__FILES", "/a/ids:/b/ids"),
        ])
        .unwrap();
    let ids: Vec<_> = settings.watch.ids.iter().map(TaskId::to_string).collect();
    assert_eq!(ids, ["2", "three"]);
    assert_eq!(
        settings.watch.files,
        [Path::new("/a/ids"), Path::new("/b/ids")]
    );
}

#[test]
fn the_environment_displaces_what_says_the_same() {
    let place = Place::with("[accounts.a]\nendpoint = \"jp\"\napi_key_file = \"key\"\n");
    let settings = place
        .load(&[
            ("IMPORTWATCH__ACCOUNTS__A__BASE_URL", "https://altatech.ai"),
            ("IMPORTWATCH__ACCOUNTS__A__API_KEY", SECRET),
        ])
        .unwrap();
    let a = account(&settings, "a");
    assert_eq!(a.base_url.as_str(), "https://altatech.ai/");
    assert_eq!(a.api_key_file, None);

    let place = Place::with(&format!("[accounts.a]\napi_key = \"{SECRET}\"\n"));
    let settings = place
        .load(&[("IMPORTWATCH__ACCOUNTS__A__API_KEY_FILE", "/key")])
        .unwrap();
    let a = account(&settings, "a");
    assert_eq!(a.api_key, None);
    assert_eq!(a.api_key_file.as_deref(), Some(Path::new("/key")));
}

#[test]
fn accounts_are_found_by_name_or_by_default() {
    let named = |name: &str| name.parse::<AccountName>().unwrap();
    let one = Place::with("[accounts.shop]").load(&[]).unwrap();
    assert_eq!(one.account_for(None).unwrap().as_str(), "shop");
    let place = Place::with("[accounts.a]\n[accounts.b]");
    let file = place.file().display().to_string();
    let several = place.load(&[]).unwrap();
    assert_eq!(
        several.account_for(Some(&named("b"))).unwrap().as_str(),
        "b"
    );
    assert_eq!(
        several.account_for(None).unwrap_err().to_string(),
        format!("name an account with --account: {file} has a, b, and none called default")
    );
    assert_eq!(
        several
            .account_for(Some(&named("c")))
            .unwrap_err()
            .to_string(),
        format!(
            "there is no account c: {file} has a, b; name one of these with --account, or add [accounts.c]"
        )
    );
    let with_default = Place::with("[accounts.a]\n[accounts.default]")
        .load(&[])
        .unwrap();
    assert_eq!(with_default.account_for(None).unwrap().as_str(), "default");
}

#[test]
fn the_template_is_the_defaults() {
    let of_template = Place::with(TEMPLATE).load(&[]).unwrap();
    let defaults = Place::with("").load(&[]).unwrap();
    assert_eq!(
        Settings {
            file: None,
            ..of_template
        },
        Settings {
            file: None,
            ..defaults
        }
    );
}

#[test]
fn the_template_has_every_key_and_each_is_accepted() {
    for table in [
        "accounts.default",
        "watch",
        "poll",
        "notify",
        "log",
        "state",
    ] {
        let header = format!("[{table}]\n");
        let (_, after) = TEMPLATE.split_once(&header).unwrap();
        let section = after.split("\n[").next().unwrap();
        let told = message(&format!("{header}nothing_like_it = 1\n"));
        let known = told
            .lines()
            .next()
            .unwrap()
            .split("expected one of ")
            .nth(1)
            .unwrap();
        for key in known.split(", ") {
            let is_entry = |line: &&str| {
                line.trim_start_matches("# ")
                    .starts_with(&format!("{key} = "))
            };
            let line = section.lines().find(is_entry);
            let line = line.unwrap_or_else(|| panic!("{table}.{key} is not in the template"));
            let entry = line.trim_start_matches("# ");
            Place::with(&format!("{header}{entry}\n"))
                .load(&[])
                .unwrap();
        }
    }
}
