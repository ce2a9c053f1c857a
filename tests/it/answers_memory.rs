//! The largest answers that are read, and the largest that are not: how much memory they take.

use std::fmt::Write as _;
use std::time::Duration;

use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::task::{FailDetail, RowField};

use crate::answers::{home, id};
use crate::program::simulator;
use crate::support::{MOST_MEMORY, note_memory};

pub(crate) fn detail(row: u32, reason: String) -> FailDetail {
    FailDetail {
        row: RowField::Row(row),
        start: Some(0),
        end: Some(0),
        reason,
    }
}

/// A thousand failed rows for each of a hundred tasks, as much as a body may hold of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_tasks_with_a_thousand_failed_rows_each_fit_into_little_memory() {
    let server = simulator().await;
    let home = home(&server);
    let mut ids = String::new();
    server.control().change(|world| {
        for number in 0..100 {
            let task = format!("68ec7ad3e307920f{number:08x}");
            writeln!(ids, "{task}").unwrap();
            let details = (1..=1_000).map(|row| {
                let value = u64::from(row) * 1_000_003;
                let reason = format!(
                    "`id` must be unique, but the value '{value}' is duplicated (first at row `1`)."
                );
                detail(row, reason)
            });
            let end = Ending::Fail {
                details: details.collect(),
            };
            world.add(id(&task), Plan::ends(1_000, Duration::ZERO, end));
        }
    });
    home.run_with(&["add", "-"], &ids);
    let daemon = home.daemon(&[]);
    home.until("all settle", || home.count("task settled") == 100)
        .await;
    let peak = daemon.peak_memory();
    note_memory(peak, "a hundred thousand failed rows");
    assert!(peak <= MOST_MEMORY, "{peak} KiB");
    drop(daemon);
    let listed = home.list(&[]);
    assert_eq!(listed.len(), 100);
    for task in listed {
        assert_eq!(task["state"], "failed");
        assert_eq!(task["failures"].as_array().unwrap().len(), 1_000);
    }
}

/// Bodies right below the cap, made of what takes the most memory.
#[tokio::test(flavor = "multi_thread")]
async fn the_worst_answers_fit_into_little_memory() {
    const CAP: usize = 16 << 20;
    let fill = |start: &str, part: &str, end: &str| {
        let many = (CAP - start.len() - end.len()) / part.len();
        let mut body = String::with_capacity(CAP);
        body.push_str(start);
        for _ in 0..many {
            body.push_str(part);
        }
        body.push_str(end);
        body.into_bytes()
    };
    let asked_for: Vec<String> = (0..100).map(|number| format!("t{number}")).collect();
    // Each of the hundred tasks with as many failed rows as fit, short and long.
    let rows = |reason: &str, each: usize| {
        let row = format!(r#"{{"row":1,"fail_reason":"{reason}"}},"#);
        let entries: Vec<String> = asked_for
            .iter()
            .map(|task| {
                let rows = row.repeat(each);
                let rows = rows.trim_end_matches(',');
                format!(r#"{{"id":"{task}","status":"FAIL","fail_detail":[{rows}]}}"#)
            })
            .collect();
        let body = format!("[{}]", entries.join(","));
        assert!(body.len() <= CAP, "{}", body.len());
        body.into_bytes()
    };
    let named = "`c` is '";
    let cases = [
        ("empty entries", fill("[", "{},", "{}]")),
        ("numbers", fill("[", "0,", "0]")),
        ("one text", fill("[\"", "x", "\"]")),
        (
            "one reason",
            fill(
                r#"[{"id":"t0","status":"FAIL","fail_detail":[{"fail_reason":""#,
                "x",
                "\"}]}]",
            ),
        ),
        (
            "empty rows",
            fill(
                r#"[{"id":"t0","status":"FAIL","fail_detail":["#,
                "0,",
                "0]}]",
            ),
        ),
        ("many keys", fill("{", "\"k\":0,", "\"data\":[]}")),
        ("short rows", rows("x", 2_000)),
        (
            "middling rows",
            rows(&format!("{named}{}", "v".repeat(50)), 1_600),
        ),
        (
            "long rows",
            rows(&format!("{named}{}", "v".repeat(8_000)), 20),
        ),
        ("an error", fill(r#"{"code":50000,"message":""#, "x", "\"}")),
        (
            "a spelt out error",
            fill(r#"{"code":50000,"message":"\u0041"#, "x", "\"}"),
        ),
        (
            "a spelt out reason",
            fill(
                r#"[{"id":"t0","status":"FAIL","fail_detail":[{"fail_reason":"\u0041"#,
                "x",
                "\"}]}]",
            ),
        ),
        (
            "a spelt out status",
            fill(r#"[{"id":"t0","status":"\u0041"#, "x", "\"}]"),
        ),
        ("bytes that are no text", vec![0xff; CAP]),
    ];
    let mut most = 0;
    for (name, body) in cases {
        let server = simulator().await;
        let home = home(&server);
        home.run_with(&["add", "-"], &asked_for.join("\n"));
        server
            .control()
            .change(|world| world.fault = Some(Fault::Body(body)));
        let daemon = home.daemon(&[]);
        let is_read = || {
            // The next request is sent when the last answer has been taken in.
            let settled = home.count("task settled");
            server.control().requests().len() >= 2 && settled <= 1 || settled == 100
        };
        home.until(name, is_read).await;
        daemon.signal("STOP");
        let peak = daemon.peak_memory();
        note_memory(peak, name);
        most = most.max(peak);
        drop(daemon);
    }
    assert!(most <= MOST_MEMORY, "{most} KiB");
}
