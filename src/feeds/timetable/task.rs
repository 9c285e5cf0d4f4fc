//! The task that pulls, and hands the schedule of the day to the hub. Never part of a push.

use super::Room;
use super::board::{Board, Feed, Pace, Pulled};
use super::closures::Closures;
use super::day::Day;
use crate::health::Condition;
use crate::hub::Hub;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long after a room appeared its reservations are asked for: others appear with it.
const SETTLED: Duration = Duration::from_secs(5);

/// How often that may happen. A source that makes up rooms must not drive us against other people's servers.
const BETWEEN: Duration = Duration::from_secs(60);

/// How long the task sleeps at most: the wall clock may be set, and machines sleep (reliability.md K1).
const NAP: Duration = Duration::from_secs(30);

/// How long after a defect of ours all begins anew.
const RECOVERY: Duration = Duration::from_secs(60);

/// What there is to pull, and when a day begins.
#[derive(Clone)]
pub struct Plan {
    /// The providers.
    pub feeds: Vec<Feed>,
    /// What the setup itself says.
    pub closures: Arc<Closures>,
    /// How often.
    pub pace: Pace,
    /// In whose days.
    pub zone: Tz,
}

impl Plan {
    /// Its providers, none of which has been asked.
    pub fn board(&self, now: Instant) -> Board {
        Board::new(&self.feeds, self.closures.clone(), self.pace, now)
    }
}

/// Tells what time it is.
pub type Clock = fn() -> DateTime<Utc>;

/// Pulls what `plans` has, and nothing while that is none, until `shutdown`. A panic ends what is under way, and not
/// the task.
pub async fn run(
    mut plans: watch::Receiver<Option<Plan>>,
    hub: Arc<Hub>,
    clock: Clock,
    shutdown: CancellationToken,
) {
    loop {
        let plan = plans.borrow_and_update().clone();
        let Some(plan) = plan else {
            match shutdown.run_until_cancelled(plans.changed()).await {
                Some(Ok(())) => continue,
                // There will be no plan.
                Some(Err(_)) | None => return,
            }
        };
        // It looks at the token between its steps: a schedule that is being told is told to the end.
        let pulling = Task::new(&plan, plans.clone(), hub.clone(), clock).run(shutdown.clone());
        if tokio::spawn(pulling).await.is_ok() {
            return;
        }
        tracing::error!("the task of the timetables has failed, by a defect of tkbd; it begins anew");
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RECOVERY) => {}
        }
    }
}

struct Task {
    board: Board,
    plans: watch::Receiver<Option<Plan>>,
    hub: Arc<Hub>,
    clock: Clock,
    zone: Tz,
    /// The day that is shown.
    day: Day,
    /// When those rooms are asked for that have appeared.
    newcomers: Option<Instant>,
    last_newcomers: Option<Instant>,
    /// The hub has not taken the newest yet.
    is_unpublished: bool,
}

impl Task {
    fn new(plan: &Plan, plans: watch::Receiver<Option<Plan>>, hub: Arc<Hub>, clock: Clock) -> Task {
        forget(&hub);
        Task {
            board: plan.board(now()),
            plans,
            hub,
            clock,
            zone: plan.zone,
            day: Day::at(clock(), plan.zone),
            newcomers: None,
            last_newcomers: None,
            is_unpublished: true,
        }
    }

    async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let now = now();
            let today = Day::at((self.clock)(), self.zone);
            if today != self.day {
                // What is known of the new day is shown at once, and then asked for.
                self.day = today;
                self.is_unpublished = true;
                self.board.expire(now);
            }
            if self.newcomers.is_some_and(|at| at <= now) {
                self.newcomers = None;
                self.last_newcomers = Some(now);
                self.board.expire(now);
            }
            let rooms = self.rooms();
            self.board.start(self.day, &rooms, now);
            if self.is_unpublished {
                self.publish(&rooms).await;
            }
            let wake = self.next(now);
            tokio::select! {
                () = shutdown.cancelled() => return,
                pulled = self.board.next(self::now, chance), if self.board.is_busy() => {
                    self.is_unpublished |= pulled.is_some_and(|pulled| self.take(&pulled));
                }
                () = self.hub.room_appeared() => {
                    let allowed = self.last_newcomers.map_or(now, |last| last + BETWEEN);
                    self.newcomers.get_or_insert(allowed.max(self::now() + SETTLED));
                    // Closures of all rooms, and bookings under its key, are known already.
                    self.is_unpublished = true;
                }
                Ok(()) = self.plans.changed() => self.replan(),
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    /// Tells how a pull went; returns whether it has brought anything new.
    fn take(&self, pulled: &Pulled) -> bool {
        let (health, number) = (self.hub.health(), pulled.index + 1);
        health.conditions.set(&Condition::timetable_failed(number, &pulled.label), !pulled.is_good);
        if pulled.is_good {
            health.feeds.timetable(number, Instant::now());
        }
        pulled.is_news
    }

    /// The setup is another.
    fn replan(&mut self) {
        let plan = self.plans.borrow_and_update().clone();
        if let Some(plan) = plan {
            forget(&self.hub);
            self.board.replan(&plan.feeds, plan.closures, plan.pace, now());
            self.zone = plan.zone;
            self.is_unpublished = true;
        }
    }

    fn next(&self, now: Instant) -> Instant {
        let midnight = (self.day.end() - (self.clock)()).to_std().unwrap_or_default();
        // The hub takes nothing while its history is full; that is looked at every second.
        let nap = if self.is_unpublished { Duration::from_secs(1) } else { NAP };
        let times = [Some(now + nap), Some(now + midnight), self.board.next_due(), self.newcomers];
        times.into_iter().flatten().min().unwrap_or(now).max(now)
    }

    fn rooms(&self) -> Arc<[Room]> {
        self.hub.rooms().into_iter().map(|(key, name)| Room { key, name }).collect()
    }

    async fn publish(&mut self, rooms: &[Room]) {
        let schedule = self.board.schedule(self.day, rooms);
        if let Ok(place) = self.hub.reserve() {
            self.is_unpublished = false;
            self.hub.set_schedule(&schedule, place, Instant::now()).send().await;
        }
    }
}

/// Tokio's, so that tests can let time pass.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without chance, all is well too: it spreads the load of many.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// Others are numbered otherwise.
fn forget(hub: &Hub) {
    hub.health().feeds.forget_timetables();
    hub.health().conditions.forget("timetable_");
}

#[cfg(test)]
mod tests;
