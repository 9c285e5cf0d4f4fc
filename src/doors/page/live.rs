//! `/live`: rows as they change, for the scripts of the page (server-sent events).

use super::Page;
use super::board::{Sheet, time_of_day};
use super::wishes::Wishes;
use crate::core::origins::Origin;
use crate::doors::http::{BEAT, Connection, Request, Response, Socket, UNANSWERED, event_stream, language};
use crate::health::Refusal;
use crate::page::{Language, PageQuery};
use crate::wire::api::clock;
use crate::wire::page::{Beat, Hello, event};
use crate::wire::query;
use chrono::Utc;
use hyper::StatusCode;
use std::io;
use tokio::time::{Instant, sleep_until};

impl Page {
    /// Tells rows until one of both sides ends it.
    ///
    /// # Errors
    /// The answer, where there is no place for one more.
    pub(super) async fn tell(
        &self,
        connection: &Connection,
        request: &Request,
        origin: Option<Origin>,
    ) -> Result<(), Response> {
        let counts = &self.hub.health().counts;
        let Some(_place) = self.streams.try_take() else {
            counts.refused.one(Refusal::PageStreams);
            let line = "As many pages are live as may be (http.max_streams); this one shows what was when it was loaded";
            return Err(Response::text(StatusCode::SERVICE_UNAVAILABLE, line).with("Retry-After", "30"));
        };
        let _counted = counts.streams.begin();
        let asked = request.uri.query().unwrap_or_default();
        let last =
            request.headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let since = last.or_else(|| query::all(asked.as_bytes(), "since").ok()?.pop());
        let stream = Stream {
            page: self,
            socket: connection.socket(),
            language: language(&request.headers, PageQuery::read(asked).language),
            told: since.and_then(|id| self.board.number(&id)),
            wishes: Wishes::read(asked, origin),
        };
        tokio::select! {
            biased;
            // The next daemon tells it the rest.
            () = self.porch.shutdown.cancelled() => {}
            () = connection.left() => {}
            // When the connection breaks, or its reader is too slow.
            _ = stream.run() => {}
        }
        Ok(())
    }
}

/// A stream that is being told.
struct Stream<'a> {
    page: &'a Page,
    socket: &'a Socket,
    language: Language,
    /// How far it has told.
    told: Option<u64>,
    /// The seats that its reader waits for.
    wishes: Wishes,
}

impl Stream<'_> {
    /// # Errors
    /// When the connection breaks, or its reader is too slow.
    async fn run(mut self) -> io::Result<()> {
        self.socket.give_up_unanswered(UNANSWERED);
        let board = &self.page.board;
        let mut sheets = board.subscribe();
        let first = board.now();
        self.told = self.told.filter(|told| first.is_known(*told));
        self.socket.write_on(&[&event_stream().head_of_stream(), self.hello().as_bytes()], 0).await?;
        drop(first);
        let news = self.wishes.wait(self.page, self.language).await;
        self.socket.write_on(&[news.as_bytes()], 0).await?;
        let mut beat = Instant::now() + BEAT;
        loop {
            let sheet = sheets.borrow_and_update().clone();
            if self.told != Some(sheet.number) {
                self.tell(&sheet).await?;
            }
            // Not kept while it waits: it is as large as all rooms.
            drop(sheet);
            tokio::select! {
                seat = self.wishes.seat(&self.page.board, self.language) => {
                    self.socket.write_on(&[seat.as_bytes()], 0).await?;
                }
                changed = sheets.changed() => changed.map_err(io::Error::other)?,
                () = sleep_until(beat) => {
                    beat = Instant::now() + BEAT;
                    let beat = event("beat", &Beat { time: &self.time() });
                    self.socket.write_on(&[beat.as_bytes(), b"\n"], 0).await?;
                }
            }
        }
    }

    /// Tells what is new on a sheet. The last event has the id: who was cut off before it has not had all.
    async fn tell(&mut self, sheet: &Sheet) -> io::Result<()> {
        let events = sheet.events(self.told, self.language);
        self.told = Some(sheet.number);
        if events.is_empty() {
            return Ok(());
        }
        let id = format!("id: {}\n\n", self.page.board.id(sheet));
        self.socket.write_on(&[events.as_bytes(), id.as_bytes()], 0).await
    }

    /// The time, where the rooms are.
    fn time(&self) -> String {
        clock(time_of_day(&Utc::now().with_timezone(&self.page.board.zone())))
    }

    /// What is told before all rows.
    fn hello(&self) -> String {
        // Those of a daemon that has ended come back to the next within two seconds, and not all at once.
        let retry = 500 + Utc::now().timestamp_subsec_millis() % 1500;
        let edition = &self.page.assets.now().edition;
        let hello = event("hello", &Hello { page: edition, time: &self.time(), whole: self.told.is_none() });
        format!("retry: {retry}\n\n{hello}\n")
    }
}
