//! A poll from its sending to what it tells the schedule, and what the log says of it.
//!
//! Messages are constant, and what the server said is a field that is escaped. Trouble is said once
//! when it begins, and once when it is over.

use std::collections::HashMap;

use crate::account::AccountName;
use crate::api::client::{Answer, Client};
use crate::api::error::Error;
use crate::clock;
use crate::daemon::jobs::Request;
use crate::daemon::state::{Daemon, WRITE_BEHIND};
use crate::daemon::trace;
use crate::notice::safe;
use crate::outcome::{Pending, Verdict, judge};
use crate::schedule::fault::Fault;
use crate::schedule::step::{self, Input};
use crate::store::budget::RequestKey;
use crate::store::settle::Polled;
use crate::task::TaskId;

/// A poll that has ended.
#[derive(Debug)]
pub(super) struct Landed {
    request: Request,
    key: RequestKey,
    result: Result<Answer, Error>,
}

/// Asks; the client sees to it that this ends.
pub(super) async fn poll(client: Client, request: Request, key: RequestKey) -> Landed {
    let result = client.import_results(&request.ids).await;
    Landed {
        request,
        key,
        result,
    }
}

impl Daemon {
    /// Takes in a poll that has ended.
    pub(super) fn land(&mut self, landed: Landed) {
        let now = clock::now();
        self.report.refresh(now);
        let Landed {
            request,
            key,
            result,
        } = landed;
        self.end_request(key);
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                let fault = error.fault();
                self.say_trouble(request.account, &error, fault);
                let poll = request.poll;
                self.schedule.handle(Input::Failed { poll, fault }, now);
                return;
            }
        };
        tracing::debug!(
            account = %request.account,
            tasks = request.ids.len(),
            found = answer.found.len(),
            "answered"
        );
        trace::answer(&request.account, &request.ids, &answer);
        if self.causes.remove(&request.account).is_some() {
            tracing::info!(account = %request.account, "the account answers again");
        }
        let mut pending: Vec<(TaskId, Pending)> = Vec::new();
        let mut found = Vec::with_capacity(answer.found.len());
        for (id, snapshot) in answer.found {
            let verdict = judge(snapshot);
            if let Verdict::Pending(one) = &verdict {
                self.say_unknown_status(&id, one);
                pending.push((id.clone(), one.clone()));
            }
            found.push((id, verdict));
        }
        let is_watched = |id: &TaskId| self.schedule.polls(id).is_some();
        (self.unread).take(&request.account, &request.ids, &answer.unread, is_watched);
        let answer = step::Answer {
            poll: request.poll,
            found,
            unread: answer.unread,
            allowance: answer.allowance,
        };
        self.schedule.handle(Input::Answered(answer), now);
        // Ids that were absent or unread have been asked about as well.
        let mut known: HashMap<TaskId, Pending> = pending.into_iter().collect();
        let wall = clock::wall();
        for id in request.ids {
            let Some(polls) = self.schedule.polls(&id) else {
                continue;
            };
            let Pending {
                progress, counts, ..
            } = known.remove(&id).unwrap_or_default();
            let polled = Polled {
                id: id.clone(),
                polls,
                polled_at: Some(wall),
                progress,
                counts,
            };
            self.noted.insert(id, polled);
        }
        if !self.noted.is_empty() && self.note_at.is_none() {
            self.note_at = Some(now.after(WRITE_BEHIND));
        }
    }

    fn say_trouble(&mut self, account: AccountName, error: &Error, fault: Fault) {
        // Its text says already what it came from.
        let cause = safe::one_line(&error.to_string());
        if self.causes.contains_key(&account) {
            tracing::debug!(%account, ?cause, "the poll failed again");
        } else {
            match fault {
                Fault::Limited { .. } => {
                    tracing::warn!(%account, ?cause, "the account is over its limit; asking less often");
                }
                Fault::TooLarge | Fault::Rejected => {
                    tracing::warn!(%account, ?cause, "the poll was refused; asking about fewer tasks at once");
                }
                Fault::Refused | Fault::NotFound | Fault::Unavailable { .. } => {
                    tracing::warn!(%account, ?cause, "the account does not answer; the poll is tried again");
                }
            }
        }
        self.causes.insert(account, cause);
    }

    fn say_unknown_status(&mut self, id: &TaskId, pending: &Pending) {
        /// So many different ones are mentioned; a server that makes them up must not fill memory.
        const MOST: usize = 100;
        if let Some(status) = &pending.unknown_status
            && self.unknown_statuses.len() < MOST
            && self.unknown_statuses.insert(status.clone())
        {
            let status = safe::start(status, 60);
            tracing::warn!(task = %id, ?status, "a status that is not known yet; the task counts as pending");
        }
    }
}
