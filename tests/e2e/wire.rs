//! From the documented bodies, over a real socket, through the real program, to the store, the log
//! and the screen.

use std::fs;
use std::time::Duration;

use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan, Rate, RetryAfter, Shape};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::program::KEY;
use crate::stage::{Stage, ended};

/// A documented answer, and what it is to lead to.
struct Case {
    file: &'static str,
    outcome: &'static str,
    /// `succeeded` and `failed`, as the server gave them.
    rows: (Value, Value),
    /// Each failure: kind, row, first and last row, column, value.
    failures: Value,
    /// The level of the log's event.
    level: &'static str,
    notice: &'static [&'static str],
}

fn cases() -> [Case; 4] {
    [
        Case {
            file: "answer-2024-envelope.json",
            outcome: "failed",
            rows: (Value::Null, Value::Null),
            failures: json!([]),
            level: "ERROR",
            notice: &[
                "products: failed, nothing went in",
                "The server gave no reason.",
                "Details: importwatch show --import=products",
            ],
        },
        Case {
            file: "answer-2025-bare-available-partial.json",
            outcome: "partial",
            rows: (json!(1), json!(1)),
            failures: json!([["invalid_row", null, null, null, "no", null]]),
            level: "WARN",
            notice: &[
                "products: 1 of 2 rows did not go in",
                "1 row went in.",
                "Some rows: `no` is required and must have a value; the current value is invalid or the property is…",
                "Details: importwatch show --import=products",
            ],
        },
        Case {
            file: "answer-2025-bare-fail.json",
            outcome: "failed",
            rows: (json!(0), json!(4)),
            failures: json!([
                ["conflict_with_table", null, null, null, "id", "14"],
                ["duplicate_in_import", 2, null, null, "id", "14"],
                ["invalid_row", 4, null, null, "no", null],
            ]),
            level: "ERROR",
            notice: &[
                "products: none of 4 rows went in",
                "Already in the table: id “14”",
                "Twice in the import, the first kept: id “14”",
                "Row 4: `no` is required and must have a value; the current value is invalid or the property is…",
                "Details: importwatch show --import=products",
            ],
        },
        Case {
            file: "answer-2025-envelope-progress.json",
            outcome: "failed",
            rows: (json!(0), json!(2)),
            failures: json!([
                ["block", null, 1, 10, null, null],
                ["block", null, 31, 40, null, null],
            ]),
            level: "ERROR",
            notice: &[
                "products: none of 2 rows went in",
                "Some rows: fail reason",
                "Details: importwatch show --import=products",
            ],
        },
    ]
}

fn body(file: &str) -> Vec<u8> {
    fs::read(format!("tests/wire/{file}")).unwrap()
}

/// The one entry of a documented answer.
fn entry(file: &str) -> Value {
    let body: Value = serde_json::from_slice(&body(file)).unwrap();
    body.get("data").unwrap_or(&body)[0].clone()
}

/// From when the task was added until it settled, as the log tells it.
fn elapsed(listed: &Value) -> String {
    let [added, settled] = ["added_at", "settled_at"].map(|field| {
        let time = listed[field].as_str().unwrap();
        time.parse::<Timestamp>().unwrap()
    });
    let seconds = settled.duration_since(added).as_secs().unsigned_abs();
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// Watches the task to its end, and looks at everything that the user has of it.
fn play(stage: &mut Stage, case: &Case, how: &str) {
    let Case { file, .. } = case;
    let entry = entry(file);
    let id = entry["id"].as_str().unwrap();
    let raw = Ending::Raw(entry.to_string());
    stage.add("products", [(id.to_owned(), ended(raw))]);
    let daemon = stage.daemon(&["--until-settled"]);
    assert_eq!(daemon.wait().code(), Some(0), "{file}, {how}");

    let listed = stage.home.list(&[]);
    let [listed] = &listed[..] else {
        panic!("{listed:?}");
    };
    assert_eq!(listed["id"], id);
    assert_eq!(listed["state"], case.outcome, "{file}, {how}");
    let rows = (listed["succeeded"].clone(), listed["failed"].clone());
    assert_eq!(rows, case.rows, "{file}, {how}");
    let fields = ["kind", "row", "first_row", "last_row", "column", "value"];
    let failures = listed["failures"].as_array().unwrap().iter();
    let failures: Vec<Value> = failures
        .map(|failure| fields.map(|field| failure[field].clone()).into())
        .collect();
    assert_eq!(Value::from(failures), case.failures, "{file}, {how}");
    let reasons = |list: &Value, field: &str| -> Vec<Value> {
        let list = list.as_array().cloned().unwrap_or_default();
        list.iter().map(|one| one[field].clone()).collect()
    };
    assert_eq!(
        reasons(&listed["failures"], "reason"),
        reasons(&entry["fail_detail"], "fail_reason"),
    );

    let events = stage.events("task settled");
    let [event] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(event["level"], case.level, "{file}, {how}");
    for (field, value) in [
        ("task", &json!(id)),
        ("import", &json!("products")),
        ("account", &json!("default")),
        ("outcome", &json!(case.outcome)),
        ("succeeded", &case.rows.0),
        ("failed", &case.rows.1),
        ("elapsed", &json!(elapsed(listed))),
    ] {
        assert_eq!(&event[field], value, "{field}: {file}, {how}");
    }
    assert!(!stage.home.log().contains(KEY));

    let shown = stage.desktop.shown_so_far();
    let [shown] = &shown[..] else {
        panic!("{shown:?}");
    };
    let text = format!("{}\n{}", shown.summary, shown.body);
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        case.notice,
        "{file}, {how}"
    );
    assert_eq!(shown.urgency, "CRITICAL");
    assert_eq!(shown.category, "transfer.error");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_answers_reach_the_store_the_log_and_the_screen() {
    let mut stage = Stage::set().await;
    let control = stage.simulator.control();
    for case in &cases() {
        let verbatim = Fault::Body(body(case.file));
        control.change(|world| world.fault = Some(verbatim));
        play(&mut stage, case, "word for word");
        stage.move_out();
        control.change(|world| world.fault = None);
        for shape in [Shape::Bare, Shape::Envelope, Shape::EnvelopeWithProgress] {
            control.change(|world| world.shape = shape);
            play(&mut stage, case, &format!("{shape:?}"));
            stage.move_out();
        }
    }
}

/// Under `AVAILABLE` nothing but an answer without any sign of a failed row is a success.
#[tokio::test(flavor = "multi_thread")]
async fn a_partial_import_is_never_called_a_success() {
    let mut stage = Stage::set().await;
    let detail =
        json!([{"row": 7, "row_number_start": 0, "row_number_end": 0, "fail_reason": "no"}]);
    let cases = [
        (
            "all",
            json!({"total_count": 9, "success_count": 9, "fail_count": 0, "fail_detail": []}),
            "available",
        ),
        (
            "counted",
            json!({"total_count": 9, "success_count": 8, "fail_count": 1, "fail_detail": detail}),
            "partial",
        ),
        ("count-alone", json!({"fail_count": 1}), "partial"),
        ("detail-alone", json!({"fail_detail": detail}), "partial"),
        (
            "detail-and-no-count",
            json!({"total_count": 9, "success_count": 9, "fail_count": 0, "fail_detail": detail}),
            "partial",
        ),
        (
            "fewer-than-total",
            json!({"total_count": 9, "success_count": 8}),
            "partial",
        ),
        (
            "none",
            json!({"total_count": 9, "success_count": 0, "fail_count": 9}),
            "failed",
        ),
    ];
    for (import, fields, _) in &cases {
        let mut entry = json!({"id": import, "status": "AVAILABLE", "progress": 100});
        let fields = fields.as_object().unwrap().clone();
        entry.as_object_mut().unwrap().extend(fields);
        let plan = ended(Ending::Raw(entry.to_string()));
        stage.add(import, [((*import).to_owned(), plan)]);
    }
    assert!(stage.daemon(&["--until-settled"]).wait().success());
    let shown = stage.desktop.shown_so_far();
    assert_eq!(shown.len(), cases.len(), "{shown:?}");
    let events = stage.events("task settled");
    for (import, _, outcome) in cases {
        let listed = stage.home.list(&["--import", import]);
        assert_eq!(listed[0]["state"], outcome, "{import}");
        let event = events.iter().find(|event| event["import"] == import);
        assert_eq!(event.unwrap()["outcome"], outcome, "{import}");
        let start = format!("{import}: ");
        let shown = shown.iter().find(|shown| shown.summary.starts_with(&start));
        let shown = shown.unwrap();
        let expected = match outcome {
            "available" => ("NORMAL", "transfer.complete"),
            _ => ("CRITICAL", "transfer.error"),
        };
        let signs = (shown.urgency.as_str(), shown.category.as_str());
        assert_eq!(signs, expected, "{shown:?}");
        let success = shown.summary == format!("{import}: all 9 rows went in");
        assert_eq!(success, outcome == "available", "{shown:?}");
    }
}

/// A body that cannot be read, or holds an error, under whatever status: the poll is tried again,
/// and nothing is said of the task until a good answer has come.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_never_an_outcome() {
    let bad_status = |status, file| Fault::Status {
        status,
        headers: Vec::new(),
        body: body(file),
    };
    let faults = [
        (
            "as printed",
            Fault::Body(body("answer-broken-as-printed.txt")),
        ),
        ("error under 200", Fault::Body(body("error-50000.json"))),
        ("error under 500", bad_status(500, "error-50000.json")),
        ("nested under 200", Fault::Body(body("error-nested.json"))),
        (
            "a gateway's page",
            Fault::Body(b"<html>502 Bad Gateway</html>".to_vec()),
        ),
        (
            "the answer to an upload",
            Fault::Body(body("import-answer.json")),
        ),
    ];
    let mut stage = Stage::set().await;
    let control = stage.simulator.control();
    for (name, fault) in faults {
        // The id that the broken body speaks of as failed.
        let id = "68ec7ad3e307920f002648cd";
        control.change(|world| world.fault = Some(fault));
        stage.add("products", [(id.to_owned(), ended(Ending::Available))]);
        let daemon = stage.daemon(&["--until-settled"]);
        stage.asked(3).await;
        let listed = stage.home.list(&[]);
        assert_eq!(listed[0]["state"], "pending", "{name}");
        assert_eq!(listed[0]["failures"], json!([]), "{name}");
        assert_eq!(stage.events("task settled"), [] as [Value; 0], "{name}");
        assert_eq!(stage.desktop.shown_so_far(), [], "{name}");
        control.change(|world| world.fault = None);
        assert_eq!(daemon.wait().code(), Some(0), "{name}");
        assert_eq!(stage.home.list(&[])[0]["state"], "available", "{name}");
        let shown = stage.desktop.shown_so_far();
        assert_eq!(shown.len(), 1, "{name}: {shown:?}");
        assert_eq!(
            shown[0].summary, "products: all 1,000 rows went in",
            "{name}"
        );
        stage.move_out();
    }
}

/// A refused key under HTTP 200, as the vendor answers it: told at once, and the task stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_told_on_the_screen_and_is_no_outcome() {
    let mut stage = Stage::set().await;
    let refused = Fault::Body(body("error-40127-bad-key.json"));
    stage
        .simulator
        .control()
        .change(|world| world.fault = Some(refused));
    stage.add("products", [("a".to_owned(), ended(Ending::Available))]);
    let daemon = stage.daemon(&["--until-settled"]);
    assert_eq!(daemon.wait().code(), Some(4));
    let shown = stage.desktop.shown_so_far();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(shown[0].summary, "account default: the key is refused");
    assert_eq!(shown[0].urgency, "CRITICAL");
    let says = "Cause: ";
    assert!(shown[0].body.contains(says), "{shown:?}");
    assert!(!shown[0].body.contains(KEY), "{shown:?}");
    assert_eq!(stage.home.list(&["--pending"]).len(), 1);
    assert_eq!(stage.events("task settled"), [] as [Value; 0]);
    assert_eq!(stage.events("account refused").len(), 1);
}

/// Over the limit, by HTTP 429 and by the code under HTTP 200: asked less often, and all settles.
#[tokio::test(flavor = "multi_thread")]
async fn rate_limiting_slows_down_and_loses_nothing() {
    for status in [429, 200] {
        let mut stage = Stage::set().await;
        let control = stage.simulator.control();
        control.change(|world| {
            world.rate = Some(Rate {
                requests: 1,
                window: Duration::from_secs(2),
                status,
                retry_after: Some(RetryAfter::Seconds),
                headers: false,
            });
        });
        // It ends only after the refusal, however slowly the daemon starts.
        stage.add("products", [("a".to_owned(), Plan::never(10))]);
        let daemon = stage.daemon(&["--until-settled"]);
        assert!(control.received(2).await);
        control.change(|world| {
            let ends = Plan::ends(10, Duration::ZERO, Ending::Available);
            world.add("a".parse().unwrap(), ends);
        });
        assert_eq!(daemon.wait().code(), Some(0));
        assert_eq!(stage.home.list(&[])[0]["state"], "available");
        let over = stage.events("the account is over its limit; asking less often");
        assert_eq!(over.len(), 1, "{status}");
        let requests = control.requests();
        // The first was answered, and the second came too early.
        let [_, refused, next, ..] = &requests[..] else {
            panic!("{requests:?}");
        };
        let kept_away = next.at.since(refused.at);
        assert!(kept_away >= Duration::from_secs(1), "{status}");
        let shown = stage.desktop.shown_so_far();
        assert_eq!(shown.len(), 1, "{status}: {shown:?}");
        assert_eq!(shown[0].summary, "products: all 10 rows went in");
    }
}

/// A status that no document names leaves the task pending, and is mentioned once.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_status_is_no_outcome() {
    let stage = Stage::set().await;
    // It ends only after it was asked about, however slowly the daemon starts.
    let plan = Plan {
        waiting: "QUEUED".to_owned(),
        ..Plan::never(10)
    };
    stage.add("products", [("a".to_owned(), plan)]);
    let daemon = stage.daemon(&["--until-settled"]);
    let control = stage.simulator.control();
    assert!(control.received(2).await);
    control.change(|world| {
        let ends = Plan::ends(10, Duration::ZERO, Ending::Available);
        world.add("a".parse().unwrap(), ends);
    });
    assert!(daemon.wait().success());
    assert_eq!(stage.home.list(&[])[0]["state"], "available");
    let told = stage.events("a status that is not known yet; the task counts as pending");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["status"], "\"QUEUED\"");
}
