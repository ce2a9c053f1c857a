//! The key, searched for in everything that the program writes, shows or hands on: the log at its most
//! talkative, the state, what commands print, notices, and what a child is started with.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan};

use crate::desktop::eventually;
use crate::program::{Ended, KEY};
use crate::stage::{Stage, ended};

/// The key as it is, and as it could be written.
fn forms() -> &'static [(&'static str, Vec<u8>)] {
    static FORMS: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(all_forms);
    &FORMS
}

fn all_forms() -> Vec<(&'static str, Vec<u8>)> {
    let digits = |byte: u8| format!("{byte:02x}").into_bytes();
    let hex = KEY.bytes().flat_map(digits).collect();
    let wide = KEY.bytes().flat_map(|byte| [byte, 0]).collect();
    let reversed = KEY.chars().rev().collect::<String>();
    // The middle of it is enough to give it away, and long enough to be nothing else.
    let part = KEY[6..KEY.len() - 4].to_owned();
    vec![
        ("as it is", KEY.as_bytes().to_vec()),
        ("a part of it", part.into_bytes()),
        ("in capitals", KEY.to_uppercase().into_bytes()),
        ("in hexadecimal", hex),
        ("in UTF-16", wide),
        ("backwards", reversed.into_bytes()),
        ("in base64", base64()),
    ]
}

/// As coreutils has it, without the end, which depends on what follows.
fn base64() -> Vec<u8> {
    let pipe = format!("printf %s '{KEY}' | base64 -w 0");
    let encoded = Command::new("sh").args(["-c", &pipe]).output();
    let encoded = encoded.expect("base64 must be there").stdout;
    assert!(encoded.len() > KEY.len());
    encoded[..encoded.len() - 4].to_vec()
}

/// The form in which the key is in a text, if it is.
fn found(text: &[u8]) -> Option<&'static str> {
    let is_in = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    let found = forms().iter().find(|(_, needle)| is_in(needle));
    found.map(|(form, _)| *form)
}

/// How many places were searched.
#[derive(Default)]
struct Search {
    places: u32,
    bytes: usize,
}

impl Search {
    #[track_caller]
    fn look(&mut self, place: &str, text: &[u8]) {
        self.places += 1;
        self.bytes += text.len();
        assert_eq!(found(text), None, "the key is in {place}");
    }

    #[track_caller]
    fn look_at(&mut self, what: &str, ended: &Ended) {
        self.look(what, ended.out.as_bytes());
        self.look(what, ended.err.as_bytes());
    }

    /// Every file under `folder` but those that hold the key by the user's will.
    fn look_through(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.look_through(&path);
            } else if path.is_file() && !path.ends_with("api-key") {
                self.look(&path.display().to_string(), &fs::read(&path).unwrap());
            }
        }
    }
}

#[test]
fn the_search_finds_what_is_there() {
    for (form, needle) in forms() {
        let text = [b"before ".as_slice(), needle, b" after"].concat();
        assert_eq!(found(&text), Some(*form));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_nowhere() {
    let mut stage = Stage::set().await;
    stage.move_into("command = [\"/bin/sh\", \"HOOK\"]\n");
    let settings = fs::read_to_string(stage.home.path("config.toml")).unwrap();
    let hook = stage.home.path("hook").display().to_string();
    stage.home.settings(&settings.replace("HOOK", &hook));
    let folder = stage.home.path("").display().to_string();
    let script = "tr '\\0' '\\n' < /proc/$$/environ > child-environ
        tr '\\0' '\\n' < /proc/$$/cmdline > child-cmdline
        tr '\\0' '\\n' < /proc/$PPID/cmdline > daemon-cmdline
        cat > child-stdin; ls -l /proc/$$/fd > child-files";
    stage
        .home
        .write("hook", &format!("cd '{folder}'\n{script}\n"));
    // The server may send the key back, wherever it can put a text: that is the server's to know, so
    // it is not sent here. What it may do is fail in every way.
    stage.simulator.control().change(|world| {
        world.next_faults.extend([
            Fault::Reset,
            Fault::Garbage,
            Fault::Body("<html>".into()),
            Fault::Body("{\"code\":50000,\"message\":\"Internal system error\"}".into()),
            Fault::Body("{\"code\":40127,\"message\":\"Developer authentication failed\"}".into()),
        ]);
    });
    stage.add(
        "products",
        [("a".to_owned(), ended(Ending::Fail { details: vec![] }))],
    );
    stage.add("prices", [("b".to_owned(), Plan::never(10))]);
    let mut search = Search::default();
    let mut command = stage.daemon_command(&[]);
    command.arg("-vv").env("RUST_BACKTRACE", "1");
    let daemon = stage.home.start(command);
    // A refused key is said on the desktop, and stops the account until it starts again.
    let refused = stage.desktop.next_shown();
    search.look("a notice", format!("{refused:?}").as_bytes());
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    let mut command = stage.daemon_command(&[]);
    command.arg("-vv");
    let daemon = stage.home.start(command);
    eventually("the result has reached the hook", || {
        stage.home.path("child-files").exists()
    });
    for shown in stage.desktop.shown_so_far() {
        search.look("a notice", format!("{shown:?}").as_bytes());
    }
    // While a log is being written, and what a crash leaves.
    search.look_through(&stage.home.path(".local"));
    daemon.signal("KILL");
    daemon.wait();
    search.look_through(&stage.home.path(""));
    for arguments in [
        &["check"][..],
        &["-vv", "check", "--online"],
        &["list"],
        &["list", "--json"],
        &["show", "a"],
        &["show", "nothing"],
        &["add", "b"],
        &["add", "--account", "nobody", "c"],
        &["remove", "b"],
        &["--help"],
        &["nonsense"],
    ] {
        search.look_at(&arguments.join(" "), &stage.home.run(arguments));
    }
    // A key that cannot be used is not shown either, nor one in a place where none belongs.
    stage.home.write("api-key", &format!("{KEY} and more\n"));
    search.look_at("check", &stage.home.run(&["check"]));
    search.look_at("daemon", &stage.home.run(&["daemon"]));
    stage.home.write("api-key", KEY);
    let log = stage.home.log();
    for said in ["TRACE", "step: poll", "DEBUG", "task settled", "refused"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    println!(
        "the key in {} forms searched for in {} places, {} bytes: nowhere",
        forms().len(),
        search.places,
        search.bytes
    );
}
