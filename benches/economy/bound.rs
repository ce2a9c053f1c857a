//! The least mean delay that any schedule can have that knows how tasks end on the whole, but nothing of
//! each.

use crate::rivals::count;
use crate::worlds::Task;

/// Bins of equally many ends, from which the rate of ends is taken.
const BINS: usize = 200;

/// By Cauchy and Schwarz, requests times mean delay is at least (∫√(λk))² / 2N, where λ is the rate of
/// ends and k = max(1, pending/B), the requests that it takes to ask about all.
pub(crate) fn least(worlds: &[Vec<Task>], batch: f64, requests: f64) -> f64 {
    let mut ends: Vec<f64> = worlds.iter().flatten().map(|task| task.end).collect();
    let mut added: Vec<f64> = worlds.iter().flatten().map(|task| task.added).collect();
    ends.sort_by(f64::total_cmp);
    added.sort_by(f64::total_cmp);
    let draws = count(worlds.len());
    let tasks = count(ends.len()) / draws;
    let size = (ends.len() / BINS).max(1);
    let mut before = 0.0;
    let mut sum = 0.0;
    let mut seen = 0;
    for bin in ends.chunks(size) {
        let last = bin[bin.len() - 1];
        let width = last - before;
        seen += bin.len();
        let begun = added.partition_point(|&at| at <= last);
        let pending = count(begun.saturating_sub(seen)) / draws;
        sum += (count(bin.len()) / draws * width * (pending / batch).max(1.0)).sqrt();
        before = last;
    }
    sum * sum / (2.0 * tasks * requests)
}

/// How many batches the pending fill, on average over time.
pub(crate) fn mean_batches(world: &[Task], batch: f64) -> f64 {
    let mut ends: Vec<f64> = world.iter().map(|task| task.end).collect();
    ends.sort_by(f64::total_cmp);
    let (mut before, mut sum) = (0.0, 0.0);
    for (number, end) in ends.iter().enumerate() {
        sum += (count(ends.len() - number) / batch).ceil() * (end - before);
        before = *end;
    }
    sum / before
}
