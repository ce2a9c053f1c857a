//! What a daemon runs with by the settings and the files that they name, as plain data, so that all of
//! it can be read again and what has changed be told.
//!
//! What cannot change under a running daemon is refused, and the reason is the user's to read.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};

use crate::account::AccountName;
use crate::api::client::{Client, ClientParams};
use crate::cli::{Context, by_settings, told};
use crate::daemon::parts::AccountSetup;
use crate::daemon::reload::{Change, ListChange, Read, Refusal};
use crate::schedule::step::AccountParameters;
use crate::settings::{Account, key};
use crate::telemetry::Filter;

/// Accounts that cannot be asked, and why: most often for want of a key.
pub(super) type Unusable = BTreeMap<AccountName, anyhow::Error>;

/// The settings, and what is in the files that they name.
#[derive(Debug)]
pub(super) struct Basis {
    context: Context,
    accounts: BTreeMap<AccountName, (ClientParams, AccountParameters)>,
}

impl Basis {
    /// Reads the files of keys and certificates.
    pub(super) fn read(context: &Context) -> anyhow::Result<Self> {
        let (basis, mut unusable) = Self::read_usable(context);
        match unusable.pop_first() {
            None => Ok(basis),
            Some((_, why)) => Err(why),
        }
    }

    /// The same without the accounts that cannot be asked, and why not.
    pub(super) fn read_usable(context: &Context) -> (Self, Unusable) {
        let mut accounts = BTreeMap::new();
        let mut unusable = Unusable::new();
        for (name, account) in &context.settings.accounts {
            match parameters(context, name, account) {
                Ok(parameters) => drop(accounts.insert(name.clone(), parameters)),
                Err(why) => drop(unusable.insert(name.clone(), why)),
            }
        }
        let context = context.clone();
        (Self { context, accounts }, unusable)
    }

    /// The accounts of which something is not as in `before`; all, if there is none before.
    pub(super) fn accounts(&self, before: Option<&Self>) -> anyhow::Result<Vec<AccountSetup>> {
        let mut new = Vec::new();
        for (name, now) in &self.accounts {
            if before.is_some_and(|before| before.accounts.get(name) == Some(now)) {
                continue;
            }
            let (client, parameters) = now;
            let account = self.context.settings.accounts.get(name);
            new.push(AccountSetup {
                name: name.clone(),
                client: Client::new(client)
                    .with_context(|| by_settings::no_client(name, account))?,
                parameters: parameters.clone(),
            });
        }
        Ok(new)
    }

    fn change(&self, before: &Self) -> anyhow::Result<Change> {
        let (old, new) = (&before.context.settings, &self.context.settings);
        if old.state.directory != new.state.directory {
            bail!(
                "the state would be in {} by the settings, and is in {} as long as this daemon runs; \
                 restart it to move there, or set directory in [state] back",
                new.state.directory.display(),
                old.state.directory.display()
            );
        }
        let gone = before.accounts.keys();
        let gone = gone.filter(|name| !self.accounts.contains_key(*name));
        let lists = by_settings::lists(&self.context)?;
        let quiet = |basis: &Self| by_settings::manners(&basis.context).quiet;
        let is_told_otherwise = old.notify != new.notify || quiet(before) != quiet(self);
        let is_paced_otherwise =
            old.poll != new.poll || old.watch.missing_after != new.watch.missing_after;
        Ok(Change {
            accounts: self.accounts(Some(before))?,
            gone: gone.cloned().collect(),
            schedule: if is_paced_otherwise {
                Some(by_settings::schedule(&self.context)?)
            } else {
                None
            },
            notices: is_told_otherwise.then(|| by_settings::notices(&self.context)),
            lists: if lists == by_settings::lists(&before.context)? {
                ListChange::Same
            } else {
                ListChange::Now(lists)
            },
            keep: new.state.keep,
        })
    }
}

/// What an account is asked with: its files are read.
fn parameters(
    context: &Context,
    name: &AccountName,
    account: &Account,
) -> anyhow::Result<(ClientParams, AccountParameters)> {
    let (key, _) = key::find(&context.settings, name, &context.environment)?;
    let client = by_settings::client_params(context, name, account, key)?;
    let parameters = AccountParameters {
        batch_size: context.settings.poll.batch_size,
        rates: by_settings::rates(account),
    };
    Ok((client, parameters))
}

/// Reads the settings again, each time it is called. What is read is compared with what was taken over
/// last, at first with `basis`; what the log shows changes with it.
pub(super) fn reader(mut basis: Basis, filter: Filter) -> Read {
    Box::new(move || match again(&basis, &filter) {
        Ok((new, change)) => {
            basis = new;
            Ok(change)
        }
        Err(error) => Err(Refusal(told(&error))),
    })
}

fn again(before: &Basis, filter: &Filter) -> anyhow::Result<(Basis, Change)> {
    let Context {
        flags, environment, ..
    } = &before.context;
    let context = Context::load(flags, environment.clone())?;
    let new = Basis::read(&context)?;
    let change = new.change(before)?;
    filter.set(&by_settings::log(&context).filter)?;
    if context.settings.log.format != before.context.settings.log.format {
        tracing::warn!("format in [log] has changed; it holds from the next start on");
    }
    Ok((new, change))
}
