//! Which messages a reply holds, and in which order.

use super::House;
use crate::core::audience::{AudienceId, Concern};
use crate::core::channel::{Kind, Kinds, Owed};
use crate::core::message::{Body, Message};
use crate::core::poll::Delivery;
use crate::core::push::Change;
use crate::core::snapshots::Made;
use crate::core::state::Rearranged;
use crate::core::version::{Version, Versions};
use std::sync::Arc;
use std::time::Instant;

impl House {
    /// What the held requests of an audience get.
    pub(super) fn deliver(
        &mut self,
        audience: AudienceId,
        before: Versions,
        concern: Concern,
        change: Option<&Change>,
        now: Instant,
    ) -> Delivery {
        let mut messages = Vec::new();
        if concern.room_map {
            messages.push(self.snapshot(audience, Kind::RoomMap));
        }
        if concern.room_map || concern.schedule {
            messages.push(self.snapshot(audience, Kind::Schedule));
        }
        if let Some(change) = change.filter(|_| concern.occupation) {
            let rooms = &self.audiences[audience].rooms.occupation;
            let places = change.places.iter();
            let update = change.states.iter().zip(places).filter(|(_, place)| rooms.contains(**place));
            let update = update.map(|(state, _)| state.clone()).collect();
            messages
                .push(Message::new(Body::OccupationUpdate { version: change.versions.occupation, update }));
        }
        Delivery {
            messages: messages.into(),
            to: self.take_held(audience, before, concern, now),
            seen: before,
        }
    }

    /// What the held requests of an audience get when rooms are others now.
    pub(super) fn deliver_rearranged(
        &mut self,
        audience: AudienceId,
        seen: Versions,
        concern: Concern,
        change: &Rearranged,
        now: Instant,
    ) -> Delivery {
        let mut messages = Vec::new();
        if concern.tag_map {
            messages.push(self.snapshot(audience, Kind::TagMap));
        }
        if concern.room_map {
            messages.push(self.snapshot(audience, Kind::RoomMap));
        }
        if concern.room_map || concern.schedule {
            messages.push(self.snapshot(audience, Kind::Schedule));
        }
        if concern.occupation {
            messages.push(self.update_since(audience, change.before.occupation));
        }
        Delivery { messages: messages.into(), to: self.take_held(audience, seen, concern, now), seen }
    }

    /// What is owed of kinds and of the history, in the order in which a reply brings it.
    pub(super) fn owed_messages(&mut self, audience: AudienceId, owed: &Owed) -> Vec<Arc<Message>> {
        const ORDER: [Kind; 6] =
            [Kind::Welcome, Kind::Tags, Kind::TagMap, Kind::RoomMap, Kind::Schedule, Kind::Occupation];
        let mut messages: Vec<_> = ORDER
            .into_iter()
            .filter(|kind| owed.has(*kind))
            .map(|kind| self.snapshot(audience, kind))
            .collect();
        messages.extend(owed.historic().iter().map(|range| Message::new(Body::HistoricUpdates(*range))));
        messages
    }

    /// A whole, as the audience may see it now.
    pub(super) fn snapshot(&mut self, audience: AudienceId, kind: Kind) -> Arc<Message> {
        let (state, rooms) = (&self.state, &self.audiences[audience].rooms);
        let versions = state.versions();
        let (made, body): (_, &dyn Fn() -> Body) = match kind {
            Kind::Welcome => (Made::Welcome, &|| Body::Welcome),
            Kind::Tags => (Made::Tags(versions.tag_map), &|| state.tags()),
            Kind::TagMap => (Made::TagMap(versions.tag_map), &|| state.tag_map()),
            Kind::RoomMap => {
                (Made::RoomMap(audience, versions.room_map), &|| state.room_map(&rooms.room_map))
            }
            Kind::Schedule => {
                (Made::Schedule(audience, versions.schedule), &|| state.schedule(&rooms.schedule))
            }
            Kind::Occupation => {
                (Made::Occupation(audience, versions.occupation), &|| state.occupation(&rooms.occupation))
            }
        };
        self.snapshots.of(made, body)
    }

    /// What has changed since a version, as the audience may see it.
    pub(super) fn update_since(&mut self, audience: AudienceId, since: Version) -> Arc<Message> {
        let (state, rooms) = (&self.state, &self.audiences[audience].rooms.occupation);
        let made = Made::Update(audience, since, state.versions().occupation);
        self.snapshots.of(made, || state.occupation_since(rooms, since))
    }
}

impl Concern {
    /// What is told of it whole: of the occupation it is the change.
    pub(super) fn told_whole(self) -> Kinds {
        let mut kinds = Kinds::NONE;
        let told = [
            (self.tag_map, Kind::TagMap),
            (self.room_map, Kind::RoomMap),
            (self.room_map || self.schedule, Kind::Schedule),
        ];
        told.into_iter().filter(|(is, _)| *is).for_each(|(_, kind)| kinds.add(kind));
        kinds
    }
}

/// A reply holds at most one message that bears occupation (invariant 7): old slaves apply the newest
/// first (reliability.md F2). The last of several is the newest, and covers what the others say.
pub(super) fn keep_last_occupation(messages: &mut Vec<Arc<Message>>) {
    let last = messages.iter().rposition(|message| message.bears_occupation());
    let mut at = 0;
    messages.retain(|message| {
        at += 1;
        !message.bears_occupation() || Some(at - 1) == last
    });
}
