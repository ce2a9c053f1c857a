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
/// a hundred tasks, each refused row by row, just fits.
const MAX_FAILURES_IN_ALL: usize = 200_000;

/// The longest reason that is kept, in bytes.
pub(super) const MAX_REASON: usize = 8 * 1024;

/// The longest unknown status that is kept, in bytes. Longer than any known one, so that cutting
/// makes none of those.
const MAX_STATUS: usize = 64;

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
    let [id, fields @ ..] = json::fields(entry, keys).ok()?;
    let Field::Once(id) = id else { return None };
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
    let status: String = status
        .and_then(|status| serde_json::from_str(status).ok())
        .ok_or(Undecided)?;
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
    let [row, start, end, reason] = json::fields(failure, keys).unwrap_or([Field::Absent; 4]);
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
            .and_then(json::text)
            .map(|reason| json::cut(reason.into(), MAX_REASON))
            .unwrap_or_default(),
    }
}
