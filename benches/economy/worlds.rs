//! Worlds: when tasks are added and when they end, drawn at random from a description.

/// How the tasks of a world are added and how long they take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// All at once; lognormal durations with this median and sigma.
    Burst(f64, f64),
    /// So many seconds apart; lognormal durations.
    Apart(f64, f64, f64),
    /// All at once; one after the other, each with this mean time of its own.
    InOrder(f64),
    /// All at once; Lomax durations with this median and a tail of 1.5.
    HeavyTail(f64),
    /// All at once; half of them quick, half slow: two medians, sigma 0.4.
    TwoKinds(f64, f64),
    /// A burst with this median and sigma 0.8, in which from the first second to the second nothing ends.
    Stall(f64, f64, f64),
}

/// A task: seconds since the start of its world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) added: f64,
    pub(crate) end: f64,
}

/// Draws a world of `tasks` tasks, in the order of adding.
pub(crate) fn draw(kind: Kind, tasks: usize, seed: u64) -> Vec<Task> {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
    let mut clock = 0.0;
    let mut number = 0.0;
    let drawn = (0..tasks).map(|_| {
        let (added, end) = match kind {
            Kind::Burst(median, sigma) => (0.0, lognormal(median, sigma, &mut random)),
            Kind::Apart(gap, median, sigma) => {
                let added = gap * number;
                (added, added + lognormal(median, sigma, &mut random))
            }
            Kind::InOrder(mean) => {
                clock += lognormal(mean * f64::exp(-0.125), 0.5, &mut random);
                (0.0, clock)
            }
            Kind::HeavyTail(median) => {
                let scale = median / (2_f64.powf(1.0 / 1.5) - 1.0);
                let uniform = 1.0 - random.f64();
                (0.0, scale * (uniform.powf(-1.0 / 1.5) - 1.0))
            }
            Kind::TwoKinds(quick, slow) => {
                let median = if random.bool() { quick } else { slow };
                (0.0, lognormal(median, 0.4, &mut random))
            }
            Kind::Stall(median, from, to) => {
                let end = lognormal(median, 0.8, &mut random);
                (0.0, if end > from { end + to - from } else { end })
            }
        };
        number += 1.0;
        Task { added, end }
    });
    drawn.collect()
}

fn lognormal(median: f64, sigma: f64, random: &mut fastrand::Rng) -> f64 {
    // Box and Muller.
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
    median * (sigma * normal).exp()
}
