//! What people wish for, and how they write it: `TOKEN;room:hg075;system:linux;minutes:30`.

use super::super::pc::System;
use super::super::room::RoomKey;
use super::super::tag::{Tag, Tags};
use super::Offer;
use smol_str::SmolStr;
use std::fmt;

/// How many wishes one list has: a person chooses among a few rooms, and has tags for more.
pub const LIST: usize = 8;

/// How long a wish may be, in bytes. More is written by no page of ours, but where several tags are long.
pub const LONGEST: usize = 256;

/// How many tags one wish may name.
const TAGS: usize = 8;

/// The longest that anybody can wish a room to be usable, in minutes: a day.
const DAY: u16 = 24 * 60;

/// Who waits: a name that a browser has drawn for one list of wishes, `[A-Za-z0-9_-]{16,64}`. Who knows it hears what its
/// owner is told, so it is shown in no log.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Waiter(SmolStr);

impl Waiter {
    fn parse(text: &str) -> Option<Waiter> {
        let fits = (16..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        fits.then(|| Waiter(text.into()))
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiter(…)")
    }
}

/// Where a seat is wished.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Where {
    /// In any room.
    Anywhere,
    /// In that one.
    Room(RoomKey),
    /// In one with one of these tags.
    Tags(Tags),
}

/// A seat that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wish {
    /// Where it is to be.
    pub place: Where,
    /// With which system; none: whichever, and a PC that is off will do.
    pub system: Option<System>,
    /// For how many minutes the room is to stay usable, at least.
    pub minutes: u16,
}

/// Why a text is no wish, or one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It is not written as wishes are.
    #[error(
        "a wish is a token, and room or tag, system and minutes, as TOKEN;room:hg075;system:linux;minutes:30"
    )]
    Form,
    /// It has another waiter than those before it.
    #[error("all wishes of a list have one token")]
    Token,
    /// There are too many before it.
    #[error("a list has at most 8 wishes")]
    Many,
}

/// The wishes of one waiter, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Whose they are.
    pub waiter: Waiter,
    /// In the order in which they were written.
    pub wishes: Vec<Wish>,
}

impl List {
    /// The list that these texts are, if any of them is a wish; and for each of them its place in that, or why it is none.
    pub fn parse<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> (Option<List>, Vec<Result<usize, Unclear>>) {
        let mut list: Option<List> = None;
        let mut found = Vec::new();
        for text in texts {
            found.push(Wish::parse(text).and_then(|(waiter, wish)| {
                let list = list.get_or_insert_with(|| List { waiter: waiter.clone(), wishes: Vec::new() });
                if list.waiter != waiter {
                    return Err(Unclear::Token);
                }
                if let Some(place) = list.wishes.iter().position(|known| *known == wish) {
                    return Ok(place);
                }
                if list.wishes.len() >= LIST {
                    return Err(Unclear::Many);
                }
                list.wishes.push(wish);
                Ok(list.wishes.len() - 1)
            }));
        }
        (list, found)
    }
}

impl Wish {
    /// Takes `text` as a wish and whose it is, as it stands.
    ///
    /// # Errors
    /// When it is not of the form above.
    pub fn parse(text: &str) -> Result<(Waiter, Wish), Unclear> {
        if text.len() > LONGEST {
            return Err(Unclear::Form);
        }
        let mut fields = text.split(';');
        let waiter = fields.next().and_then(Waiter::parse).ok_or(Unclear::Form)?;
        let (mut place, mut system, mut minutes) = (None, None, None);
        for field in fields {
            let (name, value) = field.split_once(':').ok_or(Unclear::Form)?;
            let is_new = match name {
                "room" => {
                    place.replace(Where::Room(RoomKey::parse(value).map_err(|_| Unclear::Form)?)).is_none()
                }
                "tag" => place.replace(Where::Tags(tags(value).ok_or(Unclear::Form)?)).is_none(),
                "system" => system.replace(system_of(value).ok_or(Unclear::Form)?).is_none(),
                "minutes" => minutes.replace(number(value).ok_or(Unclear::Form)?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err(Unclear::Form);
            }
        }
        let place = place.unwrap_or(Where::Anywhere);
        Ok((waiter, Wish { place, system: system.flatten(), minutes: minutes.unwrap_or(0) }))
    }

    /// Whether a seat of that room would do, if it has the system.
    pub(super) fn is_met_by(&self, offer: &Offer<'_>) -> bool {
        let is_there = match &self.place {
            Where::Anywhere => true,
            Where::Room(key) => key == offer.key,
            Where::Tags(tags) => offer.tags.iter().any(|tag| tags.contains(tag.as_str())),
        };
        is_there && self.minutes <= offer.minutes
    }
}

fn tags(text: &str) -> Option<Tags> {
    let tags: Option<Vec<Tag>> = text.split(',').map(|tag| Tag::parse(tag).ok()).collect();
    tags.filter(|tags| tags.len() <= TAGS).map(Tags::from_iter)
}

fn system_of(text: &str) -> Option<Option<System>> {
    match text {
        "linux" => Some(Some(System::Linux)),
        "windows" => Some(Some(System::Windows)),
        "either" => Some(None),
        _ => None,
    }
}

/// Digits alone: a sign or a blank is written by no page.
fn number(text: &str) -> Option<u16> {
    let fits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|minutes| fits && *minutes <= DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "abcdefghijklmno-_0";

    fn wish(rest: &str) -> Result<Wish, Unclear> {
        Wish::parse(&format!("{TOKEN}{rest}")).map(|(_, wish)| wish)
    }

    #[test]
    fn a_wish_says_where_with_which_system_and_for_how_long() {
        let key = |text: &str| Where::Room(RoomKey::parse(text).unwrap());
        let tags = |list: &[&str]| Where::Tags(list.iter().map(|tag| Tag::parse(tag).unwrap()).collect());
        let cases = [
            ("", Where::Anywhere, None, 0),
            (";room:hg075", key("hg075"), None, 0),
            (";room:a.b_c-d;system:linux;minutes:30", key("a.b_c-d"), Some(System::Linux), 30),
            (";minutes:1440;system:windows;tag:B1", tags(&["B1"]), Some(System::Windows), 1440),
            (";tag:b,a,b;system:either;minutes:0", tags(&["a", "b"]), None, 0),
        ];
        for (text, place, system, minutes) in cases {
            assert_eq!(wish(text), Ok(Wish { place, system, minutes }), "{text}");
        }
    }

    #[test]
    fn what_is_not_written_so_is_no_wish() {
        let long = format!(";tag:{}", ["a"; 9].join(","));
        let longer = format!(";tag:{}", "a".repeat(LONGEST));
        for text in [
            ";",
            " ",
            ";room",
            ";room:",
            ";room:A",
            ";room:a b",
            ";room:a;room:a",
            ";room:a;tag:b",
            ";tag:",
            ";tag:a,",
            ";tag:\u{e9}",
            &long,
            &longer,
            ";system:",
            ";system:Linux",
            ";system:macos",
            ";minutes:",
            ";minutes:-1",
            ";minutes:+1",
            ";minutes: 1",
            ";minutes:1441",
            ";minutes:99999",
            ";minutes:00030",
            ";pc:a",
            ";room:a;",
            "/",
        ] {
            assert_eq!(wish(text), Err(Unclear::Form), "{text:?}");
        }
        for token in
            ["", "short", &"a".repeat(15), &"a".repeat(65), "with a blank in it", "with=signs+in/it===="]
        {
            assert_eq!(Wish::parse(token), Err(Unclear::Form), "{token:?}");
        }
        assert!(Wish::parse(&"a".repeat(16)).is_ok() && Wish::parse(&"a".repeat(64)).is_ok());
    }

    #[test]
    fn a_list_has_one_waiter_and_a_few_wishes_each_once() {
        let of = |n: usize| format!("{TOKEN};minutes:{n}");
        let texts: Vec<String> = [of(0), "?".into(), "another-waiter-1".into(), TOKEN.into(), of(1)]
            .into_iter()
            .chain((2..10).map(of))
            .collect();
        let (list, found) = List::parse(texts.iter().map(String::as_str));
        let minutes: Vec<u16> = list.unwrap().wishes.iter().map(|wish| wish.minutes).collect();
        assert_eq!(minutes, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(found[..5], [Ok(0), Err(Unclear::Form), Err(Unclear::Token), Ok(0), Ok(1)]);
        assert_eq!(found[10..], [Ok(7), Err(Unclear::Many), Err(Unclear::Many)]);
        assert_eq!(List::parse(["?"]), (None, vec![Err(Unclear::Form)]));
        assert_eq!(List::parse([]), (None, vec![]));
    }

    #[test]
    fn whose_a_wish_is_is_shown_in_no_log() {
        let (list, _) = List::parse([TOKEN]);
        assert!(!format!("{list:?}").contains(TOKEN));
    }

    proptest! {
        #[test]
        fn any_text_is_a_wish_of_bounded_size_or_none(text in "([A-Za-z0-9_-]{14,20}(;(room|tag|system|minutes)?:?[a-z0-9,]{0,9}){0,4}|.*)") {
            if let Ok((waiter, wish)) = Wish::parse(&text) {
                prop_assert!(text.len() <= LONGEST && (16..=64).contains(&waiter.0.len()) && wish.minutes <= DAY);
                if let Where::Tags(tags) = wish.place {
                    prop_assert!((1..=TAGS).contains(&tags.iter().count()));
                }
            }
        }
    }
}
