//! The `tkbd` program: arguments in, one command, an exit code out.

use clap::Parser;
use std::process::ExitCode;

/// Measured: docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tkbd::commands::execute(tkbd::commands::Arguments::parse())
}
