//! What the parts of the daemon are set up with, and can be changed to while it runs: plain data.
//!
//! It builds nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::account::AccountName;
use crate::api::client::Client;
use crate::notice::channel::Channel;
use crate::notifier::Notifier;
use crate::relay::Manners;
use crate::schedule::Access;
use crate::schedule::step::AccountParameters;
use crate::task::TaskId;

/// Who is told, and how.
#[derive(Debug)]
pub struct NoticeSetup {
    /// Who is told.
    pub notifiers: Vec<Notifier>,
    /// Channels whose outcomes are kept for a later daemon to tell: none of these notifiers does.
    pub later: Vec<Channel>,
    /// Channels whose notifier is off by the settings: what waits for them is dropped.
    pub dropped: Vec<Channel>,
    /// How notices are given.
    pub manners: Manners,
}

/// An account that the daemon may ask.
#[derive(Debug)]
pub struct AccountSetup {
    /// Its name.
    pub name: AccountName,
    /// Who asks.
    pub client: Client,
    /// How often, and about how many tasks at once.
    pub parameters: AccountParameters,
}

/// Lists of ids that are watched.
#[derive(Debug, PartialEq, Eq)]
pub struct ListSetup {
    /// Whose tasks they are.
    pub account: AccountName,
    /// How long each is watched.
    pub give_up_after: Duration,
    /// The ids of the settings.
    pub ids: Vec<TaskId>,
    /// The files of ids; they need not be there.
    pub files: Vec<PathBuf>,
}

/// The accounts of watches that do not answer, and what went wrong last with each.
pub type Unwell = BTreeMap<AccountName, (Access, String)>;
