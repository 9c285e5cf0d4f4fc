//! The language of a reader.

use crate::page::Language;
use hyper::{HeaderMap, header};

/// The language that was asked for by name, or the first of those that a browser accepts that we have.
pub fn language(headers: &HeaderMap, wanted: Option<Language>) -> Language {
    let accepted = || {
        let values = headers.get_all(header::ACCEPT_LANGUAGE).into_iter();
        values.filter_map(|value| value.to_str().ok()).find_map(Language::accepted)
    };
    wanted.or_else(accepted).unwrap_or_default()
}
