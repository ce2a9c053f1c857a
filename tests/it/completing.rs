//! What a shell is answered that completes what is being typed, by the real program.

use importwatch::store::Store;
use importwatch::store::directory::StateDir;

use crate::program::{Ended, Home};
use crate::seed;

/// Asks as the scripts of the shells do: `words` has the program's name, and its last is being typed.
fn complete(home: &Home, shell: &str, words: &[&str]) -> Ended {
    let arguments = [&["--"][..], words].concat();
    let mut command = home.command(&arguments);
    command
        .env("IMPORTWATCH_COMPLETE", shell)
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n");
    command.output().unwrap().into()
}

fn offered(home: &Home, shell: &str, words: &[&str]) -> Vec<String> {
    let ended = complete(home, shell, words);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    ended.out.lines().map(str::to_owned).collect()
}

#[test]
fn commands_options_and_the_names_of_imports_are_completed() {
    let home = Home::new("http://127.0.0.1:9", "[accounts.shop]\n");
    let state = home.path(".local/state/importwatch");
    let words = |words: &[&str]| offered(&home, "bash", words);
    assert_eq!(words(&["importwatch", "wai"]), ["wait"]);
    assert_eq!(
        words(&["importwatch", "wait", "--max"]),
        ["--max-failed-rows"]
    );
    assert_eq!(
        words(&["importwatch", "add", "--account", ""]),
        ["default", "shop"]
    );
    // Who only types makes no state.
    assert_eq!(
        words(&["importwatch", "list", "--import", ""]),
        Vec::<String>::new()
    );
    assert!(!state.exists());
    seed::imports(&mut Store::open(&StateDir::open(&state).unwrap()).unwrap());
    home.run(&["add", "--import", "two words", "x"]);
    for command in ["list", "show", "wait", "remove", "add", "run"] {
        let found = words(&["importwatch", command, "--import", "prod"]);
        assert_eq!(found, ["products"], "{command}");
    }
    // Whatever has been typed of it; the script of the shell quotes what it is answered.
    for typed in ["two", "'two w", "\"two w", "two\\ w"] {
        let found = words(&["importwatch", "wait", "--import", typed]);
        assert_eq!(found, ["two words"], "{typed}");
    }
    assert_eq!(
        words(&["importwatch", "wait", "--import=\"two w"]),
        ["--import=two words"]
    );
    for (shell, expected) in [("zsh", "products:"), ("fish", "products\t")] {
        let found = offered(&home, shell, &["importwatch", "wait", "--import", "prod"]);
        assert_eq!(found.len(), 1, "{shell}");
        assert!(found[0].starts_with(expected), "{shell}: {found:?}");
    }
}

#[test]
fn bad_settings_are_not_for_the_line_that_is_being_typed() {
    let home = Home::new("http://127.0.0.1:9", "");
    home.settings("not settings");
    assert_eq!(offered(&home, "bash", &["importwatch", "wai"]), ["wait"]);
    let none = offered(&home, "bash", &["importwatch", "wait", "--import", "p"]);
    assert_eq!(none, Vec::<String>::new());
}
