//! `/insight`: how rooms were used, for those who decide how many seats there are; as pages, and as CSV.
//!
//! Who is on the address list sees it, and who has a token: a browser sends that as a password (HTTP Basic), which it asks
//! its reader for and sends to this host alone. So there are no accounts, no cookies and no forms to forge, and a page of
//! strangers that has its name point at this host has neither: it is no known host, and no browser gives it the token.

mod tables;

use super::http::{Brought, Hidden, Request, Response, contains, is_host, language, source};
use crate::health::Refusal;
use crate::hub::{Hub, wall_clock};
use crate::page::Language;
use crate::page::insight::{Asked, View};
use crate::wire::days::{BadDays, Days};
use crate::wire::{csv, query};
use chrono_tz::Tz;
use hyper::{Method, StatusCode, header};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use tables::Content;
use tokio::sync::watch;

/// Who may see it, and whose days these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// From where it is seen without more.
    pub allow: Vec<IpNet>,
    /// Proxies whose word on where a request comes from is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Names by which those addresses reach this host, besides its addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The SHA-256 of tokens that let in from everywhere.
    pub tokens: Vec<[u8; 32]>,
    /// In whose days and hours all is told.
    pub zone: Tz,
}

/// The door.
pub struct Insight {
    hub: Arc<Hub>,
    /// Asked for every request: they may change while the daemon runs.
    terms: watch::Receiver<Arc<Terms>>,
}

/// Whether a request is for this door.
pub fn is_for(request: &Request) -> bool {
    let path = request.uri.path();
    path == "/insight" || path.starts_with("/insight/")
}

/// The days that are shown where nothing else is asked for: four weeks.
const USUAL: u32 = 28;

/// How often a state must change within an hour to count as flapping, where nothing else is asked for: nobody logs on and
/// off six times an hour.
const CHANGES: u32 = 12;

/// More changes an hour than anybody asks for.
const MOST_CHANGES: u32 = 100_000;

/// Why somebody is not let in.
struct NotListed(&'static str);

impl Insight {
    /// A door with these terms.
    pub fn new(hub: Arc<Hub>, terms: watch::Receiver<Arc<Terms>>) -> Insight {
        Insight { hub, terms }
    }

    /// The answer to a request of `peer`.
    pub async fn answer(&self, peer: Option<IpAddr>, request: &Request) -> Response {
        let terms = self.terms.borrow().clone();
        if let Err(why) = terms.admit(peer, request) {
            return self.refuse(&terms, &why);
        }
        let path = request.uri.path().trim_end_matches('/');
        let (path, is_csv) = path.strip_suffix(".csv").map_or((path, false), |path| (path, true));
        let view = match path {
            "/insight" | "/insight/rooms" => View::Rooms,
            "/insight/idle" => View::Idle,
            "/insight/flapping" => View::Flapping,
            _ => {
                self.count(Refusal::InsightPath);
                return Response::text(StatusCode::NOT_FOUND, "There is no such path");
            }
        };
        if !matches!(request.method, Method::GET | Method::HEAD) {
            self.count(Refusal::InsightMethod);
            return Response::text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD")
                .with("Allow", "GET, HEAD");
        }
        let query = request.uri.query().unwrap_or_default();
        let single = |name: &str| query::all(query.as_bytes(), name).unwrap_or_default().pop();
        let is_csv = is_csv || single("format").is_some_and(|format| format == "csv");
        let mut asked = Asked {
            language: language(&request.headers, single("lang").as_deref().and_then(Language::parse)),
            view,
            from: single("from").unwrap_or_default(),
            to: single("to").unwrap_or_default(),
            changes: CHANGES,
            bad: None,
        };
        let today = self.hub.insight().date_of(wall_clock());
        let days = Days::read(query, today, USUAL, None).map_err(|bad| match bad {
            BadDays::From => asked.texts().insight_bad_from,
            BadDays::To => asked.texts().insight_bad_to,
            BadDays::Backwards | BadDays::Many(_) => asked.texts().insight_bad_order,
        });
        let changes = single("changes").map_or(Ok(CHANGES), |text| {
            let changes = text.parse().ok().filter(|changes| (1..=MOST_CHANGES).contains(changes));
            changes.ok_or(asked.texts().insight_bad_changes)
        });
        let days = match (days, changes) {
            (Ok(days), Ok(changes)) => {
                asked.changes = changes;
                days
            }
            (Err(bad), _) | (_, Err(bad)) => {
                self.count(Refusal::InsightBad);
                asked.bad = Some(bad);
                return refused(StatusCode::BAD_REQUEST, &asked, is_csv);
            }
        };
        (asked.from, asked.to) = (days.first.to_string(), days.last.to_string());
        match Content::find(&self.hub, terms.zone, &asked, &days).await {
            Ok(content) if is_csv => {
                let name =
                    format!("attachment; filename=\"{}-{}-{}.csv\"", view.name(), asked.from, asked.to);
                guarded(Response::new(StatusCode::OK, csv::TYPE, content.csv()))
                    .with("Content-Disposition", name)
            }
            Ok(content) => html(StatusCode::OK, content.html(&asked)),
            Err(error) => {
                tracing::warn!(%error, "the history cannot be read; whoever looks at it goes without");
                asked.bad = Some(asked.texts().insight_unread);
                refused(StatusCode::SERVICE_UNAVAILABLE, &asked, is_csv).with("Retry-After", "1")
            }
        }
    }

    fn refuse(&self, terms: &Terms, NotListed(why): &NotListed) -> Response {
        self.count(Refusal::InsightForbidden);
        if terms.tokens.is_empty() {
            return Response::text(StatusCode::FORBIDDEN, why);
        }
        let line = format!(
            "{why}; a token of insight.tokens lets in from everywhere, as the password with any name"
        );
        // A browser asks its reader for it.
        Response::text(StatusCode::UNAUTHORIZED, &line)
            .with("WWW-Authenticate", "Basic realm=\"tkbd insight\", charset=\"UTF-8\"")
    }

    fn count(&self, why: Refusal) {
        self.hub.health().counts.refused.one(why);
    }
}

impl Terms {
    /// Whether a request is let in.
    fn admit(&self, peer: Option<IpAddr>, request: &Request) -> Result<(), NotListed> {
        let headers = &request.headers;
        if Brought::of(headers).is_some_and(|brought| brought.is_one_of(&self.tokens)) {
            return Ok(());
        }
        match peer.map(|peer| source(peer, headers, &self.trusted_proxies)) {
            Some(Ok(from)) if contains(&self.allow, from) => {}
            Some(Err(Hidden::ByStranger)) => {
                return Err(NotListed("Forwarding headers are taken only from insight.trusted_proxies"));
            }
            _ => return Err(NotListed("This is for the addresses of insight.allow")),
        }
        if headers.contains_key(header::ORIGIN) {
            return Err(NotListed("This is not for pages of other origins"));
        }
        if !is_host(headers, &request.uri, &self.hosts) {
            return Err(NotListed("The Host is neither an address, nor localhost, nor one of insight.hosts"));
        }
        Ok(())
    }
}

/// What is wrong, where a table was asked for.
fn refused(status: StatusCode, asked: &Asked, is_csv: bool) -> Response {
    if is_csv {
        return Response::text(status, asked.bad.unwrap_or_default());
    }
    html(status, Content::None.html(asked))
}

fn html(status: StatusCode, body: String) -> Response {
    guarded(Response::new(status, "text/html; charset=utf-8", body)).with(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    )
}

/// It is for who asked alone: nobody keeps it, and no page of others gets it.
fn guarded(response: Response) -> Response {
    response
        .with("Cache-Control", "no-store")
        .with("Vary", "Accept-Language, Authorization")
        .with("Referrer-Policy", "no-referrer")
        .with("Cross-Origin-Opener-Policy", "same-origin")
        .with("Cross-Origin-Resource-Policy", "same-origin")
}
