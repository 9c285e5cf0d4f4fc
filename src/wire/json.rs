//! JSON as we accept it, on both ports: strict, bounded in depth, and with every duplicate key known.
//!
//! What a general parser lets through and we do not (reliability.md J1, J2): nesting deeper than
//! [`MAX_DEPTH`], NUL in strings, and objects that name a key twice, where two readers of the same
//! bytes could see two things.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The deepest nesting. What our protocols mean needs four levels; the bound keeps the stack small.
pub const MAX_DEPTH: usize = 16;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without a fraction that fits.
    Integer(i128),
    /// Any other number; always finite.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// Keys with values.
    Object(Object),
}

/// The keys of an object with their values, in the order of the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    /// As they stand, those that come twice included.
    pub entries: Vec<(String, Value)>,
    /// The first key that comes twice, here or further in.
    pub duplicate: Option<String>,
}

impl Object {
    /// The value of a key; where it comes twice, of the first.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

/// Why bytes are no JSON that we accept; says where.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadJson(#[from] serde_json::Error);

/// Reads one value that is all of `bytes`.
///
/// # Errors
/// When it is not JSON (RFC 8259) in UTF-8, or nested deeper than [`MAX_DEPTH`], or has a NUL in a string.
pub fn parse(bytes: &[u8]) -> Result<Value, BadJson> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Nested { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads a value that stands `depth` levels deep.
#[derive(Clone, Copy)]
struct Nested {
    depth: usize,
}

impl Nested {
    fn inside<E: Error>(self) -> Result<Nested, E> {
        if self.depth < MAX_DEPTH {
            Ok(Nested { depth: self.depth + 1 })
        } else {
            Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")))
        }
    }
}

fn no_nul<E: Error>(text: String) -> Result<String, E> {
    if text.contains('\0') { Err(E::custom("a string holds a NUL character")) } else { Ok(text) }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        no_nul(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut object = Object::default();
        while let Some(key) = map.next_key::<String>()? {
            let key = no_nul(key)?;
            let value = map.next_value_seed(inside)?;
            if object.duplicate.is_none() {
                object.duplicate = duplicate_in(&value);
            }
            object.entries.push((key, value));
        }
        if let Some(twice) = twice(&object.entries) {
            object.duplicate = Some(twice.to_owned());
        }
        Ok(Value::Object(object))
    }
}

/// The first key that comes twice.
fn twice(entries: &[(String, Value)]) -> Option<&str> {
    /// Up to so many are compared one with another, which takes less than to hash them.
    const FEW: usize = 8;
    let mut keys = entries.iter().map(|(key, _)| key.as_str());
    if entries.len() <= FEW {
        let is_known = |(i, key): &(usize, &str)| entries.iter().take(*i).any(|(before, _)| before == key);
        return keys.enumerate().find(is_known).map(|(_, key)| key);
    }
    let mut known = HashSet::with_capacity(entries.len());
    keys.find(|key| !known.insert(*key))
}

fn duplicate_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(object) => object.duplicate.clone(),
        Value::Array(values) => values.iter().find_map(duplicate_in),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn j1_what_is_not_strict_json_is_refused() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        let refused: &[&[u8]] = &[
            b"",
            b" ",
            b"[",
            b"[] x",
            b"[][]",
            b"\xef\xbb\xbf[]",
            b"\"\xff\"",
            b"\"\xc0\xaf\"",
            br#""\ud800""#,
            br#""\udc00\ud800""#,
            br#""\u0000""#,
            br#"{"a\u0000":1}"#,
            b"\"a\0b\"",
            b"\"\n\"",
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"1e999",
            b"01",
            b"+1",
            b".5",
            b"'a'",
            b"[1,]",
            b"{\"a\":1,}",
            b"/**/null",
            &nested(17),
            &nested(100_000),
        ];
        for bytes in refused {
            assert!(parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]));
        }
        for bytes in [&b" null\n"[..], b"[1,-2,3.5]", br#""\ud83d\ude00""#, &nested(16)] {
            assert!(parse(bytes).is_ok(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn numbers_keep_their_value() {
        let cases = [
            ("0", Value::Integer(0)),
            ("-1", Value::Integer(-1)),
            ("18446744073709551615", Value::Integer(u64::MAX.into())),
            ("1000000000000000000000000000000", Value::Float(1e30)),
            ("1.5", Value::Float(1.5)),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text.as_bytes()).unwrap(), value);
        }
    }

    #[test]
    fn j2_a_key_that_comes_twice_is_known_however_deep() {
        let duplicate = |text: &str| match parse(text.as_bytes()).unwrap() {
            Value::Object(object) => object.duplicate,
            other => duplicate_in(&other),
        };
        assert_eq!(duplicate(r#"{"a":1,"b":2}"#), None);
        assert_eq!(duplicate(r#"{"a":1,"a":1}"#).as_deref(), Some("a"));
        assert_eq!(duplicate(r#"{"a":{"b":1,"b":2}}"#).as_deref(), Some("b"));
        assert_eq!(duplicate(r#"{"a":[{"b":1,"\u0062":2}]}"#).as_deref(), Some("b"));
        assert_eq!(duplicate(r#"[[{"c":1,"c":2}]]"#).as_deref(), Some("c"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_it_accepts_another_reader_accepts_too(text in r#"[\[\]{}",:0-9a-e.\\u -]{0,40}"#) {
            if parse(text.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
