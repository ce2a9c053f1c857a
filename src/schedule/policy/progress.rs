//! When a task will have ended, by the progress that the server claims for it.
//!
//! It takes the claims for honest; whether they are is decided by how well they have told so far.

/// The least claim that tells how much is done: a server whose claims begin at 1 % says so of a task
/// that has not begun.
const LEAST: u8 = 2;

/// Between which ages a task ends that was `age` seconds old and claimed so much, if the claim is the
/// share of its time that had passed; `None` where it tells nothing.
pub(super) fn steady(age: f64, percent: u8) -> Option<(f64, f64)> {
    let percent = percent.min(100);
    let claim = f64::from(percent);
    (percent >= LEAST).then(|| (age * 100.0 / (claim + 1.0), age * 100.0 / claim))
}

/// The age that such a task reaches at least.
pub(super) fn least(age: f64, percent: u8) -> f64 {
    age * 100.0 / (f64::from(percent.min(99)) + 1.0)
}

/// What the claims of one task come to, kept small: there may be a million. Ages are seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::schedule) struct Claims {
    /// By the share of its time that has passed: the ages between which it ends, as long as all claims
    /// agree.
    steady: Span,
    /// By how fast the claims have grown since the first that told anything.
    sloping: Span,
    first_age: f32,
    first: u8,
}

/// Ages between which a task ends; with no end, it is not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    from: f32,
    to: f32,
}

impl Span {
    const OPEN: Self = Self {
        from: 0.0,
        to: f32::INFINITY,
    };

    /// The span, where there is one.
    pub(super) fn known(self) -> Option<(f64, f64)> {
        self.to
            .is_finite()
            .then(|| (f64::from(self.from), f64::from(self.to)))
    }
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            steady: Span::OPEN,
            sloping: Span::OPEN,
            first_age: 0.0,
            first: 0,
        }
    }
}

impl Claims {
    /// The two predictions.
    pub(super) fn spans(&self) -> [Span; 2] {
        [self.steady, self.sloping]
    }

    /// The latest age that either predicts for the end.
    pub(in crate::schedule) fn predicted_end(&self) -> Option<f64> {
        let ends = self.spans().into_iter().filter_map(Span::known);
        ends.map(|(_, to)| to).reduce(f64::max)
    }

    /// Takes in a claim about a task that is `age` seconds old and pending.
    pub(in crate::schedule) fn take(&mut self, age: f64, percent: u8) {
        let percent = percent.min(100);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "seven digits of an age are plenty"
        )]
        let age = age.max(0.0) as f32;
        let claim = f32::from(percent);
        let now = Span {
            from: age * 100.0 / (claim + 1.0),
            to: if percent < LEAST {
                f32::INFINITY
            } else {
                age * 100.0 / claim
            },
        };
        let both = Span {
            from: self.steady.from.max(now.from),
            to: self.steady.to.min(now.to),
        };
        self.steady = if both.from <= both.to { both } else { now };
        let grown = claim - f32::from(self.first);
        if self.first < LEAST || grown < 0.0 {
            self.first = percent;
            self.first_age = age;
            self.sloping = Span::OPEN;
        } else if grown > 1.0 && age > self.first_age {
            // Each claim is a whole percent, so either may be up to one percent too low.
            let took = age - self.first_age;
            self.sloping = Span {
                from: age + took * (99.0 - claim).max(0.0) / (grown + 1.0),
                to: age + took * (100.0 - claim) / (grown - 1.0),
            };
        }
    }
}
