//! A value as it was written, and its reading as what a key wants.

use super::mistake::{Mistake, Refusal};
use super::near::quoted;
use super::place::Place;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// One `name = value` of a table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Where the name stands.
    pub(super) place: Place,
    pub(super) written: Written,
}

/// What TOML knows; and text from outside TOML.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Written>),
    Table(Vec<Entry>),
    /// Kinds that no key wants, by what a message calls them.
    Other(&'static str),
    /// From a variable or an argument, where quotes are easily lost: its key decides what it is.
    Loose(String),
}

impl Written {
    /// A value of a parsed file (or of an override, whose place has no spans).
    pub(super) fn new(value: &Spanned<DeValue<'_>>, file: &Place) -> Written {
        let place = file.with_span(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map_or(Value::Other("a number of that size"), Value::Integer),
            DeValue::Boolean(is) => Value::Boolean(*is),
            DeValue::Float(_) => Value::Other("a number with a fraction"),
            DeValue::Datetime(_) => Value::Other("a date or time"),
            DeValue::Array(items) => Value::List(items.iter().map(|item| Written::new(item, file)).collect()),
            DeValue::Table(table) => Value::Table(entries(table, file)),
        };
        Written { value, place }
    }

    /// A text; loose ones may be quoted or not.
    pub(super) fn text(&self, wants: &str) -> Result<String, Mistake> {
        match (&self.value, self.typed()) {
            (_, Value::Text(text)) => Ok(text),
            // A file called 2026 is a text for who asks for one.
            (Value::Loose(raw), _) => Ok(raw.clone()),
            _ => Err(self.wrong_kind(wants)),
        }
    }

    /// A whole number.
    pub(super) fn integer(&self, wants: &str) -> Result<i64, Mistake> {
        match self.typed() {
            Value::Integer(number) => Ok(number),
            _ => Err(self.wrong_kind(wants)),
        }
    }

    /// True or false.
    pub(super) fn boolean(&self) -> Result<bool, Mistake> {
        match self.typed() {
            Value::Boolean(is) => Ok(is),
            _ => Err(self.wrong_kind("true or false, without quotes")),
        }
    }

    /// One value or a list of them; loose lists may be separated by commas.
    pub(super) fn items(self) -> Vec<Written> {
        match (self.typed(), self.value) {
            (Value::List(items), _) => items,
            (Value::Loose(raw), _) => raw
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Written { value: Value::Loose(part.into()), place: self.place.clone() })
                .collect(),
            (_, value) => vec![Written { value, place: self.place }],
        }
    }

    /// A list of tables, as `[[room]]` makes it. What is none is not repeated: it may be a token.
    pub(super) fn tables(&self, header: &str) -> Result<Vec<(Place, Vec<Entry>)>, Vec<Mistake>> {
        let wants = format!("one table [[{header}]] for each");
        let Value::List(items) = self.typed() else { return Err(vec![self.refused(&wants, self.kind())]) };
        let mut mistakes = Vec::new();
        let mut tables = Vec::new();
        for item in items {
            match item.value {
                Value::Table(entries) => tables.push((item.place, entries)),
                _ => mistakes.push(item.refused(&wants, item.kind())),
            }
        }
        if mistakes.is_empty() { Ok(tables) } else { Err(mistakes) }
    }

    /// The value; of a loose text that is a value in TOML, that one.
    fn typed(&self) -> Value {
        match &self.value {
            Value::Loose(raw) => DeValue::parse(raw)
                .map_or_else(|_| self.value.clone(), |value| Written::new(&value, &self.place).value),
            value => value.clone(),
        }
    }

    fn wrong_kind(&self, wants: &str) -> Mistake {
        match &self.value {
            Value::Loose(raw) => self.refused(wants, &quoted(raw)),
            _ => self.refused(wants, self.kind()),
        }
    }

    fn refused(&self, wants: &str, got: &str) -> Mistake {
        Mistake::new(self.place.clone(), Refusal::new(format!("wants {wants}, not {got}")))
    }

    fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) | Value::Loose(_) => "a text",
            Value::Integer(_) => "a number",
            Value::Boolean(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }
}

/// The entries of a table, in the order of the file.
pub(super) fn entries(table: &DeTable<'_>, file: &Place) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(name, value)| Entry {
            name: name.get_ref().to_string(),
            place: file.with_span(name.span()),
            written: Written::new(value, file),
        })
        .collect();
    entries.sort_by_key(|entry| entry.place.order());
    entries
}
