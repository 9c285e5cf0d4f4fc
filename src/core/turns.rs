//! Who is told of a free seat, and when: so that ten people are not sent to one seat.
//!
//! # The policy
//!
//! A *waiter* is one person: a browser with a list of *wishes*, which are alternatives ("this room, or any that is
//! tagged so"). Who is told of one seat needs no other: the whole list is done then.
//!
//! - **First come, first told.** Wishes stand in the order in which they came. Nothing moves a wish past another: not that
//!   it is easier to fulfil, and not that its waiter has many. A wish that nothing fits holds nobody up.
//! - **As many as there are seats.** At each turn the first is given a seat, then the second, and so on. Whoever comes later
//!   never takes away a seat that an earlier one could have; but an earlier one who would take either of two seats is
//!   sent to that which the later one does not want. So no seat stays untold that anybody waits for.
//! - **Who was told claims the seat** for two minutes, the time in which people arrive. Nobody else is told of it meanwhile;
//!   then the next is, if it is still free. Nobody is kept from just walking in: a claim is no reservation.
//! - **A seat that is taken ends a claim on it,** the oldest of that room that it would have done for: most likely it was
//!   taken by the one who was sent there first, and if not, they have had the most time. So the next seat that comes free
//!   in that room is told at once. Where there are fewer seats than claims (a class begins, say), the oldest end, too.
//! - **A wish is told once,** and ends. Who waits for another seat comes again, with a new name, at the end of the queue:
//!   otherwise a page that is left open would be told for ever, and those behind it never. Who comes back with the old
//!   name while the claim is there has not heard it, and is told the same again.
//! - **Who is not there is not told.** A phone that sleeps would keep a seat from all others for two minutes. Who comes
//!   back within a minute has kept the place; later, there is none any more, and they come anew.
//!
//! So nobody starves: in the queue there are only as many before a wish as there were when it came, each is told once or
//! leaves, and a claim ends by itself.
//!
//! Nothing here outlives the daemon. After a restart browsers come again, in whatever order they do.

mod seating;
#[cfg(test)]
mod tests;
pub mod wish;

use super::origins::Origin;
use super::pc::System;
use super::room::RoomKey;
use super::schedule::TimeOfDay;
use super::seats::{Free, Room, Seats, Until};
use super::tag::Tag;
use seating::{Seating, Slots};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};
use wish::{List, Waiter, Wish};

/// How many wishes wait in all. That is more people than look for a seat at a time at any campus, and at most 1 MB; each
/// turn looks at all of them.
pub const MOST: usize = 1024;

/// How many wishes wait that came from one address, so that one machine cannot keep all others out. A building behind one
/// address has as many people.
pub const OF_ADDRESS: usize = 256;

/// How long who has left keeps a place: a page is loaded anew in seconds, and a phone is back from a lift in a minute.
pub const ABSENCE: Duration = Duration::from_secs(60);

/// A connection over which a waiter can be told, by a number that no other has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream(pub u64);

/// A room that can be used now, as it is offered to those who wait.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Which.
    pub key: &'a RoomKey,
    /// By what it is chosen.
    pub tags: &'a [Tag],
    /// Its free seats.
    pub free: Free,
    /// For how many minutes it can be used; the most that there are where nothing is known against it today.
    pub minutes: u16,
}

impl<'a> Offer<'a> {
    /// What there is to offer of a room, at a time of today.
    pub fn of(key: &'a RoomKey, tags: &'a [Tag], seats: &Seats, now: TimeOfDay) -> Option<Offer<'a>> {
        let Room::Open { until } = &seats.room else { return None };
        let minutes = match until {
            Until::Reserved(at) | Until::Closes(at) => minutes(*at).saturating_sub(minutes(now)),
            Until::DayEnds => u16::MAX,
        };
        Some(Offer { key, tags, free: seats.free, minutes })
    }
}

fn minutes(time: TimeOfDay) -> u16 {
    u16::from(time.hour) * 60 + u16::from(time.minute)
}

/// Somebody is to be told of a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub waiter: Waiter,
    /// What was wished.
    pub wish: Wish,
    /// Where the seat is.
    pub room: RoomKey,
    /// Until when nobody else is told of it.
    pub until: Instant,
    /// Where that is to be said.
    pub streams: Vec<Stream>,
}

/// What becomes of a list that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// Its waiter was told already, and has not heard it.
    Told(Told),
    /// For each of its wishes whether that waits now; those that do not found no room.
    Waits(Vec<bool>),
}

/// Those who wait, and those who were told.
#[derive(Debug)]
pub struct Turns {
    /// How long who was told has the seat.
    claim: Duration,
    /// In the order in which they came.
    queue: Vec<Waiting>,
    /// Only rooms with a claim.
    claimed: BTreeMap<RoomKey, Claimed>,
}

/// A wish in its place.
#[derive(Debug)]
struct Waiting {
    waiter: Waiter,
    wish: Wish,
    origin: Option<Origin>,
    /// Over which its waiter has it; none: gone.
    streams: Vec<Stream>,
    /// Since when nobody has it.
    gone: Instant,
}

/// The claims on a room.
#[derive(Debug, Default)]
struct Claimed {
    /// Its seats at the last turn.
    free: Free,
    /// The oldest first.
    claims: Vec<Claim>,
}

#[derive(Debug)]
struct Claim {
    waiter: Waiter,
    wish: Wish,
    until: Instant,
}

impl Turns {
    /// Nobody waits. Who will be told has the seat for `claim`.
    pub fn new(claim: Duration) -> Turns {
        Turns { claim, queue: Vec::new(), claimed: BTreeMap::new() }
    }

    /// Who is told from now on has the seat for so long.
    pub fn set_claim(&mut self, claim: Duration) {
        self.claim = claim;
    }

    /// How many wishes wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How many were told of a seat that nobody else is told of yet.
    pub fn claims(&self) -> usize {
        self.claimed.values().map(|room| room.claims.len()).sum()
    }

    /// When a seat is to be told to the next, if nothing else happens: there is a turn then.
    pub fn next_deadline(&self) -> Option<Instant> {
        let claims = self.claimed.values().flat_map(|room| &room.claims);
        claims.map(|claim| claim.until).min().filter(|_| !self.queue.is_empty())
    }

    /// A stream has opened that brings a list; its wishes have the places that they had, or the last.
    pub fn arrive(&mut self, stream: Stream, list: &List, origin: Option<Origin>, now: Instant) -> Arrival {
        self.forget(now);
        if let Some(told) = self.told_before(&list.waiter, stream) {
            return Arrival::Told(told);
        }
        let wishes = list.wishes.iter();
        Arrival::Waits(wishes.map(|wish| self.wait(stream, &list.waiter, wish, origin, now)).collect())
    }

    fn told_before(&self, waiter: &Waiter, stream: Stream) -> Option<Told> {
        let mut claims =
            self.claimed.iter().flat_map(|(room, of)| of.claims.iter().map(move |claim| (room, claim)));
        let (room, claim) = claims.find(|(_, claim)| claim.waiter == *waiter)?;
        Some(Told {
            waiter: waiter.clone(),
            wish: claim.wish.clone(),
            room: room.clone(),
            until: claim.until,
            streams: vec![stream],
        })
    }

    fn wait(
        &mut self,
        stream: Stream,
        waiter: &Waiter,
        wish: &Wish,
        origin: Option<Origin>,
        now: Instant,
    ) -> bool {
        let is_it = |one: &&mut Waiting| one.waiter == *waiter && one.wish == *wish;
        if let Some(known) = self.queue.iter_mut().find(is_it) {
            if !known.streams.contains(&stream) {
                known.streams.push(stream);
            }
            return true;
        }
        let of_origin = self.queue.iter().filter(|one| origin.is_some() && one.origin == origin).count();
        if of_origin >= OF_ADDRESS && !self.gives_way(|one| one.origin == origin) {
            return false;
        }
        if self.queue.len() >= MOST && !self.gives_way(|_| true) {
            return false;
        }
        let (waiter, wish) = (waiter.clone(), wish.clone());
        self.queue.push(Waiting { waiter, wish, origin, streams: vec![stream], gone: now });
        true
    }

    /// Whether somebody who is gone gives way to who is there: the one that has been so the longest.
    fn gives_way(&mut self, may: impl Fn(&Waiting) -> bool) -> bool {
        let gone = self.queue.iter().enumerate().filter(|(_, one)| one.streams.is_empty() && may(one));
        let Some((place, _)) = gone.min_by_key(|(_, one)| one.gone) else { return false };
        self.queue.remove(place);
        true
    }

    /// A stream has ended.
    pub fn leave(&mut self, stream: Stream, now: Instant) {
        for one in &mut self.queue {
            let before = one.streams.len();
            one.streams.retain(|own| *own != stream);
            if one.streams.len() < before {
                one.gone = now;
            }
        }
    }

    /// Says who is told of which room, as rooms are now. Those that can be used stand in `offers`, the best first.
    pub fn turn(&mut self, now: Instant, offers: &[Offer<'_>]) -> Vec<Told> {
        self.forget(now);
        self.taken(offers);
        let told = self.seat(now, offers);
        for one in &told {
            self.queue.retain(|waiting| waiting.waiter != one.waiter);
        }
        told
    }

    /// Ends claims whose time is over, and wishes whose waiters have not come back.
    fn forget(&mut self, now: Instant) {
        self.queue.retain(|one| !one.streams.is_empty() || one.gone + ABSENCE > now);
        self.claimed.retain(|_, room| {
            room.claims.retain(|claim| claim.until > now);
            !room.claims.is_empty()
        });
    }

    /// Ends claims on seats that are taken.
    fn taken(&mut self, offers: &[Offer<'_>]) {
        let free: BTreeMap<&RoomKey, Free> = offers.iter().map(|offer| (offer.key, offer.free)).collect();
        self.claimed.retain(|key, room| {
            room.taken(free.get(key).copied().unwrap_or_default());
            !room.claims.is_empty()
        });
    }

    /// Finds seats for those who wait, in their order.
    fn seat(&mut self, now: Instant, offers: &[Offer<'_>]) -> Vec<Told> {
        let claims = offers.iter().enumerate().flat_map(|(place, offer)| {
            let claims = self.claimed.get(offer.key).into_iter().flat_map(|room| &room.claims);
            claims.map(move |claim| (place, claim.wish.system))
        });
        let mut seating = Seating::new(offers.iter().map(|offer| offer.free), claims);
        // Wishes that have a seat, by the order in which they were given one.
        let mut seated: Vec<&Waiting> = Vec::new();
        let mut waiters: HashSet<&Waiter> = HashSet::new();
        // A crowd waits for a few rooms. Where there is no seat for one, there is none for who wishes the same, either.
        let mut would_do: HashMap<&Wish, Option<Slots>> = HashMap::new();
        for one in self.queue.iter().filter(|one| !one.streams.is_empty()) {
            if seating.is_full() {
                break;
            }
            if waiters.contains(&one.waiter) {
                continue;
            }
            let own = would_do.entry(&one.wish).or_insert_with(|| {
                let rooms = offers.iter().enumerate().filter(|(_, offer)| one.wish.is_met_by(offer));
                Some(Slots::new(rooms.map(|(place, _)| place), one.wish.system))
            });
            let Some(slots) = own else { continue };
            if seating.seat(slots) {
                seated.push(one);
                waiters.insert(&one.waiter);
            } else {
                *own = None;
            }
        }
        let until = now + self.claim;
        let rooms = seating.rooms().filter_map(|place| offers.get(place));
        let told: Vec<Told> = seated
            .iter()
            .zip(rooms)
            .map(|(one, offer)| {
                let own = self.queue.iter().filter(|other| other.waiter == one.waiter);
                let mut streams: Vec<Stream> = own.flat_map(|own| own.streams.iter().copied()).collect();
                streams.sort_unstable();
                streams.dedup();
                let room = offer.key.clone();
                Told { waiter: one.waiter.clone(), wish: one.wish.clone(), room, until, streams }
            })
            .collect();
        let free: BTreeMap<&RoomKey, Free> = offers.iter().map(|offer| (offer.key, offer.free)).collect();
        for one in &told {
            let room = self.claimed.entry(one.room.clone()).or_default();
            room.free = free.get(&one.room).copied().unwrap_or_default();
            room.claims.push(Claim { waiter: one.waiter.clone(), wish: one.wish.clone(), until });
        }
        told
    }
}

impl Claimed {
    /// Its seats are these now.
    fn taken(&mut self, now: Free) {
        let before = std::mem::replace(&mut self.free, now);
        let of = |system| move |claim: &Claim| claim.wish.system == Some(system);
        // Claims for which no seat is left tell which ones were taken, and so they end first.
        let for_windows = self.keep(now.windows, of(System::Windows));
        let for_linux = self.keep(now.linux, of(System::Linux));
        let mut windows = before.windows.saturating_sub(now.windows).saturating_sub(for_windows);
        let mut linux = before.linux.saturating_sub(now.linux).saturating_sub(for_linux);
        // A PC that has another system than before is no seat that was taken: all together are as many.
        let mut taken = before.all().saturating_sub(now.all()).saturating_sub(for_windows + for_linux);
        self.claims.retain(|claim| {
            let mut whichever = taken;
            let fewer = match claim.wish.system {
                Some(System::Windows) => &mut windows,
                Some(System::Linux) => &mut linux,
                None => &mut whichever,
            };
            if taken == 0 || *fewer == 0 {
                return true;
            }
            *fewer -= 1;
            taken -= 1;
            false
        });
        self.keep(now.all(), |_| true);
    }

    /// Keeps so many of the claims that are of a kind, the newest, and says how many have ended.
    fn keep(&mut self, most: u32, is_of_kind: impl Fn(&Claim) -> bool) -> u32 {
        let count = self.claims.iter().filter(|claim| is_of_kind(claim)).count();
        let over = u32::try_from(count).unwrap_or(u32::MAX).saturating_sub(most);
        let mut left = over;
        self.claims.retain(|claim| {
            let ends = left > 0 && is_of_kind(claim);
            left -= u32::from(ends);
            !ends
        });
        over
    }
}
