//! The one lock: the house, and beside it the requests that are held.
//!
//! Every verb is one method. Under the lock nothing is awaited, written or called back (invariant 3):
//! a verb takes out the held requests that are concerned, unlocks, and hands each its reply. A held
//! request is a place in a list, and whoever publishes writes to it; no task wakes up for it.
//!
//! A std mutex, since it is held for microseconds and never across an await.

use crate::core::channel::{ChannelId, HoldId};
use crate::core::house::House;
use crate::core::lineage::{InstanceId, Lineage, Link};
use crate::core::poll::{Delivery, NoChannel, Outcome, Poll, Receipt, Reply};
use crate::core::push::{Push, Refused};
use crate::core::room::RoomKey;
use crate::core::schedule::Reservation;
use crate::core::slack::Slack;
use crate::core::snapshot::Snapshot;
use crate::core::source::Timestamp;
use crate::core::state::{Digests, Lead};
use crate::core::version::Versions;
use crate::health::{self, Health};
use crate::history::{Acknowledgement, Clock, Full, History, Record};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, watch};

mod airing;
mod deliveries;
mod epoch;
mod figures;
mod insight;
mod pulse;
mod reload;
mod snapshot;
mod streams;
mod turned_away;
mod unsaved;

use unsaved::Unsaved;

pub use crate::history::Place;
pub use deliveries::Deliveries;
pub use figures::HistoryFigures;
pub use streams::Listener;

/// A request that is held.
///
/// Dropping it without a reply must end its connection, so that its client asks again.
pub trait Recipient: Send {
    /// Hands over the reply. It must not block; what cannot be handed over whole is given back with
    /// [`Hub::give_back`].
    fn deliver(self: Box<Self>, reply: Reply);
}

/// The state, the channels and the held requests, behind the one lock.
pub struct Hub {
    inner: Mutex<Inner>,
    history: History,
    /// Told when a deadline comes earlier than the clock expects.
    earlier: Notify,
    /// How often the clock has looked at the state.
    passes: watch::Sender<u64>,
    /// Told when a push has brought a room.
    room_appeared: Notify,
    /// Whom this daemon follows, if anybody, and how that goes.
    lineage: watch::Sender<Lineage>,
    link: watch::Sender<Link>,
    health: Arc<Health>,
    epoch: u32,
    /// Its last words were said: what changed after them would be unknown to the next daemon, which would give others
    /// the same versions.
    is_over: AtomicBool,
}

struct Inner {
    house: House,
    /// The held requests, by the place of their channel.
    held: Vec<Option<(HoldId, Box<dyn Recipient>)>>,
    unsaved: Unsaved,
    /// Those that were given to the history last.
    saving: Vec<Acknowledgement>,
    /// The state as it was asked for last.
    snapshot: Option<Arc<Snapshot>>,
    /// What the clock sleeps until.
    alarm: Option<Instant>,
    /// Channels that have ended since memory was given back.
    ended: usize,
}

/// What a push has done.
pub struct Pushed {
    /// To be sent at once.
    pub deliveries: Deliveries,
    /// Whether anything is otherwise than before.
    pub has_changed: bool,
    /// Comes when the push, and all before it, is in the history.
    pub recorded: Acknowledgement,
}

/// The channel of a request, and by what it is to be withdrawn if it is held.
pub type Held = (ChannelId, Option<HoldId>);

/// A request for which no channel could be had, and who waits for its answer.
pub type TurnedAway = (Box<NoChannel>, Box<dyn Recipient>);

/// Who is to be answered at once, and what.
type Answered = (Box<dyn Recipient>, Reply);

impl Hub {
    /// The hub around a house and its history.
    pub fn new(house: House, history: History) -> Hub {
        let (unsaved, saving) = (Unsaved::default(), Vec::new());
        let inner = Inner { house, held: Vec::new(), unsaved, saving, snapshot: None, alarm: None, ended: 0 };
        Hub {
            inner: Mutex::new(inner),
            history,
            earlier: Notify::new(),
            passes: watch::Sender::new(0),
            room_appeared: Notify::new(),
            lineage: watch::Sender::new(Lineage::of(draw_id())),
            link: watch::Sender::new(Link::None),
            health: Arc::default(),
            epoch: epoch::draw(),
            is_over: AtomicBool::new(false),
        }
    }

    /// A place in the history, to be had before the push it is for, and to be used before anything is awaited.
    ///
    /// # Errors
    /// When as many records wait as may, or the last was taken: nothing can be applied that could not be recorded.
    pub fn reserve(&self) -> Result<Place, Full> {
        if self.is_over.load(Ordering::SeqCst) { Err(Full) } else { self.history.reserve() }
    }

    /// Applies what was reported.
    ///
    /// # Errors
    /// When the state would grow beyond its limits; then nothing is applied.
    pub fn push(&self, push: Push, place: Place, now: Instant) -> Result<Pushed, Refused> {
        let mut inner = self.lock();
        let mut room_appeared = false;
        let pushed = match inner.house.push(push, now)? {
            None => {
                // The states may be on their way to the disk still: the answer waits for them.
                let recorded = place.record(Record::Barrier);
                Pushed { deliveries: Deliveries::default(), has_changed: false, recorded }
            }
            Some((change, deliveries)) => {
                room_appeared = change.room_appeared;
                self.health.counts.changes.add(change.states.len());
                let recorded = place.record(Record::Push {
                    versions: change.versions,
                    at: change.at,
                    source: change.source,
                    states: change.states,
                });
                let deliveries = inner.take(deliveries).counted(&self.health, now);
                Pushed { deliveries, has_changed: true, recorded }
            }
        };
        drop(inner);
        if room_appeared {
            self.room_appeared.notify_one();
        }
        Ok(pushed)
    }

    /// Comes when a push has brought a room since this came last; for one waiter.
    pub async fn room_appeared(&self) {
        self.room_appeared.notified().await;
    }

    /// The rooms there are, by key and name.
    pub fn rooms(&self) -> Vec<(RoomKey, String)> {
        self.lock().house.rooms()
    }

    /// Takes over what is reserved today, by room.
    pub fn set_schedule(
        &self,
        schedule: &HashMap<RoomKey, Vec<Reservation>>,
        place: Place,
        now: Instant,
    ) -> Deliveries {
        let mut inner = self.lock();
        let Some((versions, deliveries)) = inner.house.set_schedule(schedule, now) else {
            return Deliveries::default();
        };
        drop(place.record(Record::Versions(versions)));
        inner.take(deliveries).counted(&self.health, now)
    }

    /// Takes over the rooms and tags of a master; returns how many entries were left out, too.
    pub fn follow(&self, lead: &Lead, place: Place, now: Instant) -> (Deliveries, usize) {
        let mut inner = self.lock();
        let (followed, skipped) = inner.house.follow(lead, now);
        // Their order may be another, which spends no version.
        inner.snapshot = None;
        let Some((change, deliveries)) = followed else { return (Deliveries::default(), skipped) };
        drop(place.record(Record::Versions(change.versions)));
        let deliveries = inner.take(deliveries).counted(&self.health, now);
        drop(inner);
        if change.room_appeared {
            self.room_appeared.notify_one();
        }
        (deliveries, skipped)
    }

    /// Who this daemon is, and whom it follows.
    pub fn lineage(&self) -> Lineage {
        self.lineage.borrow().clone()
    }

    /// Notes whom this daemon follows.
    pub fn set_lineage(&self, lineage: Lineage) {
        self.lineage.send_replace(lineage);
    }

    /// How this daemon stands to its master.
    pub fn link(&self) -> Link {
        *self.link.borrow()
    }

    /// Notes how this daemon stands to its master.
    pub fn set_link(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// A request on a channel, answered by `recipient`: at once, or when there is something to say. In
    /// the latter case, returns by what it is to be withdrawn if its client leaves.
    ///
    /// # Errors
    /// When it would need a new channel, and none can be had: with the recipient, who is not answered yet.
    pub fn poll(&self, poll: Poll, recipient: Box<dyn Recipient>, now: Instant) -> Result<Held, TurnedAway> {
        let token = poll.token.clone();
        let mut inner = self.lock();
        let polled = match inner.house.poll(poll, now) {
            Ok(polled) => polled,
            Err(mut none) => {
                let is_early = inner.note_put_off(token, &mut none, now);
                drop(inner);
                if is_early {
                    self.earlier.notify_one();
                }
                return Err((none, recipient));
            }
        };
        let (channel, conflated) = (polled.channel, polled.conflated);
        let older = polled.superseded.and_then(|hold| inner.take_one(channel, hold));
        if let Some(filter) = polled.filter {
            inner.unsaved.set(token, filter, now);
        }
        let (held, answer) = self.settle(inner, channel, polled.outcome, recipient);
        if let Some(older) = older {
            older.deliver(Reply { messages: [].into(), receipt: Receipt::nothing(channel) });
        }
        if conflated {
            self.health.counts.conflated.one();
        }
        if let Some((recipient, reply)) = answer {
            recipient.deliver(reply);
        }
        Ok((channel, held))
    }

    /// Keeps who is to wait, and lets go of the lock. Returns what is held, or who is to be answered, now that no lock is
    /// had.
    fn settle(
        &self,
        mut inner: MutexGuard<'_, Inner>,
        channel: ChannelId,
        outcome: Outcome,
        recipient: Box<dyn Recipient>,
    ) -> (Option<HoldId>, Option<Answered>) {
        let (held, answer) = match outcome {
            Outcome::Answer(reply) => (None, Some((recipient, reply))),
            Outcome::Hold(hold) => {
                inner.keep(channel, hold, recipient);
                (Some(hold), None)
            }
        };
        let earlier = inner.is_early();
        drop(inner);
        if earlier {
            self.earlier.notify_one();
        }
        (held, answer)
    }

    /// The client of a held request has left. False where it was answered before.
    pub fn withdraw(&self, channel: ChannelId, hold: HoldId, now: Instant) -> bool {
        let mut inner = self.lock();
        inner.house.withdraw(channel, hold, now);
        let left = inner.take_one(channel, hold);
        drop(inner);
        left.is_some()
    }

    /// A reply could not be handed over whole. If a newer request is held on that channel meanwhile, it
    /// is answered.
    pub fn give_back(&self, receipt: Receipt, now: Instant) {
        self.health.counts.given_back.one();
        self.owe_again(|house| house.give_back(receipt, now));
    }

    /// Runs the deadlines, for ever.
    pub async fn run_clock(&self) {
        loop {
            let next = self.next_deadline();
            self.passes.send_modify(|passes| *passes = passes.wrapping_add(1));
            match next {
                None => self.earlier.notified().await,
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => {
                            let now = Instant::now();
                            self.tick(now).send().await;
                            self.save_filters(now);
                        }
                        () = self.earlier.notified() => {}
                    }
                }
            }
        }
    }

    /// From now on nothing is held; the held requests are to be answered, empty.
    pub fn drain(&self, now: Instant) -> Deliveries {
        let mut inner = self.lock();
        let all = inner.house.drain(now);
        inner.take(vec![all])
    }

    /// What is to be remembered of the state at a clean stop, beside the history. What is not saved yet is, and nothing
    /// changes any more.
    pub fn last_words(&self) -> (Versions, Digests) {
        self.is_over.store(true, Ordering::SeqCst);
        let unsaved = self.lock().unsaved.take();
        for part in unsaved {
            match self.history.reserve() {
                Ok(place) => drop(place.record(Record::Filters(part))),
                Err(Full) => tracing::warn!(filters = part.len(), "not saved: the history cannot keep up"),
            }
        }
        let inner = self.lock();
        (inner.house.versions(), inner.house.digests())
    }

    /// When [`Hub::tick`] and [`Hub::save_filters`] are to be called next, which [`Hub::run_clock`]
    /// does.
    pub fn next_deadline(&self) -> Option<Instant> {
        let mut inner = self.lock();
        inner.alarm = inner.next_deadline();
        inner.alarm
    }

    /// Ends what has come to its time: requests that were held long enough, channels that nobody asked for.
    pub fn tick(&self, now: Instant) -> Deliveries {
        let mut inner = self.lock();
        let ticked = inner.house.tick(now);
        let crowd_has_left = Self::has_left(&mut inner.ended, ticked.ended.len());
        let at = self.history.clock().now();
        for token in ticked.ended {
            inner.unsaved.end(token, at, now);
        }
        let timed_out = inner.take(vec![ticked.timed_out]);
        // Behind them there are no channels any more.
        let places = inner.house.places();
        inner.held.truncate(places);
        inner.held.give_back_slack();
        drop(inner);
        if crowd_has_left {
            tokio::spawn(airing::air());
        }
        timed_out
    }

    /// Has the filters saved that are due, as far as the history has places for them. Those that were given to it
    /// before must be on the disk: while that takes none, they wait where there is one of each channel.
    pub fn save_filters(&self, now: Instant) {
        let mut inner = self.lock();
        if inner.unsaved.due().is_none_or(|due| due > now) {
            return;
        }
        inner.saving.retain_mut(Acknowledgement::is_pending);
        if !inner.saving.is_empty() {
            inner.unsaved.put_off(now);
            return;
        }
        let parts = inner.unsaved.take();
        drop(inner);
        for part in parts {
            match self.history.reserve_spare() {
                Some(place) => {
                    let saved = place.record(Record::Filters(part));
                    self.lock().saving.push(saved);
                }
                None => self.lock().unsaved.keep(part, now),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|_| {
            // A verb panicked half way: the state can be trusted no more. What was acknowledged is in
            // the history, and the next start has it (reliability.md O5).
            health::abort("the state was left half changed by a panic")
        })
    }
}

impl Inner {
    fn next_deadline(&self) -> Option<Instant> {
        [self.house.next_deadline(), self.unsaved.due()].into_iter().flatten().min()
    }

    /// Whether a deadline comes earlier than the clock expects.
    fn is_early(&self) -> bool {
        let next = self.next_deadline();
        self.alarm.is_none_or(|alarm| next.is_some_and(|next| next < alarm))
    }

    fn keep(&mut self, channel: ChannelId, hold: HoldId, recipient: Box<dyn Recipient>) {
        let place = channel.slot();
        if self.held.len() <= place {
            self.held.resize_with(place + 1, || None);
        }
        if let Some(held) = self.held.get_mut(place) {
            *held = Some((hold, recipient));
        }
    }

    fn take(&mut self, deliveries: Vec<Delivery>) -> Deliveries {
        let with_recipients = |delivery: Delivery| {
            let take =
                |(channel, hold): &(ChannelId, HoldId)| Some((*channel, self.take_one(*channel, *hold)?));
            let recipients = delivery.to.iter().filter_map(take).collect();
            (delivery, recipients)
        };
        Deliveries { all: deliveries.into_iter().map(with_recipients).collect(), counted: None }
    }

    fn take_one(&mut self, channel: ChannelId, hold: HoldId) -> Option<Box<dyn Recipient>> {
        let place = self.held.get_mut(channel.slot())?;
        match place {
            Some((of, _)) if *of == hold => place.take().map(|(_, recipient)| recipient),
            _ => None,
        }
    }
}

/// The name of this daemon among those that follow one another. Without random bits, the time will do: it is no
/// secret.
fn draw_id() -> InstanceId {
    let mut bits = [0; 16];
    if getrandom::fill(&mut bits).is_err() {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        bits = (since.as_nanos() ^ u128::from(std::process::id()) << 96).to_be_bytes();
    }
    InstanceId::from_random(bits)
}

/// Now, as the history has it where nobody has set its clock: what doors and feeds stamp on what they are told.
pub fn wall_clock() -> Timestamp {
    Clock::System.now()
}

#[cfg(test)]
mod tests;
