//! The lists of ids beside the loop: a thread reads them, the store takes them in a chunk at a time,
//! and between two chunks the schedule has its turn.
//!
//! It never waits: what was read comes back to the loop. Nothing that is still listed is deleted for
//! its age.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::{JoinError, JoinHandle};

use crate::account::AccountName;
use crate::clock::{self, Instant};
use crate::daemon::ListSetup;
use crate::daemon::jobs::Job;
use crate::daemon::state::{Daemon, PRUNE_INTERVAL};
use crate::store::add::{Add, ImportChoice};
use crate::store::changes::Seq;
use crate::watchlist::ids::Found;
use crate::watchlist::listed::Listed;
use crate::watchlist::lists::{Chunk, Lists};
use crate::watchlist::watcher::{self, Changes};

/// Files that change all the time are looked at this often.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The lists, and how far they have been read.
#[derive(Debug)]
pub(super) struct Listing {
    account: AccountName,
    give_up_after: Duration,
    changes: Changes,
    /// The lists, unless a thread has them.
    lists: Option<Lists>,
    /// The thread that has them.
    reading: Option<JoinHandle<(Lists, Event)>>,
    /// Whether what was read is being stored.
    is_storing: bool,
    /// When the files are to be looked at.
    look_at: Option<Instant>,
    looked_at: Instant,
    /// Whether all that is listed is to be read, to know what is to be kept.
    wants_all: bool,
    /// Whether all lists have been read once.
    is_read: bool,
    /// How many ids of a list are newly watched, until that is said.
    taken: Option<Taken>,
}

/// What was taken from one list in one look.
#[derive(Debug)]
struct Taken {
    file: Option<usize>,
    import: String,
    tasks: usize,
}

/// What happened to the lists.
#[derive(Debug)]
pub(super) enum Event {
    /// A file may have changed.
    Changed,
    /// Some ids were read.
    Chunk(Chunk),
    /// All ids were read.
    End,
    /// This is all that is listed; `None`: it is not known.
    All(Option<Listed>),
}

impl Listing {
    pub(super) fn new(setup: ListSetup, now: Instant) -> Self {
        let (watches, changes) = watcher::watch(&setup.files);
        Self {
            account: setup.account,
            give_up_after: setup.give_up_after,
            changes,
            lists: Some(Lists::new(setup.ids, setup.files, watches)),
            reading: None,
            is_storing: false,
            look_at: Some(now),
            looked_at: now.before(LOOK_PAUSE),
            wants_all: false,
            is_read: false,
            taken: None,
        }
    }

    /// Whether all lists have been read, up to their ends and as they are now.
    pub(super) fn is_idle(&self) -> bool {
        let is_busy = self.reading.is_some() || self.is_storing || self.wants_all;
        self.is_read && !is_busy && self.look_at.is_none()
    }

    /// Other lists are to be followed instead: nothing more is read of these.
    pub(super) fn leave(&mut self) {
        // What a thread is reading ends with it.
        self.reading = None;
        self.lists = None;
        self.look_at = None;
    }

    /// Whether it has been left, and the store is done with what was read.
    pub(super) fn is_left(&self) -> bool {
        self.lists.is_none() && self.reading.is_none() && !self.is_storing
    }

    /// The files are to be looked at, as soon as may be.
    pub(super) fn look(&mut self) {
        self.look_at_or_before(self.looked_at.after(LOOK_PAUSE));
    }

    fn look_at_or_before(&mut self, at: Instant) {
        self.look_at = Some(self.look_at.map_or(at, |other| other.min(at)));
    }

    /// When [`Self::start`] has something to do, where that is a matter of time.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let is_busy = self.reading.is_some() || self.is_storing;
        self.look_at.filter(|_| !is_busy)
    }

    /// Starts to read what is to be read now, unless something is under way.
    pub(super) fn start(&mut self, now: Instant) {
        if self.reading.is_some() || self.is_storing {
            return;
        }
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            self.looked_at = now;
            self.read(|lists| {
                let now = clock::now();
                lists.look(now, clock::wall());
                next(lists, now)
            });
        } else if self.wants_all {
            self.wants_all = false;
            self.read(|lists| Event::All(lists.listed(clock::now())));
        }
    }

    fn read(&mut self, work: fn(&mut Lists) -> Event) {
        if let Some(mut lists) = self.lists.take() {
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let event = work(&mut lists);
                (lists, event)
            }));
        }
    }

    /// What happens next to the lists, if there are any; else pending for ever.
    ///
    /// Cancel safe: dropped, it leaves the reading under way and the changes where they are.
    pub(super) async fn next(this: Option<&mut Self>) -> Result<Event, JoinError> {
        let Some(this) = this else {
            return std::future::pending().await;
        };
        if let Some(reading) = &mut this.reading {
            let (lists, event) = reading.await?;
            this.reading = None;
            this.lists = Some(lists);
            return Ok(event);
        }
        // What is to be looked at shortly anyway need not be told.
        let soon = this.looked_at.after(LOOK_PAUSE);
        if this.is_storing || this.look_at.is_some_and(|at| at <= soon) {
            return std::future::pending().await;
        }
        this.changes.changed().await;
        Ok(Event::Changed)
    }

    fn add(&self, import: String) -> Add {
        Add {
            account: self.account.clone(),
            import: ImportChoice::Named(import),
            give_up_after: self.give_up_after,
        }
    }

    /// Takes in what came of storing, and reads on.
    fn stored(&mut self, stored: Stored) {
        let Stored {
            file,
            import,
            new,
            elsewhere,
        } = stored;
        for (found, account) in elsewhere {
            if let Some(lists) = &mut self.lists {
                lists.say_elsewhere(file, &found, &account);
            }
        }
        if self.taken.as_ref().is_some_and(|taken| taken.file != file) {
            self.say_taken();
        }
        let taken = self.taken.get_or_insert(Taken {
            file,
            import,
            tasks: 0,
        });
        taken.tasks += new;
        self.is_storing = false;
        self.read(|lists| next(lists, clock::now()));
    }

    fn end(&mut self) {
        self.say_taken();
        self.is_read = true;
        if let Some(at) = self.lists.as_ref().and_then(Lists::wake_at) {
            self.look_at_or_before(at);
        }
    }

    fn say_taken(&mut self) {
        let Some(taken) = self.taken.take().filter(|taken| taken.tasks > 0) else {
            return;
        };
        let Taken { import, tasks, .. } = taken;
        let path = |file| self.lists.as_ref().and_then(|lists| lists.path(file));
        let list = taken.file.and_then(path).unwrap_or(Path::new("watch.ids"));
        tracing::info!(?list, ?import, tasks, "watching what a list holds");
    }
}

fn next(lists: &mut Lists, now: Instant) -> Event {
    lists.next(now).map_or(Event::End, Event::Chunk)
}

/// What came of storing some ids of a list.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) file: Option<usize>,
    pub(super) import: String,
    /// How many of them are newly watched.
    pub(super) new: usize,
    /// Those that another account watches.
    pub(super) elsewhere: Vec<(Found, AccountName)>,
}

/// What is to be deleted.
#[derive(Debug)]
pub(super) struct Pruning {
    before: Timestamp,
    /// What is not.
    listed: Arc<Listed>,
}

impl Daemon {
    /// Takes in what happened to the lists.
    pub(super) fn take_listing(&mut self, event: Event) {
        let Some(listing) = &mut self.listing else {
            return;
        };
        match event {
            Event::Changed => listing.look(),
            Event::Chunk(chunk) => {
                listing.is_storing = true;
                let add = listing.add(chunk.import.clone());
                self.jobs.push(Job::Watch { add, chunk });
            }
            Event::End => listing.end(),
            Event::All(Some(listed)) => self.prune_all_but(listed),
            Event::All(None) => tracing::debug!(
                "nothing is deleted for its age, since it is not known what is still listed"
            ),
        }
    }

    /// Takes in what came of storing some ids.
    pub(super) fn take_stored(&mut self, stored: Stored, now: Instant) {
        if stored.new > 0 {
            self.report.recount(now);
            self.load();
        }
        if let Some(listing) = &mut self.listing {
            listing.stored(stored);
        }
    }

    /// Begins to let go of what is old where it is time for that. To be called when there is nothing else
    /// to do: looking for it takes as long as reading the watch list, which at a start comes first.
    pub(super) fn prune_in_time(&mut self, now: Instant) {
        if !self.loaded || self.prune_at > now {
            return;
        }
        self.prune_at = now.after(PRUNE_INTERVAL);
        match &mut self.listing {
            Some(listing) => listing.wants_all = true,
            None => self.prune_all_but(Listed::default()),
        }
    }

    fn prune_all_but(&mut self, listed: Listed) {
        let keep = SignedDuration::try_from(self.keep).unwrap_or(SignedDuration::MAX);
        if let Ok(before) = clock::wall().checked_sub(keep) {
            let listed = Arc::new(listed);
            self.pruning = Some(Pruning { before, listed });
            self.prune_after(Some(Seq::START));
        }
    }

    /// Lets go of some of what is old, after this watch; `None` is the end.
    pub(super) fn prune_after(&mut self, after: Option<Seq>) {
        match (&self.pruning, after) {
            (Some(pruning), Some(after)) => self.jobs.push(Job::Prune {
                before: pruning.before,
                after,
                listed: Arc::clone(&pruning.listed),
            }),
            _ => self.pruning = None,
        }
    }
}
