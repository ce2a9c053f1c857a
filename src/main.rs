//! The program: arguments to command to exit code.

use std::process::ExitCode;

use importwatch::cli;

fn main() -> ExitCode {
    cli::run().into()
}
