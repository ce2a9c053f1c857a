//! What a server claims of a task's progress, honest or not.

use crate::worlds::Task;

/// How progress is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    None,
    /// The share of its time that has passed, in whole percent.
    Honest,
    /// Four steps at random times to random heights.
    Jumpy,
    /// Stuck at 1 or at 99.
    Lying,
}

/// The claim about task `number` at `now`, while it is pending.
pub(crate) fn claim(progress: Progress, task: Task, number: usize, now: f64) -> Option<u8> {
    let share = (now - task.added) / (task.end - task.added).max(1e-9);
    match progress {
        Progress::None => None,
        Progress::Honest => Some(percent(share)),
        Progress::Jumpy => {
            let mut random = fastrand::Rng::with_seed(number as u64);
            let mut heights = [0.0; 4].map(|_: f64| random.f64());
            heights.sort_by(f64::total_cmp);
            let passed = heights.iter().filter(|_| random.f64() < share).count();
            Some(percent(
                passed.checked_sub(1).map_or(0.0, |last| heights[last]),
            ))
        }
        Progress::Lying => Some(if number.is_multiple_of(2) { 1 } else { 99 }),
    }
}

fn percent(share: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 1 to 99"
    )]
    let percent = (share * 100.0).clamp(1.0, 99.0) as u8;
    percent
}
