//! What a reader wants to see, as it stands in the address: `tag`, `system`, `minutes`, `q`, `all` and `lang`. What is not
//! understood there is passed over: a student who followed a link is shown rooms, and no mistake.

use super::language::Language;
use super::row::Row;
use super::search::folded;
use crate::core::pc::System;
use crate::core::schedule::TimeOfDay;
use crate::core::tag::{Tag, TagFilter};
use crate::wire::api::MAX_TAGS;
use crate::wire::query;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::cmp::Reverse;

/// The longest search, in characters: longer than any name is meant.
const MAX_SEARCH: usize = 100;

/// For how long a room may be wanted, in minutes: a day.
const MAX_MINUTES: u16 = 24 * 60;

/// The query of a page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageQuery {
    /// Which rooms are wanted.
    pub filter: Filter,
    /// The language, where it is not left to the browser.
    pub language: Option<Language>,
    /// Whether all rooms are wanted, however many.
    pub all: bool,
}

/// Which rooms a reader wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Those with one of these tags; without any, all.
    pub tags: Vec<Tag>,
    /// Those with a free PC that runs this.
    pub system: Option<System>,
    /// Those that can be used for so many minutes from now on.
    pub minutes: Option<u16>,
    /// Those that are called so, as it was written.
    pub search: String,
    /// The words of that, as they are compared.
    words: Vec<String>,
}

impl PageQuery {
    /// Reads a query.
    pub fn read(text: &str) -> PageQuery {
        let values = |name: &str| query::all(text.as_bytes(), name).unwrap_or_default();
        // The last one counts, as in a form that was added to.
        let last = |name: &str| values(name).pop();
        let mut tags: Vec<Tag> = Vec::new();
        for tag in values("tag")
            .iter()
            .flat_map(|value| value.split(','))
            .filter_map(|tag| Tag::parse(tag.trim()).ok())
        {
            if tags.len() < MAX_TAGS && !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let system = match last("system").unwrap_or_default().to_ascii_lowercase().as_str() {
            "linux" => Some(System::Linux),
            "windows" => Some(System::Windows),
            _ => None,
        };
        let minutes = last("minutes").and_then(|text| text.trim().parse().ok());
        let search: String = last("q").unwrap_or_default().trim().chars().take(MAX_SEARCH).collect();
        let search = search.trim_end().to_owned();
        PageQuery {
            filter: Filter {
                tags,
                system,
                minutes: minutes.filter(|minutes| (1..=MAX_MINUTES).contains(minutes)),
                words: folded(&search).split_whitespace().map(str::to_owned).collect(),
                search,
            },
            language: last("lang").and_then(|code| Language::parse(&code)),
            all: last("all").is_some_and(|all| all == "1"),
        }
    }

    /// The same as a query with its question mark; empty where there is nothing to say.
    pub fn text(&self) -> String {
        let Filter { tags, system, minutes, search, .. } = &self.filter;
        let mut pairs: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
        if let Some(system) = system {
            pairs.push(format!("system={}", system_code(*system)));
        }
        if let Some(minutes) = minutes {
            pairs.push(format!("minutes={minutes}"));
        }
        if !search.is_empty() {
            pairs.push(format!("q={}", utf8_percent_encode(search, PLAIN)));
        }
        if self.all {
            pairs.push("all=1".to_owned());
        }
        if let Some(language) = self.language {
            pairs.push(format!("lang={}", language.code()));
        }
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

/// All but what is plain in a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// As a query names it.
pub(super) const fn system_code(system: System) -> &'static str {
    match system {
        System::Linux => "linux",
        System::Windows => "windows",
    }
}

impl Filter {
    /// Whether a room is wanted, at this time of day.
    pub fn passes(&self, row: &Row, now: TimeOfDay) -> bool {
        self.passes_but_for_minutes(row) && self.minutes.is_none_or(|minutes| row.lasts(minutes, now))
    }

    /// Whether a room would be wanted if it could be used.
    pub(super) fn passes_but_for_minutes(&self, row: &Row) -> bool {
        let carries = |tag: &Tag| row.tags.contains(tag);
        (self.tags.is_empty() || self.tags.iter().any(carries))
            && self.system.is_none_or(|system| row.free_with(system) > 0)
            && self.words.iter().all(|word| row.find.contains(word.as_str()))
    }

    /// How many seats of a room count for who wants this.
    pub fn seats(&self, row: &Row) -> u32 {
        match self.system {
            None => row.seats.usable(),
            Some(_) if row.seats.usable() == 0 => 0,
            Some(system) => row.free_with(system),
        }
    }

    /// Rows in this order begin with the best for who wants this: of the rooms that are open, the one with the most seats
    /// of the system that was chosen.
    pub(super) fn order<'a>(&self, row: &'a Row) -> impl Ord + use<'a> {
        let (rank, find, key) = row.order();
        let seats = if self.system.is_some() { self.seats(row) } else { 0 };
        (rank.get(..1), Reverse(seats), rank, find, key)
    }

    /// The tags, as those who listen have them.
    pub fn tag_filter(&self) -> TagFilter {
        if self.tags.is_empty() {
            TagFilter::Everything
        } else {
            TagFilter::Tags(self.tags.iter().cloned().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn a_query_is_read_and_what_is_not_understood_is_passed_over() {
        let told = |text: &str| PageQuery::read(text).text();
        let cases = [
            ("", ""),
            ("tag=a&tag=b,c&tag=a", "?tag=a&tag=b&tag=c"),
            ("tag=%20a%20&tag=b+c&tag=%ff", ""),
            ("tag=a%20b&tag=d", "?tag=d"),
            ("system=Linux&minutes=30&lang=nl&all=1", "?system=linux&minutes=30&all=1&lang=nl"),
            ("system=bsd&minutes=-1&lang=fr&all=yes", ""),
            ("minutes=0&minutes=1441", ""),
            ("minutes=99999999999999&system=&q=+++", ""),
            ("minutes=15&minutes=60", "?minutes=60"),
            ("q=Caf%C3%A9+%26+1", "?q=Caf%C3%A9%20%26%201"),
            ("lang=de-CH", "?lang=de"),
            ("m&&&===&%&%zz=%zz&a[]=1", ""),
        ];
        for (query, text) in cases {
            assert_eq!(told(query), text, "{query}");
            assert_eq!(PageQuery::read(text.trim_start_matches('?')), PageQuery::read(query), "{query}");
        }
        let long = PageQuery::read(&format!("q={}", "x".repeat(5000)));
        assert_eq!(long.filter.search.len(), MAX_SEARCH);
        let many: String = (0..500).map(|i| format!("tag=t{i}&")).collect();
        assert_eq!(PageQuery::read(&many).filter.tags.len(), MAX_TAGS);
    }

    proptest! {
        #[test]
        fn whatever_stands_in_an_address_is_told_again_as_it_was_read(
            pairs in prop::collection::vec(("(tag|system|minutes|q|all|lang|[a-z%]{0,4})", ".{0,130}"), 0..8),
            raw in any::<bool>(),
        ) {
            let value = |text: &str| if raw { text.to_owned() } else { utf8_percent_encode(text, PLAIN).to_string() };
            let pairs: Vec<String> = pairs.iter().map(|(name, text)| format!("{name}={}", value(text))).collect();
            let query = PageQuery::read(&pairs.join("&"));
            prop_assert_eq!(PageQuery::read(query.text().trim_start_matches('?')), query.clone());
            prop_assert!(query.text().is_ascii() && !query.text().contains(['"', '<', '>', '\'', ' ']));
        }
    }
}
