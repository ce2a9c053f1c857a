//! The library behind the program `importwatch`: it watches bulk imports into tables of GPTBots
//! agents until the server has parsed them, and tells what became of each.
//!
//! # The map
//!
//! A module imports only from smaller numbers, or from inside itself; the test `house` holds this
//! table and fails on any other import.
//!
//! ```text
//! 0  clock       the one place that reads time
//!    task        the server's words: TaskId, Status, Snapshot
//!    account     AccountName, ApiKey, Trouble
//! 1  failure     what a refused row means: the vendor's rules, as a type
//! 2  outcome     Outcome, Verdict, judge
//! 3  watch       Watch, Import, Standing
//! 4  schedule    whom to ask, and when; no I/O
//!    rejects     failed rows back to the rows of the source; pure
//!    notice      what to say: wording, urgency; pure
//!    settings    TOML and environment to Settings; builds nothing; finds the key
//! 5  api         the one endpoint: client, wire, error
//!    store       SQLite: watches, outcomes, outbox, budget; lock, doorbell
//!    watchlist   lists of ids: their reader, and the files that are followed
//!    notifier    who says it: the desktop, the log, a program of the user's
//!    systemd     what the service manager is told: READY, STATUS, WATCHDOG, RELOADING, STOPPING
//!    telemetry   what the log looks like
//!    simulator   the endpoint, embedded: for the tests and the benches
//! 6  relay       outbox to notices to notifiers
//! 7  daemon      the effect loop: Step to I/O to Input; shutdown; reload
//! 8  cli         one file a command
//! 9  main        arguments to command to exit code
//! ```
//!
//! Data flows one way:
//!
//! ```text
//! settings -> store (watch list) -> schedule -> api -> judge -> schedule
//!     -> store (outcome and outbox, one commit) -> relay -> notifier
//! ```

pub mod account;
pub mod api;
pub mod cli;
pub mod clock;
pub mod daemon;
pub mod failure;
pub mod notice;
pub mod notifier;
pub mod outcome;
pub mod rejects;
pub mod relay;
pub mod schedule;
pub mod settings;
pub mod simulator;
pub mod store;
pub mod systemd;
pub mod task;
pub mod telemetry;
pub mod watch;
pub mod watchlist;
