//! How the daemon is doing, for machines that watch over it: whether it lives, whether it is to be sent requests and
//! what is wrong, and figures for Prometheus.
//!
//! Everybody may ask whether all is well, since load balancers do. Figures and reasons name rooms and hosts: they are
//! for who is listed, and never for who comes by way of a proxy that nobody trusts (reliability.md F7).

mod metrics;
mod process;

use super::http::{Request, Response, contains, source};
use crate::health::{Condition, Kind, Noted, Refusal};
use crate::hub::Hub;
use crate::wire::health::{Details, Readiness, Wrong};
use chrono::{DateTime, SecondsFormat, Utc};
use hyper::{Method, StatusCode, header};
use ipnet::IpNet;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// How long the state may be busy before the daemon counts as stuck. It is for microseconds; and whoever asks gives
/// up after a second or more.
const PATIENCE: Duration = Duration::from_millis(800);

/// Who may see figures and reasons.
#[derive(Debug, Clone)]
pub struct Terms {
    /// From where.
    pub allow: Vec<IpNet>,
    /// Proxies whose word on where a request comes from is taken.
    pub trusted_proxies: Vec<IpNet>,
}

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Whether the daemon lives.
    Live,
    /// Whether it is to be sent requests.
    Ready,
    /// Figures.
    Metrics,
}

impl Page {
    /// What a request is for; none: it is another door's.
    pub fn of(request: &Request) -> Option<Page> {
        match request.uri.path() {
            "/healthz" => Some(Page::Live),
            "/readyz" => Some(Page::Ready),
            "/metrics" => Some(Page::Metrics),
            _ => None,
        }
    }
}

/// The door.
pub struct Probes {
    hub: Arc<Hub>,
    /// Asked for every request: they may change while the daemon runs.
    terms: watch::Receiver<Arc<Terms>>,
    registry: Registry,
}

impl Probes {
    /// A door with these terms.
    pub fn new(hub: Arc<Hub>, terms: watch::Receiver<Arc<Terms>>) -> Probes {
        let registry = metrics::registry(hub.clone());
        Probes { hub, terms, registry }
    }

    /// The answer to a request of `peer`.
    pub async fn answer(&self, page: Page, peer: Option<IpAddr>, request: &Request) -> Response {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            self.hub.health().counts.refused.one(Refusal::HealthMethod);
            return Response::text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD")
                .with("Allow", "GET, HEAD");
        }
        let is_listed = peer.is_some_and(|peer| self.may_see(peer, request));
        let is_live = self.is_live().await;
        match page {
            Page::Ready => {
                self.hub.look();
                readiness(&self.hub.health().conditions.all(), is_listed, request)
            }
            // Figures would have one more thread wait for what it cannot have.
            Page::Live | Page::Metrics if !is_live => {
                Response::text(StatusCode::SERVICE_UNAVAILABLE, "The state cannot be had")
            }
            Page::Live => Response::text(StatusCode::OK, "ok"),
            Page::Metrics if is_listed => self.metrics(),
            Page::Metrics => {
                self.hub.health().counts.refused.one(Refusal::HealthForbidden);
                Response::text(StatusCode::FORBIDDEN, "Figures are for the addresses of metrics.allow")
            }
        }
    }

    /// Whether the state can be had. Where every thread waits for it, nobody is left to say so: then there is no
    /// answer, which tells the same.
    async fn is_live(&self) -> bool {
        let is_live = self.hub.is_live(PATIENCE).await;
        self.hub.health().conditions.set(&Condition::STUCK, !is_live);
        is_live
    }

    fn may_see(&self, peer: IpAddr, request: &Request) -> bool {
        let headers = &request.headers;
        // A page that was made to look like one of this host's (DNS rebinding) asks from its reader's address.
        let is_page = headers.contains_key(header::ORIGIN)
            || headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() != b"none");
        let terms = self.terms.borrow();
        let from = source(peer, headers, &terms.trusted_proxies);
        !is_page && from.is_ok_and(|from| contains(&terms.allow, from))
    }

    fn metrics(&self) -> Response {
        const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => Response::new(StatusCode::OK, TYPE, text),
            Err(_) => Response::text(StatusCode::INTERNAL_SERVER_ERROR, "The figures cannot be written"),
        }
    }
}

/// What is wrong, as JSON or in plain lines, with reasons for those who may see them.
fn readiness(all: &[Noted], in_full: bool, request: &Request) -> Response {
    let is_unready = all.iter().any(|noted| noted.condition.kind == Kind::Unready);
    let (status, word) = match (is_unready, all.is_empty()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
        (false, false) => (StatusCode::OK, "degraded"),
        (false, true) => (StatusCode::OK, "ready"),
    };
    let details = |noted: &Noted| Details {
        since: shown(noted.since),
        keeps_ready: noted.condition.kind == Kind::Degraded,
        meaning: noted.condition.meaning.to_string(),
        advice: noted.condition.advice,
    };
    let wrong = |noted: &Noted| Wrong {
        name: noted.condition.name.to_string(),
        details: in_full.then(|| details(noted)),
    };
    let readiness = Readiness { status: word, conditions: all.iter().map(wrong).collect() };
    let mut accepted = request.headers.get_all(header::ACCEPT).into_iter();
    if accepted.any(|value| value.to_str().is_ok_and(|value| value.contains("application/json"))) {
        Response::json(status, readiness.to_json())
    } else {
        let line = |wrong: &Wrong| match &wrong.details {
            Some(Details { since, meaning, advice, .. }) => {
                format!("\n{} since {since}: {meaning} {advice}", wrong.name)
            }
            None => format!("\n{}", wrong.name),
        };
        let lines: String = readiness.conditions.iter().map(line).collect();
        Response::text(status, &format!("{word}{lines}"))
    }
}

fn shown(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Secs, true)
}
