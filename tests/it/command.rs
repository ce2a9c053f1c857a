//! A program of the user's, run for each import's result by the real program.

use std::fs;
use std::path::Path;

use importwatch::account::ApiKey;
use importwatch::simulator::Simulator;
use importwatch::simulator::world::{Ending, Plan};
use serde_json::Value;

use crate::program::{Home, KEY, simulator};

/// A home whose settings run the script `hook`, which says `body`, in the home's directory.
fn home(simulator: &Simulator, body: &str) -> Home {
    let home = Home::new(
        simulator.base_url().as_str(),
        "[log]\nlevel = \"debug\"\nformat = \"json\"\n[notify]\ncommand = [\"/bin/sh\", \"./hook\", \"one argument; $HOME\"]\n",
    );
    let folder = home.path("").display().to_string();
    home.write("hook", &format!("cd '{folder}'\n{body}\n"));
    let settings = fs::read_to_string(home.path("config.toml")).unwrap();
    let hook = home.path("hook").display().to_string();
    home.settings(&settings.replace("./hook", &hook));
    home
}

fn ends(simulator: &Simulator, id: &str, end: Ending) {
    let plan = Plan::ends(10, std::time::Duration::ZERO, end);
    let control = simulator.control();
    control.change(|world| world.add(id.parse().unwrap(), plan));
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_each_import_once_with_its_result_as_json() {
    let simulator = simulator().await;
    let home = home(&simulator, "cat >> told; echo \"$1\" > argument");
    ends(&simulator, "a", Ending::Available);
    ends(&simulator, "b", Ending::Fail { details: vec![] });
    ends(&simulator, "c", Ending::Available);
    home.run(&["add", "--import", "products", "a", "b"]);
    home.run(&["add", "--import", "prices", "c"]);
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let told = lines(&home.path("told"));
    assert_eq!(told.len(), 2);
    let products = told
        .iter()
        .find(|told| told["import"] == "products")
        .unwrap();
    assert_eq!(products["version"], 1);
    assert_eq!(products["summary"], "products: 10 of 20 rows did not go in");
    assert_eq!(products["accounts"], serde_json::json!(["default"]));
    assert_eq!(
        (&products["tasks"], &products["failed"]),
        (&2.into(), &1.into())
    );
    assert_eq!(products["results"][0]["id"], "b");
    // No shell has looked at the argument.
    let argument = fs::read_to_string(home.path("argument")).unwrap();
    assert_eq!(argument, "one argument; $HOME\n");
    // What was told is not told again.
    assert!(home.daemon(&["--until-settled"]).wait().success());
    assert_eq!(lines(&home.path("told")).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_run_when_the_last_pending_task_is_removed() {
    let simulator = simulator().await;
    let home = home(&simulator, "cat >> told; : > done");
    ends(&simulator, "a", Ending::Available);
    simulator
        .control()
        .change(|world| world.add("b".parse().unwrap(), Plan::never(10)));
    home.run(&["add", "--import", "products", "a", "b"]);
    let daemon = home.daemon(&["--until-settled"]);
    home.logged("task settled").await;
    assert!(!home.path("told").exists());
    assert_eq!(home.run(&["remove", "b"]).code, Some(0));
    assert!(daemon.wait().success());
    let told = lines(&home.path("told"));
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["tasks"], &told[0]["available"]),
        (&1.into(), &1.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_does_not_take_is_tried_again_and_said_once() {
    let simulator = simulator().await;
    // It fails twice for one import, and never for the other, which does not wait.
    let home = home(
        &simulator,
        "read -r line\n\
         case $line in *'\"import\":\"bad\"'*) echo x >> tries\n\
         test \"$(wc -l < tries)\" -gt 2 || { printf 'no: \\033[31m%s\\n' \"$line\" >&2; exit 7; } ;; esac\n\
         printf '%s\\n' \"$line\" >> told",
    );
    ends(&simulator, "a", Ending::Available);
    ends(&simulator, "b", Ending::Available);
    home.run(&["add", "--import", "bad", "a"]);
    home.run(&["add", "--import", "good", "b"]);
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let told = lines(&home.path("told"));
    let imports: Vec<_> = told.iter().map(|told| &told["import"]).collect();
    assert_eq!(imports, ["good", "bad"]);
    let first = home.events("the command did not take the result; it is tried again");
    assert_eq!(first.len(), 1);
    assert_eq!(first[0]["level"], "WARN");
    let cause = first[0]["cause"].as_str().unwrap();
    assert!(
        cause.contains("exit status: 7") && cause.contains("no: [31m"),
        "{cause}"
    );
    assert!(cause.len() < 1_000 && !cause.contains('\u{1b}'), "{cause}");
    assert_eq!(
        home.events("the command did not take the result again")
            .len(),
        1
    );
    assert_eq!(
        home.events("the command took the result after all").len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_knows_nothing_of_our_keys() {
    let simulator = simulator().await;
    let home = home(&simulator, "env > environment");
    let settings = fs::read_to_string(home.path("config.toml")).unwrap();
    home.settings(&settings.replace("api_key_file = \"api-key\"\n", ""));
    ends(&simulator, "a", Ending::Available);
    assert_eq!(home.run(&["add", "a"]).code, Some(0));
    let environment = [
        ("IMPORTWATCH_API_KEY", KEY),
        ("IMPORTWATCH_API_KEY_DEFAULT", KEY),
        ("CREDENTIALS_DIRECTORY", "/nowhere"),
        ("NOTIFY_SOCKET", "/nowhere"),
        ("SOMETHING_ELSE", "kept"),
    ];
    let environment = environment.map(|(name, value)| (name, value.as_ref()));
    assert!(
        home.daemon_in(&["--until-settled"], &environment)
            .wait()
            .success()
    );
    let had = fs::read_to_string(home.path("environment")).unwrap();
    let key = ApiKey::new(KEY).unwrap();
    assert!(!had.contains(key.expose()), "{had}");
    assert!(!had.contains("CREDENTIALS_DIRECTORY") && !had.contains("NOTIFY_SOCKET"));
    assert!(had.contains("SOMETHING_ELSE=kept"));
    assert!(!home.log().contains(KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_there_is_said_once_and_its_results_are_kept() {
    let simulator = simulator().await;
    let home = home(&simulator, "cat >> told");
    let settings = fs::read_to_string(home.path("config.toml")).unwrap();
    home.settings(&settings.replace("/bin/sh", "/nowhere/at-all"));
    ends(&simulator, "a", Ending::Available);
    home.run(&["add", "a"]);
    let daemon = home.daemon(&[]);
    home.logged("the command did not take the result again")
        .await;
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    let said = home.events("the command did not take the result; it is tried again");
    assert_eq!(said.len(), 1);
    let cause = said[0]["cause"].as_str().unwrap();
    assert!(
        cause.contains("run /nowhere/at-all, which notify.command names"),
        "{cause}"
    );
    home.settings(&settings);
    assert!(home.daemon(&["--until-settled"]).wait().success());
    assert_eq!(lines(&home.path("told")).len(), 1);
}

mod notifier {
    use std::time::Duration;

    use importwatch::notifier::NotifierError;
    use importwatch::notifier::command::CommandNotifier;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;

    fn shell(script: &str, limit: Duration) -> CommandNotifier {
        let arguments = ["-c", script].map(str::to_owned).to_vec();
        CommandNotifier::new("/bin/sh".to_owned(), arguments, Vec::new(), limit)
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn too_slow_a_program_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!(
            "echo waits; sleep 1000 & echo $! > '{}'; wait",
            pid.display()
        );
        // A slow machine may not have got so far when a short time is over.
        let mut limit = Duration::from_secs(1);
        let child = loop {
            let run = shell(&script, limit).run("{}").await;
            let Err(NotifierError::CommandSlow { said, .. }) = run else {
                panic!("{run:?}");
            };
            let written = std::fs::read_to_string(&pid).unwrap_or_default();
            if let Ok(child) = written.trim().parse() {
                assert_eq!(said, "waits");
                break child;
            }
            limit *= 2;
            assert!(limit < LONG, "never so far: {said}");
        };
        // Whoever adopted it may not have taken note of its end yet.
        while kill(Pid::from_raw(child), None).is_ok() {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            if stat.contains(") Z ") {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn it_need_not_read_and_may_say_anything() {
        let line = "x".repeat(1 << 20);
        shell("exit 0", LONG).run(&line).await.unwrap();
        shell("cat", LONG).run(&line).await.unwrap();
        let run = shell("yes no | head -c 10000000 >&2; exit 3", LONG)
            .run(&line)
            .await;
        let Err(NotifierError::CommandFailed { said, status, .. }) = run else {
            panic!("{run:?}");
        };
        assert_eq!(status.code(), Some(3));
        assert!(
            said.starts_with("no no no") && said.chars().count() <= 300,
            "{said}"
        );
    }

    #[tokio::test]
    async fn what_it_leaves_running_does_not_hold_it_up() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > '{}'", pid.display());
        shell(&script, LONG).run("{}").await.unwrap();
        let child = std::fs::read_to_string(pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        kill(Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}
