//! Tasks of which the server says something that cannot be read, as the log tells of them: once for an
//! account when it begins, and once when it is over.
//!
//! It decides nothing: such a task is pending.

use std::collections::{HashMap, HashSet};

use crate::account::AccountName;
use crate::task::TaskId;

/// So many of an account are kept in mind.
const MOST: usize = 1_000;

/// Those that could not be read when they were asked about last.
#[derive(Debug, Default)]
pub(super) struct Unread(HashMap<AccountName, HashSet<TaskId>>);

impl Unread {
    /// Takes in that of the ids `asked` those in `unread` could not be read. Ids that are watched no
    /// longer are passed over.
    pub(super) fn take(
        &mut self,
        account: &AccountName,
        asked: &[TaskId],
        unread: &[TaskId],
        is_watched: impl Fn(&TaskId) -> bool,
    ) {
        let known = match self.0.get_mut(account) {
            Some(known) => known,
            None if unread.is_empty() => return,
            None => self.0.entry(account.clone()).or_default(),
        };
        let was_well = known.is_empty();
        for id in asked {
            known.remove(id);
        }
        known.retain(is_watched);
        let room = MOST.saturating_sub(known.len());
        known.extend(unread.iter().take(room).cloned());
        match (was_well, unread.first()) {
            (true, Some(first)) => {
                tracing::warn!(%account, tasks = unread.len(), first = %first, "what the server says of some tasks cannot be read; they stay pending");
            }
            (false, _) if known.is_empty() => {
                tracing::info!(%account, "what the server says of all tasks can be read again");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_in_mind_is_bounded_and_let_go() {
        let account = AccountName::default_account();
        let ids: Vec<TaskId> = (0..1_500)
            .map(|number| number.to_string().parse().unwrap())
            .collect();
        let mut unread = Unread::default();
        unread.take(&account, &ids, &[], |_| true);
        assert!(unread.0.is_empty());
        unread.take(&account, &ids, &ids, |_| true);
        assert_eq!(unread.0[&account].len(), MOST);
        unread.take(&account, &ids[..10], &ids[..5], |_| true);
        assert_eq!(unread.0[&account].len(), MOST - 5);
        unread.take(&account, &[], &[], |id| *id == ids[999]);
        assert_eq!(unread.0[&account].len(), 1);
        unread.take(&account, &ids[999..1_000], &[], |_| true);
        assert!(unread.0[&account].is_empty());
    }
}
