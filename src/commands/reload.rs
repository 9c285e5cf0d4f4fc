//! `tkbd reload`: has the daemon that runs read its setup again, and says what came of it.

use super::arguments::SetupArguments;
use super::status::{ask, otherwise};
use super::text::plain;
use super::{Failure, run};
use crate::setup::EX_CONFIG;
use crate::wire::control::{Answer, Verb};
use std::io::{Write, stderr, stdout};
use std::time::Duration;

/// How long it may take: the daemon gives its disk ten seconds, and there may be others before us.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the daemon whose setup this is.
pub(super) async fn reload(arguments: &SetupArguments) -> Result<(), Failure> {
    let setup = run::load(arguments)?;
    match ask(&setup, Verb::Reload, PATIENCE).await? {
        Answer::Reloaded(what) => Ok(writeln!(stdout(), "{}", plain(&what))?),
        Answer::Mistakes(lines) => {
            for line in lines.lines() {
                // Whoever closed standard error has the exit code.
                let _ = writeln!(stderr(), "{}", plain(line));
            }
            Err(Failure::Daemon("the daemon goes on with the setup that it had".into(), EX_CONFIG))
        }
        answer => Err(otherwise(&answer)),
    }
}
