//! Spans of time as people write them: `500ms`, `20s`, `1h30m`.

use super::mistake::Refusal;
use super::near::quoted;
use std::time::Duration;

/// Units by their names, in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Takes `text` as a span of time.
pub(super) fn parse(text: &str) -> Result<Duration, Refusal> {
    if let Some(duration) = strict(text) {
        return Ok(duration);
    }
    let refusal = Refusal::new(format!("{} is no duration, as \"20s\" or \"5m\"", quoted(text)));
    Err(match meant(text) {
        Some(meant) => refusal.did_you_mean(&meant),
        None => refusal,
    })
}

/// The shortest way to write `duration`, to the millisecond.
pub(super) fn shown(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, length) in UNITS {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// Whole numbers with their units, without anything between them.
fn strict(text: &str) -> Option<Duration> {
    let mut milliseconds = 0u64;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        let (_, length) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        milliseconds = milliseconds.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
        rest = tail;
    }
    Some(Duration::from_millis(milliseconds))
}

/// What the usual other spellings (`20`, `20 s`, `20sec`, `5 minutes`) stand for.
fn meant(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "ms" | "msec" | "millis" | "milliseconds" => "ms",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return None,
    };
    let meant = format!("{number}{unit}");
    strict(&meant).map(|_| meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_whole_numbers_with_units() {
        let cases = [
            ("500ms", Some(500)),
            ("20s", Some(20_000)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("2d", Some(172_800_000)),
            ("0s", Some(0)),
            ("", None),
            ("s", None),
            ("20", None),
            ("20 s", None),
            ("-1s", None),
            ("1.5s", None),
            ("20S", None),
            ("20\u{e9}", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text).ok(), milliseconds.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn a_duration_is_shown_as_it_could_be_written() {
        for text in ["500ms", "20s", "5m", "1h30m", "2d", "1m1ms"] {
            assert_eq!(shown(parse(text).unwrap()), text);
        }
        assert_eq!(shown(Duration::ZERO), "0s");
    }

    #[test]
    fn other_spellings_are_answered_with_ours() {
        for (text, ours) in
            [("20", "20s"), ("20 s", "20s"), ("5 minutes", "5m"), ("10S", "10s"), ("1 hr", "1h")]
        {
            assert_eq!(meant(text).as_deref(), Some(ours), "{text:?}");
        }
        assert_eq!(meant("soon"), None);
    }
}
