//! Whether every client gets every update once, and the right one; and when.

use super::answer::Answer;
use super::dialect::{self, Dialect, Reader};
use super::orders::Filters;
use std::time::Instant;

/// What one client knows.
pub(super) struct Place {
    /// Its next request, or the one that is held.
    pub(super) ask: Vec<u8>,
    /// The last round whose update it got. None before its first answer.
    pub(super) seen: Option<u64>,
    /// The room that it listens to.
    pub(super) room: usize,
}

/// The count of what was published, and of what came of it.
pub(super) struct Tally {
    dialect: Dialect,
    rooms: usize,
    reader: Reader,
    /// How many updates were published, the one before anybody listened left out.
    pub(super) round: u64,
    /// How many clients have got the last one.
    pub(super) received: usize,
    /// How many clients had their first answer.
    pub(super) entered: usize,
    published: Instant,
    /// What follows the version in the last update, for each room.
    expected: Vec<Vec<u8>>,
    /// The version before the first round.
    base: Option<u64>,
    /// Milliseconds from publish to client.
    pub(super) latency: Vec<f64>,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
}

impl Tally {
    /// Before anything was published.
    pub(super) fn new(dialect: Dialect, filters: Filters) -> Tally {
        Tally {
            dialect,
            rooms: dialect::rooms(filters),
            reader: Reader::new(),
            round: 0,
            received: 0,
            entered: 0,
            published: Instant::now(),
            expected: Vec::new(),
            base: None,
            latency: Vec::new(),
            lost: 0,
            doubled: 0,
            errors: 0,
            first_error: None,
        }
    }

    /// The next round begins; returns what is to be published.
    pub(super) fn next(&mut self) -> Vec<u8> {
        self.round += 1;
        self.received = 0;
        self.expected = (0..self.rooms).map(|room| dialect::after_version(self.round, room)).collect();
        self.dialect.publish(self.round, self.rooms)
    }

    /// It is published now.
    pub(super) fn published(&mut self) {
        self.published = Instant::now();
    }

    /// A client has got an answer, and gets its next request ready; whether it is to ask on. Not after a refusal: who
    /// is refused at once and asks again at once would do so for ever.
    pub(super) fn take(&mut self, place: &mut Place, answer: &Answer<'_>, at: Instant) -> bool {
        let is_first = place.seen.is_none();
        if answer.status != 200 {
            self.wrong(|| format!("status {}: {}", answer.status, shown(answer.body)));
            return false;
        }
        if is_first {
            place.seen = Some(self.round);
            self.entered += 1;
        } else {
            self.check(place, answer.body, at);
        }
        if let Err(why) = self.dialect.ask_on(answer, is_first, &mut place.ask) {
            self.wrong(|| why.to_owned());
            return false;
        }
        true
    }

    /// These will get nothing more: what they have not got is lost.
    pub(super) fn give_up<'a>(&mut self, places: impl Iterator<Item = &'a Place>) {
        self.lost += places.map(|place| self.round - place.seen.unwrap_or(0).min(self.round)).sum::<u64>();
    }

    /// Something is not as it should be.
    pub(super) fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.errors += 1;
        self.first_error.get_or_insert_with(what);
    }

    fn check(&mut self, place: &mut Place, body: &[u8], at: Instant) {
        let Some((version, rest)) = self.reader.read(body) else {
            return self.wrong(|| format!("no update: {}", shown(body)));
        };
        // The first client to get anything tells what the numbers begin with; all others have to agree.
        let base = *self.base.get_or_insert(version.wrapping_sub(self.round));
        let round = version.wrapping_sub(base);
        let seen = place.seen.unwrap_or(0);
        if round > self.round {
            return self.wrong(|| format!("an update that nobody has published: {}", shown(body)));
        }
        if round <= seen {
            self.doubled += 1;
            return;
        }
        self.lost += round - seen - 1;
        place.seen = Some(round);
        if round < self.round {
            let now = self.round;
            return self.wrong(|| format!("an update of round {round} in round {now}"));
        }
        self.received += 1;
        self.latency.push((at - self.published).as_secs_f64() * 1e3);
        let expected = self.expected.get(place.room).map_or(&[][..], Vec::as_slice);
        if rest != expected {
            self.wrong(|| format!("the update of another client: {}", shown(body)));
        }
        if self.dialect == Dialect::Joyce && !dialect::is_for(&place.ask, body) {
            self.wrong(|| format!("the answer to another client: {}", shown(body)));
        }
    }
}

fn shown(body: &[u8]) -> String {
    let some = body.get(..body.len().min(300)).unwrap_or_default();
    String::from_utf8_lossy(some).escape_debug().to_string()
}
