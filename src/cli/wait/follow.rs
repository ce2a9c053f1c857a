//! Waiting itself: what the store says of the tasks, until it is time to end, and the engine where
//! nobody else asks about them.
//!
//! It writes nothing to the store: the engine does that, as a daemon would.

use std::future::pending;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::cli::exit::{self, Exit};
use crate::cli::intake::Tally;
use crate::cli::signals::Signals;
use crate::cli::wait::asker::{Accounts, Asker};
use crate::cli::wait::ledger::Ledger;
use crate::cli::wait::view::{MOST_LINES, View};
use crate::cli::wait::{News, Terms, limit};
use crate::cli::{Context, daemon, open_store};
use crate::clock::{self, Instant};
use crate::daemon::Leave;
use crate::notice::amount::counted;
use crate::store::Store;
use crate::store::changes::Seq;
use crate::store::follow::Left;
use crate::store::outlook::Outlook;
use crate::watch::{Import, State};

/// How often it looks whether something has changed.
const LOOK: Duration = Duration::from_millis(250);
/// Looking takes at most one part in so many of the time.
const SHARE: u32 = 10;
/// When tasks will have ended, is found out anew so often, and in at most one part of so many of the time.
const FORESEE: Duration = Duration::from_secs(3);
const SHARE_OF_FORESIGHT: u32 = 20;
/// Watches looked for at once.
const PAGE: usize = 10_000;
/// How long notices may take when all has settled.
const LAST_NOTICES: Duration = Duration::from_secs(5);

/// Why waiting ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    /// Everything has settled.
    Settled,
    /// More has failed than is allowed.
    Failed,
    /// Its time is over. Whether none of what is left could be asked about.
    TimeUp { unasked: bool },
    /// What is left cannot be asked about.
    Unasked,
    /// Someone wanted it to end.
    Interrupted,
}

/// A wait under way.
pub(in crate::cli) struct Following<'a> {
    context: &'a Context,
    terms: Terms,
    deadline: Option<Instant>,
    store: Store,
    version: Option<i64>,
    ledger: Ledger,
    view: View,
    /// Whose what is pending is.
    accounts: Accounts,
    /// The import that is waited for as a whole, and the last of its watches that was seen.
    whole: Option<(Import, Seq)>,
    /// Whether more ids may come.
    is_reading: bool,
    given: Tally,
    asker: Asker,
    /// When it is worth it to find out anew when tasks will have ended.
    foresee_at: Instant,
}

impl<'a> Following<'a> {
    pub(in crate::cli) fn begin(
        context: &'a Context,
        terms: Terms,
        json: bool,
    ) -> anyhow::Result<Self> {
        let now = clock::now();
        Ok(Self {
            deadline: terms.timeout.map(|timeout| now.after(timeout)),
            store: open_store(&context.state()?)?,
            view: View::new(context, json),
            context,
            terms,
            version: None,
            ledger: Ledger::default(),
            accounts: Accounts::new(),
            whole: None,
            is_reading: false,
            given: Tally::default(),
            asker: Asker::new(now),
            foresee_at: now,
        })
    }

    /// Waits until all tasks of an import have settled.
    pub(super) fn wait_for(mut self, import: Import) -> anyhow::Result<Exit> {
        self.ledger.open(import.clone());
        self.whole = Some((import, Seq::START));
        self.wait(None)
    }

    /// Waits until all have settled that come.
    pub(in crate::cli) fn wait_for_news(
        mut self,
        news: UnboundedReceiver<News>,
    ) -> anyhow::Result<Exit> {
        self.is_reading = true;
        self.wait(Some(news))
    }

    fn wait(mut self, news: Option<UnboundedReceiver<News>>) -> anyhow::Result<Exit> {
        let runtime = daemon::runtime()?;
        runtime.block_on(async {
            let mut signals = Signals::listen()?;
            let waited = self.until_end(news, &mut signals).await;
            let exit = match waited {
                Ok(reason) => self.exit(&reason),
                Err(error) => {
                    let exit = exit::of(&error);
                    drop(self.view.end(&self.ledger, exit));
                    return Err(error);
                }
            };
            self.leave(exit, &mut signals).await?;
            Ok(exit)
        })
    }

    async fn until_end(
        &mut self,
        mut news: Option<UnboundedReceiver<News>>,
        signals: &mut Signals,
    ) -> anyhow::Result<Reason> {
        loop {
            let now = clock::now();
            self.look(now)?;
            if !self.is_reading && self.given.unusable > 0 && self.ledger.standing().tasks() == 0 {
                bail!("none of the ids can be used, so there is nothing to wait for");
            }
            if let Some(reason) = self.reason(now)? {
                self.conclude(&reason)?;
                return Ok(reason);
            }
            let (accounts, view) = (&self.accounts, &mut self.view);
            self.asker.attend(self.context, accounts, view, now)?;
            self.foresee(now)?;
            self.view.draw(&self.ledger, now)?;
            let looked = clock::now().since(now);
            let wait = LOOK.max(looked.saturating_mul(SHARE));
            let until = clock::now().after(wait);
            let until = self.deadline.map_or(until, |at| at.min(until));
            tokio::select! {
                biased;
                () = signals.any() => return Ok(Reason::Interrupted),
                gave_way = self.asker.gave_way() => gave_way?,
                more = coming(&mut news) => self.take(more)?,
                () = tokio::time::sleep(until.since(clock::now())) => {}
            }
        }
    }

    fn take(&mut self, news: Option<News>) -> anyhow::Result<()> {
        match news {
            Some(News::Ids(ids)) => {
                for (seq, import) in self.store.numbers(&ids)? {
                    if !self.ledger.knows(import)
                        && let Some(import) = self.store.import(import)?
                    {
                        self.ledger.open(import);
                    }
                    self.ledger.expect(seq, import);
                }
                self.version = None;
            }
            Some(News::Read(given)) => {
                self.is_reading = false;
                self.given = given?;
                if self.given.given() == 0 {
                    bail!("standard input held no ids: there is nothing to wait for");
                }
            }
            None => self.is_reading = false,
        }
        Ok(())
    }

    /// Takes in what the store says, if that has changed.
    fn look(&mut self, now: Instant) -> anyhow::Result<()> {
        // What is written after this is seen next time.
        let version = self.store.data_version()?;
        if self.version.replace(version) == Some(version) {
            return Ok(());
        }
        while let Some((import, last)) = &mut self.whole {
            let page = self.store.numbers_in(import.key, *last, PAGE)?;
            let Some(newest) = page.last() else { break };
            *last = *newest;
            let key = import.key;
            for seq in page {
                self.ledger.expect(seq, key);
            }
        }
        self.ledger.pace(now);
        let among: Vec<_> = self.ledger.pending().collect();
        for seq in self.store.not_pending(&among)? {
            match self.store.numbered(seq)? {
                Some(watch) => {
                    if let State::Settled { settlement, .. } = &watch.state {
                        self.ledger.settle(seq, settlement);
                        self.view.settled(&watch)?;
                    }
                }
                None => self.ledger.remove(seq),
            }
        }
        self.ledger.pace(now);
        self.accounts = self.left()?.accounts.into_keys().collect();
        Ok(())
    }

    /// Finds out when what is pending will have ended, as far as that is shown.
    fn foresee(&mut self, now: Instant) -> anyhow::Result<()> {
        if now < self.foresee_at || !self.view.tells_how_far() {
            return Ok(());
        }
        let mut outlook = Outlook::new(&self.store, clock::wall());
        let parts = self.ledger.parts().take(MOST_LINES);
        let imports: Vec<_> = parts.map(|part| part.import.key).collect();
        for import in imports {
            let end = outlook.among(&self.ledger.pending_in(import))?;
            self.ledger.foresee(import, end);
        }
        let took = clock::now().since(now);
        let pause = FORESEE.max(took.saturating_mul(SHARE_OF_FORESIGHT));
        self.foresee_at = clock::now().after(pause);
        Ok(())
    }

    fn left(&self) -> anyhow::Result<Left> {
        Ok(self.store.left(self.ledger.pending())?)
    }

    /// Whether it is time to end.
    fn reason(&mut self, now: Instant) -> anyhow::Result<Option<Reason>> {
        let standing = self.ledger.standing();
        if standing.pending == 0 && !self.is_reading {
            return Ok(Some(Reason::Settled));
        }
        if self.terms.fail_fast && self.has_failed()? {
            return Ok(Some(Reason::Failed));
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let unasked = !self.is_reading && self.asker.is_unasked(&self.store, &self.accounts)?;
            return Ok(Some(Reason::TimeUp { unasked }));
        }
        let is_shut = self.asker.is_shut(&self.store, &self.accounts, now)?;
        if is_shut && !self.is_reading {
            return Ok(Some(Reason::Unasked));
        }
        Ok(None)
    }

    fn has_failed(&self) -> anyhow::Result<bool> {
        let standing = self.ledger.standing();
        if standing.settled.expired > 0 {
            return Ok(true);
        }
        let limit = self.terms.max_failed_rows;
        // What is left is looked at only where it may matter.
        Ok(limit::is_exceeded(limit, standing, self.ledger.rows())
            && limit::is_lost(limit, standing, self.ledger.rows(), &self.left()?))
    }

    /// Says why it ends, where that is not plain.
    fn conclude(&mut self, reason: &Reason) -> anyhow::Result<()> {
        let pending = counted(self.ledger.standing().pending, "task");
        let text = match reason {
            Reason::Settled | Reason::Interrupted => return Ok(()),
            Reason::Failed => {
                format!("more has failed than is allowed; {pending} pending, still watched")
            }
            Reason::TimeUp { unasked } => {
                let time = humantime::format_duration(self.terms.timeout.unwrap_or_default());
                let why = if *unasked {
                    ", and their accounts do not answer"
                } else {
                    ""
                };
                format!(
                    "time is up after {time}: {pending} pending{why}; what is pending stays watched"
                )
            }
            Reason::Unasked => {
                self.asker.tell_unwell(&self.accounts, &mut self.view)?;
                format!(
                    "{pending} pending of accounts that are refused or do not answer; what is pending stays watched; `importwatch check --online` says more"
                )
            }
        };
        self.view.complain(&text)?;
        Ok(())
    }

    fn exit(&self, reason: &Reason) -> Exit {
        let standing = self.ledger.standing();
        match reason {
            Reason::Interrupted => return Exit::Interrupted,
            Reason::Unasked | Reason::TimeUp { unasked: true } => return Exit::Unasked,
            Reason::TimeUp { unasked: false } => return Exit::TimeUp,
            Reason::Settled | Reason::Failed => {}
        }
        if standing.settled.expired > 0 {
            Exit::TimeUp
        } else if limit::is_exceeded(self.terms.max_failed_rows, standing, self.ledger.rows())
            || *reason == Reason::Failed
        {
            Exit::Failed
        } else if self.given.unusable > 0 {
            Exit::Usage
        } else {
            Exit::Done
        }
    }

    /// Ends the engine and says what came of it all.
    async fn leave(&mut self, exit: Exit, signals: &mut Signals) -> anyhow::Result<()> {
        self.view.end(&self.ledger, exit)?;
        let leave = if exit == Exit::Interrupted {
            let pending = counted(self.ledger.standing().pending, "task");
            self.view
                .say(&format!("interrupted; {pending} pending, still watched"))?;
            Leave::Now
        } else {
            Leave::Told(LAST_NOTICES)
        };
        tokio::select! {
            // Whoever interrupts it again does not want to wait for notices.
            () = signals.any() => {}
            stopped = self.asker.stop(leave) => stopped?,
        }
        Ok(())
    }
}

/// What comes next; `None` once, when nothing more does.
async fn coming(news: &mut Option<UnboundedReceiver<News>>) -> Option<News> {
    let Some(open) = news else {
        return pending().await;
    };
    let next = open.recv().await;
    if next.is_none() {
        *news = None;
    }
    next
}
