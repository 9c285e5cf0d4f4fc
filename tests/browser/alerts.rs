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
    browser.run(NOTE, &[]);
    browser.requested();
    browser.click("#tell");
    browser.until_told("wish", "waits");
    let waits = "document.getElementById('alert').textContent.includes(document.getElementById('alert').dataset.waits)";
    browser.until("it says that it waits", waits);
}

/// Notes when the system has taken a notification: before that it is not to be asked for those it shows, since it then may
/// forget the one that is on its way.
const NOTE: &str = "const own = ServiceWorkerRegistration.prototype.showNotification;
    window.notified = 0;
    ServiceWorkerRegistration.prototype.showNotification = function (...all) {
        return own.apply(this, all).then(() => (window.notified += 1));
    };";

#[track_caller]
fn until_notified(browser: &Browser) {
    browser.until("a notification", "window.notified");
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
    until_notified(&browser);
    let shown = browser.value(SHOWN);
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
fn who_has_searched_waits_for_the_rooms_that_were_found_and_for_no_other() {
    let site = crowded();
    let browser = Browser::at(&site.url());
    may_notify(&browser, true);
    // Both are found, and the second is told of.
    ask(&browser, "/?q=CROWDED&minutes=1");
    let wishes = browser.text("localStorage.getItem('tkbd-wishes')");
    assert!(wishes.contains(";room:full;minutes:1") && wishes.contains(";room:more;minutes:1"), "{wishes}");
    site.daemon.set(&pc("more", 1), "lf");
    until_notified(&browser);
    assert!(browser.is(&format!("{SHOWN}.then(all => all[0].includes('Another'))")));
    // Who was too late waits for both again.
    site.daemon.set(&pc("more", 1), "lu");
    browser.until("the button", "document.getElementById('tell')?.checkVisibility()");
    browser.click("#alert button");
    browser.until("two wishes", "JSON.parse(localStorage.getItem('tkbd-wishes'))?.length === 2");
    browser.click("#alert button");
    // One of them is found; elsewhere there is a seat.
    ask(&browser, "/?q=another");
    let wishes = browser.text("localStorage.getItem('tkbd-wishes')");
    assert!(wishes.ends_with(";room:more\"]"), "{wishes}");
}

#[test]
fn where_a_search_finds_more_rooms_than_one_can_wait_for_or_none_nothing_is_offered() {
    let rooms = (0..9).map(|n| Room::new(&format!("r{n}"), &format!("Crowded {n}"), &[]).with(0, 0, 0, 1));
    let site = Site::of(rooms.collect());
    let browser = Browser::at(&site.url());
    let tell = "document.getElementById('tell').checkVisibility()";
    for (query, is_offered) in [("", true), ("q=crowded", false), ("q=8", true), ("q=nowhere", false)] {
        browser.go(&format!("/?{query}"));
        until_live(&browser);
        // What is seldom needed has been asked for, and this is done with it.
        browser.until("as it is to be", &format!("{tell} === {is_offered} && performance.getEntriesByName(document.querySelector('[src$=\"overview.js\"]').src.replace('overview', 'rarely')).length"));
        browser.run("window.until = performance.now() + 300", &[]);
        browser.until("a moment", "performance.now() > window.until");
        assert_eq!(browser.is(tell), is_offered, "{query}");
    }
}

/// The alert as a script of the page has it; a module is loaded once.
const ALERT: &str = "import(document.querySelector('script[src]').src.replace(/[\\w-]+\\.js$/, 'alert.js'))";

#[test]
fn what_is_read_aloud_is_said_once_however_often_the_stream_begins_anew() {
    let mut site = crowded();
    let browser = Browser::at(&site.url());
    may_notify(&browser, true);
    ask(&browser, "/rooms/full");
    browser.run(
        "window.said = 0;
         new MutationObserver((all) => (window.said += all.length)).observe(document.getElementById('alert'),
             {subtree: true, childList: true, characterData: true, attributes: true});",
        &[],
    );
    for _ in 0..2 {
        browser.requested();
        site.daemon.restart();
        browser.until_told("wish", "waits");
    }
    browser.until("it waits", &format!("{ALERT}.then(() => true)"));
    assert_eq!(browser.value("window.said"), json!(0));
}

#[test]
fn a_refusal_stays_until_that_wish_waits_and_can_be_taken_back() {
    let site = crowded();
    let browser = Browser::at(&site.url());
    may_notify(&browser, true);
    ask(&browser, "/rooms/full");
    let wish = browser.value("JSON.parse(localStorage.getItem('tkbd-wishes'))[0]");
    let hear = |wish: &Value, more: &Value| {
        let mut message = json!({"type": "wish", "wish": wish});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        browser.value(&format!("{ALERT}.then(alert => (alert.hear({message}), true))"));
    };
    let said = || browser.text("document.querySelector('#alert p').textContent");
    let waits = said();
    let refused = json!({"state": "refused", "reason": "full", "text": "Too many."});
    hear(&wish, &refused);
    hear(&json!("another"), &json!({"state": "waits"}));
    assert_eq!(said(), "Too many.", "what another wish comes to does not hide it");
    hear(&wish, &json!({"state": "waits"}));
    assert_eq!(said(), waits);
    hear(&wish, &refused);
    browser.click("#alert button");
    browser.until("nothing is waited for", "!document.getElementById('alert').checkVisibility()");
    assert_eq!(browser.text("localStorage.getItem('tkbd-wishes') ?? ''"), "");
    // What is none of ours is dropped, and why stays to be read.
    ask(&browser, "/rooms/full");
    let wish = browser.value("JSON.parse(localStorage.getItem('tkbd-wishes'))[0]");
    hear(&wish, &json!({"state": "refused", "reason": "form", "text": "Unclear."}));
    assert_eq!(
        (said().as_str(), browser.text("localStorage.getItem('tkbd-wishes') ?? ''").as_str()),
        ("Unclear.", "")
    );
    browser.click("#alert button");
    browser.until("it is closed", "!document.getElementById('alert').checkVisibility()");
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
    until_notified(&browser);
    assert_eq!(browser.value(SHOWN).as_array().unwrap().len(), 1, "its turn");
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
    browser.run(NOTE, &[]);
    site.daemon.restart();
    until_live(&browser);
    site.daemon.set(&pc("full", 2), "wf");
    until_notified(&browser);
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
