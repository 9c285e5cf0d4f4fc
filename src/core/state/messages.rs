//! The state as messages, whole or as it passes a filter.

use super::{PcId, Room, State};
use crate::core::message::{Body, RoomEntry};
use crate::core::rooms::RoomSet;
use crate::core::tag::Tag;
use crate::core::version::Version;

impl State {
    /// The message `tags`.
    pub(in crate::core) fn tags(&self) -> Body {
        Body::Tags { version: self.versions.tag_map, tags: self.tags.clone() }
    }

    /// The message `tagMap`.
    pub(in crate::core) fn tag_map(&self) -> Body {
        let rooms = |tag: &Tag| {
            let rooms = self.rooms_in(&RoomSet::All).map(|(_, room)| room);
            rooms.filter(|room| room.tags.contains(tag)).map(|room| room.key.clone()).collect()
        };
        let tag_map = self.tags.iter().map(|tag| (tag.clone(), rooms(tag))).collect();
        Body::TagMap { version: self.versions.tag_map, tag_map }
    }

    /// The message `occupation` for some rooms.
    pub(in crate::core) fn occupation(&self, rooms: &RoomSet) -> Body {
        let occupation = self
            .rooms_in(rooms)
            .flat_map(|(_, room)| &room.pcs)
            .map(|id| (self.pc(*id).name.clone(), self.pc(*id).occupation))
            .collect();
        Body::Occupation { version: self.versions.occupation, occupation }
    }

    /// The message `occupation_update` with what has changed in some rooms since a version, oldest
    /// first. It walks the changes since, not the PCs. Its version is the present one, as a snapshot's:
    /// of a reply that was given back late, the client may have seen a newer version than the last of
    /// these changes (reliability.md C5).
    pub(in crate::core) fn occupation_since(&self, rooms: &RoomSet, since: Version) -> Body {
        let changed = self.by_change.range((since.next(), PcId(0))..).map(|(_, id)| self.pc(*id));
        let passing = changed.filter(|pc| rooms.contains(pc.room));
        let update = passing.map(|pc| (pc.name.clone(), pc.occupation)).collect();
        Body::OccupationUpdate { version: self.versions.occupation, update }
    }

    /// The message `roomMap` for some rooms.
    pub(in crate::core) fn room_map(&self, rooms: &RoomSet) -> Body {
        let entry = |room: &Room| RoomEntry {
            key: room.key.clone(),
            name: room.name.clone(),
            pcs: room.pcs.iter().map(|id| self.pc(*id).name.clone()).collect(),
        };
        let room_map = self.rooms_in(rooms).map(|(_, room)| entry(room)).collect();
        Body::RoomMap { version: self.versions.room_map, room_map }
    }

    /// The message `schedule` for some rooms.
    pub(in crate::core) fn schedule(&self, rooms: &RoomSet) -> Body {
        let schedule = self
            .rooms_in(rooms)
            .filter(|(_, room)| !room.schedule.is_empty())
            .map(|(_, room)| (room.key.clone(), room.schedule.clone()))
            .collect();
        Body::Schedule { version: self.versions.schedule, schedule }
    }
}
