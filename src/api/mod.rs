//! The one endpoint: asks what became of tasks, and says what came back or why nothing did.
//!
//! Nothing here decides whom to ask, when, or what an answer means for a watch. Everything that the
//! server sends is taken as hostile: sizes are bounded, and text is escaped before it is shown.

pub mod client;
pub mod error;
pub mod wire;

mod entries;
mod excerpt;
mod headers;
mod json;
pub mod transport;
