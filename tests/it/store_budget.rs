//! The budget: in no stretch of time more requests than its rate, and none refused without need.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

use importwatch::account::AccountName;
use importwatch::store::budget::Claim;
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
            match store.claim_request(&account, at(now), &rates).unwrap() {
                Claim::Granted => {}
                Claim::Wait(wait) => {
                    let wait = i64::try_from(wait.as_millis()).unwrap();
                    prop_assert!(wait > 0);
                    let mut early = sent.clone();
                    early.push(now + wait - 1);
                    prop_assert!(!holds(&early, &windows), "it could have been sent earlier");
                    now += wait;
                    let claim = store.claim_request(&account, at(now), &rates).unwrap();
                    prop_assert_eq!(claim, Claim::Granted);
                }
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
            let claim = store.claim_request(&account, at(true_now - behind), &rates);
            if claim.unwrap() == Claim::Granted {
                sent.push(true_now);
            }
            prop_assert!(holds(&sent, &windows));
        }
    }
}

#[test]
fn a_clock_that_is_put_back_does_not_lock_the_account() {
    let (_root, mut store) = open();
    let account = AccountName::default_account();
    let rate = [(millis(1_000), 1)];
    let mut claim = |ms| store.claim_request(&account, at(ms), &rate).unwrap();
    assert_eq!(claim(86_400_000), Claim::Granted);
    assert_eq!(claim(0), Claim::Wait(millis(1_000)));
    assert_eq!(claim(600), Claim::Wait(millis(400)));
    assert_eq!(claim(1_000), Claim::Granted);
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
    assert_eq!(
        store.claim_request(&one, at(0), &rate).unwrap(),
        Claim::Granted
    );
    assert_eq!(
        store.claim_request(&other, at(0), &rate).unwrap(),
        Claim::Granted
    );
    drop(store);
    let mut store = reopen(root.path());
    assert_eq!(
        store.claim_request(&one, at(1_000), &rate).unwrap(),
        Claim::Granted
    );
    let full = store.claim_request(&one, at(2_000), &rate).unwrap();
    assert_eq!(full, Claim::Wait(millis(86_400_000 - 2_000)));
    // A window that comes with new settings finds what was sent before it.
    let longer = [(Duration::from_hours(12), 1)];
    let wait = store.claim_request(&other, at(3_000), &longer).unwrap();
    assert_eq!(wait, Claim::Wait(millis(12 * 3_600_000 - 3_000)));
    let never = store
        .claim_request(&other, at(3_000), &[(millis(5), 0)])
        .unwrap();
    assert_eq!(never, Claim::Wait(millis(5)));
    assert_eq!(
        store.claim_request(&other, at(3_000), &[]).unwrap(),
        Claim::Granted
    );
}

#[test]
fn processes_share_what_is_left() {
    let (root, _store) = open();
    let account = AccountName::default_account();
    let granted: usize = std::thread::scope(|scope| {
        let claim_all = || {
            let mut store = reopen(root.path());
            let claims = (0..20).map(|_| {
                let rate = [(Duration::from_mins(1), 15)];
                store.claim_request(&account, at(0), &rate).unwrap()
            });
            claims.filter(|claim| *claim == Claim::Granted).count()
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(claim_all)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(granted, 15);
}
