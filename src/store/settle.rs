//! Writes down what polls brought: outcomes, with their notices yet to be told, and what is known
//! of the tasks that are pending still.
//!
//! It never touches a watch that has an outcome.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::failure::Failure;
use crate::notice::channel::Channel;
use crate::outcome::Settlement;
use crate::store::error::{Cause, StoreError};
use crate::store::tally::{Tally, Weight};
use crate::store::{CHUNK, Store, give_turn};
use crate::task::{Counts, TaskId};

/// An outcome to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The task.
    pub id: TaskId,
    /// What became of it.
    pub settlement: Settlement,
    /// How many answers there were about it, in all.
    pub polls: u32,
    /// When the last of them came.
    pub polled_at: Option<Timestamp>,
}

/// What is known of a task that is still pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    /// The task.
    pub id: TaskId,
    /// How many answers there were about it, in all.
    pub polls: u32,
    /// When the last of them came.
    pub polled_at: Option<Timestamp>,
    /// The progress last claimed, in percent.
    pub progress: Option<u8>,
    /// Its rows, as far as they are known.
    pub counts: Counts,
}

impl Store {
    /// Writes down outcomes that became known at `at`, and for each one row of the outbox for every
    /// one of `channels`; for a channel that tells results, one row for each import that is settled
    /// by that. What of them is not pending (any more) is passed over. Returns how many
    /// were settled.
    ///
    /// A task is settled, with its failures and its rows of the outbox, in one transaction; several
    /// share one as long as it stays below ten thousand rows. After an error those before it may be
    /// settled already; settling all of them again then passes those over.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn settle(
        &mut self,
        settled: &[Settled],
        at: Timestamp,
        channels: &[Channel],
    ) -> Result<usize, StoreError> {
        let mut rest = settled;
        let mut count = 0;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest, channels.len()));
            count += self.write("settle tasks", |tx| {
                let mut tally = Tally::default();
                let mut count = 0;
                // Of each import that this touches, the last watch.
                let mut touched: BTreeMap<i64, i64> = BTreeMap::new();
                for one in now {
                    if let Some((watch, import)) = settle(tx, one, at, channels, &mut tally)? {
                        touched.insert(import, watch);
                        count += 1;
                    }
                }
                tally.apply(tx)?;
                for (import, watch) in touched {
                    conclude(tx, import, watch, at, channels)?;
                }
                Ok(count)
            })?;
            rest = later;
            if !rest.is_empty() {
                give_turn();
            }
        }
        Ok(count)
    }

    /// Writes down what is known of pending tasks; what is not said now stays as it was. What of them is not pending (any more) is passed
    /// over. Ten thousand are one transaction.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn record_polls(&mut self, polled: &[Polled]) -> Result<(), StoreError> {
        for chunk in polled.chunks(CHUNK) {
            self.write("note what was answered", |tx| {
                let mut update = tx.prepare_cached(
                    "UPDATE watch SET polls = ?2, polled_at = ?3,
                        progress = coalesce(?4, progress), total = coalesce(?5, total),
                        succeeded = coalesce(?6, succeeded), failed = coalesce(?7, failed)
                    WHERE id = ?1 AND superseded = 0 AND outcome IS NULL",
                )?;
                for one in chunk {
                    update.execute(params![
                        one.id.to_string(),
                        one.polls,
                        one.polled_at.map(Timestamp::as_millisecond),
                        one.progress,
                        one.counts.total,
                        one.counts.succeeded,
                        one.counts.failed,
                    ])?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// How many of the first of `settled` fit in one transaction; at least one.
fn fitting(settled: &[Settled], channels: usize) -> usize {
    let mut rows = 0;
    let fit = settled.iter().take_while(|one| {
        rows += 1 + channels + one.settlement.failures.len();
        rows <= CHUNK
    });
    fit.count().max(1)
}

/// Notes that an import's result is to be told, if it has one now: nothing of it is pending. The row
/// is that of one of its watches.
fn conclude(
    conn: &Connection,
    import: i64,
    watch: i64,
    at: Timestamp,
    channels: &[Channel],
) -> Result<(), Cause> {
    for channel in channels.iter().filter(|channel| channel.tells_results()) {
        conn.prepare_cached(
            "INSERT INTO outbox (channel, committed_at, watch)
            SELECT ?1, ?2, ?3 FROM import WHERE key = ?4 AND pending = 0",
        )?
        .execute(params![
            channel.as_str(),
            at.as_millisecond(),
            watch,
            import
        ])?;
    }
    Ok(())
}

/// Settles one task, if it is pending; gives its watch and its import then.
fn settle(
    conn: &Connection,
    settled: &Settled,
    at: Timestamp,
    channels: &[Channel],
    tally: &mut Tally,
) -> Result<Option<(i64, i64)>, Cause> {
    let Settlement {
        outcome,
        progress,
        counts,
        failures,
    } = &settled.settlement;
    let stored = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    let rows_in = settled.settlement.rows_in().map(stored);
    let refused = settled.settlement.failed_rows().map(stored);
    let mut update = conn.prepare_cached(
        "UPDATE watch SET polls = ?2, polled_at = ?3, total = ?4, succeeded = ?5, failed = ?6,
            outcome = ?7, settled_at = ?8, rows_in = ?9, rows_refused = ?10,
            progress = coalesce(?11, progress)
        WHERE id = ?1 AND superseded = 0 AND outcome IS NULL
        RETURNING seq, import",
    )?;
    let updated: Option<(i64, i64)> = update
        .query_row(
            params![
                settled.id.to_string(),
                settled.polls,
                settled.polled_at.map(Timestamp::as_millisecond),
                counts.total,
                counts.succeeded,
                counts.failed,
                outcome.as_str(),
                at.as_millisecond(),
                rows_in,
                refused,
                progress,
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((watch, import)) = updated else {
        return Ok(None);
    };
    tally.minus(import, Weight::Pending);
    tally.plus(
        import,
        Weight::Settled {
            outcome: *outcome,
            rows_in,
            refused,
        },
    );
    insert_failures(conn, watch, failures)?;
    let mut insert = conn
        .prepare_cached("INSERT INTO outbox (channel, committed_at, watch) VALUES (?1, ?2, ?3)")?;
    for channel in channels.iter().filter(|channel| !channel.tells_results()) {
        insert.execute(params![channel.as_str(), at.as_millisecond(), watch])?;
    }
    Ok(Some((watch, import)))
}

fn insert_failures(conn: &Connection, watch: i64, failures: &[Failure]) -> Result<(), Cause> {
    if failures.is_empty() {
        return Ok(());
    }
    let mut insert = conn.prepare_cached(
        "INSERT INTO failure
            (watch, n, row, first_row, last_row, kind, in_column, value, reason)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (n, failure) in (0_i64..).zip(failures) {
        insert.execute(params![
            watch,
            n,
            failure.row,
            failure.first_row,
            failure.last_row,
            failure.kind.as_str(),
            failure.column,
            failure.value,
            failure.reason,
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::outcome::Outcome;

    fn with_failures(count: usize) -> Settled {
        let failure = Failure {
            row: None,
            first_row: None,
            last_row: None,
            kind: FailureKind::Unknown,
            column: None,
            value: None,
            reason: String::new(),
        };
        Settled {
            id: "x".parse().unwrap(),
            settlement: Settlement {
                outcome: Outcome::Failed,
                progress: None,
                counts: Counts::default(),
                failures: vec![failure; count],
            },
            polls: 1,
            polled_at: None,
        }
    }

    #[test]
    fn a_transaction_stays_small_but_takes_one_task_whole() {
        let small = with_failures(4_996);
        // Its own row counts as well, and is the one too many.
        let slightly_larger = with_failures(4_997);
        assert_eq!(fitting(&[slightly_larger.clone(), slightly_larger], 3), 1);
        let large = with_failures(CHUNK * 2);
        assert_eq!(
            fitting(&[small.clone(), small.clone(), small.clone()], 3),
            2
        );
        assert_eq!(fitting(&[large.clone(), small.clone()], 3), 1);
        assert_eq!(fitting(&[small, large], 3), 1);
    }
}
