//! What the program says to the person who calls it: exit code, standard output and standard error
//! together, by the real program.
//!
//! The snapshots are in `snapshots/`. Read a changed one as someone who has never seen the program:
//! does it say what, where, and what to do?

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use importwatch::store::Store;
use importwatch::store::directory::StateDir;
use importwatch::store::lock::{Holder, Lock};

use crate::program::{Ended, Home};
use crate::seed;

/// A task of each kind in the seed.
const TOLD: [&str; 10] = [
    "68ec7ad3e307920f002648c1",
    "68ec7ad3e307920f002648c3",
    "mixed",
    "68ec7ad3e307920f002648c5",
    "68ec7ad3e307920f002648c6",
    "late",
    "unknown",
    "refused",
    "again",
    "old-block",
];

/// What was typed and what came of it, one call after another.
pub(crate) struct Transcript<'a> {
    home: &'a Home,
    text: String,
}

impl<'a> Transcript<'a> {
    pub(crate) fn of(home: &'a Home) -> Self {
        let text = String::new();
        Self { home, text }
    }

    /// Calls the program with these words.
    pub(crate) fn call(&mut self, line: &str) -> &mut Self {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let ended = self.home.run(&words);
        self.note(line, &ended)
    }

    pub(crate) fn call_with(&mut self, line: &str, input: &str) -> &mut Self {
        let words: Vec<&str> = line.split(' ').collect();
        let ended = self.home.run_with(&words, input);
        self.note(line, &ended)
    }

    fn call_in(&mut self, line: &str, variable: (&str, &str)) -> &mut Self {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = self.home.command(&words);
        let ended = command.env(variable.0, variable.1).output().unwrap().into();
        writeln!(self.text, "# with {}={}", variable.0, variable.1).unwrap();
        self.note(line, &ended)
    }

    fn note(&mut self, line: &str, ended: &Ended) -> &mut Self {
        let code = ended.code.unwrap();
        writeln!(self.text, "$ importwatch {line}\n[exit code {code}]").unwrap();
        for (name, printed) in [("stdout", &ended.out), ("stderr", &ended.err)] {
            if !printed.is_empty() {
                writeln!(self.text, "[{name}]\n{}", printed.trim_end_matches('\n')).unwrap();
                assert!(printed.ends_with('\n'), "{line}: {printed:?}");
            }
        }
        self.text.push('\n');
        self
    }

    /// The text without what differs from one run to the next.
    pub(crate) fn stable(&self) -> String {
        let home = self.home.path("");
        let home = home.to_str().unwrap().trim_end_matches('/');
        let text = self.text.replace(home, "/home/u");
        let pid = format!("process {}", std::process::id());
        let text = text.replace(&pid, "process PID");
        // Which of the two it is depends on whether the tests run as root.
        let text = text.replace("chmod 640", "chmod 600");
        let lines: Vec<_> = text.lines().map(without_times).collect();
        lines.join("\n")
    }
}

/// `line` with each clock time and date as TIME; how long ago ids were made changes every day.
fn without_times(line: &str) -> String {
    if line.trim_start().starts_with("created ") {
        return "  created     TIME".to_owned();
    }
    let mut rest = line;
    let mut stable = String::new();
    while let Some(c) = rest.chars().next() {
        let length = time_at(rest);
        if length == 0 {
            stable.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            stable.push_str("TIME");
            rest = &rest[length..];
        }
    }
    stable
}

/// The length of the date or time at the start of `text`; 0 if there is none.
fn time_at(text: &str) -> usize {
    let matches = |text: &str, form: &str| {
        text.len() >= form.len()
            && form.bytes().zip(text.bytes()).all(|(f, b)| match f {
                b'0' => b.is_ascii_digit(),
                other => other == b,
            })
    };
    let mut length = 0;
    for forms in [
        &["0000-00-00"][..],
        &["T00:00", " 00:00"],
        &[":00"],
        &[".000"],
        &["Z"],
    ] {
        let found = forms.iter().find(|form| matches(&text[length..], form));
        match found {
            Some(form) => length += form.len(),
            None if length == 0 => return 0,
            None => {}
        }
    }
    length
}

/// A home whose settings are good and whose account no one answers for.
fn home() -> Home {
    Home::new("http://127.0.0.1:9", "[notify]\ndesktop = false\n")
}

fn state(home: &Home) -> StateDir {
    StateDir::open(&home.path(".local/state/importwatch")).unwrap()
}

#[test]
fn help() {
    let home = home();
    let mut all = Transcript::of(&home);
    all.call("").call("--version");
    for command in [
        "add",
        "run",
        "daemon",
        "list",
        "show",
        "wait",
        "remove",
        "rejects",
        "check",
        "demo",
        "completions",
        "man",
    ] {
        all.call(&format!("{command} --help"));
    }
    insta::assert_snapshot!(all.text);
}

#[test]
fn arguments() {
    let home = home();
    let mut all = Transcript::of(&home);
    all.call("lst")
        .call("lisst --pending")
        .call("list --pendng")
        .call("list --pending --settled")
        .call("list --import")
        .call("add")
        .call("add --acount shop x")
        .call("add --account Shop x")
        .call("add --import a@b x")
        .call("daemon now")
        .call("show")
        .call("show x --import y")
        .call("remove")
        .call("completions tcsh")
        .call("-q -v list")
        .call("man /dev/null/pages");
    insta::assert_snapshot!(all.stable());
}

#[test]
fn settings() {
    let home = home();
    let mut all = Transcript::of(&home);
    all.call("--config /nowhere/config.toml list");
    for text in [
        "[poll\n",
        "[poll]\nmax_intervall = \"5s\"\n",
        "[poll]\nmax_interval = 60\nbatch_size = \"8\"\n",
        "[accounts.default]\nendpoint = \"us\"\n",
        "[accounts.default]\napi_key = \"two words\"\n",
    ] {
        home.settings(text);
        writeln!(all.text, "# with the settings\n{text}").unwrap();
        all.call("list");
    }
    home.settings("");
    all.call_in("list", ("IMPORTWATCH__POLL__MAX_INTERVAL", "60"))
        .call_in("list", ("IMPORTWATCH__POL__MAX_INTERVAL", "60s"))
        .call_in("list", ("IMPORTWATCH_CONFIG", "/nowhere/config.toml"))
        .call_in("list", ("STATE_DIRECTORY", "/var/lib/elsewhere"));
    insta::assert_snapshot!(all.stable());
}

#[test]
fn without_settings() {
    let home = home();
    fs::remove_file(home.path("config.toml")).unwrap();
    let mut all = Transcript::of(&home);
    all.call_in("list", ("IMPORTWATCH_CONFIG", ""))
        .call_in("-q list", ("IMPORTWATCH_CONFIG", ""))
        .call_in("list --json", ("IMPORTWATCH_CONFIG", ""))
        .call_in("list --imports", ("IMPORTWATCH_CONFIG", ""))
        .call_in("list --pending", ("IMPORTWATCH_CONFIG", ""))
        .call_in("list --import products", ("IMPORTWATCH_CONFIG", ""))
        .call_in("daemon", ("IMPORTWATCH_CONFIG", ""))
        .call_in("add 68ec7ad3e307920f002648c1", ("IMPORTWATCH_CONFIG", ""));
    insta::assert_snapshot!(all.stable());
}

#[test]
fn keys_and_accounts() {
    let home = home();
    let mut all = Transcript::of(&home);
    home.settings("[accounts.shop]\napi_key_file = \"api-key\"\n[accounts.stock]\n");
    all.call("add x")
        .call("add --account shpo x")
        .call("daemon");
    home.settings("[accounts.shop]\napi_key_file = \"api-key\"\n");
    fs::remove_file(home.path("api-key")).unwrap();
    all.call("daemon");
    home.write("api-key", "");
    all.call("daemon");
    home.write("api-key", "app-correct-horse");
    fs::set_permissions(home.path("api-key"), fs::Permissions::from_mode(0o644)).unwrap();
    all.call("daemon");
    home.settings("[accounts.shop]\nca_file = \"ca.pem\"\n");
    all.call_in("daemon", ("IMPORTWATCH_API_KEY", "app-correct-horse"));
    home.write("ca.pem", "none");
    all.call_in("daemon", ("IMPORTWATCH_API_KEY", "app-correct-horse"));
    insta::assert_snapshot!(all.stable());
}

#[test]
fn adding() {
    let home = Home::new(
        "http://127.0.0.1:9",
        "[accounts.shop]\n[notify]\ndesktop = false\n",
    );
    let mut all = Transcript::of(&home);
    let long = "x".repeat(129);
    all.call("add --import products 68ec7ad3e307920f002648c1 two")
        .call("add --import products 68ec7ad3e307920f002648c1")
        .call("add --account shop 68ec7ad3e307920f002648c1")
        .call(&format!("add --import products {long} three"))
        .call(&format!("add {long}"))
        .call("-q add four")
        .call("add - five")
        .call_with("add -", "")
        .call_with(
            "add --import products -",
            "# ids\nsix\nse ven\n{\"code\":0,\"data\":[\"eight\"]}\n",
        )
        .call_with(
            "add --import products -",
            "{\"code\":40127,\"message\":\"no\"}\n[1\n",
        );
    insta::assert_snapshot!(all.stable());
}

#[test]
fn state_directories() {
    let home = home();
    let mut all = Transcript::of(&home);
    // Not even root can make a directory there.
    home.settings("[state]\ndirectory = \"/proc/importwatch\"\n");
    all.call("list");
    home.settings("[state]\ndirectory = \"api-key\"\n");
    all.call("add x");
    home.settings("[state]\ndirectory = \"state\"\n");
    fs::create_dir(home.path("state")).unwrap();
    home.write(
        "state/state.db",
        "This is a text, and no database at all.\n",
    );
    all.call("list").call("list").call("check");
    fs::remove_file(home.path("state/state.db")).unwrap();
    let connection = rusqlite::Connection::open(home.path("state/state.db")).unwrap();
    connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
    all.call("show x");
    drop(connection);
    fs::remove_file(home.path("state/state.db")).unwrap();
    drop(Store::open(&StateDir::open(&home.path("state")).unwrap()).unwrap());
    let connection = rusqlite::Connection::open(home.path("state/state.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    all.call("remove x");
    insta::assert_snapshot!(all.stable());
}

#[test]
fn another_daemon() {
    let home = home();
    let _held = Lock::acquire(&state(&home), Holder::Daemon).unwrap();
    let mut all = Transcript::of(&home);
    all.call("daemon");
    insta::assert_snapshot!(all.stable());
}

#[test]
fn lists() {
    let home = home();
    seed::imports(&mut Store::open(&state(&home)).unwrap());
    let mut all = Transcript::of(&home);
    all.call("list")
        .call("list --imports")
        .call("list --imports --json")
        .call("list --imports --pending")
        .call("list --pending")
        .call("list --import nightly")
        .call("list --import stock --pending")
        .call("list --settled --import stock")
        .call("list --import produtcs")
        .call("list --import zzz")
        .call("list --import nightly@2001-01-01");
    insta::assert_snapshot!(all.stable());
}

#[test]
fn shows() {
    let home = home();
    seed::imports(&mut Store::open(&state(&home)).unwrap());
    let mut all = Transcript::of(&home);
    for id in TOLD {
        all.call(&format!("show {id}"));
    }
    all.call("show --import products")
        .call("show --import nightly")
        .call("show --import stock")
        .call("show --json 68ec7ad3e307920f002648c3")
        .call("show nobody")
        .call("show two\u{a0}words")
        .call("show --import prodcts");
    insta::assert_snapshot!(all.stable());
}

#[test]
fn removals() {
    let home = home();
    seed::imports(&mut Store::open(&state(&home)).unwrap());
    let mut all = Transcript::of(&home);
    all.call("remove nobody")
        .call("remove 68ec7ad3e307920f002648c1 nobody 68ec7ad3e307920f002648c5")
        .call("remove 68ec7ad3e307920f002648c6")
        .call("remove late")
        .call("show late")
        .call("remove --import produtcs")
        .call("remove --import products")
        .call("list --import products")
        .call("remove --import nightly")
        .call("-q remove --import nightly")
        .call("list --imports");
    insta::assert_snapshot!(all.stable());
}

#[test]
fn listed_ids_stay() {
    let home = Home::new(
        "http://127.0.0.1:9",
        "[watch]\nids = [\"68ec7ad3e307920f002648c1\"]\nfiles = [\"ids.txt\", \"more.txt\"]\n",
    );
    home.write("ids.txt", "# comment\nlate\nunknown\n");
    seed::imports(&mut Store::open(&state(&home)).unwrap());
    let mut all = Transcript::of(&home);
    all.call("remove 68ec7ad3e307920f002648c1 late 68ec7ad3e307920f002648c5")
        .call("remove late")
        .call("remove --import nightly")
        .call_in(
            "remove mixed",
            ("IMPORTWATCH__WATCH__IDS", "68ec7ad3e307920f002648c1 mixed"),
        );
    fs::create_dir(home.path("more.txt")).unwrap();
    all.call("remove mixed late");
    insta::assert_snapshot!(all.stable());
}

/// What a person sees is the same for a task, wherever the flags stand.
#[test]
fn common_options_go_before_or_after() {
    let home = home();
    let settings = home.path("config.toml");
    let settings = settings.to_str().unwrap();
    let before = home.run(&["-q", "--config", settings, "list"]);
    let after = home.run(&["list", "--config", settings, "-q"]);
    assert_eq!(before, after);
    assert_eq!(before.code, Some(0));
    let missing = home.run(&["list", "--config", "/nowhere"]);
    assert_eq!(missing, home.run(&["--config", "/nowhere", "list"]));
    assert_eq!(missing.code, Some(2));
}

#[test]
fn manual_pages_and_completions_need_no_settings() {
    let home = home();
    home.settings("not settings");
    let pages = home.path("man");
    let ended = home.run(&["man", pages.to_str().unwrap()]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    for page in [
        "importwatch",
        "importwatch-add",
        "importwatch-list",
        "importwatch-man",
    ] {
        let text = fs::read_to_string(pages.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(&format!(".TH {page} 1")), "{text}");
    }
    assert_eq!(fs::read_dir(&pages).unwrap().count(), 13);
    for (shell, sign) in [
        ("bash", "-F _importwatch importwatch"),
        ("zsh", "#compdef importwatch"),
        (
            "fish",
            "complete --keep-order --exclusive --command importwatch",
        ),
    ] {
        let ended = home.run(&["completions", shell]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        assert!(ended.out.contains(sign), "{shell}: {}", ended.out);
        assert!(ended.out.contains("IMPORTWATCH_COMPLETE"), "{shell}");
    }
}

/// Colours are for terminals alone, and what the server said cannot bring any.
#[test]
fn nothing_that_is_piped_has_an_escape() {
    let home = home();
    seed::imports(&mut Store::open(&state(&home)).unwrap());
    for line in [
        &["list"][..],
        &["list", "--imports"],
        &["show", "mixed"],
        &["show", "--import", "products"],
    ] {
        let ended = home.run(line);
        assert_eq!(ended.code, Some(0));
        assert!(!ended.out.contains('\u{1b}'), "{}", ended.out);
    }
}
