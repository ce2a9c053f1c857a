//! What is kept of an account's belief from one run to the next, as the store keeps it.

use crate::schedule::policy::life_table::LifeTable;

/// What an account has learnt that will serve the next import.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Experience {
    /// How long tasks take.
    pub table: LifeTable,
}
