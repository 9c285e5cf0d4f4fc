//! Alerts: streams whose readers wait for a seat, and who of them is told. The policy is that of `core/turns.rs`; here it has
//! a clock, the board, and a task that has the queue to itself.
//!
//! A stream brings its list of wishes, and is told at most once. It says nothing when it ends: its end of a channel is gone
//! then, which is looked for before anybody is told, and every few seconds.

use super::Terms;
use super::board::{Board, Sheet};
use crate::core::origins::Origin;
use crate::core::turns::wish::List;
use crate::core::turns::{Arrival, Stream, Told, Turns};
use crate::health::Health;
use crate::page::Row;
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// How many lists come in before their streams wait for their turn to bring them. All of those are taken in at once.
const BACKLOG: usize = 64;

/// How often it is looked who has left, while anybody waits: a place is kept for a minute, and a little more does no harm.
const LOOKS: Duration = Duration::from_secs(5);

/// Where lists are brought.
#[derive(Clone)]
pub(super) struct Alerts(mpsc::Sender<Coming>);

/// A seat for somebody, as it was when that was decided.
pub(super) struct Seat {
    pub(super) told: Told,
    pub(super) row: Row,
}

/// A list that waits.
pub(super) struct Waits {
    /// For each of its wishes, whether it found a place.
    pub(super) places: Vec<bool>,
    /// Where it will be told, at most once.
    pub(super) seat: oneshot::Receiver<Seat>,
}

/// A list that comes.
struct Coming {
    list: List,
    origin: Option<Origin>,
    places: oneshot::Sender<Vec<bool>>,
    seat: oneshot::Sender<Seat>,
}

impl Alerts {
    /// A queue in which nobody waits; and who attends to it.
    pub(super) fn new(
        board: Arc<Board>,
        terms: watch::Receiver<Arc<Terms>>,
        health: Arc<Health>,
    ) -> (Alerts, Desk) {
        let (alerts, coming) = mpsc::channel(BACKLOG);
        let turns = Turns::new(terms.borrow().claim);
        (Alerts(alerts), Desk { board, terms, health, coming, turns, streams: BTreeMap::new(), next: 0 })
    }

    /// Has a list wait. None: the daemon ends.
    pub(super) async fn wait(&self, list: List, origin: Option<Origin>) -> Option<Waits> {
        let (places, placed) = oneshot::channel();
        let (seat, told) = oneshot::channel();
        self.0.send(Coming { list, origin, places, seat }).await.ok()?;
        Some(Waits { places: placed.await.ok()?, seat: told })
    }
}

/// Who attends to the queue.
pub(super) struct Desk {
    board: Arc<Board>,
    terms: watch::Receiver<Arc<Terms>>,
    health: Arc<Health>,
    coming: mpsc::Receiver<Coming>,
    turns: Turns,
    /// The streams of those who wait.
    streams: BTreeMap<Stream, oneshot::Sender<Seat>>,
    /// The number of the next stream.
    next: u64,
}

impl Desk {
    /// Attends until the daemon is to stop.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.attend()).await;
    }

    async fn attend(&mut self) {
        let mut lists = Vec::with_capacity(BACKLOG);
        let mut sheets: Option<watch::Receiver<Arc<Sheet>>> = None;
        loop {
            if !lists.is_empty() || self.turns.waiting() > 0 {
                // The board is kept true while somebody waits; it is looked at after that has begun.
                let sheets = sheets.get_or_insert_with(|| self.board.subscribe());
                sheets.mark_unchanged();
                self.turn(lists.drain(..));
            }
            let waits = self.turns.waiting() > 0;
            if !waits {
                sheets = None;
            }
            let look = waits.then(|| self.next_look());
            tokio::select! {
                came = self.coming.recv_many(&mut lists, BACKLOG) => {
                    if came == 0 {
                        return;
                    }
                }
                () = changed(&mut sheets) => {}
                () = at(look) => {}
            }
        }
    }

    fn next_look(&self) -> Instant {
        let look = Instant::now() + LOOKS;
        self.turns.next_deadline().map_or(look, |deadline| deadline.min(look))
    }

    /// Takes lists in, and tells whose turn it is.
    fn turn(&mut self, lists: impl Iterator<Item = Coming>) {
        let now = Instant::now();
        let sheet = self.board.now();
        self.turns.set_claim(self.terms.borrow().claim);
        self.streams.retain(|stream, seat| {
            let is_gone = seat.is_closed();
            if is_gone {
                self.turns.leave(*stream, now);
            }
            !is_gone
        });
        // Before who has come back: claims end with the seats they are on.
        self.tell(&sheet, now);
        for coming in lists {
            self.take_in(coming, &sheet, now);
        }
        self.tell(&sheet, now);
    }

    fn take_in(&mut self, coming: Coming, sheet: &Sheet, now: Instant) {
        let stream = Stream(self.next);
        self.next += 1;
        let places = match self.turns.arrive(stream, &coming.list, coming.origin, now) {
            Arrival::Told(told) => {
                hand_over(coming.seat, told, sheet);
                vec![true; coming.list.wishes.len()]
            }
            Arrival::Waits(places) => {
                if places.contains(&true) {
                    self.streams.insert(stream, coming.seat);
                }
                places
            }
        };
        // Who has left since is seen at the next look.
        let _ = coming.places.send(places);
    }

    fn tell(&mut self, sheet: &Sheet, now: Instant) {
        for told in self.turns.turn(now, &sheet.offers()) {
            self.health.counts.alerts.one();
            for stream in &told.streams {
                if let Some(seat) = self.streams.remove(stream) {
                    hand_over(seat, told.clone(), sheet);
                }
            }
        }
    }
}

/// Tells a stream. One that has ended since comes back, and is told again.
fn hand_over(seat: oneshot::Sender<Seat>, told: Told, sheet: &Sheet) {
    if let Some(row) = sheet.row_of(&told.room).cloned() {
        let _ = seat.send(Seat { told, row });
    }
}

async fn changed(sheets: &mut Option<watch::Receiver<Arc<Sheet>>>) {
    let Some(sheets) = sheets else { return pending().await };
    if sheets.changed().await.is_err() {
        // The board outlives this.
        pending::<()>().await;
    }
}

async fn at(look: Option<Instant>) {
    match look {
        Some(look) => sleep_until(look.into()).await,
        None => pending().await,
    }
}
