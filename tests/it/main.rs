//! Tests of the adapters against real sockets and files. They need Rust and a C compiler alone.

mod notifier;
