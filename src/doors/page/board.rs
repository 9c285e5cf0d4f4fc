//! The board: the row of every room, as it is now, and when it was another last. One for all views and streams.
//!
//! A view that is asked for has the board look at the state, and so shows what was pushed before. While there are streams
//! a task does so, too, whenever the hub has news or a minute begins. A row is rendered at most once in each language, when
//! somebody wants it in that. So nothing waits for a reader and nothing grows: a stream tells what is newer than what it has
//! told, and of several changes of a row the last. A row is told again where only what its room's page shows is another: a
//! PC for a PC, or what is reserved later; and a room without PCs, which is listed nowhere, is told of as one that is gone.

use super::Terms;
use crate::core::room::RoomKey;
use crate::core::schedule::TimeOfDay;
use crate::core::seats::{SeatRule, Seats};
use crate::core::snapshot::{RoomView, Snapshot};
use crate::core::tag::TagFilter;
use crate::core::token::Token;
use crate::core::turns::Offer;
use crate::hub::{Hub, Listener};
use crate::page::{Language, Row, Shown};
use crate::wire;
use crate::wire::page::{Nothing, RowEvent, event};
use chrono::{DateTime, Timelike, Utc};
use chrono_tz::Tz;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How often it looks at most while there are streams: faster than anybody sees, and slow enough that a thousand pushes a
/// second are ten looks.
const LOOKS: Duration = Duration::from_millis(100);

/// How often it looks where the hub has no channel left for it.
const UNTOLD: Duration = Duration::from_secs(1);

/// How many rooms that are gone are remembered for who comes back; who was away for more is told all rows anew.
const MAX_GONE: usize = 256;

/// The board.
pub(super) struct Board {
    hub: Arc<Hub>,
    terms: watch::Receiver<Arc<Terms>>,
    /// Drawn at the start: numbers of another daemon say nothing here.
    boot: String,
    sheet: watch::Sender<Arc<Sheet>>,
    /// There is a stream.
    wanted: Notify,
}

/// All rows at one moment.
pub(super) struct Sheet {
    /// The number of the last change.
    pub(super) number: u64,
    /// When it was made, where the rooms are.
    pub(super) now: DateTime<Tz>,
    /// Of what it was made.
    pub(super) snapshot: Arc<Snapshot>,
    terms: Arc<Terms>,
    /// In the order of their keys.
    lines: Vec<Arc<Line>>,
    gone: Gone,
    /// All rows as events, in each language that somebody came anew in.
    whole: [OnceLock<String>; Language::ALL.len()],
}

/// Rooms that are gone.
#[derive(Debug, Default)]
struct Gone {
    /// With the number of that; the last is the newest.
    rooms: Vec<(RoomKey, u64)>,
    /// Of what went up to this, not all is known.
    forgotten: u64,
}

/// A row, and what was made of it.
struct Line {
    row: Row,
    /// The number of the last change of the room.
    changed: u64,
    made: Arc<Made>,
}

/// What was made of a row, in each language.
#[derive(Default)]
struct Made {
    html: [OnceLock<String>; Language::ALL.len()],
    event: [OnceLock<String>; Language::ALL.len()],
}

impl Board {
    /// A board with nothing on it.
    pub(super) fn new(hub: Arc<Hub>, terms: watch::Receiver<Arc<Terms>>) -> Board {
        let mut bits = [0; 4];
        // Without random bits the clock will do: it is not to be guessed by nobody, but to be another each time.
        if getrandom::fill(&mut bits).is_err() {
            bits = Utc::now().timestamp_subsec_nanos().to_ne_bytes();
        }
        let first = Sheet {
            number: 0,
            now: Utc::now().with_timezone(&terms.borrow().zone),
            snapshot: hub.snapshot(),
            terms: terms.borrow().clone(),
            lines: Vec::new(),
            gone: Gone::default(),
            whole: Default::default(),
        };
        let boot = format!("{:08x}", u32::from_ne_bytes(bits));
        Board { hub, boot, sheet: watch::Sender::new(Arc::new(first)), wanted: Notify::new(), terms }
    }

    /// How far one is who has a sheet.
    pub(super) fn id(&self, sheet: &Sheet) -> String {
        format!("{}.{}", self.boot, sheet.number)
    }

    /// The number of an id, if it is one of this board.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        let (boot, number) = id.split_once('.')?;
        number.parse().ok().filter(|_| boot == self.boot)
    }

    /// The sheet that is true now.
    pub(super) fn now(&self) -> Arc<Sheet> {
        loop {
            // Before the state is looked at: what is put up in the place of this is never older.
            let before = self.sheet.borrow().clone();
            let (snapshot, terms) = (self.hub.snapshot(), self.terms.borrow().clone());
            let now = Utc::now().with_timezone(&terms.zone);
            if before.is_of(&snapshot, &terms, &now) {
                return before;
            }
            let after = Arc::new(before.next(snapshot, terms, now));
            let mut is_up = false;
            self.sheet.send_if_modified(|sheet| {
                is_up = Arc::ptr_eq(sheet, &before);
                if is_up {
                    *sheet = after.clone();
                }
                is_up && after.number != before.number
            });
            if is_up {
                return after;
            }
        }
    }

    /// Whose clock counts.
    pub(super) fn zone(&self) -> Tz {
        self.terms.borrow().zone
    }

    /// What is put up from now on, for a stream.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Sheet>> {
        let sheets = self.sheet.subscribe();
        self.wanted.notify_one();
        sheets
    }

    /// Keeps the board true for streams, while there are any.
    pub(super) async fn run(self: Arc<Board>, shutdown: CancellationToken) {
        let attend = async {
            loop {
                while self.sheet.receiver_count() == 0 {
                    self.wanted.notified().await;
                }
                self.attend().await;
            }
        };
        shutdown.run_until_cancelled(attend).await;
    }

    /// Keeps it true until the last stream is over.
    async fn attend(&self) {
        let mut terms = self.terms.clone();
        // None where there are no random bits for a token.
        let mut listener =
            token().map(|token| Listener::new(self.hub.clone(), token, TagFilter::Everything, None));
        let mut ask = || listener.as_mut()?.ask(Vec::new()).ok();
        // Asked before it is looked: nothing comes between the two.
        let mut heard = ask();
        loop {
            self.now();
            let looked = Instant::now();
            let second = u64::from(Utc::now().second().min(59));
            let news = async {
                match &mut heard {
                    Some(heard) => drop(heard.await),
                    None => sleep(UNTOLD).await,
                }
            };
            let is_answered = tokio::select! {
                () = news => true,
                () = sleep_until(looked + Duration::from_secs(60 - second)) => false,
                Ok(()) = terms.changed() => false,
                () = self.sheet.closed() => return,
            };
            sleep_until(looked + LOOKS).await;
            if is_answered {
                heard = ask();
            }
        }
    }
}

impl Sheet {
    /// Whether it is of this state, these terms and this minute.
    fn is_of(&self, snapshot: &Snapshot, terms: &Arc<Terms>, now: &DateTime<Tz>) -> bool {
        let minute = |at: &DateTime<Tz>| at.timestamp().div_euclid(60);
        self.number > 0
            && self.snapshot.versions == snapshot.versions
            && Arc::ptr_eq(&self.terms, terms)
            && minute(&self.now) == minute(now)
    }

    /// The sheet after this.
    fn next(&self, snapshot: Arc<Snapshot>, terms: Arc<Terms>, now: DateTime<Tz>) -> Sheet {
        let number = self.number + 1;
        // The first is told of, also where there is nothing on it.
        let mut is_other = self.number == 0;
        let before: HashMap<&RoomKey, RoomView<'_>> =
            self.snapshot.rooms(&TagFilter::Everything).map(|room| (room.key(), room)).collect();
        let mut lines: Vec<Arc<Line>> = Vec::with_capacity(self.lines.len());
        for room in snapshot.rooms(&TagFilter::Everything) {
            let seats = seats(room, &terms, &now);
            let line = match self.line(room.key()).filter(|line| line.row.is_of(room, &seats)) {
                Some(line) if before.get(room.key()).is_some_and(|before| is_as(*before, room)) => {
                    line.clone()
                }
                Some(line) => Arc::new(line.told_again(number)),
                None => Arc::new(Line::new(Row::new(room, seats), number)),
            };
            is_other |= line.changed == number;
            lines.push(line);
        }
        lines.sort_by(|a, b| a.row.key.as_str().cmp(b.row.key.as_str()));
        let is_there =
            |key: &RoomKey| lines.binary_search_by(|line| line.row.key.as_str().cmp(key.as_str())).is_ok();
        let gone = self.gone.after(self.lines.iter().map(|line| &line.row.key), is_there, number);
        is_other |= gone.last() == Some(number);
        let number = if is_other { number } else { self.number };
        Sheet { number, now, snapshot, terms, lines, gone, whole: Default::default() }
    }

    fn line(&self, key: &RoomKey) -> Option<&Arc<Line>> {
        let place = self.lines.binary_search_by(|line| line.row.key.as_str().cmp(key.as_str())).ok()?;
        self.lines.get(place)
    }

    /// A room without PCs has no seat to be had or to be waited for.
    fn listed(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().map(Arc::as_ref).filter(|line| line.is_listed())
    }

    /// All rows, in a language.
    pub(super) fn shown(&self, language: Language) -> Vec<Shown<'_>> {
        self.listed().map(|line| Shown { row: &line.row, html: line.html(language) }).collect()
    }

    /// The rooms that can be used, the best first.
    pub(super) fn offers(&self) -> Vec<Offer<'_>> {
        let mut rows: Vec<&Row> = self.listed().map(|line| &line.row).collect();
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        let now = time_of_day(&self.now);
        rows.into_iter().filter_map(|row| Offer::of(&row.key, &row.tags, &row.seats, now)).collect()
    }

    /// The row of that room, if there is one.
    pub(super) fn row_of(&self, key: &RoomKey) -> Option<&Row> {
        self.line(key).map(|line| &line.row)
    }

    /// The row of a room of its snapshot.
    pub(super) fn row(&self, room: RoomView<'_>) -> Row {
        Row::new(room, seats(room, &self.terms, &self.now))
    }

    /// Which PCs count as free.
    pub(super) fn seats(&self) -> &SeatRule {
        &self.terms.seats
    }

    /// The events that tell what has changed since that number; all rows, where it is none from which one can go on.
    /// The last of them has no end yet, so that an id may follow; empty where there is nothing to tell.
    pub(super) fn events(&self, since: Option<u64>, language: Language) -> Cow<'_, str> {
        let Some(since) = since.filter(|since| self.is_known(*since)) else {
            let all = || self.listed().map(|line| line.event(language)).collect::<Vec<_>>().join("\n");
            // That nothing follows has to be said, too.
            let told =
                || Some(all()).filter(|all| !all.is_empty()).unwrap_or_else(|| event("none", &Nothing {}));
            return made(&self.whole, language, told).into();
        };
        let gone = self.gone.rooms.iter().filter(|(_, number)| *number > since);
        let gone = gone.map(|(key, _)| event("gone", &wire::page::Gone { key: key.as_str() }).into());
        let lines = self.lines.iter().filter(|line| line.changed > since);
        let events: Vec<Cow<'_, str>> = gone.chain(lines.map(|line| line.event(language).into())).collect();
        events.join("\n").into()
    }

    /// Whether one who is that far can be told what has changed since.
    pub(super) fn is_known(&self, number: u64) -> bool {
        (self.gone.forgotten..=self.number).contains(&number)
    }
}

impl Gone {
    /// The same, when of those that were there some are not there any more; and others may be there again.
    fn after<'a>(
        &self,
        were: impl Iterator<Item = &'a RoomKey>,
        is_there: impl Fn(&RoomKey) -> bool,
        number: u64,
    ) -> Gone {
        let mut rooms: Vec<_> = self.rooms.iter().filter(|(key, _)| !is_there(key)).cloned().collect();
        rooms.extend(were.filter(|key| !is_there(key)).map(|key| (key.clone(), number)));
        let many = rooms.len().saturating_sub(MAX_GONE);
        let forgotten = rooms.drain(..many).map(|(_, number)| number).max();
        Gone { rooms, forgotten: forgotten.unwrap_or(self.forgotten) }
    }

    /// The number under which a room went last.
    fn last(&self) -> Option<u64> {
        self.rooms.last().map(|(_, number)| *number)
    }
}

/// How it is with the seats of a room.
fn seats(room: RoomView<'_>, terms: &Terms, now: &DateTime<Tz>) -> Seats {
    terms.seats.seats(room.pcs().map(|(_, pc)| pc.occupation), room.schedule(), time_of_day(now))
}

/// The time of day that is shown.
pub(super) fn time_of_day(at: &DateTime<Tz>) -> TimeOfDay {
    // Below 24 and 60.
    TimeOfDay { hour: at.hour() as u8, minute: at.minute() as u8 }
}

/// Whether a page of the room shows the same.
fn is_as(before: RoomView<'_>, room: RoomView<'_>) -> bool {
    before.schedule() == room.schedule() && before.pcs().eq(room.pcs())
}

impl Line {
    fn new(row: Row, changed: u64) -> Line {
        Line { row, changed, made: Arc::default() }
    }

    /// The same row, of a room of which something else is another.
    fn told_again(&self, changed: u64) -> Line {
        Line { row: self.row.clone(), changed, made: self.made.clone() }
    }

    fn is_listed(&self) -> bool {
        self.row.seats.pcs > 0
    }

    fn html(&self, language: Language) -> &str {
        made(&self.made.html, language, || self.row.html(language))
    }

    fn event(&self, language: Language) -> &str {
        let key = self.row.key.as_str();
        made(&self.made.event, language, || {
            if self.is_listed() {
                event("row", &RowEvent { key, html: self.html(language) })
            } else {
                event("gone", &wire::page::Gone { key })
            }
        })
    }
}

fn token() -> Option<Token> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok().map(|()| Token::from_random(bits))
}

/// What was made for a language, or is now.
fn made(all: &[OnceLock<String>], language: Language, make: impl FnOnce() -> String) -> &str {
    all.get(language.place()).map_or("", |place| place.get_or_init(make))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> RoomKey {
        RoomKey::parse(&format!("r{number}")).unwrap()
    }

    #[test]
    fn rooms_that_went_long_ago_are_forgotten_and_so_is_that_anybody_can_go_on_from_there() {
        let (mut gone, none) = (Gone::default(), |_: &RoomKey| false);
        for number in 1..=MAX_GONE as u64 {
            gone = gone.after([key(number)].iter(), none, number);
        }
        assert_eq!((gone.rooms.len(), gone.forgotten, gone.last()), (MAX_GONE, 0, Some(MAX_GONE as u64)));
        let number = MAX_GONE as u64 + 1;
        gone = gone.after([key(9000), key(9001)].iter(), none, number);
        assert_eq!((gone.rooms.len(), gone.forgotten, gone.last()), (MAX_GONE, 2, Some(number)));
        let is_back = |of: &RoomKey| *of == key(9001) || *of == key(3);
        gone = gone.after([].iter(), is_back, number + 1);
        assert_eq!((gone.rooms.len(), gone.forgotten, gone.last()), (MAX_GONE - 2, 2, Some(number)));
        assert!(!gone.rooms.iter().any(|(key, _)| is_back(key)));
    }
}
