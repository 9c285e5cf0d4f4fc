//! What the page shows, as the tests ask for it: by what is written on it and by the attributes that page, scripts and
//! tests have agreed on.

use crate::driver::Browser;
use serde_json::{Value, json};

/// The rows that are to be seen, in their order.
pub(crate) const ROWS: &str = "[...document.querySelectorAll('#rooms > li.room')].filter(row => row.checkVisibility()).map(row => row.dataset.key)";

/// The keys of the rows that are to be seen, in their order.
pub(crate) fn rows(browser: &Browser) -> Vec<String> {
    let rows = browser.value(ROWS);
    rows.as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// The same, whatever the order.
pub(crate) fn sorted_rows(browser: &Browser) -> Vec<String> {
    let mut rows = rows(browser);
    rows.sort();
    rows
}

/// Waits until these rows are there, whatever their order.
#[track_caller]
pub(crate) fn until_rows(browser: &Browser, keys: &[&str]) {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    let wanted = json!(keys).to_string();
    browser.until(&format!("the rows {wanted}"), &format!("JSON.stringify({ROWS}.sort()) === '{wanted}'"));
}

/// Waits until the page is told what changes.
#[track_caller]
pub(crate) fn until_live(browser: &Browser) {
    browser.until(
        "the link is live",
        "document.querySelector('#link').textContent.includes(document.querySelector('#link').dataset.live)",
    );
}

/// Waits until it says that it is not.
#[track_caller]
pub(crate) fn until_down(browser: &Browser) -> String {
    let told = browser.until("the link is down", &format!("{DOWN} && {LINK}"));
    told.as_str().unwrap().to_owned()
}

pub(crate) const LINK: &str = "document.querySelector('#link').textContent.trim()";

/// Whether it says that the link is down, in whatever words.
const DOWN: &str = "['down', 'offline'].some(state => \
    document.querySelector('#link').dataset[state].split(/\\{\\w+\\}/).every(part => \
    document.querySelector('#link').textContent.includes(part.trim())))";

/// What a row's attribute says.
pub(crate) fn row(browser: &Browser, key: &str, attribute: &str) -> String {
    browser.text(&format!("document.getElementById('room-{key}').dataset.{attribute}"))
}

/// Waits until a row's attribute says this.
#[track_caller]
pub(crate) fn until_row(browser: &Browser, key: &str, attribute: &str, value: &str) {
    let found = format!("document.getElementById('room-{key}')?.dataset.{attribute}");
    browser.until(&format!("{attribute} of {key} is {value}"), &format!("{found} === '{value}'"));
}

/// The answer: what stands first.
pub(crate) fn answer(browser: &Browser) -> String {
    browser.text("document.querySelector('#answer').textContent.trim()")
}

/// How many seats and rooms the answer must tell, counted from what is to be seen: where a system is asked for, the
/// seats that have it.
pub(crate) fn counted(browser: &Browser) -> (u64, u64) {
    let counted = browser.run(
        "const system = new URLSearchParams(location.search).get('system') || 'usable';
         const rows = [...document.querySelectorAll('#rooms > li.room')].filter(row => row.checkVisibility() && +row.dataset.usable);
         const seats = rows.map(row => +row.dataset[system]).filter(Boolean);
         return [seats.reduce((a, b) => a + b, 0), seats.length];",
        &[],
    );
    (counted[0].as_u64().unwrap(), counted[1].as_u64().unwrap())
}

/// A note left on this document, which a page that was loaded anew does not have.
pub(crate) fn mark(browser: &Browser) {
    browser.run("window.hasNotBeenLoadedAnew = true", &[]);
}

pub(crate) fn is_marked(browser: &Browser) -> bool {
    browser.value("window.hasNotBeenLoadedAnew === true") == Value::Bool(true)
}

/// How far the page is wider than its window, in pixels, and what sticks out.
pub(crate) fn too_wide(browser: &Browser) -> Option<String> {
    let found = browser.run(
        "const room = document.documentElement.clientWidth;
         const wide = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
         if (wide <= room) return '';
         const out = [...document.querySelectorAll('body *')]
             .filter(e => e.getBoundingClientRect().right > room + 1 || e.getBoundingClientRect().left < -1)
             .map(e => e.tagName + (e.id ? '#' + e.id : '') + '.' + (e.className.baseVal ?? e.className));
         return `${wide} of ${room}: ${out.slice(0, 5).join(', ')}`;",
        &[],
    );
    found.as_str().filter(|out| !out.is_empty()).map(str::to_owned)
}
