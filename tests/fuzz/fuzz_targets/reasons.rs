//! Any text as the reason of a failed row: it is kept as it is, what is found in it is part of it, and
//! nothing of it that a terminal or a desktop would obey reaches a notice.
#![no_main]

use std::time::Duration;

use importwatch::failure::explain;
use importwatch::notice::{
    BODY_LINES_MAX, BODY_MAX, ImportNews, SUMMARY_MAX, TaskNews, import, safe,
};
use importwatch::outcome::{Verdict, judge};
use importwatch::task::{Counts, FailDetail, RowField, Snapshot, Status};
use importwatch::watch::{ImportKey, Standing, Tally};
use libfuzzer_sys::fuzz_target;

/// Numbers of rows as they come: none, zero, small, or anything.
fn number(byte: u8) -> Option<u32> {
    match byte {
        0 => None,
        1 => Some(0),
        255 => Some(u32::MAX),
        other => Some(other.into()),
    }
}

// Six bytes for the numbers, then reasons with 0x01 between them.
fuzz_target!(|input: &[u8]| {
    let Some((numbers, text)) = input.split_at_checked(6) else {
        return;
    };
    let counts = Counts {
        total: number(numbers[0]),
        succeeded: number(numbers[1]),
        failed: number(numbers[2]),
    };
    let row = match number(numbers[3]) {
        None => RowField::Absent,
        Some(0) => RowField::Null,
        Some(row) => RowField::Row(row),
    };
    let text = String::from_utf8_lossy(text);
    let details: Vec<FailDetail> = text
        .split('\u{1}')
        .map(|reason| FailDetail {
            row,
            start: number(numbers[4]),
            end: number(numbers[5]),
            reason: reason.to_owned(),
        })
        .collect();

    for detail in &details {
        let failure = explain(detail.clone(), counts);
        assert_eq!(failure.reason, detail.reason);
        for part in failure.column.iter().chain(&failure.value) {
            assert!(detail.reason.contains(part.as_str()));
        }
        assert_eq!(failure.row.is_some(), matches!(row, RowField::Row(_)));
        assert_eq!(failure.first_row.is_some(), failure.last_row.is_some());
        assert!(failure.first_row <= failure.last_row && failure.first_row != Some(0));
        assert_eq!(failure.kind.as_str().parse(), Ok(failure.kind));
    }
    for most in [0, 1, 2, 13, 300] {
        for shown in [safe::start(&text, most), safe::ends(&text, most)] {
            assert!(shown.chars().count() <= most);
            assert_eq!(safe::one_line(&shown), shown);
        }
    }

    let snapshot = Snapshot {
        status: if numbers[0] % 2 == 0 {
            Status::Fail
        } else {
            Status::Available
        },
        progress: None,
        counts,
        details,
    };
    let Verdict::Settled(settlement) = judge(snapshot) else {
        panic!("these statuses are final");
    };
    let told = Tally {
        available: u64::from(settlement.outcome.as_str() == "available"),
        partial: u64::from(settlement.outcome.as_str() == "partial"),
        failed: u64::from(settlement.outcome.as_str() == "failed"),
        ..Tally::default()
    };
    assert_eq!(told.available, 0, "it names a row that failed");
    let wording = import::wording(&ImportNews {
        key: ImportKey(1),
        import: text.chars().take(60).collect(),
        account: "default".parse().unwrap(),
        told,
        longest: Duration::ZERO,
        standing: Standing::of([&settlement]),
        tasks: vec![TaskNews {
            id: "68ec7ad3e307920f002648cd".parse().unwrap(),
            settlement,
            elapsed: Duration::ZERO,
        }],
    });
    assert!(wording.summary.chars().count() <= SUMMARY_MAX);
    assert_eq!(safe::one_line(&wording.summary), wording.summary);
    assert!(wording.body.chars().count() <= BODY_MAX);
    assert!(wording.body.lines().count() <= BODY_LINES_MAX);
    for line in wording.body.lines() {
        assert_eq!(safe::one_line(line), line);
    }
});
