//! What was written, layer by layer: the file, over it the environment, over that the arguments.
//!
//! Nothing is merged. A key is looked up from the top layer down, so that a value never loses the
//! place where it was written, and an override replaces the whole of what it overrides.

use super::mistake::{Mistake, Refusal};
use super::place::{Origin, Page, Place};
use super::written::{Entry, Value, Written, entries};
use super::{DEFAULT, secrets};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeTable;

/// With what the names of our variables begin.
pub(super) const PREFIX: &str = "TKBD_";

/// The largest setup file. A thousand rooms with their rules take a quarter of it; more is the
/// wrong file (a database, a log), and is not worth reading into memory to say so.
pub(super) const LARGEST: u64 = 1 << 20;

/// All that was written.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) file: Vec<Entry>,
    /// Named by their variables.
    pub(super) environment: Vec<Entry>,
    /// Named by their keys; the last one of a key counts.
    pub(super) sets: Vec<Entry>,
    /// What cannot be looked up at all.
    pub(super) mistakes: Vec<Mistake>,
}

impl Layers {
    /// Takes the file apart, and names the others' values.
    ///
    /// # Errors
    /// With what is wrong with the file, where it is no TOML: nothing can be looked up in it then.
    pub(super) fn read(
        (origin, text): (Origin, String),
        environment: impl Iterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Layers, Vec<Mistake>> {
        let file = parse(&origin, &text)?;
        let mut mistakes = Vec::new();
        let environment = environment
            .filter(|(name, _)| name.starts_with(PREFIX))
            .map(|(name, value)| loose(Origin::Variable(name.as_str().into()), name, value))
            .collect();
        let sets = sets
            .iter()
            .filter_map(|set| match set.split_once('=') {
                Some((key, value)) => {
                    let key = key.trim();
                    Some(loose(Origin::Set(key.into()), key.into(), value.trim().into()))
                }
                None => {
                    let place = Place::whole(Origin::Set(set.as_str().into()));
                    let refusal = Refusal::new("names no value").hint("write --set KEY=VALUE");
                    mistakes.push(Mistake::new(place, refusal));
                    None
                }
            })
            .collect();
        Ok(Layers { file, environment, sets, mistakes })
    }

    /// The top value of `key`, with the place of its name.
    pub(super) fn find(&self, key: &str) -> Option<&Entry> {
        let variable = variable(key);
        self.sets
            .iter()
            .rev()
            .find(|entry| entry.name == key)
            .or_else(|| self.environment.iter().find(|entry| entry.name == variable))
            .or_else(|| below(&self.file, key))
    }
}

/// The variable of a key: `TKBD_HTTP_MAX_HEAD` of `http.max_head`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

fn below<'a>(table: &'a [Entry], key: &str) -> Option<&'a Entry> {
    match key.split_once('.') {
        None => table.iter().find(|entry| entry.name == key),
        Some((first, rest)) => match &table.iter().find(|entry| entry.name == first)?.written.value {
            Value::Table(table) => below(table, rest),
            _ => None,
        },
    }
}

fn loose(origin: Origin, name: String, value: String) -> Entry {
    let place = Place::whole(origin);
    Entry { name, place: place.clone(), written: Written { value: Value::Loose(value), place } }
}

/// The text of the setup; the built-in one, where no file was named.
///
/// # Errors
/// When it cannot be read as text.
pub(super) fn page(file: Option<&Path>) -> Result<(Origin, String), Vec<Mistake>> {
    let Some(path) = file else {
        return Ok((Origin::File("built-in setups/default.toml".into()), DEFAULT.into()));
    };
    let origin = Origin::File(path.display().to_string().into());
    let refused = |refusal| vec![Mistake::new(Place::whole(origin.clone()), refusal)];
    let mut bytes = Vec::new();
    let outcome = std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    if let Err(error) = outcome {
        return Err(refused(unreadable(path, &error)));
    }
    if bytes.len() as u64 > LARGEST {
        return Err(refused(Refusal::new("is larger than 1 MiB, and so is no setup file")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((origin, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let shown = secrets::starred(&text, &DeTable::new(), false).into();
            let span = valid..valid + char::REPLACEMENT_CHARACTER.len_utf8();
            let place = Place::of(&origin, &Arc::new(Page { text, shown }), span);
            let refusal = Refusal::new("a byte that is not UTF-8").hint("save the file as UTF-8");
            Err(vec![Mistake::new(place, refusal)])
        }
    }
}

/// Refuses what cannot be read a second time. A pipe waits for somebody who writes to it, or is at its end; and that
/// would read as an empty setup, which is a valid one.
pub(super) fn lasts(path: &Path) -> Result<(), Vec<Mistake>> {
    let is_stream = |metadata: std::fs::Metadata| !metadata.is_file() && !metadata.is_dir();
    if std::fs::metadata(path).is_ok_and(is_stream) {
        let place = Place::whole(Origin::File(path.display().to_string().into()));
        let refusal = Refusal::new("is no file that can be read a second time");
        return Err(vec![Mistake::new(place, refusal.hint("a pipe has nothing more to say"))]);
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    match error.kind() {
        std::io::ErrorKind::NotFound if path.is_relative() => {
            let refusal = Refusal::new("there is no such file");
            match std::env::current_dir() {
                Ok(here) => refusal.hint(format!("looked in {}", here.display())),
                Err(_) => refusal,
            }
        }
        std::io::ErrorKind::NotFound => Refusal::new("there is no such file"),
        std::io::ErrorKind::PermissionDenied => {
            Refusal::new("may not be read").hint("the daemon's user needs read permission")
        }
        std::io::ErrorKind::IsADirectory => Refusal::new("is a directory, not a setup file"),
        _ => Refusal::new(format!("cannot be read: {error}")),
    }
}

fn parse(origin: &Origin, text: &str) -> Result<Vec<Entry>, Vec<Mistake>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let shown = secrets::starred(text, table.get_ref(), errors.is_empty()).into();
    let page = Arc::new(Page { text: text.into(), shown });
    let start = Place::of(origin, &page, 0..0);
    if errors.is_empty() {
        return Ok(entries(table.get_ref(), &start));
    }
    // The parser recovers and goes on, but what it finds after an error on the same line, or in the
    // same words on the next, is usually the same error again.
    let mut mistakes: Vec<Mistake> = errors
        .iter()
        .map(|error| Mistake::new(start.with_span(error.span().unwrap_or(0..0)), not_toml(error.message())))
        .collect();
    mistakes.dedup_by_key(|mistake| mistake.line_and_column().map(|(line, _)| line));
    mistakes.dedup_by(|a, b| a.message() == b.message());
    Err(mistakes)
}

/// The parser's words, and what is usually the matter.
fn not_toml(message: &str) -> Refusal {
    let words = message.replace('\n', ", ").replace(", expected nothing", "");
    let hint = [
        ("invalid float", UNQUOTED),
        ("invalid integer", UNQUOTED),
        ("invalid datetime", UNQUOTED),
        ("string values must be quoted", UNQUOTED),
        ("invalid basic string", "a text ends with the quote it begins with, on the same line"),
        ("invalid literal string", "a text ends with the quote it begins with, on the same line"),
        ("missing comma", "does the list before it end with a \"]\"?"),
        ("duplicate key", "it stands above already"),
    ]
    .into_iter()
    .find(|(begin, _)| words.starts_with(begin))
    .map(|(_, hint)| hint);
    let refusal = Refusal::new(format!("not TOML: {words}"));
    match hint {
        Some(hint) => refusal.hint(hint),
        None => refusal,
    }
}

/// The commonest mistake of all.
const UNQUOTED: &str = "put quotes around everything but numbers, true and false";
