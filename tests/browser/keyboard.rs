//! All of it by keyboard alone.

use crate::campus::Site;
use crate::driver::Browser;
use crate::view::{until_live, until_rows};
use serde_json::Value;
use thirtyfour::Key;

/// Where the focus is, and whether one sees it: by an outline, a shadow or a border that it has only then.
const FOCUS: &str = "(() => {
    const e = document.activeElement;
    if (!e || e === document.body) return null;
    const look = s => [s.outlineStyle !== 'none' && s.outlineWidth !== '0px' ? s.outlineWidth + s.outlineColor : '',
        s.boxShadow, s.borderColor, s.backgroundColor, s.textDecorationLine].join('|');
    const looks = s => [null, '::before', '::after'].map(part => look(getComputedStyle(s, part))).join('/');
    const shown = [e, e.closest('label'), e.closest('li')].filter(Boolean);
    const focused = shown.map(looks).join('/');
    const r = e.getBoundingClientRect();
    const name = e.id || e.name && e.name + '=' + e.value || e.closest('li.room')?.dataset.key || e.getAttribute('href') || e.textContent.trim();
    const over = document.elementFromPoint(Math.max(0, r.x + Math.min(r.width, innerWidth) / 2), r.y + r.height / 2);
    // The field of a row of buttons may be cut off: what is seen of it is its label.
    const cut = !e.labels?.length && [e, e.parentElement].some(s => getComputedStyle(s).clipPath.includes('50%') || +getComputedStyle(s).opacity === 0);
    e.blur();
    const blurred = shown.map(looks).join('/');
    e.focus({focusVisible: true});
    return {name, tag: e.tagName, visible: focused !== blurred && !cut, inside: r.bottom > 0 && r.top < innerHeight && r.width > 0,
        uncovered: !over || e.contains(over) || over.contains(e) || !!e.labels?.length};
})()";

fn focus(browser: &Browser) -> Value {
    browser.value(FOCUS)
}

/// All that Tab comes by, until it leaves the page.
fn walk(browser: &Browser) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    for _ in 0..200 {
        browser.press(Key::Tab);
        let now = focus(browser);
        if now.is_null() || seen.first() == Some(&now) {
            return seen;
        }
        seen.push(now);
    }
    panic!("Tab never leaves the page: {seen:?}");
}

#[test]
fn tab_comes_by_everything_in_order_and_one_always_sees_where_one_is() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    for path in ["/", "/rooms/lab1", "/embed", "/rooms/nowhere"] {
        browser.go(path);
        if path != "/rooms/nowhere" {
            until_live(&browser);
        }
        let walked = walk(&browser);
        assert!(!walked.is_empty(), "{path}: nothing can be reached");
        for step in &walked {
            assert_eq!(step["visible"], true, "{path}: one does not see that it has the focus: {step}");
            assert_eq!(step["inside"], true, "{path}: it is not scrolled to: {step}");
            assert_eq!(step["uncovered"], true, "{path}: something lies over it: {step}");
        }
        // Nothing that can be used is left out.
        let usable = browser.value(
            "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')]
                .filter(e => e.checkVisibility() && !e.disabled && (e.type !== 'radio' || e.checked)).length",
        );
        assert_eq!(usable, walked.len(), "{path}: {walked:?}");
        // The same way back.
        browser.press_with_shift(Key::Tab);
        assert!(!focus(&browser).is_null(), "{path}: there is a way back");
    }
}

#[test]
fn the_first_thing_is_a_way_past_the_filters_to_the_rooms() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    browser.go("/");
    until_live(&browser);
    browser.press(Key::Tab);
    let shown = "document.activeElement.matches('.skip') && document.activeElement.checkVisibility() \
        && document.activeElement.getBoundingClientRect().top >= 0";
    assert!(browser.is(shown), "{}", focus(&browser));
    browser.press(Key::Enter);
    browser.press(Key::Tab);
    assert!(
        browser.is("document.activeElement.closest('#rooms li')?.dataset.key === 'lab1'"),
        "{}",
        focus(&browser)
    );
}

#[test]
fn enter_on_a_room_opens_it_and_filters_can_be_set_by_keys() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    browser.go("/");
    until_live(&browser);
    let reach = |wanted: &str| {
        for _ in 0..100 {
            browser.press(Key::Tab);
            if browser.is(&format!("document.activeElement.matches('{wanted}')")) {
                return;
            }
        }
        panic!("{wanted} is not reached by Tab");
    };
    reach("#filters input[name=tag][value=east]");
    browser.press(Key::Space);
    until_rows(&browser, &["cafe", "lab1"]);
    reach("#filters [name=system]");
    // A list or a row of buttons: arrows go along both.
    browser.press(Key::Down);
    browser.until("Linux", "location.search.includes('system=linux')");
    reach("#room-lab1 a");
    browser.press(Key::Enter);
    browser.until("the room's page", "location.pathname === '/rooms/lab1'");
    until_live(&browser);
    browser.press(Key::Tab);
    assert!(browser.is("document.activeElement !== document.body"));
}
