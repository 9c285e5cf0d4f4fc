//! `tkbd run`: the daemon.

use super::arguments::{Command, SetupArguments};
use super::push::TOKEN_VARIABLE;
use super::signals::{self, Signals};
use super::{Failure, in_runtime, logging};
use crate::Listeners;
use crate::setup::{self, Setup};
use tokio_util::sync::CancellationToken;

/// Serves until a signal comes.
pub(super) fn run(arguments: &SetupArguments) -> Result<(), Failure> {
    let setup = load(arguments)?;
    let _logging = logging::start(&setup.log)?;
    // A held request is an open file, and the usual limit is 1,024. What the system allows is what we get.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    in_runtime(async {
        let shutdown = CancellationToken::new();
        signals::watch(Signals::new()?, shutdown.clone());
        let listeners = Listeners::bind(&setup)?;
        crate::run(setup, listeners, shutdown).await?;
        Ok(())
    })
}

/// The setup that the arguments mean.
pub(super) fn load(arguments: &SetupArguments) -> Result<Setup, Failure> {
    let file = arguments.setup.as_deref();
    // `tkbd puhs` reads as the name of a setup. Nobody who means a file that is not there is hurt by the hint.
    if let Some(word) = file.and_then(|file| file.to_str())
        && let Some(command) = Command::like(word)
        && file.is_some_and(|file| !file.exists())
    {
        return Err(Failure::Usage(format!(
            "there is no file {word:?}; did you mean the command `tkbd {command}`?"
        )));
    }
    Ok(setup::load(file, environment(), &arguments.set)?)
}

/// The variables that may be settings: that of `tkbd push` is none, and may be there for both.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    setup::environment().filter(|(name, _)| name != TOKEN_VARIABLE)
}
