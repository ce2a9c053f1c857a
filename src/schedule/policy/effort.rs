//! The guard: how long to be silent at most, by how often it was worth asking so far.
//!
//! A belief may be wrong, and then a server that has stalled, or works otherwise than it did, would be
//! asked ever more rarely.

/// Requests of an account, and sweeps that they would make, since it last had nothing to do.
#[derive(Debug, Clone, Default)]
pub(in crate::schedule) struct Effort {
    requests: f64,
    /// The number of batches that the pending would fill, summed over time up to `counted_to`.
    batches: f64,
    counted_to: f64,
    last: f64,
}

impl Effort {
    /// The account has something to do again.
    pub(in crate::schedule) fn start(&mut self, now: f64) {
        *self = Self {
            counted_to: now,
            last: now,
            ..Self::default()
        };
    }

    /// Counts the time up to `now`, in which the pending filled so many batches.
    pub(in crate::schedule) fn count(&mut self, batches: f64, now: f64) {
        self.batches += batches * (now - self.counted_to).max(0.0);
        self.counted_to = now;
    }

    /// A request was answered.
    pub(in crate::schedule) fn asked(&mut self, now: f64) {
        self.requests += 1.0;
        self.last = now;
    }

    /// When the silence will have been `patience` times as long as it was on average, where the pending
    /// fill so many batches; `None` where it never will.
    pub(super) fn silent_until(&self, batches: f64, patience: f64) -> Option<f64> {
        // (at − last) · requests · batches = patience · (self.batches + batches · (at − counted_to))
        let slope = batches * (self.requests - patience);
        let at = (patience * (self.batches - batches * self.counted_to)
            + self.last * self.requests * batches)
            / slope;
        (slope > 0.0).then_some(at)
    }
}
