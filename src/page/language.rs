//! The languages of the page, and which of them a reader wants.

use super::texts::{self, Texts};

/// A language that the page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English, where nothing else is asked for.
    #[default]
    English,
    /// Dutch.
    Dutch,
    /// German.
    German,
}

impl Language {
    /// All of them, the default first.
    pub const ALL: [Language; 3] = [Language::English, Language::Dutch, Language::German];

    /// Its code, as `nl`.
    pub const fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Dutch => "nl",
            Language::German => "de",
        }
    }

    /// Its own name.
    pub const fn name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::Dutch => "Nederlands",
            Language::German => "Deutsch",
        }
    }

    /// Its place in [`Language::ALL`].
    pub const fn place(self) -> usize {
        match self {
            Language::English => 0,
            Language::Dutch => 1,
            Language::German => 2,
        }
    }

    /// What the page says in it.
    pub const fn texts(self) -> &'static Texts {
        match self {
            Language::English => &texts::EN,
            Language::Dutch => &texts::NL,
            Language::German => &texts::DE,
        }
    }

    /// The language of that code; `nl-BE` is Dutch, too.
    pub fn parse(code: &str) -> Option<Language> {
        let primary = code.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(primary))
    }

    /// What `Accept-Language` wants most of what there is (RFC 9110, section 12.5.4): of two that are wanted the same,
    /// the first. What is no such header wants nothing.
    pub fn accepted(header: &str) -> Option<Language> {
        let mut best: Option<(Language, u16)> = None;
        // More than a browser sends would be somebody's game.
        for range in header.split(',').take(32) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            let Some(quality) = thousandths(quality.unwrap_or("1")) else { continue };
            let language = if name == "*" { Some(Language::default()) } else { Language::parse(name) };
            if let Some(language) = language.filter(|_| quality > best.map_or(0, |(_, most)| most)) {
                best = Some((language, quality));
            }
        }
        best.map(|(language, _)| language)
    }
}

/// A quality as `0.8`, in thousandths.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_plain = part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    let part: u16 = format!("{part:0<3}").parse().ok().filter(|_| is_plain)?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn a_reader_gets_the_language_that_is_wanted_most() {
        use Language::{Dutch, English, German};
        let cases = [
            ("nl", Some(Dutch)),
            ("nl-BE,nl;q=0.9,en;q=0.8", Some(Dutch)),
            ("fr,de;q=0.3,en;q=0.7", Some(English)),
            ("fr;q=1,de;q=0.3,en;q=0.299", Some(German)),
            ("en;q=0.5, DE-at ; q=0.5", Some(English)),
            ("*", Some(English)),
            ("*;q=0.1,nl;q=0.2", Some(Dutch)),
            ("nl;q=0,de;q=0.001", Some(German)),
            ("nl;q=0", None),
            ("fr", None),
            ("", None),
            (";;;,q=1,,nl;q=x,de;q=2,en;q=0.1234", None),
            ("nlx", None),
        ];
        for (header, language) in cases {
            assert_eq!(Language::accepted(header), language, "{header:?}");
        }
    }

    #[test]
    fn each_language_has_its_own_place_and_code() {
        for (place, language) in Language::ALL.into_iter().enumerate() {
            assert_eq!((language.place(), Language::parse(language.code())), (place, Some(language)));
        }
    }

    proptest! {
        #[test]
        fn no_header_does_harm(header in "[a-zA-Z*;=q,.0-9 -]{0,60}|.{0,60}") {
            if let Some(language) = Language::accepted(&header) {
                let named = header.to_ascii_lowercase();
                prop_assert!(named.contains(language.code()) || named.contains('*'));
            }
        }
    }
}
