//! Printing: a pipe that closes early is no error, and nothing panics for want of a terminal.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use anstream::AutoStream;

use crate::store::directory::StateDir;

/// Standard output, which takes colours where it is a terminal that shows them, and loses them where
/// it is not or where `NO_COLOR` is set.
pub(super) type Out = BufWriter<AutoStream<StdoutLock<'static>>>;

/// The width of a terminal that does not tell its own.
const USUAL_WIDTH: usize = 80;

/// Standard output.
pub(super) fn out() -> Out {
    BufWriter::new(AutoStream::auto(io::stdout().lock()))
}

/// How many columns the terminal has that standard output is; `None` if it is something else, so
/// that a program reads what is printed.
pub(super) fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let told = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
    Some(told.filter(|width| *width > 0).unwrap_or(USUAL_WIDTH))
}

/// Says something to the person at the terminal, on standard error. Where that is closed, nobody is
/// there to be told.
pub(super) fn say(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// That nobody asks about what is pending in `directory`, and what to do.
pub(super) fn no_daemon(directory: &StateDir) -> String {
    format!(
        "no daemon is running on {}, so nothing is asked; start one with: importwatch daemon",
        directory.path().display()
    )
}

/// Whether an error is that the reader of our output has gone: it has what it wanted.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
