//! The tests that need nothing but Rust and a C compiler.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod api;
mod api_broken;
mod api_environment;
mod api_faults;
mod api_tls;
mod simulator;
mod support;
