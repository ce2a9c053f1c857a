//! The loop's state: what it does by the clock, what it makes of each step of the schedule, and what
//! it takes in.
//!
//! It never waits: what takes time is a piece of work or a poll, whose end comes back to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::account::AccountName;
use crate::api::client::Client;
use crate::clock::{self, Instant};
use crate::daemon::jobs::{Done, Job, Jobs, Request};
use crate::daemon::landing::{self, Landed};
use crate::daemon::listing::{Listing, Pruning};
use crate::daemon::reload::{ListChange, Reloading};
use crate::daemon::status::Report;
use crate::daemon::unread::Unread;
use crate::daemon::{End, ListSetup, Unwell, trace};
use crate::notice::AccountNews;
use crate::notice::channel::Channel;
use crate::outcome::Settlement;
use crate::relay::SharedStore;
use crate::schedule::Schedule;
use crate::schedule::step::{Input, Step, Watched};
use crate::store::budget::RequestKey;
use crate::store::changes::{Changes, PendingWatch, Seq};
use crate::store::error::StoreError;
use crate::store::settle::{Polled, Settled};
use crate::task::TaskId;
use crate::watch::began;

/// Nothing sleeps longer than this: a suspend does not fire timers, and the doorbell may be missed.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// How long answers that left tasks pending are gathered before they are written.
pub(super) const WRITE_BEHIND: Duration = Duration::from_secs(10);
/// How often what is old is let go.
pub(super) const PRUNE_INTERVAL: Duration = Duration::from_hours(1);
/// How long the polls under way may take at the end. A daemon that takes over waits no more than two
/// seconds for all of it.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Outcomes in one commit.
const MOST_SETTLED: usize = 10_000;

/// What the relay is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// There may be something new to tell.
    Outcomes,
    /// Something gets on that has no outcome yet.
    Progress,
}

/// The loop's state.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) schedule: Schedule,
    pub(super) clients: HashMap<AccountName, Client>,
    pub(super) channels: Arc<[Channel]>,
    /// Channels that are not off by the settings.
    pub(super) kept: Arc<[Channel]>,
    pub(super) jobs: Jobs,
    pub(super) polls: JoinSet<Landed>,
    /// The requests that were sent and have not ended.
    pub(super) under_way: HashSet<RequestKey>,
    pub(super) listing: Option<Listing>,
    /// Whether other lists are to be followed instead.
    pub(super) relisting: ListChange,
    /// How the settings are read again, if they are.
    pub(super) reloading: Option<Reloading>,
    pub(super) keep: Duration,
    /// What is being deleted.
    pub(super) pruning: Option<Pruning>,
    /// The last watch that was read from the store.
    seen: Seq,
    /// Whether the watch list has been read once.
    pub(super) loaded: bool,
    /// The store's version when it was last looked at.
    version: Option<i64>,
    look_at: Instant,
    pub(super) prune_at: Instant,
    /// Answers that left tasks pending, not written yet, and when they are.
    pub(super) noted: HashMap<TaskId, Polled>,
    pub(super) note_at: Option<Instant>,
    /// What went wrong last with each account that does not answer.
    pub(super) causes: HashMap<AccountName, String>,
    /// Statuses that no documentation names, which the log has mentioned.
    pub(super) unknown_statuses: HashSet<Box<str>>,
    pub(super) unread: Unread,
    pub(super) report: Report,
    /// Who wants to know which accounts do not answer.
    pub(super) access: Option<watch::Sender<Unwell>>,
}

impl Daemon {
    pub(super) fn new(
        schedule: Schedule,
        clients: HashMap<AccountName, Client>,
        (channels, kept): (Arc<[Channel]>, Arc<[Channel]>),
        store: &SharedStore,
        lists: Option<ListSetup>,
        keep: Duration,
        report: Report,
    ) -> Self {
        let now = clock::now();
        let mut daemon = Self {
            schedule,
            clients,
            channels,
            kept,
            jobs: Jobs::new(Arc::clone(store)),
            polls: JoinSet::new(),
            under_way: HashSet::new(),
            listing: lists.map(|lists| Listing::new(lists, now)),
            relisting: ListChange::Same,
            reloading: None,
            keep,
            pruning: None,
            seen: Seq::START,
            loaded: false,
            version: None,
            look_at: now,
            prune_at: now,
            noted: HashMap::new(),
            note_at: None,
            causes: HashMap::new(),
            unknown_statuses: HashSet::new(),
            unread: Unread::default(),
            report,
            access: None,
        };
        daemon.load();
        daemon
    }

    /// Reads what has changed on the watch list.
    pub(super) fn load(&mut self) {
        self.jobs.push(Job::Load { after: self.seen });
    }

    /// Whether there is nothing left that an answer could settle, once [`Self::advance`] has nothing
    /// more to do.
    pub(super) fn end(&self) -> Option<End> {
        let pending = self.schedule.pending();
        let lists_are_read = self.relisting == ListChange::Same
            && self.listing.as_ref().is_none_or(Listing::is_idle);
        if !self.loaded || !self.jobs.is_idle() || !lists_are_read {
            None
        } else if pending == 0 {
            Some(End::Settled)
        } else if self.schedule.askable() == 0 {
            Some(End::Unasked { tasks: pending })
        } else {
            None
        }
    }

    /// Starts what there is to do, and says until when there is nothing else.
    pub(super) fn advance(&mut self, now: Instant) -> Instant {
        self.tend(now);
        let mut until = self.look_at;
        while self.jobs.is_idle() {
            match self.next_step(now) {
                Step::Sleep { until: wake } => {
                    until = until.min(wake);
                    break;
                }
                Step::Idle => break,
                step => self.take(step, now),
            }
        }
        if self.jobs.is_idle() {
            self.prune_in_time(now);
        }
        self.report(now);
        self.jobs.start(now);
        self.relist(now);
        let mut listing_at = None;
        if let Some(listing) = &mut self.listing {
            listing.start(now);
            listing_at = listing.wake_at();
        }
        let others = [
            self.note_at,
            self.jobs.wake_at(),
            self.report_at(),
            listing_at,
        ];
        others.into_iter().flatten().fold(until, Instant::min)
    }

    fn next_step(&mut self, now: Instant) -> Step {
        let step = self.schedule.next_step(now);
        trace::step(&step);
        step
    }

    /// What is to be done by the clock.
    fn tend(&mut self, now: Instant) {
        if self.look_at <= now {
            self.look_at = now.after(LOOK_INTERVAL);
            self.jobs.push(Job::Look);
            if let Some(listing) = &mut self.listing {
                listing.look();
            }
        }
        if self.note_at.is_some_and(|at| at <= now) {
            self.note();
        }
    }

    fn note(&mut self) {
        self.note_at = None;
        if !self.noted.is_empty() {
            let noted = std::mem::take(&mut self.noted);
            self.jobs.push(Job::Note(noted.into_values().collect()));
        }
    }

    /// Makes a step of the schedule a piece of work.
    fn take(&mut self, step: Step, now: Instant) {
        match step {
            Step::Settle {
                id,
                polls,
                settlement,
            } => {
                let at = clock::wall();
                let mut settled = Vec::new();
                let mut next = Some(self.settled(id, polls, settlement, at));
                let mut after = None;
                // Outcomes that came together are committed together.
                while let Some(one) = next.take() {
                    settled.push(one);
                    if settled.len() == MOST_SETTLED {
                        break;
                    }
                    match self.next_step(now) {
                        Step::Settle {
                            id,
                            polls,
                            settlement,
                        } => next = Some(self.settled(id, polls, settlement, at)),
                        other => after = Some(other),
                    }
                }
                self.jobs.push(Job::Settle {
                    settled,
                    at,
                    channels: Arc::clone(&self.channels),
                });
                if let Some(step) = after {
                    self.take(step, now);
                }
            }
            Step::Tell {
                account,
                trouble,
                over,
                memory,
            } => {
                let cause = self.causes.get(&account).filter(|_| !over);
                let news = AccountNews {
                    cause: cause.cloned().unwrap_or_default(),
                    account,
                    trouble,
                    over,
                };
                self.jobs.push(Job::Tell {
                    news,
                    memory,
                    at: clock::wall(),
                    channels: Arc::clone(&self.channels),
                });
            }
            Step::Remember { account, memory } => {
                self.jobs.push(Job::Remember { account, memory });
            }
            Step::Learn {
                account,
                experience,
            } => self.jobs.push(Job::Learn {
                account,
                experience,
            }),
            Step::Poll {
                poll,
                account,
                ids,
                rates,
            } => self.jobs.push(Job::Claim(Request {
                patience: self.patience(&account),
                poll,
                account,
                ids,
                windows: rates.windows().collect(),
            })),
            Step::Sleep { .. } | Step::Idle => {}
        }
    }

    fn settled(
        &mut self,
        id: TaskId,
        polls: u32,
        settlement: Settlement,
        at: Timestamp,
    ) -> Settled {
        self.noted.remove(&id);
        Settled {
            id,
            settlement,
            polls,
            polled_at: Some(at),
        }
    }

    /// Takes in what came of a piece of work. Returns what is new by that.
    pub(super) fn finish(
        &mut self,
        result: Result<Done, StoreError>,
    ) -> Result<Option<News>, StoreError> {
        let now = clock::now();
        let Some(done) = self.jobs.take(result, now)? else {
            self.report.refresh(now);
            return Ok(None);
        };
        match done {
            Done::Kept => {}
            Done::Noted => return Ok(Some(News::Progress)),
            Done::ToTell => {
                self.report.recount(now);
                return Ok(Some(News::Outcomes));
            }
            Done::Looked { version } => {
                if self
                    .version
                    .replace(version)
                    .is_some_and(|last| last != version)
                {
                    self.load();
                }
            }
            Done::Loaded(changes) => {
                let news = self.news_of(&changes);
                self.apply(changes, now);
                return Ok(news);
            }
            Done::Pruned { upto } => self.prune_after(upto),
            Done::Listed(stored) => self.take_stored(stored, now),
            Done::Granted(request, key) => self.send(request, key, now),
            Done::Denied { poll, wait } => {
                self.schedule.handle(Input::Denied { poll, wait }, now);
                self.report.refresh(now);
            }
            Done::Recalled(recalled) => {
                // It may have left the settings again.
                if self.clients.contains_key(recalled.account()) {
                    recalled.tell(&mut self.schedule, now);
                }
            }
            Done::Stood(standing) => self.report.count(standing, now),
        }
        Ok(None)
    }

    /// What a change of the watch list is to the relay: an import may be complete without its last
    /// tasks, or go on.
    fn news_of(&mut self, changes: &Changes) -> Option<News> {
        if changes.removals.is_empty() {
            return (!changes.added.is_empty()).then_some(News::Progress);
        }
        let kept = Arc::clone(&self.kept);
        self.jobs.push(Job::KeepChannels { kept });
        Some(News::Outcomes)
    }

    /// Applies a page of changes to the watch list.
    fn apply(&mut self, changes: Changes, now: Instant) {
        let wall = clock::wall();
        if let Some(last) = changes.removals.last() {
            self.jobs.push(Job::Forget { upto: last.number });
        }
        self.seen = changes.upto;
        self.loaded |= !changes.more;
        if changes.more {
            // The next page is read while this one is taken in.
            self.load();
            self.jobs.start(now);
        }
        for removal in changes.removals {
            self.noted.remove(&removal.id);
            self.schedule.handle(Input::Unwatched(removal.id), now);
        }
        for watch in changes.added {
            let watched = watched(watch, wall, now);
            self.schedule.handle(Input::Watched(watched), now);
        }
        self.report.recount(now);
    }

    /// How long a request of this account may take.
    fn patience(&self, account: &AccountName) -> Duration {
        let client = self.clients.get(account);
        client.map_or(Duration::ZERO, Client::request_timeout)
    }

    fn send(&mut self, request: Request, key: RequestKey, now: Instant) {
        let Some(client) = self.clients.get(&request.account) else {
            // The account has left the settings since the schedule chose whom to ask.
            let denied = Input::Denied {
                poll: request.poll,
                wait: Duration::ZERO,
            };
            self.schedule.handle(denied, now);
            self.end_request(key);
            return;
        };
        self.under_way.insert(key);
        self.polls
            .spawn(landing::poll(client.clone(), request, key));
        // Most answers come within a second, and then tell more than that they were asked for.
        self.report.refresh_later(now);
    }

    /// Shows which accounts do not answer, if someone wants to know.
    pub(super) fn show_access(&self) {
        let Some(access) = &self.access else {
            return;
        };
        let unwell = self.schedule.unwell().map(|(account, access)| {
            let cause = self.causes.get(account).cloned().unwrap_or_default();
            (account.clone(), (access, cause))
        });
        let unwell: Unwell = unwell.collect();
        access.send_if_modified(|shown| {
            *shown != unwell && {
                *shown = unwell;
                true
            }
        });
    }

    /// Notes that a request has ended: it counts against the rates from now.
    pub(super) fn end_request(&mut self, key: RequestKey) {
        self.under_way.remove(&key);
        let at = clock::wall();
        self.jobs.push(Job::End { key, at });
    }

    /// Ends the polls under way and writes what is known.
    pub(super) async fn close(mut self) {
        // A request is spent once it is sent, so its answer is waited for if it comes soon.
        let landing = async {
            while let Some(Ok(landed)) = self.polls.join_next().await {
                self.land(landed);
            }
        };
        drop(tokio::time::timeout(LAST_ANSWERS, landing).await);
        self.polls.shutdown().await;
        for key in std::mem::take(&mut self.under_way) {
            self.end_request(key);
        }
        let now = clock::now();
        // What the schedule has decided is kept; a poll that it wants is not sent.
        while let step @ (Step::Settle { .. }
        | Step::Tell { .. }
        | Step::Remember { .. }
        | Step::Learn { .. }) = self.next_step(now)
        {
            self.take(step, now);
        }
        self.note();
        self.jobs.finish().await;
    }
}

/// A watch of the store, with its wall times on the boot clock.
fn watched(watch: PendingWatch, wall: Timestamp, now: Instant) -> Watched {
    let boot = |at: Timestamp| match at.duration_since(wall).try_into() {
        Ok(ahead) => now.after(ahead),
        Err(_) => now.before(at.duration_since(wall).unsigned_abs()),
    };
    // An answer from the future is one before the wall clock was set back.
    let polled = watch.polled_at.map(|at| (watch.polls, boot(at).min(now)));
    Watched {
        began: boot(began(&watch.id, watch.added_at)),
        progress: watch.progress,
        deadline: boot(watch.deadline),
        id: watch.id,
        account: watch.account,
        polled: polled.filter(|(polls, _)| *polls > 0),
    }
}
