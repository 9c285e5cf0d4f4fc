//! What somebody who mistyped a word probably meant.

/// The candidate nearest to `text`, if one is near enough to be worth a question.
///
/// One slip in a short word and a third of the letters in a long one: more, and the suggestion
/// sends a reader after something that was never meant.
pub(super) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase();
    let reach = (lower.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `text` in quotes as a message may show it: on one line, controls escaped, and not endless.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push('\u{2026}');
    }
    format!("{cut:?}")
}

/// The question that goes with a suggestion.
pub(super) fn did_you_mean(text: &str) -> String {
    format!("did you mean {}?", quoted(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let keys = ["listen", "hold", "path", "timeout", "max_body", "max_head"];
        let cases = [
            ("hodl", Some("hold")),
            ("Listen", Some("listen")),
            ("lisen", Some("listen")),
            ("maxbody", Some("max_body")),
            ("time_out", Some("timeout")),
            ("colour", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(nearest(text, keys), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_quotation_stays_on_one_line_and_ends() {
        assert_eq!(quoted("a\n\u{1b}[31m"), r#""a\n\u{1b}[31m""#);
        assert_eq!(quoted(&"x".repeat(500)).chars().count(), 83);
    }
}
