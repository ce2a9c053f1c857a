//! The tests that need Rust and a C compiler alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on is a failed test"
)]

mod adding;
mod answers;
mod answers_memory;
mod answers_shown;
mod api;
mod api_broken;
mod api_environment;
mod api_faults;
mod api_tls;
mod check;
mod command;
mod completing;
mod crowd;
mod daemon;
mod demo;
mod expected;
mod gate;
mod house;
mod lists;
mod messages;
mod network;
mod notifier;
mod people;
mod program;
mod rejects;
mod rejects_corpus;
mod reload;
mod removing;
mod running;
mod schedule;
mod schedule_adaptive;
mod schedule_change;
mod schedule_refusal;
mod seed;
mod service;
mod settings;
mod simulator;
mod sources;
mod start;
mod store;
mod store_budget;
mod store_calls;
mod store_crash;
mod store_damage;
mod store_model;
mod supply;
mod support;
mod telemetry;
mod units;
mod wait;
mod wait_messages;
mod world;
