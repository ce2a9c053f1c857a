//! What the store keeps of what was learnt of an account's tasks, for the next import and for whoever
//! asks when tasks will have ended.
//!
//! It never judges: what it gives back is what it was given.

use rusqlite::params;

use crate::account::AccountName;
use crate::schedule::policy::experience::{Experience, Pace, Say};
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
            let sql = "SELECT j.account, j.pace_ends, j.pace_time, j.pace_strayed, j.say_age,
                    j.say_order, j.say_steady, j.say_sloping
                FROM judgement j JOIN account a ON a.key = j.account WHERE a.name = ?1";
            let judged = rows::one(conn, sql, [account.as_str()], "judgement", |mut columns| {
                let pace = Pace {
                    ends: columns.get()?,
                    time: columns.get()?,
                    strayed: columns.get()?,
                };
                let say = Say {
                    age: columns.get()?,
                    order: columns.get()?,
                    steady: columns.get()?,
                    sloping: columns.get()?,
                };
                Ok((pace, say))
            })?;
            let (pace, say) = judged.unwrap_or_default();
            Ok(Experience { table, pace, say })
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
            let (pace, say) = (experience.pace, experience.say);
            tx.prepare_cached(
                "INSERT OR REPLACE INTO judgement VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                account,
                pace.ends,
                pace.time,
                pace.strayed,
                say.age,
                say.order,
                say.steady,
                say.sloping,
            ])?;
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
                pace: Pace {
                    ends: 7.5,
                    time: 0.25,
                    strayed: 1.0,
                },
                say: Say {
                    age: 0.5,
                    order: 0.25,
                    steady: 0.125,
                    sloping: 0.125,
                },
            };
            store.learn(&account, &learnt).unwrap();
            let reopened = Store::open(&dir).unwrap();
            assert_eq!(reopened.experience(&account).unwrap(), learnt);
        }
        let other = "other".parse().unwrap();
        assert_eq!(store.experience(&other).unwrap(), none);
    }
}
