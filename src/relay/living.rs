//! The living notices: which imports have one, and when it is to change.
//!
//! It delivers nothing, and it is no promise: what it says is said again by the result. It never asks
//! for a change while no number has changed, unless the end that it says is expected has come, or sooner
//! than some seconds after the last.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::account::{AccountName, Trouble};
use crate::clock::Instant;
use crate::notice::Wording;
use crate::notice::progress::{self, Progress};
use crate::relay::between;
use crate::store::news::ImportPending;
use crate::watch::{ImportKey, Standing};

/// A living notice changes at most this often.
const INTERVAL: Duration = Duration::from_secs(5);
/// The most living notices at once: more would bury what is under them.
const MOST: usize = 8;

/// What is known of the imports that go on.
#[derive(Debug)]
pub(super) struct Living {
    after: Duration,
    entries: HashMap<ImportKey, Entry>,
}

#[derive(Debug)]
struct Entry {
    now: ImportPending,
    /// Since when it is pending.
    since: Timestamp,
    shown: Option<Shown>,
    /// Whether it has left the screen, and so is not brought back before its result.
    is_closed: bool,
    /// Whether tasks of it counted as told that nothing on the screen has told of.
    owes: bool,
    causes: Vec<String>,
}

/// What is on the screen.
#[derive(Debug)]
struct Shown {
    /// Whether it is a living notice; else it is of an outcome.
    lives: bool,
    of: (Standing, u64, Option<AccountName>),
    at: Instant,
    /// Until when the end that it says is expected is not past.
    until: Option<Timestamp>,
}

/// What is to be done about the living notices.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This import's is to be shown so, with the end that is expected of it.
    Show(ImportKey, Box<Progress>),
    /// Nothing, for so long, or until something happens.
    Wait(Option<Duration>),
}

/// What is left on the screen when the daemon ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Nothing.
    Withdraw(ImportKey),
    /// This.
    Leave(ImportKey, Box<Wording>),
}

impl Living {
    /// Living notices for imports that are pending for `after`; none if that is zero.
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            entries: HashMap::new(),
        }
    }

    /// Takes in which imports are pending.
    pub(super) fn look(&mut self, pending: Vec<ImportPending>, wall: Timestamp) {
        for now in pending {
            let key = now.import.key;
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.now = now;
                continue;
            }
            // One of which something has settled was complete before, as far as was seen here.
            let is_new = now.standing.settled.total() == 0;
            let since = if is_new { now.import.started_at } else { wall };
            self.entries.insert(
                key,
                Entry {
                    since,
                    now,
                    shown: None,
                    is_closed: false,
                    owes: false,
                    causes: Vec::new(),
                },
            );
        }
    }

    /// The imports that are taken to be pending.
    pub(super) fn keys(&self) -> Vec<ImportKey> {
        self.entries.keys().copied().collect()
    }

    /// An import is not pending any more. Returns its name if there is something on the screen, or
    /// owed to it, that its result is to take the place of.
    pub(super) fn end(&mut self, import: ImportKey) -> Option<ImportPending> {
        let entry = self.entries.remove(&import)?;
        let lives = entry.shown.is_some_and(|shown| shown.lives);
        (lives || entry.owes).then_some(entry.now)
    }

    /// A notice of outcomes of it was shown, and why rows failed.
    pub(super) fn told(&mut self, import: ImportKey, causes: Vec<String>, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&import) {
            if !causes.is_empty() {
                entry.causes = causes;
            }
            entry.owes = false;
            entry.shown = Some(Shown {
                lives: false,
                of: entry.of(),
                at: now,
                until: None,
            });
        }
    }

    /// Whether tasks of it that went well wait for its living notice; else they count as told, since
    /// nothing more is shown of it before its result.
    pub(super) fn holds(&mut self, import: ImportKey) -> bool {
        match self.entries.get_mut(&import) {
            Some(entry) if entry.is_closed || self.after.is_zero() => {
                entry.owes = true;
                false
            }
            Some(_) => true,
            None => false,
        }
    }

    /// It has left the screen, by the user or by rules of the desktop.
    pub(super) fn closed(&mut self, import: ImportKey) {
        if let Some(entry) = self.entries.get_mut(&import) {
            entry.is_closed = true;
            entry.shown = None;
        }
    }

    /// There is another screen, with nothing on it.
    pub(super) fn cleared(&mut self) {
        for entry in self.entries.values_mut() {
            entry.shown = None;
        }
    }

    /// What is to be done. `is_quiet` tells of which accounts nothing is shown.
    pub(super) fn step(
        &self,
        now: Instant,
        wall: Timestamp,
        is_quiet: impl Fn(&AccountName) -> bool,
    ) -> Step {
        if self.after.is_zero() {
            return Step::Wait(None);
        }
        let lives = |entry: &Entry| entry.shown.as_ref().is_some_and(|shown| shown.lives);
        let on_screen = self.entries.values().filter(|entry| lives(entry)).count();
        let mut wait: Option<Duration> = None;
        let mut best: Option<&Entry> = None;
        for entry in self.entries.values() {
            let has_room = lives(entry) || on_screen < MOST;
            if entry.is_closed || !has_room || is_quiet(&entry.now.account) {
                continue;
            }
            // What is wrong with the account was told; an import that stands still for it tells
            // nothing more.
            if entry.shown.is_none() && entry.unasked().is_some() {
                continue;
            }
            let until_due = if lives(entry) {
                Duration::ZERO
            } else {
                self.after.saturating_sub(between(entry.since, wall))
            };
            let left = match &entry.shown {
                Some(shown) if shown.of == entry.of() && shown.until.is_none() => continue,
                Some(shown) if shown.of == entry.of() => {
                    let rest = INTERVAL.saturating_sub(now.since(shown.at));
                    rest.max(
                        shown
                            .until
                            .map_or(Duration::ZERO, |until| between(wall, until)),
                    )
                }
                Some(shown) => INTERVAL.saturating_sub(now.since(shown.at)).max(until_due),
                None => until_due,
            };
            if !left.is_zero() {
                wait = Some(wait.map_or(left, |wait| wait.min(left)));
            } else if best.is_none_or(|best| entry.now.import.key > best.now.import.key) {
                best = Some(entry);
            }
        }
        match best {
            Some(entry) => {
                let said = entry.progress(wall);
                Step::Show(entry.now.import.key, Box::new(said))
            }
            None => Step::Wait(wait),
        }
    }

    /// The living notice of it was shown, with an end that it is expected by.
    pub(super) fn shown(&mut self, import: ImportKey, until: Option<Timestamp>, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&import) {
            entry.owes = false;
            entry.shown = Some(Shown {
                lives: true,
                of: entry.of(),
                at: now,
                until,
            });
        }
    }

    /// What is to become of the living notices when nobody watches any more: one that only told how
    /// far an import was is taken away, one with failures says that it goes on no further.
    pub(super) fn part(&self, wall: Timestamp) -> Vec<Last> {
        let lives = |entry: &&Entry| entry.shown.as_ref().is_some_and(|shown| shown.lives);
        let living = self.entries.values().filter(lives);
        living
            .map(|entry| {
                let key = entry.now.import.key;
                if progress::is_bad(entry.now.standing) {
                    Last::Leave(key, Box::new(progress::parting(&entry.progress(wall))))
                } else {
                    Last::Withdraw(key)
                }
            })
            .collect()
    }
}

impl Entry {
    /// The numbers by which a change is seen.
    fn of(&self) -> (Standing, u64, Option<AccountName>) {
        (self.now.standing, self.now.claimed, self.unasked())
    }

    /// The account, if it cannot be asked.
    fn unasked(&self) -> Option<AccountName> {
        match self.now.trouble {
            Some(Trouble::Refused | Trouble::Unavailable) => Some(self.now.account.clone()),
            Some(Trouble::KnowsNone) | None => None,
        }
    }

    fn progress(&self, wall: Timestamp) -> Progress {
        let zone = TimeZone::system();
        Progress {
            import: self.now.import.name.clone(),
            standing: self.now.standing,
            claimed: self.now.claimed,
            started: self.now.import.started_at.to_zoned(zone.clone()).datetime(),
            now: wall.to_zoned(zone).datetime(),
            expected: None,
            unasked: self.unasked(),
            causes: self.causes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Import, Tally};

    const MINUTE: Duration = Duration::from_mins(1);

    fn pending(key: i64, available: u64, trouble: Option<Trouble>) -> ImportPending {
        ImportPending {
            import: Import {
                key: ImportKey(key),
                name: format!("import-{key}"),
                started_at: wall(0),
            },
            account: "shop".parse().unwrap(),
            trouble,
            standing: Standing {
                pending: 10,
                settled: Tally {
                    available,
                    ..Tally::default()
                },
                ..Standing::default()
            },
            claimed: 0,
        }
    }

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(1_763_802_000 + second).unwrap()
    }

    fn at(second: u64) -> Instant {
        Instant::from_boot(Duration::from_secs(10_000 + second))
    }

    /// What is to be done at that second.
    fn step(living: &Living, second: u32) -> Step {
        living.step(at(second.into()), wall(second.into()), |_| false)
    }

    #[track_caller]
    fn check_shown(living: &mut Living, second: u32, key: i64, summary: &str) {
        match step(living, second) {
            Step::Show(import, said) => {
                let said = progress::wording(&said);
                assert_eq!((import.0, said.summary.as_str()), (key, summary));
                assert!(said.progress.is_some());
                living.shown(import, None, at(second.into()));
            }
            other @ Step::Wait(_) => panic!("{other:?}"),
        }
    }

    fn seconds(count: u64) -> Step {
        Step::Wait(Some(Duration::from_secs(count)))
    }

    const REST: Step = Step::Wait(None);

    #[test]
    fn it_appears_in_time_and_changes_with_the_numbers_alone() {
        let mut living = Living::new(MINUTE);
        living.look(vec![pending(1, 0, None)], wall(10));
        assert_eq!(step(&living, 10), seconds(50));
        check_shown(&mut living, 60, 1, "import-1: 0 of 10 tasks done");
        assert_eq!(step(&living, 61), REST);
        assert_eq!(step(&living, 9_999), REST);
        living.look(vec![pending(1, 2, None)], wall(62));
        assert_eq!(step(&living, 62), seconds(3));
        check_shown(&mut living, 65, 1, "import-1: 2 of 12 tasks done");
        let ended = living.end(ImportKey(1)).unwrap();
        assert_eq!(ended.import.name, "import-1");
        assert_eq!(living.end(ImportKey(1)), None);
        assert_eq!(step(&living, 99), REST);
    }

    #[test]
    fn an_end_that_has_come_is_not_left_standing() {
        let mut living = Living::new(MINUTE);
        living.look(vec![pending(1, 0, None)], wall(0));
        check_shown(&mut living, 60, 1, "import-1: 0 of 10 tasks done");
        living.shown(ImportKey(1), Some(wall(100)), at(60));
        // The same estimate, moved: nothing is said anew.
        living.look(vec![pending(1, 0, None)], wall(70));
        assert_eq!(step(&living, 70), seconds(30));
        check_shown(&mut living, 100, 1, "import-1: 0 of 10 tasks done");
        assert_eq!(step(&living, 9_999), REST);
        // An end that has come already waits like any other change.
        living.shown(ImportKey(1), Some(wall(101)), at(100));
        assert_eq!(step(&living, 102), seconds(3));
    }

    #[test]
    fn it_never_appears_where_it_is_off_closed_quiet_or_waits_for_its_account() {
        let mut off = Living::new(Duration::ZERO);
        off.look(vec![pending(1, 0, None)], wall(0));
        assert_eq!(step(&off, 9_999), REST);
        assert!(!off.holds(ImportKey(1)));
        assert!(
            off.end(ImportKey(1)).is_some(),
            "its result owes what was held"
        );

        let mut living = Living::new(MINUTE);
        living.look(vec![pending(1, 0, None)], wall(0));
        let quiet = living.step(at(99), wall(99), |_| true);
        assert_eq!(quiet, REST);
        check_shown(&mut living, 99, 1, "import-1: 0 of 10 tasks done");
        assert!(living.holds(ImportKey(1)));
        living.closed(ImportKey(1));
        living.look(vec![pending(1, 5, None)], wall(200));
        assert_eq!(step(&living, 9_999), REST);
        assert!(!living.holds(ImportKey(1)));

        let mut refused = Living::new(MINUTE);
        refused.look(vec![pending(1, 0, Some(Trouble::Refused))], wall(0));
        assert_eq!(step(&refused, 9_999), REST);
        refused.look(vec![pending(1, 0, None)], wall(0));
        check_shown(&mut refused, 9_999, 1, "import-1: 0 of 10 tasks done");
        refused.look(vec![pending(1, 0, Some(Trouble::Unavailable))], wall(0));
        match step(&refused, 10_004) {
            Step::Show(_, said) => {
                let body = progress::wording(&said).body;
                assert!(body.ends_with("account shop cannot be asked."));
            }
            other @ Step::Wait(_) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_failure_joins_it_when_the_import_goes_on() {
        let mut living = Living::new(MINUTE);
        living.look(vec![pending(1, 0, None)], wall(0));
        let mut now = pending(1, 3, None);
        now.standing.settled.failed = 1;
        living.look(vec![now.clone()], wall(5));
        living.told(ImportKey(1), vec!["Why.".to_owned()], at(5));
        assert_eq!(step(&living, 9_999), REST);
        now.standing.settled.available = 4;
        living.look(vec![now], wall(6));
        assert_eq!(step(&living, 6), seconds(54));
        let summary = "import-1: 5 of 15 tasks done, 1 not in full";
        check_shown(&mut living, 60, 1, summary);
        let [Last::Leave(_, said)] = &living.part(wall(61))[..] else {
            panic!("it is left");
        };
        assert_eq!(said.progress, None);
        assert!(said.body.contains("\nWhy.\n"), "{}", said.body);
    }

    #[test]
    fn another_screen_has_it_again_and_none_has_too_many() {
        let mut living = Living::new(MINUTE);
        living.look((1..=10).map(|key| pending(key, 0, None)).collect(), wall(0));
        for key in (3..=10).rev() {
            let summary = format!("import-{key}: 0 of 10 tasks done");
            check_shown(&mut living, 60, key, &summary);
        }
        assert_eq!(step(&living, 99), REST);
        living.cleared();
        check_shown(&mut living, 100, 10, "import-10: 0 of 10 tasks done");
        assert_eq!(living.part(wall(100)), [Last::Withdraw(ImportKey(10))]);
    }

    #[test]
    fn an_import_that_is_open_again_is_pending_since_then() {
        let mut living = Living::new(MINUTE);
        living.look(vec![pending(1, 7, None)], wall(1_000));
        assert_eq!(step(&living, 1_000), seconds(60));
    }
}
