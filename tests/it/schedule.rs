//! The schedule in simulated worlds: whole timelines first, then properties over random worlds.

use importwatch::account::Trouble;
use importwatch::clock::Instant;
use importwatch::outcome::Outcome::{Available, Expired, Failed, Missing, Partial, Refused};
use importwatch::schedule::budget::Rates;
use importwatch::schedule::fault::Fault;
use importwatch::schedule::memory::Memory;
use importwatch::schedule::policy::Policy;
use importwatch::schedule::step::{Input, Step, Watched};
use proptest::prelude::*;

use crate::world::{LIMITED, Mood, Plan, UNAVAILABLE, World, id, name, secs};

const NEVER: f64 = f64::MAX;

fn rounded(times: &[f64]) -> Vec<f64> {
    times
        .iter()
        .map(|t| (t * 1000.0).round() / 1000.0)
        .collect()
}

#[test]
fn one_task_is_asked_at_once_and_then_at_growing_intervals() {
    let mut world = World::with_default(1);
    world.watch("a", Plan::Done(200.0, Partial));
    world.run_until(1000.0);
    assert_eq!(
        rounded(&world.asked("a")),
        [
            0.0, 2.0, 5.0, 9.5, 16.25, 26.375, 41.563, 64.344, 98.516, 149.773, 209.773
        ]
    );
    assert_eq!(world.outcome("a"), Some(Partial));
    assert_eq!(world.schedule.pending(), 0);
}

#[test]
fn a_watch_goes_on_where_an_earlier_run_left_it() {
    let mut world = World::with_default(1);
    world.watch("a", Plan::Done(200.0, Available));
    world.unwatch("a");
    world.come_back("a", 5, -10.0);
    world.run_until(60.0);
    assert_eq!(rounded(&world.asked("a")), [0.125, 15.313, 38.094]);
}

#[test]
fn tasks_added_together_cost_a_full_batch_a_step() {
    for (tasks, batch) in [
        (1_u32, 100_u32),
        (100, 100),
        (101, 100),
        (950, 100),
        (10_000, 500),
    ] {
        let mut world = World::new(7);
        world.account("default", batch, Rates::new(6000, None, None, 0.0), vec![]);
        world.latency = (0.2, 0.2);
        for n in 0..tasks {
            // They end one after another over five minutes.
            world.watch(
                &format!("t{n}"),
                Plan::Done(f64::from(n) * 300.0 / f64::from(tasks), Available),
            );
        }
        world.run_until(3600.0);
        assert_eq!(world.settled.len(), tasks as usize);
        // What a waiter of its own would have cost the slowest task: the steps of the backoff.
        let steps = world.asked(&format!("t{}", tasks - 1)).len();
        let mut allowed = 0;
        for step in 0..steps {
            // Whoever is pending at the first poll of a step may be asked in it.
            let since = world.asked(&format!("t{}", tasks - 1))[step];
            let pending = (0..tasks)
                .filter(|n| world.settled[&id(&format!("t{n}"))].0 >= since - 10.0)
                .count();
            allowed += pending.div_ceil(batch as usize);
        }
        assert!(
            world.polls.len() <= allowed,
            "{} polls, {allowed} allowed",
            world.polls.len()
        );
    }
}

#[test]
fn a_poll_is_filled_up_with_those_that_are_half_way() {
    let mut world = World::with_default(1);
    world.watch("a", Plan::Done(NEVER, Available));
    world.run_until(30.0);
    world.watch("late", Plan::Done(NEVER, Available));
    world.run_until(31.0);
    // a was asked at 26.4 and is due at 41.6: not half way at 30. At 35 it is.
    assert_eq!(rounded(&world.asked("late")), [30.0]);
    assert_eq!(world.asked("a").len(), 6);
    world.run_until(36.0);
    assert_eq!(rounded(&world.asked("late")), [30.0, 32.0, 35.0]);
    assert_eq!(rounded(&world.asked("a"))[6..], [35.0]);
}

#[test]
fn the_deadline_is_asked_at_and_only_an_answer_expires_a_watch() {
    let mut world = World::with_default(1);
    world.mood(50.0, Mood::Failing(UNAVAILABLE));
    world.mood(1000.0, Mood::Fine);
    world.watch_until("early", "default", Plan::Done(NEVER, Available), 20.0);
    world.watch_until("away", "default", Plan::Done(NEVER, Available), 60.0);
    world.watch_until("done", "default", Plan::Done(70.0, Failed), 60.0);
    world.run_until(2000.0);
    assert_eq!(world.settled[&id("early")], (20.0, Expired));
    let (when, outcome) = world.settled[&id("away")];
    assert!(
        outcome == Expired && when >= 1000.0,
        "expired unasked at {when}"
    );
    assert_eq!(world.outcome("done"), Some(Failed));
}

#[test]
fn an_absent_task_is_missing_only_after_long_and_if_another_is_known() {
    let mut world = World::with_default(1);
    world.watch("known", Plan::Done(NEVER, Available));
    world.watch("gone", Plan::Known(NEVER, NEVER));
    world.watch("back", Plan::Known(500.0, NEVER));
    world.watch("lost", Plan::Known(0.0, 100.0));
    world.run_until(2000.0);
    let (when, outcome) = world.settled[&id("gone")];
    assert!(
        outcome == Missing && (600.0..=660.0).contains(&when),
        "{outcome} at {when}"
    );
    assert_eq!(world.outcome("back"), None);
    let (when, outcome) = world.settled[&id("lost")];
    assert!(
        outcome == Missing && (700.0..=820.0).contains(&when),
        "{outcome} at {when}"
    );
    assert_eq!(world.told, []);
}

#[test]
fn time_without_answers_makes_nothing_missing() {
    let mut world = World::with_default(1);
    world.mood(100.0, Mood::Failing(UNAVAILABLE));
    world.mood(3000.0, Mood::Fine);
    world.watch("known", Plan::Done(NEVER, Available));
    world.watch("gone", Plan::Known(NEVER, NEVER));
    world.run_until(3300.0);
    assert_eq!(world.outcome("gone"), None);
    world.run_until(4000.0);
    assert_eq!(world.outcome("gone"), Some(Missing));
    let (when, _) = world.settled[&id("gone")];
    assert!(when >= 3500.0, "missing at {when}");
}

#[test]
fn where_no_id_was_ever_seen_nothing_is_missing() {
    let mut world = World::with_default(1);
    world.watch("a", Plan::Known(NEVER, NEVER));
    world.watch("b", Plan::Known(2000.0, NEVER));
    world.run_until(1900.0);
    assert_eq!(world.settled.len(), 0);
    let told: Vec<_> = world
        .told
        .iter()
        .map(|(_, _, trouble, over)| (*trouble, *over))
        .collect();
    assert_eq!(told, [(Trouble::KnowsNone, false)]);
    world.run_until(4000.0);
    assert_eq!(world.outcome("a"), Some(Missing));
    let told: Vec<_> = world
        .told
        .iter()
        .map(|(_, _, trouble, over)| (*trouble, *over))
        .collect();
    assert_eq!(
        told,
        [(Trouble::KnowsNone, false), (Trouble::KnowsNone, true)]
    );
}

#[test]
fn a_failing_account_backs_off_and_is_told_of_once_after_five_minutes() {
    let mut world = World::with_default(3);
    world.mood(0.0, Mood::Failing(UNAVAILABLE));
    world.mood(3600.0, Mood::Fine);
    for n in 0..250 {
        world.watch(&format!("t{n}"), Plan::Done(0.0, Available));
    }
    world.run_until(3600.0);
    assert!(
        world.polls.len() < 60,
        "{} polls in an hour",
        world.polls.len()
    );
    assert_eq!(
        world.told,
        [(300.0, name("default"), Trouble::Unavailable, false)]
    );
    assert_eq!(world.schedule.askable(), 0);
    world.run_until(7200.0);
    assert_eq!(world.settled.len(), 250);
    assert_eq!(world.told.len(), 2);
    assert_eq!(world.told[1].2, Trouble::Unavailable);
    assert!(world.told[1].3);
}

#[test]
fn an_account_that_stays_over_its_limit_is_told_of_and_not_waited_for() {
    for retry_after in [None, Some(secs(3600.0))] {
        let mut world = World::with_default(3);
        world.mood(0.0, Mood::Failing(Fault::Limited { retry_after }));
        world.mood(3500.0, Mood::Fine);
        world.watch("a", Plan::Done(0.0, Available));
        world.run_until(299.0);
        assert_eq!((world.told.len(), world.schedule.askable()), (0, 1));
        world.run_until(3500.0);
        let (when, account, trouble, over) = world.told[0].clone();
        assert_eq!(
            (account, trouble, over),
            (name("default"), Trouble::Unavailable, false)
        );
        assert!((300.0..330.0).contains(&when), "told at {when}");
        assert_eq!((world.told.len(), world.schedule.askable()), (1, 0));
        world.run_until(7200.0);
        assert_eq!(world.outcome("a"), Some(Available));
        assert!(world.told.len() == 2 && world.told[1].3);
    }
}

#[test]
fn a_suspend_in_a_short_outage_is_not_told() {
    let mut world = World::with_default(3);
    world.mood(10.0, Mood::Failing(UNAVAILABLE));
    world.mood(17.0, Mood::Fine);
    world.watch("a", Plan::Done(NEVER, Available));
    world.run_until(16.25);
    assert_eq!(world.asked("a").last(), Some(&16.25));
    world.now = 30_000.0;
    world.run_until(30_100.0);
    assert_eq!(world.told, []);
}

#[test]
fn an_outage_told_of_in_an_earlier_run_is_given_its_five_minutes_again() {
    let mut world = World::with_default(3);
    world.give(Input::Recalled {
        account: name("default"),
        memory: Memory {
            told: Some(Trouble::Unavailable),
            ..Memory::default()
        },
        sent: vec![],
    });
    world.mood(0.0, Mood::Failing(UNAVAILABLE));
    world.watch("a", Plan::Done(0.0, Available));
    world.run_until(299.0);
    assert_eq!(world.schedule.askable(), 1);
    world.run_until(400.0);
    assert_eq!((world.schedule.askable(), world.told.len()), (0, 0));
}

#[test]
fn a_short_outage_is_not_told() {
    let mut world = World::with_default(3);
    world.mood(10.0, Mood::Failing(UNAVAILABLE));
    world.mood(200.0, Mood::Fine);
    world.watch("a", Plan::Done(700.0, Available));
    world.run_until(1000.0);
    assert_eq!(world.told, []);
    assert_eq!(world.outcome("a"), Some(Available));
}

#[test]
fn a_refused_account_stops_and_is_probed_each_quarter_of_an_hour() {
    for fault in [Fault::Refused, Fault::NotFound] {
        let mut world = World::with_default(1);
        world.mood(0.0, Mood::Failing(fault));
        world.watch("a", Plan::Done(0.0, Available));
        world.run_until(3000.0);
        assert_eq!(world.asked("a"), [0.0, 900.0, 1800.0, 2700.0]);
        assert_eq!(
            world.told,
            [(0.0, name("default"), Trouble::Refused, false)]
        );
        assert_eq!(world.schedule.askable(), 0);
        world.mood(3000.0, Mood::Fine);
        // The key was changed: the account is asked again at once.
        world.account("default", 100, Rates::new(6000, None, None, 0.0), vec![]);
        world.run_until(3001.0);
        assert_eq!(world.settled[&id("a")], (3000.0, Available));
        assert_eq!(
            world.told[1..],
            [(3000.0, name("default"), Trouble::Refused, true)]
        );
    }
}

#[test]
fn nothing_found_at_the_url_is_an_outage_once_the_account_has_answered() {
    let mut world = World::with_default(1);
    world.mood(10.0, Mood::Failing(Fault::NotFound));
    world.mood(100.0, Mood::Fine);
    world.watch("a", Plan::Done(200.0, Available));
    world.run_until(500.0);
    assert_eq!(world.outcome("a"), Some(Available));
    assert_eq!(world.told, []);
}

#[test]
fn over_the_limit_the_account_slows_down_to_the_smallest_plan() {
    let mut world = World::new(1);
    world.account(
        "default",
        10,
        Rates::new(60, None, None, 0.0),
        vec![(0.0, Mood::Failing(LIMITED)), (5.0, Mood::Fine)],
    );
    for n in 0..200 {
        world.watch(&format!("t{n}"), Plan::Done(0.0, Available));
    }
    world.run_until(130.0);
    let in_a_minute = world
        .polls
        .iter()
        .filter(|(when, ..)| (60.0..120.0).contains(when))
        .count();
    assert!(
        (3..=6).contains(&in_a_minute),
        "{in_a_minute} polls in the second minute"
    );
    assert!(world.memory().requests_per_minute.is_some());
    world.run_until(3600.0);
    assert_eq!(world.settled.len(), 200);
}

#[test]
fn retry_after_is_kept_to_but_no_longer_than_an_hour() {
    for (asked, kept) in [(100.0, 100.0), (86_400.0, 3600.0)] {
        let retry_after = Some(secs(asked));
        for fault in [
            Fault::Limited { retry_after },
            Fault::Unavailable { retry_after },
        ] {
            let mut world = World::with_default(1);
            world.mood(0.0, Mood::Failing(fault));
            world.mood(1.0, Mood::Fine);
            world.watch("a", Plan::Done(0.0, Available));
            world.run_until(4000.0);
            assert_eq!(world.asked("a"), [0.0, kept]);
        }
    }
}

#[test]
fn a_batch_that_is_too_large_is_halved_and_grows_again() {
    let mut world = World::with_default(1);
    world.mood(0.0, Mood::AtMost(20, Fault::TooLarge));
    world.mood(50.0, Mood::Fine);
    for n in 0..100 {
        world.watch(&format!("t{n}"), Plan::Done(NEVER, Available));
    }
    world.run_until(1.0);
    let sizes: Vec<usize> = world.polls.iter().map(|(_, _, ids)| ids.len()).collect();
    assert_eq!(sizes, [100, 50, 25, 12, 12, 12, 12, 12, 12, 12, 12, 4]);
    assert_eq!(world.memory().batch_limit, Some(12));
    world.run_until(3600.0);
    assert_eq!(world.memory().batch_limit, None);
    assert_eq!(world.polls.last().unwrap().2.len(), 100);
}

#[test]
fn a_refused_batch_whose_parts_are_answered_was_too_long() {
    let mut world = World::with_default(1);
    world.mood(0.0, Mood::AtMost(30, Fault::Rejected));
    for n in 0..100 {
        world.watch(&format!("t{n}"), Plan::Done(NEVER, Available));
    }
    world.run_until(1.0);
    let sizes: Vec<usize> = world.polls.iter().map(|(_, _, ids)| ids.len()).collect();
    assert_eq!(sizes, [100, 50, 25, 25, 50, 25, 25]);
    assert_eq!(world.memory().batch_limit, Some(25));
    assert_eq!(world.settled.len(), 0);
}

#[test]
fn one_bad_id_among_a_thousand_is_refused_alone() {
    for bad in [0, 1, 499, 998, 999] {
        let mut world = World::with_default(1);
        for n in 0..1000 {
            let plan = if n == bad {
                Plan::Bad
            } else {
                Plan::Done(100.0, Available)
            };
            world.watch(&format!("t{n}"), plan);
        }
        world.run_until(300.0);
        assert_eq!(world.settled.len(), 1000);
        assert_eq!(world.outcome(&format!("t{bad}")), Some(Refused));
        assert_eq!(world.memory().batch_limit, None);
        assert_eq!(world.told, []);
    }
}

#[test]
fn several_bad_ids_side_by_side_hold_nobody_up() {
    let mut world = World::with_default(5);
    for n in 0..100 {
        let plan = if n < 20 {
            Plan::Bad
        } else {
            Plan::Done(3000.0, Available)
        };
        world.watch(&format!("t{n}"), plan);
    }
    world.run_until(4000.0);
    let refused = world
        .settled
        .values()
        .filter(|(_, outcome)| *outcome == Refused)
        .count();
    assert_eq!((world.settled.len(), refused), (100, 20));
}

#[test]
fn bad_ids_that_fill_the_front_hold_nobody_up() {
    let mut world = World::with_default(5);
    for n in 0..450 {
        let plan = if n < 300 {
            Plan::Bad
        } else {
            Plan::Done(100.0, Available)
        };
        world.watch(&format!("t{n}"), plan);
    }
    world.run_until(3600.0);
    let available = world.settled.values().filter(|(_, o)| *o == Available);
    assert_eq!(available.count(), 150);
}

#[test]
fn an_id_that_the_server_breaks_over_holds_nobody_up() {
    for poisons in [1, 5] {
        let mut world = World::with_default(5);
        for n in 0..500 {
            let plan = if n % 100 < poisons && n < 200 {
                Plan::Poison
            } else {
                Plan::Done(1000.0, Available)
            };
            world.watch(&format!("t{n}"), plan);
        }
        world.run_until(1000.0);
        assert_eq!(world.told, []);
        world.run_until(4600.0);
        assert_eq!(world.settled.len(), 500 - 2 * poisons);
        // Nothing settles by an error: those are asked about for ever, and rarely.
        assert_eq!(world.schedule.pending(), 2 * poisons);
        world.polls.clear();
        world.run_until(8200.0);
        let most = 14 * 2 * poisons;
        assert!(world.polls.len() <= most, "{} polls", world.polls.len());
        // Nobody else is left, so the account cannot be asked, and the user knows.
        assert_eq!(world.schedule.askable(), 0);
        let told: Vec<_> = world.told.iter().map(|told| (told.2, told.3)).collect();
        assert_eq!(told, [(Trouble::Unavailable, false)]);
    }
}

#[test]
fn an_outage_of_the_whole_account_puts_nobody_off() {
    let mut world = World::with_default(5);
    world.mood(10.0, Mood::Failing(UNAVAILABLE));
    world.mood(2000.0, Mood::Fine);
    for n in 0..100 {
        world.watch(&format!("t{n}"), Plan::Done(2000.0, Available));
    }
    world.run_until(2000.0);
    world.polls.clear();
    world.run_until(2400.0);
    assert_eq!(world.settled.len(), 100);
    let fine = world.polls.iter().filter(|(when, ..)| *when >= 2000.0);
    assert!(fine.count() <= 2);
}

#[test]
fn a_gateway_that_refuses_everything_refuses_no_id() {
    let mut world = World::with_default(1);
    world.mood(0.0, Mood::Failing(Fault::Rejected));
    world.mood(3600.0, Mood::Fine);
    for n in 0..1000 {
        world.watch(&format!("t{n}"), Plan::Done(3000.0, Available));
    }
    world.run_until(3600.0);
    assert_eq!(world.settled.len(), 0);
    assert!(
        world.polls.len() < 80,
        "{} polls in an hour",
        world.polls.len()
    );
    assert_eq!(
        world.told,
        [(300.0, name("default"), Trouble::Unavailable, false)].map(|mut told| {
            told.0 = world.told[0].0;
            told
        })
    );
    world.run_until(7200.0);
    let outcomes: Vec<_> = world
        .settled
        .values()
        .map(|(_, outcome)| *outcome)
        .collect();
    assert_eq!(outcomes, [Available; 1000]);
}

#[test]
fn a_bad_id_without_company_is_the_accounts_matter() {
    let mut world = World::with_default(1);
    world.watch("bad", Plan::Bad);
    world.run_until(1000.0);
    assert_eq!(world.outcome("bad"), None);
    assert_eq!(world.told.len(), 1);
    world.watch("good", Plan::Done(2000.0, Available));
    world.run_until(3000.0);
    assert_eq!(world.outcome("bad"), Some(Refused));
    assert_eq!(world.outcome("good"), Some(Available));
}

#[test]
fn a_late_answer_about_a_removed_watch_is_passed_over() {
    let mut world = World::with_default(1);
    world.latency = (5.0, 5.0);
    world.watch("a", Plan::Done(0.0, Available));
    world.watch("b", Plan::Done(0.0, Available));
    world.run_until(1.0);
    world.unwatch("a");
    world.run_until(100.0);
    assert_eq!(world.outcome("a"), None);
    assert_eq!(world.outcome("b"), Some(Available));
}

#[test]
fn a_poll_that_was_denied_is_tried_again_after_the_wait() {
    let mut world = World::with_default(1);
    world.schedule.handle(
        Input::Watched(Watched {
            id: id("a"),
            account: name("default"),
            began: Instant::from_boot(secs(100.0)),
            deadline: Instant::from_boot(secs(1e6)),
            polled: None,
            progress: None,
        }),
        Instant::from_boot(secs(100.0)),
    );
    let now = Instant::from_boot(secs(100.0));
    let Step::Poll { poll, .. } = world.schedule.next_step(now) else {
        panic!("no poll")
    };
    let wait = secs(17.0);
    world.schedule.handle(Input::Denied { poll, wait }, now);
    let until = now.after(wait);
    assert_eq!(world.schedule.next_step(now), Step::Sleep { until });
}

#[test]
fn an_account_that_the_settings_do_not_name_is_not_asked() {
    let mut world = World::with_default(1);
    world.watch_until("a", "other", Plan::Done(0.0, Available), 1e6);
    world.run_until(1000.0);
    assert_eq!(world.polls.len(), 0);
    assert_eq!((world.schedule.pending(), world.schedule.askable()), (1, 0));
    world.account("other", 100, Rates::new(60, None, None, 0.0), vec![]);
    world.run_until(1001.0);
    assert_eq!(world.outcome("a"), Some(Available));
}

#[test]
fn what_was_remembered_is_in_force_and_not_told_again() {
    let mut world = World::with_default(1);
    let memory = Memory {
        answered: true,
        knows_an_id: true,
        batch_limit: Some(10),
        requests_per_minute: None,
        told: Some(Trouble::Refused),
    };
    world.give(Input::Recalled {
        account: name("default"),
        memory,
        sent: vec![],
    });
    world.mood(0.0, Mood::Failing(Fault::Refused));
    world.mood(900.0, Mood::Fine);
    for n in 0..20 {
        world.watch(&format!("t{n}"), Plan::Done(0.0, Available));
    }
    world.run_until(2000.0);
    let times: Vec<f64> = world.polls.iter().map(|(when, ..)| *when).collect();
    assert_eq!(times, [0.0, 900.0, 900.0]);
    assert_eq!(world.polls[1].2.len(), 10);
    assert_eq!(
        world.told,
        [(900.0, name("default"), Trouble::Refused, true)]
    );
}

#[test]
fn a_rate_that_was_lowered_in_an_earlier_run_rises_from_there() {
    let mut world = World::new(1);
    world.account("default", 1, Rates::new(60, None, None, 0.0), vec![]);
    world.give(Input::Recalled {
        account: name("default"),
        memory: Memory {
            requests_per_minute: Some(1),
            ..Memory::default()
        },
        sent: vec![],
    });
    for n in 0..20 {
        world.watch(&format!("t{n}"), Plan::Done(0.0, Available));
    }
    world.run_until(119.0);
    let times: Vec<f64> = world.polls.iter().map(|(when, ..)| *when).collect();
    // The last two come at the pace of three a minute.
    assert_eq!(times, [0.0, 0.0, 60.0, 80.0, 80.0]);
}

#[test]
fn requests_of_earlier_runs_count() {
    let mut world = World::new(1);
    world.account("default", 100, Rates::new(3, None, None, 0.0), vec![]);
    let ago = |seconds| Instant::from_boot(secs(100_000.0 - seconds));
    world.give(Input::Recalled {
        account: name("default"),
        memory: Memory::default(),
        sent: vec![ago(50.0), ago(30.0), ago(10.0)],
    });
    world.watch("a", Plan::Done(NEVER, Available));
    world.run_until(40.0);
    assert_eq!(rounded(&world.asked("a")), [10.0, 30.0]);
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(UNAVAILABLE),
        Just(LIMITED),
        Just(Fault::Limited {
            retry_after: Some(secs(30.0))
        }),
        Just(Fault::TooLarge),
        Just(Fault::Refused),
        Just(Fault::NotFound),
    ]
}

/// A server that refuses all parameters does so once in its life: one that refuses an id, answers
/// about another, and refuses the first again cannot be told from one that does not like the id.
fn rejecting_once(moods: &mut Moods) {
    let rejecting = |(_, mood): &(f64, Mood)| *mood == Mood::Failing(Fault::Rejected);
    if let Some(first) = moods.iter().position(rejecting) {
        let (before, mut after) = (moods[..=first].to_vec(), moods[first + 1..].to_vec());
        after.retain(|mood| !rejecting(mood));
        *moods = [before, after].concat();
    }
}

fn moods() -> impl Strategy<Value = Mood> {
    prop_oneof![
        3 => Just(Mood::Fine),
        2 => faults().prop_map(Mood::Failing),
        1 => Just(Mood::Failing(Fault::Rejected)),
        1 => (1_usize..60, prop_oneof![Just(Fault::TooLarge), Just(Fault::Rejected)])
            .prop_map(|(most, fault)| Mood::AtMost(most, fault)),
        2 => (0.0..0.9, faults()).prop_map(|(share, fault)| Mood::Flaky(share, fault)),
    ]
}

fn plans() -> impl Strategy<Value = Plan> {
    prop_oneof![
        12 => (0.0..5000.0, prop_oneof![Just(Available), Just(Partial), Just(Failed)])
            .prop_map(|(end, outcome)| Plan::Done(end, outcome)),
        1 => Just(Plan::Done(NEVER, Available)),
        1 => (0.0..3000.0, 0.0..6000.0).prop_map(|(from, to)| Plan::Known(from, to)),
        1 => Just(Plan::Bad),
        1 => Just(Plan::Garbled),
        1 => Just(Plan::Poison),
    ]
}

type Moods = Vec<(f64, Mood)>;

#[derive(Debug, Clone)]
struct Story {
    seed: u64,
    latency: f64,
    stutter: bool,
    adaptive: bool,
    accounts: Vec<(u32, Rates, Moods)>,
    /// When a task is added, its plan, its account, its deadline, and when it is removed.
    tasks: Vec<(f64, Plan, usize, f64, Option<f64>)>,
}

prop_compose! {
    fn stories()(
        seed: u64,
        latency in 0.0..20.0,
        stutter: bool,
        adaptive: bool,
        accounts in prop::collection::vec((
            1_u32..60,
            (1_u32..100, prop::option::of(30_u32..500), 0.0..0.5).prop_map(|(m, h, r)| Rates::new(m, h, None, r)),
            prop::collection::vec((0.0..5000.0, moods()), 0..6),
        ), 1..4),
        tasks in prop::collection::vec((
            0.0..3000.0,
            plans(),
            0_usize..4,
            1.0..10_000.0,
            prop::option::weighted(0.1, 0.0..5000.0),
        ), 1..120),
    ) -> Story {
        Story { seed, latency, stutter, adaptive, accounts, tasks }
    }
}

/// How long a world runs on after everything in it is well again.
const CALM: f64 = 30_000.0;
/// In so many times that, whatever may be settled is.
const LONGEST: usize = 30;

fn play(story: &Story) -> World {
    let policy = if story.adaptive {
        Policy::Adaptive { price: None }
    } else {
        Policy::Exponential
    };
    let mut world = World::under(policy, story.seed);
    world.latency = (0.0, story.latency);
    world.stutter = story.stutter;
    for (number, (batch, rates, moods)) in story.accounts.iter().enumerate() {
        let mut moods = moods.clone();
        moods.sort_by(|a, b| a.0.total_cmp(&b.0));
        rejecting_once(&mut moods);
        moods.push((5000.0, Mood::Fine));
        world.account(&format!("account-{number}"), *batch, *rates, moods);
    }
    let mut changes: Vec<(f64, usize, bool)> = Vec::new();
    for (number, (from, _, _, _, removed)) in story.tasks.iter().enumerate() {
        changes.push((*from, number, true));
        changes.extend(removed.map(|at| (at.max(*from), number, false)));
    }
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (when, number, added) in changes {
        world.run_until(when);
        world.now = world.now.max(when);
        let (from, plan, account, give_up, _) = &story.tasks[number];
        if added {
            let account = format!("account-{}", account % story.accounts.len());
            world.watch_until(&format!("t{number}"), &account, *plan, from + give_up);
        } else if !world.settled.contains_key(&id(&format!("t{number}"))) {
            world.unwatch(&format!("t{number}"));
        }
    }
    world.run_until(5000.0);
    world.now = world.now.max(5000.0);
    world.run_until(5000.0 + CALM);
    world
}

/// All that happened in a world, to the microsecond: its seconds are floating point, the schedule's
/// instants are not.
fn lived(world: &World) -> Vec<String> {
    let polls =
        (world.polls.iter()).map(|(when, account, ids)| format!("{when:.6} {account} {ids:?}"));
    let settled =
        (world.settled.iter()).map(|(id, (when, outcome))| format!("{when:.6} {id} {outcome}"));
    let told = (world.told.iter())
        .map(|(when, account, trouble, over)| format!("{when:.6} {account} {trouble:?} {over}"));
    polls.chain(settled).chain(told).collect()
}

/// Found by a random world: a bad id was looked for when the server began to refuse everything, and good
/// ones were left suspected. Once all was well, the bad one was the only one that was asked, for ever.
#[test]
fn what_was_suspected_before_an_outage_is_asked_again_after_it() {
    let limited = Mood::Failing(LIMITED);
    let moods = vec![
        (1271.0, Mood::Flaky(0.6, UNAVAILABLE)),
        (1922.0, limited),
        (4064.0, Mood::Failing(Fault::Rejected)),
    ];
    let task = |from, end, give_up| (from, Plan::Done(end, Available), 0, give_up, None);
    let tasks = vec![
        task(335.0, 1023.0, 3276.0),
        task(710.0, 4497.0, 643.0),
        task(1870.0, 0.0, 1.0),
        task(1888.0, 0.0, 1.0),
        task(1278.0, 2553.0, 1534.0),
        (2555.0, Plan::Bad, 0, 1.0, None),
    ];
    for seed in 0..200 {
        let story = Story {
            seed,
            latency: 4.7,
            stutter: false,
            adaptive: true,
            accounts: vec![(3, Rates::new(93, Some(200), None, 0.0), moods.clone())],
            tasks: tasks.clone(),
        };
        let world = play(&story);
        assert!(world.settled.len() >= 5, "seed {seed}: {:?}", world.settled);
    }
}

/// How many random worlds each property is tried in: `IMPORTWATCH_WORLDS`, or else what takes a few
/// seconds.
fn worlds() -> u32 {
    match std::env::var("IMPORTWATCH_WORLDS") {
        Ok(number) => number.parse().expect("IMPORTWATCH_WORLDS is a number"),
        Err(_) => 150,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: worlds(), failure_persistence: None, ..ProptestConfig::default() })]

    /// The world itself asserts the rest: see there.
    #[test]
    fn every_watch_comes_to_its_end(story in stories()) {
        let mut world = play(&story);
        // What cannot be read has no end, nor has a bad id without company.
        let is_endless = |plan| matches!(plan, Plan::Garbled | Plan::Bad | Plan::Poison);
        let mut left: Vec<(String, Plan)> = (story.tasks.iter().enumerate())
            .filter(|(_, (_, plan, _, _, removed))| removed.is_none() && !is_endless(*plan))
            .map(|(number, (_, plan, ..))| (format!("t{number}"), *plan))
            .collect();
        // Where many tasks share a few requests an hour with ids that spoil them, it takes days.
        for _ in 0..LONGEST {
            left.retain(|(task, _)| !world.settled.contains_key(&id(task)));
            if left.is_empty() {
                break;
            }
            world.run_until(world.now + CALM);
        }
        prop_assert!(left.is_empty(), "these were forgotten: {left:?}");
    }

    #[test]
    fn stale_and_spurious_inputs_change_nothing(story in stories()) {
        let calm = play(&Story { stutter: false, ..story.clone() });
        let stuttering = play(&Story { stutter: true, ..story });
        prop_assert_eq!(lived(&calm), lived(&stuttering));
    }
}
