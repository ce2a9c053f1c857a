//! Any bytes as the body of an answer: what is read of them is whole, about what was asked, and bounded.
#![no_main]

use importwatch::api::wire::{self, Said};
use importwatch::outcome::{Verdict, judge};
use importwatch::task::TaskId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let asked: Vec<TaskId> = [
        "a",
        "b",
        "673e9cda9f7bc178002dbd9c",
        "68ec7ad3e307920f002648cd",
    ]
    .map(|id| id.parse().unwrap())
    .to_vec();
    let Ok(said) = wire::read(body, &asked) else {
        return;
    };
    let Said::Tasks(tasks) = said else { return };
    let text = std::str::from_utf8(body).expect("only text is read");
    let whole = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();

    // What is cut off is never taken for whole.
    let mut cut = whole.to_owned();
    cut.pop();
    assert!(wire::read(cut.as_bytes(), &asked).is_err(), "{cut}");

    // Each id is told of at most once.
    let found = tasks.found.iter().map(|(id, _)| id);
    let mut told: Vec<&TaskId> = found.chain(&tasks.unread).collect();
    let count = told.len();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), count);

    let is_spelt_out = !whole.contains('\\');
    for (id, snapshot) in tasks.found {
        assert!(asked.contains(&id));
        assert!(
            !is_spelt_out || whole.contains(&format!("\"{id}\"")),
            "{id}"
        );
        assert!(snapshot.details.len() <= 2_000);
        let details = snapshot.details.len();
        let status = snapshot.status.clone();
        for detail in &snapshot.details {
            assert!(detail.reason.len() <= 8 * 1024);
        }
        if let Verdict::Settled(settlement) = judge(snapshot) {
            assert!(settlement.outcome.is_by_server(), "{status:?}");
            let is_said = whole.contains("\"AVAILABLE\"") || whole.contains("\"FAIL\"");
            assert!(!is_spelt_out || is_said, "{status:?}");
            assert_eq!(settlement.failures.len(), details);
        }
    }
    // An independent reader agrees that it is JSON, as far as it reads at all: it takes neither
    // deep nesting nor numbers out of range, nor half a surrogate pair.
    match serde_json::from_str::<serde_json::Value>(whole) {
        Ok(value) => {
            let list = value.as_array().or_else(|| value.get("data")?.as_array());
            let none = value.get("data").is_some_and(serde_json::Value::is_null);
            assert!(list.is_some() || none, "{whole}");
        }
        Err(error) => assert!(!error.is_eof(), "{whole}"),
    }
});
