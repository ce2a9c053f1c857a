//! What is kept of an account's belief, for the next run and for whoever asks when tasks will have ended,
//! as the store keeps it.

use crate::schedule::policy::life_table::LifeTable;

/// What an account has learnt that will serve the next import.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Experience {
    /// How long tasks take.
    pub table: LifeTable,
    /// How fast they end one after the other.
    pub pace: Pace,
    /// Which of its experts have told well.
    pub say: Say,
}

/// How fast tasks end, and how well they keep to the order in which they were added; what is long ago
/// has faded. All are numbers from 0 up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    /// Ends.
    pub ends: f64,
    /// The seconds in which they were.
    pub time: f64,
    /// How far from the front those were that had ended, summed over them.
    pub strayed: f64,
}

/// The share that each expert has in the belief, by how well it has told; together 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Say {
    /// Who goes by the durations seen.
    pub age: f64,
    /// Who goes by the order.
    pub order: f64,
    /// Who takes the progress for the share of a task's time that has passed.
    pub steady: f64,
    /// Who goes by how fast the progress grows.
    pub sloping: f64,
}

impl Say {
    /// The shares at first, of age, order, and the two readings of the progress.
    pub const START: [f64; 4] = [0.5, 0.1, 0.2, 0.2];
}

impl Default for Say {
    fn default() -> Self {
        let [age, order, steady, sloping] = Self::START;
        Self {
            age,
            order,
            steady,
            sloping,
        }
    }
}
