//! Reads the entries of an answer and gathers what they say of the ids that were asked.
//!
//! It never keeps an entry that nobody asked for, and never lets a decisive field that cannot be
//! read look as if it were not there: such an entry is unread.

use std::collections::HashMap;

use crate::api::json::{self, Field};
use crate::task::{Counts, FailDetail, RowField, Snapshot, Status, TaskId};

/// The most failed rows that are kept of one entry: twice what one import request can carry.
pub(super) const MAX_FAILURES: usize = 2_000;

/// The most failed rows that are kept of a whole answer, beyond the first of each entry. A batch of
/// a hundred tasks, each of a thousand rows that were all refused, just fits.
const MAX_FAILURES_IN_ALL: usize = 100_000;

/// The longest reason that is kept, in bytes.
pub(super) const MAX_REASON: usize = 8 * 1024;

/// The longest unknown status that is kept, in bytes. Longer than any known one, so that cutting
/// makes none of those.
const MAX_STATUS: usize = 64;

/// No id is longer than this, however it is spelt.
const LONGEST_ID: usize = 6 * TaskId::MAX_LEN + 2;

/// A status that is longer than this is none that is known, however it is spelt.
const LONGEST_STATUS: usize = 1_024;

/// What the entries so far say of the ids asked.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    asked: HashMap<&'a TaskId, Sight>,
    /// Whether there was an entry of which it cannot be said whose it is.
    unidentified: bool,
    /// How many failed rows may still be kept.
    room: usize,
}

#[derive(Debug)]
enum Sight {
    None,
    Read(Snapshot),
    Unread,
}

impl<'a> Entries<'a> {
    pub(super) fn of(asked: &'a [TaskId]) -> Self {
        Self {
            asked: asked.iter().map(|id| (id, Sight::None)).collect(),
            unidentified: false,
            room: MAX_FAILURES_IN_ALL,
        }
    }

    /// Takes one entry.
    pub(super) fn take(&mut self, entry: &str) {
        let Some((id, fields)) = identify(entry) else {
            self.unidentified = true;
            return;
        };
        let Some(sight) = self.asked.get_mut(&id) else {
            return;
        };
        let Ok(snapshot) = snapshot(fields, self.room) else {
            *sight = Sight::Unread;
            return;
        };
        match sight {
            Sight::None => {
                self.room = self.room.saturating_sub(snapshot.details.len());
                *sight = Sight::Read(snapshot);
            }
            Sight::Read(known) if *known == snapshot => {}
            Sight::Read(_) | Sight::Unread => *sight = Sight::Unread,
        }
    }

    /// The ids found with what was said of them, and the ids unread, each in the order of `asked`.
    pub(super) fn finish(mut self, asked: &[TaskId]) -> (Vec<(TaskId, Snapshot)>, Vec<TaskId>) {
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        for id in asked {
            match self.asked.remove(id) {
                Some(Sight::Read(snapshot)) => found.push((id.clone(), snapshot)),
                Some(Sight::Unread) => unread.push(id.clone()),
                // It may have been the one that could not be told.
                Some(Sight::None) if self.unidentified => unread.push(id.clone()),
                Some(Sight::None) | None => {}
            }
        }
        (found, unread)
    }
}

const KEYS: [&str; 6] = [
    "status",
    "progress",
    "total_count",
    "success_count",
    "fail_count",
    "fail_detail",
];

/// Whose entry it is, and its fields in the order of [`KEYS`].
fn identify(entry: &str) -> Option<(TaskId, [Field<'_>; 6])> {
    let [status, progress, total, succeeded, failed, details] = KEYS;
    let keys = ["id", status, progress, total, succeeded, failed, details];
    // What is no object is not given to the reader, whose error would be a copy of it.
    if !entry.starts_with('{') {
        return None;
    }
    let [id, fields @ ..] = json::fields(entry, keys).ok()?;
    let Field::Once(id) = id else { return None };
    if id.len() > LONGEST_ID {
        return None;
    }
    let id: String = serde_json::from_str(id).ok()?;
    Some((id.parse().ok()?, fields))
}

/// That something which decides cannot be read.
struct Undecided;

/// What an entry says.
fn snapshot(fields: [Field<'_>; 6], room: usize) -> Result<Snapshot, Undecided> {
    if fields.iter().any(|field| matches!(field, Field::Twice)) {
        return Err(Undecided);
    }
    let [status, progress, total, succeeded, failed, list] = fields.map(present);
    let status = status.ok_or(Undecided)?;
    let status = if status.len() > LONGEST_STATUS {
        json::beginning(status, MAX_STATUS)
    } else {
        serde_json::from_str(status).ok()
    };
    let status: String = status.ok_or(Undecided)?;
    let status = json::cut(status.into(), MAX_STATUS);
    Ok(Snapshot {
        status: Status::from(status.as_str()),
        progress: progress
            .and_then(json::count)
            .and_then(|percent| u8::try_from(percent).ok())
            .filter(|percent| *percent <= 100),
        counts: Counts {
            total: total.map(count).transpose()?,
            succeeded: succeeded.map(count).transpose()?,
            failed: failed.map(count).transpose()?,
        },
        details: match list {
            Some(list) => details(list, room)?,
            None => Vec::new(),
        },
    })
}

/// The field's value where it has one other than null.
fn present(field: Field<'_>) -> Option<&str> {
    match field {
        Field::Once(value) => Some(value).filter(|value| *value != "null"),
        Field::Absent | Field::Twice => None,
    }
}

fn count(value: &str) -> Result<u32, Undecided> {
    json::count(value).ok_or(Undecided)
}

fn details(list: &str, room: usize) -> Result<Vec<FailDetail>, Undecided> {
    if !list.starts_with('[') {
        return Err(Undecided);
    }
    // The first is kept whatever the room, since that there is one decides.
    let most = room.clamp(1, MAX_FAILURES);
    let mut details = Vec::new();
    let keep = |failure| {
        if details.len() < most {
            details.push(detail(failure));
        }
    };
    json::elements(list, keep).map_err(|_| Undecided)?;
    Ok(details)
}

/// A failed row. An element that cannot be read is one all the same.
fn detail(failure: &str) -> FailDetail {
    let keys = ["row", "row_number_start", "row_number_end", "fail_reason"];
    let fields = if failure.starts_with('{') {
        json::fields(failure, keys).ok()
    } else {
        None
    };
    let [row, start, end, reason] = fields.unwrap_or([Field::Absent; 4]);
    FailDetail {
        row: match row {
            Field::Once("null") => RowField::Null,
            Field::Once(row) => json::count(row)
                .filter(|row| *row > 0)
                .map_or(RowField::Absent, RowField::Row),
            Field::Absent | Field::Twice => RowField::Absent,
        },
        start: present(start).and_then(json::count),
        end: present(end).and_then(json::count),
        reason: present(reason)
            .and_then(|reason| json::beginning(reason, MAX_REASON))
            .map(|reason| json::cut(reason.into(), MAX_REASON))
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TaskId {
        text.parse().unwrap()
    }

    /// What `entries` say of the ids a and b.
    fn read(entries: &[&str]) -> (Vec<(TaskId, Snapshot)>, Vec<TaskId>) {
        let asked = [id("a"), id("b")];
        let mut read = Entries::of(&asked);
        for entry in entries {
            read.take(entry);
        }
        read.finish(&asked)
    }

    fn found(entry: &str) -> Snapshot {
        match read(&[entry]) {
            (mut found, unread) if found.len() == 1 && unread.is_empty() => found.remove(0).1,
            other => panic!("{entry}: {other:?}"),
        }
    }

    #[test]
    fn a_bare_entry_is_enough() {
        assert_eq!(
            found(r#"{"status":"FAIL","id":"a","fail_detail":null,"fail_count":null,"x":[{}]}"#),
            Snapshot {
                status: Status::Fail,
                progress: None,
                counts: Counts::default(),
                details: Vec::new(),
            }
        );
    }

    #[test]
    fn what_decides_and_cannot_be_read_leaves_the_entry_unread() {
        for fields in [
            r#""progress":1"#,
            r#""status":null"#,
            r#""status":1"#,
            r#""status":["AVAILABLE"]"#,
            r#""status":"\ud800""#,
            r#""status":"AVAILABLE","fail_count":"0""#,
            r#""status":"AVAILABLE","fail_count":-1"#,
            r#""status":"AVAILABLE","fail_count":0.5"#,
            r#""status":"AVAILABLE","fail_count":4294967296"#,
            r#""status":"AVAILABLE","fail_count":1e400"#,
            r#""status":"AVAILABLE","success_count":true"#,
            r#""status":"AVAILABLE","total_count":[]"#,
            r#""status":"AVAILABLE","fail_detail":{}"#,
            r#""status":"AVAILABLE","fail_detail":"[]""#,
            r#""status":"AVAILABLE","fail_detail":0"#,
            r#""status":"AVAILABLE","status":"AVAILABLE""#,
            r#""status":"AVAILABLE","progress":1,"progress":1"#,
            r#""status":"AVAILABLE","fail_detail":[{}],"fail_detail":[]"#,
            r#""status":"AVAILABLE","fail_count":1,"f\u0061il_count":0"#,
        ] {
            let entry = format!(r#"{{"id":"a",{fields}}}"#);
            assert_eq!(read(&[&entry]), (vec![], vec![id("a")]), "{entry}");
        }
    }

    #[test]
    fn odd_progress_is_none() {
        for (json, expected) in [
            ("0", Some(0)),
            ("100", Some(100)),
            ("101", None),
            ("-1", None),
            ("1.5", None),
            ("1e400", None),
            ("\"50\"", None),
            ("[[]]", None),
            ("null", None),
        ] {
            let entry = format!(r#"{{"id":"a","status":"FAIL","progress":{json}}}"#);
            assert_eq!(found(&entry).progress, expected, "{json}");
        }
    }

    #[test]
    fn a_failed_row_counts_however_odd_it_is() {
        let list = r#"[{"row":3,"row_number_start":1,"row_number_end":null,"fail_reason":"r\ud800"},
            {"row":null},{"row":0},{"row":-1,"fail_reason":[97]},{"row":1,"row":2},
            {"row":"7","row_number_start":"1"},1,null,[{"row":9}]]"#;
        let details = found(&format!(
            r#"{{"id":"a","status":"FAIL","fail_detail":{list}}}"#
        ))
        .details;
        let rows: Vec<_> = details.iter().map(|detail| detail.row).collect();
        let mut expected = vec![RowField::Row(3), RowField::Null];
        expected.extend([RowField::Absent; 7]);
        assert_eq!(rows, expected);
        assert_eq!((details[0].start, details[0].end), (Some(1), None));
        assert!(details[0].reason.starts_with("r\u{fffd}"));
        assert!(
            details[1..]
                .iter()
                .all(|d| d.reason.is_empty() && d.start.is_none())
        );
    }

    #[test]
    fn an_entry_that_is_no_ones_may_be_anyones() {
        let good = r#"{"id":"a","status":"FAIL"}"#;
        for other in [
            "1",
            "null",
            r#""b""#,
            "[]",
            "{}",
            r#"{"status":"FAIL"}"#,
            r#"{"id":null,"status":"FAIL"}"#,
            r#"{"id":7,"status":"FAIL"}"#,
            r#"{"id":" b","status":"FAIL"}"#,
            r#"{"id":"c","id":"c","status":"FAIL"}"#,
        ] {
            let (found, unread) = read(&[good, other]);
            assert_eq!(found.len(), 1, "{other}");
            assert_eq!(unread, [id("b")], "{other}");
        }
        let (found, unread) = read(&[good, r#"{"id":"c","status":7}"#]);
        assert_eq!((found.len(), unread.len()), (1, 0));
    }

    #[test]
    fn entries_that_disagree_are_unread() {
        let good = r#"{"id":"a","status":"AVAILABLE"}"#;
        let same = r#"{"status":"AVAILABLE","id":"a","fail_count":null}"#;
        let other = r#"{"id":"a","status":"FAIL"}"#;
        let broken = r#"{"id":"a"}"#;
        assert_eq!(read(&[good, same]).0.len(), 1);
        for entries in [
            &[good, other][..],
            &[good, broken],
            &[broken, good],
            &[good, other, other],
            &[good, other, good],
        ] {
            assert_eq!(read(entries), (vec![], vec![id("a")]), "{entries:?}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let rows = vec!["0"; 3 * MAX_FAILURES].join(",");
        let entry = format!(r#"{{"id":"a","status":"FAIL","fail_detail":[{rows}]}}"#);
        assert_eq!(found(&entry).details.len(), MAX_FAILURES);
        let entry = format!(
            r#"{{"id":"a","status":"{}","fail_detail":[{{"fail_reason":"{}"}}]}}"#,
            "S".repeat(1_000),
            "ä".repeat(100_000)
        );
        let snapshot = found(&entry);
        let reason = &snapshot.details[0].reason;
        assert!((MAX_REASON - 1..=MAX_REASON).contains(&reason.len()) && reason.ends_with('…'));
        assert!(matches!(snapshot.status, Status::Unknown(text) if text.len() <= MAX_STATUS));
    }

    #[test]
    fn an_entry_never_loses_its_only_failed_row_to_the_bound_of_all() {
        let asked: Vec<TaskId> = (0..150).map(|n| id(&n.to_string())).collect();
        let rows = vec!["0"; MAX_FAILURES].join(",");
        let mut read = Entries::of(&asked);
        for id in &asked {
            read.take(&format!(
                r#"{{"id":"{id}","status":"AVAILABLE","fail_detail":[{rows}]}}"#
            ));
        }
        let (found, _) = read.finish(&asked);
        assert_eq!(found.len(), 150);
        assert!(
            found
                .iter()
                .all(|(_, snapshot)| !snapshot.details.is_empty())
        );
        let kept: usize = found
            .iter()
            .map(|(_, snapshot)| snapshot.details.len())
            .sum();
        let full = MAX_FAILURES_IN_ALL / MAX_FAILURES;
        assert_eq!(kept, MAX_FAILURES_IN_ALL + 150 - full);
    }
}
