//! Printing: a pipe that closes early is no error, and nothing panics for want of a terminal.

use std::io::{self, Write as _};

/// Says something to the person at the terminal, on standard error. Where that is closed, nobody is
/// there to be told.
pub(super) fn say(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Whether an error is that the reader of our output has gone: it has what it wanted.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
