//! The rows that failed, back to the rows of the file that they came from.
//!
//! It never opens a file, never asks a server and never writes: it reads bytes that it is given, and
//! says what is known of them and how sure that is.

pub mod beginning;
pub mod dialect;
pub mod encoding;
pub mod evidence;
pub mod fields;
pub mod reading;
pub mod resolve;
pub mod scan;
