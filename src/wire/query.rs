//! Names and values of a query or a form (application/x-www-form-urlencoded).

use percent_encoding::percent_decode;
use std::borrow::Cow;

/// A value is not UTF-8 once decoded (reliability.md J1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not UTF-8")]
pub struct NotUtf8;

/// The one value that `name` has: none where it is absent, blank or there twice, as the original's
/// reader had it. A raw `+` is a space.
///
/// # Errors
/// When the value is not UTF-8.
pub fn single<'a>(query: &'a [u8], name: &str) -> Result<Option<Cow<'a, str>>, NotUtf8> {
    let mut values = query.split(|b| *b == b'&').filter_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        let (key, value) = (pair.get(..at)?, pair.get(at + 1..)?);
        (!value.is_empty() && *decode(key) == *name.as_bytes()).then_some(value)
    });
    let (Some(value), None) = (values.next(), values.next()) else { return Ok(None) };
    let text = match decode(value) {
        Cow::Borrowed(bytes) => str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| NotUtf8),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| NotUtf8),
    };
    text.map(Some)
}

/// All values that `name` has, but for blank ones.
///
/// # Errors
/// When one of them is not UTF-8.
pub fn all(query: &[u8], name: &str) -> Result<Vec<String>, NotUtf8> {
    let mut values = Vec::new();
    for pair in query.split(|b| *b == b'&') {
        let Some(at) = pair.iter().position(|b| *b == b'=') else { continue };
        let (key, value) = (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default());
        if !value.is_empty() && *decode(key) == *name.as_bytes() {
            values.push(String::from_utf8(decode(value).into_owned()).map_err(|_| NotUtf8)?);
        }
    }
    Ok(values)
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    for (i, part) in text.split(|b| *b == b'+').enumerate() {
        if i > 0 {
            decoded.push(b' ');
        }
        decoded.extend(percent_decode(part));
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_only_one_of_its_name_that_is_not_blank() {
        let cases: [(&str, Result<Option<&str>, NotUtf8>); 13] = [
            ("", Ok(None)),
            ("m", Ok(None)),
            ("m=", Ok(None)),
            ("m=null", Ok(Some("null"))),
            ("c=cb&m=%5B%22a%2Bb%22%5D&_=1", Ok(Some("[\"a+b\"]"))),
            ("m=a+b", Ok(Some("a b"))),
            ("m=+%2B%20++a", Ok(Some(" +   a"))),
            ("m=1&m=2", Ok(None)),
            ("m=&m=2", Ok(Some("2"))),
            ("%6d=x", Ok(Some("x"))),
            ("mm=1", Ok(None)),
            ("m=a=b", Ok(Some("a=b"))),
            ("m=%ff", Err(NotUtf8)),
        ];
        for (query, value) in cases {
            assert_eq!(single(query.as_bytes(), "m"), value.map(|v| v.map(Cow::from)), "{query}");
        }
    }
}
