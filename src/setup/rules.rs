//! The rules by which a PC's name implies its room.

use super::fields::Fields;
use super::mistake::Refusal;
use super::near::quoted;
use super::reader::Reader;
use super::rooms::{Rooms, key};
use crate::core::room::{RoomKey, Rule, Rules};
use regex::{Regex, RegexBuilder};

/// Memory that one compiled pattern may take. Any that is about a PC's name takes a few KiB; a
/// counted repetition of counted repetitions takes all there is.
const PATTERN_BYTES: usize = 1 << 20;

/// Resolves `[[rule]]`, in their order.
pub(super) fn rules(ask: &mut Reader, rooms: &Rooms) -> Rules {
    let mut mistakes = Vec::new();
    let mut rules: Vec<Rule> = Vec::new();
    for table in ask.tables("rule") {
        let mut fields = Fields::new("rule", &["pattern", "room"], table, &mut mistakes);
        let pattern = fields.required("pattern", pattern);
        let names = pattern.as_ref().map(|(pattern, _)| pattern);
        let room = fields.required("room", |text| room(text, names, rooms));
        let (Some((pattern, place)), Some((room, _))) = (pattern, room) else { continue };
        if rules.iter().any(|rule| rule.pattern.as_str() == pattern.as_str()) {
            let why = format!("an earlier rule has the pattern {}, and decides", quoted(pattern.as_str()));
            fields.refuse(place, Refusal::new(why));
            continue;
        }
        rules.push(Rule { pattern, room });
    }
    ask.note(mistakes);
    Rules { rules, aliases: rooms.aliases.clone() }
}

fn pattern(text: &str) -> Result<Regex, Refusal> {
    if text.is_empty() {
        return Err(
            Refusal::new("an empty pattern matches every name").hint("write \".*\" if it is meant to")
        );
    }
    let pattern = RegexBuilder::new(text).size_limit(PATTERN_BYTES).build().map_err(|error| {
        // The error is a picture of several lines, of which the last says what is wrong.
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default();
        Refusal::new(format!("{}: {}", quoted(text), last.trim_start_matches("error: ")))
    })?;
    match never(text) {
        Some(meant) => {
            let why = format!("{} never matches, since names are lower-cased first", quoted(text));
            Err(Refusal::new(why).did_you_mean(&meant))
        }
        None => Ok(pattern),
    }
}

/// What was meant by a pattern that begins with a capital, where it is certain that it never
/// matches: anchored, without alternatives or flags, and the capital not optional.
fn never(text: &str) -> Option<String> {
    let rest = text.strip_prefix('^')?;
    let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).len();
    let (literal, tail) = rest.split_at(letters);
    let certain = literal.starts_with(|c: char| c.is_ascii_uppercase())
        && !(literal.len() == 1 && tail.starts_with(['?', '*', '{']))
        && !text.contains('|');
    certain.then(|| format!("^{}{tail}", literal.to_ascii_lowercase()))
}

/// A room's key or alias, or a text with `$1` or `${name}` that becomes one.
fn room(text: &str, pattern: Option<&Regex>, rooms: &Rooms) -> Result<String, Refusal> {
    if !text.contains('$') {
        let key = key(text)?;
        if let Some(meant) = misspelt(key.as_str(), rooms) {
            let hint = format!("did you mean {meant:?}? A new room wants a [[room]] of its own");
            return Err(Refusal::new(format!("unknown room {text:?}")).hint(hint));
        }
        return Ok(text.into());
    }
    let Some(pattern) = pattern else { return Ok(text.into()) };
    let (groups, sample) = groups(text);
    if groups.is_empty() {
        return Err(Refusal::new(format!("{} holds a \"$\" that names no group", quoted(text))));
    }
    let lacks = |name: &&str| match name.parse::<usize>() {
        Ok(number) => number >= pattern.captures_len(),
        Err(_) => !pattern.capture_names().flatten().any(|known| known == *name),
    };
    let Some(missing) = groups.into_iter().find(lacks) else {
        // With whatever the groups hold, what stands around them must suit a key.
        return match RoomKey::parse(&sample) {
            Ok(_) => Ok(text.into()),
            Err(why) => Err(Refusal::new(format!("{} never is a room's key: {why}", quoted(text)))),
        };
    };
    let why = Refusal::new(format!("the pattern has no group {}", quoted(missing)));
    // `$1a` asks for a group named "1a": digits are meant to end at the first letter.
    let digits = missing.len() - missing.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Err(if digits > 0 && digits < missing.len() && text.contains(&format!("${missing}")) {
        let (number, rest) = missing.split_at(digits);
        why.did_you_mean(&text.replace(&format!("${missing}"), &format!("${{{number}}}{rest}")))
    } else {
        why
    })
}

/// The groups that a template names, as [`regex::Captures::expand`] reads it; and the template with
/// a "0" for each.
fn groups(template: &str) -> (Vec<&str>, String) {
    let mut groups = Vec::new();
    let mut sample = String::new();
    let mut rest = template;
    while let Some((before, tail)) = rest.split_once('$') {
        sample.push_str(before);
        let (name, after) = match tail.strip_prefix('{').and_then(|tail| tail.split_once('}')) {
            Some(braced) => braced,
            None => {
                let after = tail.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
                tail.split_at(tail.len() - after.len())
            }
        };
        if name.is_empty() {
            sample.push('$');
            rest = tail.strip_prefix('$').unwrap_or(tail);
        } else {
            sample.push('0');
            groups.push(name);
            rest = after;
        }
    }
    (groups, sample + rest)
}

/// The listed room that an unlisted key is a slip of.
///
/// A rule may name a room that is not listed: that room then appears by itself. So only a letter
/// that is lost, doubled, swapped or mistaken counts; rooms whose numbers differ are two rooms.
pub(super) fn misspelt<'a>(key: &str, rooms: &'a Rooms) -> Option<&'a str> {
    let known = || rooms.plans.iter().map(|plan| &plan.key).chain(rooms.aliases.keys());
    if known().any(|known| known.as_str() == key) {
        return None;
    }
    let numbers = |text: &str| text.len() - text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    known().map(RoomKey::as_str).find(|known| {
        let near = strsim::damerau_levenshtein(key, known) == 1;
        // hg1 and hg10 are two rooms in many a building, hg07 and hg075 hardly are.
        near && (key.len() != known.len() && numbers(key) >= 2 && numbers(known) >= 2
            || letters(key) != letters(known))
    })
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::room::RoomPlan;

    fn rooms(keys: &[&str]) -> Rooms {
        let plan = |key: &&str| RoomPlan {
            key: RoomKey::parse(key).unwrap(),
            name: (*key).into(),
            tags: Vec::new(),
        };
        Rooms { plans: keys.iter().map(plan).collect(), ..Rooms::default() }
    }

    #[test]
    fn a_slip_is_a_lost_letter_and_never_another_number() {
        let rooms = rooms(&["hg075", "hg201", "hgbib", "lab1"]);
        let cases = [
            ("hg075", None),
            ("hg07", Some("hg075")),
            ("hg0755", Some("hg075")),
            ("hq075", Some("hg075")),
            ("hgbin", Some("hgbib")),
            ("hg203", None),
            ("hg057", None),
            ("lab10", None),
            ("lab2", None),
            ("attic", None),
        ];
        for (key, meant) in cases {
            assert_eq!(misspelt(key, &rooms), meant, "{key}");
        }
    }

    #[test]
    fn groups_are_found_as_the_engine_will_find_them() {
        let cases: [(&str, &[&str], &str); 8] = [
            ("$1", &["1"], "0"),
            ("$1a", &["1a"], "0"),
            ("hg${1}a", &["1"], "hg0a"),
            ("a$$1", &[], "a$1"),
            ("${building}-$room", &["building", "room"], "0-0"),
            ("$", &[], "$"),
            ("${1", &[], "${1"),
            ("$-$1", &["1"], "$-0"),
        ];
        for (template, wanted, sample) in cases {
            assert_eq!(groups(template), (wanted.to_vec(), sample.to_owned()), "{template}");
        }
    }

    #[test]
    fn a_pattern_with_a_capital_is_refused_only_where_it_is_certainly_dead() {
        for (text, meant) in [
            ("^HG(.*)pc", Some("^hg(.*)pc")),
            ("^H?g", None),
            ("^HG|hg", None),
            ("(?i)^HG", None),
            (r"^\S+pc", None),
            ("^[A-Za-z]+", None),
        ] {
            assert_eq!(never(text).as_deref(), meant, "{text}");
        }
    }
}
