//! The budget: in no stretch of time more requests than its rate, and none refused without need.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::store::Store;
use importwatch::store::budget::{Claim, RequestKey};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::store::{open, reopen};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_795_000_000_000 + ms).unwrap()
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Whether every stretch that begins with one of `sent` holds at most its limit.
fn holds(sent: &[i64], windows: &[(u64, u32)]) -> bool {
    windows.iter().all(|&(length, limit)| {
        sent.iter().all(|&start| {
            let end = start + i64::try_from(length).unwrap();
            let within = sent.iter().filter(|&&at| (start..end).contains(&at));
            within.count() <= limit as usize
        })
    })
}

/// Claims a request that ends as it is sent.
fn claim(
    store: &mut Store,
    account: &AccountName,
    ms: i64,
    rates: &[(Duration, u32)],
) -> Option<Duration> {
    match store
        .claim_request(account, at(ms), rates, millis(9))
        .unwrap()
    {
        Claim::Granted(key) => {
            store.end_request(key, at(ms)).unwrap();
            None
        }
        Claim::Wait(wait) => Some(wait),
    }
}

fn windows() -> impl Strategy<Value = Vec<(u64, u32)>> {
    prop::collection::vec((1_u64..200, 1_u32..5), 0..3)
}

fn lengths(windows: &[(u64, u32)]) -> Vec<(Duration, u32)> {
    windows
        .iter()
        .map(|&(length, limit)| (millis(length), limit))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn never_more_than_the_rate_and_never_less(
        windows in windows(),
        steps in prop::collection::vec(0_i64..60, 1..30),
    ) {
        let (_root, mut store) = open();
        let account = AccountName::default_account();
        let rates = lengths(&windows);
        let (mut now, mut sent) = (0, Vec::new());
        for step in steps {
            now += step;
            if let Some(wait) = claim(&mut store, &account, now, &rates) {
                let wait = i64::try_from(wait.as_millis()).unwrap();
                prop_assert!(wait > 0);
                let mut early = sent.clone();
                early.push(now + wait - 1);
                prop_assert!(!holds(&early, &windows), "it could have been sent earlier");
                now += wait;
                prop_assert_eq!(claim(&mut store, &account, now, &rates), None);
            }
            sent.push(now);
            prop_assert!(holds(&sent, &windows));
        }
        let expected: Vec<_> = sent
            .iter()
            .filter(|&&at| at > now - 100)
            .map(|at| millis(u64::try_from(now - at).unwrap()))
            .collect();
        let recent = store.recent_requests(&account, at(now), millis(100)).unwrap();
        prop_assert_eq!(recent, expected);
    }

    #[test]
    fn a_clock_that_is_put_back_grants_no_more(
        windows in windows(),
        steps in prop::collection::vec((0_i64..60, prop::bool::weighted(0.1)), 1..30),
    ) {
        let (_root, mut store) = open();
        let account = AccountName::default_account();
        let rates = lengths(&windows);
        let (mut true_now, mut behind, mut sent) = (0, 0, Vec::new());
        for (step, put_back) in steps {
            true_now += step;
            behind += if put_back { 100 } else { 0 };
            if claim(&mut store, &account, true_now - behind, &rates).is_none() {
                sent.push(true_now);
            }
            prop_assert!(holds(&sent, &windows));
        }
    }

    #[test]
    fn the_rate_holds_where_requests_arrive_late_and_processes_die(
        windows in windows(),
        steps in prop::collection::vec((0_i64..40, 0_usize..3, action()), 1..60),
    ) {
        let (root, store) = open();
        let account = AccountName::default_account();
        let rates = lengths(&windows);
        let mut processes: Vec<Process> = [store, reopen(root.path()), reopen(root.path())]
            .map(|store| Process { store, asking: None })
            .into();
        let (mut now, mut arrived) = (0, Vec::new());
        for (step, process, action) in steps {
            now += step;
            // None takes longer than it may.
            for process in &mut processes {
                process.end_if_over(now, &mut arrived);
            }
            let process = &mut processes[process];
            match (action, process.asking.take()) {
                (Action::Ask, None) => {
                    let claim = process.store.claim_request(&account, at(now), &rates, millis(PATIENCE));
                    if let Claim::Granted(key) = claim.unwrap() {
                        process.asking = Some((key, now));
                    }
                }
                (Action::Ask, asking) => process.asking = asking,
                (Action::End(late), Some((key, sent))) => {
                    arrived.push(sent + (now - sent) * late / 100);
                    process.store.end_request(key, at(now)).unwrap();
                }
                // What was under way arrives as late as the process lived.
                (Action::Die(late), Some((_, sent))) => {
                    arrived.push(sent + (now - sent) * late / 100);
                    process.store = reopen(root.path());
                }
                (Action::End(_), None) => {}
                (Action::Die(_), None) => process.store = reopen(root.path()),
            }
        }
        prop_assert!(holds(&arrived, &windows), "{:?}", arrived);
    }
}

/// How long a request takes at most, in milliseconds.
const PATIENCE: u64 = 50;

/// What a process does next.
#[derive(Debug, Clone, Copy)]
enum Action {
    Ask,
    /// Its request ends; after so much of its time, in percent, it had arrived.
    End(i64),
    /// It is killed.
    Die(i64),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => Just(Action::Ask),
        2 => (0_i64..=100).prop_map(Action::End),
        1 => (0_i64..=100).prop_map(Action::Die),
    ]
}

/// A process with its connection, and the request under way with the time of its claim.
struct Process {
    store: Store,
    asking: Option<(RequestKey, i64)>,
}

impl Process {
    fn end_if_over(&mut self, now: i64, arrived: &mut Vec<i64>) {
        let patience = i64::try_from(PATIENCE).unwrap();
        if let Some((key, sent)) = self.asking.take_if(|(_, sent)| now - *sent >= patience) {
            arrived.push(sent + patience);
            self.store.end_request(key, at(now)).unwrap();
        }
    }
}

#[test]
fn what_was_never_ended_counts_until_it_must_have() {
    let (_root, mut store) = open();
    let account = AccountName::default_account();
    let rate = [(millis(1_000), 1)];
    let patience = millis(300);
    let mut claim = |ms| {
        store
            .claim_request(&account, at(ms), &rate, patience)
            .unwrap()
    };
    assert!(matches!(claim(0), Claim::Granted(_)));
    assert_eq!(claim(100), Claim::Wait(millis(1_200)));
    assert!(matches!(claim(1_300), Claim::Granted(_)));
    let ages = |store: &Store, ms| {
        store
            .recent_requests(&account, at(ms), millis(2_000))
            .unwrap()
    };
    assert_eq!(ages(&store, 1_400), [millis(1_100), millis(0)]);
    assert_eq!(ages(&store, 2_000), [millis(1_700), millis(400)]);
}

#[test]
fn a_clock_that_is_put_back_does_not_lock_the_account() {
    let (_root, mut store) = open();
    let account = AccountName::default_account();
    let rate = [(millis(1_000), 1)];
    let mut claim = |ms| claim(&mut store, &account, ms, &rate);
    assert_eq!(claim(86_400_000), None);
    assert_eq!(claim(0), Some(millis(1_000)));
    assert_eq!(claim(600), Some(millis(400)));
    assert_eq!(claim(1_000), None);
}

#[test]
fn accounts_and_limits_stand_alone() {
    let (root, mut store) = open();
    let one = AccountName::default_account();
    let other: AccountName = "other".parse().unwrap();
    let rate = [(millis(1_000), 1), (Duration::from_hours(24), 2)];
    assert_eq!(
        store.recent_requests(&one, at(0), millis(9)).unwrap(),
        Vec::<Duration>::new()
    );
    assert_eq!(claim(&mut store, &one, 0, &rate), None);
    assert_eq!(claim(&mut store, &other, 0, &rate), None);
    drop(store);
    let mut store = reopen(root.path());
    assert_eq!(claim(&mut store, &one, 1_000, &rate), None);
    let full = claim(&mut store, &one, 2_000, &rate);
    assert_eq!(full, Some(millis(86_400_000 - 2_000)));
    // A window that comes with new settings finds what was sent before it.
    let longer = [(Duration::from_hours(12), 1)];
    let wait = claim(&mut store, &other, 3_000, &longer);
    assert_eq!(wait, Some(millis(12 * 3_600_000 - 3_000)));
    let never = claim(&mut store, &other, 3_000, &[(millis(5), 0)]);
    assert_eq!(never, Some(millis(5)));
    assert_eq!(claim(&mut store, &other, 3_000, &[]), None);
}

#[test]
fn processes_share_what_is_left() {
    let (root, _store) = open();
    let account = AccountName::default_account();
    let granted: usize = std::thread::scope(|scope| {
        let claim_all = || {
            let mut store = reopen(root.path());
            let rate = [(Duration::from_mins(1), 15)];
            let claims = (0..20).map(|_| claim(&mut store, &account, 0, &rate));
            claims.filter(Option::is_none).count()
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(claim_all)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(granted, 15);
}
