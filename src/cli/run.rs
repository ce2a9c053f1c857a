//! `importwatch run`: runs an import command, and watches the task ids that it prints.
//!
//! The command has the terminal, the standard input and the environment as if it had been called
//! without us; only its standard output comes by here, is passed on as it comes, and read. What it
//! prints is watched at once: whatever ends the command or this process, no id is lost.

use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use nix::sys::signal::{Signal as Kind, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc as channel, oneshot};

use crate::account::AccountName;
use crate::cli::add::import_name;
use crate::cli::exit::Exit;
use crate::cli::intake::{self, Elsewhere, Intake, Tally};
use crate::cli::wait::follow::Following;
use crate::cli::wait::{News, Terms};
use crate::cli::{Context, complete, daemon, output};
use crate::notice::amount::counted;
use crate::notice::safe;
use crate::store::add::Add;
use crate::store::error::StoreError;
use crate::task::TaskId;
use crate::watchlist::output::{Picked, Picker};

/// How often a store that cannot be written for the moment is tried again, and how many times.
const RETRY: Duration = Duration::from_secs(1);
const TRIES: u32 = 60;
/// What a shell adds to the number of the signal that ended a command.
const SIGNALLED: i32 = 128;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:
  importwatch run --import products -- ./import.sh products.csv
  importwatch run --import products --wait -- ./import.sh products.csv

Exit code: the command's; with --wait that of waiting, or the command's if only that failed; see --help",
    after_long_help = "The command's output is passed on as it comes, standard input and standard error \
are its own, and so is the environment. Of its standard output these are watched, as they come: lines \
that are nothing but 24 hexadecimal digits, and the import endpoint's answers, \
{\"code\":0,\"message\":\"OK\",\"data\":[\"ID\"]}, alone, over several lines or inside one. Anything else is \
not taken for an id; a script that has ids of another form prints the answers as they are.

With --wait it waits, once the command has ended, until the tasks have settled, as `importwatch wait` \
does; until then it makes no request of its own, since the uploads draw on the same allowance.

Examples:
  importwatch run --import products -- ./import.sh products.csv
      run an import, and let a daemon watch what it has started
  importwatch run --import products --wait --timeout 2h -- ./import.sh products.csv
      in a CI job: the step fails if a row did not go in
  importwatch run -- sh -c 'curl … | tee answers.json'
      any command line

Exit codes: without --wait the command's; 128 and the signal's number, if a signal ended it; 5 if an id \
could not be kept; 2 if it could not be run. With --wait that of waiting (see importwatch wait \
--help); where all is well with the tasks and the command failed, the command's; 2 if it printed no \
ids; 130 if it was interrupted."
)]
pub(super) struct Arguments {
    /// The account whose key asks about the tasks
    #[arg(long, value_name = "NAME", add = complete::accounts())]
    account: Option<AccountName>,
    /// The import that the tasks belong to; without it, an import named after the present time
    #[arg(long, value_name = "NAME", value_parser = import_name, add = complete::imports())]
    import: Option<String>,
    /// Wait until the tasks have settled, once the command has ended
    #[arg(long)]
    wait: bool,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<OsString>,
    #[command(flatten, next_help_heading = "With --wait")]
    terms: Terms,
}

/// What came of a command.
struct Ran {
    status: ExitStatus,
    interrupted: bool,
}

/// What came of the ids that it printed.
struct Kept {
    intake: Intake,
    ids: Vec<TaskId>,
    failed: Option<anyhow::Error>,
}

pub(super) fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let given = &arguments.terms;
    if !arguments.wait
        && (given.timeout.is_some() || given.max_failed_rows.is_some() || given.fail_fast)
    {
        bail!("--timeout, --max-failed-rows and --fail-fast are about waiting; give --wait too");
    }
    let account = context.settings.account_for(arguments.account.as_ref())?;
    let add = Add {
        account: account.clone(),
        import: intake::import_of(arguments.import),
        give_up_after: context.settings.watch.give_up_after,
    };
    // What cannot be kept is not begun.
    let intake = Intake::open(&context.state()?, add, Elsewhere::Refused)?;
    let runtime = daemon::runtime()?;
    let (ran, kept) = runtime.block_on(perform(&arguments.command, intake))?;
    drop(runtime);
    let tally = kept.intake.tally().clone();
    report(context, &arguments.command, &kept, arguments.wait)?;
    if let Some(error) = kept.failed {
        return Err(error.context("not every task id that the command printed could be kept"));
    }
    let code = code(ran.status);
    if !arguments.wait {
        return Ok(Exit::Command(code));
    }
    if ran.interrupted {
        return Ok(Exit::Interrupted);
    }
    if kept.ids.is_empty() {
        // That nothing is known of the import is not that all is well with it.
        return Ok(if code == 0 {
            Exit::Usage
        } else {
            Exit::Command(code)
        });
    }
    match wait(context, arguments.terms, kept.ids, tally)? {
        Exit::Done => Ok(Exit::Command(code)),
        other => Ok(other),
    }
}

fn wait(context: &Context, terms: Terms, ids: Vec<TaskId>, tally: Tally) -> anyhow::Result<Exit> {
    let (send, news) = channel::unbounded_channel();
    for one in [News::Ids(ids), News::Read(Ok(tally))] {
        drop(send.send(one));
    }
    Following::begin(context, terms, false)?.wait_for_news(news)
}

/// Says what of the command's output is watched now.
fn report(context: &Context, command: &[OsString], kept: &Kept, waits: bool) -> anyhow::Result<()> {
    if context.flags.quiet {
        return Ok(());
    }
    let tally = kept.intake.tally();
    if tally.given() == 0 && kept.failed.is_none() {
        let name = command.first().map(|name| name.to_string_lossy());
        let name = safe::start(&name.unwrap_or_default(), 60);
        output::say(&format!(
            "importwatch: {name} printed no task ids that are taken for such, so nothing is watched; see importwatch run --help"
        ));
        return Ok(());
    }
    let summary = intake::summary(tally, kept.intake.import());
    output::say(&format!("importwatch: {summary}"));
    if tally.watched() > 0 && !kept.intake.was_heard() && !waits {
        output::say(&output::no_daemon(&context.state()?));
    }
    Ok(())
}

/// The exit code of a command, as a shell tells it.
fn code(status: ExitStatus) -> u8 {
    let signalled = status.signal().map(|signal| SIGNALLED + signal);
    let code = status.code().or(signalled).unwrap_or(SIGNALLED);
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Runs the command to its end.
async fn perform(command: &[OsString], intake: Intake) -> anyhow::Result<(Ran, Kept)> {
    // Listened for before there is a command that could be left alone.
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut quit = listen(SignalKind::quit())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let (mut child, stdout) = spawn(command)?;
    let pid = i32::try_from(child.id()).map(Pid::from_raw)?;
    let (send, picked) = mpsc::channel();
    thread::spawn(move || pass_on(stdout, &send));
    let (tell_kept, mut kept) = oneshot::channel();
    thread::spawn(move || drop(tell_kept.send(keep(intake, &picked))));
    let (tell_ended, mut ended) = oneshot::channel();
    thread::spawn(move || drop(tell_ended.send(child.wait())));
    let mut interrupted = false;
    let mut status = None;
    let mut all = None;
    // The output may end before the command and after it.
    while status.is_none() || all.is_none() {
        let is_there = status.is_none();
        let forward = |kind| {
            // A command that has ended has no number any more that is surely its own.
            if is_there {
                _ = kill(pid, kind);
            }
        };
        tokio::select! {
            // The terminal sends these to the command as well.
            _ = interrupt.recv() => interrupted = true,
            _ = quit.recv() => interrupted = true,
            _ = terminate.recv() => {
                interrupted = true;
                forward(Kind::SIGTERM);
            }
            _ = hangup.recv() => {
                interrupted = true;
                forward(Kind::SIGHUP);
            }
            result = &mut ended, if status.is_none() => {
                let result = result.context("cannot wait for the command")?;
                status = Some(result.context("cannot wait for the command")?);
            }
            result = &mut kept, if all.is_none() => {
                all = Some(result.map_err(|_| anyhow!("a part of the program broke"))?);
            }
        }
    }
    match (status, all) {
        (Some(status), Some(kept)) => {
            let ran = Ran {
                status,
                interrupted,
            };
            Ok((ran, kept))
        }
        _ => bail!("the command has not ended"),
    }
}

fn spawn(command: &[OsString]) -> anyhow::Result<(Child, ChildStdout)> {
    let (program, arguments) = command.split_first().context("give a command to run")?;
    let spawned = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn();
    let mut child = spawned.with_context(|| {
        format!(
            "cannot run {:?}; check its name and that it may be run",
            safe::start(&program.to_string_lossy(), 200)
        )
    })?;
    let stdout = child.stdout.take().context("the command has no output")?;
    Ok((child, stdout))
}

/// Passes the command's output on, and picks the ids out of it. Where nobody reads it any more, the
/// ids count all the same, so it goes on to the end.
fn pass_on(mut from: ChildStdout, found: &Sender<Vec<Picked>>) {
    let mut picker = Picker::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut is_heard = true;
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let error = safe::one_line(&error.to_string());
                output::say(&format!(
                    "importwatch: cannot read the command's output: {error}"
                ));
                break;
            }
        };
        let part = buffer.get(..length).unwrap_or_default();
        if is_heard {
            let mut out = io::stdout().lock();
            is_heard = out.write_all(part).and_then(|()| out.flush()).is_ok();
        }
        let new = picker.feed(part);
        if !new.is_empty() && found.send(new).is_err() {
            return;
        }
    }
    drop(found.send(picker.end()));
}

/// Watches what is picked out, until there is no more.
fn keep(mut intake: Intake, picked: &Receiver<Vec<Picked>>) -> Kept {
    let mut ids = Vec::new();
    let mut failed = None;
    while let Ok(found) = picked.recv() {
        let (good, bad): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
        let good: Vec<TaskId> = good.into_iter().filter_map(Result::ok).collect();
        // Those that cannot be used are only said and counted.
        let mut result = intake.take(bad).map(drop);
        if failed.is_none() && result.is_ok() {
            result = keep_some(&mut intake, &good).map(|watched| ids.extend(watched));
        }
        if let Err(error) = result {
            failed = Some(error);
        }
        if failed.is_some() {
            for id in good {
                // The one place where it is still to be found.
                output::say(&format!("importwatch: not kept, add it later: {id}"));
            }
        }
    }
    Kept {
        intake,
        ids,
        failed,
    }
}

fn keep_some(intake: &mut Intake, ids: &[TaskId]) -> anyhow::Result<Vec<TaskId>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match intake.take(ids.iter().cloned().map(Ok)) {
            Err(error) if tries < TRIES && is_transient(&error) => {
                if tries == 1 {
                    let kept = counted(ids.len() as u64, "task id");
                    output::say(&format!("importwatch: cannot keep {kept} yet: {error}"));
                }
                thread::sleep(RETRY);
            }
            other => return other,
        }
    }
}

fn is_transient(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<StoreError>()
        .is_some_and(StoreError::is_transient)
}
