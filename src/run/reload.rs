//! A setup that is read again while the daemon runs: all of it counts, or nothing of it (reliability.md O1).
//!
//! Everything that can fail is done first: the file is read and resolved, the timetables are made, a place in the
//! history is had. Only then anything changes, and that cannot fail.

use super::supervisor;
use super::terms::{self, Doors};
use super::timetables;
use super::tls::Certificates;
use crate::core::state::Rearranged;
use crate::doors::http::certificate::{BadPair, Fresh};
use crate::feeds::timetable::task;
use crate::hub::Hub;
use crate::setup::{Difference, Log, Setup, SetupError};
use chrono_tz::Tz;
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
    /// Certificates that are of no use, by their tables, and why: those before them are served on.
    pub refused: Vec<(&'static str, BadPair)>,
    /// How many rooms are shown otherwise now.
    pub rooms: usize,
    /// How many PCs stand in another room now.
    pub moved: usize,
    /// How many held requests were answered with that.
    pub told: usize,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { now, renewed, later } = &self.difference;
        let renewed = renewed.iter().map(|table| format!("the certificate of {table}"));
        let now: Vec<String> = now.iter().map(ToString::to_string).chain(renewed).collect();
        match now.as_slice() {
            [] if later.is_empty() => f.write_str("nothing has changed")?,
            [] => f.write_str("nothing has changed for now")?,
            now => write!(f, "changed: {}", now.join(", "))?,
        }
        if self.rooms > 0 {
            let Applied { rooms, moved, told, .. } = self;
            write!(f, "; rooms shown otherwise: {rooms}, PCs moved: {moved}, requests answered: {told}")?;
        }
        if !later.is_empty() {
            write!(f, "; takes effect at the next start: {}", later.join(", "))?;
        }
        self.refused
            .iter()
            .try_for_each(|(table, why)| write!(f, "; the certificate of {table} stays as it is: {why}"))
    }
}

/// Why all is as it was.
#[derive(Debug, thiserror::Error)]
pub enum NotReloaded {
    /// The setup has mistakes: what `tkbd check` says of it, a line each.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// It is on a disk that does not answer.
    #[error("reading the setup and its certificates takes longer than {} s", READING.as_secs())]
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

impl NotReloaded {
    /// Whether it is the setup that has to be mended.
    pub fn is_mistake(&self) -> bool {
        match self {
            NotReloaded::Setup(_) | NotReloaded::Log(_) => true,
            NotReloaded::Hangs | NotReloaded::Crashed | NotReloaded::Full | NotReloaded::Stopping => false,
        }
    }
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
    /// In whose days the reservations of a master are.
    pub(super) zone: watch::Sender<Tz>,
}

/// Serves the orders until `shutdown`.
pub(super) async fn serve(mut reloads: Reloads, mut running: Running, shutdown: CancellationToken) {
    let mut reading = None;
    while let Some(Some(order)) = shutdown.run_until_cancelled(reloads.orders.recv()).await {
        let load = load(&reloads, &running.certificates, &mut reading);
        let Some(loaded) = shutdown.run_until_cancelled(load).await else {
            // Who ordered it is told when all of this is dropped.
            return tell(&Err(NotReloaded::Stopping));
        };
        supervisor::reloading();
        let outcome = match loaded {
            Ok(loaded) => running.apply(*loaded, &reloads.set_log).await,
            Err(why) => Err(why),
        };
        // The service manager knows meanwhile that it ends, if it does.
        if !shutdown.is_cancelled() {
            supervisor::ready(if outcome.is_ok() {
                "serving, reloaded"
            } else {
                "serving; a reload was refused"
            });
        }
        tell(&outcome);
        // Who ordered it may have left since.
        let _ = order.send(outcome);
    }
}

/// What was read: nothing of it counts yet.
struct Loaded {
    setup: Setup,
    certificates: Vec<Fresh>,
}

type Reading = JoinHandle<Result<Loaded, NotReloaded>>;

/// Reads the setup on a thread that may block, and the certificates whatever else has changed: their files are others,
/// and not their names. One that hangs is not given up: where it does, the next has to wait
/// for it, so that no more than one ever does.
async fn load(
    reloads: &Reloads,
    certificates: &Certificates,
    reading: &mut Option<Reading>,
) -> Result<Box<Loaded>, NotReloaded> {
    if let Some(hangs) = reading.as_mut()
        && timeout(READING, hangs).await.is_err()
    {
        return Err(NotReloaded::Hangs);
    }
    let (load, certificates) = (reloads.load.clone(), certificates.clone());
    let read = move || Ok(Loaded { setup: load()?, certificates: certificates.read() });
    let mut now = tokio::task::spawn_blocking(read);
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
    async fn apply(&mut self, loaded: Loaded, set_log: &SetLog) -> Result<Applied, NotReloaded> {
        let (setup, mut difference) = self.setup.reloaded(loaded.setup);
        if difference.now.is_empty() {
            let refused = take_certificates(loaded.certificates, &mut difference);
            return Ok(Applied { difference, refused, ..Applied::default() });
        }
        let timetables = timetables::replan(&setup, &self.setup, &self.timetables);
        let place = self.hub.reserve().map_err(|_| NotReloaded::Full)?;
        set_log(&setup.log).map_err(NotReloaded::Log)?;

        let refused = take_certificates(loaded.certificates, &mut difference);
        self.hub.count_history(setup.timezone, setup.history.keep);
        self.doors.set(&setup);
        self.zone.send_replace(setup.timezone);
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
        Ok(Applied { difference, refused, rooms, moved, told })
    }
}

/// Serves the certificates that are of use, and notes which of them are others; returns those that are not. A setup that
/// takes a token away must count, whatever has become of a certificate (reliability.md O8: the old one is kept, with an alarm).
fn take_certificates(certificates: Vec<Fresh>, difference: &mut Difference) -> Vec<(&'static str, BadPair)> {
    let mut refused = Vec::new();
    for certificate in certificates {
        let name = certificate.name();
        match certificate.serve() {
            Ok(true) => difference.renewed.push(name),
            Ok(false) => {}
            Err(why) => refused.push((name, why)),
        }
    }
    refused
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

/// One line of the log has no more characters than this (reliability.md O6).
const LINE: usize = 256;

fn tell(outcome: &Result<Applied, NotReloaded>) {
    let shown = |text: &str| text.chars().take(LINE).collect::<String>();
    match outcome {
        Ok(applied) if applied.difference.later.is_empty() && applied.refused.is_empty() => {
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
            timetables: timetables::plan(&old),
            plans: watch::Sender::new(None),
            zone: watch::Sender::new(old.timezone),
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
