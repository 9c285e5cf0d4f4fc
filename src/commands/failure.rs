//! How a command ends when it cannot do what it was asked.

use super::may_colour;
use crate::listeners::InheritError;
use crate::setup::{EX_CONFIG, SetupError};
use crate::{BindError, RunError};
use std::io::{self, IsTerminal, stderr};
use std::process::ExitCode;

/// Why a command failed; the variants are the exit codes.
#[derive(Debug)]
pub(super) enum Failure {
    /// The setup is wrong: [`EX_CONFIG`].
    Setup(SetupError),
    /// The arguments make no sense: 2, as clap has it.
    Usage(String),
    /// The daemon could not start or go on; it knows its exit code.
    Daemon(String, u8),
    /// Anything else: 1.
    Other(String),
    /// All has been said already: 1.
    Told,
    /// Who was to read our output has left, as `head` does: nothing is wrong.
    NobodyReads,
}

impl Failure {
    pub(super) fn other(what: impl Into<String>) -> Failure {
        Failure::Other(what.into())
    }

    /// Says what is wrong.
    pub(super) fn tell(&self) {
        match self {
            // It renders itself, in lines that begin with where the mistake stands; people see those lines, too.
            Failure::Setup(error) if stderr().is_terminal() => {
                eprint!("{}", error.with_snippets(may_colour(&stderr())));
            }
            Failure::Setup(error) => eprintln!("{error}"),
            Failure::Usage(what) | Failure::Daemon(what, _) | Failure::Other(what) => {
                eprintln!("tkbd: {what}");
            }
            Failure::Told | Failure::NobodyReads => {}
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Setup(_) => ExitCode::from(EX_CONFIG),
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Daemon(_, code) => ExitCode::from(*code),
            Failure::Other(_) | Failure::Told => ExitCode::from(1),
            Failure::NobodyReads => ExitCode::SUCCESS,
        }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Failure {
        Failure::Setup(error)
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Failure {
        Failure::Daemon(error.to_string(), error.exit_code())
    }
}

impl From<InheritError> for Failure {
    fn from(error: InheritError) -> Failure {
        Failure::Daemon(error.to_string(), EX_CONFIG)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        Failure::Daemon(error.to_string(), error.exit_code())
    }
}

/// Of writing to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::NobodyReads,
            _ => Failure::Other(format!("cannot write: {error}")),
        }
    }
}
