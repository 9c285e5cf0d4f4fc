//! `tkbd completions` and `tkbd man`: what shells and man are told of the arguments.

use super::Failure;
use super::arguments::{Arguments, CompletionsArguments, ManArguments};
use clap::CommandFactory;
use std::io::{Write, stdout};

/// Prints what a shell reads.
pub(super) fn completions(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "tkbd", &mut script);
    stdout().write_all(&script)?;
    Ok(())
}

/// Prints a page in roff.
pub(super) fn man(arguments: &ManArguments) -> Result<(), Failure> {
    let mut program = Arguments::command();
    program.build();
    let page = match &arguments.command {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::Usage(format!("there is no command {name:?}")))?,
    };
    let mut roff = Vec::new();
    clap_mangen::Man::new(page).render(&mut roff)?;
    stdout().write_all(&roff)?;
    Ok(())
}
