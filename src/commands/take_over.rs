//! `tkbd run --take-over`: the sockets of the daemon that runs, without a moment in which nobody listens.

use super::Failure;
use crate::client::control::{ControlError, Told, ask};
use crate::listeners::{Gathering, Inherited, Listeners};
use crate::run::check_before_taking_over;
use crate::setup::Setup;
use crate::wire::control::{Answer, Listening, Verb};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long an answer may take; it takes milliseconds.
const ANSWER: Duration = Duration::from_secs(5);

/// How long the other may take to end, which it does within eight seconds. Its clients wait meanwhile, and nobody
/// else has their sockets: so patience costs less than to give up.
const END: Duration = Duration::from_secs(30);

/// The sockets of the setup: from systemd, from the daemon that runs, and for the rest new ones. That daemon has ended
/// when this returns. If none runs, all is as at any start.
pub(super) async fn listeners(
    setup: &Setup,
    inherited: Vec<Inherited>,
    shutdown: &CancellationToken,
) -> Result<Listeners, Failure> {
    let mut gathering = Gathering::new(setup, inherited);
    let Some(path) = setup.control_socket() else {
        let why = "--take-over needs a control socket: a history, or control.socket in the setup";
        return Err(Failure::Usage(why.into()));
    };
    // What would end the new daemon is to be found while the old one serves: sockets are not given back.
    check_before_taking_over(setup)?;
    let Some(held) = status(&path).await? else { return Ok(gathering.finish()?) };
    gathering.bind_all_but(&held)?;

    let told =
        ask(&path, Verb::HandOver, ANSWER).await.map_err(|error| untaken(&path, &error.to_string()))?;
    take(&mut gathering, &path, told, shutdown).await?;
    Ok(gathering.finish()?)
}

/// What the daemon that runs listens on; none where none runs.
async fn status(path: &Path) -> Result<Option<Vec<Listening>>, Failure> {
    match ask(path, Verb::Status, ANSWER).await {
        Ok(Told { answer: Answer::Status(status), .. }) => {
            tracing::info!(pid = status.pid, version = %shown(&status.version), "taking over");
            Ok(Some(status.listening))
        }
        Ok(Told { answer, .. }) => Err(untaken(path, &refusal(&answer))),
        Err(ControlError::Nobody) => {
            tracing::info!(path = %path.display(), "there is no daemon to take over from");
            Ok(None)
        }
        Err(error) => Err(untaken(path, &error.to_string())),
    }
}

async fn take(
    gathering: &mut Gathering,
    path: &Path,
    mut told: Told,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let sockets = std::mem::take(&mut told.sockets);
    match &told.answer {
        Answer::HandedOver(listening) if listening.len() == sockets.len() => {
            for (listening, socket) in listening.iter().zip(sockets) {
                let (port, address) = (listening.port, listening.address);
                if gathering.take(*listening, socket) {
                    tracing::info!(?port, %address, "taken over");
                } else {
                    tracing::info!(?port, %address, "not taken over: the setup has another socket for it, or none");
                }
            }
        }
        Answer::HandedOver(_) => {
            let why = "the daemon before has handed its sockets over and ends, but not all of them came; start again";
            return Err(Failure::other(why));
        }
        answer => return Err(untaken(path, &refusal(answer))),
    }
    let ended = shutdown.run_until_cancelled(timeout(END, told.ended())).await;
    if let Some(Err(_)) = ended {
        let why = format!("the daemon before has handed its sockets over, and did not end within {END:?}");
        return Err(Failure::other(why));
    }
    Ok(())
}

fn refusal(answer: &Answer) -> String {
    match answer {
        Answer::Refused(why) => format!("the tkbd that runs here refuses: {}", shown(why)),
        _ => "the tkbd that runs here answers something else than it was asked".into(),
    }
}

/// Of what another process says, as much as a line of the log has room for.
fn shown(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

fn untaken(path: &Path, why: &str) -> Failure {
    Failure::other(format!("{why} ({}); it was left as it is", path.display()))
}
