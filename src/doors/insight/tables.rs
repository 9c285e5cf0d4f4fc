//! What is asked of the history, as tables.

use crate::core::insight::{Counted, Flapping, Heard, Idle, OfPcs, Utilisation};
use crate::core::pc::{Occupation, PcName, System, Use};
use crate::core::room::RoomKey;
use crate::hub::Hub;
use crate::page::insight::{Asked, FlappingPc, IdlePc, Page, UsedRoom, View};
use crate::wire::csv::{Cell, Table};
use crate::wire::days::Days;
use chrono::{DateTime, NaiveDate, SecondsFormat};
use chrono_tz::Tz;
use std::collections::HashMap;
use std::fmt::Display;

/// What was found.
pub(super) enum Content {
    /// Nothing was looked for.
    None,
    /// How rooms were used, each with its name.
    Rooms(Vec<(Utilisation, String)>, Counted),
    /// PCs that nobody used.
    Idle(OfPcs<Idle>, Of),
    /// PCs whose state flaps, each with its room and when that was.
    Flapping(OfPcs<(Flapping, Option<RoomKey>, DateTime<Tz>)>, Of),
}

/// Of what that is.
pub(super) struct Of {
    counted: Counted,
    /// From which day on single PCs are known, if anything is.
    since: Option<NaiveDate>,
    /// Whether that is later than what was asked for.
    is_late: bool,
}

impl Of {
    fn new<T>(pcs: &OfPcs<T>, counted: Counted, hub: &Hub, days: &Days) -> Of {
        let since = pcs.since.map(|since| hub.insight().date_of(since));
        Of { counted, since, is_late: since.is_some_and(|since| since > days.first) }
    }

    /// What the page says of that.
    fn tell(&self, page: &mut Page<'_>, is_known: bool) {
        page.behind = self.counted.behind;
        page.since = self.since.filter(|_| self.is_late).map(|since| since.to_string());
        page.is_known = is_known;
    }

    fn date(&self) -> String {
        self.since.map(|since| since.to_string()).unwrap_or_default()
    }
}

impl Content {
    /// Asks the history.
    pub(super) async fn find(
        hub: &Hub,
        zone: Tz,
        asked: &Asked,
        days: &Days,
    ) -> Result<Content, impl Display + use<>> {
        let insight = hub.insight();
        let period = insight.days(days.first, days.last);
        Ok(match asked.view {
            View::Rooms => {
                let (used, counted) = (insight.utilisation(period).await, insight.counted().await);
                match (used, counted) {
                    (Ok(used), Ok(counted)) => Content::Rooms(named(hub, used), counted),
                    (Err(error), _) | (_, Err(error)) => return Err(error),
                }
            }
            View::Idle => {
                let found = insight.idle(period).await?;
                let of = Of::new(&found, insight.counted().await?, hub, days);
                Content::Idle(found, of)
            }
            View::Flapping => {
                let OfPcs { since, is_known, pcs } = insight.flapping(period, asked.changes).await?;
                let rooms: HashMap<PcName, RoomKey> = hub.rooms_of_pcs();
                let placed = pcs.into_iter().map(|of| {
                    let at = DateTime::from_timestamp(of.hour.0, 0).unwrap_or_default().with_timezone(&zone);
                    let room = rooms.get(&of.pc).cloned();
                    (of, room, at)
                });
                let mut placed: Vec<_> = placed.collect();
                placed.sort_by(|(a, ..), (b, ..)| b.changes.cmp(&a.changes).then_with(|| a.pc.cmp(&b.pc)));
                let found = OfPcs { since, is_known, pcs: placed };
                let of = Of::new(&found, insight.counted().await?, hub, days);
                Content::Flapping(found, of)
            }
        })
    }

    /// As a page.
    pub(super) fn html(&self, asked: &Asked) -> String {
        let mut page = Page::new(asked);
        match self {
            Content::None => {}
            Content::Rooms(rooms, counted) => {
                page.rooms = rooms.iter().map(|(of, name)| UsedRoom { name, span: &of.span }).collect();
                page.behind = counted.behind;
            }
            Content::Idle(found, of) => {
                let pc = |of: &Idle| IdlePc { pc: of.pc.clone(), room: of.room.clone(), heard: of.heard };
                page.idle = found.pcs.iter().map(pc).collect();
                of.tell(&mut page, found.is_known);
            }
            Content::Flapping(found, of) => {
                let pc = |(of, room, at): &(Flapping, Option<RoomKey>, DateTime<Tz>)| FlappingPc {
                    pc: of.pc.clone(),
                    room: room.clone(),
                    at: at.format("%Y-%m-%d %H:%M").to_string(),
                    changes: of.changes,
                };
                page.flapping = found.pcs.iter().map(pc).collect();
                of.tell(&mut page, found.is_known);
            }
        }
        page.html()
    }

    /// As CSV. Its heads are the same in every language, for programs read them.
    pub(super) fn csv(&self) -> Vec<u8> {
        let key = |room: &Option<RoomKey>| room.as_ref().map(ToString::to_string).unwrap_or_default();
        match self {
            Content::None => Vec::new(),
            Content::Rooms(rooms, _) => rooms_csv(rooms),
            Content::Idle(found, of) => {
                let (mut table, since) = (Table::new(&["pc", "room", "seen", "known_from"]), of.date());
                for Idle { pc, room, heard } in &found.pcs {
                    let seen = match heard {
                        Heard::Changes => "yes",
                        Heard::NoChange => "unchanged",
                        Heard::Nothing => "no",
                    };
                    let (room, since) = (key(room), Cell::Text(&since));
                    table.row(&[Cell::Text(pc.as_str()), Cell::Text(&room), Cell::Text(seen), since]);
                }
                table.into_bytes()
            }
            Content::Flapping(found, known) => {
                let mut table = Table::new(&["pc", "room", "hour", "changes", "known_from"]);
                let since = known.date();
                for (of, room, at) in &found.pcs {
                    let hour = at.to_rfc3339_opts(SecondsFormat::Secs, false);
                    table.row(&[
                        Cell::Text(of.pc.as_str()),
                        Cell::Text(&key(room)),
                        Cell::Text(&hour),
                        Cell::Count(of.changes.into()),
                        Cell::Text(&since),
                    ]);
                }
                table.into_bytes()
            }
        }
    }
}

/// With the names of rooms, in the order in which these are listed; those that are gone come last, and have their keys.
fn named(hub: &Hub, mut used: Vec<Utilisation>) -> Vec<(Utilisation, String)> {
    let listed: HashMap<RoomKey, (usize, String)> =
        hub.rooms().into_iter().enumerate().map(|(place, (key, name))| (key, (place, name))).collect();
    used.sort_by_key(|of| listed.get(&of.room).map_or(usize::MAX, |(place, _)| *place));
    let name =
        |of: &Utilisation| listed.get(&of.room).map_or_else(|| of.room.to_string(), |(_, name)| name.clone());
    used.into_iter().map(|of| (name(&of), of)).map(|(name, of)| (of, name)).collect()
}

fn rooms_csv(rooms: &[(Utilisation, String)]) -> Vec<u8> {
    /// What the columns of states are called, in the order of [`Occupation::ALL`].
    const HEADS: [&str; 16] = [
        "room",
        "name",
        "pcs",
        "peak",
        "spare",
        "known_hours",
        "used_windows_share",
        "used_linux_share",
        "off_hours",
        "unknown_hours",
        "windows_free_hours",
        "linux_free_hours",
        "windows_used_hours",
        "linux_used_hours",
        "windows_on_hours",
        "linux_on_hours",
    ];
    let mut table = Table::new(&HEADS);
    for (Utilisation { room, span }, name) in rooms {
        let mut cells = vec![
            Cell::Text(room.as_str()),
            Cell::Text(name),
            Cell::Count(span.pcs.into()),
            Cell::Count(span.peak.into()),
            Cell::Count(span.spare().into()),
            hours(span.covered),
            Cell::Number(span.share(System::Windows)),
            Cell::Number(span.share(System::Linux)),
        ];
        cells.extend(Occupation::ALL.map(|state| hours(span.spent.seconds(state))));
        table.row(&cells);
    }
    table.into_bytes()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of some PCs in years are far below 2^52")]
fn hours(seconds: u64) -> Cell<'static> {
    Cell::Number(Some(seconds as f64 / 3600.0))
}

/// The states stand in the heads above as they do in `Occupation::ALL`.
const _: () = {
    assert!(Occupation::On(System::Windows, Use::Used).place() == 4);
    assert!(Occupation::On(System::Linux, Use::Unknown).place() == 7);
};
