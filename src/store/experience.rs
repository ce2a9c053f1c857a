//! What the store keeps of how long the tasks of an account take: the life table, which serves the next
//! import.

use rusqlite::params;

use crate::account::AccountName;
use crate::schedule::policy::experience::Experience;
use crate::schedule::policy::life_table::LifeTable;
use crate::store::error::StoreError;
use crate::store::{Store, accounts, rows};

impl Store {
    /// What has been learnt of `account`; nothing where nothing is known.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn experience(&self, account: &AccountName) -> Result<Experience, StoreError> {
        self.read("read how long tasks took", |conn| {
            let mut select = conn.prepare_cached(
                "SELECT e.age_class, e.ends, e.exposure
                FROM experience e JOIN account a ON a.key = e.account WHERE a.name = ?1",
            )?;
            let found = rows::all(
                &mut select,
                [account.as_str()],
                "experience",
                |mut columns| Ok((columns.key(), columns.get()?, columns.get()?)),
            )?;
            let classes = found.into_iter().filter_map(|(class, ends, exposure)| {
                Some((usize::try_from(class).ok()?, ends, exposure))
            });
            let table = LifeTable::of(classes);
            Ok(Experience { table })
        })
    }

    /// Keeps what has been learnt of `account`, in place of what was kept.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being written.
    pub fn learn(
        &mut self,
        account: &AccountName,
        experience: &Experience,
    ) -> Result<(), StoreError> {
        self.write("keep how long tasks took", |tx| {
            let account = accounts::key(tx, account)?;
            tx.prepare_cached("DELETE FROM experience WHERE account = ?1")?
                .execute([account])?;
            let mut insert = tx.prepare_cached(
                "INSERT INTO experience (account, age_class, ends, exposure)
                VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (class, ends, exposure) in experience.table.rows() {
                let class = i64::try_from(class).unwrap_or(i64::MAX);
                insert.execute(params![account, class, ends, exposure])?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::directory::StateDir;

    #[test]
    fn what_was_learnt_reads_back_whole_and_replaces_what_was_known() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        let mut store = Store::open(&dir).unwrap();
        let account = AccountName::default_account();
        let none = Experience::default();
        assert_eq!(store.experience(&account).unwrap(), none);
        for rows in [vec![(0, 1.5, 20.25), (79, 0.0, 1e6)], vec![(3, 25.0, 7.0)]] {
            let learnt = Experience {
                table: LifeTable::of(rows),
            };
            store.learn(&account, &learnt).unwrap();
            let reopened = Store::open(&dir).unwrap();
            assert_eq!(reopened.experience(&account).unwrap(), learnt);
        }
        let other = "other".parse().unwrap();
        assert_eq!(store.experience(&other).unwrap(), none);
    }
}
