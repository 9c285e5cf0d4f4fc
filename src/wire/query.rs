//! Names and values of a query or a form (application/x-www-form-urlencoded).

use percent_encoding::percent_decode;

/// A value is not UTF-8 once decoded (faults.md J1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not UTF-8")]
pub struct NotUtf8;

/// The one value that `name` has: none where it is absent, blank or there twice, as the original's
/// reader had it. A raw `+` is a space.
///
/// # Errors
/// When the value is not UTF-8.
pub fn single(query: &[u8], name: &str) -> Result<Option<String>, NotUtf8> {
    let mut values = query.split(|b| *b == b'&').filter_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        let (key, value) = (pair.get(..at)?, pair.get(at + 1..)?);
        (decode(key) == name.as_bytes() && !value.is_empty()).then_some(value)
    });
    match (values.next(), values.next()) {
        (Some(value), None) => String::from_utf8(decode(value)).map(Some).map_err(|_| NotUtf8),
        _ => Ok(None),
    }
}

fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_only_one_of_its_name_that_is_not_blank() {
        let cases: [(&str, Result<Option<&str>, NotUtf8>); 12] = [
            ("", Ok(None)),
            ("m", Ok(None)),
            ("m=", Ok(None)),
            ("m=null", Ok(Some("null"))),
            ("c=cb&m=%5B%22a%2Bb%22%5D&_=1", Ok(Some("[\"a+b\"]"))),
            ("m=a+b", Ok(Some("a b"))),
            ("m=1&m=2", Ok(None)),
            ("m=&m=2", Ok(Some("2"))),
            ("%6d=x", Ok(Some("x"))),
            ("mm=1", Ok(None)),
            ("m=a=b", Ok(Some("a=b"))),
            ("m=%ff", Err(NotUtf8)),
        ];
        for (query, value) in cases {
            assert_eq!(single(query.as_bytes(), "m"), value.map(|v| v.map(str::to_owned)), "{query}");
        }
    }
}
