//! The imports: finding one by what a person types, listing them, and saying how one stands.
//!
//! It never counts watches: the numbers are kept up to date by whoever changes a watch.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::store::Store;
use crate::store::error::{Cause, StoreError};
use crate::store::rows::{self, Columns};
use crate::watch::{Import, ImportKey, Standing, Tally};

/// What [`standing`] reads.
pub(super) const STANDING: &str =
    "pending, available, partial, failed, expired, missing, refused, rows_in,
    rows_refused, uncounted_in, uncounted";

pub(super) fn standing(columns: &mut Columns<'_, '_>) -> Result<Standing, Cause> {
    let pending = columns.count()?;
    let settled = Tally {
        available: columns.count()?,
        partial: columns.count()?,
        failed: columns.count()?,
        expired: columns.count()?,
        missing: columns.count()?,
        refused: columns.count()?,
    };
    let (rows_in, rows_failed) = (columns.count()?, columns.count()?);
    let (uncounted_in, uncounted) = (columns.count()?, columns.count()?);
    Ok(Standing {
        pending,
        settled,
        rows_in: (uncounted_in == 0).then_some(rows_in),
        rows_failed: (uncounted == 0).then_some(rows_failed),
    })
}

fn import(columns: &mut Columns<'_, '_>) -> Result<Import, Cause> {
    Ok(Import {
        key: ImportKey(columns.key()),
        name: columns.get()?,
        started_at: columns.time()?,
    })
}

impl Store {
    /// How `import` stands; all zero if it is not there.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn standing(&self, import: ImportKey) -> Result<Standing, StoreError> {
        self.read("read how an import stands", |conn| {
            let sql = format!("SELECT key, {STANDING} FROM import WHERE key = ?1");
            let found = rows::one(conn, &sql, [import.0], "import", |mut c| standing(&mut c))?;
            Ok(found.unwrap_or_default())
        })
    }

    /// How all that is watched stands, taken together.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn standing_of_all(&self) -> Result<Standing, StoreError> {
        self.standing_of_those("read how all imports stand", "true")
    }

    /// How the imports stand of which a task is pending, taken together.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn standing_of_pending(&self) -> Result<Standing, StoreError> {
        self.standing_of_those("read how the pending imports stand", "pending > 0")
    }

    fn standing_of_those(
        &self,
        doing: &'static str,
        condition: &'static str,
    ) -> Result<Standing, StoreError> {
        self.read(doing, |conn| {
            let sums: Vec<_> = STANDING
                .split(',')
                .map(|column| format!("coalesce(sum({column}), 0)"))
                .collect();
            let sums = sums.join(", ");
            let sql = format!("SELECT 0, {sums} FROM import WHERE {condition}");
            let found = rows::one(conn, &sql, [], "import", |mut c| standing(&mut c))?;
            Ok(found.unwrap_or_default())
        })
    }

    /// At most `limit` imports after `after`, with how each stands, in the order in which they were
    /// started. An empty page is the end.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn imports(
        &self,
        after: Option<ImportKey>,
        limit: usize,
    ) -> Result<Vec<(Import, Standing)>, StoreError> {
        self.read("list the imports", |conn| {
            let mut select = conn.prepare_cached(&format!(
                "SELECT key, name, started_at, {STANDING} FROM import
                WHERE key > ?1 AND tasks > 0 ORDER BY key LIMIT ?2"
            ))?;
            let after = after.map_or(0, |key| key.0);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            rows::all(&mut select, (after, limit), "import", |mut columns| {
                Ok((import(&mut columns)?, standing(&mut columns)?))
            })
        })
    }

    /// The import that `text` means: the newest of that name; or, for `NAME@START`, the newest of
    /// that name whose start begins with `START`, in UTC or in `zone`, written as
    /// `2026-11-21T02:00` (as much of `2026-11-21T02:00:05.123` as tells it from the others).
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn find_import(&self, text: &str, zone: &TimeZone) -> Result<Option<Import>, StoreError> {
        self.read("find an import", |conn| {
            let mut select = conn.prepare_cached(
                "SELECT key, name, started_at FROM import
                WHERE name = ?1 AND tasks > 0 ORDER BY key DESC",
            )?;
            let mut newest = |name: &str, start: &str| -> Result<Option<Import>, Cause> {
                let mut rows = select.query([name])?;
                while let Some(row) = rows.next()? {
                    let found = import(&mut Columns::new("import", row)?)?;
                    if starts_with(found.started_at, start, zone) {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            };
            // A name may contain the sign, so the whole text is tried first.
            if let Some(found) = newest(text, "")? {
                return Ok(Some(found));
            }
            match text.rsplit_once('@') {
                Some((name, start)) if !start.is_empty() => newest(name, start),
                _ => Ok(None),
            }
        })
    }
}

fn starts_with(time: Timestamp, text: &str, zone: &TimeZone) -> bool {
    let (text, zones): (&str, &[&TimeZone]) = match text.strip_suffix('Z') {
        Some(text) => (text, &[&TimeZone::UTC]),
        None => (text, &[&TimeZone::UTC, zone]),
    };
    zones.iter().copied().any(|zone| {
        let written = time.to_zoned(zone.clone());
        let written = written.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string();
        written.starts_with(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_matched_in_utc_and_in_the_zone() {
        let time: Timestamp = "2026-11-21T23:30:05Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for good in [
            "2026-11-21T23:30",
            "2026-11-21T23:30:05Z",
            "2026-11-21T23:30:05.000Z",
            "2026-11-22T01:30",
            "2026-11-2",
        ] {
            assert!(starts_with(time, good, &zone), "{good}");
        }
        for bad in [
            "2026-11-21T01",
            "2026-11-22T23",
            "2026-11-22T01:30Z",
            "23:30",
            "2026-11-21T23:30:05.000+00",
        ] {
            assert!(!starts_with(time, bad, &zone), "{bad}");
        }
    }
}
