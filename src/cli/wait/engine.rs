//! The engine of a `wait` that found no daemon: the daemon's own loop, in a thread of its own, under
//! the lock, until what is waited for has settled or a daemon wants to take over.
//!
//! It asks about all that is on the watch list, since others may wait beside it. It follows no lists
//! of the settings and lets nothing old go: that is a daemon's work. What is to be logged of the
//! outcomes stays in the outbox for the next daemon, whose log they belong to; the other notifiers
//! are told here and now.

use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{oneshot, watch};

use crate::cli::reload::{Basis, Unusable};
use crate::cli::{Context, daemon as parts};
use crate::daemon::parts::Unwell;
use crate::daemon::{self, Leave, Setup, handover};
use crate::notice::channel::Channel;
use crate::notifier::Notifier;
use crate::store::lock::{self, Holder, Lock, LockError};

/// An engine that runs.
#[derive(Debug)]
pub(super) struct Engine {
    unwell: watch::Receiver<Unwell>,
    stop: Option<oneshot::Sender<Leave>>,
    ended: oneshot::Receiver<anyhow::Result<()>>,
}

/// What came of trying to become the engine.
#[derive(Debug)]
pub(super) enum Started {
    /// It runs, for all accounts but these.
    Running(Engine, Unusable),
    /// Another process is the engine, or wants to be.
    Held,
    /// There is no engine, and no account could be asked from here.
    Powerless(Unusable),
}

impl Engine {
    /// Becomes the engine, unless there is one.
    pub(super) fn start(context: &Context) -> anyhow::Result<Started> {
        let directory = context.state()?;
        let lock = match Lock::acquire(&directory, Holder::Wait) {
            Ok(lock) => lock,
            Err(LockError::Held { .. } | LockError::Unmarked { .. }) => return Ok(Started::Held),
            Err(error) => return Err(error.into()),
        };
        if lock::is_wanted(&directory)? {
            return Ok(Started::Held);
        }
        let (basis, unusable) = Basis::read_usable(context);
        if unusable.len() == context.settings.accounts.len() {
            return Ok(Started::Powerless(unusable));
        }
        let (show, unwell) = watch::channel(Unwell::new());
        let setup = setup(context, &basis, show)?;
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        thread::spawn(move || drop(end.send(run(setup, lock, stopped))));
        let engine = Self {
            unwell,
            stop: Some(stop),
            ended,
        };
        Ok(Started::Running(engine, unusable))
    }

    /// The accounts that do not answer.
    pub(super) fn unwell(&self) -> Unwell {
        self.unwell.borrow().clone()
    }

    /// Returns when it has ended: by itself only because a daemon took over.
    ///
    /// Cancel safe: what has not been received is received by the next call.
    pub(super) async fn ended(&mut self) -> anyhow::Result<()> {
        match (&mut self.ended).await {
            Ok(result) => result,
            Err(_) => Err(anyhow!(
                "a part of the program broke; everything is in the store"
            )),
        }
    }

    /// Ends it.
    pub(super) async fn stop(mut self, leave: Leave) -> anyhow::Result<()> {
        if let Some(stop) = self.stop.take() {
            _ = stop.send(leave);
        }
        self.ended().await
    }
}

fn run(setup: Setup, lock: Lock, stopped: oneshot::Receiver<Leave>) -> anyhow::Result<()> {
    let runtime = parts::runtime()?;
    let directory = setup.directory.clone();
    let shutdown = async {
        tokio::select! {
            biased;
            leave = stopped => leave.unwrap_or(Leave::Now),
            () = handover::wanted(&directory) => Leave::Now,
        }
    };
    let end = runtime.block_on(daemon::serve(setup, lock, shutdown));
    // A delivery that hangs in a thread must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    end?;
    Ok(())
}

fn setup(context: &Context, basis: &Basis, access: watch::Sender<Unwell>) -> anyhow::Result<Setup> {
    let mut setup = parts::setup(context, basis, false)?;
    setup
        .notices
        .notifiers
        .retain(|n| !matches!(n, Notifier::Log));
    setup.notices.later = vec![Channel::Log];
    setup.lists = None;
    setup.keep = Duration::MAX;
    setup.access = Some(access);
    Ok(setup)
}
