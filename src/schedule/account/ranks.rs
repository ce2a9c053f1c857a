//! The watches of an account in the order of adding, and the rank that each has among them.
//!
//! The order runs through the roster itself, from one watch to the next, so that a million watches
//! need no room beside it and none of them has to be looked for when it goes.

use std::iter;

use crate::schedule::roster::{Entry, Key, Roster};

/// The two ends of the order.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    ends: Option<Ends>,
    len: usize,
    last_number: u32,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    oldest: Key,
    newest: Key,
}

/// What a watch's rank is reckoned by where nobody has counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    first: u32,
    ranks_a_number: f64,
}

impl Scale {
    /// The rank that the watch of this number has if as many are gone everywhere.
    pub(super) fn rank(self, number: u32) -> f64 {
        f64::from(number.saturating_sub(self.first)) * self.ranks_a_number
    }
}

impl Ranks {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes in a watch that is on the roster: it is the last one.
    pub(super) fn push(&mut self, key: Key, roster: &mut Roster) {
        self.last_number = self.last_number.saturating_add(1);
        self.len += 1;
        let before = self.ends.map(|ends| ends.newest);
        if let Some(entry) = roster.get_mut(key) {
            entry.number = self.last_number;
            entry.older = before.unwrap_or(Key::MAX);
            entry.newer = Key::MAX;
        }
        if let Some(entry) = before.and_then(|key| roster.get_mut(key)) {
            entry.newer = key;
        }
        self.ends = Some(Ends {
            oldest: self.ends.map_or(key, |ends| ends.oldest),
            newest: key,
        });
    }

    /// Forgets a watch that has just left the roster.
    pub(super) fn remove(&mut self, gone: &Entry, roster: &mut Roster) {
        self.len = self.len.saturating_sub(1);
        if let Some(older) = roster.get_mut(gone.older) {
            older.newer = gone.newer;
        }
        if let Some(newer) = roster.get_mut(gone.newer) {
            newer.older = gone.older;
        }
        self.ends = self.ends.filter(|_| self.len > 0).map(|ends| Ends {
            oldest: if gone.older == Key::MAX {
                gone.newer
            } else {
                ends.oldest
            },
            newest: if gone.newer == Key::MAX {
                gone.older
            } else {
                ends.newest
            },
        });
    }

    /// The watches, the oldest first.
    pub(super) fn oldest_first<'a>(
        &self,
        roster: &'a Roster,
    ) -> impl Iterator<Item = (Key, &'a Entry)> {
        walk(self.ends.map(|ends| ends.oldest), roster, |entry| {
            entry.newer
        })
    }

    /// The watches, the newest first.
    pub(super) fn newest_first<'a>(
        &self,
        roster: &'a Roster,
    ) -> impl Iterator<Item = (Key, &'a Entry)> {
        walk(self.ends.map(|ends| ends.newest), roster, |entry| {
            entry.older
        })
    }

    pub(super) fn scale(&self, roster: &Roster) -> Scale {
        let number = |key| roster.get(key).map_or(0, |entry| entry.number);
        let (first, last) = self
            .ends
            .map_or((0, 0), |ends| (number(ends.oldest), number(ends.newest)));
        Scale {
            first,
            ranks_a_number: (count(self.len) - 1.0).max(0.0)
                / f64::from(last.saturating_sub(first)).max(1.0),
        }
    }
}

fn walk(
    from: Option<Key>,
    roster: &Roster,
    next: impl Fn(&Entry) -> Key,
) -> impl Iterator<Item = (Key, &Entry)> {
    let at = |key: Key| Some((key, roster.get(key)?));
    iter::successors(from.and_then(at), move |(_, entry)| at(next(entry)))
}

/// A number of watches, which is far below where floating point becomes coarse.
pub(super) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
