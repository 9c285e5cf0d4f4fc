//! The tables of a list, as `[[room]]`: each its few fields.

use super::mistake::{Mistake, Refusal};
use super::near::{nearest, quoted};
use super::place::Place;
use super::reader::unknown_in;
use super::written::{Entry, Written};
use std::ops::RangeInclusive;

/// The fields of one table of a list, as of `[[room]]`.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    header: &'static str,
    place: Place,
    entries: Vec<Entry>,
    known: &'static [&'static str],
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Fields<'a> {
    /// The fields of the table at `place`; unknown ones are noted at once.
    pub(super) fn new(
        header: &'static str,
        known: &'static [&'static str],
        (place, entries): (Place, Vec<Entry>),
        mistakes: &'a mut Vec<Mistake>,
    ) -> Fields<'a> {
        for entry in entries.iter().filter(|entry| !known.contains(&entry.name.as_str())) {
            let near = nearest(&entry.name, known.iter().copied());
            let mut why = unknown_in(&format!("[{header}]"), &entry.name).nearest(near);
            if near.is_none() && entry.name == "timezone" {
                // TOML gives what follows a table to that table; this is the one key above them all.
                why = why.hint("it belongs at the top of the file, before the first table");
            }
            mistakes.push(Mistake::new(entry.place.clone(), why));
        }
        Fields { header, place, entries, known, mistakes }
    }

    /// Where the table begins.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The field, if it was written.
    pub(super) fn find(&self, name: &str) -> Option<Written> {
        debug_assert!(self.known.contains(&name));
        self.entries.iter().find(|entry| entry.name == name).map(|entry| entry.written.clone())
    }

    /// A text that `parse` understands; none where it is absent, or refused and noted.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<(T, Place)> {
        let written = self.find(name)?;
        self.one(name, &written, parse)
    }

    /// The same, of a field that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<(T, Place)> {
        if self.find(name).is_none() {
            let why = Refusal::new(format!("this [[{}]] has no {}", self.header, quoted(name)));
            self.mistakes.push(Mistake::new(self.place.clone(), why));
        }
        self.parsed(name, parse)
    }

    /// One text that `parse` understands, or a list of them.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Vec<(T, Place)> {
        let items = self.find(name).map(Written::items).unwrap_or_default();
        items.iter().filter_map(|item| self.one(name, item, &parse)).collect()
    }

    /// A whole number between two bounds.
    pub(super) fn count(&mut self, name: &str, default: usize, bounds: RangeInclusive<usize>) -> usize {
        let Some(written) = self.find(name) else { return default };
        let key = format!("{}.{name}", self.header);
        let outcome = written.integer("a whole number without quotes and units").and_then(|number| {
            usize::try_from(number).ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
                let (least, most) = (bounds.start(), bounds.end());
                let why = Refusal::new(format!("{number} is not between {least} and {most}"));
                Mistake::new(written.place.clone(), why)
            })
        });
        outcome.unwrap_or_else(|mistake| {
            self.mistakes.push(mistake.of(&key));
            default
        })
    }

    /// Notes a mistake.
    pub(super) fn refuse(&mut self, place: Place, refusal: Refusal) {
        self.mistakes.push(Mistake::new(place, refusal));
    }

    /// One value as a text that `parse` understands.
    pub(super) fn one<T>(
        &mut self,
        name: &str,
        written: &Written,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<(T, Place)> {
        let key = format!("{}.{name}", self.header);
        let outcome = written
            .text("a text in quotes")
            .and_then(|text| parse(&text).map_err(|why| Mistake::new(written.place.clone(), why)))
            .map_err(|mistake| mistake.of(&key));
        match outcome {
            Ok(value) => Some((value, written.place.clone())),
            Err(mistake) => {
                self.mistakes.push(mistake);
                None
            }
        }
    }
}
