//! One request for an account: whether its key is good, and what the server says of its rate.

use crate::account::{AccountName, ApiKey};
use crate::cli::check::checklist::Checklist;
use crate::cli::exit::Exit;
use crate::cli::{Context, by_settings};
use crate::clock;
use crate::notice::amount::{counted, span};
use crate::settings::Account;
use crate::store::Store;
use crate::store::budget::Claim;
use crate::store::changes::Seq;
use crate::task::TaskId;

/// Pending watches looked through for one of the account.
const LOOK: usize = 10_000;

/// An id that no task has, where the account has no pending one: a server that knows none of the ids
/// has taken the key all the same.
const NOBODY: &str = "000000000000000000000000";

pub(super) async fn check(
    list: &mut Checklist,
    context: &Context,
    store: &mut Store,
    name: &AccountName,
    account: &Account,
    key: ApiKey,
) -> anyhow::Result<()> {
    let what = format!("{name} online");
    let client = by_settings::client(context, name, account, key)?;
    // What the server has shown to be too much is kept to by whoever asks.
    let shown = store
        .memory(name)?
        .and_then(|memory| memory.requests_per_minute);
    let rates = by_settings::rates(account).at_most(shown);
    let windows: Vec<_> = rates.windows().collect();
    let patience = client.request_timeout();
    let claim = match store.claim_request(name, clock::wall(), &windows, patience)? {
        Claim::Granted(claim) => claim,
        Claim::Wait(wait) => {
            let found = format!(
                "not asked: the account's rate is used up for {}",
                span(wait)
            );
            list.bad(&what, &found, "try again then", Exit::Unasked);
            return Ok(());
        }
    };
    let pending = store.changes(Seq::START, LOOK)?.added;
    let mine = pending.into_iter().find(|watch| watch.account == *name);
    let id: TaskId = match mine {
        Some(watch) => watch.id,
        None => NOBODY.parse()?,
    };
    let result = client.import_results(std::slice::from_ref(&id)).await;
    store.end_request(claim, clock::wall())?;
    match result {
        Ok(answer) => {
            let rate = match (answer.allowance.remaining, answer.allowance.resets_in) {
                (None, _) => "the server says nothing of its rate limit".to_owned(),
                (Some(left), None) => format!("{} left", counted(left.into(), "request")),
                (Some(left), Some(time)) => {
                    format!(
                        "{} left for {}",
                        counted(left.into(), "request"),
                        span(time)
                    )
                }
            };
            list.good(&what, &format!("the key is good; {rate}"));
        }
        Err(error) => {
            // Its text says already what it came from.
            list.bad(&what, &error.to_string(), "", Exit::Unasked);
        }
    }
    Ok(())
}
