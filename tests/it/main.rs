//! What the library does from the outside. It needs Rust and a C compiler alone.

#![expect(
    clippy::unwrap_used,
    reason = "clippy lets tests unwrap, but not the helpers that they share"
)]

mod settings;
mod telemetry;
