//! The integration tests. They need Rust and a C compiler alone.

mod store;
mod store_budget;
mod store_calls;
mod store_crash;
mod store_model;
