//! What follows when the server refuses a batch or an id: the inquiry, and what it comes to.

use crate::clock::Instant;
use crate::outcome::{Outcome, Settlement};
use crate::schedule::account::inquiry::{Finding, Inquiry};
use crate::schedule::account::{Account, Shared, place};
use crate::schedule::roster::{Key, Place};
use crate::task::Counts;

impl Account {
    pub(super) fn inquire(&mut self, keys: Vec<Key>, alone: bool, shared: &mut Shared) {
        let doubted = self.health.is_rejecting();
        let trusted = std::mem::take(&mut self.answered_alone);
        let inquiry = self.inquiry.get_or_insert_with(|| {
            self.suspects_before = self.suspects.len();
            match (doubted, trusted) {
                (true, _) => Inquiry::doubting(),
                (false, true) => Inquiry::trusting(),
                (false, false) => Inquiry::new(),
            }
        });
        if alone {
            inquiry.refused_alone();
            for key in keys {
                self.suspect(key, shared);
            }
        } else {
            place(&keys, Place::Parted, shared);
            inquiry.split(keys);
        }
    }

    /// An id was refused alone: for the second time, with another answered in between, it is the id.
    fn suspect(&mut self, key: Key, shared: &mut Shared) {
        let Some(entry) = shared.roster.get_mut(key) else {
            return;
        };
        if entry.refused_before {
            let settlement = Settlement::ours(Outcome::Refused, Counts::default());
            self.settle(key, settlement, shared);
        } else {
            entry.place = Place::Suspect;
            self.suspects.push(key);
        }
    }

    /// Ids that were refused alone are asked again, now that another was answered: a gateway that
    /// refused everything for a moment must not make a bad id of a good one.
    pub(super) fn ask_suspects_again(&mut self, shared: &mut Shared) {
        if self.suspects.is_empty() {
            return;
        }
        let inquiry = self.inquiry.get_or_insert_with(Inquiry::trusting);
        for key in std::mem::take(&mut self.suspects) {
            if let Some(entry) = shared.roster.get_mut(key) {
                entry.refused_before = true;
                entry.place = Place::Parted;
                inquiry.put_back(vec![key]);
            }
        }
    }

    /// An id was refused, and no other is left in the inquiry to hold against it: any other watch
    /// will do.
    fn ask_another(&mut self, shared: &mut Shared) {
        let Some(inquiry) = &self.inquiry else { return };
        if !inquiry.wants_another() {
            return;
        }
        if let Some(key) = self.anyone(shared)
            && let Some(entry) = shared.roster.get_mut(key)
            && let Some(inquiry) = &mut self.inquiry
        {
            self.waiting.remove(&(entry.due, key));
            entry.place = Place::Parted;
            inquiry.put_back(vec![key]);
        }
    }

    /// Ends an inquiry that has found something.
    pub(super) fn conclude(&mut self, now: Instant, shared: &mut Shared) {
        self.ask_another(shared);
        match self.inquiry.as_ref().map(Inquiry::finding) {
            None | Some(Finding::Open) => {}
            Some(Finding::TooLong(answered)) => {
                self.inquiry = None;
                if answered > 0 {
                    self.set_batch_limit(answered.min(self.batch_limit()));
                }
            }
            Some(Finding::BadIds) => self.inquiry = None,
            Some(Finding::Account) => {
                // Those of earlier inquiries were refused while the account did answer. Where it goes on
                // refusing, they wait like all others: what is left to be asked without them may be
                // bad alone, and then nothing would ever be answered.
                let found = if self.health.is_rejecting() {
                    0
                } else {
                    self.suspects_before.min(self.suspects.len())
                };
                let earlier: Vec<Key> = self.suspects.drain(..found).collect();
                self.end_inquiry(shared);
                self.suspects = earlier;
                self.fail(None, true, now, shared);
            }
        }
        let nobody_to_confirm = self.in_flight.is_none()
            && self.inquiry.is_none()
            && self.waiting.is_empty()
            && !self.suspects.is_empty();
        if nobody_to_confirm {
            self.end_inquiry(shared);
            self.fail(None, true, now, shared);
        }
    }

    /// Gives up an inquiry: nothing was found out about any id.
    pub(super) fn end_inquiry(&mut self, shared: &mut Shared) {
        let rest = self.inquiry.take().into_iter().flat_map(Inquiry::into_rest);
        let suspects = std::mem::take(&mut self.suspects);
        let keys: Vec<Key> = rest.chain(suspects).collect();
        self.wait(keys, shared);
    }
}
