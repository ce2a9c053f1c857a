//! Whom to ask, and when.

pub mod fault;
pub mod memory;
