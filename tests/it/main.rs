//! Tests of the adapters against real sockets and files. They need Rust and a C compiler alone.

#![expect(
    clippy::unwrap_used,
    reason = "the lint knows tests by their attribute, and helpers of tests have none"
)]

mod notifier;
