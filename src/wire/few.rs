//! Lists of others, of which no more is read than anybody needs.

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A list of at most `MOST`. A longer one does not read: what takes three bytes in an answer may take a hundred in
/// memory.
#[derive(Debug)]
pub struct Few<T, const MOST: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reader(PhantomData))
    }
}

struct Reader<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Reader<T, MOST> {
    type Value = Few<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut few = Vec::new();
        while let Some(one) = list.next_element()? {
            if few.len() == MOST {
                return Err(A::Error::custom("a list that is too long"));
            }
            few.push(one);
        }
        Ok(Few(few))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t2_a_list_is_read_up_to_its_bound_and_not_beyond() {
        let read = |text: &str| serde_json::from_str::<Few<u8, 3>>(text).map(|few| few.0).ok();
        assert_eq!(read("[]"), Some(vec![]));
        assert_eq!(read("[1, 2, 3]"), Some(vec![1, 2, 3]));
        assert_eq!(read("[1, 2, 3, 4]"), None);
        assert_eq!(read("{}"), None);
    }
}
