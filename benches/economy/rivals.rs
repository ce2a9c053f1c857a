//! What else could watch a world: the fixed-interval loop over batches, asking in turn, and a waiter
//! for each task.

use crate::play::Run;
use crate::worlds::Task;

/// So many phases are averaged over.
const PHASES: u32 = 8;

/// The ends of tasks, ready for sweeps.
struct Sorted {
    added: Vec<f64>,
    ends: Vec<f64>,
}

fn sorted(tasks: &[Task]) -> Sorted {
    let mut added: Vec<f64> = tasks.iter().map(|task| task.added).collect();
    let mut ends: Vec<f64> = tasks.iter().map(|task| task.end).collect();
    added.sort_by(f64::total_cmp);
    ends.sort_by(f64::total_cmp);
    Sorted { added, ends }
}

/// Every `interval`, all pending, in batches. The delays are those of all phases.
pub(crate) fn sweep(tasks: &[Task], batch: f64, interval: f64) -> Run {
    let sorted = sorted(tasks);
    let mut run = Run::default();
    for phase in 0..PHASES {
        let first = interval * (f64::from(phase) + 0.5) / f64::from(PHASES);
        let (mut now, mut added, mut ended) = (first, 0, 0);
        while ended < tasks.len() {
            while added < tasks.len() && sorted.added[added] <= now {
                added += 1;
            }
            if added == ended {
                // Nothing is pending: the loop sleeps until something is added.
                let skipped = ((sorted.added[added] - now) / interval).ceil().max(1.0);
                now += skipped * interval;
                continue;
            }
            run.requests += (count(added - ended) / batch).ceil();
            run.asked += count(added - ended);
            while ended < added && sorted.ends[ended] <= now {
                run.delays.push(now - sorted.ends[ended]);
                ended += 1;
            }
            now += interval;
        }
    }
    run.requests /= f64::from(PHASES);
    run.asked /= f64::from(PHASES);
    run
}

/// Every `interval` one request, about the next batch in turn.
pub(crate) fn in_turn(tasks: &[Task], batch: f64, interval: f64) -> Run {
    let mut run = Run::default();
    for phase in 0..PHASES {
        let mut now = interval * (f64::from(phase) + 0.5) / f64::from(PHASES);
        let mut queue: std::collections::VecDeque<Task> = std::collections::VecDeque::new();
        let mut later = tasks.iter().peekable();
        while !queue.is_empty() || later.peek().is_some() {
            while let Some(task) = later.next_if(|task| task.added <= now) {
                queue.push_back(*task);
            }
            let mut asked = 0.0;
            let size = queue.len();
            for _ in 0..size {
                if asked >= batch {
                    break;
                }
                asked += 1.0;
                if let Some(task) = queue.pop_front() {
                    if task.end <= now {
                        run.delays.push(now - task.end);
                    } else {
                        queue.push_back(task);
                    }
                }
            }
            run.requests += if size > 0 { 1.0 } else { 0.0 };
            run.asked += asked;
            now += interval;
        }
    }
    run.requests /= f64::from(PHASES);
    run.asked /= f64::from(PHASES);
    run
}

/// A request about each task alone, at once and then after 2 s, growing by 1.5 to 60 s.
pub(crate) fn waiters(tasks: &[Task]) -> Run {
    let mut run = Run::default();
    for task in tasks {
        let (mut now, mut delay) = (task.added, 2.0);
        loop {
            run.requests += 1.0;
            run.asked += 1.0;
            if task.end <= now {
                run.delays.push(now - task.end);
                break;
            }
            now += delay;
            delay = f64::min(delay * 1.5, 60.0);
        }
    }
    run
}

pub(crate) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
