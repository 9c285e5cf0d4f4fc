//! Days that somebody asks for: `from=2026-11-01&to=2026-11-30`, both of them included.

use super::query;
use chrono::{Datelike, Days as Count, NaiveDate};

/// Some days, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: NaiveDate,
    /// The last, which is none before the first.
    pub last: NaiveDate,
}

/// Why a query names no days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDays {
    /// `from` is no date.
    #[error("from: a date, as 2026-11-23")]
    From,
    /// `to` is no date.
    #[error("to: a date, as 2026-11-23")]
    To,
    /// The last is before the first.
    #[error("to: it is before from")]
    Backwards,
    /// These are more than are told at once.
    #[error("from: at most {0} days before to")]
    Many(u32),
}

impl Days {
    /// The days that a query names. What it leaves out: `to` is today, and there are `usual` days.
    ///
    /// # Errors
    /// When what it says is no days, or more than `most` of them.
    pub fn read(text: &str, today: NaiveDate, usual: u32, most: Option<u32>) -> Result<Days, BadDays> {
        let from = date(text, "from").map_err(|()| BadDays::From)?;
        let last = date(text, "to").map_err(|()| BadDays::To)?;
        let last = last.unwrap_or_else(|| from.map_or(today, |from| from.max(today)));
        let before = Count::new(u64::from(usual.saturating_sub(1)));
        let first = from.unwrap_or_else(|| last.checked_sub_days(before).unwrap_or(last));
        if last < first {
            return Err(BadDays::Backwards);
        }
        let days = Days { first, last };
        match most {
            Some(most) if days.count() > most => Err(BadDays::Many(most)),
            _ => Ok(days),
        }
    }

    /// How many they are.
    pub fn count(&self) -> u32 {
        u32::try_from((self.last - self.first).num_days() + 1).unwrap_or_default()
    }
}

/// The date that a name has, if it is there.
fn date(text: &str, name: &str) -> Result<Option<NaiveDate>, ()> {
    let values = query::all(text.as_bytes(), name).map_err(|_| ())?;
    let [value] = values.as_slice() else { return if values.is_empty() { Ok(None) } else { Err(()) } };
    let date = NaiveDate::parse_from_str(value, "%Y-%m-%d").map_err(|_| ())?;
    // What is before nobody has counted, and what is after no history holds.
    if value.len() == 10 && (1970..=2100).contains(&date.year()) { Ok(Some(date)) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_those_that_are_named_and_else_the_last() {
        let today = day("2026-11-23");
        for (text, first, last) in [
            ("", "2026-11-17", "2026-11-23"),
            ("from=&to=", "2026-11-17", "2026-11-23"),
            ("from=2026-11-20", "2026-11-20", "2026-11-23"),
            ("from=2027-01-01", "2027-01-01", "2027-01-01"),
            ("to=2026-03-01", "2026-02-23", "2026-03-01"),
            ("from=2026-02-28&to=2026-03-01&x=y", "2026-02-28", "2026-03-01"),
            ("from=2026-02-28&to=2026-02-28", "2026-02-28", "2026-02-28"),
        ] {
            let days = Days { first: day(first), last: day(last) };
            assert_eq!(Days::read(text, today, 7, Some(31)), Ok(days), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_days_is_told() {
        let today = day("2026-11-23");
        for (text, bad) in [
            ("from=yesterday", BadDays::From),
            ("from=2026-2-3", BadDays::From),
            ("from=2026-02-30", BadDays::From),
            ("from=1969-12-31", BadDays::From),
            ("from=2026-11-01&from=2026-11-02", BadDays::From),
            ("to=%ff", BadDays::To),
            ("to=2101-01-01", BadDays::To),
            ("to=+2026-11-1", BadDays::To),
            ("from=2026-11-02&to=2026-11-01", BadDays::Backwards),
            ("from=2026-10-23", BadDays::Many(31)),
        ] {
            assert_eq!(Days::read(text, today, 7, Some(31)), Err(bad), "{text}");
        }
        assert_eq!(Days::read("from=1970-01-01", today, 7, None).map(|days| days.count()), Ok(20_781));
    }
}
