//! Searching for rooms by what people call them: neither case nor accents count.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// As it is compared: without accents, in lower case. Scripts do the same by
/// `text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase()`.
pub(super) fn folded(text: &str) -> String {
    text.nfd().filter(|c| !is_combining_mark(*c)).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_case_nor_accents_count() {
        let cases = [
            ("HG00.075", "hg00.075"),
            ("Café Überraum", "cafe uberraum"),
            ("Cafe\u{301}", "cafe"),
            ("Coördinatie", "coordinatie"),
            ("STRAẞE", "straße"),
            ("\u{645}\u{64e}\u{639}\u{645}\u{644}", "معمل"),
            ("\u{5e9}\u{5c1}\u{5b8}", "ש"),
        ];
        for (text, found) in cases {
            assert_eq!(folded(text), found, "{text}");
        }
    }
}
