//! Keys in settings: who may read them, and that no message ever shows one.

use proptest::prelude::*;

use crate::settings::{Place, SECRET, message};

#[test]
fn a_key_in_a_file_that_others_can_read_is_refused() {
    let place = Place::with(&format!("[accounts.a]\napi_key = \"{SECRET}\"\n"));
    assert_eq!(
        place.load(&[]).unwrap().accounts["a"]
            .api_key
            .as_ref()
            .unwrap()
            .key
            .expose(),
        SECRET
    );
    for mode in [0o640, 0o604, 0o620, 0o601] {
        place.chmod(mode);
        assert!(place.load(&[]).is_err(), "{mode:o}");
    }
    insta::assert_snapshot!(place.message(&[]), @r#"
    DIR/config.toml:2:1: accounts.a.api_key: others can read this file, and so the key; run: chmod 600 DIR/config.toml
      |
    2 | api_key = …
      | ^^^^^^^
    "#);
    let place = Place::with("[accounts.a]\napi_key_file = \"x\"\napi_key = \"app-s3cretKEY\"\n");
    insta::assert_snapshot!(place.message(&[]), @r#"
    DIR/config.toml:2:16: accounts.a.api_key_file: give either api_key_file or api_key, not both
      |
    2 | api_key_file = "x"
      |                ^^^
    "#);
}

#[test]
fn no_message_shows_a_key() {
    for text in [
        "api_key = \"%\"",
        "[accounts.a]\napi_key = \"% %\"",
        "[accounts.a]\napi_key = \"\"\"%\n%\"\"\"",
        "[accounts.a]\napi_key = ['%']",
        "[accounts.a]\napikye = \"%\"",
        "[accounts.a]\napikye = { \"x\" = \"%\" }",
        "[accounts]\napi_key = \"%\"",
        "[accounts]\na = [\"%\"]",
        "accounts = \"%\"",
        "[accounts.a]\napi_key = %",
        "[accounts.a]\napi_key = \"%",
        "[accounts.a]\napi_key = '''\n%",
        "[accounts.a]\napi_key = '''\n%\n'''x",
        "[accounts.a]\napi_key: \"%\"",
        "[accounts.a]\napi_key = \"%\" x",
        "[accounts.a]\n\"api_key\" = \"\\q%\"",
        "[accounts.a]\napi_key = \"%\"\napi_key = \"%\"",
        "accounts.a = { api_key = \"%\", endpoint = \"us\" }",
        "accounts.a = { api_key = \"%\", endpoint = us }",
        "accounts.a = { apikye = \"%\", reserve = 2 }",
        "[accounts.a]\nbase_url = \"https://x:%@y\"",
        "[accounts.a]\nbase_url = \"https://y/?%\"",
        "[accounts.a]\nendpoint = \"https://x:%@y\"",
        "[poll]\napi_key = \"%\"",
        "%",
        "% = 1 1",
        "[%",
    ] {
        let place = Place::with(&text.replace('%', SECRET));
        let error = place.load(&[]).unwrap_err();
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("s3cret"), "{text}: {shown}");
        }
    }
    for (name, value) in [
        ("IMPORTWATCH__API_KEY", SECRET),
        ("IMPORTWATCH__ACCOUNTS__API_KEY", SECRET),
        ("IMPORTWATCH__ACCOUNTS__A__API_KEY", "app-s3cret KEY"),
        ("IMPORTWATCH__ACCOUNTS__A__APIKEY", SECRET),
        ("IMPORTWATCH__ACCOUNTS__A__BASE_URL", "https://x:s3cret@y"),
    ] {
        let error = Place::with("").load(&[(name, value)]).unwrap_err();
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(shown.contains(name) && !shown.contains("s3cret"), "{shown}");
        }
    }
    // Keys of numbers alone are keys, too.
    let digits = message("[accounts.a]\napi_key = 1234567\n");
    assert!(
        digits.contains("api_key") && !digits.contains("1234567"),
        "{digits}"
    );
}

proptest! {
    /// A file with a key in it, in good form or bad, between lines that are either, and with
    /// anything cut off or put in.
    #[test]
    fn no_broken_file_shows_its_key(
        before in lines(),
        line in prop::sample::select(vec![
            "api_key = \"%\"", "api_key = '%'", "api_key = %", "api_key: %", "api_key = \"%",
            "accounts.a = { api_key = \"%\" }", "accounts.a.api_key = \"%\"", "API_KEY=%", "%",
            "api_key = \"\"\"\n%\n\"\"\"", "api_key = [\n\"%\"]", "Authorization: Bearer %",
        ]),
        after in lines(),
        at in any::<prop::sample::Index>(),
        put_in in "[^%]?",
        rest in any::<bool>(),
    ) {
        let text = format!("{}\n{line}\n{}\n", before.join("\n"), after.join("\n"));
        let at = text.floor_char_boundary(at.index(text.len()));
        let end = if rest { &text[at..] } else { "" };
        let text = format!("{}{put_in}{end}", &text[..at]);
        let loaded = Place::with(&text.replace('%', SECRET)).load(&[]);
        let shown = match loaded {
            Ok(settings) => format!("{settings:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains("s3cret"), "{shown}");
    }
}

fn lines() -> impl Strategy<Value = Vec<&'static str>> {
    let line = prop::sample::select(vec![
        "[accounts.a]",
        "[accounts]",
        "[poll]",
        "[log]",
        "[[accounts.a]]",
        "accounts = {",
        "batch_size = 0",
        "batch_size = \"\"\"",
        "poll = \"\"\"",
        "endpoint = \"us\"",
        "base_url = 'https://altatech.ai'",
        "level = \"\"\"",
        "level = '''x\ny'''",
        "api_key_file = \"key\"",
        "unknown = 1",
        "reserve = {",
        "# comment",
        "]",
        "}",
    ]);
    proptest::collection::vec(line, 0..4)
}
