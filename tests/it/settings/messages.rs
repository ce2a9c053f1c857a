//! What a user is told of settings that will not do.

use std::fs;

use importwatch::settings::environment::Environment;
use importwatch::settings::load::load;
use proptest::prelude::*;

use crate::settings::{Place, environment, message, variable};

#[test]
fn mistakes_are_told_together_and_with_their_places() {
    let text = "[poll]\nintial_interval = \"5s\"\nmax_interval = 60\nbatch_size = \"8\"\n\
                multiplier = nan\n\n[accounts.Shop]\n\n[accounts.shop]\nreserve = 1.0\n\
                endpoint = \"us\"\n[lgo]\n";
    insta::assert_snapshot!(message(text), @r#"
    DIR/config.toml:2:1: unknown key poll.intial_interval; expected one of policy, price, initial_interval, multiplier, max_interval, batch_size, connect_timeout, request_timeout
      |
    2 | intial_interval = …
      | ^^^^^^^^^^^^^^^
    help: did you mean `initial_interval`?
    DIR/config.toml:3:16: poll.max_interval: found integer `60`, expected a duration, written for example "500ms", "30s", "24h" or "7d"
      |
    3 | max_interval = 60
      |                ^^
    DIR/config.toml:4:14: poll.batch_size: "8" is text: expected a whole number from 1 to 1000
      |
    4 | batch_size = "8"
      |              ^^^
    DIR/config.toml:5:14: poll.multiplier: NaN is out of range: expected a number from 1 to 10
      |
    5 | multiplier = nan
      |              ^^^
    DIR/config.toml:7:11: Shop cannot name an account: use 1 to 32 of a-z, 0-9 and -
      |
    7 | Shop
      | ^^^^
    DIR/config.toml:10:11: accounts.shop.reserve: 1 is out of range: expected a number from 0 to below 1
       |
    10 | reserve = 1.0
       |           ^^^
    DIR/config.toml:11:12: accounts.shop.endpoint: "us" is not an endpoint: use "sg", "jp" or "th", or base_url for another
       |
    11 | endpoint = "us"
       |            ^^^^
    DIR/config.toml:12:2: unknown key lgo; expected one of accounts, watch, poll, notify, log, state
       |
    12 | lgo
       | ^^^
    help: did you mean `log`?
    "#);
}

#[test]
fn a_syntax_error_ends_it() {
    insta::assert_snapshot!(message("[poll]\nmax_interval = 60s\nbatch = 1\n"), @r#"
    DIR/config.toml:2:16: string values must be quoted, expected literal string
      |
    2 | max_interval = 60s
      |                ^^^
    "#);
    insta::assert_snapshot!(message("[poll]\nbatch_size = 1\nbatch_size = 2\n"), @r#"
    DIR/config.toml:3:1: duplicate key
      |
    3 | batch_size = 2
      | ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(message("\u{feff}[poll\r\n"), @"DIR/config.toml:1:7: unclosed table, expected `]`");
}

#[test]
fn durations_show_how_they_are_written() {
    insta::assert_snapshot!(message("[poll]\nmax_interval = \"5 parsecs\""), @r#"
    DIR/config.toml:2:16: poll.max_interval: "5 parsecs" is not a duration, written for example "500ms", "30s", "24h" or "7d"
      |
    2 | max_interval = "5 parsecs"
      |                ^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(message("[poll]\nmax_interval = \"30\""), @r#"
    DIR/config.toml:2:16: poll.max_interval: "30" is not a duration, written for example "500ms", "30s", "24h" or "7d"
      |
    2 | max_interval = "30"
      |                ^^^^
    "#);
    insta::assert_snapshot!(message("[poll]\ninitial_interval = \"5ms\""), @r#"
    DIR/config.toml:2:20: poll.initial_interval: "5ms" is out of range: expected 10ms to 7d
      |
    2 | initial_interval = "5ms"
      |                    ^^^^^
    "#);
    insta::assert_snapshot!(message("[state]\nkeep = \"59m\""), @r#"
    DIR/config.toml:2:8: state.keep: "59m" is out of range: expected 1h to 3650d
      |
    2 | keep = "59m"
      |        ^^^^^
    "#);
}

#[test]
fn values_that_do_not_fit_one_another() {
    insta::assert_snapshot!(message("[poll]\nmax_interval = \"1s\""), @r#"
    DIR/config.toml:2:16: poll.max_interval: 1s is below poll.initial_interval, which is 2s
      |
    2 | max_interval = "1s"
      |                ^^^^
    "#);
    insta::assert_snapshot!(message("[poll]\ninitial_interval = \"2m\"\nmax_interval = \"1s\""), @r#"
    DIR/config.toml:2:20: poll.initial_interval: 2m is above poll.max_interval, which is 1s
      |
    2 | initial_interval = "2m"
      |                    ^^^^
    "#);
    insta::assert_snapshot!(
        message("[accounts.a]\nendpoint = \"sg\"\nbase_url = \"https://altatech.ai\""), @r#"
        DIR/config.toml:2:12: accounts.a.endpoint: give either endpoint or base_url, not both
          |
        2 | endpoint = "sg"
          |            ^^^^
        "#);
    let one_is_wrong = message("[poll]\ninitial_interval = \"2m\"\nmax_interval = 1");
    assert!(!one_is_wrong.contains("above"), "{one_is_wrong}");
}

#[test]
fn choices_are_listed() {
    insta::assert_snapshot!(message("[poll]\npolicy = \"linear\""), @r#"
    DIR/config.toml:2:10: poll.policy: "linear" is not a policy: use "adaptive" or "exponential"
      |
    2 | policy = "linear"
      |          ^^^^^^^^
    "#);
    insta::assert_snapshot!(message("[poll]\nprice = \"cheap\""), @r#"
    DIR/config.toml:2:9: poll.price: "cheap" is not "auto" or a duration such as "3s"
      |
    2 | price = "cheap"
      |         ^^^^^^^
    "#);
    insta::assert_snapshot!(message("[poll]\nprice = \"2h\""), @r#"
    DIR/config.toml:2:9: poll.price: "2h" is out of range: expected 10ms to 1h
      |
    2 | price = "2h"
      |         ^^^^
    "#);
    insta::assert_snapshot!(message("[notify]\ndesktop = \"yes\""), @r#"
    DIR/config.toml:2:11: notify.desktop: "yes" is none of "auto", true and false
      |
    2 | desktop = "yes"
      |           ^^^^^
    "#);
    insta::assert_snapshot!(message("[log]\nformat = \"journal\""), @r#"
    DIR/config.toml:2:10: log.format: "journal" is not a format: use "auto", "text", "json" or "journald"
      |
    2 | format = "journal"
      |          ^^^^^^^^^
    "#);
    insta::assert_snapshot!(message("[log]\nlevel = \"inof\""), @r#"
    DIR/config.toml:2:9: log.level: "inof" is not a level (off, error, warn, info, debug, trace) or a filter such as "warn,importwatch=debug"
      |
    2 | level = "inof"
      |         ^^^^^^
    "#);
    insta::assert_snapshot!(message("[log]\nlevel = \"importwatch=loud\""), @r#"
    DIR/config.toml:2:9: log.level: "importwatch=loud" is not a level (off, error, warn, info, debug, trace) or a filter such as "warn,importwatch=debug"
      |
    2 | level = "importwatch=loud"
      |         ^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn urls_that_will_not_do() {
    let url = |url: &str| message(&format!("[accounts.a]\nbase_url = \"{url}\""));
    insta::assert_snapshot!(url("altatech.ai"), @r#"
    DIR/config.toml:2:12: accounts.a.base_url: "altatech.ai" is not a URL (relative URL without a base); expected http:// or https://, a host, and perhaps a port and a path
      |
    2 | base_url = "altatech.ai"
      |            ^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(url("ftp://altatech.ai"), @r#"
    DIR/config.toml:2:12: accounts.a.base_url: "ftp://altatech.ai" is not an http or https URL; expected http:// or https://, a host, and perhaps a port and a path
      |
    2 | base_url = "ftp://altatech.ai"
      |            ^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(url("https://user:s3cret@altatech.ai"), @r#"
    DIR/config.toml:2:12: accounts.a.base_url: a URL with a user or a password is not accepted; expected http:// or https://, a host, and perhaps a port and a path
      |
    2 | base_url = …
      | ^^^^^^^^
    "#);
    insta::assert_snapshot!(url("https://altatech.ai/?key=s3cret"), @r#"
    DIR/config.toml:2:12: accounts.a.base_url: a URL with a query (?) or a fragment (#) is not accepted; expected http:// or https://, a host, and perhaps a port and a path
      |
    2 | base_url = …
      | ^^^^^^^^
    "#);
    insta::assert_snapshot!(url("https://altatech.ai/ x"), @r#"
    DIR/config.toml:2:12: accounts.a.base_url: a URL has no white space and no control characters; expected http:// or https://, a host, and perhaps a port and a path
      |
    2 | base_url = "https://altatech.ai/ x"
      |            ^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn tables_that_are_something_else() {
    insta::assert_snapshot!(message("poll = 5\naccounts = [\"app-s3cretKEY\"]"), @r#"
    DIR/config.toml:1:1: poll: expected a table, written as [poll]
      |
    1 | poll = …
      | ^^^^
    DIR/config.toml:2:1: accounts: expected tables, one for each account, written as [accounts.NAME]
      |
    2 | accounts = …
      | ^^^^^^^^
    "#);
    insta::assert_snapshot!(message("poll = [\"exponential\"]\naccounts.a = \"app-s3cretKEY\""), @r#"
    DIR/config.toml:2:10: accounts.a: expected a table, written as [accounts.a]
      |
    2 | a = …
      | ^
    "#);
    insta::assert_snapshot!(message("[[poll]]\n[[accounts.a]]\n[[lgos]]"), @r#"
    DIR/config.toml:1:3: poll: expected a table, written as [poll]
      |
    1 | poll
      | ^^^^
    DIR/config.toml:2:12: accounts.a: expected a table, written as [accounts.a]
      |
    2 | a
      | ^
    DIR/config.toml:3:3: unknown key lgos; expected one of accounts, watch, poll, notify, log, state
      |
    3 | lgos
      | ^^^^
    "#);
}

#[test]
fn text_cannot_play_tricks_in_a_message() {
    insta::assert_snapshot!(message("\"a\\u001b[31m\\nb\" = 1\n"), @r#"
    DIR/config.toml:1:1: unknown key "a\u{1b}[31m\nb"; expected one of accounts, watch, poll, notify, log, state
      |
    1 | "a\u001b[31m\nb" = …
      | ^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(message("[log]\nlevel = \"\u{202e}\\u001b=\"\n"), @r#"
    DIR/config.toml:2:9: log.level: "\u{202e}\u{1b}=" is not a level (off, error, warn, info, debug, trace) or a filter such as "warn,importwatch=debug"
      |
    2 | level = "�\u001b="
      |         ^^^^^^^^^^
    "#);
    let long = message(&format!("[log]\nlevel = \"{}\"\n", "=".repeat(10_000)));
    assert!(long.len() < 1000, "{long}");
    let many: Vec<String> = (0..1000).map(|n| format!("k{n} = 1")).collect();
    assert_eq!(message(&many.join("\n")).matches("unknown key").count(), 20);
}

#[test]
fn a_command_is_a_list_that_begins_with_a_program() {
    insta::assert_snapshot!(message("[notify]\ncommand = \"notify-team --all\"\n"));
    insta::assert_snapshot!(message("[notify]\ncommand = []\n"));
    insta::assert_snapshot!(message("[notify]\ncommand = [\"~/bin/tell\"]\n"));
    insta::assert_snapshot!(message("[notify]\ncommand = [\"tell\", 7]\n"));
    insta::assert_snapshot!(variable("IMPORTWATCH__NOTIFY__COMMAND", "./tell"));
    insta::assert_snapshot!(variable("IMPORTWATCH__NOTIFY__COMMAND", "[\"./tell\"]"));
    insta::assert_snapshot!(message("[accounts.default]\nquiet = \"yes\"\n"));
}

#[test]
fn mistakes_in_variables_name_them() {
    insta::assert_snapshot!(variable("IMPORTWATCH__POLL__MAX_INTERVAL", "5 parsecs"), @r#"environment variable IMPORTWATCH__POLL__MAX_INTERVAL: "5 parsecs" is not a duration, written for example "500ms", "30s", "24h" or "7d""#);
    insta::assert_snapshot!(variable("IMPORTWATCH__POLL__MAX_INTERVAL", "5"), @r#"environment variable IMPORTWATCH__POLL__MAX_INTERVAL: found integer `5`, expected a duration, written for example "500ms", "30s", "24h" or "7d""#);
    insta::assert_snapshot!(variable("IMPORTWATCH__POLL__BATCH_SIZE", "yes"), @r#"environment variable IMPORTWATCH__POLL__BATCH_SIZE: "yes" is text: expected a whole number from 1 to 1000"#);
    insta::assert_snapshot!(variable("IMPORTWATCH__POLL__BATCH_SIZE", "8.7"), @"environment variable IMPORTWATCH__POLL__BATCH_SIZE: found floating point `8.7`, expected a whole number from 1 to 1000");
    insta::assert_snapshot!(variable("IMPORTWATCH__POLL__BATCH_SIZE", "5000"), @"environment variable IMPORTWATCH__POLL__BATCH_SIZE: 5000 is out of range: expected 1 to 1000");
    insta::assert_snapshot!(variable("IMPORTWATCH__POLL__BATCHSIZE", "5"), @r#"
    environment variable IMPORTWATCH__POLL__BATCHSIZE: unknown key poll.batchsize; expected one of policy, price, initial_interval, multiplier, max_interval, batch_size, connect_timeout, request_timeout
    help: did you mean `IMPORTWATCH__POLL__BATCH_SIZE`?
    "#);
    insta::assert_snapshot!(variable("IMPORTWATCH__POL__BATCH_SIZE", "5"), @r#"
    environment variable IMPORTWATCH__POL__BATCH_SIZE: unknown key pol; expected one of accounts, watch, poll, notify, log, state
    help: did you mean `IMPORTWATCH__POLL__BATCH_SIZE`?
    "#);
    insta::assert_snapshot!(variable("IMPORTWATCH__POLL", "5"), @"environment variable IMPORTWATCH__POLL: names no setting; expected a form such as IMPORTWATCH__POLL__MAX_INTERVAL");
    insta::assert_snapshot!(variable("IMPORTWATCH__STATE__DIRECTORY", "here"), @r#"environment variable IMPORTWATCH__STATE__DIRECTORY: "here" is not an absolute path, as a variable needs one"#);
    insta::assert_snapshot!(variable("IMPORTWATCH__POLL__MAX_INTERVAL", "1s"), @"environment variable IMPORTWATCH__POLL__MAX_INTERVAL: 1s is below poll.initial_interval, which is 2s");
}

#[test]
fn file_and_variables_are_told_together() {
    let place = Place::with("[poll]\nbatch_size = 0\n");
    let message = place.message(&[
        ("IMPORTWATCH__POLL__MULTIPLIER", "11"),
        ("IMPORTWATCH__NOTIFY__GATHER", "2h"),
        ("IMPORTWATCH__ACCOUNTS__A__API_KEY", "two words"),
    ]);
    insta::assert_snapshot!(message, @r#"
    DIR/config.toml:2:14: poll.batch_size: 0 is out of range: expected 1 to 1000
      |
    2 | batch_size = 0
      |              ^
    environment variable IMPORTWATCH__ACCOUNTS__A__API_KEY: this is no key: it contains a character that no key has (white space, a control character, or one outside ASCII)
    environment variable IMPORTWATCH__NOTIFY__GATHER: "2h" is out of range: expected 0s to 1h
    environment variable IMPORTWATCH__POLL__MULTIPLIER: 11 is out of range: expected a number from 1 to 10
    "#);
}

#[test]
fn files_that_are_none() {
    let place = Place::with("");
    fs::remove_file(place.file()).unwrap();
    insta::assert_snapshot!(place.message(&[]), @"the settings file DIR/config.toml, named by --config, does not exist; create it, or name another");
    let missing = place.file();
    let by_variable = environment(&[("IMPORTWATCH_CONFIG", missing.to_str().unwrap())]);
    let error = load(None, &by_variable).unwrap_err().to_string();
    assert!(error.contains("$IMPORTWATCH_CONFIG"), "{error}");

    fs::create_dir(place.file()).unwrap();
    insta::assert_snapshot!(place.message(&[]), @"cannot read the settings file DIR/config.toml; see that it is a file and that you may read it");

    let place = Place::with("");
    fs::write(place.file(), b"\xff").unwrap();
    insta::assert_snapshot!(place.message(&[]), @"the settings file DIR/config.toml is not UTF-8 text of at most 16 MiB; name another");
}

#[test]
fn a_state_directory_of_systemd_must_be_the_same() {
    let place = Place::with("[state]\ndirectory = \"/var/lib/here\"\n");
    assert!(place.load(&[("STATE_DIRECTORY", "/var/lib/here")]).is_ok());
    insta::assert_snapshot!(place.message(&[("STATE_DIRECTORY", "/var/lib/there")]), @"the state is in /var/lib/here by the settings, but $STATE_DIRECTORY is /var/lib/there; set directory in [state], or StateDirectory= in the unit");
}

#[test]
fn without_a_home_the_state_must_be_given() {
    let place = Place::with("");
    let error = load(Some(&place.file()), &Environment::default()).unwrap_err();
    insta::assert_snapshot!(error, @"there is no home to keep the state in: set directory in [state], or $HOME");
    let place = Place::with("[state]\ndirectory = \"here\"\n");
    assert!(load(Some(&place.file()), &Environment::default()).is_ok());
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let place = Place::with(&text);
        let loaded = place.load(&[]);
        if let Err(error) = loaded {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn nothing_like_settings_panics(
        lines in proptest::collection::vec(
            (
                prop::sample::select(vec![
                    "[poll]", "[accounts.a]", "[log]", "accounts = ", "batch_size = ", "endpoint=",
                    "api_key = ", "level = ", "a.b.c = ", "[[poll]]", "é\t= ", "max_interval = ",
                ]),
                prop::sample::select(vec![
                    "", "1", "-1", "1e400", "99999999999999999999", "nan", "\"x\"", "\"\"\"x\ny\"\"\"",
                    "'é\u{202e}'", "[1,\n2]", "{ a = 1 }", "1979-05-27", "true", "\"1s\"", "#", "\r",
                ]),
            ),
            0..8,
        ),
        variable in "[A-Z_]{0,12}",
        value in ".{0,20}",
    ) {
        let lines: Vec<String> = lines.iter().map(|(a, b)| format!("{a}{b}")).collect();
        let text = lines.join("\n");
        let name = format!("IMPORTWATCH__{variable}");
        let place = Place::with(&text);
        let shown = match place.load(&[(&name, &value.replace('\0', ""))]) {
            Ok(settings) => format!("{settings:?}"),
            Err(error) => error.to_string(),
        };
        prop_assert!(!shown.is_empty());
    }
}

#[test]
fn each_item_of_a_list_has_its_place() {
    let text = "[accounts.default]\n[watch]\nids = [\n  \"good\",\n  \"two words\", 7, \"\",\n]\n\
                files = [\"\", \"~/ids\", \"ids\", \"a\\u0000\"]\n";
    insta::assert_snapshot!(message(text), @r#"
    DIR/config.toml:5:3: watch.ids: "two words" is not an id: it contains ' '; an id has no white space and no control or formatting characters
      |
    5 | "two words"
      | ^^^^^^^^^^^
    DIR/config.toml:5:16: watch.ids: found integer, expected text in quotes
      |
    5 | 7
      | ^
    DIR/config.toml:5:19: watch.ids: "" is not an id: it is empty
      |
    5 | ""
      | ^^
    DIR/config.toml:7:10: watch.files: the path is empty; leave it out if it is not needed
      |
    7 | ""
      | ^^
    DIR/config.toml:7:14: watch.files: "~/ids": ~ is not expanded here; write the directory out
      |
    7 | "~/ids"
      | ^^^^^^^
    DIR/config.toml:7:30: watch.files: a path has no NUL character
      |
    7 | "a\u0000"
      | ^^^^^^^^^
    "#);
    insta::assert_snapshot!(message("[watch]\nids = \"one two\"\nfiles = 7\n"), @r#"
    DIR/config.toml:2:7: watch.ids: found string, expected a list of ids in quotes, such as ["68ec7ad3e307920f002648cd"]
      |
    2 | ids = "one two"
      |       ^^^^^^^^^
    DIR/config.toml:3:9: watch.files: found integer, expected a list of paths in quotes, such as ["ids.txt"]
      |
    3 | files = 7
      |         ^
    "#);
    insta::assert_snapshot!(message("[watch.ids]\nx = 1\n"), @r#"
    DIR/config.toml:1:8: watch.ids: found table, expected a list of ids in quotes, such as ["68ec7ad3e307920f002648cd"]
      |
    1 | ids
      | ^^^
    "#);
    insta::assert_snapshot!(variable("IMPORTWATCH__WATCH__FILES", "/a::/b"), @"environment variable IMPORTWATCH__WATCH__FILES: the path is empty; leave it out if it is not needed");
    insta::assert_snapshot!(variable("IMPORTWATCH__WATCH__FILES", "/a:b"), @r#"environment variable IMPORTWATCH__WATCH__FILES: "b" is not an absolute path, as a variable needs one"#);
    let long = format!("good {}", "x".repeat(129));
    insta::assert_snapshot!(variable("IMPORTWATCH__WATCH__IDS", &long), @r#"environment variable IMPORTWATCH__WATCH__IDS: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is not an id: it has 129 bytes; an id has at most 128"#);
}

#[test]
fn listed_ids_need_an_account_that_is_meant() {
    let text = "[accounts.shop]\n[accounts.stock]\n[watch]\nids = [\"a\"]\nfiles = [\"b\"]\n";
    insta::assert_snapshot!(message(text), @r#"
    DIR/config.toml:4:7: watch.ids: there are the accounts shop, stock, and none called default, so it is open whose ids these are; call one of them default, or add the ids with: importwatch add --account NAME
      |
    4 | ids = ["a"]
      |       ^^^^^
    DIR/config.toml:5:9: watch.files: there are the accounts shop, stock, and none called default, so it is open whose ids these are; call one of them default, or add the ids with: importwatch add --account NAME
      |
    5 | files = ["b"]
      |         ^^^^^
    "#);
}
