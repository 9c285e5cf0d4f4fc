//! What the query of a request asks: tags, versions, pages, times. What is not known is passed over, as caches are
//! tricked with it; what is known and wrong is told.

use crate::core::page::PageQuery;
use crate::core::pc::PcName;
use crate::core::room::RoomKey;
use crate::core::source::{Source, Timestamp};
use crate::core::tag::TagFilter;
use crate::core::version::Version;
use crate::wire::{api, query};
use chrono::DateTime;
use std::str::FromStr;

/// A query that was read.
pub(super) struct Question {
    /// `tag`, as often as there are tags; without one, everything.
    pub(super) tags: TagFilter,
    since: Option<String>,
    until: Option<String>,
    after: Option<u64>,
    limit: Option<u32>,
    /// `pc`
    pc: Option<PcName>,
    /// `room`
    pub(super) room: Option<RoomKey>,
    source: Option<Source>,
}

impl Question {
    /// Reads a query; or says what is wrong with it, in a line that repeats nothing of it.
    pub(super) fn read(text: &str) -> Result<Question, String> {
        let values = |name: &str| query::all(text.as_bytes(), name).map_err(|_| format!("{name}: not UTF-8"));
        let single = |name: &str| {
            let values = values(name)?;
            if values.len() > 1 { Err(format!("{name}: given twice")) } else { Ok(values.into_iter().next()) }
        };
        Ok(Question {
            tags: api::tags(text)?,
            since: single("since")?,
            until: single("until")?,
            after: whole("after", single("after")?)?,
            limit: whole("limit", single("limit")?)?,
            pc: parsed("pc", single("pc")?, PcName::parse)?,
            room: parsed("room", single("room")?, RoomKey::parse)?,
            source: parsed("source", single("source")?, Source::parse)?,
        })
    }

    /// `since` as a version, where it is one.
    pub(super) fn since_version(&self) -> Option<Version> {
        self.since.as_deref().and_then(|text| text.parse().ok()).map(Version)
    }

    /// Which rows of the history are asked for; `pcs` are those of the room that is.
    pub(super) fn page(&self, pcs: Option<Vec<PcName>>) -> Result<PageQuery, String> {
        const LIMIT: u32 = 100;
        let pcs = match (&self.pc, pcs) {
            (Some(pc), Some(pcs)) => Some(pcs.into_iter().filter(|of| of == pc).collect()),
            (Some(pc), None) => Some(vec![pc.clone()]),
            (None, pcs) => pcs,
        };
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=PageQuery::MAX_LIMIT).contains(&limit) {
            return Err(format!("limit: 1 to {}", PageQuery::MAX_LIMIT));
        }
        Ok(PageQuery {
            after: self.after.unwrap_or(0),
            limit,
            pcs,
            source: self.source.clone(),
            since: time("since", self.since.as_deref())?,
            until: time("until", self.until.as_deref())?,
        })
    }
}

fn whole<T: FromStr>(name: &str, text: Option<String>) -> Result<Option<T>, String> {
    let parse = |text: String| {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_plain).ok_or_else(|| format!("{name}: a whole number"))
    };
    text.map(parse).transpose()
}

fn parsed<T, E: std::fmt::Display>(
    name: &str,
    text: Option<String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, String> {
    text.map(|text| parse(&text).map_err(|error| format!("{name}: {error}"))).transpose()
}

/// A time as RFC 3339 has it, or seconds since 1970. In a query a plus is a space, unless it is escaped.
fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, String> {
    let Some(text) = text else { return Ok(None) };
    let seconds = text
        .parse()
        .ok()
        .or_else(|| DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok().map(|time| time.timestamp()));
    let wants = || format!("{name}: a time, as 2026-11-23T10:45:00+01:00 or in seconds since 1970");
    seconds.map(|seconds| Some(Timestamp(seconds))).ok_or_else(wants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_or_what_is_wrong_is_told() {
        let wrong = |text: &str| Question::read(text).and_then(|read| read.page(None)).err();
        for (text, line) in [
            ("", None),
            ("_=17&x&y=", None),
            ("tag=a&tag=b,c&after=7&limit=1000&pc=A1&room=a&source=s", None),
            ("since=2026-11-23T10:45:00+01:00&until=1795337593", None),
            ("tag=a%20b", Some("tag: a tag is")),
            ("tag=%ff", Some("tag: not UTF-8")),
            ("after=-1", Some("after: a whole number")),
            ("after=99999999999999999999", Some("after: a whole number")),
            ("limit=0", Some("limit: 1 to 1000")),
            ("limit=1001", Some("limit: 1 to 1000")),
            ("limit=1&limit=2", Some("limit: given twice")),
            ("pc=.a", Some("pc: a PC name is")),
            ("since=yesterday", Some("since: a time")),
        ] {
            let told = wrong(text);
            assert!(
                told.as_deref().unwrap_or_default().starts_with(line.unwrap_or_default())
                    && told.is_some() == line.is_some(),
                "{text}: {told:?}"
            );
        }
        let many: String = (0..=api::MAX_TAGS).map(|i| format!("tag=t{i}&")).collect();
        assert!(wrong(&many).is_some());
    }

    #[test]
    fn times_are_those_of_the_zone_that_is_named() {
        let page = Question::read("since=2026-11-23T10:45:00%2B01:00&until=5").unwrap().page(None).unwrap();
        assert_eq!((page.since, page.until), (Some(Timestamp(1_795_427_100)), Some(Timestamp(5))));
    }
}
