//! Asks the layers for keys; what nobody asked for is unknown.
//!
//! A key therefore exists exactly where it is resolved: there is no second list of keys to forget.

use super::layers::{Layers, variable};
use super::mistake::{Mistake, Refusal, SetupError};
use super::near::{nearest, quoted};
use super::place::Place;
use super::written::{Entry, Value, Written};
use super::{duration, layers};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The layers, the keys asked for so far, and the mistakes found in their values.
///
/// A value that is refused is replaced by the default, so that the search for mistakes goes on;
/// [`Reader::finish`] tells.
#[derive(Debug)]
pub(super) struct Reader {
    layers: Layers,
    asked: Vec<&'static str>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    pub(super) fn new(mut layers: Layers) -> Reader {
        let mistakes = std::mem::take(&mut layers.mistakes);
        Reader { layers, asked: Vec::new(), mistakes }
    }

    /// The value of `key`, if it was written anywhere.
    pub(super) fn find(&mut self, key: &'static str) -> Option<Written> {
        self.asked.push(key);
        self.layers.find(key).map(|entry| entry.written.clone())
    }

    fn place(&self, key: &str) -> Option<Place> {
        self.layers.find(key).map(|entry| entry.written.place.clone())
    }

    /// Notes what is wrong with the value of `key`, or with it and the `others` together: then at the
    /// one that was written last. Defaults have no place, and nothing is wrong with them alone.
    pub(super) fn refuse(&mut self, key: &str, others: &[&str], refusal: Refusal) {
        let mut place = self.place(key);
        for other in others.iter().filter_map(|other| self.place(other)) {
            if place.as_ref().is_none_or(|place| place.order().0 < other.order().0) {
                place = Some(other);
            }
        }
        let mistake = place.map(|place| Mistake::new(place, refusal));
        self.mistakes
            .extend(mistake.map(|mistake| if others.is_empty() { mistake.of(key) } else { mistake }));
    }

    /// Notes mistakes found elsewhere.
    pub(super) fn note(&mut self, mistakes: impl IntoIterator<Item = Mistake>) {
        self.mistakes.extend(mistakes);
    }

    /// A text that `parse` understands.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        wants: &str,
        default: T,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> T {
        let Some(written) = self.find(key) else { return default };
        self.one(key, &written, wants, &parse).unwrap_or(default)
    }

    /// One text that `parse` understands, or a list of them.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        wants: &str,
        default: Vec<T>,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Vec<T> {
        let Some(written) = self.find(key) else { return default };
        let items = written.items();
        let parsed: Vec<T> = items.iter().filter_map(|item| self.one(key, item, wants, &parse)).collect();
        // What is left of a list with a mistake is not what anybody wrote.
        if parsed.len() == items.len() { parsed } else { default }
    }

    fn one<T>(
        &mut self,
        key: &str,
        written: &Written,
        wants: &str,
        parse: &impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let outcome = written
            .text(wants)
            .and_then(|text| parse(&text).map_err(|why| Mistake::new(written.place.clone(), why)))
            .map_err(|mistake| mistake.of(key));
        self.kept(outcome)
    }

    /// A span of time between two bounds.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Duration {
        self.parsed(key, "a duration in quotes, as \"20s\"", default, |text| {
            let span = duration::parse(text)?;
            if bounds.contains(&span) {
                return Ok(span);
            }
            let (least, most) = (duration::shown(*bounds.start()), duration::shown(*bounds.end()));
            Err(Refusal::new(format!("{} is not between {least} and {most}", quoted(text))))
        })
    }

    /// A whole number between two bounds.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        default: usize,
        bounds: RangeInclusive<usize>,
    ) -> usize {
        let Some(written) = self.find(key) else { return default };
        let outcome = written
            .integer("a whole number without quotes and units")
            .and_then(|number| {
                usize::try_from(number).ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
                    let (least, most) = (bounds.start(), bounds.end());
                    let why = Refusal::new(format!("{number} is not between {least} and {most}"));
                    Mistake::new(written.place.clone(), why)
                })
            })
            .map_err(|mistake| mistake.of(key));
        self.kept(outcome).unwrap_or(default)
    }

    /// True or false.
    pub(super) fn switch(&mut self, key: &'static str, default: bool) -> bool {
        let Some(written) = self.find(key) else { return default };
        let outcome = written.boolean().map_err(|mistake| mistake.of(key));
        self.kept(outcome).unwrap_or(default)
    }

    /// The tables `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(Place, Vec<Entry>)> {
        let Some(written) = self.find(key) else { return Vec::new() };
        written.tables(key).unwrap_or_else(|mistakes| {
            self.mistakes.extend(mistakes.into_iter().map(|mistake| mistake.of(key)));
            Vec::new()
        })
    }

    /// How many mistakes there are so far.
    pub(super) fn mistakes(&self) -> usize {
        self.mistakes.len()
    }

    /// Whether `key` was written.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.layers.find(key).is_some()
    }

    fn kept<T>(&mut self, outcome: Result<T, Mistake>) -> Option<T> {
        outcome.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    /// The keys that were asked for.
    #[cfg(test)]
    pub(super) fn asked(&self) -> &[&'static str] {
        &self.asked
    }

    /// Looks for what nobody asked for.
    ///
    /// # Errors
    /// With all mistakes, if there is one.
    pub(super) fn finish(mut self) -> Result<(), SetupError> {
        let mut unknown = Vec::new();
        self.leftovers("", &self.layers.file, &mut unknown);
        for entry in &self.layers.sets {
            if !self.asked.contains(&entry.name.as_str()) {
                let keys = || self.asked.iter().copied();
                unknown.push(Mistake::new(entry.place.clone(), unknown_override(&entry.name, keys, '.')));
            }
        }
        let variables: Vec<String> = self.asked.iter().map(|key| variable(key)).collect();
        for entry in &self.layers.environment {
            if !variables.contains(&entry.name) {
                let keys = || variables.iter().map(String::as_str);
                unknown.push(Mistake::new(entry.place.clone(), unknown_override(&entry.name, keys, '_')));
            }
        }
        self.mistakes.extend(unknown);
        if self.mistakes.is_empty() { Ok(()) } else { Err(SetupError::new(self.mistakes)) }
    }

    /// What of a table of the file, which stands at `path`, nobody asked for.
    fn leftovers(&self, path: &str, table: &[Entry], unknown: &mut Vec<Mistake>) {
        for entry in table {
            let key = if path.is_empty() { entry.name.clone() } else { format!("{path}.{}", entry.name) };
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let group = format!("{key}.");
            if self.asked.iter().any(|asked| asked.starts_with(&group)) {
                match &entry.written.value {
                    Value::Table(table) => self.leftovers(&key, table, unknown),
                    _ => {
                        let why = Refusal::new(format!("{key} is a table, and is written [{key}]"));
                        unknown.push(Mistake::new(entry.place.clone(), why));
                    }
                }
                continue;
            }
            let place = entry.place.clone();
            unknown.push(Mistake::new(place, self.unknown_key(path, &entry.name)));
        }
    }

    /// The nearest sibling is suggested; or the same word in another table, where it was misplaced.
    fn unknown_key(&self, path: &str, name: &str) -> Refusal {
        let within = if path.is_empty() { String::new() } else { format!("{path}.") };
        let siblings = self.asked.iter().filter_map(|asked| asked.strip_prefix(within.as_str()));
        let siblings = siblings.map(|rest| rest.split('.').next().unwrap_or(rest));
        let elsewhere = || {
            let mut same = self.asked.iter().copied().filter(|asked| asked.rsplit('.').next() == Some(name));
            same.next().filter(|_| same.next().is_none())
        };
        unknown_in(path, name).nearest(nearest(name, siblings).or_else(elsewhere))
    }
}

/// A key that nobody asked for, in the table at `path`.
pub(super) fn unknown_in(path: &str, name: &str) -> Refusal {
    let within = if path.is_empty() { String::new() } else { format!(" in [{path}]") };
    Refusal::new(format!("unknown key {}{within}", quoted(name)))
}

/// A variable or an argument that names no key: a table, or a slip.
fn unknown_override<'a, I: Iterator<Item = &'a str>>(
    name: &str,
    keys: impl Fn() -> I,
    separator: char,
) -> Refusal {
    let group = format!("{name}{separator}");
    let inside: Vec<&str> = keys().filter(|key| key.starts_with(&group)).collect();
    if !inside.is_empty() {
        return Refusal::new("names a whole table").hint(format!("its keys are {}", inside.join(", ")));
    }
    let what = if name.starts_with(layers::PREFIX) { "variable" } else { "key" };
    Refusal::new(format!("there is no such {what}")).nearest(nearest(name, keys()))
}
