//! The `tkbd` program: arguments in, one command, an exit code out.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    tkbd::commands::execute(tkbd::commands::Arguments::parse())
}
