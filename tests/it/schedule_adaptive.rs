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

/// How long tasks of one kind take, in seconds.
const DURATIONS: [f64; 10] = [58.0, 80.0, 45.0, 66.0, 38.0, 54.0, 95.0, 62.0, 50.0, 72.0];

/// Has the world watch a task of each duration, one after the other, and says what requests, at the
/// three seconds that each is worth, and waiting cost.
fn cost_of_singles(world: &mut World) -> f64 {
    let polls = world.polls.len();
    let mut waited = 0.0;
    for (n, duration) in (0..).zip(DURATIONS) {
        let begun = world.now;
        let task = format!("single{n}");
        world.watch(&task, Plan::Done(begun + duration, Available));
        world.run_until(begun + 1000.0);
        assert_eq!(world.outcome(&task), Some(Available));
        waited += world.asked(&task).last().unwrap() - (begun + duration);
    }
    let requests = u32::try_from(world.polls.len() - polls).unwrap();
    waited + 3.0 * f64::from(requests)
}

#[test]
fn an_import_teaches_the_next_one_how_long_tasks_take() {
    let mut world = adaptive(60);
    for n in 0..5 {
        for (m, duration) in (0..).zip(DURATIONS) {
            let at = duration + f64::from(n);
            world.watch(&format!("earlier{n}{m}"), Plan::Done(at, Available));
        }
    }
    world.run_until(1000.0);
    assert_eq!(world.schedule.pending(), 0);
    let knowing = cost_of_singles(&mut world);

    let unknowing: f64 = (0..)
        .zip(DURATIONS)
        .map(|(n, duration)| {
            let mut world = adaptive(60);
            let task = format!("single{n}");
            world.watch(&task, Plan::Done(duration, Available));
            world.run_until(1000.0);
            let waited = world.asked(&task).last().unwrap() - duration;
            waited + 3.0 * f64::from(u32::try_from(world.polls.len()).unwrap())
        })
        .sum();
    assert!(knowing < 0.75 * unknowing, "{knowing} against {unknowing}");
}
