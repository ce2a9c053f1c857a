//! Keeps the numbers that an import's row holds of its watches, so that nobody has to count a
//! million watches to say how an import stands.
//!
//! It never writes more than one update an import and transaction. Whoever adds, settles or deletes
//! watches says so here, and applies it in the same transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::outcome::Outcome;
use crate::store::error::Cause;
use crate::store::rows::Columns;

/// What a watch counts for in its import.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weight {
    Pending,
    Settled {
        outcome: Outcome,
        /// How many of its rows went in, and how many did not, where that is known.
        rows_in: Option<i64>,
        refused: Option<i64>,
    },
    /// One that gave way to a new watch of the same id: it keeps the import's row alive, no more.
    Superseded,
}

impl Weight {
    /// Reads `superseded, outcome, rows_in, rows_refused`.
    pub(super) fn read(columns: &mut Columns<'_, '_>) -> Result<Self, Cause> {
        let superseded: bool = columns.get()?;
        let outcome: Option<Outcome> = columns.parse_if_any()?;
        let rows_in = columns.get()?;
        let refused = columns.get()?;
        Ok(match outcome {
            _ if superseded => Self::Superseded,
            None => Self::Pending,
            Some(outcome) => Self::Settled {
                outcome,
                rows_in,
                refused,
            },
        })
    }
}

#[derive(Debug, Default)]
struct Change {
    superseded: i64,
    pending: i64,
    outcomes: [i64; Outcome::ALL.len()],
    rows_in: i64,
    rows_refused: i64,
    /// Tasks that the server settled without a word of how many rows went in.
    uncounted_in: i64,
    /// The same, of how many did not.
    uncounted: i64,
}

/// What one transaction changes in the numbers of imports.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<i64, Change>);

impl Tally {
    /// A watch of this weight is now in `import`.
    pub(super) fn plus(&mut self, import: i64, weight: Weight) {
        self.shift(import, weight, 1);
    }

    /// A watch of this weight is no longer in `import`.
    pub(super) fn minus(&mut self, import: i64, weight: Weight) {
        self.shift(import, weight, -1);
    }

    fn shift(&mut self, import: i64, weight: Weight, by: i64) {
        let change = self.0.entry(import).or_default();
        match weight {
            Weight::Superseded => change.superseded += by,
            Weight::Pending => change.pending += by,
            Weight::Settled {
                outcome,
                rows_in,
                refused,
            } => {
                for (count, candidate) in change.outcomes.iter_mut().zip(Outcome::ALL) {
                    if candidate == outcome {
                        *count += by;
                    }
                }
                if !outcome.is_by_server() {
                    return;
                }
                match rows_in {
                    Some(rows) => change.rows_in += by * rows,
                    None => change.uncounted_in += by,
                }
                match refused {
                    Some(rows) => change.rows_refused += by * rows,
                    None => change.uncounted += by,
                }
            }
        }
    }

    /// Writes it, and deletes the imports that no watch is left in.
    pub(super) fn apply(self, conn: &Connection) -> Result<(), Cause> {
        let mut update = conn.prepare_cached(
            "UPDATE import SET superseded = superseded + ?2, tasks = tasks + ?3,
                pending = pending + ?4, available = available + ?5, partial = partial + ?6,
                failed = failed + ?7, expired = expired + ?8, missing = missing + ?9,
                refused = refused + ?10, rows_in = rows_in + ?11,
                rows_refused = rows_refused + ?12, uncounted_in = uncounted_in + ?13,
                uncounted = uncounted + ?14
            WHERE key = ?1",
        )?;
        let mut delete = conn
            .prepare_cached("DELETE FROM import WHERE key = ?1 AND tasks = 0 AND superseded = 0")?;
        let mut forget = conn.prepare_cached("DELETE FROM source WHERE import = ?1")?;
        for (import, change) in self.0 {
            let [available, partial, failed, expired, missing, refused] = change.outcomes;
            update.execute(params![
                import,
                change.superseded,
                change.pending + change.outcomes.iter().sum::<i64>(),
                change.pending,
                available,
                partial,
                failed,
                expired,
                missing,
                refused,
                change.rows_in,
                change.rows_refused,
                change.uncounted_in,
                change.uncounted,
            ])?;
            if delete.execute([import])? > 0 {
                forget.execute([import])?;
            }
        }
        Ok(())
    }
}
