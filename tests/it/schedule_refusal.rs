//! The schedule about ids that the server refuses: in the simulated world.

use importwatch::outcome::Outcome::{Available, Refused};
use importwatch::schedule::fault::Fault;

use crate::world::{Mood, Plan, UNAVAILABLE, World};

#[test]
fn an_id_that_is_refused_alone_is_held_against_another_at_once() {
    let mut world = World::with_default(1);
    world.watch("good", Plan::Done(1000.0, Available));
    // Asked at 149.8 s, and again at 209.8 s if nothing else comes.
    world.run_until(160.0);
    world.watch("bad", Plan::Bad);
    world.run_until(160.05);
    assert_eq!(world.asked("good").last(), Some(&160.0));
    assert_eq!(world.outcome("bad"), Some(Refused));
    assert_eq!(world.told, []);
}

#[test]
fn a_refused_batch_of_which_nothing_is_left_to_ask_shows_no_limit() {
    let mut world = World::with_default(1);
    world.latency = (10.0, 10.0);
    world.mood(0.0, Mood::Failing(Fault::Rejected));
    for task in ["a", "b", "c", "d"] {
        world.watch(task, Plan::Done(1000.0, Available));
    }
    // The batch is refused at 10 s. Its first half is asked then, and all are removed before that has
    // an answer, which is an outage.
    world.mood(5.0, Mood::Failing(UNAVAILABLE));
    world.run_until(12.0);
    for task in ["a", "b", "c", "d"] {
        world.unwatch(task);
    }
    world.run_until(21.0);
    assert_eq!(world.memory().batch_limit, None);
    world.mood(21.0, Mood::Fine);
    world.watch("e", Plan::Done(1000.0, Available));
    world.watch("f", Plan::Done(1000.0, Available));
    world.run_until(100.0);
    let last = &world.polls.last().unwrap().2;
    assert_eq!(last.len(), 2, "{last:?}");
}
