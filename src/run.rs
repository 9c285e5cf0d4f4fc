//! From a setup to a daemon that serves, and to its end.

use crate::core::house::{House, Terms};
use crate::core::origins::Share;
use crate::core::state::{Growth, Plan, Remains};
use crate::core::version::{Version, Versions};
use crate::doors::http::{Limits, Patience, Places, Shares};
use crate::doors::ingest::{self, Ingest};
use crate::doors::joyce::Joyce;
use crate::doors::{Porch, Web};
use crate::feeds::master::{self, BadAddress};
use crate::feeds::timetable::task;
use crate::history::{self, History, OpenError, Options, Restored};
use crate::hub::Hub;
use crate::listeners::Listeners;
use crate::setup::{PushToken, Setup};
use crate::shutdown;
use chrono::Utc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

pub(crate) mod ceiling;
pub(crate) mod descriptors;
mod mirror;
pub(crate) mod timetables;

/// Of how many channels the filter is kept after their end (faults.md C3): at some 200 bytes each,
/// 10 MB.
const MAX_REMEMBERED: usize = 50_000;

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
    /// A timetable can never be had.
    #[error(transparent)]
    Timetable(#[from] timetables::BadTimetable),
    /// The master can never be asked.
    #[error("the master cannot be followed: {0}")]
    Master(#[from] BadAddress),
    /// It was opened by a thread that is gone.
    #[error("opening the history was interrupted")]
    Interrupted,
}

impl RunError {
    /// What the process is to exit with: 78 (EX_CONFIG) where the setup asks for what cannot be had.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::History(
                OpenError::HeldByDaemon(_) | OpenError::HeldByProgram(_) | OpenError::Disk { .. },
            )
            | RunError::Close(_)
            | RunError::Interrupted => 1,
            RunError::Descriptors(_)
            | RunError::History(_)
            | RunError::Timetable(_)
            | RunError::Master(_) => 78,
        }
    }
}

/// Serves until `shutdown` is cancelled; then answers all that is held, records all that was applied,
/// and returns.
///
/// # Errors
/// When the history cannot be opened, or not be closed in order; and when a timetable can never be had.
pub async fn run(setup: Setup, listeners: Listeners, shutdown: CancellationToken) -> Result<(), RunError> {
    let connections = descriptors::connections(&setup)?;
    let timetables = timetables::plan(&setup)?;
    let master = mirror::plan(&setup)?;
    let (history, restored) = open_history(&setup).await?;
    let hub = Arc::new(Hub::new(house(&setup, restored), history.clone()));
    let porch = shutdown::porch(shutdown);
    open_doors(&setup, listeners, connections, &hub, &porch);
    let timetables_shown = timetables.has_any();
    if timetables_shown {
        porch.tasks.spawn(task::run(timetables, hub.clone(), Utc::now, porch.shutdown.clone()));
    }

    if let Some(master) = master {
        let master = if timetables_shown { master.without_schedule() } else { master };
        porch.tasks.spawn(master::run(master, hub.clone(), porch.shutdown.clone()));
    }

    let clock = tokio::spawn({
        let hub = hub.clone();
        async move { hub.run_clock().await }
    });
    porch.shutdown.cancelled().await;
    shutdown::finish(&porch, &hub).await;
    clock.abort();
    let (versions, digests) = hub.last_words();
    history.close(versions, digests).await?;
    tracing::info!("stopped");
    Ok(())
}

async fn open_history(setup: &Setup) -> Result<(History, Restored), RunError> {
    if !setup.history.enabled {
        tracing::warn!("without a history: the states are lost at a restart");
        // Versions never fall, even so: they go on from a number that has grown since the last start.
        let since =
            Version(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64));
        let versions = Versions { occupation: since, room_map: since, schedule: since, tag_map: since };
        return Ok((History::none(), Restored { versions, ..Restored::default() }));
    }
    let options = Options { path: setup.history.db.clone(), backlog: setup.history.backlog };
    // A thread that may block: an old database is rewritten now.
    let opened = tokio::task::spawn_blocking(move || history::open(&options)).await;
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

fn house(setup: &Setup, restored: Restored) -> House {
    let limits = setup.limits;
    let plan = Plan {
        rooms: setup.rooms.clone(),
        rules: setup.rules.clone(),
        growth: Growth { pcs: limits.pcs, rooms: limits.rooms, sources: limits.sources },
    };
    let terms = Terms {
        hold: setup.http.hold,
        channel_expiry: setup.http.channel_expiry,
        max_channels: setup.http.max_channels,
        share: Share {
            channels: setup.http.crowd.channels_per_address,
            per_second: setup.http.crowd.new_channels_per_second,
        },
        max_remembered: MAX_REMEMBERED,
        refresh: setup.http.refresh,
    };
    let remains = Remains { pcs: restored.pcs, sources: restored.sources, versions: restored.versions };
    let mut house = House::new(plan, remains, restored.digests, terms);
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

fn open_doors(setup: &Setup, listeners: Listeners, connections: usize, hub: &Arc<Hub>, porch: &Porch) {
    for (door, addresses) in [("joyce", listeners.http_addrs()), ("push", listeners.push_addrs())] {
        for addr in addresses {
            tracing::info!(door, %addr, "listening");
        }
    }
    let http = &setup.http;
    let channels = http.max_channels;
    tracing::info!(connections, channels, "places of the web port");
    let unsent = Places::new(setup.limits.unsent / 1024);
    let patience = Patience::new(http.stalled, http.answer_timeout);
    let web = Arc::new(Web {
        joyce: Arc::new(Joyce::new(hub.clone(), &http.path, http.crowd.wait, unsent, porch.clone())),
        limits: Arc::new(Limits {
            head: http.max_head,
            head_timeout: http.head_timeout,
            body: http.max_body,
            body_timeout: http.body_timeout,
            bodies: Some(Places::new(setup.limits.bodies / 1024)),
            idle: http.idle,
        }),
        places: Places::new(connections),
        shares: Shares {
            connections: http.crowd.connections_per_address,
            exempt: http.crowd.exempt.clone(),
            trusted_proxies: http.crowd.trusted_proxies.clone(),
        },
        wait: http.crowd.wait,
        patience,
        porch: porch.clone(),
    });
    for listener in listeners.http {
        porch.tasks.spawn(web.clone().serve(listener));
    }
    let push = &setup.push;
    let terms = ingest::Terms {
        allow: push.allow.clone(),
        trusted_proxies: push.trusted_proxies.clone(),
        hosts: push.hosts.clone(),
        tokens: push.tokens.iter().map(token).collect(),
        limits: Limits {
            // The same as on the web port: what pushes has no longer head than a browser.
            head: http.max_head,
            head_timeout: push.timeout,
            body: push.max_body,
            body_timeout: push.timeout,
            bodies: None,
            // There are few places here, and who is done is to leave its own to others.
            idle: push.timeout,
        },
        patience,
        max_connections: push.max_connections,
        acknowledge_within: setup.history.acknowledge_within,
        refused: mirror::refusal(setup),
    };
    let ingest = Ingest::new(hub.clone(), terms, porch.clone());
    for listener in listeners.push {
        porch.tasks.spawn(ingest.clone().serve(listener));
    }
}

fn token(token: &PushToken) -> ingest::Token {
    ingest::Token { sha256: token.sha256, source: token.source.clone() }
}
