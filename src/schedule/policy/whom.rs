//! Whom a request is to ask: those about whom asking would end the most waiting.

use crate::schedule::policy::belief::{Belief, Prospect};

/// The indices of the `most` prospects about whom asking at `at` would end the most waiting; of
/// equals, those that were added first.
pub(in crate::schedule) fn best(
    belief: &Belief,
    prospects: &[Prospect],
    most: usize,
    at: f64,
) -> Vec<usize> {
    if prospects.len() <= most {
        return (0..prospects.len()).collect();
    }
    let mut scores: Vec<(f64, usize)> = prospects
        .iter()
        .enumerate()
        .map(|(index, one)| (belief.waiting(one, at), index))
        .collect();
    let before = |a: &(f64, usize), b: &(f64, usize)| {
        let by_rank = || prospects[a.1].rank().total_cmp(&prospects[b.1].rank());
        b.0.total_cmp(&a.0).then_with(by_rank)
    };
    scores.select_nth_unstable_by(most, before);
    scores.truncate(most);
    scores.into_iter().map(|(_, index)| index).collect()
}
