//! A master that this daemon mirrors: the task that follows it, as any client would, and hands the hub what it hears.
//!
//! States go the way of pushes, so that the history and the fan-out know no difference, and a snapshot that says what
//! is known already changes nothing. What the master does not name is never cleared (reliability.md M1 to M4).

mod heard;
mod kept;
mod look;
mod presence;
#[cfg(test)]
mod tests;

use crate::client::{Client, Event, Server};
use crate::core::lineage::{Lineage, Tangle};
use crate::core::pc::{Occupation, PcName};
use crate::core::push::{Push, Refused};
use crate::core::source::Source;
use crate::hub::{Deliveries, Hub, Place, wall_clock};
use crate::wire::client::{Message, Reply};
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use kept::{Keeper, Words};
use presence::Presence;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use crate::client::{BadAddress, Pace};
pub use look::Found;

/// How long after a defect of ours all begins anew.
const RECOVERY: Duration = Duration::from_secs(60);

/// The longest answer of a master that is read, in bytes.
pub const LARGEST: usize = Server::MAX_REPLY;

/// How many times the longest pause between two requests passes, until a master is asked again that has turned this
/// daemon away: once in ten minutes, where nothing else is set. Whoever mends a loop mends it at one of its daemons.
const TURNED_AWAY: u32 = 10;

/// How soon the hub is asked again that cannot take more, since its history is full.
const AGAIN: Duration = Duration::from_secs(1);

/// Whom to follow, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    server: Server,
    source: Source,
    pace: Pace,
    stale: Duration,
    takes_schedule: bool,
    zone: watch::Receiver<Tz>,
    keeps: Option<PathBuf>,
    recalled: Option<Words>,
}

/// Tells what time it is.
pub type Clock = fn() -> DateTime<Utc>;

impl Plan {
    /// To follow the daemon at `url`. Where `authorities` are given, one of them must have signed its certificate. Its
    /// states stand here as those of `source`. It has to answer within `timeout`, and is asked again after a failure
    /// at this pace; when it has been silent for `stale`, what is served is called so.
    ///
    /// # Errors
    /// When that is no address of a daemon.
    pub fn new(
        url: &str,
        authorities: Option<&Path>,
        source: Source,
        timeout: Duration,
        pace: Pace,
        stale: Duration,
    ) -> Result<Plan, BadAddress> {
        Ok(Plan {
            server: Server::trusting(url, timeout, authorities)?,
            source,
            pace,
            stale,
            takes_schedule: true,
            zone: watch::Sender::new(Tz::UTC).subscribe(),
            keeps: None,
            recalled: None,
        })
    }

    /// The same, where a day begins at midnight in `zone`, which may become another: reservations are those of a day.
    #[must_use]
    pub fn in_days_of(self, zone: watch::Receiver<Tz>) -> Plan {
        Plan { zone, ..self }
    }

    /// The same, and what the master says beside the states is kept in a file of this name.
    #[must_use]
    pub fn kept_at(self, path: PathBuf) -> Plan {
        Plan { keeps: Some(path), ..self }
    }

    /// Has `hub` show what was kept of the master, as far as it is of today; before the first is served.
    pub async fn recall(&mut self, hub: &Hub, now: DateTime<Utc>) {
        let read = self.keeps.as_deref().and_then(|path| kept::read(path, &self.address()));
        let Some(mut words) = read else { return };
        if let Ok(place) = hub.reserve() {
            hub.follow(&words.lead, place, Instant::now()).0.send().await;
        }
        let is_today = words.day == Some(self.day(now));
        words.schedule = words.schedule.filter(|_| is_today && self.takes_schedule);
        if let (Some(schedule), Ok(place)) = (&words.schedule, hub.reserve()) {
            hub.set_schedule(schedule, place, Instant::now()).send().await;
        }
        tracing::info!(
            rooms = words.lead.rooms.len(),
            "what the master said before the start is shown until it is heard"
        );
        self.recalled = Some(words);
    }

    fn day(&self, now: DateTime<Utc>) -> NaiveDate {
        now.with_timezone(&*self.zone.borrow()).date_naive()
    }

    /// The same, but for what is reserved: the setup has timetables of its own.
    #[must_use]
    pub fn without_schedule(self) -> Plan {
        Plan { takes_schedule: false, ..self }
    }

    /// The address, as it may be shown.
    pub fn address(&self) -> String {
        self.server.address()
    }
}

/// Follows until `shutdown`. A panic ends what is under way, and not the task.
pub async fn run(plan: Plan, hub: Arc<Hub>, clock: Clock, shutdown: CancellationToken) {
    loop {
        let following = Task::new(&plan, hub.clone(), clock, shutdown.clone()).run();
        if tokio::spawn(following).await.is_ok() {
            return;
        }
        tracing::error!("the task that follows the master has failed, by a defect of tkbd; it begins anew");
        if shutdown.run_until_cancelled(tokio::time::sleep(RECOVERY)).await.is_none() {
            return;
        }
    }
}

struct Task {
    client: Client,
    presence: Presence,
    hub: Arc<Hub>,
    plan: Plan,
    clock: Clock,
    /// Its rooms, tags and reservations, as last heard.
    words: Words,
    keeper: Keeper,
    shutdown: CancellationToken,
    /// How many entries of a reply were left out when that was last said.
    told_left_out: usize,
}

impl Task {
    fn new(plan: &Plan, hub: Arc<Hub>, clock: Clock, shutdown: CancellationToken) -> Task {
        let recalled = plan.recalled.clone();
        Task {
            client: Client::of_mirror(plan.server.clone(), hub.lineage().own(), plan.pace),
            presence: Presence::new(hub.clone(), plan.address(), plan.stale),
            hub,
            plan: plan.clone(),
            clock,
            words: recalled.clone().unwrap_or_default(),
            keeper: Keeper::new(plan.keeps.clone(), plan.address(), recalled),
            shutdown,
            told_left_out: 0,
        }
    }

    async fn run(mut self) {
        while let Some(event) = self.next().await {
            let outcome = match event {
                Event::Heard(reply) => match self.check_lineage() {
                    Ok(()) => {
                        self.presence.heard();
                        self.take(reply).await;
                        Ok(())
                    }
                    Err(why) => Err(why),
                },
                Event::Down { why, .. } if self.client.is_turned_away() => Err(why),
                Event::Down { why, retry_in } => {
                    self.presence.lost(&why, retry_in);
                    self.forget_yesterday().await;
                    Ok(())
                }
            };
            if let Err(why) = outcome {
                self.hub.set_lineage(Lineage::of(self.hub.lineage().own().clone()));
                let pause = self.client.pause(TURNED_AWAY);
                self.presence.stopped(&why, pause);
                self.forget_yesterday().await;
            }
        }
        self.keeper.end().await;
    }

    /// Reservations are told without their day. While the master is silent it does not say that another has begun.
    async fn forget_yesterday(&mut self) {
        let is_over = self.words.day.is_some_and(|day| day != self.plan.day((self.clock)()));
        let is_shown = self.words.schedule.as_ref().is_some_and(|schedule| !schedule.is_empty());
        if !is_over || !is_shown || !self.plan.takes_schedule {
            return;
        }
        if let Ok(place) = self.hub.reserve() {
            self.words.schedule = None;
            self.hub.set_schedule(&HashMap::new(), place, Instant::now()).send().await;
            tracing::warn!(
                "the day is over whose reservations the master told; none are shown until it is heard"
            );
        }
    }

    /// What the master says next; none at the shutdown.
    async fn next(&mut self) -> Option<Event> {
        // A request is not given up for the sake of telling that the master is silent: what it would have been
        // answered is lost.
        let mut next = std::pin::pin!(self.client.next());
        loop {
            let (stale, due) = (self.presence.stale_at(), self.keeper.due());
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                event = &mut next => return Some(event),
                () = tokio::time::sleep_until(stale.unwrap_or_else(Instant::now).into()), if stale.is_some() => {
                    self.presence.stale();
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    self.keeper.write(Instant::now());
                }
            }
        }
    }

    /// Whether this daemon may follow one that stands where the master says it does.
    fn check_lineage(&self) -> Result<(), String> {
        let known = self.hub.lineage();
        let now = match self.client.lineage() {
            Some(master) => known.behind(master).map_err(|tangle: Tangle| tangle.to_string())?,
            None => Lineage::of(known.own().clone()),
        };
        if now != known {
            self.hub.set_lineage(now);
        }
        Ok(())
    }

    async fn take(&mut self, reply: Reply) {
        let day = Some(self.plan.day((self.clock)()));
        let mut is_news = self.words.day != day;
        self.words.day = day;
        let mut left_out = reply.bad_entries + reply.bad_messages;
        for message in reply.messages {
            is_news |= matches!(
                message,
                Message::RoomMap { .. } | Message::TagMap { .. } | Message::Schedule { .. }
            );
            left_out += match message {
                Message::RoomMap { rooms, .. } => {
                    let all = rooms.len();
                    self.words.lead.rooms = heard::rooms(rooms);
                    all - self.words.lead.rooms.len() + self.follow().await
                }
                Message::TagMap { tags, .. } => {
                    let (tags, beyond) = heard::tags(tags);
                    self.words.lead.tags = Some(tags);
                    beyond + self.follow().await
                }
                Message::Schedule { rooms, .. } if self.plan.takes_schedule => {
                    let schedule = heard::schedule(rooms);
                    if let Some(place) = self.place().await {
                        self.hub.set_schedule(&schedule, place, Instant::now()).send().await;
                    }
                    self.words.schedule = Some(schedule);
                    0
                }
                Message::Occupation { states, .. } | Message::Update { states, .. } => {
                    self.push(heard::states(states)).await
                }
                Message::Welcome
                | Message::Tags { .. }
                | Message::Schedule { .. }
                | Message::History { .. } => 0,
            };
        }
        if is_news {
            self.keeper.note(&self.words, Instant::now());
        }
        // The same again is not news.
        if left_out > 0 && left_out != self.told_left_out {
            tracing::warn!(left_out, "what the master said was taken over without some of it");
        }
        self.told_left_out = left_out;
    }

    async fn follow(&self) -> usize {
        let Some(place) = self.place().await else { return 0 };
        let (deliveries, skipped) = self.hub.follow(&self.words.lead, place, Instant::now());
        deliveries.send().await;
        skipped
    }

    /// Takes over states; those that have no place are left out, and counted.
    async fn push(&self, mut states: Vec<(PcName, Occupation)>) -> usize {
        let Some(place) = self.place().await else { return 0 };
        let refused = match self.try_push(states.clone(), place) {
            Ok(deliveries) => {
                deliveries.send().await;
                return 0;
            }
            Err(refused) => refused,
        };
        let Refused::Pcs { names } = refused else { return states.len() };
        let placeless: HashSet<PcName> = names.into_iter().map(|(name, _)| name).collect();
        states.retain(|(name, _)| !placeless.contains(name));
        let Some(place) = self.place().await else { return placeless.len() };
        match self.try_push(states, place) {
            Ok(deliveries) => deliveries.send().await,
            // Another push has just taken the last places: the next snapshot has all of it again.
            Err(_) => tracing::debug!("there is no place for new PCs of the master"),
        }
        placeless.len()
    }

    fn try_push(&self, states: Vec<(PcName, Occupation)>, place: Place) -> Result<Deliveries, Refused> {
        let Ok(push) = Push::new(self.plan.source.clone(), wall_clock(), states) else {
            // Unreachable: each stands there once.
            return Ok(Deliveries::default());
        };
        Ok(self.hub.push(push, place, Instant::now())?.deliveries)
    }

    /// A place in the history, waited for as long as it takes: a mirror has nobody whom it could refuse. None at the
    /// shutdown.
    async fn place(&self) -> Option<Place> {
        loop {
            if let Ok(place) = self.hub.reserve() {
                return Some(place);
            }
            tracing::debug!("the history is full; what the master says has to wait");
            self.shutdown.run_until_cancelled(tokio::time::sleep(AGAIN)).await?;
        }
    }
}
