//! Which rooms a LOCATION is about, in a calendar of many rooms.

use super::super::Room;
use super::super::coverage::filled;
use crate::core::room::RoomKey;
use regex::{Regex, RegexBuilder};
use std::collections::HashMap;

/// Memory that one compiled pattern may take; there may be a thousand.
const PATTERN_BYTES: usize = 1 << 18;

/// How rooms are found in a LOCATION; letters of either case are the same.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// A room's name stands in it as words of their own.
    Name,
    /// A pattern with `{room}` or `{name}` in it matches.
    Pattern(String),
    /// What the one group of this pattern yields, wherever it matches, is a room's key or name.
    Group(Regex),
}

impl Matcher {
    /// What finds `rooms`.
    pub(super) fn find_in<'a>(&'a self, rooms: &'a [Room]) -> Finder<'a> {
        let by = match self {
            Matcher::Name => {
                By::Name(rooms.iter().map(|room| (room.name.to_lowercase(), &room.key)).collect())
            }
            Matcher::Pattern(pattern) => {
                let compiled = |room: &'a Room| {
                    compiled(&filled(pattern, room, regex::escape)).ok().map(|it| (it, &room.key))
                };
                By::Pattern(rooms.iter().filter_map(compiled).collect())
            }
            Matcher::Group(pattern) => {
                let names = rooms.iter().map(|room| (room.name.to_lowercase(), &room.key));
                let keys = rooms.iter().map(|room| (room.key.to_string(), &room.key));
                By::Group(pattern, names.chain(keys).collect())
            }
        };
        Finder { by, known: HashMap::new() }
    }
}

/// Finds rooms; places that come again are looked through once.
pub(super) struct Finder<'a> {
    by: By<'a>,
    known: HashMap<String, Vec<RoomKey>>,
}

enum By<'a> {
    Name(Vec<(String, &'a RoomKey)>),
    Pattern(Vec<(Regex, &'a RoomKey)>),
    Group(&'a Regex, HashMap<String, &'a RoomKey>),
}

impl Finder<'_> {
    /// The rooms that `location` is about, each once.
    pub(super) fn rooms(&mut self, location: &str) -> &[RoomKey] {
        if !self.known.contains_key(location) {
            let found = self.by.rooms(location);
            self.known.insert(location.to_owned(), found);
        }
        self.known.get(location).map(Vec::as_slice).unwrap_or_default()
    }
}

impl By<'_> {
    fn rooms(&self, location: &str) -> Vec<RoomKey> {
        let mut found: Vec<RoomKey> = match self {
            By::Name(names) => {
                let location = location.to_lowercase();
                names
                    .iter()
                    .filter(|(name, _)| holds(&location, name))
                    .map(|(_, key)| (*key).clone())
                    .collect()
            }
            By::Pattern(patterns) => patterns
                .iter()
                .filter(|(pattern, _)| pattern.is_match(location))
                .map(|(_, key)| (*key).clone())
                .collect(),
            By::Group(pattern, rooms) => {
                let named = pattern.captures_iter(location).filter_map(|groups| groups.get(1));
                named
                    .filter_map(|name| rooms.get(&name.as_str().trim().to_lowercase()))
                    .map(|key| (*key).clone())
                    .collect()
            }
        };
        found.sort();
        found.dedup();
        found
    }
}

/// Whether `name` stands in `text` and neither a letter nor a digit touches it: KD1 is not in KD10.
fn holds(text: &str, name: &str) -> bool {
    let open = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            let (before, rest) = text.split_at(at);
            open(before.chars().next_back())
                && open(rest.get(name.len()..).and_then(|after| after.chars().next()))
        })
}

fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).multi_line(true).size_limit(PATTERN_BYTES).build()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::room;
    use super::*;

    #[test]
    fn rooms_are_found_in_a_location() {
        let rooms =
            [room("kd1", "KD1"), room("kd10", "KD10"), room("hg075", "HG00.075"), room("cafe", "Café É")];
        let timeedit = "Lokalnamn: KD1. Antal datorer: 24. Campus: Lappis\nLokalnamn: KD10. Antal datorer: 2. Campus: KD";
        let cases: [(Option<&str>, &str, &[&str]); 14] = [
            (None, timeedit, &["kd1", "kd10"]),
            (None, "Lokalnamn: KD10. Antal datorer: 24.", &["kd10"]),
            (None, "kd1;HG00.075 (terminal room)", &["hg075", "kd1"]),
            (None, "HG00.0751, XKD1, KD1é", &[]),
            (None, "café é", &["cafe"]),
            (None, "", &[]),
            (Some("Lokalnamn: {name}[.]"), timeedit, &["kd1", "kd10"]),
            (Some("Campus: {name}"), timeedit, &[]),
            (Some("^{room}$"), "a\nHG075\nb", &["hg075"]),
            (Some("{name}"), "HG00x075", &[]),
            (Some("Lokalnamn: ([^.\n]+)"), timeedit, &["kd1", "kd10"]),
            (Some("Lokalnamn: ([^.\n]+)"), "Lokalnamn: KD2. Campus: KD1", &[]),
            (Some("(?:^|, )([^,]+)"), "kd1, hg00.075,  KD1 ", &["hg075", "kd1"]),
            (Some("\\[(.*?)\\]"), "[hg075]", &["hg075"]),
        ];
        for (pattern, location, keys) in cases {
            let matcher = match pattern {
                None => Matcher::Name,
                Some(pattern) if pattern.contains('{') => Matcher::Pattern(pattern.into()),
                Some(pattern) => Matcher::Group(compiled(pattern).unwrap()),
            };
            let mut finder = matcher.find_in(&rooms);
            for _ in 0..2 {
                let found: Vec<&str> = finder.rooms(location).iter().map(RoomKey::as_str).collect();
                assert_eq!(found, keys, "{pattern:?} {location:?}");
            }
        }
    }
}
