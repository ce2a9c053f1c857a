//! Lets go of what has been kept long enough.
//!
//! It never deletes what is pending, or what someone has not been told yet.

use jiff::Timestamp;

use crate::store::error::StoreError;
use crate::store::remove::Doomed;
use crate::store::rows;
use crate::store::tally::Tally;
use crate::store::{CHUNK, Store};

impl Store {
    /// Deletes watches that were settled before `before` and have been told on every channel, those
    /// of the history too, and the imports that this leaves empty. One call is one transaction of
    /// about ten thousand rows, so that others get their turn; it returns how many watches went, and
    /// is to be called again until that is 0.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn prune(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        self.write("delete what is old", |tx| {
            let mut select = tx.prepare_cached(
                "SELECT seq, import, superseded, outcome, rows_in, rows_refused FROM watch w
                WHERE outcome IS NOT NULL AND settled_at < ?1
                    AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.watch = w.seq)
                ORDER BY seq LIMIT ?2",
            )?;
            let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
            let params = (before.as_millisecond(), limit);
            let old = rows::all(&mut select, params, "watch", Doomed::read)?;
            let mut tally = Tally::default();
            let (mut watches, mut rows) = (0, 0);
            for watch in old {
                rows += watch.delete(tx, &mut tally)?;
                watches += 1;
                if rows >= CHUNK {
                    break;
                }
            }
            tally.apply(tx)?;
            Ok(watches)
        })
    }
}
