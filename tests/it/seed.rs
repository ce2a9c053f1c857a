//! A store as it is after some days of use, for what is shown of it.

use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::clock;
use importwatch::failure;
use importwatch::outcome::{Outcome, Settlement};
use importwatch::store::Store;
use importwatch::store::add::{Add, ImportChoice};
use importwatch::store::settle::{Polled, Settled};
use importwatch::task::{Counts, FailDetail, RowField, TaskId};
use jiff::Timestamp;

/// How far each age is from where its wording changes.
const MARGIN: Duration = Duration::from_mins(20);

/// So many hours ago, and [`MARGIN`].
fn hours_ago(hours: u64) -> Timestamp {
    clock::wall() - Duration::from_hours(hours) - MARGIN
}

fn add(store: &mut Store, import: ImportChoice, hours: u64, ids: &[&str]) {
    let add = Add {
        account: AccountName::default_account(),
        import,
        give_up_after: Duration::from_hours(48),
    };
    let ids: Vec<TaskId> = ids.iter().map(|id| id.parse().unwrap()).collect();
    store.add(&add, &ids, hours_ago(hours)).unwrap();
}

fn settle(
    store: &mut Store,
    id: &str,
    hours: u64,
    outcome: Outcome,
    [total, succeeded, failed]: [Option<u32>; 3],
    details: Vec<FailDetail>,
) {
    let counts = Counts {
        total,
        succeeded,
        failed,
    };
    let settlement = Settlement {
        failures: details
            .into_iter()
            .map(|detail| failure::explain(detail, counts))
            .collect(),
        ..Settlement::ours(outcome, counts)
    };
    let settled = Settled {
        id: id.parse().unwrap(),
        settlement,
        polls: 7,
        polled_at: Some(hours_ago(hours)),
    };
    let at = hours_ago(hours);
    assert_eq!(store.settle(&[settled], at, &[]).unwrap(), 1);
}

fn detail(row: RowField, range: (u32, u32), reason: &str) -> FailDetail {
    FailDetail {
        row,
        start: Some(range.0),
        end: Some(range.1),
        reason: reason.to_owned(),
    }
}

const ALL: [Option<u32>; 3] = [Some(1000), Some(1000), Some(0)];
const UNKNOWN: [Option<u32>; 3] = [None; 3];

/// Fills an empty store.
pub(crate) fn imports(store: &mut Store) {
    let nightly = || ImportChoice::New("nightly".to_owned());
    add(store, nightly(), 130, &["again", "late"]);
    settle(store, "again", 100, Outcome::Expired, UNKNOWN, vec![]);
    settle(
        store,
        "late",
        82,
        Outcome::Expired,
        [Some(500), None, None],
        vec![],
    );
    add(
        store,
        nightly(),
        60,
        &["again", "unknown", "refused", "old-block"],
    );
    settle(store, "again", 59, Outcome::Available, ALL, vec![]);
    settle(store, "unknown", 58, Outcome::Missing, UNKNOWN, vec![]);
    settle(store, "refused", 57, Outcome::Refused, UNKNOWN, vec![]);
    let block = |first| detail(RowField::Absent, (first, first + 9), "fail reason");
    settle(
        store,
        "old-block",
        56,
        Outcome::Partial,
        UNKNOWN,
        vec![block(1), block(31)],
    );

    products(store);

    let many: Vec<String> = (0..25).map(|number| format!("stock-{number:02}")).collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).collect();
    add(store, ImportChoice::Named("stock".to_owned()), 20, &ids);
    for (number, id) in ids.into_iter().enumerate() {
        if number % 2 == 0 {
            let none = [Some(10), Some(0), Some(10)];
            settle(store, id, 19, Outcome::Failed, none, vec![]);
        } else {
            settle(store, id, 18, Outcome::Available, ALL, vec![]);
        }
    }
}

/// An import with a task of each kind that the server settles, and two that are pending.
fn products(store: &mut Store) {
    let ids = [
        "68ec7ad3e307920f002648c1",
        "68ec7ad3e307920f002648c2",
        "68ec7ad3e307920f002648c3",
        "mixed",
        "68ec7ad3e307920f002648c5",
        "68ec7ad3e307920f002648c6",
    ];
    add(store, ImportChoice::Named("products".to_owned()), 30, &ids);
    settle(store, ids[0], 29, Outcome::Available, ALL, vec![]);
    settle(store, ids[1], 28, Outcome::Available, ALL, vec![]);
    let conflict = "(1062, \"Duplicate entry '14' for key 'product_feed_090833.id'\")";
    settle(
        store,
        ids[2],
        27,
        Outcome::Failed,
        [Some(4), Some(0), Some(4)],
        vec![detail(RowField::Null, (1, 2), conflict)],
    );
    let twice =
        "`id` must be unique, but the value '\u{1b}[31m14' is duplicated (first at row `1`).";
    let required = "`no` is required and must have a value;\nthe current value is \u{202e}invalid.";
    settle(
        store,
        ids[3],
        26,
        Outcome::Partial,
        [Some(1000), Some(997), Some(3)],
        vec![
            detail(RowField::Row(2), (0, 0), twice),
            detail(RowField::Row(4), (0, 0), required),
            detail(RowField::Row(5), (0, 0), required),
        ],
    );
    let polled = Polled {
        id: ids[4].parse().unwrap(),
        polls: 31,
        polled_at: Some(hours_ago(3)),
        progress: Some(41),
        counts: Counts {
            total: Some(1000),
            ..Counts::default()
        },
    };
    store.record_polls(&[polled]).unwrap();
}
