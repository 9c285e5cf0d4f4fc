//! `tkbd run`: the daemon.

use super::arguments::{Command, RunArguments, SetupArguments};
use super::logging::{self, LogLevel};
use super::push::TOKEN_VARIABLE;
use super::signals::{self, Hangups, Signals};
use super::{Failure, in_runtime, take_over};
use crate::listeners::{Gathering, Inherited};
use crate::setup::{self, Setup};
use crate::{Reload, Reloads};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Serves until a signal comes.
pub(super) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let setup = load(&arguments.setup)?;
    let inherited = Inherited::from_environment(&setup)?;
    let (_logging, log) = logging::start(&setup.log)?;
    // A held request is an open file, and the usual limit is 1,024. What the system allows is what we get.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    in_runtime(async {
        signals::outlive_full_files()?;
        let shutdown = CancellationToken::new();
        signals::watch(Signals::new()?, shutdown.clone());
        let (reload, reloads) = reloads(arguments.setup.setup.clone(), arguments.setup.set.clone(), log);
        signals::reload(Hangups::new()?, reload);
        let listeners = if arguments.take_over {
            take_over::listeners(&setup, inherited, &shutdown).await?
        } else {
            Gathering::new(&setup, inherited).finish()?
        };
        crate::run(setup, listeners, reloads, shutdown).await?;
        Ok(())
    })
}

/// Has the setup be read again from where it was read, when that is asked for.
pub(super) fn reloads(file: Option<PathBuf>, sets: Vec<String>, log: LogLevel) -> (Reload, Reloads) {
    let load = move || setup::load_again(file.as_deref(), environment(), &sets);
    crate::reloads(load, move |to| log.set(to))
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
