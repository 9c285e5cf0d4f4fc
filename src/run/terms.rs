//! From a setup to what the house and its doors go by, at the start and whenever it is read again.

use super::mirror;
use crate::core::house::Terms;
use crate::core::state::{Growth, Plan};
use crate::doors::http::Limits;
use crate::doors::ingest;
use crate::setup::{PushToken, Setup};
use std::sync::Arc;
use tokio::sync::watch;

/// Of how many channels the filter is kept after their end (faults.md C3): at some 200 bytes each,
/// 10 MB.
const MAX_REMEMBERED: usize = 50_000;

/// What the doors ask, and who tells them.
pub(super) struct Doors {
    pub(super) web: watch::Sender<Arc<Limits>>,
    pub(super) push: watch::Sender<Arc<ingest::Terms>>,
}

impl Doors {
    pub(super) fn of(setup: &Setup) -> Doors {
        Doors {
            web: watch::Sender::new(Arc::new(web(setup))),
            push: watch::Sender::new(Arc::new(push(setup))),
        }
    }

    /// From now on they go by `setup`.
    pub(super) fn set(&self, setup: &Setup) {
        self.web.send_replace(Arc::new(web(setup)));
        self.push.send_replace(Arc::new(push(setup)));
    }
}

/// The rooms, their rules, and how far they may grow.
pub(super) fn plan(setup: &Setup) -> Plan {
    let limits = setup.limits;
    Plan {
        rooms: setup.rooms.clone(),
        rules: setup.rules.clone(),
        growth: Growth { pcs: limits.pcs, rooms: limits.rooms, sources: limits.sources },
    }
}

/// How long and how many.
pub(super) fn house(setup: &Setup) -> Terms {
    Terms {
        hold: setup.http.hold,
        channel_expiry: setup.http.channel_expiry,
        max_channels: setup.http.max_channels,
        max_remembered: MAX_REMEMBERED,
    }
}

fn web(setup: &Setup) -> Limits {
    let http = &setup.http;
    Limits {
        head: http.max_head,
        head_timeout: http.head_timeout,
        body: http.max_body,
        body_timeout: http.body_timeout,
        idle: http.idle,
    }
}

fn push(setup: &Setup) -> ingest::Terms {
    let push = &setup.push;
    ingest::Terms {
        allow: push.allow.clone(),
        trusted_proxies: push.trusted_proxies.clone(),
        hosts: push.hosts.clone(),
        tokens: push.tokens.iter().map(token).collect(),
        limits: Arc::new(Limits {
            // The same as on the web port: what pushes has no longer head than a browser.
            head: setup.http.max_head,
            head_timeout: push.timeout,
            body: push.max_body,
            body_timeout: push.timeout,
            // There are few places here, and who is done is to leave its own to others.
            idle: push.timeout,
        }),
        acknowledge_within: setup.history.acknowledge_within,
        refused: mirror::refusal(setup),
    }
}

fn token(token: &PushToken) -> ingest::Token {
    ingest::Token { sha256: token.sha256, source: token.source.clone() }
}
