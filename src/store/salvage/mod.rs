//! Copies what can be read of a damaged database into a new one.
//!
//! It never guesses an outcome. What it puts into the new file can be read back; what could not be is
//! left out, and it says that there was some.

mod anew;
mod mend;
mod tables;

use jiff::Timestamp;
use rusqlite::Connection;

use crate::store::error::Cause;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Salvaged {
    /// Tasks.
    pub(super) tasks: u64,
    /// How many of them are under an account whose name could not be read, which is called
    /// `recovered`, with a number behind it where there may be several.
    pub(super) adrift: u64,
    /// Whether that is everything.
    pub(super) whole: bool,
}

/// Copies all that can be read of `old` into `new`, which has the tables and nothing in them.
/// `modified` is when the old file was last written.
pub(super) fn copy(
    old: &Connection,
    new: &mut Connection,
    modified: Timestamp,
) -> Result<Salvaged, Cause> {
    // A draft that is not finished is thrown away, so nothing of it need be safe before its end.
    new.pragma_update_and_check(None, "journal_mode", "memory", |_| Ok(()))?;
    new.pragma_update(None, "synchronous", "off")?;
    new.pragma_update(None, "foreign_keys", false)?;
    let tx = new.transaction()?;
    let mut whole = tables::copy(old, &tx)?;
    whole &= anew::name_accounts(old, &tx)?;
    for step in [
        mend::drop_bad_names,
        mend::adopt_orphans,
        mend::drop_bad_watches,
    ] {
        whole &= step(&tx)?;
    }
    whole &= anew::watch(old, &tx, modified)?;
    whole &= anew::tell(old, &tx)?;
    whole &= mend::drop_strays(&tx)?;
    whole &= anew::reckon(old, &tx)?;
    let count = |which: &str| -> Result<u64, Cause> {
        let sql = format!("SELECT count(*) FROM watch WHERE superseded = 0 {which}");
        let count: i64 = tx.query_row(&sql, [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    let tasks = count("")?;
    let adrift = count(
        "AND account IN (SELECT key FROM account
            WHERE name = 'recovered' OR name GLOB 'recovered-*')",
    )?;
    tx.commit()?;
    new.pragma_update(None, "foreign_keys", true)?;
    new.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    Ok(Salvaged {
        tasks,
        adrift,
        whole,
    })
}
