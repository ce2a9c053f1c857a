//! The notice of an import that goes on, many notices as one, and what is kept from the desktop.

use std::time::Duration;

use importwatch::simulator::world::{Ending, Plan};

use crate::desktop::{Shown, eventually};
use crate::stage::{Stage, ended};

fn failed() -> Ending {
    Ending::Fail { details: vec![] }
}

fn partial() -> Ending {
    Ending::Partial {
        failed: 3,
        details: vec![],
    }
}

fn pending(ids: &[&str]) -> Vec<(String, Plan)> {
    let plan = |id: &&str| ((*id).to_owned(), Plan::never(1_000));
    ids.iter().map(plan).collect()
}

fn end(stage: &Stage, id: &str, end: Ending) {
    let control = stage.simulator.control();
    control.change(|world| world.add(id.parse().unwrap(), ended(end)));
}

#[track_caller]
fn check(shown: &Shown, summary: &str, urgency: &str, progress: i32) {
    let found = (
        shown.summary.as_str(),
        shown.urgency.as_str(),
        shown.progress,
    );
    assert_eq!(found, (summary, urgency, progress));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_has_one_notice_that_lives_and_ends_as_its_result() {
    let mut stage = Stage::set().await;
    stage.move_into("progress_after = \"200ms\"\n");
    stage.add("products", pending(&["a", "b", "c", "d"]));
    let daemon = stage.daemon(&["--until-settled"]);
    let first = stage.desktop.next_shown();
    check(&first, "products: 0 of 4 tasks done", "LOW", 0);
    assert!(
        first
            .body
            .starts_with("4 tasks: 4 still pending.\nStarted at ")
    );
    assert_eq!(first.category, "transfer");

    // What goes well waits for the next change of the notice, what does not breaks through.
    end(&stage, "a", Ending::Available);
    let second = stage.desktop.next_shown();
    check(&second, "products: 1 of 4 tasks done", "LOW", 25);
    end(&stage, "b", partial());
    let broken = stage.desktop.next_shown();
    check(
        &broken,
        "products: 3 rows did not go in, 2 tasks pending",
        "CRITICAL",
        -1,
    );
    end(&stage, "c", Ending::Available);
    let joined = stage.desktop.next_shown();
    check(
        &joined,
        "products: 3 of 4 tasks done, 1 not in full",
        "NORMAL",
        75,
    );
    assert!(
        joined
            .body
            .ends_with("Details: importwatch show --import=products")
    );

    end(&stage, "d", failed());
    assert_eq!(daemon.wait().code(), Some(0));
    let last = stage.desktop.next_shown();
    check(
        &last,
        "products: 1,003 of 4,000 rows did not go in",
        "CRITICAL",
        -1,
    );
    assert_eq!(
        last.body.lines().next(),
        Some("2,997 rows went in. 4 tasks: 2 in full, 1 in part, 1 failed.")
    );
    for shown in [&second, &broken, &joined, &last] {
        assert_eq!(shown.id, first.id);
    }
    assert_eq!(stage.desktop.shown_so_far(), []);
    assert_eq!(stage.desktop.on_screen(), 1);
    assert_eq!(stage.events("task settled").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_well_is_shown_once_where_nothing_lives() {
    let mut stage = Stage::set().await;
    stage.move_into("progress_after = \"0s\"\n");
    stage.add("products", pending(&["a", "b"]));
    let daemon = stage.daemon(&["--until-settled"]);
    end(&stage, "a", Ending::Available);
    eventually("the first has settled", || {
        stage.events("task settled").len() == 1
    });
    stage.asked(3).await;
    assert_eq!(stage.desktop.shown_so_far(), []);
    end(&stage, "b", Ending::Available);
    assert_eq!(daemon.wait().code(), Some(0));
    let shown = stage.desktop.next_shown();
    check(&shown, "products: all 2,000 rows went in", "NORMAL", -1);
    assert_eq!(stage.desktop.shown_so_far(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_notice_that_the_user_closes_comes_back_as_the_result_alone() {
    let mut stage = Stage::set().await;
    stage.move_into("progress_after = \"200ms\"\n");
    stage.add("products", pending(&["a", "b"]));
    let daemon = stage.daemon(&["--until-settled"]);
    let living = stage.desktop.next_shown();
    stage.desktop.close(living.id);
    end(&stage, "a", Ending::Available);
    eventually("the first has settled", || {
        stage.events("task settled").len() == 1
    });
    // Longer than a living notice that is on the screen would wait.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(stage.desktop.shown_so_far(), []);
    end(&stage, "b", Ending::Available);
    assert_eq!(daemon.wait().code(), Some(0));
    let shown = stage.desktop.next_shown();
    check(&shown, "products: all 2,000 rows went in", "NORMAL", -1);
    assert_eq!(stage.desktop.on_screen(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_notice_does_not_outlive_the_daemon() {
    let mut stage = Stage::set().await;
    stage.move_into("progress_after = \"200ms\"\n");
    stage.add("products", pending(&["a", "b"]));
    let daemon = stage.daemon(&[]);
    let living = stage.desktop.next_shown();
    check(&living, "products: 0 of 2 tasks done", "LOW", 0);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    assert_eq!(stage.desktop.on_screen(), 0);

    // Of one with failures it is said that nobody watches it any more.
    let daemon = stage.daemon(&[]);
    stage.desktop.next_shown();
    end(&stage, "a", failed());
    check(
        &stage.desktop.next_shown(),
        "products: 1,000 rows did not go in, 1 task pending",
        "CRITICAL",
        -1,
    );
    stage.add("products", pending(&["c"]));
    let going = stage.desktop.next_shown();
    check(
        &going,
        "products: 1 of 3 tasks done, 1 not in full",
        "NORMAL",
        33,
    );
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    let last = stage.desktop.next_shown();
    check(
        &last,
        "products: 1 of 3 tasks done, 1 not in full",
        "NORMAL",
        -1,
    );
    assert!(
        last.body
            .starts_with("2 tasks are pending; watching goes on with the next daemon."),
        "{}",
        last.body
    );
    assert_eq!(stage.desktop.on_screen(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_anew_has_the_living_notice_at_once() {
    let mut stage = Stage::set().await;
    stage.move_into("progress_after = \"200ms\"\n");
    stage.add("products", pending(&["a", "b"]));
    let daemon = stage.daemon(&["--until-settled"]);
    let summary = "products: 0 of 2 tasks done";
    check(&stage.desktop.next_shown(), summary, "LOW", 0);
    stage.desktop.kill_server();
    stage.desktop.start_server();
    check(&stage.desktop.next_shown(), summary, "LOW", 0);
    end(&stage, "a", Ending::Available);
    end(&stage, "b", Ending::Available);
    assert_eq!(daemon.wait().code(), Some(0));
    assert_eq!(stage.desktop.on_screen(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_imports_at_once_are_one_notice() {
    let mut stage = Stage::set().await;
    stage.desktop.kill_server();
    for number in 0..25 {
        let end = match number {
            7 => failed(),
            11 => partial(),
            _ => Ending::Available,
        };
        let task = (format!("task-{number}"), ended(end));
        stage.add(&format!("feed-{number}"), [task]);
    }
    let daemon = stage.daemon(&[]);
    eventually("all has settled", || {
        stage.events("task settled").len() == 25
    });
    stage.desktop.start_server();
    let shown = stage.desktop.next_shown();
    check(
        &shown,
        "25 imports: 2 did not go in whole, 23 went in",
        "CRITICAL",
        -1,
    );
    assert_eq!(
        shown.body.lines().collect::<Vec<_>>(),
        [
            "Not whole: feed-7, feed-11.",
            "Went in: feed-0, feed-1, feed-2 and 20 more.",
            "Details: importwatch list --imports",
        ]
    );
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    // All of it is told, and not told again.
    assert!(stage.daemon(&["--until-settled"]).wait().success());
    assert_eq!(stage.desktop.shown_so_far(), []);
    assert_eq!(stage.desktop.on_screen(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_account_shows_what_failed_or_nothing() {
    let mut stage = Stage::set().await;
    for (quiet, expected) in [
        ("success", &["stock: none of 1,000 rows went in"][..]),
        ("always", &[]),
    ] {
        stage.move_into(&format!(
            "progress_after = \"100ms\"\n[accounts.other]\n\
             api_key_file = \"api-key\"\nbase_url = \"{}\"\nquiet = \"{quiet}\"\n",
            stage.simulator.base_url()
        ));
        for (import, id, plan) in [
            ("prices", "a", ended(Ending::Available)),
            ("stock", "b", ended(failed())),
            ("feed", "c", Plan::never(1_000)),
        ] {
            let control = stage.simulator.control();
            control.change(|world| world.add(id.parse().unwrap(), plan));
            let added = stage
                .home
                .run(&["add", "--account", "other", "--import", import, id]);
            assert_eq!(added.code, Some(0), "{added:?}");
        }
        let daemon = stage.daemon(&["--until-settled"]);
        eventually("two have settled", || {
            stage.events("task settled").len() == 2
        });
        stage.asked(3).await;
        end(&stage, "c", Ending::Available);
        assert_eq!(daemon.wait().code(), Some(0));
        let shown = stage.desktop.shown_so_far();
        let summaries: Vec<_> = shown.iter().map(|shown| shown.summary.as_str()).collect();
        assert_eq!(summaries, expected);
    }
}
