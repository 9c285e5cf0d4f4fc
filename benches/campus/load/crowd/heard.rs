//! An answer of the daemon's, as far as a client of the crowd needs it.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Token, messages, and what is always empty.
#[derive(Debug, Deserialize)]
pub(super) struct Heard<'a>(
    #[serde(borrow)] pub(super) &'a str,
    #[serde(borrow)] pub(super) Vec<Message<'a>>,
    IgnoredAny,
);

impl<'a> Heard<'a> {
    /// What a body says.
    pub(super) fn read(body: &'a [u8]) -> Result<Heard<'a>, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

/// A message; keys that are not here are not looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: &'a str,
    pub(super) version: Option<u64>,
    #[serde(borrow)]
    pub(super) occupation: Option<States<'a>>,
    #[serde(borrow)]
    pub(super) update: Option<States<'a>>,
    #[serde(borrow)]
    pub(super) updates: Option<Vec<Row<'a>>>,
}

/// A row of the history: PC, source, time, state.
#[derive(Debug, Deserialize)]
pub(super) struct Row<'a>(
    #[serde(borrow)] pub(super) &'a str,
    #[serde(borrow)] pub(super) &'a str,
    pub(super) i64,
    #[serde(borrow)] pub(super) &'a str,
);

/// PCs with their states, as they stand there: one that stands there twice is not hidden.
#[derive(Debug)]
pub(super) struct States<'a>(pub(super) Vec<(&'a str, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for States<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(&'de str, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("PCs with their states")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(States)
    }
}
