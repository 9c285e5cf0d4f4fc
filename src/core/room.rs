//! Rooms, and which room a PC's name implies.

use super::pc::PcName;
use super::tag::Tag;
use regex::Regex;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The key of a room: `[a-z0-9][a-z0-9._-]{0,63}`, as `hg075`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomKey(Arc<str>);

/// Why a text is no room key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a room key is 1 to 64 characters of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit")]
pub struct BadRoomKey;

impl RoomKey {
    /// Takes `text` as a key, as it stands.
    ///
    /// # Errors
    /// When it is not of the form above.
    pub fn parse(text: &str) -> Result<RoomKey, BadRoomKey> {
        match PcName::parse(text) {
            Ok(name) if name.as_str() == text => Ok(RoomKey(text.into())),
            _ => Err(BadRoomKey),
        }
    }

    /// The room of PCs that no rule places.
    pub fn none() -> RoomKey {
        RoomKey("none".into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for RoomKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A room as the setup lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPlan {
    /// Its key.
    pub key: RoomKey,
    /// What people call it.
    pub name: String,
    /// The tags by which clients choose it.
    pub tags: Vec<Tag>,
}

impl RoomPlan {
    /// A room that no setup lists: it has its key as its name, and no tags.
    pub fn unlisted(key: RoomKey) -> RoomPlan {
        RoomPlan { name: key.as_str().into(), key, tags: Vec::new() }
    }
}

/// One rule: names that `pattern` matches stand in the room that `room` names.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Searched for in the lower-cased name; anchor it where a whole name is meant.
    pub pattern: Regex,
    /// A room key or alias; `$1`, `${name}` stand for what the pattern's groups matched.
    pub room: String,
}

/// Rules are the same where they are written the same.
impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.room == other.room
    }
}

/// The ordered rules of the setup: the first that matches decides (reliability.md S2).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// In the order in which they are asked.
    pub rules: Vec<Rule>,
    /// Other keys under which a room is known.
    pub aliases: HashMap<RoomKey, RoomKey>,
}

impl Rules {
    /// The room that `name` implies; `none` where no rule fits, or the rule that fits yields no key.
    pub fn room_of(&self, name: &PcName) -> RoomKey {
        let Some((rule, groups)) =
            self.rules.iter().find_map(|rule| Some((rule, rule.pattern.captures(name.as_str())?)))
        else {
            return RoomKey::none();
        };
        let mut key = String::new();
        groups.expand(&rule.room, &mut key);
        let key = RoomKey::parse(&key).unwrap_or_else(|_| RoomKey::none());
        self.aliases.get(&key).cloned().unwrap_or(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(list: &[(&str, &str)], aliases: &[(&str, &str)]) -> Rules {
        let key = |text: &str| RoomKey::parse(text).unwrap();
        Rules {
            rules: list
                .iter()
                .map(|(p, r)| Rule { pattern: Regex::new(p).unwrap(), room: (*r).into() })
                .collect(),
            aliases: aliases.iter().map(|(from, to)| (key(from), key(to))).collect(),
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides_and_aliases_follow() {
        let rules = rules(
            &[("^cz|docent$", "none"), ("^(.*?)pc", "$1")],
            &[("bib", "hgbib"), ("info", "hg002"), ("hginfo", "hg002")],
        );
        let cases = [
            ("hg075pc47", "hg075"),
            ("bibpc30", "hgbib"),
            ("infopc04", "hg002"),
            ("hginfopc1", "hg002"),
            ("cz0062pc01", "none"),
            ("hg137pc00docent", "none"),
            ("printer7", "none"),
            ("hg1pc2pc3", "hg1"),
            ("pc9", "none"),
            ("hg999pc01", "hg999"),
            ("-", "none"),
        ];
        for (name, room) in cases {
            let Ok(name) = PcName::parse(name) else { continue };
            assert_eq!(rules.room_of(&name).as_str(), room, "{name}");
        }
        assert_eq!(Rules::default().room_of(&PcName::parse("x").unwrap()), RoomKey::none());
    }
}
