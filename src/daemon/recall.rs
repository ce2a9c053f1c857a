//! What earlier runs knew of an account, before it is asked for the first time in this one.

use std::time::Duration;

use jiff::Timestamp;

use crate::account::AccountName;
use crate::clock::Instant;
use crate::schedule::Schedule;
use crate::schedule::memory::Memory;
use crate::schedule::policy::experience::Experience;
use crate::schedule::step::{AccountParameters, Input};
use crate::store::Store;
use crate::store::error::StoreError;

/// An account that is about to be asked, and what holds for it.
#[derive(Debug, Clone)]
pub(super) struct Recall {
    pub(super) account: AccountName,
    pub(super) parameters: AccountParameters,
}

/// The same, with what was known of it.
#[derive(Debug)]
pub(super) struct Recalled {
    recall: Recall,
    memory: Memory,
    experience: Box<Experience>,
    /// How long ago requests were sent of late, oldest first.
    sent: Vec<Duration>,
}

impl Recall {
    /// Reads what is known of the account.
    pub(super) fn read(&self, store: &Store, wall: Timestamp) -> Result<Recalled, StoreError> {
        let windows = self.parameters.rates.windows();
        let longest = windows.map(|(length, _)| length).max().unwrap_or_default();
        Ok(Recalled {
            recall: self.clone(),
            memory: store.memory(&self.account)?.unwrap_or_default(),
            experience: Box::new(store.experience(&self.account)?),
            sent: store.recent_requests(&self.account, wall, longest)?,
        })
    }
}

impl Recalled {
    pub(super) fn account(&self) -> &AccountName {
        &self.recall.account
    }

    /// Tells the schedule, which asks the account from then on.
    pub(super) fn tell(self, schedule: &mut Schedule, now: Instant) {
        let Recall {
            account,
            parameters,
        } = self.recall;
        if let Some(trouble) = self.memory.told {
            tracing::info!(
                %account,
                trouble = trouble.as_str(),
                "an earlier run told of trouble with the account; it is tried anew, and its end will be told"
            );
        }
        let configured = Input::Configured {
            account: account.clone(),
            parameters,
        };
        schedule.handle(configured, now);
        let learnt = Input::Learnt {
            account: account.clone(),
            experience: self.experience,
        };
        schedule.handle(learnt, now);
        let recalled = Input::Recalled {
            account,
            memory: self.memory,
            sent: self.sent.into_iter().map(|ago| now.before(ago)).collect(),
        };
        schedule.handle(recalled, now);
    }
}
