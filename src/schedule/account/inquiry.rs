//! Finds out why a batch was refused: too many ids, one that cannot be, or nothing to do with ids.
//!
//! The batch is asked again in halves. If the parts are answered, it was too long. If one id is
//! refused alone, another of the account is answered, and the one is refused alone again, it is that
//! id. If ids are refused one by one and none is answered, it is the account. Which part comes next
//! is decided here; that it may be asked now is not.

use crate::schedule::roster::Key;

/// An inquiry under way.
#[derive(Debug, Default)]
pub(super) struct Inquiry {
    /// Parts still to be asked; the last comes first.
    parts: Vec<Vec<Key>>,
    /// The most ids that were answered in one part.
    answered: usize,
    /// Whether any id was known to be answerable when the inquiry began.
    trusted: bool,
    /// Ids refused alone.
    refused: u32,
}

/// What an inquiry has found so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// There are parts to be asked yet.
    Open,
    /// Every part was answered: the batch was too long. The size of the largest part.
    TooLong(usize),
    /// Ids were refused alone; nothing else is left to ask.
    BadIds,
    /// Several ids were refused alone, and none was answered: it is the account.
    Account,
}

impl Inquiry {
    /// Ids refused alone, with none answered, after which it is the account.
    const ENOUGH: u32 = 3;

    /// An inquiry with nothing to ask yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// An inquiry into an account of which an id was answered alone just now: it does answer.
    pub(super) fn trusting() -> Self {
        Self {
            trusted: true,
            ..Self::default()
        }
    }

    /// An inquiry into an account that refused ids one by one the last time: one more is enough.
    pub(super) fn doubting() -> Self {
        Self {
            refused: Self::ENOUGH - 1,
            ..Self::default()
        }
    }

    /// The ids to ask next. `pick` chooses among so many: after a refusal with no answer yet, another
    /// id is taken from anywhere, since neighbours are likely to be bad together.
    pub(super) fn next_part(
        &mut self,
        most: usize,
        pick: impl FnOnce(usize) -> usize,
    ) -> Option<Vec<Key>> {
        let mut part = if self.refused > 0 && self.answered == 0 && !self.trusted {
            let chosen = pick(self.parts.len()).min(self.parts.len().checked_sub(1)?);
            let mut part = self.parts.remove(chosen);
            let rest = part.split_off(1.min(part.len()));
            self.put_back(rest);
            part
        } else {
            self.parts.pop()?
        };
        let rest = part.split_off(most.max(1).min(part.len()));
        self.put_back(rest);
        Some(part)
    }

    /// A part that is to be asked later after all.
    pub(super) fn put_back(&mut self, part: Vec<Key>) {
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    /// The batch, or a part of several ids, was refused.
    pub(super) fn split(&mut self, mut part: Vec<Key>) {
        let half = part.split_off(part.len().div_ceil(2));
        self.put_back(half);
        self.put_back(part);
    }

    /// A part of several ids brought no answer, for what may be their fault or not: its halves come
    /// last, so that another part shows meanwhile whether there are answers.
    pub(super) fn split_for_last(&mut self, mut part: Vec<Key>) {
        let half = part.split_off(part.len().div_ceil(2));
        let halves = [part, half].into_iter().filter(|part| !part.is_empty());
        self.parts.splice(..0, halves);
    }

    /// An id was refused alone.
    pub(super) fn refused_alone(&mut self) {
        self.refused += 1;
    }

    /// A part of so many ids was answered.
    pub(super) fn answered(&mut self, ids: usize) {
        self.answered = self.answered.max(ids);
    }

    /// Forgets an id.
    pub(super) fn forget(&mut self, key: Key) {
        for part in &mut self.parts {
            part.retain(|&other| other != key);
        }
        self.parts.retain(|part| !part.is_empty());
    }

    /// Whether an id outside the batch is needed to tell a bad id from an account that refuses all.
    pub(super) fn wants_another(&self) -> bool {
        self.parts.is_empty() && self.unanswered() && (1..Self::ENOUGH).contains(&self.refused)
    }

    /// Whether any id was answered since it began, or just before.
    pub(super) fn knows_an_answer(&self) -> bool {
        !self.unanswered()
    }

    fn unanswered(&self) -> bool {
        self.answered == 0 && !self.trusted
    }

    /// What it has found.
    pub(super) fn finding(&self) -> Finding {
        let all_asked = self.parts.is_empty();
        if self.unanswered() && (self.refused >= Self::ENOUGH || (self.refused > 0 && all_asked)) {
            Finding::Account
        } else if !all_asked {
            Finding::Open
        } else if self.refused > 0 {
            Finding::BadIds
        } else {
            Finding::TooLong(self.answered)
        }
    }

    /// Ends it: the ids that were not asked.
    pub(super) fn into_rest(self) -> impl Iterator<Item = Key> {
        self.parts.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts that come next, each picked as the last one where there is a choice.
    fn next(inquiry: &mut Inquiry) -> Option<Vec<Key>> {
        inquiry.next_part(100, |parts| parts - 1)
    }

    #[test]
    fn a_refused_batch_is_asked_in_halves_from_its_front() {
        let mut inquiry = Inquiry::new();
        inquiry.split((0..8).collect());
        assert_eq!(next(&mut inquiry), Some((0..4).collect()));
        inquiry.answered(4);
        // What is answered bounds nothing of what is left, and the limit does.
        assert_eq!(inquiry.next_part(3, |_| 0), Some((4..7).collect()));
        inquiry.answered(3);
        assert_eq!(inquiry.finding(), Finding::Open);
        assert_eq!(next(&mut inquiry), Some(vec![7]));
        inquiry.answered(1);
        assert_eq!(inquiry.finding(), Finding::TooLong(4));
        assert_eq!(next(&mut inquiry), None);
    }

    #[test]
    fn after_a_refusal_one_id_from_elsewhere_is_asked_until_one_is_answered() {
        let mut inquiry = Inquiry::new();
        inquiry.split((0..8).collect());
        for _ in 0..2 {
            let front = next(&mut inquiry).unwrap();
            inquiry.split(front);
        }
        assert_eq!(next(&mut inquiry), Some(vec![0]));
        inquiry.refused_alone();
        // The bottom part is the half that has not been touched.
        assert_eq!(inquiry.next_part(100, |_| 0), Some(vec![4]));
        assert!(!inquiry.knows_an_answer());
        inquiry.answered(1);
        assert!(inquiry.knows_an_answer());
        // From then on whole parts are asked again.
        assert_eq!(next(&mut inquiry), Some((5..8).collect()));
    }

    #[test]
    fn who_answers_already_needs_no_other_to_be_held_against() {
        for mut inquiry in [Inquiry::trusting(), Inquiry::new()] {
            let is_trusted = inquiry.knows_an_answer();
            inquiry.refused_alone();
            assert_eq!(inquiry.wants_another(), !is_trusted);
            let found = inquiry.finding();
            let expected = if is_trusted {
                Finding::BadIds
            } else {
                Finding::Account
            };
            assert_eq!(found, expected);
        }
        let mut doubting = Inquiry::doubting();
        doubting.put_back(vec![1]);
        assert_eq!(doubting.finding(), Finding::Open);
        doubting.refused_alone();
        assert_eq!(doubting.finding(), Finding::Account);
        assert!(!doubting.wants_another());
    }

    #[test]
    fn what_is_forgotten_is_not_asked() {
        let mut inquiry = Inquiry::new();
        inquiry.split_for_last((0..4).collect());
        inquiry.put_back(vec![9]);
        inquiry.forget(9);
        inquiry.forget(3);
        assert_eq!(inquiry.into_rest().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
