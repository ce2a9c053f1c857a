//! What is expected of tasks of which the law, the order or the progress is known.

use proptest::prelude::*;

use super::*;
use crate::schedule::policy::life_table::{BUCKETS, LifeTable};

/// What is learnt of so many tasks that end at any moment alike, one of them in 60 s.
fn learnt(ends: f64) -> Experience {
    let mut table = LifeTable::default();
    let shares = (1..=64).map(|n| f64::from(n) / 64.5);
    for age in shares.map(|share: f64| -60.0 * (1.0 - share).ln()) {
        table.saw_end(age - 0.01, age + 0.01);
        table.saw_pending(0.0, age - 0.01);
    }
    table.keep_at_most(ends);
    Experience {
        table,
        ..Experience::default()
    }
}

fn task(age: f64) -> Unsettled {
    Unsettled {
        age,
        silent: 0.0,
        claim: None,
        rank: 0.0,
        count: 1.0,
    }
}

fn say(experience: &mut Experience, order: f64, steady: f64) {
    experience.say = Say {
        age: 1.0 - order - steady,
        order,
        steady,
        sloping: 0.0,
    };
}

#[track_caller]
fn check(expected: Option<Expected>, from: [f64; 2], to: [f64; 2]) {
    let expected = expected.expect("something is said");
    let is_so = (from[0]..=from[1]).contains(&expected.from)
        && (to[0]..=to[1]).contains(&expected.to)
        && (expected.from..=expected.to).contains(&expected.likely);
    assert!(is_so, "{expected:?} is not from {from:?} to {to:?}");
}

#[test]
fn nothing_is_said_where_too_little_is_known() {
    assert!(Forecast::of(&Experience::default()).is_none());
    assert!(Forecast::of(&learnt(4.0)).is_none());
    let forecast = Forecast::of(&learnt(64.0)).unwrap();
    assert_eq!(forecast.all(&[]), None);
}

#[test]
fn one_task_is_expected_by_what_others_took_and_many_later() {
    let forecast = Forecast::of(&learnt(64.0)).unwrap();
    // Of a law without memory: 6 and 138 s.
    check(forecast.all(&[task(0.0)]), [3.0, 10.0], [100.0, 190.0]);
    // The last of a hundred: 225 and 412 s.
    let many = [task(0.0); 100];
    check(forecast.all(&many), [150.0, 280.0], [300.0, 1500.0]);
    // Who has not been asked for long may have ended already, and then nothing is said.
    let silent = |silent: f64| Unsettled {
        silent,
        ..task(100.0)
    };
    check(forecast.all(&[silent(20.0)]), [0.0, 0.0], [60.0, 250.0]);
    assert_eq!(
        forecast.all(&[Unsettled {
            silent: 9_900.0,
            ..task(10_000.0)
        }]),
        None
    );
}

#[test]
fn the_less_was_seen_the_wider_is_the_range() {
    let width = |ends| {
        let forecast = Forecast::of(&learnt(ends)).unwrap();
        let expected = forecast.all(&[task(0.0); 50]).unwrap();
        expected.to / expected.from
    };
    let (few, many) = (width(6.0), width(64.0));
    assert!(few > 1.5 * many, "{few} for few, {many} for many");
}

#[test]
fn in_order_the_last_is_as_far_as_the_pace_has_it() {
    let mut experience = learnt(64.0);
    experience.pace = Pace {
        ends: 50.0,
        time: 100.0,
        strayed: 0.0,
    };
    say(&mut experience, 0.98, 0.0);
    let forecast = Forecast::of(&experience).unwrap().since(10.0);
    let tasks: Vec<_> = (0..200)
        .map(|rank| Unsettled {
            rank: f64::from(rank),
            ..task(50.0)
        })
        .collect();
    // Two hundred at one in two seconds, ten of which have passed.
    check(forecast.all(&tasks), [290.0, 370.0], [420.0, 540.0]);
    check(forecast.all(&tasks[..20]), [15.0, 30.0], [30.0, 60.0]);
}

#[test]
fn progress_is_believed_as_far_as_it_has_told_well() {
    let mut experience = learnt(64.0);
    say(&mut experience, 0.0, 0.98);
    let claims = |claim| Unsettled {
        claim: Some(claim),
        silent: 5.0,
        ..task(45.0)
    };
    let forecast = Forecast::of(&experience).unwrap();
    // 40 s are between 20 and 21 % of between 190.5 and 200 s, 45 of which have passed.
    check(forecast.all(&[claims(20)]), [140.0, 148.0], [152.0, 160.0]);
    // Together as late as the latest.
    let both = [claims(20), claims(60)];
    check(forecast.all(&both), [140.0, 148.0], [152.0, 160.0]);
    say(&mut experience, 0.0, 0.0);
    let unheard = Forecast::of(&experience).unwrap();
    assert_eq!(
        unheard.all(&[claims(20)]),
        unheard.all(&[Unsettled {
            claim: None,
            ..claims(20)
        }])
    );
}

#[test]
fn many_alike_are_as_one_that_counts_for_them() {
    let forecast = Forecast::of(&learnt(64.0)).unwrap();
    let one = Unsettled {
        count: 100_000.0,
        ..task(20.0)
    };
    let apart = forecast.all(&vec![task(20.0); 100_000]).unwrap();
    let together = forecast.all(&[one]).unwrap();
    assert!(
        (apart.to / together.to - 1.0).abs() < 0.02,
        "{apart:?} {together:?}"
    );
}

fn any_task() -> impl Strategy<Value = Unsettled> {
    let times = (0.0..1e6_f64, 0.0..1.0_f64);
    let claim = proptest::option::of(any::<u8>());
    (times, claim, 0.0..1e5_f64, 1.0..50.0_f64).prop_map(|((age, silent), claim, rank, count)| {
        Unsettled {
            age,
            silent: age * silent,
            claim,
            rank,
            count,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_was_seen_a_range_is_one(
        rows in proptest::collection::vec((0..BUCKETS, 0.0..1e3_f64, 0.0..1e6_f64), 0..20),
        pace in (0.0..50.0_f64, 0.0..1e4_f64, 0.0..1e4_f64),
        says in (0.0..1.0_f64, 0.0..1.0_f64),
        tasks in proptest::collection::vec(any_task(), 1..60),
    ) {
        let mut experience = Experience {
            table: LifeTable::of(rows),
            pace: Pace { ends: pace.0, time: pace.1, strayed: pace.2 },
            ..Experience::default()
        };
        say(&mut experience, says.0 * 0.5, says.1 * 0.5);
        if let Some(forecast) = Forecast::of(&experience) {
            let all = forecast.all(&tasks);
            for expected in tasks.iter().map(|one| forecast.all(&[*one])).chain([all]).flatten() {
                prop_assert!(expected.from >= 0.0 && expected.from <= expected.likely);
                prop_assert!(expected.likely <= expected.to && expected.to.is_finite());
            }
        }
    }
}
