//! From a setup to a daemon that serves, and to its end.

use crate::core::house::House;
use crate::core::state::Remains;
use crate::core::version::{Version, Versions};
use crate::doors::http::{Addresses, Places};
use crate::doors::ingest::Ingest;
use crate::doors::joyce::Joyce;
use crate::doors::{Porch, Web, api, events, health, insight, page};
use crate::feeds::master::{self, BadAddress};
use crate::feeds::timetable::task;
use crate::health::Condition;
use crate::history::{self, History, OpenError, Options, Restored};
use crate::hub::Hub;
use crate::listeners::Listeners;
use crate::setup::{EX_CONFIG, Setup};
use crate::shutdown;
use chrono::Utc;
use control::ControlError;
use reload::Running;
use sha2::{Digest, Sha256};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use terms::Doors;
use tls::Certificates;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) mod backup;
pub(crate) mod ceiling;
mod control;
pub(crate) mod descriptors;
pub(crate) mod export;
pub(crate) mod mirror;
mod reload;
mod supervisor;
mod terms;
pub(crate) mod timetables;
pub(crate) mod tls;

pub use reload::{Applied, NotReloaded, Reload, Reloads, reloads};

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Fewer files may be open than are needed.
    #[error(transparent)]
    Descriptors(#[from] descriptors::TooFewFiles),
    /// The history cannot be opened.
    #[error(transparent)]
    History(#[from] OpenError),
    /// The last changes could not be recorded, or the stop not be marked as clean.
    #[error(transparent)]
    Close(#[from] history::CloseError),
    /// The master can never be asked.
    #[error("the master cannot be followed: {0}")]
    Master(#[from] BadAddress),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] tls::BadTls),
    /// The control socket that the setup names cannot be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// It was opened by a thread that is gone.
    #[error("opening the history was interrupted")]
    Interrupted,
}

impl RunError {
    /// What the process is to exit with: [`EX_CONFIG`] where the setup asks for what cannot be had.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::History(
                OpenError::HeldByDaemon(_) | OpenError::HeldByProgram(_) | OpenError::Disk { .. },
            )
            | RunError::Close(_)
            | RunError::Interrupted => 1,
            RunError::Descriptors(_)
            | RunError::History(_)
            | RunError::Master(_)
            | RunError::Tls(_)
            | RunError::Control(_) => EX_CONFIG,
        }
    }
}

/// Finds what of the setup would keep a daemon from running, and touches nothing for it.
///
/// # Errors
/// When too few files may be open, the master can never be had, or there is no certificate for TLS.
pub fn check(setup: &Setup) -> Result<(), RunError> {
    descriptors::connections(setup)?;
    mirror::plan(setup)?;
    tls::can_open(setup)?;
    Ok(())
}

/// The same of a daemon that is to take the place of another: what would keep it from its history, too. It blocks.
///
/// # Errors
/// As of [`check`], and when the history cannot be gone on with.
pub(crate) fn check_before_taking_over(setup: &Setup) -> Result<(), RunError> {
    check(setup)?;
    if setup.history.enabled {
        history::probe(&setup.history.db)?;
    }
    Ok(())
}

/// Serves until `shutdown` is cancelled; then answers all that is held, records all that was applied,
/// and returns. Meanwhile the setup is read again whenever the other end of `reloads` asks for it.
///
/// # Errors
/// When the history cannot be opened, or not be closed in order; when the master can never be had; when there is no
/// certificate for TLS; and when too few files may be open.
pub async fn run(
    setup: Setup,
    listeners: Listeners,
    reloads: Reloads,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let connections = descriptors::connections(&setup)?;
    let timetables = timetables::plan(&setup);
    let master = mirror::plan(&setup)?;
    let certificates = tls::open(&setup)?;
    let (history, restored) = open_history(&setup, listeners.succeeds).await?;
    let hub = Hub::new(house(&setup, restored), history.clone());
    let hub = Arc::new(match epoch(&setup) {
        Some(epoch) => hub.of_epoch(epoch),
        None => hub,
    });
    hub.count_history(setup.timezone, setup.history.keep);
    let conditions = &hub.health().conditions;
    conditions.set(&Condition::STARTING, true);
    let porch = shutdown::porch(shutdown, &hub);
    let control = control::open(&setup, &listeners, &porch, reloads.handle()).await?;
    let timetables_shown = setup.has_schedule();
    let zone = watch::Sender::new(setup.timezone);
    let mut master = master.map(|master| {
        let master = master.in_days_of(zone.subscribe());
        if timetables_shown { master.without_schedule() } else { master }
    });
    if let Some(master) = &mut master {
        master.recall(&hub, Utc::now()).await;
    }
    let doors = open_doors(&setup, listeners, connections, &certificates, &hub, &porch);
    let plans = watch::Sender::new(timetables_shown.then(|| timetables.clone()));
    porch.tasks.spawn(task::run(plans.subscribe(), hub.clone(), Utc::now, porch.shutdown.clone()));

    if let Some(master) = master {
        porch.tasks.spawn(master::run(master, hub.clone(), Utc::now, porch.shutdown.clone()));
    }

    let running = Running { setup, hub: hub.clone(), doors, certificates, timetables, plans, zone };
    porch.tasks.spawn(reload::serve(reloads, running, porch.shutdown.clone()));

    let clock = tokio::spawn({
        let hub = hub.clone();
        async move { hub.run_clock().await }
    });
    let look = tokio::spawn({
        let hub = hub.clone();
        async move { hub.run_look().await }
    });
    conditions.set(&Condition::STARTING, false);
    let watchdog = tokio::spawn(supervisor::feed_watchdog(hub.clone()));
    supervisor::ready("serving");
    porch.shutdown.cancelled().await;
    conditions.set(&Condition::STOPPING, true);
    supervisor::stopping();
    shutdown::finish(&porch, &hub).await;
    clock.abort();
    look.abort();
    watchdog.abort();
    let (versions, digests) = hub.last_words();
    history.close(versions, digests).await?;
    tracing::info!("stopped");
    drop(control);
    Ok(())
}

async fn open_history(setup: &Setup, succeeds: bool) -> Result<(History, Restored), RunError> {
    if !setup.history.enabled {
        tracing::warn!("without a history: the states are lost at a restart");
        // Versions never fall, even so: they go on from a number that has grown since the last start.
        let since =
            Version(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64));
        let versions = Versions { occupation: since, room_map: since, schedule: since, tag_map: since };
        return Ok((History::none(), Restored { versions, ..Restored::default() }));
    }
    let options = Options { backlog: setup.history.backlog, ..Options::at(&setup.history.db) };
    // A thread that may block: an old database is rewritten now.
    let opened = tokio::task::spawn_blocking(move || open_at_last(&options, succeeds)).await;
    let (history, restored) = opened.map_err(|_| RunError::Interrupted)??;
    if let Some(adopted) = &restored.adopted {
        let copy = adopted.copy.display();
        tracing::info!(rows = adopted.rows, %copy, "adopted the database of the original; a copy of it is kept");
        for line in &adopted.damaged {
            tracing::warn!(damaged = %line, "kept in the history, but not in the state");
        }
    }
    let (pcs, db) = (restored.pcs.len(), setup.history.db.display());
    tracing::info!(pcs, occupation = restored.versions.occupation.0, %db, "history opened");
    Ok((history, restored))
}

/// Opens the history. That of a daemon which has just ended for this one may be held a moment longer.
fn open_at_last(options: &Options, succeeds: bool) -> Result<(History, Restored), OpenError> {
    const FOR: Duration = Duration::from_secs(5);
    let until = Instant::now() + FOR;
    loop {
        match history::open(options) {
            Err(OpenError::HeldByDaemon(_)) if succeeds && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

/// The same for every daemon that goes on with this history on this machine, and for hardly any other; none where
/// versions are not kept. A history that is moved has another, and its clients are told anew what they know.
fn epoch(setup: &Setup) -> Option<u32> {
    if !setup.history.enabled {
        return None;
    }
    // Machines of one image have one id, and others one name. /proc/sys is not there where the unit hides it.
    let id = std::fs::read("/etc/machine-id").unwrap_or_default();
    let host = rustix::system::uname();
    let db = std::fs::canonicalize(&setup.history.db).ok()?;
    let digest = Sha256::new()
        .chain_update(id)
        .chain_update(host.nodename().to_bytes())
        .chain_update(db.as_os_str().as_bytes())
        .finalize();
    digest.first_chunk().map(|first| u32::from_le_bytes(*first))
}

fn house(setup: &Setup, restored: Restored) -> House {
    let remains = Remains { pcs: restored.pcs, sources: restored.sources, versions: restored.versions };
    let mut house = House::new(terms::plan(setup), remains, restored.digests, terms::house(setup));
    house.set_since(restored.since);
    if setup.mirror.is_some() {
        house.set_following();
    }
    let now = Instant::now();
    // They come newest first, and the oldest are forgotten first.
    for (token, filter, ago) in restored.filters.into_iter().rev() {
        house.remember(token, filter, ago, now);
    }
    house
}

fn open_doors(
    setup: &Setup,
    listeners: Listeners,
    connections: usize,
    certificates: &Certificates,
    hub: &Arc<Hub>,
    porch: &Porch,
) -> Doors {
    for (door, addresses) in listeners.doors() {
        for addr in addresses {
            tracing::info!(door, %addr, "listening");
        }
    }
    let channels = setup.http.max_channels;
    tracing::info!(connections, channels, "places of the web port");
    let unsent = Places::new(setup.limits.unsent / 1024);
    let doors = Doors::of(setup);
    let web = Arc::new(Web {
        joyce: Arc::new(Joyce::new(hub.clone(), &setup.http.path, unsent, porch.clone())),
        health: health::Probes::new(hub.clone(), doors.health.subscribe()),
        terms: doors.web.subscribe(),
        places: Places::new(connections),
        addresses: Addresses::new(setup.http.crowd.connections_per_address),
        api: api::Api::new(hub.clone(), doors.api.subscribe(), porch.slice.clone()),
        insight: insight::Insight::new(hub.clone(), doors.insight.subscribe()),
        events: events::Events::new(hub.clone(), porch.clone()),
        page: page::Page::new(
            hub.clone(),
            doors.page.subscribe(),
            Places::new(setup.http.max_streams),
            porch.clone(),
        ),
        porch: porch.clone(),
    });
    for listener in listeners.http {
        porch.accepting.spawn(web.clone().serve(listener, None));
    }
    for listener in listeners.https {
        porch.accepting.spawn(web.clone().serve(listener, certificates.http.clone()));
    }
    let push = doors.push.subscribe();
    let ingest = Ingest::new(hub.clone(), push, setup.push.max_connections, porch.clone());
    for listener in listeners.push {
        porch.accepting.spawn(ingest.clone().serve(listener, None));
    }
    for listener in listeners.pushs {
        porch.accepting.spawn(ingest.clone().serve(listener, certificates.push.clone()));
    }
    certificates.watch(porch);
    doors
}
