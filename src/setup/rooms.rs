//! The rooms of a setup, and their other names.

use super::fields::Fields;
use super::mistake::{Mistake, Refusal};
use super::near::quoted;
use super::place::Place;
use super::reader::Reader;
use crate::core::room::{RoomKey, RoomPlan};
use crate::core::tag::Tag;
use std::collections::HashMap;

/// What the tables `[[room]]` come to.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    pub(super) plans: Vec<RoomPlan>,
    pub(super) aliases: HashMap<RoomKey, RoomKey>,
}

/// The longest name of a room. It stands above a plan of the room, on a screen.
const LONGEST_NAME: usize = 100;

/// Resolves `[[room]]`; the room `none` is added where it is not listed, since PCs that no rule
/// places stand in it (reliability.md S2).
pub(super) fn rooms(ask: &mut Reader, most: usize) -> Rooms {
    let mut mistakes = Vec::new();
    let mut plans: Vec<RoomPlan> = Vec::new();
    let mut listed: HashMap<RoomKey, Place> = HashMap::new();
    let mut aliases: Vec<(RoomKey, RoomKey, Place)> = Vec::new();
    let mut full = None;
    for table in ask.tables("room") {
        let mut fields = Fields::new("room", &["key", "name", "tags", "aliases"], table, &mut mistakes);
        let key = fields.required("key", key);
        let name = fields.parsed("name", name).map(|(name, _)| name);
        let tags = tags(&mut fields);
        let others = fields.list("aliases", self::key);
        let Some((key, place)) = key else { continue };
        if let Some(first) = listed.get(&key) {
            let at =
                first.line_and_column().map_or(String::new(), |(line, _)| format!(", after line {line}"));
            fields.refuse(place, Refusal::new(format!("room {key:?} is listed a second time{at}")));
            continue;
        }
        if plans.len() == most {
            full.get_or_insert(fields.place().clone());
        }
        aliases.extend(others.into_iter().map(|(alias, place)| (alias, key.clone(), place)));
        listed.insert(key.clone(), place);
        plans.push(RoomPlan { name: name.unwrap_or_else(|| key.to_string()), key, tags });
    }
    if let Some(place) = full {
        let why = format!("more rooms than limits.rooms allows, which is {most}");
        mistakes.push(Mistake::new(place, Refusal::new(why)));
    }
    if !listed.contains_key(&RoomKey::none()) {
        plans.push(RoomPlan { key: RoomKey::none(), name: "Unknown".into(), tags: Vec::new() });
    }
    let aliases = resolved(aliases, &plans, &mut mistakes);
    ask.note(mistakes);
    Rooms { plans, aliases }
}

/// A room's key. Those of upper case are refused, not lowered: the key is what clients see.
pub(super) fn key(text: &str) -> Result<RoomKey, Refusal> {
    RoomKey::parse(text).map_err(|why| {
        let lower = text.to_ascii_lowercase();
        let refusal = Refusal::new(format!("{}: {why}", quoted(text)));
        if RoomKey::parse(&lower).is_ok() { refusal.did_you_mean(&lower) } else { refusal }
    })
}

fn name(text: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() || text.chars().count() > LONGEST_NAME || text.contains(char::is_control) {
        return Err(Refusal::new(format!("a room's name is 1 to {LONGEST_NAME} printable characters")));
    }
    if text.contains(['<', '>']) {
        // The old page takes names as HTML (reliability.md F3).
        return Err(Refusal::new("\"<\" and \">\" in a room's name would break the old page"));
    }
    Ok(text.into())
}

fn tags(fields: &mut Fields<'_>) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    let parse = |text: &str| Tag::parse(text).map_err(|why| Refusal::new(format!("{}: {why}", quoted(text))));
    for (tag, place) in fields.list("tags", parse) {
        if tags.contains(&tag) {
            fields.refuse(place, Refusal::new(format!("this room has the tag {tag:?} already")));
        } else {
            tags.push(tag);
        }
    }
    tags
}

/// An alias must lead to one room, and away from none.
fn resolved(
    written: Vec<(RoomKey, RoomKey, Place)>,
    plans: &[RoomPlan],
    mistakes: &mut Vec<Mistake>,
) -> HashMap<RoomKey, RoomKey> {
    let mut aliases = HashMap::new();
    for (alias, room, place) in written {
        let why = if alias == room {
            Some(format!("alias {alias:?} is this room's own key"))
        } else if plans.iter().any(|plan| plan.key == alias) {
            Some(format!("alias {alias:?} is the key of another room"))
        } else {
            match aliases.get(&alias) {
                Some(taken) if *taken == room => Some(format!("alias {alias:?} is written twice")),
                Some(taken) => Some(format!("alias {alias:?} leads to room {taken:?} already")),
                None => None,
            }
        };
        match why {
            Some(why) => mistakes.push(Mistake::new(place, Refusal::new(why))),
            None => drop(aliases.insert(alias, room)),
        }
    }
    aliases
}
