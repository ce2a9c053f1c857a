//! `importwatch daemon`: settings to the parts of the daemon, and signals to its end.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::account::AccountName;
use crate::api::client::{Client, ClientParams};
use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::daemon::{self, AccountSetup, End, Setup};
use crate::notice::channel::Channel;
use crate::notifier::Notifier;
use crate::notifier::desktop::{DesktopNotifier, has_session_bus};
use crate::schedule::budget::Rates;
use crate::schedule::pacing::Pacing;
use crate::schedule::step::{AccountParameters, Parameters};
use crate::settings::{self, Desktop, key};
use crate::systemd::Systemd;
use crate::telemetry::{self, LogParams};

/// Threads that block wait so long for more work. The store is looked at once a minute: one that
/// ended earlier would wake the process a second time.
const THREADS_WAIT: Duration = Duration::from_secs(90);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// End once everything is settled and told
    #[arg(long)]
    until_settled: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    telemetry::init(&log(context))?;
    // The files of keys and certificates are read before anything is touched.
    let mut accounts = Vec::new();
    for (name, account) in &context.settings.accounts {
        accounts.push(setup_account(context, name, account)?);
    }
    let settings = &context.settings;
    let poll = &settings.poll;
    let schedule = Parameters {
        pacing: Pacing::new(poll.initial_interval, poll.multiplier, poll.max_interval)?,
        missing_after: settings.watch.missing_after,
        seed: fastrand::u64(..),
    };
    let (notifiers, dropped) = notifiers(context);
    let setup = Setup {
        directory: context.state()?,
        accounts,
        schedule,
        notifiers,
        dropped,
        gather: settings.notify.gather,
        keep: settings.state.keep,
        until_settled: arguments.until_settled,
        systemd: Systemd::of_environment(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(THREADS_WAIT)
        .build()
        .context("cannot start: the system gives no timer or no I/O queue")?;
    let end = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        anyhow::Ok(daemon::run(setup, shutdown).await?)
    });
    // A delivery that hangs in a thread must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match end? {
        End::Stopped | End::Settled => Ok(Exit::Done),
        End::Unasked { tasks } => {
            tracing::error!(
                tasks,
                "ended: what is left belongs to accounts that are refused or could not be asked"
            );
            Ok(Exit::Unasked)
        }
    }
}

/// What the log shows: the settings, or what the flags say.
fn log(context: &Context) -> LogParams {
    let settings = &context.settings.log;
    let level = match (context.quiet, context.verbose) {
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

fn setup_account(
    context: &Context,
    name: &AccountName,
    account: &settings::Account,
) -> anyhow::Result<AccountSetup> {
    let (key, _) = key::find(&context.settings, name, &context.environment)?;
    let ca_pem = match &account.ca_file {
        None => None,
        Some(path) => Some(std::fs::read(path).with_context(|| {
            format!("account {name}: cannot read its ca_file {}", path.display())
        })?),
    };
    let poll = &context.settings.poll;
    let client = Client::new(&ClientParams {
        base_url: account.base_url.clone(),
        key,
        ca_pem,
        connect_timeout: poll.connect_timeout,
        request_timeout: poll.request_timeout,
    })
    .with_context(|| format!("account {name}: cannot set up the connection"))?;
    let rates = Rates::new(
        account.requests_per_minute,
        account.requests_per_hour,
        account.requests_per_day,
        account.reserve,
    );
    Ok(AccountSetup {
        name: name.clone(),
        client,
        parameters: AccountParameters {
            batch_size: poll.batch_size,
            rates,
        },
    })
}

/// The notifiers that are on, and the channels that the settings have turned off.
fn notifiers(context: &Context) -> (Vec<Notifier>, Vec<Channel>) {
    let variable = |name: &str| context.environment.get(name).map(ToOwned::to_owned);
    let desktop = Notifier::Desktop(DesktopNotifier::default());
    match context.settings.notify.desktop {
        Desktop::On => (vec![Notifier::Log, desktop], vec![]),
        Desktop::Off => (vec![Notifier::Log], vec![Channel::Desktop]),
        Desktop::Auto if has_session_bus(variable) => (vec![Notifier::Log, desktop], vec![]),
        Desktop::Auto => {
            tracing::info!("no session bus here, so no desktop notifications");
            (vec![Notifier::Log], vec![])
        }
    }
}
