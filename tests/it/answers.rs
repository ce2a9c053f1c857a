//! Hostile and contradictory answers, played to the real program: what is no answer about a task is no
//! outcome of it, and what is said of one spoils nothing of another.

use std::fmt::Write as _;
use std::time::Duration;

use importwatch::simulator::Simulator;
use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::task::TaskId;

use crate::program::{Home, simulator};

pub(crate) fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

pub(crate) fn ended(end: Ending) -> Plan {
    Plan::ends(10, Duration::ZERO, end)
}

pub(crate) fn home(server: &Simulator) -> Home {
    Home::new(server.base_url().as_str(), "")
}

/// Waits until the server was asked `more` times more.
async fn asked(server: &Simulator, more: u64) {
    let before = server.control().requests().len() as u64;
    assert!(server.control().received(before + more).await);
}

/// Bodies that say nothing of the task "a", whatever they look like.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let good = r#"{"id":"a","status":"AVAILABLE"}"#;
    let deep = "[".repeat(200_000);
    let texts = [
        ("a cut list", format!("[{good}")),
        ("a cut entry", r#"[{"id":"a","status":"FAIL""#.to_owned()),
        ("something behind it", format!("[{good}]]")),
        ("two lists", format!("[{good}][{good}]")),
        ("deep", deep.clone()),
        ("deep and closed", format!("{deep}{}", "]".repeat(200_000))),
        (
            "deep beside it",
            format!(r#"{{"data":[{good}],"x":{deep}}}"#),
        ),
        (
            "a key twice",
            format!(r#"{{"code":0,"data":[{good}],"data":[]}}"#),
        ),
        (
            "an error beside it",
            format!(r#"{{"code":0,"data":[{good}],"error":"no"}}"#),
        ),
        (
            "a code that is no number",
            format!(r#"{{"code":"FINE","data":[{good}]}}"#),
        ),
        (
            "a code too large",
            format!(r#"{{"code":1e400,"data":[{good}]}}"#),
        ),
        (
            "not UTF-8",
            "[{\"id\":\"a\",\"status\":\"FAIL\u{fffd}\"}]".to_owned(),
        ),
        ("one entry and no list", good.to_owned()),
        (
            "counts too large",
            r#"[{"id":"a","status":"FAIL","fail_count":4294967296}]"#.to_owned(),
        ),
        (
            "counts out of range",
            r#"[{"id":"a","status":"FAIL","fail_count":1e999}]"#.to_owned(),
        ),
        (
            "counts as text",
            r#"[{"id":"a","status":"AVAILABLE","fail_count":"0"}]"#.to_owned(),
        ),
        (
            "counts below zero",
            r#"[{"id":"a","status":"AVAILABLE","fail_count":-1}]"#.to_owned(),
        ),
        (
            "a status as a list",
            r#"[{"id":"a","status":["AVAILABLE"]}]"#.to_owned(),
        ),
        (
            "a status twice",
            r#"[{"id":"a","status":"FAIL","status":"AVAILABLE"}]"#.to_owned(),
        ),
        (
            "details as text",
            r#"[{"id":"a","status":"AVAILABLE","fail_detail":""}]"#.to_owned(),
        ),
        (
            "a contradiction",
            r#"[{"id":"a","status":"AVAILABLE"},{"id":"a","status":"FAIL"}]"#.to_owned(),
        ),
        (
            "an id as a number",
            r#"[{"id":7,"status":"FAIL"}]"#.to_owned(),
        ),
        (
            "another id",
            r#"[{"id":"A","status":"FAIL"},{"id":"a ","status":"FAIL"}]"#.to_owned(),
        ),
        ("HTML", format!("<html>{good}</html>")),
    ];
    let mut bodies: Vec<_> = texts.map(|(name, text)| (name, text.into_bytes())).into();
    for (name, body) in &mut bodies {
        if *name == "not UTF-8" {
            let at = body.windows(3).position(|part| part == [0xef, 0xbf, 0xbd]);
            body.splice(at.unwrap()..at.unwrap() + 3, [0xff]);
        }
    }
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_of_a_task_is_no_outcome_of_it() {
    let server = simulator().await;
    let home = home(&server);
    server
        .control()
        .change(|world| world.add(id("a"), ended(Ending::Available)));
    let bodies = bodies();
    server.control().change(|world| {
        let faults = bodies.iter().map(|(_, body)| Fault::Body(body.clone()));
        world.next_faults = faults.collect();
    });
    assert_eq!(home.run(&["add", "a"]).code, Some(0));
    let mut left = bodies.len();
    // A failing account is asked ever more rarely, and a new daemon asks at once.
    while left > 0 {
        let daemon = home.daemon(&[]);
        asked(&server, 1).await;
        home.until("it has been read", || {
            let now = server.control().change(|world| world.next_faults.len());
            now < left
        })
        .await;
        daemon.signal("TERM");
        assert_eq!(daemon.wait().code(), Some(0), "{}", home.log());
        // It may have asked once more before it ended.
        left = server.control().change(|world| world.next_faults.len());
        let (name, _) = &bodies[bodies.len() - left - 1];
        if left > 0 {
            assert_eq!(home.list(&[])[0]["state"], "pending", "{name}");
            assert_eq!(home.count("task settled"), 0, "{name}");
        }
    }
    assert!(home.daemon(&["--until-settled"]).wait().success());
    assert_eq!(home.list(&[])[0]["state"], "available");
    assert_eq!(home.count("task settled"), 1);
}

/// Some entries of an answer cannot be read, and contradict each other, and nobody asked for others:
/// all the rest settles, and each trouble is said once, and once when it is over.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_spoils_no_other_and_is_said_once() {
    let server = simulator().await;
    let home = home(&server);
    server.control().change(|world| {
        for number in 0..20 {
            world.add(id(&format!("good-{number}")), ended(Ending::Available));
        }
        for number in 0..20 {
            let garbled = format!(r#"{{"id":"bad-{number}","status":7}}"#);
            world.add(id(&format!("bad-{number}")), ended(Ending::Raw(garbled)));
        }
        let twice = r#"{"id":"twice","status":"FAIL"},{"id":"twice","status":"AVAILABLE"},
            {"id":"nobody","status":"FAIL"}"#;
        world.add(id("twice"), ended(Ending::Raw(twice.to_owned())));
    });
    let mut ids = String::from("twice\n");
    for number in 0..20 {
        writeln!(ids, "good-{number}\nbad-{number}").unwrap();
    }
    assert_eq!(home.run_with(&["add", "-"], &ids).code, Some(0));
    let daemon = home.daemon(&[]);
    home.until("the good ones settle", || {
        home.list(&["--settled"]).len() == 20
    })
    .await;
    asked(&server, 5).await;
    let pending = home.list(&["--pending"]);
    assert_eq!(pending.len(), 21);
    assert_eq!(
        home.list(&[]).len(),
        41,
        "what nobody asked for is not there"
    );
    assert_eq!(home.count("cannot be read"), 1, "{}", home.log());
    server.control().change(|world| {
        world.add(id("twice"), ended(Ending::Available));
        for number in 0..20 {
            world.add(id(&format!("bad-{number}")), ended(Ending::Available));
        }
    });
    home.until("all settle", || home.list(&["--pending"]).is_empty())
        .await;
    // An event follows its outcome: it may be on its way still.
    home.until("all are told of", || home.count("task settled") >= 41)
        .await;
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    assert_eq!(home.count("cannot be read"), 1, "{}", home.log());
    assert_eq!(home.count("can be read again"), 1, "{}", home.log());
    assert_eq!(home.count("task settled"), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_pending_then_absent_then_back_is_not_missing() {
    let server = simulator().await;
    let home = home(&server);
    let control = server.control();
    control.change(|world| {
        world.add(id("a"), Plan::never(10));
        world.add(id("other"), Plan::never(10));
    });
    home.run(&["add", "a", "other"]);
    let daemon = home.daemon(&[]);
    asked(&server, 3).await;
    control.change(|world| world.forget(&id("a")));
    asked(&server, 4).await;
    assert_eq!(home.list(&["--pending"]).len(), 2);
    control.change(|world| {
        world.add(id("a"), ended(Ending::Available));
        world.add(id("other"), ended(Ending::Available));
    });
    home.until("both settle", || home.list(&["--settled"]).len() == 2)
        .await;
    for task in home.list(&[]) {
        assert_eq!(task["state"], "available");
    }
    drop(daemon);
}

/// One id that the server does not take, among a thousand: it alone is refused, and found by halving.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_id_among_a_thousand_is_found_and_holds_up_no_other() {
    let server = simulator().await;
    let home = home(&server);
    let mut ids = String::new();
    server.control().change(|world| {
        for number in 0..1_000 {
            let task = format!("task-{number}");
            writeln!(ids, "{task}").unwrap();
            world.add(id(&task), ended(Ending::Available));
        }
        world.bad_ids.insert(id("task-617"));
    });
    home.run_with(&["add", "-"], &ids);
    assert!(home.daemon(&["--until-settled"]).wait().success());
    for task in home.list(&[]) {
        let expected = if task["id"] == "task-617" {
            "refused"
        } else {
            "available"
        };
        assert_eq!(task["state"], expected, "{task}");
    }
    let requests = server.control().requests().len();
    assert!(requests <= 40, "{requests} requests");
}

/// A gateway that answers 400 to everything refuses no id, and is asked gently.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_refuses_everything_refuses_no_id() {
    let server = simulator().await;
    let home = home(&server);
    let mut ids = String::new();
    server.control().change(|world| {
        for number in 0..300 {
            let task = format!("task-{number}");
            writeln!(ids, "{task}").unwrap();
            world.add(id(&task), ended(Ending::Available));
        }
        world.fault = Some(Fault::Status {
            status: 400,
            headers: Vec::new(),
            body: b"<html>Bad Request</html>".to_vec(),
        });
    });
    home.run_with(&["add", "-"], &ids);
    let daemon = home.daemon(&[]);
    assert!(server.control().received(12).await);
    assert_eq!(home.list(&["--pending"]).len(), 300);
    assert_eq!(home.count("task settled"), 0);
    assert_eq!(home.count("the poll was refused"), 1, "{}", home.log());
    daemon.signal("TERM");
    daemon.wait();
    server.control().change(|world| world.fault = None);
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let listed = home.list(&[]);
    assert_eq!(listed.len(), 300);
    assert!(listed.iter().all(|task| task["state"] == "available"));
}
