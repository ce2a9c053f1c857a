//! The adaptive policy in the simulated world: what it promises whatever it has learnt.

use importwatch::outcome::Outcome::Available;
use importwatch::schedule::budget::Rates;
use importwatch::schedule::policy::Policy;

use crate::world::{Plan, World};

const NEVER: f64 = f64::MAX;

fn adaptive(a_minute: u32) -> World {
    let mut world = World::under(Policy::Adaptive { price: None }, 1);
    world.account(
        "default",
        100,
        Rates::new(a_minute, None, None, 0.0),
        vec![],
    );
    world
}

#[test]
fn no_watch_waits_for_longer_than_the_longest_interval() {
    let mut world = adaptive(600);
    for n in 0..250 {
        world.watch(&format!("stuck{n}"), Plan::Done(NEVER, Available));
        world.watch(&format!("done{n}"), Plan::Done(f64::from(n), Available));
    }
    world.run_until(400.0);
    for n in 0..250 {
        let mut asked = world.asked(&format!("stuck{n}"));
        asked.insert(0, 0.0);
        asked.push(400.0);
        let longest = asked
            .windows(2)
            .map(|two| two[1] - two[0])
            .fold(0.0, f64::max);
        assert!(longest <= 60.001, "stuck{n} waited for {longest} s");
    }
    assert_eq!(world.settled.len(), 250);
}

#[test]
fn who_is_added_late_is_asked_at_once_and_who_is_young_is_not() {
    let mut world = adaptive(60);
    world.watch_since(
        "old",
        "default",
        Plan::Done(-900.0, Available),
        1e6,
        -1000.0,
    );
    world.watch("young", Plan::Done(1.0, Available));
    world.run_until(0.0);
    assert_eq!(world.outcome("old"), Some(Available));
    world.run_until(60.0);
    assert_eq!(world.outcome("young"), Some(Available));
}

#[test]
fn the_deadline_is_asked_at() {
    let mut world = adaptive(60);
    world.watch_until("a", "default", Plan::Done(NEVER, Available), 20.0);
    world.run_until(19.9);
    assert_eq!(world.schedule.pending(), 1);
    world.run_until(20.0);
    assert_eq!(world.schedule.pending(), 0);
}
