//! The loop of the log, which tells of tasks, in the order in which they settled.
//!
//! It never waits for others to join: each task is an event of its own.

use crate::notice::{ImportNews, Notice, Subject, TaskNews};
use crate::notifier::log;
use crate::relay::between;
use crate::relay::turn::{Next, Turn};
use crate::store::outbox::{News, OutboxKey, Waiting};
use crate::watch::{Import, Standing, State, Tally};

/// Rows looked at once.
const PAGE: usize = 500;

pub(super) async fn run(mut turn: Turn) {
    while !turn.stop.is_cancelled() {
        let next = tell(&mut turn).await;
        turn.pause(next).await;
    }
}

/// Tells of the next tasks that are of one import, or of an account.
async fn tell(turn: &mut Turn) -> Next {
    let channel = turn.line.channel;
    let rows = turn.with(move |store| store.waiting(channel, OutboxKey::START, PAGE));
    let rows = match rows.await {
        Ok(rows) => rows,
        Err(error) => return turn.unread(error),
    };
    let Some((keys, notice)) = first(rows) else {
        return Next::Rest;
    };
    log::write(&notice);
    match turn.with(move |store| store.told(&keys)).await {
        Ok(()) => turn.delivered(),
        Err(error) => turn.unnoted(error),
    }
}

/// The first notice of some rows, and the rows that it tells.
fn first(rows: Vec<Waiting>) -> Option<(Vec<OutboxKey>, Notice)> {
    let mut keys = Vec::new();
    let mut tasks = Vec::new();
    let mut told = Tally::default();
    let mut of: Option<(Import, crate::account::AccountName)> = None;
    for row in rows {
        let watch = match row.news {
            News::Account(news) if of.is_none() => {
                let subject = Subject::Account(news);
                return Some((vec![row.key], Notice { subject }));
            }
            News::Account(_) => break,
            News::Task(watch) => watch,
        };
        let is_other = |(import, account): &(Import, _)| {
            import.key != watch.import.key || *account != watch.account
        };
        if of.as_ref().is_some_and(is_other) {
            break;
        }
        keys.push(row.key);
        of.get_or_insert((watch.import, watch.account));
        // The outbox has no rows of pending watches.
        if let State::Settled { at, settlement } = watch.state {
            told.add(settlement.outcome);
            tasks.push(TaskNews {
                id: watch.id,
                settlement,
                elapsed: between(watch.added_at, at),
            });
        }
    }
    let (import, account) = of?;
    let news = ImportNews {
        key: import.key,
        import: import.name,
        account,
        longest: tasks
            .iter()
            .map(|task| task.elapsed)
            .max()
            .unwrap_or_default(),
        // The log says nothing of the whole import.
        standing: Standing::of(tasks.iter().map(|task| &task.settlement)),
        told,
        tasks,
    };
    let subject = Subject::Import(news);
    Some((keys, Notice { subject }))
}
