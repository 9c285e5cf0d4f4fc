//! A client with its channel: what it asks, what has reached it, and what has not.

use super::random::Random;
use super::reader::Reader;
use super::truth::Said;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tkbd::core::channel::{ChannelId, HoldId};
use tkbd::core::poll::{Ask, Receipt, Reply};
use tkbd::core::tag::{FilterChange, TagFilter};
use tkbd::core::token::Token;
use tkbd::hub::Recipient;

pub(crate) struct Client {
    pub(crate) reader: Reader,
    /// What it listens to, all three kinds alike.
    pub(crate) filter: TagFilter,
    /// An old slave asks anew at another welcome; an old page does not know what a welcome is.
    pub(crate) slave: bool,
    /// Whether its wishes have reached the hub.
    pub(crate) asked: bool,
    welcomed: bool,
    /// Since when the daemon must know its filter; none where it may have forgotten it.
    pub(crate) known: Option<Instant>,
    pub(crate) held: Option<(ChannelId, HoldId)>,
    pub(crate) asked_at: Instant,
    /// The number of its last request.
    pub(crate) request: u64,
    /// Replies that were lost on the way, which the daemon is yet to notice.
    pub(crate) lost: Vec<Receipt>,
    /// A reply that it takes slowly.
    pub(crate) slow: Option<(Vec<Said>, Receipt)>,
    /// It comes back then.
    pub(crate) away_until: Instant,
}

impl Client {
    pub(crate) fn new(random: &mut Random, filter: TagFilter, now: Instant) -> Client {
        let bits = (u128::from(random.next()) << 64) | u128::from(random.next());
        let slave = random.chance(40);
        Client {
            reader: Reader::new(Token::from_random(bits.to_be_bytes()), slave),
            filter,
            slave,
            asked: false,
            welcomed: false,
            known: None,
            held: None,
            asked_at: now,
            request: 0,
            lost: Vec::new(),
            slow: None,
            away_until: now,
        }
    }

    /// What its next request asks.
    pub(crate) fn asks(&self) -> Vec<Ask> {
        if self.asked {
            return Vec::new();
        }
        let all = || Some(self.filter.clone());
        let change = FilterChange { occupation: all(), room_map: all(), schedule: all() };
        vec![Ask::SetFilter(change), Ask::RoomMap, Ask::Schedule, Ask::Occupation]
    }

    pub(crate) fn receive(&mut self, said: &[Said]) {
        self.reader.receive(said);
        if said.contains(&Said::Welcome) {
            self.asked &= !(self.slave && self.welcomed);
            self.welcomed = true;
        }
    }
}

/// What becomes of held requests, in the order in which it does.
#[derive(Clone, Default)]
pub(crate) struct Inbox(Arc<Mutex<Vec<Arrival>>>);

/// A request of a client was answered; or it never will be, where there is no reply.
pub(crate) struct Arrival {
    pub(crate) client: usize,
    pub(crate) request: u64,
    pub(crate) reply: Option<Reply>,
}

impl Inbox {
    pub(crate) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The place of a request in the hub.
    pub(crate) fn recipient(&self, client: usize, request: u64) -> Box<dyn Recipient> {
        Box::new(Place { inbox: self.clone(), client, request, answered: false })
    }

    fn add(&self, client: usize, request: u64, reply: Option<Reply>) {
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.push(Arrival { client, request, reply });
    }
}

struct Place {
    inbox: Inbox,
    client: usize,
    request: u64,
    answered: bool,
}

impl Recipient for Place {
    fn deliver(mut self: Box<Self>, reply: Reply) {
        self.answered = true;
        self.inbox.add(self.client, self.request, Some(reply));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.answered {
            self.inbox.add(self.client, self.request, None);
        }
    }
}
