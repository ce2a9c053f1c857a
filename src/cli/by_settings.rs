//! What the parts of the program are set up with, by the settings: plain data, and who asks for an account.
//!
//! It starts nothing.

use std::ffi::OsString;

use anyhow::Context as _;

use crate::account::{AccountName, ApiKey};
use crate::api::client::{Client, ClientParams};
use crate::cli::Context;
use crate::daemon::parts::{ListSetup, NoticeSetup};
use crate::notice::channel::Channel;
use crate::notifier::Notifier;
use crate::notifier::command::{self, CommandNotifier};
use crate::notifier::desktop::has_session_bus;
use crate::relay::Manners;
use crate::schedule;
use crate::schedule::budget::Rates;
use crate::schedule::pacing::Pacing;
use crate::schedule::step::Parameters;
use crate::settings::{self, Desktop, Policy, Quiet, key};
use crate::telemetry::LogParams;

/// What the schedule goes by.
pub(super) fn schedule(context: &Context) -> anyhow::Result<Parameters> {
    let poll = &context.settings.poll;
    Ok(Parameters {
        policy: match poll.policy {
            Policy::Exponential => schedule::policy::Policy::Exponential,
            Policy::Adaptive => schedule::policy::Policy::Adaptive { price: poll.price },
        },
        pacing: Pacing::new(poll.initial_interval, poll.multiplier, poll.max_interval)?,
        missing_after: context.settings.watch.missing_after,
        seed: fastrand::u64(..),
    })
}

/// The lists of ids that are watched, if there are any.
pub(super) fn lists(context: &Context) -> anyhow::Result<Option<ListSetup>> {
    let watch = &context.settings.watch;
    if watch.ids.is_empty() && watch.files.is_empty() {
        return Ok(None);
    }
    Ok(Some(ListSetup {
        account: context.settings.account_for(None)?.clone(),
        give_up_after: watch.give_up_after,
        ids: watch.ids.clone(),
        files: watch.files.clone(),
    }))
}

/// What the log shows: the settings, or what the flags say.
pub(super) fn log(context: &Context) -> LogParams {
    let settings = &context.settings.log;
    let level = match (context.flags.quiet, context.flags.verbose) {
        (true, _) => "error",
        (false, 0) => settings.level.as_str(),
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    LogParams {
        filter: level.to_owned(),
        format: settings.format,
    }
}

/// What one who asks for an account needs.
pub(super) fn client_params(
    context: &Context,
    name: &AccountName,
    account: &settings::Account,
    key: ApiKey,
) -> anyhow::Result<ClientParams> {
    let ca_pem = match &account.ca_file {
        None => None,
        Some(path) => Some(std::fs::read(path).with_context(|| {
            format!(
                "account {name}: cannot read its ca_file {}; see that it is there and that you may \
                 read it",
                path.display()
            )
        })?),
    };
    let poll = &context.settings.poll;
    Ok(ClientParams {
        base_url: account.base_url.clone(),
        key,
        ca_pem,
        connect_timeout: poll.connect_timeout,
        request_timeout: poll.request_timeout,
    })
}

/// Who asks for an account.
pub(super) fn client(
    context: &Context,
    name: &AccountName,
    account: &settings::Account,
    key: ApiKey,
) -> anyhow::Result<Client> {
    let params = client_params(context, name, account, key)?;
    Client::new(&params).with_context(|| no_client(name, Some(account)))
}

/// That nobody can ask for an account.
pub(super) fn no_client(name: &AccountName, account: Option<&settings::Account>) -> String {
    match account.and_then(|account| account.ca_file.as_ref()) {
        Some(path) => format!(
            "account {name}: cannot set up the connection with its ca_file {}",
            path.display()
        ),
        None => format!("account {name}: cannot set up the connection"),
    }
}

/// How often an account may be asked.
pub(super) fn rates(account: &settings::Account) -> Rates {
    Rates::new(
        account.requests_per_minute,
        account.requests_per_hour,
        account.requests_per_day,
        account.reserve,
    )
}

/// Who is told, and how: the notifiers that are on, and the channels that the settings have turned off.
pub(super) fn notices(context: &Context) -> NoticeSetup {
    let variable = |name: &str| context.environment.get(name).map(ToOwned::to_owned);
    let desktop = Notifier::Desktop(Box::default());
    let mut on = vec![Notifier::Log];
    let mut dropped = Vec::new();
    match context.settings.notify.desktop {
        Desktop::On => on.push(desktop),
        Desktop::Off => dropped.push(Channel::Desktop),
        Desktop::Auto if has_session_bus(variable) => on.push(desktop),
        Desktop::Auto => tracing::info!("no session bus here, so no desktop notifications"),
    }
    match context.settings.notify.command.as_deref() {
        Some([program, arguments @ ..]) => on.push(Notifier::Command(CommandNotifier::new(
            program.clone(),
            arguments.to_vec(),
            hidden(context),
            command::LIMIT,
        ))),
        Some([]) | None => dropped.push(Channel::Command),
    }
    NoticeSetup {
        notifiers: on,
        later: Vec::new(),
        dropped,
        manners: manners(context),
    }
}

/// Variables that are not the command's business: those that hold our keys or lead to them, and those
/// by which the service manager takes a process for the daemon.
fn hidden(context: &Context) -> Vec<OsString> {
    let names = context.environment.iter().map(|(name, _)| name);
    let ours = names
        .filter(|name| key::is_delicate(name))
        .map(ToOwned::to_owned);
    let managers = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];
    ours.chain(managers.map(OsString::from)).collect()
}

/// How notices are given.
pub(super) fn manners(context: &Context) -> Manners {
    let settings = &context.settings;
    let quiet = settings.accounts.iter();
    Manners {
        gather: settings.notify.gather,
        progress_after: settings.notify.progress_after,
        digest: settings.notify.digest.into(),
        quiet: quiet
            .filter(|(_, account)| account.quiet != Quiet::Never)
            .map(|(name, account)| (name.clone(), account.quiet))
            .collect(),
    }
}
