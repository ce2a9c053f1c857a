//! A piece of the daemon's work on the store: what it is, how it is done, and what comes of it.
//!
//! It decides nothing: what is to be stored has been decided by whoever made the piece.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::account::AccountName;
use crate::clock;
use crate::daemon::recall::{Recall, Recalled};
use crate::notice::AccountNews;
use crate::notice::channel::Channel;
use crate::schedule::memory::Memory;
use crate::schedule::policy::experience::Experience;
use crate::schedule::step::PollId;
use crate::store::Store;
use crate::store::add::{Add, Added};
use crate::store::budget::{Claim, RequestKey};
use crate::store::changes::{Changes, Seq};
use crate::store::error::StoreError;
use crate::store::settle::{Polled, Settled};
use crate::task::TaskId;
use crate::watch::Standing;
use crate::watchlist::ids::Found;
use crate::watchlist::listed::Listed;
use crate::watchlist::lists::Chunk;

/// Watches and removals read at once.
const PAGE: usize = 10_000;

/// A piece of work.
#[derive(Debug)]
pub(super) enum Job {
    /// Look whether another process has changed the store.
    Look,
    /// Read what was added after this watch, and what was removed.
    Load { after: Seq },
    /// Forget the removals up to this one.
    Forget { upto: i64 },
    /// Commit outcomes, and that they are to be told on these channels.
    Settle {
        settled: Vec<Settled>,
        at: Timestamp,
        channels: Arc<[Channel]>,
    },
    /// Commit an account's trouble, or its end, and that it is to be told on these channels.
    Tell {
        news: AccountNews,
        memory: Memory,
        at: Timestamp,
        channels: Arc<[Channel]>,
    },
    /// Keep what is known of an account.
    Remember {
        account: AccountName,
        memory: Memory,
    },
    /// Keep what has been learnt of an account.
    Learn {
        account: AccountName,
        experience: Box<Experience>,
    },
    /// Keep the answers that left tasks pending.
    Note(Vec<Polled>),
    /// Record a request before it is sent, if the account's rates have room for it.
    Claim(Request),
    /// Record that it has ended.
    End { key: RequestKey, at: Timestamp },
    /// Let go of some of what settled before then, has been told and is not listed, after this watch.
    Prune {
        before: Timestamp,
        after: Seq,
        listed: Arc<Listed>,
    },
    /// Watch the ids of a list, from which they are `chunk`.
    Watch { add: Add, chunk: Chunk },
    /// Read what earlier runs knew of an account.
    Recall(Recall),
    /// Read how the imports stand that are not done.
    Stand,
    /// Drop what is to be told on other channels than these.
    KeepChannels { kept: Arc<[Channel]> },
}

/// A poll that is about to be sent.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) poll: PollId,
    pub(super) account: AccountName,
    pub(super) ids: Vec<TaskId>,
    /// The rates that it must fit into.
    pub(super) windows: Vec<(Duration, u32)>,
    /// How long it may take.
    pub(super) patience: Duration,
}

/// What came of a piece of work.
#[derive(Debug)]
pub(super) enum Done {
    /// Nothing that the loop waits for.
    Kept,
    /// There is something new to tell.
    ToTell,
    /// Something is known of tasks that are pending still.
    Noted,
    /// The store's version: it changes when another process writes.
    Looked { version: i64 },
    /// A page of changes.
    Loaded(Changes),
    /// A request may be sent.
    Granted(Request, RequestKey),
    /// It may not, for so long.
    Denied { poll: PollId, wait: Duration },
    /// Old watches up to this one are gone; `None`: all are.
    Pruned { upto: Option<Seq> },
    /// Ids of a list are watched.
    Listed(Stored),
    /// What earlier runs knew of an account.
    Recalled(Recalled),
    /// How the imports stand that are not done.
    Stood(Standing),
}

/// What came of storing some ids of a list.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) file: Option<usize>,
    pub(super) import: String,
    /// How many of them are newly watched.
    pub(super) new: usize,
    /// Those that another account watches.
    pub(super) elsewhere: Vec<(Found, AccountName)>,
}

impl Job {
    pub(super) fn perform(&self, store: &mut Store) -> Result<Done, StoreError> {
        match self {
            Self::Look => {
                let version = store.data_version()?;
                Ok(Done::Looked { version })
            }
            Self::Load { after } => Ok(Done::Loaded(store.changes(*after, PAGE)?)),
            Self::Forget { upto } => store.forget_removals(*upto).map(|()| Done::Kept),
            Self::Settle {
                settled,
                at,
                channels,
            } => {
                store.settle(settled, *at, channels)?;
                Ok(Done::ToTell)
            }
            Self::Tell {
                news,
                memory,
                at,
                channels,
            } => {
                store.tell(news, memory, *at, channels)?;
                Ok(Done::ToTell)
            }
            Self::Remember { account, memory } => {
                store.remember(account, memory)?;
                Ok(Done::Kept)
            }
            Self::Learn {
                account,
                experience,
            } => {
                store.learn(account, experience)?;
                Ok(Done::Kept)
            }
            Self::Note(polled) => store.record_polls(polled).map(|()| Done::Noted),
            Self::Claim(request) => {
                let Request {
                    account,
                    windows,
                    patience,
                    ..
                } = request;
                match store.claim_request(account, clock::wall(), windows, *patience)? {
                    Claim::Granted(key) => Ok(Done::Granted(request.clone(), key)),
                    Claim::Wait(wait) => Ok(Done::Denied {
                        poll: request.poll,
                        wait,
                    }),
                }
            }
            Self::End { key, at } => store.end_request(*key, *at).map(|()| Done::Kept),
            Self::Prune {
                before,
                after,
                listed,
            } => {
                let is_kept = |id: &TaskId| listed.find(id).is_some();
                let pruned = store.prune(*before, *after, is_kept)?;
                Ok(Done::Pruned { upto: pruned.upto })
            }
            Self::Watch { add, chunk } => watch(store, add, chunk),
            Self::Recall(recall) => recall.read(store, clock::wall()).map(Done::Recalled),
            Self::Stand => store.standing_of_pending().map(Done::Stood),
            Self::KeepChannels { kept } => store.keep_channels(kept).map(|_| Done::Kept),
        }
    }

    /// Whether the daemon does this before it ends.
    pub(super) fn is_kept_to_the_end(&self) -> bool {
        matches!(
            self,
            Self::Settle { .. }
                | Self::Tell { .. }
                | Self::Remember { .. }
                | Self::Learn { .. }
                | Self::Note(_)
                | Self::End { .. }
        )
    }
}

fn watch(store: &mut Store, add: &Add, chunk: &Chunk) -> Result<Done, StoreError> {
    let ids: Vec<_> = chunk.found.iter().map(|found| found.id.clone()).collect();
    let addition = store.add_listed(add, &ids, clock::wall())?;
    let mut new = 0;
    let mut elsewhere = Vec::new();
    for (found, added) in chunk.found.iter().zip(addition.ids) {
        match added {
            Added::New => new += 1,
            Added::OtherAccount(account) => elsewhere.push((found.clone(), account)),
            Added::Again | Added::Known { .. } => {}
        }
    }
    Ok(Done::Listed(Stored {
        file: chunk.file,
        import: chunk.import.clone(),
        new,
        elsewhere,
    }))
}
