//! When tasks and imports will have ended, by what the store knows of them and by what was learnt of
//! their accounts.
//!
//! What it tells is when they end on the server; it becomes known here with the next answer. It says
//! nothing of an account that cannot be asked, or of what should have ended long ago. It never looks at
//! more than some ten thousand tasks of an import: of more it takes a sample.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use crate::account::{AccountName, Trouble};
use crate::schedule::policy::forecast::{Expected, Forecast, Unsettled};
use crate::store::Store;
use crate::store::changes::Seq;
use crate::store::error::StoreError;
use crate::store::rows::{self, Columns};
use crate::task::TaskId;
use crate::watch::{ImportKey, State, Watch, began};

/// Of more pending tasks than this a sample is taken.
const MOST: usize = 10_000;
/// A sample is of so many stretches of the watch list, so many tasks of each.
const STRETCHES: i64 = 100;
const OF_EACH: i64 = 100;
/// Tasks whose ages are within one of so many classes an octave are told the same.
const CLASSES: f64 = 16.0;
/// Nothing is told that lies further ahead.
const FURTHEST: Duration = Duration::from_hours(30 * 24);

/// When something is expected to have ended: eight of ten do between these instants, none of which is
/// past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// One of ten has ended by then; the present, where it may have ended already.
    pub from: Timestamp,
    /// Nine of ten have.
    pub to: Timestamp,
}

impl End {
    fn of(expected: Expected, now: Timestamp) -> Option<Self> {
        let at = |seconds: f64| {
            let ahead = Duration::try_from_secs_f64(seconds).ok()?;
            let at = now.checked_add(ahead).ok()?;
            (ahead <= FURTHEST).then(|| Timestamp::from_millisecond(at.as_millisecond()).ok())?
        };
        let (from, to) = (at(expected.from)?, at(expected.to)?);
        (to > now).then_some(Self { from, to })
    }

    /// When both have ended.
    fn with(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            to: self.to.max(other.to),
        }
    }
}

/// What is expected at one moment.
#[derive(Debug)]
pub struct Outlook<'a> {
    store: &'a Store,
    now: Timestamp,
    accounts: HashMap<AccountName, Account>,
}

/// What an account's tasks are expected to do.
#[derive(Debug, Default)]
struct Account {
    forecast: Option<Forecast>,
    /// A watch, and how many pending ones of the account were added before it.
    ranked: (i64, f64),
    told: HashMap<Like, Option<Expected>>,
}

/// What tasks have in common of which the same is told: the classes of age, silence and rank, and the
/// claim.
type Like = ([i32; 3], Option<u8>);

/// A pending watch, as far as it matters here.
#[derive(Debug)]
struct Waiting {
    seq: i64,
    account: AccountName,
    began: Timestamp,
    last: Timestamp,
    claim: Option<u8>,
}

impl Waiting {
    /// Reads [`WAITING`].
    fn read(mut columns: Columns<'_, '_>) -> Result<Self, crate::store::error::Cause> {
        let seq = columns.key();
        let account = columns.parse()?;
        let id: TaskId = columns.parse()?;
        let added_at = columns.time()?;
        let polled_at = columns.time_if_any()?;
        let claim = columns.get()?;
        Ok(Self::of(seq, account, &id, (added_at, polled_at), claim))
    }

    fn of(
        seq: i64,
        account: AccountName,
        id: &TaskId,
        (added_at, polled_at): (Timestamp, Option<Timestamp>),
        claim: Option<u8>,
    ) -> Self {
        let began = began(id, added_at);
        Self {
            seq,
            account,
            began,
            last: polled_at.map_or(began, |at| at.max(began)),
            claim,
        }
    }
}

const WAITING: &str = "
    SELECT w.seq, a.name, w.id, w.added_at, w.polled_at, w.progress
    FROM watch w CROSS JOIN account a ON a.key = w.account
    WHERE w.superseded = 0 AND w.outcome IS NULL";

impl<'a> Outlook<'a> {
    /// What the store leads to expect at `now`.
    #[must_use]
    pub fn new(store: &'a Store, now: Timestamp) -> Self {
        Self {
            store,
            now,
            accounts: HashMap::new(),
        }
    }

    /// When the task of a watch will have ended; `None` if it has, or too little is known.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn task(&mut self, seq: Seq, watch: &Watch) -> Result<Option<End>, StoreError> {
        if !matches!(watch.state, State::Pending(_)) {
            return Ok(None);
        }
        let times = (watch.added_at, watch.polled_at);
        let account = watch.account.clone();
        let waiting = Waiting::of(seq.0, account, &watch.id, times, watch.progress);
        let rank = self.rank(&waiting.account, waiting.seq)?;
        let now = self.now;
        let account = self.account(&waiting.account)?;
        let Some(forecast) = &account.forecast else {
            return Ok(None);
        };
        let one = unsettled(&waiting, now, rank, 1.0);
        let like = ([one.age, one.silent, one.rank].map(class), one.claim);
        let expected = *account
            .told
            .entry(like)
            .or_insert_with(|| forecast.all(&[one]));
        let end = expected.and_then(|expected| End::of(expected, now));
        // Whatever becomes of it later, its watch has ended then.
        Ok(end.filter(|end| end.from < watch.deadline))
    }

    /// When all that is pending of an import will have ended; `None` if all has, or too little is known.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn import(&mut self, import: ImportKey) -> Result<Option<End>, StoreError> {
        let (waiting, pending) = self.store.waiting_of(import)?;
        self.all(&waiting, pending)
    }

    /// When all of these will have ended, those aside that have; `None` if all have, or too little is
    /// known.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn among(&mut self, watches: &[Seq]) -> Result<Option<End>, StoreError> {
        let step = watches.len().div_ceil(MOST).max(1);
        let sample = watches.iter().step_by(step);
        let waiting = self.store.waiting_among(sample.copied())?;
        let pending = waiting.len().saturating_mul(step);
        self.all(&waiting, count(pending))
    }

    /// When all of so many will have ended of which these are a sample, in the order of adding.
    fn all(&mut self, sample: &[Waiting], pending: f64) -> Result<Option<End>, StoreError> {
        let weight = pending / count(sample.len().max(1));
        let mut accounts: BTreeMap<&AccountName, Vec<&Waiting>> = BTreeMap::new();
        for one in sample {
            accounts.entry(&one.account).or_default().push(one);
        }
        let mut all: Option<End> = None;
        for (name, tasks) in accounts {
            let (Some(first), Some(last)) = (tasks.first(), tasks.last()) else {
                continue;
            };
            let before = self.rank(name, first.seq)?;
            let ahead = self.rank(name, last.seq)? - before;
            let each = ahead / count(tasks.len().saturating_sub(1).max(1));
            let now = self.now;
            let Some(forecast) = &self.account(name)?.forecast else {
                return Ok(None);
            };
            let mut rank = before;
            let mut unsettled_tasks = Vec::with_capacity(tasks.len());
            for one in tasks {
                unsettled_tasks.push(unsettled(one, now, rank, weight));
                rank += each;
            }
            let expected = forecast.all(&unsettled_tasks);
            let Some(end) = expected.and_then(|expected| End::of(expected, now)) else {
                return Ok(None);
            };
            all = Some(all.map_or(end, |all| all.with(end)));
        }
        Ok(all)
    }

    fn account(&mut self, name: &AccountName) -> Result<&mut Account, StoreError> {
        if !self.accounts.contains_key(name) {
            let trouble = self.store.memory(name)?.and_then(|memory| memory.told);
            let forecast = match trouble {
                Some(Trouble::Refused | Trouble::Unavailable) => None,
                Some(Trouble::KnowsNone) | None => Forecast::of(&self.store.experience(name)?),
            };
            let forecast = match forecast {
                Some(forecast) if forecast.heeds_order() => {
                    let front = self.store.front(name)?.unwrap_or(self.now);
                    Some(forecast.since(seconds(front, self.now)))
                }
                other => other,
            };
            let account = Account {
                forecast,
                ..Account::default()
            };
            self.accounts.insert(name.clone(), account);
        }
        Ok(self.accounts.entry(name.clone()).or_default())
    }

    /// How many pending watches of the account were added before this one, where that matters.
    fn rank(&mut self, account: &AccountName, seq: i64) -> Result<f64, StoreError> {
        let store = self.store;
        let known = self.account(account)?;
        if !known.forecast.as_ref().is_some_and(Forecast::heeds_order) {
            return Ok(0.0);
        }
        let (from, rank) = known.ranked;
        let (from, rank) = if from <= seq { (from, rank) } else { (0, 0.0) };
        let between = store.pending_between(account, from, seq)?;
        let rank = rank + f64::from(between);
        known.ranked = (seq, rank);
        Ok(rank)
    }
}

impl Store {
    /// What is pending of an import, or a sample of it, and how many that are.
    fn waiting_of(&self, import: ImportKey) -> Result<(Vec<Waiting>, f64), StoreError> {
        self.read("read what is pending of an import", |conn| {
            let sql = "SELECT key, pending, first_watch, last_watch FROM import WHERE key = ?1";
            let found = rows::one(conn, sql, [import.0], "import", |mut columns| {
                let pending = columns.get::<u32>()?;
                Ok((pending, columns.get::<i64>()?, columns.get::<i64>()?))
            })?;
            let Some((pending, first, last)) = found else {
                return Ok((Vec::new(), 0.0));
            };
            let (stretches, of_each) = if usize::try_from(pending).is_ok_and(|n| n <= MOST) {
                (1, i64::MAX)
            } else {
                (STRETCHES, OF_EACH)
            };
            let mut select = conn.prepare_cached(&format!(
                "{WAITING} AND w.seq BETWEEN ?1 AND ?2 AND w.import = ?3 ORDER BY w.seq LIMIT ?4"
            ))?;
            let mut waiting = Vec::new();
            let span = last.saturating_sub(first).saturating_add(1);
            for stretch in 0..stretches {
                let from = first + span / stretches * stretch;
                let to = if stretch + 1 == stretches {
                    last
                } else {
                    from + span / stretches - 1
                };
                let params = params![from, to, import.0, of_each];
                waiting.extend(rows::all(&mut select, params, "watch", Waiting::read)?);
            }
            Ok((waiting, f64::from(pending)))
        })
    }

    /// Those of these watches that are pending.
    fn waiting_among(
        &self,
        watches: impl Iterator<Item = Seq>,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.read("read what is pending", |conn| {
            let mut select = conn.prepare_cached(&format!("{WAITING} AND w.seq = ?1"))?;
            let mut waiting = Vec::new();
            for seq in watches {
                waiting.extend(rows::all(&mut select, [seq.0], "watch", Waiting::read)?);
            }
            Ok(waiting)
        })
    }

    /// How many watches of an account are pending from one on and before another.
    fn pending_between(
        &self,
        account: &AccountName,
        from: i64,
        before: i64,
    ) -> Result<u32, StoreError> {
        self.read("count what is pending", |conn| {
            let mut select = conn.prepare_cached(
                "SELECT count(*) FROM watch WHERE seq >= ?1 AND seq < ?2 AND outcome IS NULL
                AND superseded = 0 AND account = (SELECT key FROM account WHERE name = ?3)",
            )?;
            let params = params![from, before, account.as_str()];
            Ok(select.query_row(params, |row| row.get(0))?)
        })
    }

    /// When the first of an account's pending tasks was last known to be pending.
    fn front(&self, account: &AccountName) -> Result<Option<Timestamp>, StoreError> {
        self.read("find the first that is pending", |conn| {
            let mut select =
                conn.prepare_cached(&format!("{WAITING} AND a.name = ?1 ORDER BY w.seq LIMIT 1"))?;
            let found = select.query_one([account.as_str()], |row| {
                Ok(Columns::new("watch", row).and_then(Waiting::read))
            });
            Ok(found.optional()?.transpose()?.map(|first| first.last))
        })
    }
}

fn unsettled(waiting: &Waiting, now: Timestamp, rank: f64, count: f64) -> Unsettled {
    let age = seconds(waiting.began, now);
    Unsettled {
        age,
        silent: seconds(waiting.last, now).min(age),
        claim: waiting.claim,
        rank,
        count,
    }
}

/// The seconds from one to the other; none if it is the other way round.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

fn class(number: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large for a class saturates"
    )]
    let class = ((number + 0.1).log2() * CLASSES).floor() as i32;
    class
}

/// A number of tasks, which is far below where floating point becomes coarse.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
