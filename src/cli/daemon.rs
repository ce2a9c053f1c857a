//! `importwatch daemon`: settings to the parts of the daemon, and signals to its end.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::cli::exit::Exit;
use crate::cli::reload::{self, Basis};
use crate::cli::{Context, by_settings};
use crate::daemon::reload::Reload;
use crate::daemon::{self, End, Setup};
use crate::systemd::Systemd;
use crate::telemetry;

/// Threads that block wait so long for more work. The store is looked at once a minute, and they take
/// turns at it: one that ended between two looks would wake the process once more.
const THREADS_WAIT: Duration = Duration::from_hours(1);

/// How long a daemon that is to end once all is settled goes on for notices that are not delivered:
/// a desktop may be away for a moment.
const LAST_NOTICES: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(
    after_help = "It asks about all that `importwatch add` has put on the watch list, sees at \
once what is added later, reads its settings and keys again on SIGHUP, and ends on SIGTERM or SIGINT; \
nothing is lost by that. Outcomes go to the \
log (standard error) and, where there is a session bus, to the desktop. One daemon a state directory.

Examples:
  importwatch daemon                    until it is stopped, as a service does
  importwatch daemon --until-settled    until all has settled; 4 if it could not ask
  importwatch -v daemon                 with every request in the log"
)]
pub(super) struct Arguments {
    /// End once everything is settled and told
    #[arg(long)]
    until_settled: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let filter = telemetry::init(&by_settings::log(context))?;
    // The files of keys and certificates are read before anything is touched.
    let basis = Basis::read(context)?;
    let asked = Arc::new(Notify::new());
    let mut setup = setup(context, &basis, arguments.until_settled)?;
    setup.systemd = Systemd::of_environment();
    setup.reload = Some(Reload {
        asked: Arc::clone(&asked),
        read: reload::reader(basis, filter),
    });
    let runtime = runtime()?;
    let end = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let has_terminal = io::stdin().is_terminal();
        let shutdown = async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    _ = hangup.recv() => {
                        // The terminal that it was started on is gone, and with it whoever would
                        // stop it.
                        if has_terminal && !io::stdin().is_terminal() {
                            break;
                        }
                        asked.notify_one();
                    }
                }
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

/// Where the daemon runs: one thread, and others only for what blocks.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(THREADS_WAIT)
        .build()
        .context("cannot start: the system gives no timer or no I/O queue")
}

/// What the daemon runs with, by the settings.
pub(super) fn setup(
    context: &Context,
    basis: &Basis,
    until_settled: bool,
) -> anyhow::Result<Setup> {
    Ok(Setup {
        accounts: basis.accounts(None)?,
        schedule: by_settings::schedule(context)?,
        lists: by_settings::lists(context)?,
        directory: context.state()?,
        notices: by_settings::notices(context),
        keep: context.settings.state.keep,
        access: None,
        until_settled,
        last_notices: LAST_NOTICES,
        systemd: Systemd::absent(),
        reload: None,
    })
}
