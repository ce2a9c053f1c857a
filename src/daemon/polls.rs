//! The polls: who asks for each account, what is under way, and what an answer tells the schedule.
//!
//! Messages are constant, and what the server said is a field that is escaped. It never waits for a
//! poll but where it is asked to.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};

use crate::account::AccountName;
use crate::api::client::{Answer, Client};
use crate::api::error::Error;
use crate::clock::{self, Instant};
use crate::daemon::causes::Causes;
use crate::daemon::jobs::Jobs;
use crate::daemon::notes::Notes;
use crate::daemon::trace;
use crate::daemon::unread::Unread;
use crate::daemon::work::{Job, Request};
use crate::notice::safe;
use crate::outcome::{Pending, Verdict, judge};
use crate::schedule::Schedule;
use crate::schedule::hold::Why;
use crate::schedule::step::{self, Input, PollId};
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
async fn poll(client: Client, request: Request, key: RequestKey) -> Landed {
    let result = client.import_results(&request.ids).await;
    Landed {
        request,
        key,
        result,
    }
}

/// Who asks, and the polls under way.
#[derive(Debug)]
pub(super) struct Polls {
    clients: HashMap<AccountName, Client>,
    in_flight: JoinSet<Landed>,
    /// The requests that were sent and have not ended.
    under_way: HashSet<RequestKey>,
    causes: Causes,
    /// Statuses that no documentation names, which the log has mentioned.
    unknown_statuses: HashSet<Box<str>>,
    unread: Unread,
}

impl Polls {
    pub(super) fn new(clients: HashMap<AccountName, Client>) -> Self {
        Self {
            clients,
            in_flight: JoinSet::new(),
            under_way: HashSet::new(),
            causes: Causes::default(),
            unknown_statuses: HashSet::new(),
            unread: Unread::default(),
        }
    }

    /// Whether there is someone who asks for this account.
    pub(super) fn knows(&self, account: &AccountName) -> bool {
        self.clients.contains_key(account)
    }

    /// `client` asks for the account from now on. Whether someone else did before.
    pub(super) fn set(&mut self, account: AccountName, client: Client) -> bool {
        self.causes.forget(&account);
        self.clients.insert(account, client).is_some()
    }

    /// Nobody asks for the account any more.
    pub(super) fn unset(&mut self, account: &AccountName) {
        self.causes.forget(account);
        self.clients.remove(account);
    }

    /// How long a request of this account may take.
    pub(super) fn patience(&self, account: &AccountName) -> Duration {
        let client = self.clients.get(account);
        client.map_or(Duration::ZERO, Client::request_timeout)
    }

    /// What went wrong last with an account; empty where nothing did.
    pub(super) fn cause(&self, account: &AccountName) -> String {
        self.causes.text(account)
    }

    /// Sends a request. The poll is given back where the account has left the settings since the
    /// schedule chose whom to ask.
    pub(super) fn send(
        &mut self,
        request: Request,
        key: RequestKey,
        jobs: &mut Jobs,
    ) -> Result<(), PollId> {
        let Some(client) = self.clients.get(&request.account) else {
            self.end_request(key, jobs);
            return Err(request.poll);
        };
        self.under_way.insert(key);
        self.in_flight.spawn(poll(client.clone(), request, key));
        Ok(())
    }

    /// The next poll that ends; none where none is under way.
    ///
    /// Cancel safe: dropped, it leaves the polls under way.
    pub(super) async fn landed(&mut self) -> Option<Result<Landed, JoinError>> {
        self.in_flight.join_next().await
    }

    /// Takes in a poll that has ended.
    pub(super) fn land(
        &mut self,
        landed: Landed,
        schedule: &mut Schedule,
        jobs: &mut Jobs,
        notes: &mut Notes,
        now: Instant,
    ) {
        let Landed {
            request,
            key,
            result,
        } = landed;
        self.end_request(key, jobs);
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                let (poll, fault) = (request.poll, error.fault());
                schedule.handle(Input::Failed { poll, fault }, now);
                let mut held = schedule.held(now);
                let is_refused =
                    held.any(|held| *held.account == request.account && held.why == Why::Refused);
                (self.causes).failed(request.account, &error, fault, is_refused);
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
        self.causes.answered(&request.account);
        let mut pending: HashMap<TaskId, Pending> = HashMap::new();
        let mut found = Vec::with_capacity(answer.found.len());
        for (id, snapshot) in answer.found {
            let verdict = judge(snapshot);
            if let Verdict::Pending(one) = &verdict {
                self.say_unknown_status(&id, one);
                pending.insert(id.clone(), one.clone());
            }
            found.push((id, verdict));
        }
        let is_watched = |id: &TaskId| schedule.polls(id).is_some();
        (self.unread).take(&request.account, &request.ids, &answer.unread, is_watched);
        let answer = step::Answer {
            poll: request.poll,
            found,
            unread: answer.unread,
            allowance: answer.allowance,
        };
        schedule.handle(Input::Answered(answer), now);
        // Ids that were absent or unread have been asked about as well.
        let wall = clock::wall();
        for id in request.ids {
            let Some(polls) = schedule.polls(&id) else {
                continue;
            };
            let Pending {
                progress, counts, ..
            } = pending.remove(&id).unwrap_or_default();
            let polled = Polled {
                id,
                polls,
                polled_at: Some(wall),
                progress,
                counts,
            };
            notes.take(polled, now);
        }
    }

    /// Ends the polls that are under way still.
    pub(super) async fn close(&mut self, jobs: &mut Jobs) {
        self.in_flight.shutdown().await;
        for key in std::mem::take(&mut self.under_way) {
            self.end_request(key, jobs);
        }
    }

    /// Notes that a request has ended: it counts against the rates from now.
    fn end_request(&mut self, key: RequestKey, jobs: &mut Jobs) {
        self.under_way.remove(&key);
        let at = clock::wall();
        jobs.push(Job::End { key, at });
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
