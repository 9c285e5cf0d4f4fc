//! What a client knows of the campus: the messages of a daemon, applied in order. Pure.

use crate::core::pc::{Occupation, PcName};
use crate::core::room::RoomKey;
use crate::core::schedule::Reservation;
use crate::core::tag::Tag;
use crate::core::version::Versions;
use crate::wire::client::Message;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The rooms of a filter, the PCs in them and their states, as last heard.
#[derive(Debug, Clone, Default)]
pub struct View {
    rooms: Option<BTreeMap<RoomKey, Room>>,
    states: Option<HashMap<PcName, Occupation>>,
    places: HashMap<PcName, RoomKey>,
    schedule: HashMap<RoomKey, Vec<Reservation>>,
    tags: BTreeMap<Tag, BTreeSet<RoomKey>>,
    versions: Versions,
}

/// A room of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// What people call it: text from the daemon, to be escaped wherever it is shown.
    pub name: String,
    /// The PCs in it.
    pub pcs: Vec<PcName>,
}

/// A PC whose state is another than the view knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The PC.
    pub pc: PcName,
    /// Where it stands, if a room map has said so.
    pub room: Option<RoomKey>,
    /// What it was, if it was known.
    pub from: Option<Occupation>,
    /// What it is.
    pub to: Occupation,
}

impl View {
    /// Applies a message, and returns which PCs it changed: none for the first snapshot, since there
    /// was nothing before; but those that changed while the link was down are in the next.
    pub fn apply(&mut self, message: Message) -> Vec<Change> {
        match message {
            Message::Welcome | Message::History { .. } => {}
            Message::Tags { version, tags } => {
                self.versions.tag_map = version;
                // Only the names: of a tag that is known, the rooms are kept until a tagMap comes.
                let mut old = std::mem::take(&mut self.tags);
                self.tags = tags
                    .into_iter()
                    .map(|tag| {
                        let rooms = old.remove(&tag).unwrap_or_default();
                        (tag, rooms)
                    })
                    .collect();
            }
            Message::TagMap { version, tags } => {
                self.versions.tag_map = version;
                self.tags = tags.into_iter().map(|(tag, rooms)| (tag, rooms.into_iter().collect())).collect();
            }
            Message::RoomMap { version, rooms } => {
                self.versions.room_map = version;
                self.places = rooms
                    .iter()
                    .flat_map(|room| room.pcs.iter().map(|pc| (pc.clone(), room.key.clone())))
                    .collect();
                self.rooms = Some(
                    rooms
                        .into_iter()
                        .map(|room| (room.key, Room { name: room.name, pcs: room.pcs }))
                        .collect(),
                );
            }
            Message::Schedule { version, rooms } => {
                self.versions.schedule = version;
                self.schedule = rooms.into_iter().collect();
            }
            Message::Occupation { version, states } => {
                self.versions.occupation = version;
                let old = self.states.replace(states.iter().cloned().collect());
                return old.map_or_else(Vec::new, |old| {
                    states.into_iter().filter_map(|(pc, to)| self.change(&old, pc, to)).collect()
                });
            }
            Message::Update { version, states } => {
                self.versions.occupation = version;
                let mut known = self.states.take().unwrap_or_default();
                let mut changes = Vec::new();
                for (pc, to) in states {
                    changes.extend(self.change(&known, pc.clone(), to));
                    known.insert(pc, to);
                }
                self.states = Some(known);
                return changes;
            }
        }
        Vec::new()
    }

    fn change(&self, old: &HashMap<PcName, Occupation>, pc: PcName, to: Occupation) -> Option<Change> {
        let from = old.get(&pc).copied();
        (from != Some(to)).then(|| Change { room: self.places.get(&pc).cloned(), pc, from, to })
    }

    /// Whether rooms and states have both been heard.
    pub fn is_whole(&self) -> bool {
        self.rooms.is_some() && self.states.is_some()
    }

    /// The rooms, by key.
    pub fn rooms(&self) -> impl Iterator<Item = (&RoomKey, &Room)> {
        self.rooms.iter().flatten()
    }

    /// The state of a PC; nothing is known of one that was never named.
    pub fn state(&self, pc: &PcName) -> Occupation {
        self.states.as_ref().and_then(|states| states.get(pc)).copied().unwrap_or(Occupation::Unknown)
    }

    /// What is reserved in a room today.
    pub fn reservations(&self, room: &RoomKey) -> &[Reservation] {
        self.schedule.get(room).map_or(&[], Vec::as_slice)
    }

    /// All tags, each with its rooms.
    pub fn tags(&self) -> &BTreeMap<Tag, BTreeSet<RoomKey>> {
        &self.tags
    }

    /// The versions last heard.
    pub fn versions(&self) -> Versions {
        self.versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::client::reply;

    fn apply(view: &mut View, messages: &str) -> Vec<String> {
        let read = reply(format!(r#"["t",[{messages}],[]]"#).as_bytes()).unwrap();
        assert_eq!((read.bad_entries, read.bad_messages), (0, 0), "{messages}");
        let changes = read.messages.into_iter().flat_map(|message| view.apply(message));
        let mut told: Vec<String> = changes
            .map(|change| {
                let room = change.room.as_ref().map_or("-", RoomKey::as_str);
                let from = change.from.map_or("-", Occupation::code);
                format!("{room} {} {from} {}", change.pc, change.to.code())
            })
            .collect();
        told.sort();
        told
    }

    #[test]
    fn messages_applied_in_order_are_what_is_known() {
        let mut view = View::default();
        assert!(!view.is_whole());
        // Each message with the changes it makes, and the states afterwards of apc1, apc2 and bpc1.
        let cases = [
            (
                r#"{"type":"roomMap","version":1,"roomMap":{"a":["A",["apc1","apc2"]],"b":["B",[]]}}"#,
                vec![],
                "x x x",
            ),
            (r#"{"type":"occupation","version":4,"occupation":{"apc1":"wf","apc2":"o"}}"#, vec![], "wf o x"),
            (
                r#"{"type":"occupation_update","version":5,"update":{"apc1":"wu"}}"#,
                vec!["a apc1 wf wu"],
                "wu o x",
            ),
            (r#"{"type":"occupation_update","version":6,"update":{"apc1":"wu"}}"#, vec![], "wu o x"),
            (
                r#"{"type":"occupation_update","version":7,"update":{"bpc1":"lf"}}"#,
                vec!["- bpc1 - lf"],
                "wu o lf",
            ),
            (
                r#"{"type":"roomMap","version":2,"roomMap":{"a":["A",["apc1","apc2"]],"b":["B",["bpc1"]]}}"#,
                vec![],
                "wu o lf",
            ),
            // After a restart: what changed meanwhile is told, what is gone is forgotten.
            (
                r#"{"type":"welcome"},{"type":"occupation","version":9,"occupation":{"apc1":"o","bpc1":"lf"}}"#,
                vec!["a apc1 wu o"],
                "o x lf",
            ),
        ];
        for (messages, changes, states) in cases {
            assert_eq!(apply(&mut view, messages), changes, "{messages}");
            let now: Vec<&str> =
                ["apc1", "apc2", "bpc1"].map(|pc| view.state(&PcName::parse(pc).unwrap()).code()).into();
            assert_eq!(now.join(" "), states, "{messages}");
        }
        assert!(view.is_whole());
        assert_eq!((view.versions().occupation.0, view.versions().room_map.0), (9, 2));
    }

    #[test]
    fn a_schedule_and_tags_replace_those_before() {
        let mut view = View::default();
        let room = RoomKey::parse("a").unwrap();
        let tag = Tag::parse("hg").unwrap();
        apply(&mut view, r#"{"type":"schedule","version":1,"schedule":{"a":[[[8,45],[10,30],"x"]]}}"#);
        assert_eq!(view.reservations(&room).len(), 1);
        apply(&mut view, r#"{"type":"schedule","version":2,"schedule":{}}"#);
        assert_eq!(view.reservations(&room), []);
        apply(&mut view, r#"{"type":"tagMap","version":1,"tagMap":{"hg":["a"],"x":[]}}"#);
        // Names alone forget the tags that are gone, not the rooms of those that stay.
        apply(&mut view, r#"{"type":"tags","version":2,"tags":["hg","new"]}"#);
        assert_eq!(view.tags().len(), 2);
        assert!(view.tags()[&tag].contains(&room));
    }
}
