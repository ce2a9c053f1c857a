//! Who asks while a command waits: another process, or else this one; and which accounts do not
//! answer it.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use crate::account::{AccountName, Trouble};
use crate::cli::Context;
use crate::cli::reload::Unusable;
use crate::cli::wait::engine::{Engine, Started};
use crate::cli::wait::view::View;
use crate::clock::Instant;
use crate::daemon::Leave;
use crate::daemon::parts::Unwell;
use crate::schedule::Access;
use crate::store::Store;

/// How often it tries to become the engine.
const TRY: Duration = Duration::from_secs(1);
/// So long another engine has to find out that an account that did not answer does so again.
const GRACE: Duration = Duration::from_secs(10);

/// The accounts whose tasks are waited for.
pub(super) type Accounts = BTreeSet<AccountName>;

/// Who asks.
#[derive(Debug)]
pub(super) struct Asker {
    engine: Option<Engine>,
    try_at: Instant,
    /// The accounts that cannot be asked from here.
    unusable: Unusable,
    /// Whether there has been another engine, which may come back.
    had_other: bool,
    said_powerless: bool,
    unwell: Unwell,
    /// Since when the store says that all that is left cannot be asked about.
    shut_since: Option<Instant>,
}

impl Asker {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            engine: None,
            try_at: now,
            unusable: Unusable::new(),
            had_other: false,
            said_powerless: false,
            unwell: Unwell::new(),
            shut_since: None,
        }
    }

    /// Becomes the engine where nobody else is.
    pub(super) fn attend(
        &mut self,
        context: &Context,
        accounts: &Accounts,
        view: &mut View,
        now: Instant,
    ) -> anyhow::Result<()> {
        if self.engine.is_none() && self.try_at <= now {
            self.try_at = now.after(TRY);
            match Engine::start(context)? {
                Started::Running(engine, unusable) => {
                    self.engine = Some(engine);
                    self.unusable = unusable;
                }
                Started::Held => {
                    self.had_other = true;
                    self.said_powerless = false;
                    self.unusable.clear();
                }
                Started::Powerless(unusable) => self.unusable = unusable,
            }
        }
        self.check_power(accounts, view)?;
        self.tell_unwell(accounts, view)
    }

    /// Where nobody else asks, an account that cannot be asked from here is an error at first, and
    /// later something that is said.
    fn check_power(&mut self, accounts: &Accounts, view: &mut View) -> anyhow::Result<()> {
        if self.said_powerless {
            return Ok(());
        }
        let mut ours = accounts.iter();
        let unusable = ours.find_map(|account| Some((account, self.unusable.remove(account)?)));
        let Some((account, why)) = unusable else {
            return Ok(());
        };
        if !self.had_other {
            return Err(why.context(format!(
                "no daemon is running, and the account {account} cannot be asked from here; the tasks stay on the watch list"
            )));
        }
        self.said_powerless = true;
        view.say(&format!(
            "the daemon has ended, and the account {account} cannot be asked from here; waiting for a daemon ({why})"
        ))?;
        Ok(())
    }

    /// Says which accounts do not answer, and when they do again.
    pub(super) fn tell_unwell(
        &mut self,
        accounts: &Accounts,
        view: &mut View,
    ) -> anyhow::Result<()> {
        let Some(engine) = &self.engine else {
            return Ok(());
        };
        let unwell = engine.unwell();
        if unwell == self.unwell {
            return Ok(());
        }
        for account in accounts {
            let access = |unwell: &Unwell| unwell.get(account).map(|(access, _)| *access);
            let (before, present) = (access(&self.unwell), access(&unwell));
            if before == present {
                continue;
            }
            let cause = unwell.get(account).map_or("", |(_, cause)| cause.as_str());
            let text = match present {
                None => format!("account {account}: it answers again"),
                Some(Access::Failing) => {
                    format!("account {account}: it does not answer and is asked again: {cause}")
                }
                Some(Access::Shut) => format!("account {account}: it cannot be asked: {cause}"),
            };
            view.say(text.trim_end_matches([':', ' ']))?;
        }
        self.unwell = unwell;
        Ok(())
    }

    /// Whether it is of no use to wait on, since none of `accounts` can be asked.
    pub(super) fn is_shut(
        &mut self,
        store: &Store,
        accounts: &Accounts,
        now: Instant,
    ) -> anyhow::Result<bool> {
        if let Some(engine) = &self.engine {
            self.shut_since = None;
            let unwell = engine.unwell();
            let is_shut = |account| matches!(unwell.get(account), Some((Access::Shut, _)));
            return Ok(!accounts.is_empty() && accounts.iter().all(is_shut));
        }
        // What the store says of an account may be from before the present engine has asked it.
        if !self.is_unasked(store, accounts)? {
            self.shut_since = None;
            return Ok(false);
        }
        let since = *self.shut_since.get_or_insert(now);
        Ok(now.since(since) >= GRACE)
    }

    /// Whether none of `accounts` answers at present.
    pub(super) fn is_unasked(&self, store: &Store, accounts: &Accounts) -> anyhow::Result<bool> {
        if let Some(engine) = &self.engine {
            let unwell = engine.unwell();
            let is_unwell = |account| unwell.contains_key(account);
            return Ok(!accounts.is_empty() && accounts.iter().all(is_unwell));
        }
        for account in accounts {
            let told = store.memory(account)?.unwrap_or_default().told;
            if !matches!(told, Some(Trouble::Refused | Trouble::Unavailable)) {
                return Ok(false);
            }
        }
        Ok(!accounts.is_empty())
    }

    /// Returns when the engine of this process has given way to a daemon.
    ///
    /// Cancel safe: what has not been received is received by the next call.
    pub(super) async fn gave_way(&mut self) -> anyhow::Result<()> {
        match &mut self.engine {
            Some(engine) => engine.ended().await?,
            None => pending().await,
        }
        self.engine = None;
        self.had_other = true;
        Ok(())
    }

    /// Ends the engine of this process, if there is one.
    pub(super) async fn stop(&mut self, leave: Leave) -> anyhow::Result<()> {
        match self.engine.take() {
            Some(engine) => engine.stop(leave).await,
            None => Ok(()),
        }
    }
}
