//! A reader: applies replies exactly as clients do, and knows nothing else.

use super::truth::{Occupations, Reservations, RoomMap, Said};
use tkbd::core::token::Token;
use tkbd::core::version::{Version, Versions};

/// A client with what it shows.
pub(crate) struct Reader {
    pub(crate) token: Token,
    /// Applies the messages of one reply newest first, as old slaves do (reliability.md F2).
    pub(crate) newest_first: bool,
    /// Will not come back.
    pub(crate) gone: bool,
    pub(crate) occupation: Occupations,
    pub(crate) room_map: RoomMap,
    pub(crate) schedule: Reservations,
    pub(crate) seen: Versions,
}

impl Reader {
    pub(crate) fn new(token: Token, newest_first: bool) -> Reader {
        Reader {
            token,
            newest_first,
            gone: false,
            occupation: Occupations::new(),
            room_map: RoomMap::new(),
            schedule: Reservations::new(),
            seen: Versions::default(),
        }
    }

    pub(crate) fn receive(&mut self, reply: &[Said]) {
        let bearing = reply.iter().filter(|said| said.bears_occupation()).count();
        assert!(bearing <= 1, "a reply bears occupation {bearing} times: {reply:?}");
        if self.newest_first {
            reply.iter().rev().for_each(|said| self.apply(said));
        } else {
            reply.iter().for_each(|said| self.apply(said));
        }
    }

    /// Whether a roomMap it was told names the PC.
    pub(crate) fn maps(&self, pc: &tkbd::core::pc::PcName) -> bool {
        self.room_map.values().any(|(_, pcs)| pcs.contains(pc))
    }

    fn apply(&mut self, said: &Said) {
        let rise = |seen: &mut Version, to: Version| {
            assert!(*seen <= to, "a version falls from {seen:?} to {to:?}: {said:?}");
            *seen = to;
        };
        match said {
            Said::Welcome | Said::Historic(_) => {}
            Said::Tags(version, _) | Said::TagMap(version, _) => rise(&mut self.seen.tag_map, *version),
            Said::Occupation(version, occupation) => {
                rise(&mut self.seen.occupation, *version);
                self.occupation.clone_from(occupation);
            }
            Said::Update(version, update) => {
                rise(&mut self.seen.occupation, *version);
                self.occupation.extend(update.iter().map(|(pc, is)| (pc.clone(), *is)));
            }
            Said::RoomMap(version, room_map) => {
                rise(&mut self.seen.room_map, *version);
                self.room_map.clone_from(room_map);
            }
            Said::Schedule(version, schedule) => {
                rise(&mut self.seen.schedule, *version);
                self.schedule.clone_from(schedule);
            }
        }
    }
}
