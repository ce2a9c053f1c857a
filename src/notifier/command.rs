//! A program of the user's, run for each import's result.
//!
//! No shell has a part in it, no key of ours is in its environment, and neither it nor what it started
//! in its own group outlives its time limit.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::notice::safe;
use crate::notifier::NotifierError;

/// How long it may run.
pub const LIMIT: Duration = Duration::from_secs(10);

/// The most that is kept of what it prints, in bytes; the rest is read and dropped.
const KEPT: usize = 4 << 10;
/// The most characters of it that the log shows.
const SHOWN: usize = 300;
/// How long its output is waited for once it has ended: what it left running may hold it open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs a program.
#[derive(Debug)]
pub struct CommandNotifier {
    program: String,
    arguments: Vec<String>,
    /// Variables of our environment that it does not get.
    hidden: Vec<OsString>,
    limit: Duration,
}

impl CommandNotifier {
    /// A notifier that runs `program` with `arguments` for at most `limit`, without the variables
    /// `hidden`. A name without a slash is looked for in `$PATH`, each time it is run.
    #[must_use]
    pub fn new(
        program: String,
        arguments: Vec<String>,
        hidden: Vec<OsString>,
        limit: Duration,
    ) -> Self {
        Self {
            program,
            arguments,
            hidden,
            limit,
        }
    }

    /// Runs it once, with `line` on its standard input, which it need not read. What it prints goes
    /// to the log, made safe and cut.
    ///
    /// Dropping the future kills it, with its process group.
    ///
    /// # Errors
    ///
    /// [`NotifierError`]: it could not be started, ended with something else than 0, or took too
    /// long.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn run(&self, line: &str) -> Result<(), NotifierError> {
        let program = || self.program.clone();
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for name in &self.hidden {
            command.env_remove(name);
        }
        let child = command.spawn().map_err(|source| NotifierError::NoCommand {
            program: program(),
            source,
        })?;
        let mut group = Group::of(child);
        let (ended, said) = group.feed(line, self.limit).await;
        match ended {
            Some(Ok(status)) if status.success() => {
                group.is_over = true;
                if !said.is_empty() {
                    tracing::debug!(command = self.program, ?said, "the command said something");
                }
                Ok(())
            }
            Some(Ok(status)) => Err(NotifierError::CommandFailed {
                program: program(),
                status,
                said,
            }),
            Some(Err(source)) => Err(NotifierError::NoCommand {
                program: program(),
                source,
            }),
            None => Err(NotifierError::CommandSlow {
                program: program(),
                limit: self.limit,
                said,
            }),
        }
    }
}

/// A program that was started, and what it starts itself: all of it is killed with this value, unless
/// the program has ended well.
#[derive(Debug)]
struct Group {
    child: Child,
    leader: Option<Pid>,
    is_over: bool,
}

impl Group {
    fn of(child: Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            child,
            leader: leader.map(Pid::from_raw),
            is_over: false,
        }
    }

    /// Gives it its input and waits for its end, for at most `limit`; also gives what it printed.
    async fn feed(
        &mut self,
        line: &str,
        limit: Duration,
    ) -> (Option<std::io::Result<ExitStatus>>, String) {
        let input = self.child.stdin.take();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let ended = {
            let mut listening = std::pin::pin!(async {
                tokio::join!(listen(stdout, &mut out), listen(stderr, &mut err));
            });
            let mut heard = false;
            let feeding = async {
                if let Some(mut input) = input {
                    // It need not read what it is given.
                    drop(input.write_all(line.as_bytes()).await);
                    drop(input.write_all(b"\n").await);
                }
            };
            let mut feeding = std::pin::pin!(feeding);
            let mut fed = false;
            let mut limit = std::pin::pin!(tokio::time::sleep(limit));
            let ended = loop {
                tokio::select! {
                    ended = self.child.wait() => break Some(ended),
                    () = &mut feeding, if !fed => fed = true,
                    () = &mut listening, if !heard => heard = true,
                    () = &mut limit => break None,
                }
            };
            if ended.is_none() {
                kill(self.leader);
            }
            if !heard {
                drop(tokio::time::timeout(LAST_WORDS, &mut listening).await);
            }
            ended
        };
        // What it complains of says more than what it tells.
        let said = [err, out].concat();
        let said = safe::start(&String::from_utf8_lossy(&said), SHOWN);
        (ended, said)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            kill(self.leader);
        }
    }
}

fn kill(leader: Option<Pid>) {
    if let Some(leader) = leader {
        // There may be nobody left of it.
        _ = killpg(leader, Signal::SIGKILL);
    }
}

/// Reads to the end, and keeps the start.
async fn listen(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else {
        return;
    };
    let mut buffer = [0; 1 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = KEPT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&buffer[..room]);
    }
}
