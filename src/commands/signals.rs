//! The signals that ask a command to end, and that which asks the daemon to read its setup again.

use super::Failure;
use crate::{NotReloaded, Reload};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `shutdown` at the first signal; the second ends the process at once, for whoever cannot wait.
pub(super) fn watch(mut signals: Signals, shutdown: CancellationToken) {
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "shutting down");
        shutdown.cancel();
        let name = signals.next().await;
        tracing::warn!(signal = name, "ending at once");
        std::process::exit(1);
    });
}

/// Has the setup read again at every SIGHUP. What comes of it stands in the log. A terminal that is closed sends one,
/// too, which does no harm: the setup is as it was.
pub(super) fn reload(mut hangups: Hangups, reload: Reload) {
    tokio::spawn(async move {
        // Those that come while it is being read are one.
        while hangups.0.recv().await.is_some() {
            tracing::info!(signal = "SIGHUP", "reading the setup again");
            if matches!(reload.reload().await, Err(NotReloaded::Stopping)) {
                return;
            }
        }
    });
}

/// From now on, SIGHUP does not end the process.
pub(super) struct Hangups(Signal);

impl Hangups {
    pub(super) fn new() -> Result<Hangups, Failure> {
        Ok(Hangups(listen(SignalKind::hangup())?))
    }
}

/// The signals that ask a process to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on SIGTERM and SIGINT do not end the process by themselves.
    pub(super) fn new() -> Result<Signals, Failure> {
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: None,
        })
    }

    /// The same for what makes no sense without its terminal, and has to tidy up when that is closed.
    pub(super) fn of_terminal() -> Result<Signals, Failure> {
        Ok(Signals { hangup: Some(listen(SignalKind::hangup())?), ..Signals::new()? })
    }

    /// Waits for one, and names it.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = hung_up(self.hangup.as_mut()) => "SIGHUP",
        }
    }
}

/// From now on a write that a limit of the size of files (`ulimit -f`) forbids is an error, as on a full disk: by
/// itself SIGXFSZ would end the daemon (reliability.md D1).
pub(super) fn outlive_full_files() -> Result<(), Failure> {
    // The handler stays when this is dropped.
    listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

async fn hung_up(hangup: Option<&mut Signal>) {
    match hangup {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::other(format!("cannot listen for signals: {error}")))
}
