//! The loop's state: what it does by the clock, and whom each thing concerns that happens.
//!
//! It never waits: what takes time is a piece of work or a poll, whose end comes back to it. What is
//! kept of each matter is that matter's own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::account::AccountName;
use crate::api::client::Client;
use crate::clock::{self, Instant};
use crate::daemon::jobs::Jobs;
use crate::daemon::listing::{self, Followed};
use crate::daemon::notes::Notes;
use crate::daemon::parts::{AccountSetup, ListSetup, Unwell};
use crate::daemon::polls::{Landed, Polls};
use crate::daemon::pruning::Pruning;
use crate::daemon::recall::Recall;
use crate::daemon::reload::{self, Change, ListChange, Reloading};
use crate::daemon::roll::Roll;
use crate::daemon::status::Report;
use crate::daemon::steps::{self, Channels, Steps};
use crate::daemon::work::{Done, Job, Stored};
use crate::relay::{Relay, SharedStore};
use crate::schedule::Schedule;
use crate::schedule::step::{Input, Step};
use crate::store::changes::Changes;
use crate::store::error::StoreError;

/// Nothing sleeps longer than this: a suspend does not fire timers, and the doorbell may be missed.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// How long the polls under way may take at the end. A daemon that takes over waits no more than two
/// seconds for all of it.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

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
    schedule: Schedule,
    pub(super) jobs: Jobs,
    pub(super) polls: Polls,
    pub(super) lists: Followed,
    /// How the settings are read again, if they are.
    pub(super) reloading: Option<Reloading>,
    /// Who wants to know which accounts do not answer.
    pub(super) access: Option<watch::Sender<Unwell>>,
    roll: Roll,
    notes: Notes,
    channels: Channels,
    pruning: Pruning,
    report: Report,
    look_at: Instant,
}

impl Daemon {
    pub(super) fn new(
        schedule: Schedule,
        clients: HashMap<AccountName, Client>,
        channels: Channels,
        store: &SharedStore,
        lists: Option<ListSetup>,
        keep: Duration,
        report: Report,
    ) -> Self {
        let now = clock::now();
        let mut daemon = Self {
            schedule,
            jobs: Jobs::new(Arc::clone(store)),
            polls: Polls::new(clients),
            lists: Followed::new(lists, now),
            reloading: None,
            access: None,
            roll: Roll::new(),
            notes: Notes::default(),
            channels,
            pruning: Pruning::new(keep, now),
            report,
            look_at: now,
        };
        daemon.load();
        daemon
    }

    /// Reads what has changed on the watch list.
    pub(super) fn load(&mut self) {
        self.roll.load(&mut self.jobs);
    }

    /// How many tasks are left that nobody can be asked about, once there is nothing else that an
    /// answer could settle and [`Self::advance`] has nothing more to do; `None` until then.
    pub(super) fn left(&self) -> Option<usize> {
        let is_done = self.roll.is_read() && self.jobs.is_idle() && self.lists.is_idle();
        (is_done && self.schedule.askable() == 0).then(|| self.schedule.pending())
    }

    /// Starts what there is to do, and says until when there is nothing else.
    pub(super) fn advance(&mut self, now: Instant) -> Instant {
        self.tend(now);
        let mut until = self.look_at;
        while self.jobs.is_idle() {
            match steps::next(&mut self.schedule, now) {
                Step::Sleep { until: wake } => {
                    until = until.min(wake);
                    break;
                }
                Step::Idle => break,
                step => self.take(step, now),
            }
        }
        let is_read = self.roll.is_read();
        // Looking for what is old takes as long as reading the watch list, which at a start comes first.
        if is_read && self.jobs.is_idle() && self.pruning.take_due(now) {
            self.lists.prune(&mut self.jobs, &mut self.pruning);
        }
        (self.report).tell(&self.schedule, &mut self.jobs, is_read, now);
        self.jobs.start(now);
        let others = [
            self.lists.start(now),
            self.notes.wake_at(),
            self.jobs.wake_at(),
            self.report.wake_at(&self.jobs),
        ];
        others.into_iter().flatten().fold(until, Instant::min)
    }

    /// What is to be done by the clock.
    fn tend(&mut self, now: Instant) {
        if self.look_at <= now {
            self.look_at = now.after(LOOK_INTERVAL);
            self.jobs.push(Job::Look);
            self.lists.look();
        }
        self.notes.write_if_due(&mut self.jobs, now);
    }

    fn take(&mut self, step: Step, now: Instant) {
        let mut steps = Steps {
            schedule: &mut self.schedule,
            jobs: &mut self.jobs,
            notes: &mut self.notes,
            polls: &self.polls,
            channels: &self.channels,
        };
        steps.take(step, now);
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
            Done::Looked { version } => self.roll.looked(version, &mut self.jobs),
            Done::Loaded(changes) => return Ok(self.apply(changes, now)),
            Done::Pruned { upto } => self.pruning.go_on(upto, &mut self.jobs),
            Done::Listed(stored) => self.take_stored(stored, now),
            Done::Granted(request, key) => match self.polls.send(request, key, &mut self.jobs) {
                // Most answers come within a second, and then tell more than that they were asked for.
                Ok(()) => self.report.refresh_later(now),
                Err(poll) => {
                    let wait = Duration::ZERO;
                    self.schedule.handle(Input::Denied { poll, wait }, now);
                }
            },
            Done::Denied { poll, wait } => {
                self.schedule.handle(Input::Denied { poll, wait }, now);
                self.report.refresh(now);
            }
            Done::Recalled(recalled) => {
                // It may have left the settings again.
                if self.polls.knows(recalled.account()) {
                    recalled.tell(&mut self.schedule, now);
                }
            }
            Done::Stood(standing) => self.report.count(standing, now),
        }
        Ok(None)
    }

    /// Applies a page of changes to the watch list. What that is to the relay: an import may be complete
    /// without its last tasks, or go on.
    fn apply(&mut self, changes: Changes, now: Instant) -> Option<News> {
        let news = if changes.removals.is_empty() {
            (!changes.added.is_empty()).then_some(News::Progress)
        } else {
            self.keep_channels();
            Some(News::Outcomes)
        };
        self.roll.apply(
            changes,
            &mut self.schedule,
            &mut self.jobs,
            &mut self.notes,
            now,
        );
        self.report.recount(now);
        news
    }

    fn keep_channels(&mut self) {
        let kept = Arc::clone(&self.channels.kept);
        self.jobs.push(Job::KeepChannels { kept });
    }

    /// Takes in what came of storing some ids of a list.
    fn take_stored(&mut self, stored: Stored, now: Instant) {
        if stored.new > 0 {
            self.report.recount(now);
            self.load();
        }
        self.lists.stored(stored);
    }

    /// Takes in a poll that has ended.
    pub(super) fn land(&mut self, landed: Landed) {
        let now = clock::now();
        self.report.refresh(now);
        self.polls.land(
            landed,
            &mut self.schedule,
            &mut self.jobs,
            &mut self.notes,
            now,
        );
    }

    /// Takes in what happened to the lists.
    pub(super) fn take_listing(&mut self, event: listing::Event) {
        (self.lists).take(event, &mut self.jobs, &mut self.pruning);
    }

    /// Takes in what happened about the settings.
    pub(super) fn take_reload(&mut self, event: reload::Event, relay: &mut Relay) {
        let now = clock::now();
        match event {
            reload::Event::Asked => {
                self.report.reloading();
                if let Some(reloading) = &mut self.reloading {
                    reloading.start();
                }
            }
            reload::Event::Read(read) => {
                reload::say(&read);
                let is_refused = read.is_err();
                if let Ok(change) = *read {
                    self.take_over(change, relay, now);
                }
                self.report.reloaded(is_refused, now);
            }
        }
    }

    /// Goes on by other settings. No poll, outcome or notice is dropped for that.
    fn take_over(&mut self, change: Change, relay: &mut Relay, now: Instant) {
        if let Some(parameters) = change.schedule {
            self.schedule.handle(Input::Changed(parameters), now);
        }
        for account in change.gone {
            self.polls.unset(&account);
            self.schedule.handle(Input::Unconfigured { account }, now);
        }
        for AccountSetup {
            name: account,
            client,
            parameters,
        } in change.accounts
        {
            if self.polls.set(account.clone(), client) {
                let configured = Input::Configured {
                    account,
                    parameters,
                };
                self.schedule.handle(configured, now);
            } else {
                // It is not asked before it is known what earlier runs knew of it.
                self.jobs.push(Job::Recall(Recall {
                    account,
                    parameters,
                }));
            }
        }
        if let Some(notices) = change.notices {
            self.channels = Channels::of(&notices);
            self.keep_channels();
            relay.change(notices.notifiers, &notices.manners);
        }
        if change.lists != ListChange::Same {
            self.pruning.stop();
        }
        self.lists.change(change.lists);
        self.pruning.keep(change.keep);
    }

    /// Shows which accounts do not answer, if someone wants to know.
    pub(super) fn show_access(&self) {
        let Some(access) = &self.access else {
            return;
        };
        let unwell = self.schedule.unwell();
        let unwell =
            unwell.map(|(account, access)| (account.clone(), (access, self.polls.cause(account))));
        let unwell: Unwell = unwell.collect();
        access.send_if_modified(|shown| {
            *shown != unwell && {
                *shown = unwell;
                true
            }
        });
    }

    /// Tells the manager that this begins to end, and how it stands.
    pub(super) fn report_end(&mut self) {
        let pending = self.roll.is_read().then(|| self.schedule.pending());
        self.report.end(pending);
    }

    /// Ends the polls under way and writes what is known.
    pub(super) async fn close(mut self) {
        // A request is spent once it is sent, so its answer is waited for if it comes soon.
        let landing = async {
            while let Some(Ok(landed)) = self.polls.landed().await {
                self.land(landed);
            }
        };
        drop(tokio::time::timeout(LAST_ANSWERS, landing).await);
        self.polls.close(&mut self.jobs).await;
        let now = clock::now();
        // What the schedule has decided is kept; a poll that it wants is not sent.
        while let step @ (Step::Settle { .. }
        | Step::Tell { .. }
        | Step::Remember { .. }
        | Step::Learn { .. }) = steps::next(&mut self.schedule, now)
        {
            self.take(step, now);
        }
        self.notes.write(&mut self.jobs);
        self.jobs.finish().await;
    }
}
