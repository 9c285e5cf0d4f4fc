//! From a setup to what the house and its doors go by, at the start and whenever it is read again.

use super::mirror;
use crate::core::house::Terms;
use crate::core::origins::Share;
use crate::core::state::{Growth, Plan};
use crate::doors::http::{Limits, Patience, Places, Shares};
use crate::doors::{WebTerms, api, health, ingest, insight, page};
use crate::setup::{PushToken, Setup};
use std::sync::Arc;
use tokio::sync::watch;

/// Of how many channels the filter is kept after their end (reliability.md C3): at some 90 bytes each, 4 MB, and
/// each distinct filter once.
pub(super) const MAX_REMEMBERED: usize = 50_000;

/// What the doors ask, and who tells them.
pub(super) struct Doors {
    pub(super) web: watch::Sender<Arc<WebTerms>>,
    pub(super) push: watch::Sender<Arc<ingest::Terms>>,
    pub(super) api: watch::Sender<Arc<api::Terms>>,
    pub(super) page: watch::Sender<Arc<page::Terms>>,
    pub(super) insight: watch::Sender<Arc<insight::Terms>>,
    pub(super) health: watch::Sender<Arc<health::Terms>>,
    /// What bodies on their way to the web port may take: those of one setup and of the next together.
    bodies: Places,
}

impl Doors {
    pub(super) fn of(setup: &Setup) -> Doors {
        let bodies = Places::new(setup.limits.bodies / 1024);
        Doors {
            web: watch::Sender::new(Arc::new(web(setup, &bodies))),
            push: watch::Sender::new(Arc::new(push(setup))),
            api: watch::Sender::new(Arc::new(seats(setup))),
            page: watch::Sender::new(Arc::new(page(setup))),
            insight: watch::Sender::new(Arc::new(insight(setup))),
            health: watch::Sender::new(Arc::new(health(setup))),
            bodies,
        }
    }

    /// From now on they go by `setup`.
    pub(super) fn set(&self, setup: &Setup) {
        self.web.send_replace(Arc::new(web(setup, &self.bodies)));
        self.push.send_replace(Arc::new(push(setup)));
        self.api.send_replace(Arc::new(seats(setup)));
        self.page.send_replace(Arc::new(page(setup)));
        self.insight.send_replace(Arc::new(insight(setup)));
        self.health.send_replace(Arc::new(health(setup)));
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
        share: Share {
            channels: setup.http.crowd.channels_per_address,
            per_second: setup.http.crowd.new_channels_per_second,
        },
        max_remembered: MAX_REMEMBERED,
        refresh: setup.http.refresh,
    }
}

fn web(setup: &Setup, bodies: &Places) -> WebTerms {
    let http = &setup.http;
    WebTerms {
        limits: Arc::new(Limits {
            head: http.max_head,
            head_timeout: http.head_timeout,
            body: http.max_body,
            body_timeout: http.body_timeout,
            bodies: Some(bodies.clone()),
            idle: http.idle,
            patience: patience(setup),
        }),
        shares: Shares {
            connections: http.crowd.connections_per_address,
            exempt: http.crowd.exempt.clone(),
            trusted_proxies: http.crowd.trusted_proxies.clone(),
        },
        wait: http.crowd.wait,
    }
}

/// On both ports the same.
fn patience(setup: &Setup) -> Patience {
    Patience::new(setup.http.stalled, setup.http.answer_timeout)
}

fn seats(setup: &Setup) -> api::Terms {
    api::Terms { seats: setup.seats.clone(), zone: setup.timezone }
}

fn page(setup: &Setup) -> page::Terms {
    page::Terms { seats: setup.seats.clone(), zone: setup.timezone, claim: setup.claim }
}

fn insight(setup: &Setup) -> insight::Terms {
    let insight = setup.insight.clone();
    insight::Terms {
        allow: insight.allow,
        trusted_proxies: insight.trusted_proxies,
        hosts: insight.hosts,
        tokens: insight.tokens,
        zone: setup.timezone,
    }
}

fn health(setup: &Setup) -> health::Terms {
    let metrics = setup.metrics.clone();
    health::Terms { allow: metrics.allow, trusted_proxies: metrics.trusted_proxies }
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
            bodies: None,
            patience: patience(setup),
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
