//! All watches of the schedule, kept compactly: there may be a million.
//!
//! It finds a watch by its task's id or by its key, and decides nothing.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use slab::Slab;

use crate::clock::Instant;
use crate::schedule::policy::progress::Claims;
use crate::task::{Counts, TaskId};

/// The number of a watch in the roster; reused once the watch is gone.
pub(super) type Key = u32;

/// So many watches are looked at to find any that fits.
const TRIES: u32 = 256;

/// What the schedule knows of a watch.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: TaskId,
    /// The index of its account.
    pub(super) account: u32,
    /// Answers about it.
    pub(super) polls: u32,
    /// When it is to be asked next.
    pub(super) due: Instant,
    /// When the last answer about it came; without meaning while `polls` is 0.
    pub(super) asked: Instant,
    /// When the task began, as far as is known.
    pub(super) began: Instant,
    /// Its number among the watches of its account, in the order of adding.
    pub(super) number: u32,
    /// The watches of its account that were added before and after it, of those that are left;
    /// [`Key::MAX`] where there is none.
    pub(super) older: Key,
    pub(super) newer: Key,
    /// What its progress comes to.
    pub(super) claims: Claims,
    pub(super) deadline: Instant,
    /// Readable answers in a row in which it was absent, as far as they are counted.
    pub(super) absences: u8,
    /// The account's answering time at the first of them, in tenths of a second.
    pub(super) absent_since: u32,
    /// Whether it was refused alone, and another id of the account answered since.
    pub(super) refused_before: bool,
    /// Whether it brought nothing when it was asked alone, while others were answered: it is asked
    /// alone and rarely, so that it holds up nobody else.
    pub(super) apart: bool,
    pub(super) rows: Rows,
    pub(super) place: Place,
}

/// The rows of a task, as far as they are known, in half the room of [`Counts`]: the greatest number
/// there is stands for one that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows([u32; 3]);

impl From<Counts> for Rows {
    fn from(counts: Counts) -> Self {
        let known = [counts.total, counts.succeeded, counts.failed];
        Self(known.map(|rows| rows.unwrap_or(u32::MAX)))
    }
}

impl From<Rows> for Counts {
    fn from(rows: Rows) -> Self {
        let [total, succeeded, failed] = rows.0.map(|rows| Some(rows).filter(|&n| n < u32::MAX));
        Self {
            total,
            succeeded,
            failed,
        }
    }
}

/// Where a watch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Among those waiting to be asked.
    Waiting,
    /// In the poll under way.
    Asked,
    /// In a part of a refused batch that is still to be asked.
    Parted,
    /// Refused alone; it is asked again once another id of the account has been answered.
    Suspect,
}

/// The watches, by key and by id.
#[derive(Debug)]
pub(super) struct Roster {
    entries: Slab<Entry>,
    by_id: HashTable<Key>,
    hasher: RandomState,
}

impl Roster {
    pub(super) fn new() -> Self {
        Self {
            entries: Slab::new(),
            by_id: HashTable::new(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn find(&self, id: &TaskId) -> Option<Key> {
        self.find_hashed(self.hasher.hash_one(id), id)
    }

    fn find_hashed(&self, hash: u64, id: &TaskId) -> Option<Key> {
        let same = |key: &Key| self.get(*key).is_some_and(|entry| entry.id == *id);
        self.by_id.find(hash, same).copied()
    }

    pub(super) fn get(&self, key: Key) -> Option<&Entry> {
        self.entries.get(key as usize)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.get_mut(key as usize)
    }

    /// Some watch that `fits`, any with the same chance; `None` also where those are so few among all
    /// that none was met.
    pub(super) fn any(
        &self,
        random: &mut fastrand::Rng,
        fits: impl Fn(&Entry) -> bool,
    ) -> Option<Key> {
        let slots = Key::try_from(self.entries.capacity()).unwrap_or(Key::MAX);
        (0..TRIES.min(slots))
            .map(|_| random.u32(..slots))
            .find(|&key| self.get(key).is_some_and(&fits))
    }

    /// Takes in a watch whose id is not there yet; `None` where it is, or where the roster is full
    /// (four thousand million watches).
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Key> {
        let hash = self.hasher.hash_one(&entry.id);
        if self.find_hashed(hash, &entry.id).is_some() {
            return None;
        }
        let key = Key::try_from(self.entries.vacant_key()).ok()?;
        if key == Key::MAX {
            return None;
        }
        self.entries.insert(entry);
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_id
            .insert_unique(hash, key, |&key| hash_of(entries, hasher, key));
        Some(key)
    }

    /// Makes room for so many more, so that taking them in moves nothing.
    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_id
            .reserve(more, |&key| hash_of(entries, hasher, key));
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Entry> {
        let entry = self.entries.try_remove(key as usize)?;
        let hash = self.hasher.hash_one(&entry.id);
        if let Ok(found) = self.by_id.find_entry(hash, |&other| other == key) {
            found.remove();
        }
        Some(entry)
    }
}

fn hash_of(entries: &Slab<Entry>, hasher: &RandomState, key: Key) -> u64 {
    let entry = entries.get(key as usize);
    entry.map_or(0, |entry| hasher.hash_one(&entry.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_entries_take_little_room() {
        assert!(size_of::<Entry>() <= 112, "{}", size_of::<Entry>());
    }

    #[test]
    fn rows_read_back_as_far_as_they_are_known() {
        let known = Counts {
            total: Some(0),
            succeeded: None,
            failed: Some(u32::MAX - 1),
        };
        assert_eq!(Counts::from(Rows::from(known)), known);
        let none = Counts::default();
        assert_eq!(Counts::from(Rows::from(none)), none);
    }
}
