//! `importwatch demo`: the whole thing against the embedded simulator, in a temporary folder.
//!
//! It is the real engine with short delays: the daemon's own loop, the real store, a real socket and
//! real notices. It asks no server but its own, needs no key, and leaves nothing behind.

mod next;
mod stage;
mod view;

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::account::{AccountName, ApiKey};
use crate::cli::demo::view::View;
use crate::cli::exit::Exit;
use crate::cli::reload::Basis;
use crate::cli::{Context, Flags, by_settings, daemon, list};
use crate::clock;
use crate::daemon::End;
use crate::notice::channel::Channel;
use crate::notice::safe;
use crate::notifier::desktop::{self, has_session_bus};
use crate::settings::environment::Environment;
use crate::simulator::Simulator;
use crate::store::Store;
use crate::store::add::{Add, ImportChoice};
use crate::store::directory::StateDir;
use crate::systemd::Systemd;
use crate::telemetry;

/// How long it watches at the most, where a machine is so slow that the play does not end in its ten
/// seconds.
const LONGEST: Duration = Duration::from_secs(22);
/// How long it goes on for notices that a desktop does not take.
const LAST_NOTICES: Duration = Duration::from_secs(4);

#[derive(Debug, Args)]
#[command(
    after_help = "It is the real program with short delays, against a server of its own on \
127.0.0.1, in a temporary folder that it removes. It takes about ten seconds; Ctrl-C ends it sooner.

Examples:
  importwatch demo                 everything, with real notices where there is a desktop
  importwatch demo --no-desktop    without them
  importwatch -v demo              with the log beside it, every request in it"
)]
pub(super) struct Arguments {
    /// Show no desktop notifications
    #[arg(long)]
    no_desktop: bool,
}

pub(super) fn run(
    flags: &Flags,
    environment: &Environment,
    arguments: &Arguments,
) -> anyhow::Result<Exit> {
    let folder = TempDir::with_prefix("importwatch-demo-")
        .context("cannot make a temporary folder; is there room in the one that TMPDIR names?")?;
    let runtime = daemon::runtime()?;
    let result = runtime.block_on(perform(flags, environment, arguments, folder.path()));
    runtime.shutdown_timeout(Duration::from_secs(1));
    // Removed by hand, so that a failure is told and not passed over.
    let path = folder.path().to_owned();
    folder
        .close()
        .with_context(|| format!("cannot remove the demo's folder {}", path.display()))?;
    result
}

async fn perform(
    flags: &Flags,
    environment: &Environment,
    arguments: &Arguments,
    folder: &Path,
) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let key = format!("demo-{:016x}", fastrand::u64(..));
    let simulator = Simulator::start(stage::world(ApiKey::new(&key)?))
        .await
        .context("cannot open a socket on 127.0.0.1 for the simulated server")?;
    let file = folder.join("config.toml");
    let desktop = find_desktop(environment, arguments).await;
    let text = settings(desktop.is_ok(), simulator.base_url().as_str(), &key);
    fs::write(&file, text)
        .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let flags = Flags {
        config: Some(file),
        ..flags.clone()
    };
    // Nothing of the user's environment changes the demo, except where its desktop is.
    let ours = |name: &OsStr| name.as_encoded_bytes().starts_with(b"IMPORTWATCH");
    let kept = environment
        .iter()
        .filter(|(name, _)| !ours(name) && *name != "STATE_DIRECTORY");
    let context = &Context::load(&flags, kept.collect())?;
    if flags.verbose > 0 {
        telemetry::init(&by_settings::log(context))?;
    }
    let mut view = View::new(flags.quiet);
    view.begin(simulator.base_url().as_str(), &desktop)?;
    let directory = context.state()?;
    let mut store = Store::open(&directory)?;
    for import in stage::imports() {
        add(&mut store, &import)?;
        let tasks = import.tasks.len() + usize::from(import.bad.is_some());
        view.added(import.name, tasks)?;
    }
    let mut setup = daemon::setup(context, &Basis::read(context)?, true)?;
    // Whoever started the demo is not to take it for a service.
    setup.systemd = Systemd::absent();
    setup.last_notices = LAST_NOTICES;
    let interrupted = Cell::new(false);
    let stop = async {
        tokio::select! {
            () = signals.next() => interrupted.set(true),
            () = tokio::time::sleep(LONGEST) => {}
        }
    };
    let watching = crate::daemon::run(setup, stop);
    let end = tokio::select! {
        end = watching => end?,
        shown = show(&directory, &simulator, &mut view) => match shown? {},
    };
    view.settled(&store)?;
    if interrupted.get() {
        view.stopped()?;
        return Ok(Exit::Interrupted);
    }
    if end == End::Stopped {
        view.too_slow(LONGEST)?;
    }
    view.untold(store.waiting_count(Channel::Desktop)?)?;
    view.table()?;
    list::run(context, &list::Arguments::default())?;
    view.cost(&store, &simulator.control().requests())?;
    view.next(next::folder(environment).as_deref())?;
    simulator.stop().await;
    Ok(Exit::Done)
}

/// Who shows notices here, or why nobody does.
async fn find_desktop(environment: &Environment, arguments: &Arguments) -> Result<String, String> {
    if arguments.no_desktop {
        return Err("--no-desktop".to_owned());
    }
    if !has_session_bus(|name| environment.get(name).map(ToOwned::to_owned)) {
        return Err("no desktop session here".to_owned());
    }
    let found = desktop::server().await;
    found.map_err(|error| format!("failed to {}", safe::causes(&error)))
}

/// The settings of the demo: short delays, the simulator's address, a state directory of its own.
fn settings(desktop: bool, base_url: &str, key: &str) -> String {
    format!(
        "[accounts.demo]\nbase_url = {base_url:?}\napi_key = {key:?}\nrequests_per_minute = 600\n\
        [watch]\nmissing_after = \"2s\"\n\
        [poll]\ninitial_interval = \"250ms\"\nmax_interval = \"1s\"\nbatch_size = 20\n\
        [notify]\ndesktop = {desktop}\ngather = \"1s\"\nprogress_after = \"2s\"\n\
        [state]\ndirectory = \"state\"\n"
    )
}

fn add(store: &mut Store, import: &stage::Import) -> anyhow::Result<()> {
    let ids: Vec<_> = import
        .tasks
        .iter()
        .map(|(id, _)| id.clone())
        .chain(import.bad.clone())
        .collect();
    let account: AccountName = "demo".parse()?;
    let add = Add {
        account,
        import: ImportChoice::Named(import.name.to_owned()),
        give_up_after: import.give_up_after,
    };
    store.add(&add, &ids, clock::wall())?;
    Ok(())
}

/// The signals by which the demo is told to stop. They are listened for from the beginning, since
/// they would else end it with its folder left behind.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// What never ends well: it shows what happens until it is dropped.
enum Never {}

/// Plays the troubles when their time comes, and shows what the store says.
async fn show(
    directory: &StateDir,
    simulator: &Simulator,
    view: &mut View,
) -> anyhow::Result<Never> {
    let store = Store::open(directory)?;
    let start = clock::now();
    let mut troubles = stage::troubles().into_iter().peekable();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        while let Some((_, announced, faults)) =
            troubles.next_if(|(at, ..)| *at <= clock::now().since(start))
        {
            view.trouble(announced)?;
            simulator
                .control()
                .change(|world| world.next_faults.extend(faults));
        }
        view.settled(&store)?;
    }
}
