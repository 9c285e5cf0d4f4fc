//! From a setup to the rows of its history, with the rooms that its rules imply.

use crate::core::message::HistoricUpdate;
use crate::core::pc::PcName;
use crate::core::room::RoomKey;
use crate::core::source::Timestamp;
use crate::history::{Export, ExportError, Wanted};
use crate::setup::Setup;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;

/// Which rows are wanted.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub(crate) period: Option<Range<Timestamp>>,
    pub(crate) pc: Option<PcName>,
    pub(crate) room: Option<RoomKey>,
    pub(crate) source: Option<String>,
    /// Only so many of the newest.
    pub(crate) last: Option<usize>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRows {
    /// The setup keeps no history.
    #[error("this setup keeps no history (history.enabled is false)")]
    NoHistory,
    /// It cannot be read.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// A row, and the room of its PC.
pub(crate) struct Row {
    pub(crate) update: HistoricUpdate,
    pub(crate) room: RoomKey,
}

/// Rows, a piece at a time.
pub(crate) struct Rows<'a> {
    setup: &'a Setup,
    terms: Terms,
    export: Export,
    /// Each name is asked of the rules once.
    rooms: HashMap<String, RoomKey>,
}

impl<'a> Rows<'a> {
    /// Finds those of the history of `setup`.
    pub(crate) fn open(setup: &'a Setup, terms: Terms) -> Result<Rows<'a>, NoRows> {
        if !setup.history.enabled {
            return Err(NoRows::NoHistory);
        }
        let wanted = Wanted {
            period: terms.period.clone(),
            pc: terms.pc.as_ref().map(|pc| pc.as_str().to_owned()),
            source: terms.source.clone(),
        };
        let mut export = Export::open(&setup.history.db, wanted)?;
        if let (Some(last), None) = (terms.last, &terms.room) {
            export.skip_to_last(last);
        }
        Ok(Rows { setup, terms, export, rooms: HashMap::new() })
    }

    /// Calls `take` with the rows, oldest first, and how much is passed, in percent; also where nothing was found in
    /// the next part of them.
    pub(crate) fn each<E: From<NoRows>>(
        mut self,
        mut take: impl FnMut(&[Row], u8) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut newest = VecDeque::new();
        while let Some(rows) = self.export.next_rows().map_err(NoRows::from)? {
            let passed = self.export.passed();
            let rows: Vec<Row> = rows.into_iter().filter_map(|update| self.placed(update)).collect();
            match self.terms.last {
                None => take(&rows, passed)?,
                // No more is held than is asked for.
                Some(last) => {
                    newest.extend(rows);
                    newest.drain(..newest.len().saturating_sub(last));
                    take(&[], passed)?;
                }
            }
        }
        take(newest.make_contiguous(), 100)
    }

    /// The row with its room, if it is wanted.
    fn placed(&mut self, update: HistoricUpdate) -> Option<Row> {
        let rules = &self.setup.rules;
        let room = match self.rooms.get(&update.pc) {
            Some(room) => room.clone(),
            None => {
                let room =
                    PcName::parse(&update.pc).map_or_else(|_| RoomKey::none(), |name| rules.room_of(&name));
                self.rooms.insert(update.pc.clone(), room.clone());
                room
            }
        };
        self.terms.room.as_ref().is_none_or(|wanted| *wanted == room).then_some(Row { update, room })
    }
}
