//! "Tell me when a seat is free": a click, and a notification when it is; one person for one seat.

use crate::campus::{Room, Site, pc};
use crate::common::events::{Event, EventStream};
use crate::common::percent;
use crate::driver::Browser;
use crate::view::until_live;
use serde_json::{Value, json};

/// A campus on which every seat is taken.
fn crowded() -> Site {
    Site::with(
        vec![
            Room::new("full", "Crowded room", &["west"]).with(0, 0, 0, 4),
            Room::new("more", "Another crowded room", &["east"]).with(0, 0, 0, 3),
        ],
        // The shortest that is still seen to be kept.
        "[seats]\nclaim = \"5s\"",
    )
}

fn may_notify(browser: &Browser, may: bool) {
    let setting = if may { "granted" } else { "denied" };
    let permission =
        json!({"permission": {"name": "notifications"}, "setting": setting, "origin": browser.site()});
    browser.devtools("Browser.setPermission", &permission);
}

/// Asks to be told, at this page, and waits until that has arrived at the daemon.
fn ask(browser: &Browser, path: &str) {
    browser.go(path);
    until_live(browser);
    browser.until("the worker", "navigator.serviceWorker.ready.then(ready => !!ready.active)");
    browser.until("the button", "document.getElementById('tell')?.checkVisibility()");
    browser.requested();
    browser.click("#tell");
    browser.until_told("wish", "waits");
    let waits = "document.getElementById('alert').textContent.includes(document.getElementById('alert').dataset.waits)";
    browser.until("it says that it waits", waits);
}

/// What the system was given to show: title and text of each.
const SHOWN: &str = "navigator.serviceWorker.getRegistration().then(ready => ready.getNotifications())
    .then(all => all.map(one => one.title + ': ' + one.body))";

#[test]
fn who_asks_is_notified_when_a_seat_is_free_and_once() {
    let site = crowded();
    let browser = Browser::at(&site.url());
    may_notify(&browser, true);
    ask(&browser, "/rooms/full?lang=nl");
    assert_eq!(browser.value(SHOWN), json!([]));
    // Not this one.
    site.daemon.set(&pc("more", 1), "lf");
    site.daemon.set(&pc("full", 2), "wf");
    let shown = browser.until("a notification", &format!("{SHOWN}.then(all => all.length && all)"));
    assert_eq!(shown.as_array().unwrap().len(), 1, "{shown}");
    let told = shown[0].as_str().unwrap();
    assert!(told.contains("Crowded room") && !told.contains("Another"), "{told}");
    assert!(browser.text("document.getElementById('alert').textContent").contains("Crowded room"));
    // The wish is done: the next seat is somebody else's.
    site.daemon.set(&pc("full", 3), "wf");
    browser.until("the next seat", "document.getElementById('room-full').dataset.usable === '2'");
    assert_eq!(browser.value(SHOWN).as_array().unwrap().len(), 1);
    assert_eq!(browser.text("localStorage.getItem('tkbd-wishes') ?? ''"), "");
}

#[test]
fn where_notifications_are_refused_the_page_itself_tells_it() {
    let site = crowded();
    let browser = Browser::at(&site.url());
    may_notify(&browser, false);
    // Any room, as the filters have it.
    ask(&browser, "/?tag=west&lang=de");
    site.daemon.set(&pc("more", 1), "lf");
    site.daemon.set(&pc("full", 2), "wf");
    let banner = "document.getElementById('alert')";
    browser.until(
        "the banner",
        &format!("{banner}.checkVisibility() && {banner}.textContent.includes('Crowded room')"),
    );
    assert!(!browser.text(&format!("{banner}.textContent")).contains("Another"));
    assert!(
        browser.is(&format!("{banner}.querySelector('a').getAttribute('href').startsWith('/rooms/full')"))
    );
    assert_eq!(browser.value(SHOWN), json!([]));
}

#[test]
fn who_thinks_better_of_it_is_not_told() {
    let site = crowded();
    let browser = Browser::at(&site.url());
    may_notify(&browser, true);
    ask(&browser, "/rooms/full");
    browser.click("#alert button");
    browser.until("nothing is waited for", "!document.getElementById('alert').checkVisibility()");
    // The next stream has no wish.
    browser.until_told("hello", "");
    let mut other = Waiter::of(&site, "a-waiter-of-the-test", "room:full");
    site.daemon.set(&pc("full", 2), "wf");
    assert_eq!(other.told()["key"], "full", "the seat goes to who still waits");
    assert_eq!(browser.value(SHOWN), json!([]));
}

#[test]
fn a_browser_that_came_second_is_told_when_the_first_has_not_come() {
    let site = crowded();
    let mut first = Waiter::of(&site, "the-first-who-waits", "room:full");
    let browser = Browser::at(&site.url());
    may_notify(&browser, true);
    ask(&browser, "/rooms/full");
    let mut third = Waiter::of(&site, "the-third-who-waits", "tag:west");
    site.daemon.set(&pc("full", 2), "wf");
    assert_eq!(first.told()["key"], "full");
    // What is told to one is told to nobody else, until the claim ends: then to the browser, and not to the third.
    browser.until("the row", "document.getElementById('room-full').dataset.usable === '1'");
    assert_eq!(browser.value(SHOWN), json!([]), "while the first is on the way");
    browser.until("its turn", &format!("{SHOWN}.then(all => all.length)"));
    site.daemon.set(&pc("full", 3), "wf");
    assert_eq!(third.told()["key"], "full", "a second seat is the third's");
}

#[test]
fn a_wish_outlives_the_page_it_was_made_on_and_the_daemon() {
    let mut site = crowded();
    let browser = Browser::at(&site.url());
    may_notify(&browser, true);
    ask(&browser, "/rooms/full");
    browser.go("/?lang=en");
    until_live(&browser);
    browser.until("it still waits", "document.getElementById('alert').checkVisibility()");
    site.daemon.restart();
    until_live(&browser);
    site.daemon.set(&pc("full", 2), "wf");
    browser.until("a notification", &format!("{SHOWN}.then(all => all.length)"));
}

#[test]
fn of_ten_who_wait_for_one_seat_one_is_told() {
    let site = crowded();
    let mut ten: Vec<Waiter> =
        (0..10).map(|n| Waiter::of(&site, &format!("one-of-ten-who-wait-{n}"), "room:full")).collect();
    site.daemon.set(&pc("full", 1), "lf");
    assert_eq!(ten[0].told()["key"], "full");
    // A second seat is the second's; nobody has been told of the first besides.
    site.daemon.set(&pc("full", 2), "lf");
    assert_eq!(ten[1].told()["key"], "full");
    for one in &mut ten[2..] {
        one.hears_of_no_seat();
    }
}

/// A stream that waits, without a browser.
struct Waiter {
    stream: EventStream,
    site: String,
}

impl Waiter {
    fn of(site: &Site, token: &str, wish: &str) -> Waiter {
        let wish = percent(format!("{token};{wish}"));
        let stream = EventStream::open(&site.daemon, &format!("/live?lang=en&wish={wish}"), None);
        let mut waiter = Waiter { stream, site: site.url() };
        let state = waiter.until("wish");
        assert_eq!(state["state"], "waits", "{state}");
        waiter
    }

    /// The next event of this kind.
    fn until(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event();
            if event.name == kind {
                return event.data;
            }
        }
    }

    fn event(&mut self) -> Event {
        self.stream.event().unwrap_or_else(|| panic!("{} ended the stream", self.site))
    }

    fn told(&mut self) -> Value {
        self.until("seat")
    }

    /// What has come up to the news of two seats holds no seat for it.
    fn hears_of_no_seat(&mut self) {
        loop {
            let event = self.event();
            assert_ne!(event.name, "seat", "{event:?}");
            let html = event.data["html"].as_str().unwrap_or_default();
            if html.contains("data-usable=2") || html.contains("data-usable=\"2\"") {
                return;
            }
        }
    }
}
