//! The loop of the desktop, which tells of imports: what matters most first, many at once as one, and
//! how one gets on that takes long.
//!
//! What went well of an import that goes on is told by its living notice and by its result; only what
//! did not breaks through before.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::account::AccountName;
use crate::clock;
use crate::notice::channel::Channel;
use crate::notice::digest::{self, Part};
use crate::notice::progress;
use crate::notice::{
    About, AccountNews, ImportNews, Notice, Subject, TaskNews, Wording, cause, safe, wording,
};
use crate::notifier::desktop::{DesktopNotifier, Event};
use crate::outcome::Outcome;
use crate::relay::living::{Last, Living, Step};
use crate::relay::turn::{Next, Turn};
use crate::relay::{Manners, between};
use crate::settings::Quiet;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::news::{ImportPending, ImportWaiting};
use crate::store::outbox::OutboxKey;
use crate::store::outlook::Outlook;
use crate::watch::{ImportKey, Standing, State, Tally};

/// Tasks of one import that are looked at for details.
const TASKS: usize = 500;
/// Imports that are looked at for living notices.
const IMPORTS: usize = 200;
/// Causes that a living notice goes on to tell.
const CAUSES: usize = 2;
/// How long the last words may take when the daemon ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

pub(super) async fn run(turn: Turn, notifier: DesktopNotifier, manners: Manners) {
    let mut screen = Screen {
        living: Living::new(manners.progress_after),
        turn,
        notifier,
        manners,
    };
    while !screen.turn.stop.is_cancelled() {
        // Not cancelled in the middle: what was shown is to be noted as shown.
        let next = screen.tell().await;
        if next == Next::Go {
            continue;
        }
        tokio::select! {
            biased;
            event = screen.notifier.event() => match event {
                Event::Closed(About::Import(import)) => screen.living.closed(import),
                Event::Closed(About::Account(_) | About::Digest) => {}
                Event::Appeared | Event::Gone => screen.living.cleared(),
            },
            () = screen.turn.pause(next) => {}
        }
    }
    drop(tokio::time::timeout(LAST_WORDS, screen.part()).await);
}

#[derive(Debug)]
struct Screen {
    turn: Turn,
    notifier: DesktopNotifier,
    manners: Manners,
    living: Living,
}

/// What there is to tell.
#[derive(Debug)]
struct Sight {
    accounts: Vec<(OutboxKey, AccountNews)>,
    imports: Vec<ImportWaiting>,
    pending: Vec<ImportPending>,
    /// Imports that were pending when they were last looked at, and are no longer.
    ended: Vec<(ImportKey, Standing, Duration)>,
}

impl Sight {
    fn of(store: &Store, known: &[ImportKey]) -> Result<Self, StoreError> {
        let pending = store.pending_imports(IMPORTS)?;
        let goes_on = |key: &ImportKey| pending.iter().any(|now| now.import.key == *key);
        let mut ended = Vec::new();
        for key in known.iter().filter(|key| !goes_on(key)) {
            let standing = store.standing(*key)?;
            if standing.pending == 0 {
                ended.push((*key, standing, store.longest(*key)?));
            }
        }
        Ok(Self {
            accounts: store.account_news(Channel::Desktop)?,
            imports: store.import_news(Channel::Desktop)?,
            pending,
            ended,
        })
    }
}

impl Screen {
    /// Tells the one thing that matters most.
    async fn tell(&mut self) -> Next {
        let known = self.living.keys();
        let sight = self.turn.with(move |store| Sight::of(store, &known)).await;
        let sight = match sight {
            Ok(sight) => sight,
            Err(error) => return self.turn.unread(error),
        };
        let wall = clock::wall();
        self.living.look(sight.pending, wall);
        if !sight.accounts.is_empty() {
            return self.tell_account(sight.accounts).await;
        }
        let (silent, loud): (Vec<_>, Vec<_>) = sight
            .imports
            .into_iter()
            .partition(|waiting| self.is_silent(waiting));
        if !silent.is_empty() {
            for waiting in silent
                .iter()
                .filter(|waiting| waiting.standing.pending == 0)
            {
                // What is kept from the desktop does not stay on it half told either.
                self.living.end(waiting.import.key);
                self.notifier
                    .withdraw(&About::Import(waiting.import.key))
                    .await;
            }
            return self.note(silent).await;
        }
        let (held, loud): (Vec<_>, Vec<_>) = loud
            .into_iter()
            .partition(|waiting| !self.turn.is_hurried() && goes_well_on(waiting));
        let (held, untold): (Vec<_>, Vec<_>) = held
            .into_iter()
            .partition(|waiting| self.living.holds(waiting.import.key));
        if !untold.is_empty() {
            return self.note(untold).await;
        }
        let awaited: HashSet<ImportKey> = loud.iter().map(|one| one.import.key).collect();
        let gather = if self.turn.is_hurried() {
            Duration::ZERO
        } else {
            self.manners.gather
        };
        let (mut ready, wait) = ready(loud, gather, wall);
        if self.manners.digest > 0 && imports_of(&ready) > self.manners.digest {
            return self.tell_digest(ready).await;
        }
        ready.sort_by_key(|waiting| severity(waiting.told));
        if let Some(first) = ready.into_iter().next() {
            return self.tell_import(first).await;
        }
        for (key, standing, longest) in sight.ended {
            if !awaited.contains(&key) {
                return self.end(key, standing, longest).await;
            }
        }
        self.tell_progress(held, wall, wait).await
    }

    /// Shows what is said. A notice that the server will never take counts as shown: tried for ever,
    /// it would hold up all that comes after it.
    async fn show(&mut self, about: About, said: &Wording) -> Result<(), Next> {
        match self.notifier.show(about, said).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_passing() => {
                let what = "a notice could not be delivered; it is tried again";
                Err(self.turn.failed(&error, what))
            }
            Err(error) => {
                let (cause, text) = (safe::causes(&error), &said.summary);
                tracing::error!(
                    channel = "desktop",
                    ?cause,
                    ?text,
                    "the notifier will not take this notice"
                );
                Ok(())
            }
        }
    }

    /// Notes that this has been told, or is not to be.
    async fn note(&mut self, told: Vec<ImportWaiting>) -> Next {
        let work = move |store: &mut Store| store.told_of(Channel::Desktop, &told);
        match self.turn.with(work).await {
            Ok(()) => self.turn.delivered(),
            Err(error) => self.turn.unnoted(error),
        }
    }

    /// Tells the last that is to be told of an account; what came and went untold is past.
    async fn tell_account(&mut self, waiting: Vec<(OutboxKey, AccountNews)>) -> Next {
        let Some(account) = waiting.first().map(|(_, news)| news.account.clone()) else {
            return Next::Rest;
        };
        let of_it = waiting
            .into_iter()
            .filter(|(_, news)| news.account == account);
        let (keys, mut news): (Vec<_>, Vec<_>) = of_it.unzip();
        let is_past = news.len() > 1 && news.last().is_some_and(|last| last.over);
        let is_kept = self.quiet(&account) == Quiet::Always;
        if let Some(last) = news.pop().filter(|_| !is_past && !is_kept) {
            let notice = Notice {
                subject: Subject::Account(last),
            };
            if let Err(next) = self.show(notice.about(), &wording(&notice)).await {
                return next;
            }
        } else if is_past {
            self.notifier.withdraw(&About::Account(account)).await;
        }
        match self.turn.with(move |store| store.told(&keys)).await {
            Ok(()) => self.turn.delivered(),
            Err(error) => self.turn.unnoted(error),
        }
    }

    async fn tell_digest(&mut self, ready: Vec<ImportWaiting>) -> Next {
        let mut parts: Vec<(ImportKey, Part)> = Vec::new();
        for waiting in &ready {
            let is_pending = waiting.standing.pending > 0;
            let told = if is_pending {
                waiting.told
            } else {
                waiting.standing.settled
            };
            match parts.iter_mut().find(|(key, _)| *key == waiting.import.key) {
                // Tasks of another account in it: the whole was told with the first.
                Some((_, part)) if is_pending => {
                    for outcome in Outcome::ALL {
                        (0..told.of(outcome)).for_each(|_| part.told.add(outcome));
                    }
                }
                Some(_) => {}
                None => {
                    let import = waiting.import.name.clone();
                    let part = Part {
                        import,
                        told,
                        is_pending,
                    };
                    parts.push((waiting.import.key, part));
                }
            }
        }
        let keys: Vec<(ImportKey, bool)> = parts
            .iter()
            .map(|(key, part)| (*key, part.is_pending))
            .collect();
        let parts: Vec<Part> = parts.into_iter().map(|(_, part)| part).collect();
        if let Err(next) = self.show(About::Digest, &digest::wording(&parts)).await {
            return next;
        }
        for (key, is_pending) in keys {
            // What stood on the screen of one of them is told by this.
            if !is_pending && self.living.end(key).is_some() {
                self.notifier.withdraw(&About::Import(key)).await;
            }
        }
        self.note(ready).await
    }

    async fn tell_import(&mut self, waiting: ImportWaiting) -> Next {
        let read = waiting.clone();
        let read = self
            .turn
            .with(move |store| store.tasks_of_news(Channel::Desktop, &read, TASKS));
        let tasks = match read.await {
            Ok(tasks) => tasks,
            Err(error) => return self.turn.unread(error),
        };
        let tasks = tasks.into_iter().filter_map(|watch| match watch.state {
            State::Settled { at, settlement } => Some(TaskNews {
                id: watch.id,
                settlement,
                elapsed: between(watch.added_at, at),
            }),
            State::Pending(_) => None,
        });
        let news = ImportNews {
            key: waiting.import.key,
            import: waiting.import.name.clone(),
            account: waiting.account.clone(),
            tasks: tasks.collect(),
            told: waiting.told,
            longest: waiting.longest,
            standing: waiting.standing,
        };
        let causes = cause::lines(&news.tasks, CAUSES, news.standing.tasks() == 1);
        let notice = Notice {
            subject: Subject::Import(news),
        };
        if let Err(next) = self.show(notice.about(), &wording(&notice)).await {
            return next;
        }
        if waiting.standing.pending > 0 {
            self.living.told(waiting.import.key, causes, clock::now());
        } else {
            self.living.end(waiting.import.key);
        }
        self.note(vec![waiting]).await
    }

    /// An import is complete without anything new to tell of it: its last tasks were removed. What is
    /// on the screen of it, or was kept from there, ends as its result.
    async fn end(&mut self, import: ImportKey, standing: Standing, longest: Duration) -> Next {
        let Some(last) = self.living.end(import) else {
            return Next::Go;
        };
        let about = About::Import(import);
        let is_good = standing.settled.available == standing.tasks();
        if standing.tasks() == 0 || self.keeps(&last.account, is_good) {
            self.notifier.withdraw(&about).await;
            return Next::Go;
        }
        let news = ImportNews {
            key: import,
            import: last.import.name,
            account: last.account,
            tasks: Vec::new(),
            told: Tally::default(),
            longest,
            standing,
        };
        let notice = Notice {
            subject: Subject::Import(news),
        };
        match self.show(about, &wording(&notice)).await {
            Ok(()) => Next::Go,
            // There is no row that it would be tried again for, and the screen it was for is gone.
            Err(next) => next,
        }
    }

    async fn tell_progress(
        &mut self,
        held: Vec<ImportWaiting>,
        wall: Timestamp,
        wait: Option<Duration>,
    ) -> Next {
        let is_quiet = |account: &AccountName| {
            let quiet = self.manners.quiet.get(account);
            quiet.is_some_and(|quiet| *quiet != Quiet::Never)
        };
        match self.living.step(clock::now(), wall, is_quiet) {
            Step::Show(import, mut progress) => {
                let foresee = move |store: &mut Store| Outlook::new(store, wall).import(import);
                let end = match self.turn.with(foresee).await {
                    Ok(end) => end,
                    Err(error) => return self.turn.unread(error),
                };
                let clock = |at: Timestamp| at.to_zoned(TimeZone::system()).datetime();
                progress.expected = end.map(|end| (clock(end.from), clock(end.to)));
                let said = progress::wording(&progress);
                // No promise: a server that will not have it now may have the next.
                if let Err(next) = self.show(About::Import(import), &said).await {
                    return next;
                }
                let until = end.map(|end| end.to);
                self.living.shown(import, until, clock::now());
                let told = held.into_iter().filter(|one| one.import.key == import);
                self.note(told.collect()).await
            }
            Step::Wait(later) => {
                let waits = wait.into_iter().chain(later);
                waits.min().map_or(Next::Rest, Next::Wait)
            }
        }
    }

    /// The last words, when the daemon ends.
    async fn part(&mut self) {
        for last in self.living.part(clock::wall()) {
            match last {
                Last::Withdraw(import) => self.notifier.withdraw(&About::Import(import)).await,
                Last::Leave(import, said) => {
                    let shown = self.notifier.show(About::Import(import), &said);
                    if let Err(error) = shown.await {
                        let cause = safe::causes(&error);
                        tracing::debug!(?cause, "a living notice could not be ended");
                    }
                }
            }
        }
    }

    fn quiet(&self, account: &AccountName) -> Quiet {
        self.manners.quiet.get(account).copied().unwrap_or_default()
    }

    /// Whether what came of an import of this account is kept from the desktop.
    fn keeps(&self, account: &AccountName, is_good: bool) -> bool {
        match self.quiet(account) {
            Quiet::Never => false,
            Quiet::Success => is_good,
            Quiet::Always => true,
        }
    }

    fn is_silent(&self, waiting: &ImportWaiting) -> bool {
        let standing = waiting.standing;
        let counted = if standing.pending > 0 {
            waiting.told
        } else {
            standing.settled
        };
        self.keeps(&waiting.account, counted.available == counted.total())
    }
}

/// Whether an import goes on of which there is nothing but good to tell.
fn goes_well_on(waiting: &ImportWaiting) -> bool {
    waiting.standing.pending > 0 && waiting.told.available == waiting.told.total()
}

/// Those that have waited for others to join for long enough; else how long until one has.
fn ready(
    waiting: Vec<ImportWaiting>,
    gather: Duration,
    wall: Timestamp,
) -> (Vec<ImportWaiting>, Option<Duration>) {
    // A clock that was set back holds a notice up for `gather` at most.
    let left = |one: &ImportWaiting| gather.saturating_sub(between(one.since, wall));
    let wait = waiting
        .iter()
        .map(left)
        .filter(|left| !left.is_zero())
        .min();
    let is_ready = |one: &ImportWaiting| left(one).is_zero();
    (waiting.into_iter().filter(is_ready).collect(), wait)
}

/// How many imports they are about.
fn imports_of(waiting: &[ImportWaiting]) -> u64 {
    let keys: HashSet<ImportKey> = waiting.iter().map(|one| one.import.key).collect();
    keys.len() as u64
}

/// What is told first: what failed, then what is not known, then what went well.
fn severity(told: Tally) -> u8 {
    if told.failed + told.refused > 0 {
        0
    } else if told.partial > 0 {
        1
    } else if told.expired + told.missing > 0 {
        2
    } else {
        3
    }
}
