//! What the service manager (systemd) is told of us, by the protocol of sd_notify(3). Without one all of this does
//! nothing.

use crate::hub::Hub;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::Duration;

/// It serves from now on; also at the end of a reload. `status` is one line for people.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It takes over another setup while it goes on serving; [`ready`] says that this is over, whatever came of it.
pub(super) fn reloading() {
    // Without the time, systemd takes the end of an earlier reload for that of this one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager is not told of the reload"),
    }
}

/// It accepts nothing more.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("answering what is held")]);
}

/// Feeds the watchdog, if there is one, for as long as the state lives.
pub(super) async fn feed_watchdog(hub: Arc<Hub>) {
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| *within > Duration::ZERO) else {
        return;
    };
    loop {
        // A third, where half is asked for: one that comes late costs nobody a restart.
        tokio::time::sleep(within / 3).await;
        hub.pulse().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told how this is doing");
    }
}
