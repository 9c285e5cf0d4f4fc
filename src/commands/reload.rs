//! `tkbd reload`: has the daemon that runs read its setup again, and says what came of it.

use super::Failure;
use super::arguments::DaemonArguments;
use super::status::{ask, otherwise};
use super::text::plain;
use crate::setup::EX_CONFIG;
use crate::wire::control::{Answer, Verb};
use std::io::{Write, stderr, stdout};
use std::time::Duration;

/// How long it may take: the daemon gives its disk ten seconds, and there may be others before us.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the daemon whose setup this is.
pub(super) async fn reload(arguments: &DaemonArguments) -> Result<(), Failure> {
    match ask(arguments, Verb::Reload, PATIENCE).await? {
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
