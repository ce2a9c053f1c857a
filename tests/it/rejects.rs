//! `rejects` by the real program, from what the server answered to the file that is written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use importwatch::failure::explain;
use importwatch::outcome::{Outcome, Settlement};
use importwatch::store::Store;
use importwatch::store::directory::StateDir;
use importwatch::store::settle::Settled;
use importwatch::task::{Counts, FailDetail, RowField};
use jiff::Timestamp;

use crate::program::{Ended, Home};

/// A home with the file `p.csv` of 40 rows, and four tasks of ten rows each:
/// nothing of `a` went in, two rows of `b` did not, some of a block of `c`, and all of `d` did.
fn home() -> Home {
    let home = Home::new("http://127.0.0.1:9", "[state]\ndirectory = \"state\"\n");
    let rows = (1..=40).map(|n| {
        let id = if n == 17 { 15 } else { n };
        format!("{id};\"item {n};\nnext line\";{}\r\n", n * 10)
    });
    let rows: Vec<_> = rows.collect();
    home.write("p.csv", &format!("id;name;price\r\n{}", rows.concat()));
    let path = home.path("p.csv");
    let added = home.run(&[
        "add",
        "--import",
        "products",
        "--source",
        path.to_str().unwrap(),
        "--chunk",
        "10",
        "a",
        "b",
        "c",
        "d",
    ]);
    assert_eq!(added.code, Some(0), "{added:?}");
    settle(
        &home,
        "a",
        [10, 0, 10],
        &[(
            RowField::Null,
            1,
            2,
            "(1062, \"Duplicate entry '7' for key 't.id'\")",
        )],
    );
    settle(
        &home,
        "b",
        [10, 8, 2],
        &[
            (
                RowField::Row(7),
                0,
                0,
                "`id` must be unique, but the value '15' is duplicated (first at row `5`).",
            ),
            (
                RowField::Row(9),
                0,
                0,
                "`name` is required\u{1b}[31m and must have a value.",
            ),
        ],
    );
    settle(
        &home,
        "c",
        [10, 7, 3],
        &[(RowField::Absent, 1, 10, "fail reason")],
    );
    settle(&home, "d", [10, 10, 0], &[]);
    home
}

fn settle(home: &Home, id: &str, counts: [u32; 3], details: &[(RowField, u32, u32, &str)]) {
    let [total, succeeded, failed] = counts.map(Some);
    let counts = Counts {
        total,
        succeeded,
        failed,
    };
    let detail = |(row, start, end, reason): &(RowField, u32, u32, &str)| FailDetail {
        row: *row,
        start: Some(*start),
        end: Some(*end),
        reason: (*reason).to_owned(),
    };
    let failures = details.iter().map(|entry| explain(detail(entry), counts));
    let settlement = Settlement {
        outcome: match (succeeded, failed) {
            (_, Some(0)) => Outcome::Available,
            (Some(0), _) => Outcome::Failed,
            _ => Outcome::Partial,
        },
        counts,
        progress: None,
        failures: failures.collect(),
    };
    let dir = StateDir::open(&home.path("state")).unwrap();
    let mut store = Store::open(&dir).unwrap();
    let at = "2026-11-22T09:00:00Z".parse::<Timestamp>().unwrap();
    let settled = Settled {
        polls: 1,
        polled_at: Some(at),
        settlement,
        ..crate::store::settled(&id.parse().unwrap(), Outcome::Failed, vec![])
    };
    assert_eq!(store.settle(&[settled], at, &[]).unwrap(), 1);
}

fn rejects(home: &Home, more: &[&str]) -> Ended {
    let all: Vec<_> = ["rejects", "--import", "products"]
        .iter()
        .chain(more)
        .copied()
        .collect();
    let mut ended = home.run(&all);
    let folder = home.path("").to_str().unwrap().to_owned();
    ended.err = ended.err.replace(&folder, "/home/u/");
    ended
}

fn shown(ended: &Ended) -> String {
    format!(
        "[exit code {}]\n[stdout]\n{}\n[stderr]\n{}",
        ended.code.unwrap(),
        ended.out.replace('\r', "\\r"),
        ended.err
    )
}

#[test]
fn the_rows_that_failed_as_they_stand_in_the_source() {
    insta::assert_snapshot!(shown(&rejects(&home(), &[])));
}

#[test]
fn as_lines_of_json_and_as_requests() {
    let home = home();
    let lines = rejects(&home, &["--format", "jsonl", "-q"]);
    let requests = rejects(
        &home,
        &["--format", "request", "--table", "673af861ed69656ac0895b07"],
    );
    let without = rejects(&home, &["--format", "request"]);
    insta::assert_snapshot!(
        [lines, requests, without]
            .map(|ended| shown(&ended))
            .join("\n")
    );
}

#[test]
fn a_file_is_whole_private_and_never_the_source() {
    let home = home();
    let (source, output) = (home.path("p.csv"), home.path("out.csv"));
    let (source, output) = (source.to_str().unwrap(), output.to_str().unwrap());
    let same = rejects(&home, &["--output", source]);
    assert_eq!(same.code, Some(2));
    assert!(same.err.contains("is the source itself"), "{same:?}");
    let link = home.path("link.csv");
    std::os::unix::fs::symlink(source, &link).unwrap();
    assert_eq!(
        rejects(&home, &["--output", link.to_str().unwrap()]).code,
        Some(2)
    );
    assert_eq!(fs::read_to_string(source).unwrap().lines().count(), 81);

    let written = rejects(&home, &["--output", output]);
    assert_eq!((written.code, written.out.as_str()), (Some(0), ""));
    let mode = fs::metadata(output).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        fs::read_to_string(output).unwrap(),
        rejects(&home, &["-q"]).out
    );
    let missing = rejects(&home, &["--output", "/nowhere/out.csv"]);
    assert_eq!(missing.code, Some(2));
}

#[test]
fn a_source_that_changed_is_refused_unless_forced() {
    let home = home();
    let source = home.path("p.csv");
    let text = fs::read_to_string(&source).unwrap();
    let copy = home.path("copy.csv");
    fs::write(&copy, &text).unwrap();
    fs::write(&source, format!("{text}41;x;1\r\n")).unwrap();
    let refused = rejects(&home, &[]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
    assert!(refused.err.contains("has changed since"), "{refused:?}");
    let forced = rejects(&home, &["--force"]);
    assert_eq!(forced.code, Some(0));
    // A copy of what it was is as good.
    let copied = rejects(&home, &["--source", copy.to_str().unwrap()]);
    assert_eq!((copied.code, copied.out), (Some(0), forced.out));
}

#[test]
fn what_is_not_known_is_an_error_that_says_what_to_do() {
    let home = home();
    for (arguments, code, said) in [
        (vec!["rejects"], 2, "required"),
        (
            vec!["rejects", "--import", "product"],
            2,
            "did you mean \"products\"?",
        ),
        (vec!["rejects", "zzz"], 2, "is not watched"),
        (vec!["rejects", "d"], 0, "no rows failed"),
    ] {
        let ended = home.run(&arguments);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains(said), "{ended:?}");
    }
    home.run(&["add", "--import", "other", "e"]);
    settle(&home, "e", [10, 9, 1], &[(RowField::Row(3), 0, 0, "bad")]);
    let unknown = home.run(&["rejects", "e"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("name it with --source"), "{unknown:?}");
    let source = home.path("p.csv");
    let named = home.run(&["rejects", "e", "--source", source.to_str().unwrap()]);
    assert_eq!(named.code, Some(0), "{named:?}");
    assert!(named.out.contains(";row;3;\"item 3;"), "{named:?}");
    assert!(named.err.contains("it is not known whether"), "{named:?}");
}

#[test]
fn what_was_submitted_is_held_against_what_was_counted() {
    let home = home();
    let fine = home.run(&["list", "--imports"]);
    assert_eq!((fine.code, fine.err.as_str()), (Some(0), ""));
    // The id of the last ten rows was lost, and of the first ten the server has seen nine.
    let source = home.path("p.csv");
    let source = source.to_str().unwrap();
    let chunk = ["--source", source, "--chunk", "10", "x", "y", "z"];
    home.run(&[&["add", "--import", "short"][..], &chunk].concat());
    settle(&home, "x", [9, 9, 0], &[]);
    let doubts = [
        "does not add up: of 1 task the server counted 9 rows, where 10 were submitted",
        "does not add up: 10 rows of the source in no task that was added",
    ];
    let listed = home.run(&["list", "--imports"]);
    let told: Vec<_> = listed.err.lines().collect();
    assert_eq!(told, doubts.map(|doubt| format!("short: {doubt}")));
    assert_eq!(listed.out.lines().count(), fine.out.lines().count() + 1);

    let json = home.run(&["list", "--imports", "--json"]).out;
    let reckoned: Vec<_> = json
        .lines()
        .map(|line| {
            let import: serde_json::Value = serde_json::from_str(line).unwrap();
            ["rows_submitted", "rows_untaken", "tasks_differing"]
                .map(|field| import[field].as_u64().unwrap())
        })
        .collect();
    assert_eq!(reckoned, [[40, 0, 0], [30, 10, 1]]);

    let shown = home.run(&["show", "--import", "short"]).out;
    for said in doubts.into_iter().chain(["30 rows of the source"]) {
        assert!(shown.contains(said), "{shown}");
    }
    let shown = home.run(&["show", "--import", "products"]).out;
    let next = "importwatch rejects --import products --output rejected.csv";
    assert!(shown.contains(next) && !shown.contains("add up"), "{shown}");
    // A task that goes leaves no doubt behind: its rows were taken all the same.
    assert_eq!(home.run(&["remove", "b"]).code, Some(0));
    assert_eq!(home.run(&["list", "--imports"]).err, listed.err);
}
