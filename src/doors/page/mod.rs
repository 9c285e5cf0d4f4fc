//! The page: what people see of the state, in their browsers. Views are made in `src/page`; here is what they are served
//! with. All of it may be read by everybody, and nothing here changes anything.

mod alerts;
mod answer;
mod assets;
mod board;
mod live;
mod plots;
mod wishes;

use super::Porch;
use super::http::{Connection, Places, Request, Response, event_stream, language};
use crate::core::origins::Origin;
use crate::core::seats::SeatRule;
use crate::health::Refusal;
use crate::hub::Hub;
use crate::page::{Embed, Frame, Kiosk, Missing, Overview, PageQuery, RoomPage, Shown};
use crate::wire::page::{Icon, Manifest};
use crate::wire::{api::Json, query};
use alerts::Alerts;
use answer::{Within, asset, html};
use assets::Assets;
use board::{Board, Sheet};
use chrono_tz::Tz;
use hyper::{Method, StatusCode, header};
use plots::Shelf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What seats are, and whose clock counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Which PCs count as free.
    pub seats: SeatRule,
    /// In whose hours reservations are.
    pub zone: Tz,
    /// How long who was told of a seat has it.
    pub claim: Duration,
}

/// The door.
pub struct Page {
    hub: Arc<Hub>,
    board: Arc<Board>,
    alerts: Alerts,
    assets: Assets,
    shelf: Shelf,
    /// How many streams there may be.
    streams: Places,
    porch: Porch,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted<'a> {
    Overview,
    Room(&'a str),
    Kiosk,
    Embed,
    Live,
    Manifest,
    Worker,
    Asset(&'a str),
    /// What is not there.
    Nothing,
}

/// Whether a request is for the page, where Joyce is at `joyce`. At `/` this is a GET or HEAD that carries no `m`, and comes
/// from what can show a page; so it is where nothing is, and people are told so.
pub fn is_for(request: &Request, joyce: &str) -> bool {
    match wanted(request.uri.path()) {
        Wanted::Overview => shows_pages(request),
        Wanted::Nothing => request.uri.path().trim_matches('/') != joyce && shows_pages(request),
        _ => true,
    }
}

/// What is asked for by a path.
fn wanted(path: &str) -> Wanted<'_> {
    match path {
        "/" => Wanted::Overview,
        "/kiosk" => Wanted::Kiosk,
        "/embed" => Wanted::Embed,
        "/live" => Wanted::Live,
        "/manifest.webmanifest" => Wanted::Manifest,
        "/worker.js" => Wanted::Worker,
        path => match (path.strip_prefix("/rooms/"), path.strip_prefix("/assets/")) {
            (Some(key), _) => Wanted::Room(key),
            (_, Some(name)) => Wanted::Asset(name),
            _ => Wanted::Nothing,
        },
    }
}

/// Whether a request for `/` is not one of Joyce, which has been there for longer.
fn shows_pages(request: &Request) -> bool {
    let query = request.uri.query().unwrap_or_default();
    let accepts = |kind: &str| {
        let values = request.headers.get_all(header::ACCEPT).into_iter();
        values.filter_map(|value| value.to_str().ok()).any(|value| value.contains(kind))
    };
    let names_m = query.split('&').any(|pair| pair == "m" || pair.starts_with("m="));
    matches!(request.method, Method::GET | Method::HEAD)
        && !names_m
        && query::single(query.as_bytes(), "c") == Ok(None)
        && (accepts("text/html") || request.uri.path() == "/" && query.is_empty() && accepts("*/*"))
}

impl Page {
    /// A door with these terms, and so many streams at once.
    pub fn new(hub: Arc<Hub>, terms: watch::Receiver<Arc<Terms>>, streams: Places, porch: Porch) -> Page {
        let board = Arc::new(Board::new(hub.clone(), terms.clone()));
        porch.tasks.spawn(board.clone().run(porch.shutdown.clone()));
        let (alerts, desk) = Alerts::new(board.clone(), terms, porch.health.clone());
        porch.tasks.spawn(desk.run(porch.shutdown.clone()));
        Page { hub, board, alerts, assets: Assets::new(), shelf: Shelf::new(), streams, porch }
    }

    /// Answers a request of `origin` with a stream, until one of both sides ends it.
    ///
    /// # Errors
    /// The answer, where it is none.
    pub async fn serve(
        &self,
        connection: &Connection,
        request: &Request,
        origin: Option<Origin>,
    ) -> Result<(), Response> {
        let wanted = wanted(request.uri.path());
        if !matches!(request.method, Method::GET | Method::HEAD) {
            self.hub.health().counts.refused.one(Refusal::PageMethod);
            let refused = Response::text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD");
            return Err(refused.with("Allow", "GET, HEAD"));
        }
        match wanted {
            Wanted::Live if request.method == Method::GET => self.tell(connection, request, origin).await,
            Wanted::Live => Err(event_stream()),
            wanted => Err(self.answer(wanted, request).await),
        }
    }

    async fn answer(&self, wanted: Wanted<'_>, request: &Request) -> Response {
        match wanted {
            Wanted::Overview | Wanted::Kiosk | Wanted::Embed | Wanted::Live => {
                self.porch.slice.spend(|| self.view(wanted, request)).await
            }
            Wanted::Room(key) => self.room(key, request).await,
            Wanted::Manifest => self.manifest(request),
            Wanted::Worker => self.asset("scripts/worker.js", request),
            Wanted::Asset(name) => self.asset(name, request),
            Wanted::Nothing => self.missing(request, &self.frame(request, &self.board.now()), false),
        }
    }

    /// A view of all rooms.
    fn view(&self, wanted: Wanted<'_>, request: &Request) -> Response {
        let sheet = self.board.now();
        let frame = self.frame(request, &sheet);
        let rows = sheet.shown(frame.language);
        let (body, within) = match wanted {
            Wanted::Kiosk => (Kiosk::new(&frame, &rows).html(), Within::ItsOwnWindow),
            Wanted::Embed => (Embed::new(&frame, &rows).html(), Within::AnySite),
            _ => (Overview::new(&frame, &rows, sheet.snapshot.tags()).html(), Within::ItsOwnWindow),
        };
        html(request, StatusCode::OK, frame.language, within, body)
    }

    async fn room(&self, key: &str, request: &Request) -> Response {
        let sheet = self.board.now();
        let frame = self.frame(request, &sheet);
        let Some(room) = sheet.snapshot.room(key) else {
            return self.missing(request, &frame, true);
        };
        let row = sheet.row(room);
        let row_html = row.html(frame.language);
        let shown = Shown { row: &row, html: &row_html };
        let plots = self.shelf.plots(&self.hub, frame.texts(), room, &sheet).await;
        let view = || {
            let body = RoomPage::new(&frame, room, shown, &plots).html();
            html(request, StatusCode::OK, frame.language, Within::ItsOwnWindow, body)
        };
        self.porch.slice.spend(view).await
    }

    fn missing(&self, request: &Request, frame: &Frame, is_room: bool) -> Response {
        self.hub.health().counts.refused.one(Refusal::PagePath);
        let body = Missing::new(frame, is_room).html();
        html(request, StatusCode::NOT_FOUND, frame.language, Within::ItsOwnWindow, body)
    }

    fn frame(&self, request: &Request, sheet: &Sheet) -> Frame {
        let query = PageQuery::read(request.uri.query().unwrap_or_default());
        Frame {
            language: language(&request.headers, query.language),
            query,
            path: request.uri.path().to_owned(),
            now: sheet.now,
            edition: self.assets.now().edition.clone(),
            told: self.board.id(sheet),
        }
    }

    fn asset(&self, name: &str, request: &Request) -> Response {
        let files = self.assets.now();
        let (edition, name) = match name.split_once('/') {
            Some((edition, rest)) if edition == files.edition => (true, rest),
            // Of an edition that is gone: what there is of that name now.
            Some((first, rest)) if assets::is_edition(first) => (false, rest),
            _ => (false, name),
        };
        files.file(name).map_or_else(
            || {
                self.hub.health().counts.refused.one(Refusal::PagePath);
                Response::text(StatusCode::NOT_FOUND, "There is no such file")
            },
            |file| asset(request, file, edition),
        )
    }

    fn manifest(&self, request: &Request) -> Response {
        let query = PageQuery::read(request.uri.query().unwrap_or_default());
        let language = language(&request.headers, query.language);
        let (files, t) = (self.assets.now(), language.texts());
        let icon = |name: &str, sizes, kind, purpose| Icon {
            src: format!("/assets/{}/icons/{name}", files.edition),
            sizes,
            kind,
            purpose,
        };
        let manifest = Manifest {
            id: "/",
            name: t.name,
            short_name: t.short_name,
            description: t.description,
            lang: language.code(),
            start_url: "/",
            scope: "/",
            display: "standalone",
            background_color: "#fcfcfa",
            theme_color: "#fcfcfa",
            icons: vec![
                icon("icon.svg", "any", "image/svg+xml", "any"),
                icon("icon-192.png", "192x192", "image/png", "any"),
                icon("icon-512.png", "512x512", "image/png", "any"),
                icon("icon-maskable-512.png", "512x512", "image/png", "maskable"),
            ],
        };
        answer::manifest(request, language, manifest.to_json())
    }
}
