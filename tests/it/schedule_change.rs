//! The schedule as the settings change under it: in the simulated world.

use importwatch::outcome::Outcome::Available;
use importwatch::schedule::budget::Rates;
use importwatch::schedule::fault::Fault;
use importwatch::schedule::pacing::Pacing;
use importwatch::schedule::policy::Policy;
use importwatch::schedule::step::{Input, Parameters};

use crate::world::{Mood, Plan, UNAVAILABLE, World, name, secs};

fn ample() -> Rates {
    Rates::new(6000, None, None, 0.0)
}

#[test]
fn what_a_poll_brings_that_was_sent_with_the_old_key_says_nothing_of_the_new() {
    for fault in [Fault::Refused, Fault::NotFound, UNAVAILABLE] {
        let mut world = World::with_default(1);
        world.latency = (10.0, 10.0);
        world.mood(0.0, Mood::Failing(fault));
        world.watch("a", Plan::Done(0.0, Available));
        // The poll is under way when the key changes, and the new key is right.
        world.run_until(5.0);
        world.account("default", 100, ample(), vec![]);
        world.mood(5.0, Mood::Fine);
        world.run_until(60.0);
        assert_eq!(world.asked("a"), [0.0, 10.0], "{fault:?}");
        assert_eq!(world.outcome("a"), Some(Available), "{fault:?}");
        assert_eq!(world.told, [], "{fault:?}");
    }
}

#[test]
fn an_account_that_leaves_the_settings_is_not_asked_until_it_is_back() {
    let mut world = World::with_default(1);
    world.watch("a", Plan::Done(100.0, Available));
    world.run_until(20.0);
    let asked = world.asked("a").len();
    world.give(Input::Unconfigured {
        account: name("default"),
    });
    assert_eq!(world.schedule.askable(), 0);
    world.run_until(5000.0);
    assert_eq!(world.asked("a").len(), asked);
    assert_eq!(world.schedule.pending(), 1);
    world.account("default", 100, ample(), vec![]);
    world.run_until(5000.5);
    assert_eq!(world.outcome("a"), Some(Available));
}

#[test]
fn trouble_of_an_account_that_left_is_not_told() {
    let mut world = World::with_default(1);
    world.mood(0.0, Mood::Failing(UNAVAILABLE));
    world.watch("a", Plan::Done(0.0, Available));
    world.run_until(60.0);
    world.give(Input::Unconfigured {
        account: name("default"),
    });
    world.run_until(5000.0);
    assert_eq!(world.told, []);
}

#[test]
fn a_shorter_pacing_holds_for_those_that_wait_already() {
    let mut world = World::with_default(1);
    world.watch("a", Plan::Done(1000.0, Available));
    // Asked at 149.8 s, and again at 209.8 s.
    world.run_until(160.0);
    world.give(Input::Changed(Parameters {
        policy: Policy::Exponential,
        pacing: Pacing::new(secs(1.0), 1.0, secs(1.0)).unwrap(),
        missing_after: secs(600.0),
        seed: 9,
    }));
    world.run_until(163.5);
    let asked = world.asked("a");
    assert_eq!(asked[asked.len() - 4..], [160.0, 161.0, 162.0, 163.0]);
}

#[test]
fn a_longer_pacing_holds_from_the_next_answer_on() {
    let mut world = World::with_default(1);
    world.watch("a", Plan::Done(1000.0, Available));
    world.run_until(1.0);
    world.give(Input::Changed(Parameters {
        policy: Policy::Exponential,
        pacing: Pacing::new(secs(50.0), 1.0, secs(50.0)).unwrap(),
        missing_after: secs(600.0),
        seed: 9,
    }));
    world.run_until(60.0);
    assert_eq!(world.asked("a"), [0.0, 2.0, 52.0]);
}
