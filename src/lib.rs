//! The library behind the program `importwatch`: it watches bulk imports into tables of GPTBots
//! agents until the server has parsed them, and tells what became of each.

pub mod account;
pub mod clock;
pub mod failure;
pub mod outcome;
pub mod schedule;
pub mod settings;
pub mod task;
pub mod telemetry;
pub mod watch;
