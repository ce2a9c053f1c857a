//! The loop of the user's program, which is run for each import's result.
//!
//! A result that it does not take is tried again, less and less often, and after a day no more; it
//! never holds up the others, and the log says so once when that begins and once when it ends.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::notice::report::Report;
use crate::notice::safe;
use crate::notifier::command::CommandNotifier;
use crate::relay::turn::{Next, Turn};
use crate::store::changes::Seq;
use crate::store::error::StoreError;
use crate::store::outbox::OutboxKey;
use crate::store::watches::{Filter, Which};
use crate::watch::{Import, ImportKey, Standing};

/// Tasks read at once.
const PAGE: usize = 500;
/// The first wait after a run that failed; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest.
const LAST_RETRY: Duration = Duration::from_mins(15);
/// After so long a result is given up.
const GIVE_UP_AFTER: Duration = Duration::from_hours(24);
/// How long a run that is under way may take when the daemon ends: what is cut short is run again.
const LAST_RUN: Duration = Duration::from_secs(3);

/// The results that the program did not take.
type Failing = HashMap<ImportKey, Retry>;

/// When a result is tried again.
#[derive(Debug, Clone, Copy)]
struct Retry {
    since: Instant,
    at: Instant,
    wait: Duration,
}

impl Retry {
    fn after(earlier: Option<Self>, now: Instant) -> Self {
        let wait = earlier.map_or(FIRST_RETRY, |retry| (retry.wait * 2).min(LAST_RETRY));
        Self {
            since: earlier.map_or(now, |retry| retry.since),
            at: now.after(wait),
            wait,
        }
    }
}

pub(super) async fn run(mut turn: Turn, command: CommandNotifier) {
    let mut failing = Failing::new();
    while !turn.stop.is_cancelled() {
        let next = tell(&mut turn, &command, &mut failing).await;
        turn.pause(next).await;
    }
}

/// Runs it for the first result that may be tried.
async fn tell(turn: &mut Turn, command: &CommandNotifier, failing: &mut Failing) -> Next {
    let channel = turn.line.channel;
    let results = match turn.with(move |store| store.results(channel)).await {
        Ok(results) => results,
        Err(error) => return turn.unread(error),
    };
    failing.retain(|key, _| results.iter().any(|(import, ..)| import.key == *key));
    let now = clock::now();
    let mut wait: Option<Duration> = None;
    for (import, standing, keys) in results {
        // More was added since: the result is yet to come, with a row of its own.
        if standing.pending > 0 {
            return told(turn, keys).await;
        }
        match failing.get(&import.key) {
            Some(retry) if retry.at > now => {
                let left = retry.at.since(now);
                wait = Some(wait.map_or(left, |wait| wait.min(left)));
            }
            _ => return deliver(turn, command, failing, &import, standing, keys).await,
        }
    }
    wait.map_or(Next::Rest, Next::Wait)
}

async fn deliver(
    turn: &mut Turn,
    command: &CommandNotifier,
    failing: &mut Failing,
    import: &Import,
    standing: Standing,
    keys: Vec<OutboxKey>,
) -> Next {
    let report = match read(turn, import.key).await {
        Ok(report) => report,
        Err(error) => return turn.unread(error),
    };
    let line = match report.line(import, standing) {
        Ok(line) => line,
        Err(error) => return turn.failed(&error, "a result cannot be written as JSON"),
    };
    let ending = async {
        turn.stop.cancelled().await;
        tokio::time::sleep(LAST_RUN).await;
    };
    let result = tokio::select! {
        result = command.run(&line) => result,
        () = ending => return Next::Go,
    };
    let name = import.name.as_str();
    let earlier = failing.remove(&import.key);
    match result {
        Ok(()) => {
            if earlier.is_some() {
                tracing::info!(import = name, "the command took the result after all");
            }
            told(turn, keys).await
        }
        Err(error) => {
            let cause = safe::causes(&error);
            let now = clock::now();
            let retry = Retry::after(earlier, now);
            if now.since(retry.since) >= GIVE_UP_AFTER {
                tracing::error!(
                    import = name,
                    ?cause,
                    "the command never took the result; it is given up"
                );
                return told(turn, keys).await;
            }
            if earlier.is_none() {
                tracing::warn!(
                    import = name,
                    ?cause,
                    "the command did not take the result; it is tried again"
                );
            } else {
                tracing::debug!(
                    import = name,
                    ?cause,
                    "the command did not take the result again"
                );
            }
            failing.insert(import.key, retry);
            Next::Go
        }
    }
}

async fn told(turn: &mut Turn, keys: Vec<OutboxKey>) -> Next {
    match turn.with(move |store| store.told(&keys)).await {
        Ok(()) => turn.delivered(),
        Err(error) => turn.unnoted(error),
    }
}

/// Reads an import page by page, so that others get their turn at the store.
async fn read(turn: &Turn, import: ImportKey) -> Result<Report, StoreError> {
    let filter = Filter {
        import: Some(import),
        which: Which::Settled,
    };
    let mut report = Report::default();
    let mut after = Seq::START;
    loop {
        let page = turn
            .with(move |store| store.watches(filter, after, PAGE))
            .await?;
        let Some((last, _)) = page.last() else {
            return Ok(report);
        };
        after = *last;
        for (_, watch) in page {
            report.take(watch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_tried_again_less_and_less_often() {
        let start = Instant::from_boot(Duration::from_hours(1));
        let mut now = start;
        let mut retry = Retry::after(None, now);
        let mut waits = Vec::new();
        while now.since(retry.since) < GIVE_UP_AFTER {
            waits.push(retry.at.since(now).as_secs());
            now = retry.at;
            retry = Retry::after(Some(retry), now);
        }
        assert_eq!(waits[..11], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
        assert_eq!((waits.len(), retry.since), (105, start));
    }
}
