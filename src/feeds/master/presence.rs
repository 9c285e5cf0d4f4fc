//! Whether the master is there, and since when not: for the log, and for who asks the hub.

use crate::core::lineage::Link;
use crate::core::source::Timestamp;
use crate::hub::{Hub, wall_clock};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How it stands with the master.
pub(super) struct Presence {
    hub: Arc<Hub>,
    address: String,
    patience: Duration,
    /// When it was last heard, by both clocks; before the first time, when we began, and nothing.
    last: (Instant, Option<Timestamp>),
    is_stale: bool,
    /// Why it was last said to be away.
    told: Option<String>,
}

impl Presence {
    pub(super) fn new(hub: Arc<Hub>, address: String, patience: Duration) -> Presence {
        hub.set_link(Link::Away { since: None, is_stale: false });
        Presence { hub, address, patience, last: (Instant::now(), None), is_stale: false, told: None }
    }

    /// It has answered.
    pub(super) fn heard(&mut self) {
        let master = &self.address;
        match (self.last.1, &self.told, self.is_stale) {
            (None, ..) => tracing::info!(%master, "following"),
            (Some(_), None, false) => {}
            (Some(_), ..) => tracing::info!(%master, "following again"),
        }
        self.last = (Instant::now(), Some(wall_clock()));
        self.is_stale = false;
        self.told = None;
        self.hub.set_link(Link::Up);
        self.hub.health().feeds.master(self.last.0);
    }

    /// A request has failed.
    pub(super) fn lost(&mut self, why: &str, retry_in: Duration) {
        // What comes from there is text of another machine.
        let why: String = format!("{why:?}").chars().take(256).collect();
        let (master, since) = (&self.address, self.since());
        if self.told.as_ref() == Some(&why) {
            tracing::debug!(%master, %why, ?retry_in, "the master is still away");
        } else {
            tracing::warn!(%master, %why, %since, "the master is away; the last state is served");
        }
        self.told = Some(why);
        self.tell();
    }

    /// When it will have been silent for too long; none where that was said.
    pub(super) fn stale_at(&self) -> Option<Instant> {
        (!self.is_stale).then(|| self.last.0 + self.patience)
    }

    /// It has been silent for too long.
    pub(super) fn stale(&mut self) {
        self.is_stale = true;
        let (master, since) = (&self.address, self.since());
        tracing::warn!(%master, %since, "what is served is stale: the master has been silent since then");
        self.tell();
    }

    /// It must not be followed.
    pub(super) fn stopped(&mut self, why: &str, again_in: Duration) {
        let why: String = format!("{why:?}").chars().take(256).collect();
        let (master, since) = (&self.address, self.since());
        if self.told.as_ref() == Some(&why) {
            tracing::debug!(%master, %why, ?again_in, "the master is still not to be followed");
        } else {
            tracing::error!(%master, %why, %since, ?again_in, "the master is followed no more: mend mirror.master, here or there");
        }
        self.told = Some(why);
        self.is_stale = true;
        self.hub.set_link(Link::Stopped);
    }

    fn tell(&self) {
        self.hub.set_link(Link::Away { since: self.last.1, is_stale: self.is_stale });
    }

    fn since(&self) -> String {
        let at = self.last.1.and_then(|at| DateTime::<Utc>::from_timestamp(at.0, 0));
        at.map_or_else(|| "the start".into(), |at| at.to_rfc3339())
    }
}
