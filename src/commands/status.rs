//! `tkbd status`: who runs, and where it listens.

use super::arguments::DaemonArguments;
use super::text::plain;
use super::{Failure, run};
use crate::client::control::{self, ControlError};
use crate::wire::control::{Answer, Port, Status, Verb};
use chrono::{DateTime, SecondsFormat, Utc};
use std::io::{Write, stdout};
use std::time::Duration;

/// How long an answer may take; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says who runs with this setup.
pub(super) async fn status(arguments: &DaemonArguments) -> Result<(), Failure> {
    match ask(arguments, Verb::Status, PATIENCE).await? {
        Answer::Status(status) => Ok(write!(stdout(), "{}", in_words(&status))?),
        answer => Err(otherwise(&answer)),
    }
}

fn in_words(status: &Status) -> String {
    let since = i64::try_from(status.since).ok().and_then(|since| DateTime::<Utc>::from_timestamp(since, 0));
    let since = since.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut words = format!("tkbd {} runs since {since} (pid {})\n", plain(&status.version), status.pid);
    for listening in &status.listening {
        let (what, scheme) = match listening.port {
            Port::Http => ("pages", "http"),
            Port::Https => ("pages", "https"),
            Port::Push => ("pushes", "http"),
            Port::Pushs => ("pushes", "https"),
        };
        words.push_str(&format!("{what:<10} {scheme}://{}\n", listening.address));
    }
    words
}

/// Asks the daemon that runs with this setup, or that has this socket.
pub(super) async fn ask(
    arguments: &DaemonArguments,
    verb: Verb,
    patience: Duration,
) -> Result<Answer, Failure> {
    let path = match &arguments.socket {
        Some(socket) => Some(socket.clone()),
        None => run::load(&arguments.setup)?.control_socket(),
    };
    let Some(path) = path else {
        let why = "the setup has no control socket: it needs a history, or control.socket";
        return Err(Failure::Usage(why.into()));
    };
    let place = path.display().to_string();
    match control::ask(&path, verb, patience).await {
        Ok(told) => Ok(told.answer),
        Err(ControlError::Nobody) if arguments.socket.is_some() => {
            Err(Failure::other(format!("no tkbd runs there: nobody listens at {}", plain(&place))))
        }
        Err(ControlError::Nobody) => Err(Failure::other(format!(
            "no tkbd runs with this setup: nobody listens at {}; one that was started with another history.db or \
             control.socket is asked with --socket FILE",
            plain(&place)
        ))),
        Err(error) => Err(Failure::other(format!("{} ({})", plain(&error.to_string()), plain(&place)))),
    }
}

/// What is said of an answer that is not the one that was hoped for.
pub(super) fn otherwise(answer: &Answer) -> Failure {
    Failure::other(match answer {
        Answer::Refused(why) => format!("all stays as it was: {}", plain(why)),
        _ => "the tkbd that runs here answers something else than it was asked".into(),
    })
}
