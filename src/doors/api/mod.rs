//! `/api/v1`: the state for programs that ask once, as JSON, a line of text, a calendar or a badge.
//!
//! Everybody may read it, also pages of other origins: it tells what the channels tell. Each answer is rendered from a
//! snapshot, under no lock. `openapi.json` describes all of it, and a test holds it against the answers.

mod badge;
mod calendar;
mod history;
mod insight;
mod question;
mod rooms;

use super::http::{Request, Response, TimeSlice};
use crate::core::seats::SeatRule;
use crate::core::tag::{Tag, TagFilter};
use crate::core::version::Version;
use crate::health::Refusal;
use crate::hub::Hub;
use crate::wire::api::{ByKey, Json, Schedule, States, TagRooms, Tags, events};
use chrono::Utc;
use chrono_tz::Tz;
use hyper::{Method, StatusCode};
use insight::{Look, OfRoom};
use question::Question;
use rooms::Today;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::watch;

/// The description of the API (OpenAPI 3.1).
const DESCRIPTION: &str = include_str!("openapi.json");

/// The same for people.
const DOCS: &str = include_str!("docs.html");

/// What seats are, and whose clock counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Which PCs count as free.
    pub seats: SeatRule,
    /// In whose hours reservations are.
    pub zone: Tz,
}

/// The door.
pub struct Api {
    hub: Arc<Hub>,
    terms: watch::Receiver<Arc<Terms>>,
    /// For what is made of the whole state.
    slice: Arc<TimeSlice>,
}

/// Whether a request is for this door.
pub fn is_for(request: &Request) -> bool {
    let path = request.uri.path();
    path == "/api" || path.starts_with("/api/")
}

/// What can be asked for.
enum Page<'a> {
    Docs,
    Description,
    Now(Now<'a>),
    OfRoom(&'a str, OfRoom),
    History,
    Utilisation,
}

/// What is made of the state as it is now.
#[derive(Clone, Copy)]
enum Now<'a> {
    Occupation,
    Rooms,
    Room(&'a str),
    Tags,
    Schedule,
    Summary,
    SummaryBadge,
}

impl<'a> Page<'a> {
    fn of(path: &'a str) -> Option<Page<'a>> {
        Some(match path.strip_prefix("/api/v1")? {
            "" | "/" => Page::Docs,
            "/openapi.json" => Page::Description,
            "/occupation" => Page::Now(Now::Occupation),
            "/rooms" => Page::Now(Now::Rooms),
            "/tags" => Page::Now(Now::Tags),
            "/schedule" => Page::Now(Now::Schedule),
            "/summary" => Page::Now(Now::Summary),
            "/summary.svg" => Page::Now(Now::SummaryBadge),
            "/history" => Page::History,
            "/utilisation" => Page::Utilisation,
            rest => match rest.strip_prefix("/rooms/")?.split_once('/') {
                Some((key, "usual")) => Page::OfRoom(key, OfRoom::Usual),
                Some((key, "occupancy")) => Page::OfRoom(key, OfRoom::Occupancy),
                Some(_) => return None,
                None => Page::Now(Now::Room(rest.strip_prefix("/rooms/")?)),
            },
        })
    }
}

/// Why there is no answer, and as what that counts.
struct Refused(StatusCode, Option<Refusal>, String);

impl Api {
    /// A door with these terms, whose answers share the thread as `slice` says.
    pub fn new(hub: Arc<Hub>, terms: watch::Receiver<Arc<Terms>>, slice: Arc<TimeSlice>) -> Api {
        Api { hub, terms, slice }
    }

    /// The answer to a request.
    pub async fn answer(&self, request: &Request) -> Response {
        let Some(page) = Page::of(request.uri.path()) else {
            return self.refused(Refused(
                StatusCode::NOT_FOUND,
                Some(Refusal::ApiPath),
                "There is no such path".into(),
            ));
        };
        match request.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Response::preflight(METHODS),
            _ => {
                let line = "Only GET, HEAD and OPTIONS".to_owned();
                return self
                    .refused(Refused(StatusCode::METHOD_NOT_ALLOWED, Some(Refusal::ApiMethod), line))
                    .with("Allow", METHODS);
            }
        }
        match self.page(page, request).await {
            Ok(response) => response,
            Err(refused) => self.refused(refused),
        }
    }

    fn refused(&self, Refused(status, why, detail): Refused) -> Response {
        if let Some(why) = why {
            self.hub.health().counts.refused.one(why);
        }
        let response = Response::problem(status, &detail);
        if status == StatusCode::SERVICE_UNAVAILABLE { response.with("Retry-After", "1") } else { response }
    }

    async fn page(&self, page: Page<'_>, request: &Request) -> Result<Response, Refused> {
        let question = Question::read(request.uri.query().unwrap_or_default())
            .map_err(|line| Refused(StatusCode::BAD_REQUEST, Some(Refusal::ApiBad), line))?;
        let terms = self.terms.borrow().clone();
        let body = match page {
            Page::Docs => return Ok(docs(request)),
            Page::Now(now) => return self.slice.spend(|| self.now(now, &question, request)).await,
            Page::Description => DESCRIPTION.to_owned(),
            Page::History => history::page(&self.hub, &question).await?,
            Page::Utilisation => self.look(&terms, request).utilisation(&question.tags).await?,
            Page::OfRoom(key, of) => {
                self.look(&terms, request).of_room(key, of).await?.ok_or_else(no_room)?
            }
        };
        Ok(by_digest(request, JSON, body))
    }

    /// What is made of the state as it is now.
    fn now(&self, now: Now<'_>, question: &Question, request: &Request) -> Result<Response, Refused> {
        let (kind, body) = match now {
            Now::Occupation => return Ok(self.occupation(question, request)),
            Now::Tags => (JSON, self.tags()),
            Now::Schedule => (JSON, self.schedule(question)),
            Now::Rooms => (JSON, self.today().rooms(&question.tags)),
            Now::Summary => (JSON, self.today().summary(&question.tags)),
            Now::SummaryBadge => (badge::TYPE, self.today().summary_badge(&question.tags)),
            Now::Room(name) => self.today().room(name).ok_or_else(no_room)?,
        };
        Ok(by_digest(request, kind, body))
    }

    fn look<'a>(&'a self, terms: &'a Terms, request: &'a Request) -> Look<'a> {
        Look { hub: &self.hub, terms, query: request.uri.query().unwrap_or_default() }
    }

    /// The state, and the hour.
    fn today(&self) -> Today {
        Today::new(self.hub.snapshot(), self.terms.borrow().clone(), Utc::now())
    }

    /// Whether it is another, the versions tell: it is the largest of all, and asked for most.
    fn occupation(&self, question: &Question, request: &Request) -> Response {
        let snapshot = self.hub.snapshot();
        let versions = snapshot.versions;
        let (states, rooms, tags) = (versions.occupation.0, versions.room_map.0, versions.tag_map.0);
        // Weak: the order of the rooms may be another under the same versions, and so that of the PCs.
        let (release, epoch) = (env!("CARGO_PKG_VERSION"), self.hub.epoch());
        let tag = format!("W/\"{release}-{states}.{rooms}.{tags}.{epoch}\"");
        tagged(request, tag, || {
            // What was never told cannot be gone on from: then all is told.
            let since = question.since_version().filter(|since| *since <= versions.occupation);
            let is_news = |changed: Version| since.is_none_or(|since| changed > since);
            let pcs = snapshot.rooms(&question.tags).flat_map(|room| room.pcs());
            let news = pcs.filter(|(_, pc)| is_news(pc.changed));
            let occupation = ByKey(news.map(|(name, pc)| (name.as_str(), pc.occupation.code())).collect());
            let since = since.map(|since| since.0);
            let body = States { versions: versions.into(), since, occupation };
            Response::json(StatusCode::OK, body.to_json())
        })
    }

    fn tags(&self) -> String {
        let snapshot = self.hub.snapshot();
        let everything = TagFilter::Everything;
        let rooms = |tag: &Tag| {
            let all = snapshot.rooms(&everything);
            all.filter(|room| room.tags().contains(tag)).map(|room| room.key().as_str()).collect()
        };
        let tags = snapshot.tags().iter().map(|tag| TagRooms { tag: tag.as_str(), rooms: rooms(tag) });
        Tags { version: snapshot.versions.tag_map.0, tags: tags.collect() }.to_json()
    }

    fn schedule(&self, question: &Question) -> String {
        let today = self.today();
        let rooms = today.snapshot.rooms(&question.tags).filter(|room| !room.schedule().is_empty());
        let schedule = rooms.map(|room| (room.key().as_str(), events(room.schedule())));
        Schedule {
            version: today.snapshot.versions.schedule.0,
            date: today.date(),
            timezone: today.zone(),
            schedule: ByKey(schedule.collect()),
        }
        .to_json()
    }
}

fn no_room() -> Refused {
    Refused(StatusCode::NOT_FOUND, Some(Refusal::ApiPath), "There is no such room".into())
}

const JSON: &str = "application/json";
const METHODS: &str = "GET, HEAD, OPTIONS";

/// An answer that may be kept, and is asked for again with its tag; not rendered where the client has it.
fn tagged(request: &Request, tag: String, render: impl FnOnce() -> Response) -> Response {
    let response = if request.knows(&tag) { Response::empty(StatusCode::NOT_MODIFIED) } else { render() };
    response
        .with("Cache-Control", "no-cache")
        .with("ETag", tag)
        .with("Access-Control-Allow-Origin", "*")
        .with("Access-Control-Expose-Headers", "ETag, Retry-After")
        // A badge is shown by pages, too, that take nothing of others but what says so.
        .with("Cross-Origin-Resource-Policy", "cross-origin")
}

/// Whether it is another, its digest tells.
fn by_digest(request: &Request, kind: &'static str, body: String) -> Response {
    let digest = Sha256::digest(body.as_bytes());
    let tag = digest.iter().take(12).fold(String::from("\""), |mut tag, byte| {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
        tag
    }) + "\"";
    tagged(request, tag, || Response::new(StatusCode::OK, kind, body))
}

fn docs(request: &Request) -> Response {
    let tag = format!("\"docs-{}\"", env!("CARGO_PKG_VERSION"));
    tagged(request, tag, || {
        Response::new(StatusCode::OK, "text/html; charset=utf-8", DOCS)
            .with(
                "Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            )
            .with("Referrer-Policy", "no-referrer")
    })
}
