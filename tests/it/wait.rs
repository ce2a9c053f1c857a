//! Waiting, by the real program: with a daemon, without one, and as the one comes and goes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use importwatch::simulator::Simulator;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::store::directory::StateDir;
use importwatch::store::lock::{Holder, Lock, LockError};
use serde_json::{Value, json};

use crate::program::{Ended, Home, simulator};

fn plan(simulator: &Simulator, id: &str, end: Ending) {
    let plan = Plan::ends(10, Duration::from_millis(50), end);
    change(simulator, id, plan);
}

fn change(simulator: &Simulator, id: &str, plan: Plan) {
    simulator
        .control()
        .change(|world| world.add(id.parse().unwrap(), plan));
}

fn partial(failed: u32) -> Ending {
    let details = Vec::new();
    Ending::Partial { failed, details }
}

async fn world() -> (Simulator, Home) {
    let simulator = simulator().await;
    plan(&simulator, "good", Ending::Available);
    plan(&simulator, "partly", partial(3));
    plan(&simulator, "bad", Ending::Fail { details: vec![] });
    change(&simulator, "never", Plan::never(10));
    let home = Home::new(simulator.base_url().as_str(), "");
    (simulator, home)
}

/// Who holds the lock of a home, if anyone does.
fn holder(home: &Home) -> Option<Holder> {
    let state = StateDir::open(&home.path(".local/state/importwatch")).unwrap();
    match Lock::acquire(&state, Holder::Wait) {
        Ok(_) | Err(LockError::Unmarked { .. }) => None,
        Err(LockError::Held { holder, .. }) => Some(holder),
        Err(other) => panic!("{other}"),
    }
}

fn lines(ended: &Ended) -> Vec<Value> {
    let lines = ended.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A wait in the background, which dies with the test.
struct Waiting {
    child: Option<Child>,
}

impl Waiting {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let all: Vec<_> = ["wait"].iter().chain(arguments).copied().collect();
        let child = home
            .command(&all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child: Some(child) }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    fn end(mut self) -> Ended {
        self.child
            .take()
            .unwrap()
            .wait_with_output()
            .unwrap()
            .into()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_it_asks_by_itself_and_a_later_daemon_logs_once() {
    let (_simulator, home) = world().await;
    let ended = home.run(&["wait", "--import", "products", "--json", "good", "partly"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(1), ""));
    let lines = lines(&ended);
    let mut tasks: Vec<_> = lines[..2]
        .iter()
        .map(|task| {
            (
                task["id"].as_str().unwrap(),
                task["state"].as_str().unwrap(),
            )
        })
        .collect();
    tasks.sort_unstable();
    assert_eq!(tasks, [("good", "available"), ("partly", "partial")]);
    let whole = json!({
        "import": "products", "tasks": 2, "available": 1, "partial": 1, "failed": 0, "expired": 0,
        "missing": 0, "refused": 0, "pending": 0, "rows_failed": 3, "exit": 1
    });
    assert_eq!(lines[2], whole);
    assert_eq!(holder(&home), None);

    // What it found out is for the next daemon's log, once.
    for _ in 0..2 {
        assert!(home.daemon(&["--until-settled"]).wait().success());
    }
    let log = home.log();
    assert_eq!(log.matches("task settled").count(), 2, "{log}");
    // Who waits for what has settled already gets the same.
    let again = home.run(&["wait", "--import", "products", "--json"]);
    assert_eq!((again.code, again.out.lines().count()), (Some(1), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes() {
    let (simulator, home) = world().await;
    let mut cases = vec![
        (vec!["good"], 0),
        (vec!["partly"], 1),
        (vec!["bad"], 1),
        (vec!["good", "partly", "--max-failed-rows", "3"], 0),
        (vec!["good", "partly", "--max-failed-rows", "2"], 1),
        (vec!["good", "partly", "--max-failed-rows", "15%"], 0),
        (vec!["good", "partly", "--max-failed-rows", "14.9%"], 1),
        (vec!["never", "--timeout", "300ms"], 3),
        (vec!["never", "bad", "--timeout", "600ms"], 3),
        (vec!["never", "bad", "--fail-fast"], 1),
        (
            vec!["never", "bad", "--fail-fast", "--max-failed-rows", "9"],
            1,
        ),
        (vec![], 2),
        (vec!["--import", "unheard-of"], 2),
        (vec!["good", "--max-failed-rows", "many"], 2),
        (vec!["good", "--timeout", "0s"], 2),
        (vec!["good", "--account", "nobody"], 2),
        (vec!["a b"], 2),
        (vec!["a b", "good"], 2),
        (vec!["a b", "partly"], 1),
    ];
    // A server that does not count what failed.
    let entry = json!({"id": "uncounted", "status": "FAIL", "progress": 1});
    plan(&simulator, "uncounted", Ending::Raw(entry.to_string()));
    cases.push((vec!["uncounted", "--max-failed-rows", "100%"], 1));
    cases.push((vec!["uncounted", "--max-failed-rows", "1000000"], 1));
    for (arguments, code) in cases {
        let all: Vec<_> = ["wait"].iter().chain(&arguments).copied().collect();
        let ended = home.run(&all);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(code != 2 || !ended.err.is_empty(), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_expired_is_out_of_time() {
    let (_simulator, home) = world().await;
    let home = Home::new(
        &home_url(&home),
        "[watch]\ngive_up_after = \"1s\"\nmissing_after = \"1s\"\n",
    );
    assert_eq!(home.run(&["wait", "never", "bad"]).code, Some(3));
    let missing = home.run(&[
        "wait",
        "good",
        "unknown",
        "--max-failed-rows",
        "100%",
        "--json",
    ]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
}

fn home_url(home: &Home) -> String {
    let settings = fs::read_to_string(home.path("config.toml")).unwrap();
    let line = settings.lines().find(|line| line.starts_with("base_url"));
    line.unwrap().split('"').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_asked_is_no_failure_of_its_tasks() {
    let (_simulator, home) = world().await;
    home.write("api-key", "app-wrong-key-0123456789");
    let ended = home.run(&["wait", "good"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        ended.err.contains("account default: it cannot be asked"),
        "{ended:?}"
    );
    assert!(!ended.err.contains("wrong-key"), "{ended:?}");
    // Nobody answers there.
    let home = Home::new("http://127.0.0.1:9", "");
    // A slow machine may not have asked, or not have said so, before a short time is over.
    let mut tries = ["1s", "5s", "25s", "2m"]
        .into_iter()
        .map(|time| home.run(&["wait", "good", "--timeout", time]));
    let said = |ended: &Ended| ended.err.contains("account default: it does not answer");
    let ended = tries.find(said).unwrap();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    // Without a key nothing can be asked; the task is on the watch list all the same.
    fs::remove_file(home.path("api-key")).unwrap();
    home.settings("[accounts.default]\n");
    let ended = home.run(&["wait", "other"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("no daemon is running"), "{ended:?}");
    assert_eq!(home.list(&["--pending"]).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_daemon_it_asks_nothing_and_needs_no_key() {
    let (simulator, home) = world().await;
    home.run(&["add", "never"]);
    let _daemon = home.daemon(&[]);
    assert!(simulator.control().received(1).await);
    home.settings(&format!(
        "[accounts.default]\nbase_url = \"{}\"\n",
        simulator.base_url()
    ));
    let ended = home.run(&["wait", "good", "partly", "--max-failed-rows", "3"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("partial  partly"), "{ended:?}");
    assert_eq!(holder(&home), Some(Holder::Daemon));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_takes_over_and_when_it_dies_the_wait_goes_on() {
    let (simulator, home) = world().await;
    let waiting = Waiting::start(&home, &["never", "--json"]);
    assert!(simulator.control().received(1).await);
    assert_eq!(holder(&home), Some(Holder::Wait));
    let daemon = home.daemon(&[]);
    home.until("the daemon has it", || {
        holder(&home) == Some(Holder::Daemon)
    })
    .await;
    let log = home.log();
    assert!(log.contains("an importwatch wait stands in"), "{log}");
    // Another daemon does not get it.
    assert_eq!(home.run(&["daemon"]).code, Some(5));
    let asked = simulator.control().requests().len() as u64;
    assert!(simulator.control().received(asked + 2).await);
    daemon.signal("KILL");
    drop(daemon);
    home.until("the wait has it again", || {
        holder(&home) == Some(Holder::Wait)
    })
    .await;
    plan(&simulator, "never", Ending::Available);
    let ended = waiting.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(lines(&ended).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_waits_one_asks_for_both_and_the_other_takes_its_place() {
    let (simulator, home) = world().await;
    change(&simulator, "second", Plan::never(10));
    let first = Waiting::start(&home, &["never"]);
    assert!(simulator.control().received(1).await);
    let second = Waiting::start(&home, &["second"]);
    // The one that asks does so about the other's, too.
    let asked_about = |id: &str| {
        let requests = simulator.control().requests();
        requests
            .iter()
            .any(|r| r.ids.iter().any(|asked| asked == id))
    };
    home.until("the second is asked about", || asked_about("second"))
        .await;
    first.signal("KILL");
    drop(first);
    plan(&simulator, "second", partial(1));
    let ended = second.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(home.list(&["--pending"])[0]["id"], "never");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupting_it_leaves_everything_watched() {
    for signal in ["INT", "TERM"] {
        let (simulator, home) = world().await;
        let waiting = Waiting::start(&home, &["never", "--json"]);
        assert!(simulator.control().received(1).await);
        waiting.signal(signal);
        let ended = waiting.end();
        assert_eq!(ended.code, Some(130), "{ended:?}");
        let whole = &lines(&ended)[0];
        assert_eq!(
            (&whole["pending"], &whole["exit"]),
            (&json!(1), &json!(130))
        );
        assert_eq!(home.list(&["--pending"]).len(), 1);
        assert_eq!(holder(&home), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_asked_about_while_more_are_read() {
    let (_simulator, home) = world().await;
    let mut waiting = Waiting::start(&home, &["--import", "products", "--json", "-"]);
    let child = waiting.child.as_mut().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    pipe.write_all(b"{\"code\":0,\"message\":\"OK\",\"data\":[\"good\"]}\n")
        .unwrap();
    let first = out.next().unwrap().unwrap();
    assert!(first.contains("\"id\":\"good\""), "{first}");
    pipe.write_all(b"{\"code\":40000,\"message\":\"no\"}\n")
        .unwrap();
    drop(pipe);
    let whole: Value = serde_json::from_str(&out.next().unwrap().unwrap()).unwrap();
    assert_eq!((&whole["tasks"], &whole["exit"]), (&json!(1), &json!(2)));
    let ended = waiting.end();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.contains("line 2: this import was not accepted"),
        "{ended:?}"
    );
    let empty = home.run_with(&["wait", "-"], "\n# nothing\n");
    assert_eq!(empty.code, Some(2), "{empty:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_are_added_to_the_import_are_waited_for_and_removed_ones_are_not() {
    let (simulator, home) = world().await;
    home.run(&["add", "--import", "products", "never"]);
    let waiting = Waiting::start(&home, &["--import", "products"]);
    assert!(simulator.control().received(1).await);
    home.run(&["add", "--import", "products", "bad"]);
    home.until("it settles", || !home.list(&["--settled"]).is_empty())
        .await;
    home.run(&["remove", "never"]);
    let ended = waiting.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("1 task removed"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_told_by_the_wait_itself() {
    let (simulator, home) = world().await;
    let told = home.path("told");
    let told = told.to_str().unwrap();
    let home = Home::new(
        simulator.base_url().as_str(),
        &format!("[notify]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {told}\"]\n"),
    );
    assert_eq!(home.run(&["wait", "--import", "x", "good"]).code, Some(0));
    let before = fs::read_to_string(told).unwrap();
    assert_eq!(before.lines().count(), 1, "{before}");
    assert!(home.daemon(&["--until-settled"]).wait().success());
    assert_eq!(fs::read_to_string(told).unwrap(), before);
}
