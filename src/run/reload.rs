//! A setup that is read again while the daemon runs: all of it counts, or nothing of it (faults.md O1).
//!
//! Everything that can fail is done first: the file is read and resolved, the timetables are made, a place in the
//! history is had. Only then anything changes, and that cannot fail.

use super::supervisor;
use super::terms::{self, Doors};
use super::timetables::{self, BadTimetable};
use super::tls::{BadTls, Certificates};
use crate::core::state::Rearranged;
use crate::feeds::timetable::task;
use crate::hub::Hub;
use crate::setup::{Difference, Log, Setup, SetupError};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long reading the setup may take. A disk of the network may hang, and a pipe has nobody at its other end.
const READING: Duration = Duration::from_secs(10);

/// How many may wait for their turn.
const WAITING: usize = 8;

/// Has a running daemon read its setup again; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reload(mpsc::Sender<Order>);

/// Who orders is told what came of it.
type Order = oneshot::Sender<Result<Applied, NotReloaded>>;

/// What came of reading the setup again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// What has changed, by its keys.
    pub difference: Difference,
    /// How many rooms are shown otherwise now.
    pub rooms: usize,
    /// How many PCs stand in another room now.
    pub moved: usize,
    /// How many held requests were answered with that.
    pub told: usize,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { now, later } = &self.difference;
        match now.as_slice() {
            [] if later.is_empty() => return f.write_str("nothing has changed"),
            [] => f.write_str("nothing has changed for now")?,
            now => write!(f, "changed: {}", now.join(", "))?,
        }
        if self.rooms > 0 {
            let Applied { rooms, moved, told, .. } = self;
            write!(f, "; rooms shown otherwise: {rooms}, PCs moved: {moved}, requests answered: {told}")?;
        }
        if later.is_empty() {
            Ok(())
        } else {
            write!(f, "; takes effect at the next start: {}", later.join(", "))
        }
    }
}

/// Why all is as it was.
#[derive(Debug, thiserror::Error)]
pub enum NotReloaded {
    /// The setup has mistakes: what `tkbd check` says of it, a line each.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A certificate that is to take the place of another is of no use.
    #[error(transparent)]
    Tls(#[from] BadTls),
    /// A timetable can never be had.
    #[error(transparent)]
    Timetable(#[from] BadTimetable),
    /// It is on a disk that does not answer.
    #[error("reading the setup takes longer than {} s", READING.as_secs())]
    Hangs,
    /// It cannot be read, by a defect of ours.
    #[error("reading the setup failed, by a defect of tkbd")]
    Crashed,
    /// Changes cannot be recorded now.
    #[error("the history cannot keep up, and its backlog is full")]
    Full,
    /// The level of the log cannot be changed.
    #[error("log.level: {0}")]
    Log(String),
    /// The daemon is about to end, or has not begun.
    #[error("the daemon is stopping")]
    Stopping,
}

impl Reload {
    /// Has the setup read again; several at once have their turns.
    ///
    /// # Errors
    /// When it cannot be had; then nothing has changed.
    pub async fn reload(&self) -> Result<Applied, NotReloaded> {
        let (order, outcome) = oneshot::channel();
        self.0.send(order).await.map_err(|_| NotReloaded::Stopping)?;
        outcome.await.unwrap_or(Err(NotReloaded::Stopping))
    }
}

/// Has the log be as this says.
type SetLog = Box<dyn Fn(&Log) -> Result<(), String> + Send + Sync>;

/// The other end of a [`Reload`], which the daemon serves.
pub struct Reloads {
    orders: mpsc::Receiver<Order>,
    handle: Reload,
    load: Arc<dyn Fn() -> Result<Setup, SetupError> + Send + Sync>,
    set_log: SetLog,
}

impl Reloads {
    /// The other end.
    pub(super) fn handle(&self) -> Reload {
        self.handle.clone()
    }
}

/// A handle, and its other end. `load` reads the setup again, from where it was read before; `set_log` has the log
/// be as its argument says, or says why that cannot be, and changes nothing.
pub fn reloads(
    load: impl Fn() -> Result<Setup, SetupError> + Send + Sync + 'static,
    set_log: impl Fn(&Log) -> Result<(), String> + Send + Sync + 'static,
) -> (Reload, Reloads) {
    let (handle, orders) = mpsc::channel(WAITING);
    let handle = Reload(handle);
    (handle.clone(), Reloads { orders, handle, load: Arc::new(load), set_log: Box::new(set_log) })
}

/// What a running daemon is made of, as far as another setup changes it.
pub(super) struct Running {
    pub(super) setup: Setup,
    pub(super) hub: Arc<Hub>,
    pub(super) doors: Doors,
    pub(super) certificates: Certificates,
    /// Its timetables, and who is told of others.
    pub(super) timetables: task::Plan,
    pub(super) plans: watch::Sender<Option<task::Plan>>,
}

/// Serves the orders until `shutdown`.
pub(super) async fn serve(mut reloads: Reloads, mut running: Running, shutdown: CancellationToken) {
    let mut reading = None;
    while let Some(Some(order)) = shutdown.run_until_cancelled(reloads.orders.recv()).await {
        let loaded = shutdown.run_until_cancelled(load(&reloads, &mut reading)).await;
        supervisor::reloading();
        let outcome = match loaded.unwrap_or(Err(NotReloaded::Stopping)) {
            Ok(setup) => running.apply(*setup, &reloads.set_log).await,
            Err(why) => Err(why),
        };
        supervisor::ready(if outcome.is_ok() {
            "serving, reloaded"
        } else {
            "serving; a reload was refused"
        });
        tell(&outcome);
        // Who ordered it may have left since.
        let _ = order.send(outcome);
    }
}

type Reading = JoinHandle<Result<Setup, SetupError>>;

/// Reads the setup on a thread that may block. One that hangs is not given up: where it does, the next has to wait
/// for it, so that no more than one ever does.
async fn load(reloads: &Reloads, reading: &mut Option<Reading>) -> Result<Box<Setup>, NotReloaded> {
    if let Some(hangs) = reading.as_mut()
        && timeout(READING, hangs).await.is_err()
    {
        return Err(NotReloaded::Hangs);
    }
    let load = reloads.load.clone();
    let mut now = tokio::task::spawn_blocking(move || load());
    match timeout(READING, &mut now).await {
        Ok(loaded) => {
            *reading = None;
            Ok(Box::new(loaded.map_err(|_| NotReloaded::Crashed)??))
        }
        Err(_) => {
            *reading = Some(now);
            Err(NotReloaded::Hangs)
        }
    }
}

impl Running {
    /// Goes by another setup from now on.
    async fn apply(&mut self, setup: Setup, set_log: &SetLog) -> Result<Applied, NotReloaded> {
        let (setup, difference) = self.setup.reloaded(setup);
        // They are read again whatever else has changed: their files are others, and not their names.
        self.certificates.check()?;
        if difference.now.is_empty() {
            self.certificates.reload();
            return Ok(Applied { difference, ..Applied::default() });
        }
        let timetables = timetables::replan(&setup, &self.setup, &self.timetables)?;
        let place = self.hub.reserve().map_err(|_| NotReloaded::Full)?;
        set_log(&setup.log).map_err(NotReloaded::Log)?;

        self.certificates.reload();
        self.hub.count_history(setup.timezone, setup.history.keep);
        self.doors.set(&setup);
        let (plan, terms) = (terms::plan(&setup), terms::house(&setup));
        let (change, deliveries) = self.hub.reload(plan, terms, place, Instant::now());
        let told = deliveries.len();
        deliveries.send().await;
        let is_scheduled = self.plans.borrow().is_some() || setup.has_schedule();
        if is_scheduled && concerns_timetables(&self.setup, &setup) {
            self.plans.send_replace(Some(timetables.clone()));
        }
        (self.setup, self.timetables) = (setup, timetables);
        let (rooms, moved) = change.map_or((0, 0), |change: Rearranged| (change.rooms, change.moved));
        Ok(Applied { difference, rooms, moved, told })
    }
}

/// Whether something is another that a timetable is made of; they are asked by the names of rooms.
fn concerns_timetables(old: &Setup, new: &Setup) -> bool {
    old.timezone != new.timezone
        || old.schedule != new.schedule
        || old.timetables != new.timetables
        || old.closures != new.closures
        || old.opening_hours != new.opening_hours
        || old.rooms != new.rooms
        || old.rules != new.rules
}

/// One line of the log has no more characters than this (faults.md O6).
const LINE: usize = 256;

fn tell(outcome: &Result<Applied, NotReloaded>) {
    let shown = |text: &str| text.chars().take(LINE).collect::<String>();
    match outcome {
        Ok(applied) if applied.difference.later.is_empty() => {
            tracing::info!(what = shown(&applied.to_string()), "setup reloaded");
        }
        Ok(applied) => tracing::warn!(what = shown(&applied.to_string()), "setup reloaded in part"),
        Err(why) => {
            // A mistake a line.
            for why in why.to_string().lines() {
                tracing::error!(why = shown(why), "setup not reloaded; all stays as it is");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::house::House;
    use crate::core::state::Remains;
    use crate::history::{self, Options};
    use crate::setup::load;

    #[tokio::test]
    async fn o1_what_could_not_be_recorded_changes_nothing_and_two_at_once_have_their_turns() {
        let dir = tempfile::tempdir().unwrap();
        let setup = |text: &str| {
            let file = dir.path().join("setup.toml");
            std::fs::write(&file, text).unwrap();
            load(Some(&file), std::iter::empty(), &[]).unwrap()
        };
        let (old, new) = (setup(""), setup("[[room]]\nkey = \"a\"\n[http]\nhold = \"5s\"\n"));
        let options = Options { backlog: 1, ..Options::at(&dir.path().join("history.sqlite3")) };
        let (history, _) = history::open(&options).unwrap();
        let house = House::new(terms::plan(&old), Remains::default(), None, terms::house(&old));
        let hub = Arc::new(Hub::new(house, history));
        let running = Running {
            certificates: super::super::tls::open(&old).unwrap(),
            hub: hub.clone(),
            doors: Doors::of(&old),
            timetables: timetables::plan(&old).unwrap(),
            plans: watch::Sender::new(None),
            setup: old,
        };
        let (reload, reloads) = reloads(move || Ok(new.clone()), |_| Ok(()));
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(reloads, running, shutdown.clone()));

        let taken = hub.reserve().unwrap();
        let before = (hub.versions(), hub.rooms());
        assert!(matches!(reload.reload().await, Err(NotReloaded::Full)));
        assert_eq!((hub.versions(), hub.rooms()), before);
        drop(taken);
        let (one, two) = tokio::join!(reload.reload(), reload.reload());
        assert_eq!(
            one.unwrap().to_string(),
            "changed: http.hold, rooms; rooms shown otherwise: 1, PCs moved: 0, requests answered: 0"
        );
        assert_eq!(two.unwrap().to_string(), "nothing has changed");
        assert_eq!(hub.rooms().len(), before.1.len() + 1);
        shutdown.cancel();
        serving.await.unwrap();
        assert!(matches!(reload.reload().await, Err(NotReloaded::Stopping)));
    }
}
