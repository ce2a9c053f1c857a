//! The watch list for a pipe or a file: every task, one line each, in columns that scripts rely on.
//!
//! It has no colours, no relative times and no headings, and nothing in it is cut.

use std::collections::HashMap;
use std::io::Write;

use crate::cli::line::{padded, width};
use crate::cli::list::{each, is_wanted};
use crate::cli::times::Now;
use crate::cli::{Context, find, words};
use crate::notice::safe;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::watches::Filter;
use crate::watch::{Import, State, Watch};

/// The widest column of imports' names to which shorter names are padded.
const NAME_MAX: usize = 40;

/// Prints the tasks that `filter` lets through. Returns whether there were any.
pub(super) fn print(
    out: &mut impl Write,
    context: &Context,
    store: &Store,
    filter: Filter,
    now: &Now,
) -> anyhow::Result<bool> {
    let accounts = context.settings.accounts.keys();
    let account_width = accounts.map(|name| name.as_str().len()).max();
    let mut names = HashMap::new();
    let mut name_width = 0;
    find::each_import(store, |import, standing| {
        if is_wanted(filter, &import, &standing) {
            let name = name(store, &import, now)?;
            name_width = name_width.max(width(&name).min(NAME_MAX));
            names.insert(import.key, name);
        }
        Ok(())
    })?;
    each(store, filter, |_, watch| {
        let name = match names.get(&watch.import.key) {
            Some(name) => padded(name, name_width),
            // It was started after the names were read.
            None => padded(&name(store, &watch.import, now)?, name_width),
        };
        let account = watch.account.as_str();
        let account = padded(account, account_width.unwrap_or_default());
        let line = line(watch, &account, &name);
        Ok(writeln!(out, "{}", line.trim_end())?)
    })
}

/// What an import is called, as `--import` takes it.
fn name(store: &Store, import: &Import, now: &Now) -> Result<String, StoreError> {
    let name = find::selector(store, import, &now.zone)?;
    Ok(safe::one_line(&name))
}

fn line(watch: &Watch, account: &str, import: &str) -> String {
    let (rows_in, rows_failed, at, cause) = match &watch.state {
        State::Pending(_) => (None, None, watch.added_at, None),
        State::Settled { at, settlement } => {
            let by_server = settlement.outcome.is_by_server();
            (
                settlement.rows_in().filter(|_| by_server),
                settlement.failed_rows().filter(|_| by_server),
                *at,
                settlement.failures.first().map(words::cause),
            )
        }
    };
    let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    format!(
        "{id:24}  {state:9}  {rows_in:>7}  {rows_failed:>7}  {at}  {account}  {import}  {cause}",
        id = watch.id,
        state = words::state(words::outcome(watch)),
        rows_in = number(rows_in),
        rows_failed = number(rows_failed),
        at = at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        cause = cause.as_deref().unwrap_or("-"),
    )
}
