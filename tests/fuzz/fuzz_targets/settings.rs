//! Any text as a settings file, with any overrides: settings that hold what they promise, or mistakes
//! that a terminal can show and that give no key away.
#![no_main]

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::{Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use importwatch::settings::environment::Environment;
use importwatch::settings::load::load;
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;

thread_local! {
    static FILE: RefCell<NamedTempFile> =
        RefCell::new(NamedTempFile::new_in("/dev/shm").expect("a file in memory"));
}

/// The keys that the text gives its accounts, as far as a plain reader finds them.
fn keys(text: &str) -> Vec<String> {
    let Ok(table) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let Some(accounts) = table.get("accounts").and_then(toml::Value::as_table) else {
        return Vec::new();
    };
    let keys = accounts
        .values()
        .filter_map(|account| account.get("api_key")?.as_str());
    // A short one may stand anywhere by chance.
    keys.filter(|key| key.len() >= 8)
        .map(str::to_owned)
        .collect()
}

// The file up to the first 0xff, which no text contains; then the environment, a line a variable.
fuzz_target!(|input: &[u8]| {
    let (text, overrides) = match input.iter().position(|&byte| byte == 0xff) {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[][..]),
    };
    let variables = overrides.split(|&byte| byte == b'\n').filter_map(|line| {
        let end = line.iter().position(|&byte| byte == b'=')?;
        let name = [b"IMPORTWATCH__", &line[..end]].concat();
        let value = &line[end + 1..];
        (!value.contains(&0) && !name.contains(&0)).then(|| {
            (
                OsStr::from_bytes(&name).to_owned(),
                OsStr::from_bytes(value).to_owned(),
            )
        })
    });
    let home = [("HOME".into(), "/nowhere".into())];
    let environment = Environment::from_iter(home.into_iter().chain(variables));

    let loaded = FILE.with_borrow_mut(|file| {
        file.rewind().unwrap();
        file.write_all(text).unwrap();
        let length = text.len().try_into().unwrap();
        file.as_file().set_len(length).unwrap();
        load(Some(file.path()), &environment)
    });
    let text = String::from_utf8_lossy(text);
    // What stands anywhere else too may be shown for that.
    let is_elsewhere = |key: &str| String::from_utf8_lossy(input).matches(key).count() > 1;
    match loaded {
        Ok(settings) => {
            let second = Duration::from_secs(1);
            assert!(!settings.accounts.is_empty());
            let poll = &settings.poll;
            assert!(poll.initial_interval >= Duration::from_millis(10));
            assert!(poll.initial_interval <= poll.max_interval);
            assert!((1.0..=10.0).contains(&poll.multiplier));
            assert!((1..=1_000).contains(&poll.batch_size));
            assert!(poll.connect_timeout >= second / 10 && poll.request_timeout >= second / 10);
            assert!(settings.watch.give_up_after >= second);
            assert!(settings.state.directory.is_absolute());
            for account in settings.accounts.values() {
                let url = &account.base_url;
                assert!(["http", "https"].contains(&url.scheme()) && url.host().is_some());
                assert!(url.username().is_empty() && url.password().is_none());
                assert!(url.query().is_none() && url.fragment().is_none());
                assert!((1..=6_000).contains(&account.requests_per_minute));
                assert!((0.0..1.0).contains(&account.reserve));
                assert!(account.api_key.is_none() || account.api_key_file.is_none());
                if let Some(inline) = &account.api_key {
                    let key = inline.key.expose();
                    let shown = format!("{account:?}");
                    assert!(key.len() < 8 || !shown.contains(key) || is_elsewhere(key));
                }
            }
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.trim().is_empty());
            let bad = shown.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(bad, None, "{shown:?}");
            for key in keys(&text) {
                assert!(is_elsewhere(&key) || !shown.contains(&key), "{shown}");
            }
        }
    }
});
