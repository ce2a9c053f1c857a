//! What people and their scripts do: many commands at once, lists of every make, signals, pipes that
//! break and files that are closed, by the real program.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use importwatch::simulator::world::{Ending, Plan};
use importwatch::store::Store;
use importwatch::store::directory::StateDir;

use crate::program::{Home, simulator};
use crate::store::{at, ids, to};

fn offline() -> Home {
    Home::new("http://127.0.0.1:9", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_processes_at_once_beside_a_daemon() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    simulator.control().change(|world| {
        world.add("first".parse().unwrap(), Plan::never(10));
        for number in 0..20 {
            for n in 0..10 {
                let id = format!("task-{number}-{n}").parse().unwrap();
                world.add(id, Plan::ends(10, Duration::ZERO, Ending::Available));
            }
        }
    });
    home.run(&["add", "--import", "shared", "first"]);
    let daemon = home.daemon(&[]);
    assert!(simulator.control().received(1).await);
    thread::scope(|scope| {
        for number in 0..20 {
            let home = &home;
            scope.spawn(move || {
                let ids: Vec<String> = (0..10).map(|n| format!("task-{number}-{n}")).collect();
                let mut add = vec!["add", "--import", "shared"];
                add.extend(ids.iter().map(String::as_str));
                let added = home.run(&add);
                assert_eq!((added.code, added.err.as_str()), (Some(0), ""), "{added:?}");
                let listed: BTreeSet<String> = home
                    .list(&[])
                    .iter()
                    .map(|task| task["id"].as_str().unwrap().to_owned())
                    .collect();
                assert!(ids.iter().all(|id| listed.contains(id)));
                // Every other one takes one of its tasks away again.
                if number % 2 == 0 {
                    let removed = home.run(&["remove", &ids[0]]);
                    assert_eq!(
                        (removed.code, removed.err.as_str()),
                        (Some(0), ""),
                        "{removed:?}"
                    );
                }
            });
        }
    });
    drop(daemon);
    home.run(&["remove", "first"]);
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let listed = home.list(&[]);
    assert_eq!(listed.len(), 190);
    assert!(listed.iter().all(|task| task["state"] == "available"));
    let imports = home.list(&["--imports"]);
    assert_eq!(imports.len(), 1);
    assert_eq!(imports[0]["tasks"], 190);
}

#[test]
fn a_list_of_every_make_gives_each_id_once() {
    let home = offline();
    let mut list =
        b"\xef\xbb\xbf# a comment\r\nfirst\r\n\r\n   \nsecond\nfirst\r\n--import\n-\n".to_vec();
    list.extend(b"x".repeat(1 << 20));
    list.extend(b"\nlast");
    fs::write(home.path("ids"), list).unwrap();
    let file = File::open(home.path("ids")).unwrap();
    let mut command = home.command(&["add", "--import", "all", "-"]);
    let output = command.stdin(file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let listed = home.list(&[]);
    let ids: Vec<&str> = listed
        .iter()
        .map(|task| task["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["first", "second", "last"]);
    assert_eq!(home.list(&["--imports"])[0]["import"], "all");
    for said_of in [
        "line 7: \"--import\"",
        "line 8: \"-\"",
        "line 9: the line has more",
    ] {
        assert!(said.contains(said_of), "{said}");
    }
    assert!(said.len() < 1_000, "{} bytes", said.len());
}

/// Fills a state with so many watches that what lists them fills a pipe.
fn large(home: &Home, count: usize) -> Store {
    let directory = StateDir::open(&home.path(".local/state/importwatch")).unwrap();
    let mut store = Store::open(&directory).unwrap();
    store.add(&to("all"), &ids(0..count), at(0)).unwrap();
    store
}

#[test]
fn a_reader_that_stops_reading_does_not_let_the_log_grow() {
    let home = offline();
    let mut store = large(&home, 5_000);
    let mut command = home.command(&["list"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // From here on it waits for us to read on.
    assert!(lines.next().unwrap().unwrap().contains("pending"));
    let log = home.path(".local/state/importwatch/state.db-wal");
    let mut sizes = Vec::new();
    for round in 1..=80 {
        let new = ids(round * 5_000..round * 5_000 + 1_000);
        store.add(&to("more"), &new, at(1)).unwrap();
        sizes.push(fs::metadata(&log).unwrap().len());
    }
    // A reader that kept its transaction would let the log grow with all that is written; without one
    // it begins anew whenever it is full.
    assert!(*sizes.last().unwrap() < sizes[0] + 5_000_000, "{sizes:?}");
    assert!(
        sizes[20] - sizes[0] > 2_000_000,
        "too little was written: {sizes:?}"
    );
    let rest = lines.by_ref().take_while(Result::is_ok).count();
    assert_eq!(1 + rest, 85_000);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_pipe_that_breaks_is_no_error() {
    let home = offline();
    drop(large(&home, 3_000));
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["list", "--imports"],
        &["check"],
        &["--help"],
    ] {
        let mut command = home.command(arguments);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut first = [0; 1];
        // The reader may go before the first byte comes, or after it.
        if arguments.len() == 2 {
            drop(out.read(&mut first));
        }
        drop(out);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.contains("panicked") && !said.contains("roken pipe"),
            "{arguments:?}: {said}"
        );
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 2)),
            "{arguments:?}: {code:?} {said}"
        );
    }
}

/// Runs it in a shell that has closed some of its files.
pub(crate) fn closed(home: &Home, arguments: &str, redirections: &str) -> (Option<i32>, String) {
    let program = home.command(&[]);
    let script = format!(
        "exec {} {arguments} {redirections}",
        env!("CARGO_BIN_EXE_importwatch")
    );
    let mut shell = Command::new("/bin/sh");
    shell
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .args(["-c", &script]);
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// What a shell may do to the files of a command: close them, or give it a full disk.
pub(crate) const REDIRECTIONS: [&str; 6] = [
    "<&-",
    ">&-",
    "2>&-",
    "<&- >&- 2>&-",
    "> /dev/full",
    "2> /dev/full",
];

#[test]
fn without_stdin_stdout_or_stderr_a_command_does_its_work() {
    for redirections in REDIRECTIONS {
        let home = offline();
        for arguments in [
            "add one",
            "list",
            "list --json",
            "check",
            "remove one",
            "--help",
        ] {
            let (code, said) = closed(&home, arguments, redirections);
            assert!(
                !said.contains("panicked"),
                "{arguments} {redirections}: {said}"
            );
            assert!(code.is_some(), "{arguments} {redirections}: killed");
            if arguments == "add one" {
                assert_eq!(home.list(&[]).len(), 1, "{redirections}: {said}");
            }
            // The state is not what is written to in place of the output.
            assert_eq!(
                home.run(&["list"]).code,
                Some(0),
                "{arguments} {redirections}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_without_files_settles_all_the_same() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    simulator.control().change(|world| {
        let plan = Plan::ends(10, Duration::ZERO, Ending::Available);
        world.add("one".parse().unwrap(), plan);
    });
    home.run(&["add", "one"]);
    let (code, said) = closed(&home, "daemon --until-settled", "<&- >&- 2>&-");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(home.list(&[])[0]["state"], "available");
}

/// The same command with the system's own answer to an interrupt: whoever runs the tests in the
/// background may have had all of them ignore it.
pub(crate) fn heeding(command: &Command) -> Command {
    let mut heeding = Command::new("env");
    heeding.env_clear().arg("--default-signal=INT");
    let environment = command.get_envs();
    heeding.envs(environment.filter_map(|(name, value)| Some((name, value?))));
    heeding.arg(command.get_program()).args(command.get_args());
    heeding
}

/// Waits until the process is the program: until then, an interrupt may still be ignored.
fn begun(process: u32) {
    let name = format!("/proc/{process}/comm");
    while fs::read_to_string(&name).is_ok_and(|name| name.trim() != "importwatch") {
        thread::sleep(Duration::from_millis(1));
    }
}

/// A signal at any moment of a daemon's life ends it with 0, and of a command leaves nothing by halves.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_at_every_stage() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let mut random = fastrand::Rng::new();
    simulator
        .control()
        .change(|world| world.add("one".parse().unwrap(), Plan::never(10)));
    home.run(&["add", "one"]);
    for round in 0..12 {
        let name = ["TERM", "INT"][round % 2];
        let daemon = home.start(heeding(&home.command(&["daemon"])));
        begun(daemon.id());
        if round % 3 == 0 {
            let asked = simulator.control().requests().len() as u64;
            assert!(simulator.control().received(asked + 1).await);
        }
        thread::sleep(Duration::from_micros(random.u64(0..150_000)));
        daemon.signal(name);
        let status = daemon.wait();
        // Before it listens for signals, one kills it as the system has it.
        let is_killed = std::os::unix::process::ExitStatusExt::signal(&status).is_some();
        assert!(
            status.code() == Some(0) || is_killed,
            "{status:?}: {}",
            home.log()
        );
        assert!(!home.log().contains("panicked"));
    }
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = heeding(&home.command(&["add", "--import", "more", "-"]));
    let mut child = command.stdin(OwnedFd::from(reader)).spawn().unwrap();
    begun(child.id());
    writer.write_all(b"two\nthree\n").unwrap();
    let killed = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    assert!(!child.wait().unwrap().success());
    drop(writer);
    // What had come by then may be watched; nothing else is, and what was there still is.
    let listed = home.list(&[]);
    let ids: Vec<_> = listed.iter().map(|task| task["id"].as_str()).collect();
    let whole = ["one", "two", "three"].map(Some);
    assert!(
        ids.contains(&Some("one")) && ids.iter().all(|id| whole.contains(id)),
        "{ids:?}"
    );
}
