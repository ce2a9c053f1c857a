//! What is waited for, and what has come of it so far; in memory alone.

use std::collections::{BTreeMap, HashSet};

use crate::cli::wait::pace::Pace;
use crate::clock::Instant;
use crate::outcome::Settlement;
use crate::store::changes::Seq;
use crate::store::outlook::End;
use crate::watch::{Import, ImportKey, Standing};

/// The watches that are waited for.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    parts: BTreeMap<ImportKey, Part>,
    pending: BTreeMap<Seq, ImportKey>,
    /// All that were ever waited for: an id may be given twice.
    seen: HashSet<Seq>,
    all: Standing,
    /// The sum of the totals of what has settled, as far as the server gave them.
    rows: u64,
    removed: u64,
}

/// Those of one import.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) import: Import,
    pub(super) standing: Standing,
    pub(super) pace: Pace,
    /// When what is pending is expected to have ended.
    pub(super) end: Option<End>,
}

impl Ledger {
    /// Whether an import is in it already.
    pub(super) fn knows(&self, import: ImportKey) -> bool {
        self.parts.contains_key(&import)
    }

    /// Has room for the watches of an import.
    pub(super) fn open(&mut self, import: Import) {
        let part = Part {
            standing: Standing::default(),
            pace: Pace::default(),
            end: None,
            import,
        };
        self.parts.entry(part.import.key).or_insert(part);
    }

    /// Waits for a watch of an import that is in it.
    pub(super) fn expect(&mut self, seq: Seq, import: ImportKey) {
        let Some(part) = self.parts.get_mut(&import) else {
            return;
        };
        if self.seen.insert(seq) {
            part.standing.pending += 1;
            self.all.pending += 1;
            self.pending.insert(seq, import);
        }
    }

    /// A watch has settled.
    pub(super) fn settle(&mut self, seq: Seq, settlement: &Settlement) {
        if let Some(part) = self.close(seq) {
            part.standing.count(settlement);
            self.all.count(settlement);
            let sum = || Some(settlement.rows_in()? + settlement.failed_rows()?);
            let total = settlement.counts.total.map(u64::from).or_else(sum);
            self.rows = self.rows.saturating_add(total.unwrap_or(0));
        }
    }

    /// A watch has been removed.
    pub(super) fn remove(&mut self, seq: Seq) {
        if self.close(seq).is_some() {
            self.removed += 1;
        }
    }

    fn close(&mut self, seq: Seq) -> Option<&mut Part> {
        let import = self.pending.remove(&seq)?;
        self.all.pending -= 1;
        let part = self.parts.get_mut(&import)?;
        part.standing.pending -= 1;
        Some(part)
    }

    /// Takes note of how far it is.
    pub(super) fn pace(&mut self, now: Instant) {
        for part in self.parts.values_mut() {
            part.pace.see(part.standing.settled.total(), now);
        }
    }

    /// Takes note of when what is pending of an import is expected to have ended.
    pub(super) fn foresee(&mut self, import: ImportKey, end: Option<End>) {
        if let Some(part) = self.parts.get_mut(&import) {
            part.end = end;
        }
    }

    /// What has not settled of an import.
    pub(super) fn pending_in(&self, import: ImportKey) -> Vec<Seq> {
        let pending = self.pending.iter();
        let of_it = pending.filter(|(_, of)| **of == import);
        of_it.map(|(seq, _)| *seq).collect()
    }

    /// The imports, the oldest first.
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = &Part> {
        self.parts.values()
    }

    /// What has not settled.
    pub(super) fn pending(&self) -> impl ExactSizeIterator<Item = Seq> {
        self.pending.keys().copied()
    }

    /// How all of it stands.
    pub(super) fn standing(&self) -> &Standing {
        &self.all
    }

    /// The sum of the totals of what has settled, as far as the server gave them.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// How many have been removed from the watch list.
    pub(super) fn removed(&self) -> u64 {
        self.removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::task::Counts;

    #[test]
    fn each_watch_counts_once() {
        let import = |key| Import {
            key: ImportKey(key),
            name: "x".to_owned(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let mut ledger = Ledger::default();
        ledger.open(import(1));
        ledger.open(import(2));
        for (seq, key) in [(1, 1), (2, 1), (3, 2), (2, 1), (4, 9)] {
            ledger.expect(Seq(seq), ImportKey(key));
        }
        assert_eq!(ledger.standing().pending, 3);
        let counts = |total, succeeded, failed| Counts {
            total,
            succeeded,
            failed,
        };
        let partial = Settlement::ours(Outcome::Partial, counts(None, Some(7), Some(3)));
        for _ in 0..2 {
            ledger.settle(Seq(1), &partial);
            ledger.remove(Seq(3));
        }
        ledger.expect(Seq(1), ImportKey(1));
        let standing = ledger.standing();
        assert_eq!((standing.pending, standing.settled.partial), (1, 1));
        assert_eq!((ledger.rows(), ledger.removed()), (10, 1));
        assert_eq!(ledger.pending().collect::<Vec<_>>(), [Seq(2)]);
        ledger.settle(
            Seq(2),
            &Settlement::ours(Outcome::Available, counts(Some(5), None, None)),
        );
        assert_eq!(ledger.rows(), 15);
        assert_eq!(ledger.standing().rows_failed, Some(3));
    }
}
