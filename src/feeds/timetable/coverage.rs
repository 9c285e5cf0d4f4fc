//! Which rooms a provider covers, and what it calls them.

use super::Room;
use crate::core::room::RoomKey;
use std::collections::HashMap;

/// Rooms of the setup, as one provider knows them.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// The rooms; none: all there are but `none`, where PCs stand whose room nobody knows.
    pub only: Option<Vec<RoomKey>>,
    /// Where the provider has another name for a room than we have.
    pub names: HashMap<RoomKey, String>,
}

impl Coverage {
    /// Those of `rooms` that are covered, under the names that the provider knows them by.
    pub fn of(&self, rooms: &[Room]) -> Vec<Room> {
        let covered = |room: &&Room| match &self.only {
            Some(only) => only.contains(&room.key),
            None => room.key != RoomKey::none(),
        };
        let renamed = |room: &Room| Room {
            key: room.key.clone(),
            name: self.names.get(&room.key).unwrap_or(&room.name).clone(),
        };
        rooms.iter().filter(covered).map(renamed).collect()
    }
}

/// `template` with the room's key in the place of `{room}`, and its name in that of `{name}`, each through `escape`.
pub fn filled(template: &str, room: &Room, escape: impl Fn(&str) -> String) -> String {
    // At once, so that a name that holds "{room}" stays what it is.
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, tail) = rest.split_at(at);
        text.push_str(before);
        let (taken, by) = if let Some(tail) = tail.strip_prefix("{room}") {
            (tail, escape(room.key.as_str()))
        } else if let Some(tail) = tail.strip_prefix("{name}") {
            (tail, escape(&room.name))
        } else {
            (tail.get(1..).unwrap_or_default(), "{".to_owned())
        };
        text.push_str(&by);
        rest = taken;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(key: &str, name: &str) -> Room {
        Room { key: RoomKey::parse(key).unwrap(), name: name.into() }
    }

    #[test]
    fn all_rooms_are_covered_unless_some_are_listed() {
        let rooms = [room("a", "A"), room("b", "B"), room("none", "?")];
        let keys = |coverage: &Coverage| -> Vec<String> {
            coverage.of(&rooms).iter().map(|room| format!("{}={}", room.key, room.name)).collect()
        };
        assert_eq!(keys(&Coverage::default()), ["a=A", "b=B"]);
        let named = Coverage {
            only: Some(vec![RoomKey::parse("b").unwrap(), RoomKey::parse("later").unwrap()]),
            names: HashMap::from([(RoomKey::parse("b").unwrap(), "TK 2".into())]),
        };
        assert_eq!(keys(&named), ["b=TK 2"]);
    }

    #[test]
    fn a_template_is_filled_in_one_pass() {
        let room = room("hg1", "{room} {x}");
        let shout = |text: &str| text.to_uppercase();
        assert_eq!(filled("a/{room}/{name}/{y}{", &room, shout), "a/HG1/{ROOM} {X}/{y}{");
    }
}
