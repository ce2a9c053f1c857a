//! Lets go of what has been kept long enough.
//!
//! It never deletes what is pending, what someone has not been told yet, or what its caller keeps.

use jiff::Timestamp;

use crate::store::changes::Seq;
use crate::store::error::StoreError;
use crate::store::remove::Doomed;
use crate::store::rows;
use crate::store::tally::Tally;
use crate::store::{CHUNK, Store};
use crate::task::TaskId;

/// What one call has deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// So many watches.
    pub watches: usize,
    /// Up to where it has looked; `None`: to the end, so that nothing old is left.
    pub upto: Option<Seq>,
}

impl Store {
    /// Deletes watches after `after` that were settled before `before`, have been told on every
    /// channel and are not to be kept, and the imports that this leaves empty. Watches of the history
    /// go in any case. One call is one transaction of about ten thousand rows, so that others get
    /// their turn; it is to be called again from where it has looked to, while there is more.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn prune(
        &mut self,
        before: Timestamp,
        after: Seq,
        is_kept: impl Fn(&TaskId) -> bool,
    ) -> Result<Pruned, StoreError> {
        self.write("delete what is old", |tx| {
            let mut select = tx.prepare_cached(
                "SELECT seq, import, superseded, outcome, rows_in, rows_refused, id FROM watch w
                WHERE seq > ?1 AND outcome IS NOT NULL AND settled_at < ?2
                    AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.watch = w.seq)
                ORDER BY seq LIMIT ?3",
            )?;
            let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
            let params = (after.0, before.as_millisecond(), limit);
            let old = rows::all(&mut select, params, "watch", |mut columns| {
                Ok((Doomed::read(&mut columns)?, columns.parse::<TaskId>()?))
            })?;
            let mut upto = old.last().filter(|_| old.len() == CHUNK);
            let mut tally = Tally::default();
            let (mut watches, mut rows) = (0, 0);
            for old in &old {
                let (watch, id) = old;
                if !watch.is_superseded() && is_kept(id) {
                    continue;
                }
                rows += watch.delete(tx, &mut tally)?;
                watches += 1;
                if rows >= CHUNK {
                    upto = Some(old);
                    break;
                }
            }
            let upto = upto.map(|(watch, _)| watch.seq());
            tally.apply(tx)?;
            Ok(Pruned { watches, upto })
        })
    }
}
