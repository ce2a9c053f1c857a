//! Why accounts did not answer last, and what the log says of it: once when it begins, and once when it
//! is over.
//!
//! It decides nothing: what follows from a failed poll is the schedule's to say.

use std::collections::HashMap;

use crate::account::AccountName;
use crate::api::error::Error;
use crate::notice::safe;
use crate::schedule::fault::Fault;

/// What went wrong last with each account that does not answer.
#[derive(Debug, Default)]
pub(super) struct Causes(HashMap<AccountName, Cause>);

#[derive(Debug)]
struct Cause {
    text: String,
    /// Whether the log says that the account does not answer.
    is_said: bool,
}

impl Causes {
    /// A poll has failed. `is_told`: a notice tells of it, and of its end.
    pub(super) fn failed(
        &mut self,
        account: AccountName,
        error: &Error,
        fault: Fault,
        is_told: bool,
    ) {
        // Its text says already what it came from.
        let text = safe::one_line(&error.to_string());
        let earlier = self.0.get(&account).map(|cause| cause.is_said);
        if is_told || earlier.is_some() {
            tracing::debug!(%account, cause = ?text, "the poll failed");
        } else {
            match fault {
                Fault::Limited { .. } => {
                    tracing::warn!(%account, cause = ?text, "the account is over its limit; asking less often");
                }
                Fault::TooLarge | Fault::Rejected => {
                    tracing::warn!(%account, cause = ?text, "the poll was refused; asking about fewer tasks at once");
                }
                Fault::Refused | Fault::NotFound | Fault::Unavailable { .. } => {
                    tracing::warn!(%account, cause = ?text, "the account does not answer; the poll is tried again");
                }
            }
        }
        let is_said = earlier.unwrap_or(!is_told);
        self.0.insert(account, Cause { text, is_said });
    }

    /// A poll was answered.
    pub(super) fn answered(&mut self, account: &AccountName) {
        if self.0.remove(account).is_some_and(|cause| cause.is_said) {
            tracing::info!(%account, "the account answers again");
        }
    }

    /// It is asked otherwise from now on, or not at all.
    pub(super) fn forget(&mut self, account: &AccountName) {
        self.0.remove(account);
    }

    /// What went wrong last; empty where nothing did.
    pub(super) fn text(&self, account: &AccountName) -> String {
        let cause = self.0.get(account);
        cause.map(|cause| cause.text.clone()).unwrap_or_default()
    }
}
