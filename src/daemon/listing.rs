//! The lists of ids beside the loop: a thread reads them, the store takes them in a chunk at a time,
//! and between two chunks the schedule has its turn.
//!
//! It never waits: what was read comes back to the loop. Nothing that is still listed is deleted for
//! its age.

use std::path::Path;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};

use crate::account::AccountName;
use crate::clock::{self, Instant};
use crate::daemon::jobs::Jobs;
use crate::daemon::parts::ListSetup;
use crate::daemon::pruning::Pruning;
use crate::daemon::reload::ListChange;
use crate::daemon::work::{Job, Stored};
use crate::store::add::{Add, ImportChoice};
use crate::watchlist::listed::Listed;
use crate::watchlist::lists::{Chunk, Lists};
use crate::watchlist::watcher::{self, Changes};

/// Files that change all the time are looked at this often.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The lists that are followed, if there are any, and those that are to be instead.
#[derive(Debug)]
pub(super) struct Followed {
    listing: Option<Listing>,
    change: ListChange,
}

/// The lists, and how far they have been read.
#[derive(Debug)]
struct Listing {
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

impl Followed {
    pub(super) fn new(setup: Option<ListSetup>, now: Instant) -> Self {
        Self {
            listing: setup.map(|setup| Listing::new(setup, now)),
            change: ListChange::Same,
        }
    }

    /// Whether all lists have been read, up to their ends and as they are now.
    pub(super) fn is_idle(&self) -> bool {
        self.change == ListChange::Same && self.listing.as_ref().is_none_or(Listing::is_idle)
    }

    /// The files are to be looked at, as soon as may be.
    pub(super) fn look(&mut self) {
        if let Some(listing) = &mut self.listing {
            listing.look();
        }
    }

    /// Other lists are to be followed, or the same may have changed.
    pub(super) fn change(&mut self, change: ListChange) {
        if let Some(listing) = &mut self.listing {
            match change {
                ListChange::Now(_) => listing.leave(),
                ListChange::Same => listing.look(),
            }
        }
        if change != ListChange::Same {
            self.change = change;
        }
    }

    /// Starts what is to be done now, and says until when there is nothing else. Other lists are
    /// followed once the store is done with what was read of the old ones.
    pub(super) fn start(&mut self, now: Instant) -> Option<Instant> {
        if self.listing.as_ref().is_none_or(Listing::is_left)
            && let ListChange::Now(lists) = std::mem::take(&mut self.change)
        {
            self.listing = lists.map(|lists| Listing::new(lists, now));
        }
        let listing = self.listing.as_mut()?;
        listing.start(now);
        listing.wake_at()
    }

    /// What happens next to the lists, if there are any; else pending for ever.
    ///
    /// Cancel safe: dropped, it leaves the reading under way and the changes where they are.
    pub(super) async fn next(&mut self) -> Result<Event, JoinError> {
        match &mut self.listing {
            Some(listing) => listing.next().await,
            None => std::future::pending().await,
        }
    }

    /// Takes in what happened to the lists.
    pub(super) fn take(&mut self, event: Event, jobs: &mut Jobs, pruning: &mut Pruning) {
        let Some(listing) = &mut self.listing else {
            return;
        };
        match event {
            Event::Changed => listing.look(),
            Event::Chunk(chunk) => {
                listing.is_storing = true;
                let add = listing.add(chunk.import.clone());
                jobs.push(Job::Watch { add, chunk });
            }
            Event::End => listing.end(),
            Event::All(Some(listed)) => pruning.begin(listed, jobs),
            Event::All(None) => tracing::debug!(
                "nothing is deleted for its age, since it is not known what is still listed"
            ),
        }
    }

    /// Takes in what came of storing some ids.
    pub(super) fn stored(&mut self, stored: Stored) {
        if let Some(listing) = &mut self.listing {
            listing.stored(stored);
        }
    }

    /// Finds out what is listed, and then lets go of what is old and is not.
    pub(super) fn prune(&mut self, jobs: &mut Jobs, pruning: &mut Pruning) {
        match &mut self.listing {
            Some(listing) => listing.wants_all = true,
            None => pruning.begin(Listed::default(), jobs),
        }
    }
}

impl Listing {
    fn new(setup: ListSetup, now: Instant) -> Self {
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
    fn is_idle(&self) -> bool {
        let is_busy = self.reading.is_some() || self.is_storing || self.wants_all;
        self.is_read && !is_busy && self.look_at.is_none()
    }

    /// Other lists are to be followed instead: nothing more is read of these.
    fn leave(&mut self) {
        // What a thread is reading ends with it.
        self.reading = None;
        self.lists = None;
        self.look_at = None;
    }

    /// Whether it has been left, and the store is done with what was read.
    fn is_left(&self) -> bool {
        self.lists.is_none() && self.reading.is_none() && !self.is_storing
    }

    /// The files are to be looked at, as soon as may be.
    fn look(&mut self) {
        self.look_at_or_before(self.looked_at.after(LOOK_PAUSE));
    }

    fn look_at_or_before(&mut self, at: Instant) {
        self.look_at = Some(self.look_at.map_or(at, |other| other.min(at)));
    }

    /// When [`Self::start`] has something to do, where that is a matter of time.
    fn wake_at(&self) -> Option<Instant> {
        let is_busy = self.reading.is_some() || self.is_storing;
        self.look_at.filter(|_| !is_busy)
    }

    /// Starts to read what is to be read now, unless something is under way.
    fn start(&mut self, now: Instant) {
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

    async fn next(&mut self) -> Result<Event, JoinError> {
        if let Some(reading) = &mut self.reading {
            let (lists, event) = reading.await?;
            self.reading = None;
            self.lists = Some(lists);
            return Ok(event);
        }
        // What is to be looked at shortly anyway need not be told.
        let soon = self.looked_at.after(LOOK_PAUSE);
        if self.is_storing || self.look_at.is_some_and(|at| at <= soon) {
            return std::future::pending().await;
        }
        self.changes.changed().await;
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
