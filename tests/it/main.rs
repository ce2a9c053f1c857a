//! The tests that need Rust alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on is a failed test"
)]

mod house;
mod notifier;
mod schedule;
mod store;
mod store_budget;
mod store_crash;
mod store_model;
mod world;
