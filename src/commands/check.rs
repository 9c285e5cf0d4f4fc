//! `tkbd check`: what a setup means, or everything that is wrong with it.

use super::arguments::SetupArguments;
use super::{Failure, run};
use std::io::{Write, stdout};

/// Prints the summary of the setup; touches neither port nor database.
pub(super) fn check(arguments: &SetupArguments) -> Result<(), Failure> {
    let setup = run::load(arguments)?;
    writeln!(stdout(), "{}", setup.summary().trim_end())?;
    Ok(())
}
