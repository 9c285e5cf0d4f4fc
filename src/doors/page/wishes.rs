//! The wishes of one stream: read from its query, and what is told of them.
//!
//! `wish=TOKEN;room:hg075;system:linux;minutes:30`, as often as there are wishes; `core/turns/wish.rs` says what else can stand
//! there. Each is answered with an event `wish`, and one of them, at the end, with `seat`. One that is not understood is
//! answered and passed over: the stream is for much else.

use super::Page;
use super::alerts::Seat;
use super::board::{Board, time_of_day};
use crate::core::origins::Origin;
use crate::core::turns::wish::{LIST, LONGEST, List, Unclear};
use crate::health::Refusal;
use crate::page::texts::fill;
use crate::page::{Alert, Language};
use crate::wire::page::{SeatEvent, WishEvent, event};
use crate::wire::query;
use chrono::{TimeDelta, Utc};
use std::future::pending;
use std::time::Instant;
use tokio::sync::oneshot;

/// How many wishes of a query are answered. No page of ours sends more than a list has, and what is passed over is the same
/// for all others.
const ANSWERED: usize = 2 * LIST;

/// The wishes of a stream.
pub(super) struct Wishes {
    /// As they were sent, none longer than a wish can be; each with its place in the list, or why it has none.
    sent: Vec<(String, Result<usize, Unclear>)>,
    list: Option<List>,
    origin: Option<Origin>,
    /// Where it is told of a seat; none: it waits for nothing, or was told.
    seat: Option<oneshot::Receiver<Seat>>,
}

impl Wishes {
    /// Reads those of a query.
    pub(super) fn read(asked: &str, origin: Option<Origin>) -> Wishes {
        // Where one of them is not UTF-8 they are none of a page's.
        let sent = query::all(asked.as_bytes(), "wish").unwrap_or_else(|_| vec![String::new()]);
        let (list, found) = List::parse(sent.iter().take(ANSWERED).map(String::as_str));
        let sent = sent.into_iter().zip(found).map(|(mut text, found)| {
            text.truncate(text.floor_char_boundary(LONGEST));
            (text, found)
        });
        Wishes { sent: sent.collect(), list, origin, seat: None }
    }

    /// Has them wait, and says as events what becomes of each.
    pub(super) async fn wait(&mut self, page: &Page, language: Language) -> String {
        let mut places = Vec::new();
        if let Some(list) = self.list.clone()
            && let Some(waits) = page.alerts.wait(list, self.origin).await
        {
            places = waits.places;
            self.seat = Some(waits.seat);
        }
        let (t, refused) = (language.texts(), &page.hub.health().counts.refused);
        let many = fill(t.wish_many, &[("n", &LIST.to_string())]);
        let told = self.sent.iter().map(|(wish, found)| {
            let refusal = match found {
                Ok(place) if places.get(*place) == Some(&true) => None,
                Ok(_) => Some((Refusal::PageWishes, "full", t.wish_full)),
                Err(Unclear::Form) => Some((Refusal::PageWish, "form", t.wish_unclear)),
                Err(Unclear::Token) => Some((Refusal::PageWish, "token", t.wish_unclear)),
                Err(Unclear::Many) => Some((Refusal::PageWish, "many", many.as_str())),
            };
            if let Some((why, ..)) = refusal {
                refused.one(why);
            }
            let state = if refusal.is_some() { "refused" } else { "waits" };
            let (reason, text) = (refusal.map(|(_, reason, _)| reason), refusal.map(|(.., text)| text));
            event("wish", &WishEvent { wish, state, reason, text }) + "\n"
        });
        told.collect()
    }

    /// The event that a seat is free, when it is; and nothing ever after.
    pub(super) async fn seat(&mut self, board: &Board, language: Language) -> String {
        loop {
            let Some(waits) = &mut self.seat else { return pending().await };
            let seat = waits.await;
            self.seat = None;
            if let Some(event) = seat.ok().and_then(|seat| self.told(&seat, board, language)) {
                return event;
            }
        }
    }

    fn told(&self, Seat { told, row }: &Seat, board: &Board, language: Language) -> Option<String> {
        let left = told.until.saturating_duration_since(Instant::now());
        let until = Utc::now() + TimeDelta::from_std(left).ok()?;
        let until = time_of_day(&until.with_timezone(&board.zone()));
        let alert = Alert::of(row, told.wish.system, until, language)?;
        let wishes = &self.list.as_ref()?.wishes;
        // It may be of another stream of this waiter, with another list.
        let place = wishes.iter().position(|wish| *wish == told.wish);
        let is_it = |(_, found): &&(String, Result<usize, Unclear>)| found.ok() == place && place.is_some();
        let wish =
            self.sent.iter().find(is_it).or_else(|| self.sent.iter().find(|(_, found)| found.is_ok()))?;
        let seat = SeatEvent {
            wish: &wish.0,
            key: told.room.as_str(),
            title: &alert.title,
            text: &alert.text,
            // To the next whole one: it was decided a moment ago.
            seconds: left.as_secs() + u64::from(left.subsec_nanos() > 0),
        };
        Some(event("seat", &seat) + "\n")
    }
}
