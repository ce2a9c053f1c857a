//! Runs pooled over seeds, and what they come to.

use crate::play::Run;
use crate::rivals::count;

/// Runs over several seeds, taken together.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pool {
    runs: f64,
    requests: f64,
    asked: f64,
    delays: Vec<f64>,
}

impl Pool {
    pub(crate) fn of(runs: impl IntoIterator<Item = Run>) -> Self {
        let mut pool = Self::default();
        for run in runs {
            pool.runs += 1.0;
            pool.requests += run.requests;
            pool.asked += run.asked;
            pool.delays.extend(run.delays);
        }
        pool.delays.sort_by(f64::total_cmp);
        pool
    }

    /// Requests of a run.
    pub(crate) fn requests(&self) -> f64 {
        self.requests / self.runs
    }

    /// Ids asked about in a run.
    pub(crate) fn asked(&self) -> f64 {
        self.asked / self.runs
    }

    /// The mean delay.
    pub(crate) fn mean(&self) -> f64 {
        self.delays.iter().sum::<f64>() / count(self.delays.len())
    }

    /// The delay below which so many hundredths of all are.
    pub(crate) fn percentile(&self, hundredths: usize) -> f64 {
        let index = (self.delays.len() * hundredths / 100).min(self.delays.len() - 1);
        self.delays[index]
    }
}

/// The pool of those that `make` gives for the parameter at which it makes as many requests a run as
/// `requests`; more make fewer.
pub(crate) fn matched(requests: f64, make: impl Fn(f64) -> Pool) -> Pool {
    let (mut low, mut high) = (0.01, 20_000.0);
    for _ in 0..22 {
        let middle = f64::sqrt(low * high);
        if make(middle).requests() > requests {
            low = middle;
        } else {
            high = middle;
        }
    }
    make(f64::sqrt(low * high))
}
