//! What the user sees while the real program runs: which notices are on the screen, in which order,
//! and what becomes of them when the desktop goes, freezes or was never there.

use std::time::Duration;

use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan};
use serde_json::Value;

use crate::desktop::{Shown, eventually};
use crate::program::{Home, simulator};
use crate::stage::{Stage, ended};

fn failed() -> Ending {
    Ending::Fail { details: vec![] }
}

/// Tasks with these names and plans.
fn tasks<const N: usize>(plans: [(&str, Plan); N]) -> [(String, Plan); N] {
    plans.map(|(id, plan)| (id.to_owned(), plan))
}

fn summary(shown: &Shown) -> (&str, &str) {
    (&shown.summary, &shown.urgency)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_imports_the_failed_one_is_told_first() {
    let mut stage = Stage::set().await;
    // Both are known before the first answer, which settles both; the good one came first.
    stage.add("prices", tasks([("a", ended(Ending::Available))]));
    stage.add("stock", tasks([("b", ended(failed()))]));
    assert!(stage.daemon(&["--until-settled"]).wait().success());
    let shown = stage.desktop.shown_so_far();
    let summaries: Vec<_> = shown.iter().map(summary).collect();
    assert_eq!(
        summaries,
        [
            ("stock: none of 1,000 rows went in", "CRITICAL"),
            ("prices: all 1,000 rows went in", "NORMAL"),
        ]
    );
    assert_ne!(shown[0].id, shown[1].id);
}

/// The daemon's tasks settle while there is no notification server, or while it is frozen: polling
/// goes on, and the notices come when it is back.
async fn away(leave: impl Fn(&mut Stage), come_back: impl Fn(&mut Stage)) {
    let mut stage = Stage::set().await;
    leave(&mut stage);
    let slow = Plan::never(1_000);
    stage.add("prices", tasks([("a", ended(Ending::Available))]));
    stage.add("stock", tasks([("b", ended(failed())), ("c", slow)]));
    let daemon = stage.daemon(&[]);
    eventually("the daemon has met the absence", || {
        !stage.events("a notifier is away").is_empty()
    });
    let asked = || -> Vec<String> {
        let requests = stage.simulator.control().requests();
        requests.last().unwrap().ids.clone()
    };
    stage.asked(5).await;
    assert_eq!(asked(), ["c"]);
    assert_eq!(stage.home.list(&["--settled"]).len(), 2);
    eventually("the log has told both", || {
        stage.events("task settled").len() == 2
    });
    come_back(&mut stage);
    let told = [stage.desktop.next_shown(), stage.desktop.next_shown()];
    let summaries: Vec<_> = told.iter().map(summary).collect();
    assert_eq!(
        summaries,
        [
            (
                "stock: 1,000 rows did not go in, 1 task pending",
                "CRITICAL"
            ),
            ("prices: all 1,000 rows went in", "NORMAL"),
        ]
    );
    eventually("the daemon says that the notices go out again", || {
        stage.events("notices are delivered again").len() == 1
    });
    // From then on all is as ever.
    let control = stage.simulator.control();
    control.change(|world| world.add("c".parse().unwrap(), ended(Ending::Available)));
    let last = stage.desktop.next_shown();
    let whole = ("stock: 1,000 of 2,000 rows did not go in", "CRITICAL");
    assert_eq!(summary(&last), whole);
    assert_eq!(last.id, told[0].id);
    assert_eq!(stage.events("a notifier is away").len(), 1);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    assert_eq!(stage.desktop.shown_so_far(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_that_comes_late_has_its_notices_then() {
    let leave = |stage: &mut Stage| stage.desktop.kill_server();
    let come_back = |stage: &mut Stage| stage.desktop.start_server();
    away(leave, come_back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_that_was_frozen_has_its_notices_when_it_thaws() {
    let leave = |stage: &mut Stage| stage.desktop.signal_server("STOP");
    let come_back = |stage: &mut Stage| stage.desktop.signal_server("CONT");
    away(leave, come_back).await;
}

/// What could not be shown before the end is shown by the next daemon.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_daemon_shows_what_the_last_one_could_not() {
    let mut stage = Stage::set().await;
    stage.desktop.kill_server();
    stage.add("stock", tasks([("a", ended(failed()))]));
    let daemon = stage.daemon(&[]);
    eventually("the daemon has met the absence", || {
        !stage.events("a notifier is away").is_empty()
    });
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    stage.desktop.start_server();
    assert!(stage.daemon(&["--until-settled"]).wait().success());
    let shown = stage.desktop.shown_so_far();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(shown[0].summary, "stock: none of 1,000 rows went in");
    assert_eq!(stage.events("task settled").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bus_the_log_tells_all_and_says_so_once() {
    let simulator = simulator().await;
    let home = Home::new(
        simulator.base_url().as_str(),
        "[notify]\ndesktop = \"auto\"\n",
    );
    simulator.control().change(|world| {
        world.add("a".parse().unwrap(), ended(Ending::Available));
        let takes = Duration::from_millis(300);
        world.add("b".parse().unwrap(), Plan::ends(10, takes, failed()));
        world.next_faults.push_back(Fault::Reset);
    });
    home.run(&["add", "a", "b"]);
    assert_eq!(home.daemon(&["--until-settled"]).wait().code(), Some(0));
    let log = home.log();
    assert_eq!(log.matches("no session bus").count(), 1, "{log}");
    assert_eq!(log.matches("task settled").count(), 2, "{log}");
    let states: Vec<Value> = home
        .list(&[])
        .iter()
        .map(|task| task["state"].clone())
        .collect();
    assert_eq!(states, ["available", "failed"]);
}
