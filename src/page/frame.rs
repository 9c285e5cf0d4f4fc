//! What stands around every view: the language, the time, and what its scripts go on from.

use super::filter::{PageQuery, system_code};
use super::language::Language;
use super::overview::Shown;
use super::texts::{Texts, fill};
use crate::core::schedule::TimeOfDay;
use crate::wire::api::clock;
use chrono::{DateTime, Timelike};
use chrono_tz::Tz;
use std::borrow::Cow;

/// What all views are given.
#[derive(Debug, Clone)]
pub struct Frame {
    /// In which language it is.
    pub language: Language,
    /// What is asked for.
    pub query: PageQuery,
    /// The path of the view, as `/kiosk`.
    pub path: String,
    /// The time, where the rooms are.
    pub now: DateTime<Tz>,
    /// Which edition of the design it is made with.
    pub edition: String,
    /// How far the stream has told of what the view holds.
    pub told: String,
}

impl Frame {
    /// What is said in its language.
    pub fn texts(&self) -> &'static Texts {
        self.language.texts()
    }

    /// The address of a file of the design.
    pub fn asset(&self, name: &str) -> String {
        format!("/assets/{}/{name}", self.edition)
    }

    /// The time, as `12:35`.
    pub fn clock(&self) -> String {
        clock(self.time())
    }

    /// The minute that it is of, for machines. Nothing finer: it would be another page each second.
    pub fn minute(&self) -> String {
        self.now.format("%Y-%m-%dT%H:%M%:z").to_string()
    }

    /// Of when it is.
    pub fn as_of(&self) -> String {
        fill(self.texts().as_of, &[("time", &self.clock())])
    }

    /// Of which system the seats count, where that was chosen: then a row's number is of these.
    pub fn system(&self) -> Option<&'static str> {
        self.query.filter.system.map(system_code)
    }

    /// The languages that there are.
    pub fn languages(&self) -> [Language; Language::ALL.len()] {
        Language::ALL
    }

    /// The time of day.
    pub fn time(&self) -> TimeOfDay {
        time_of(&self.now)
    }

    /// As it is named in IANA's list.
    pub fn zone(&self) -> &'static str {
        self.now.timezone().name()
    }

    /// The same view in another language.
    pub fn in_language(&self, language: &Language) -> String {
        let query = PageQuery { language: Some(*language), ..self.query.clone() };
        format!("{}{}", self.path, query.text())
    }

    /// A row as it stands in the view: its link keeps the language where that was chosen. Rows are made once for all readers
    /// of a language, most of whom have not.
    pub fn row<'a>(&self, shown: &Shown<'a>) -> Cow<'a, str> {
        if self.query.language.is_none() {
            return shown.html.into();
        }
        let path = format!("/rooms/{}", shown.row.key);
        let link = |to: &str| format!("<a href={to}>");
        shown.html.replacen(&link(&path), &link(&self.link(&path)), 1).into()
    }

    /// Where a link of the view leads to, with its language where that was chosen.
    pub fn link(&self, path: &str) -> String {
        let query = PageQuery { language: self.query.language, ..PageQuery::default() };
        format!("{path}{}", query.text())
    }
}

/// The time of day that a clock shows.
pub(super) fn time_of(at: &DateTime<Tz>) -> TimeOfDay {
    // Below 24 and 60.
    TimeOfDay { hour: at.hour() as u8, minute: at.minute() as u8 }
}
