//! What the log says of each step, and of each id that was asked about, when it is to say everything.
//!
//! It never says what a server gave as a reason: that is in the event of the outcome, and can be long.

use crate::account::AccountName;
use crate::api::client::Answer;
use crate::clock;
use crate::schedule::step::Step;
use crate::task::TaskId;

/// What the schedule has decided.
pub(super) fn step(step: &Step) {
    if !tracing::enabled!(tracing::Level::TRACE) {
        return;
    }
    match step {
        Step::Settle {
            id,
            polls,
            settlement,
        } => tracing::trace!(task = %id, polls, outcome = %settlement.outcome, "step: settle"),
        Step::Tell {
            account,
            trouble,
            over,
            ..
        } => tracing::trace!(%account, trouble = trouble.as_str(), over, "step: tell"),
        Step::Remember { account, .. } => tracing::trace!(%account, "step: remember"),
        Step::Learn { account, .. } => tracing::trace!(%account, "step: learn"),
        Step::Poll { account, ids, .. } => {
            let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>();
            tracing::trace!(%account, tasks = ids.len(), ids = %ids.join(" "), "step: poll");
        }
        Step::Sleep { until } => {
            let time = until.since(clock::now());
            tracing::trace!(?time, "step: sleep");
        }
        Step::Idle => tracing::trace!("step: idle"),
    }
}

/// What an answer had of each id that was asked about.
pub(super) fn answer(account: &AccountName, asked: &[TaskId], answer: &Answer) {
    if !tracing::enabled!(tracing::Level::TRACE) {
        return;
    }
    for (id, snapshot) in &answer.found {
        let (status, progress) = (&snapshot.status, snapshot.progress);
        tracing::trace!(%account, task = %id, ?status, progress, "found");
    }
    for id in &answer.unread {
        tracing::trace!(%account, task = %id, "unreadable");
    }
    let has = |id: &TaskId| answer.found.iter().any(|(found, _)| found == id);
    for id in asked {
        if !has(id) && !answer.unread.contains(id) {
            tracing::trace!(%account, task = %id, "absent");
        }
    }
}
