//! `add --source`: which rows of a file a task was made of.

use std::fs;

use serde_json::{Value, json};

use crate::program::Home;

/// A home whose server is never asked.
fn home() -> Home {
    Home::new("http://127.0.0.1:9", "")
}

fn csv(home: &Home, name: &str, records: usize) -> String {
    let rows = (1..=records).map(|n| format!("{n},\"item\n{n}\"\n"));
    let rows: Vec<_> = rows.collect();
    home.write(name, &format!("id,name\n{}", rows.concat()));
    home.path(name).to_str().unwrap().to_owned()
}

/// The rows of each task, in the order of adding.
fn rows(home: &Home) -> Vec<(String, Value)> {
    let list = home.list(&[]);
    let rows = |task: &Value| match &task["source"] {
        Value::Null => Value::Null,
        source => json!([source["first_row"], source["last_row"]]),
    };
    let task = |task: &Value| (task["id"].as_str().unwrap().to_owned(), rows(task));
    list.iter().map(task).collect()
}

#[track_caller]
fn check(home: &Home, expected: &[(&str, Value)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(id, rows)| ((*id).to_owned(), rows.clone()))
        .collect();
    assert_eq!(rows(home), expected);
}

#[test]
fn chunks_go_on_where_the_last_addition_ended() {
    let home = home();
    let path = csv(&home, "products.csv", 1050);
    let add = |more: &[&str]| {
        let all: Vec<_> = ["add", "--import", "p", "--source", &path]
            .iter()
            .chain(more)
            .copied()
            .collect();
        home.run(&all)
    };
    let first = add(&["--chunk", "300", "a", "b"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(
        first.out,
        format!("2 tasks added to import p\nmade of rows 1 to 600 of {path}\n")
    );
    // The same again changes nothing, and what is new goes on behind it.
    let second = add(&["--chunk", "300", "a", "b", "c", "d"]);
    assert_eq!(second.code, Some(0), "{second:?}");
    let expected = [
        ("a", json!([1, 300])),
        ("b", json!([301, 600])),
        ("c", json!([601, 900])),
        ("d", json!([901, 1050])),
    ];
    check(&home, &expected);
    let beyond = add(&["--chunk", "300", "e"]);
    assert_eq!(beyond.code, Some(2));
    assert!(
        beyond.err.contains("no row was left for 1 task"),
        "{beyond:?}"
    );
    // Told one by one, it has its rows all the same.
    assert_eq!(add(&["--rows", "1001-1020", "e"]).code, Some(0));
    assert_eq!(rows(&home).last().unwrap().1, json!([1001, 1020]));
    let source = &home.list(&[])[0]["source"];
    assert_eq!(source["path"], json!(fs::canonicalize(&path).unwrap()));
}

#[test]
fn another_import_and_a_changed_file_begin_anew() {
    let home = home();
    let path = csv(&home, "p.csv", 500);
    let add = |import, id| {
        let ended = home.run(&[
            "add", "--import", import, "--source", &path, "--chunk", "100", id,
        ]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    add("p", "a");
    add("q", "b");
    csv(&home, "p.csv", 501);
    add("p", "c");
    let expected = [
        ("a", json!([1, 100])),
        ("b", json!([1, 100])),
        ("c", json!([1, 100])),
    ];
    check(&home, &expected);
}

#[test]
fn no_id_is_lost_to_a_bad_source_or_a_line_that_may_be_a_task() {
    let home = home();
    let path = csv(&home, "p.csv", 500);
    let missing = home.run(&["add", "--import", "p", "--source", "no such.csv", "a"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.err.contains("no such.csv"), "{missing:?}");
    assert_eq!(missing.out, "1 task added to import p\n");
    let utf16 = "\u{feff}i\0d\0";
    home.write("wide.csv", utf16);
    fs::write(home.path("wide.csv"), b"\xff\xfei\0d\0\n\0").unwrap();
    let wide = home.path("wide.csv");
    let wide = home.run(&[
        "add",
        "--import",
        "p",
        "--source",
        wide.to_str().unwrap(),
        "b",
    ]);
    assert_eq!(wide.code, Some(2));
    assert!(wide.err.contains("UTF-16 (little endian)"), "{wide:?}");
    // The file is told later.
    let told = ["add", "--import", "p", "--source", &path, "--chunk", "100"];
    let with = |more: &[&'static str]| -> Vec<&str> { told.iter().chain(more).copied().collect() };
    assert_eq!(home.run(&with(&["a", "b"])).code, Some(0));
    let piped = home.run_with(&with(&["-"]), "c\nUploaded a chunk\nd\n");
    assert_eq!(piped.code, Some(2));
    assert!(piped.err.contains("watched without rows"), "{piped:?}");
    let expected = [
        ("a", json!([1, 100])),
        ("b", json!([101, 200])),
        ("c", json!([201, 300])),
        ("d", Value::Null),
    ];
    check(&home, &expected);
}

#[test]
fn rows_are_for_one_task_and_within_the_file() {
    let home = home();
    let path = csv(&home, "p.csv", 500);
    let add = |rows, id: &[&str]| {
        let all: Vec<_> = ["add", "--source", &path, "--rows", rows]
            .iter()
            .chain(id)
            .copied()
            .collect();
        home.run(&all)
    };
    for bad in ["0-5", "7-6", "7", "a-b"] {
        let ended = add(bad, &["a"]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.err.contains("row 1 is the first"), "{ended:?}");
    }
    assert_eq!(add("1-5", &["a", "b"]).code, Some(2));
    assert_eq!(rows(&home), []);
    let outside = add("501-600", &["a"]);
    assert!(
        outside.err.contains("has no row 501: it has 500 records"),
        "{outside:?}"
    );
    assert_eq!(add("491-600", &["a"]).code, Some(0));
    check(&home, &[("a", json!([491, 500]))]);
}
