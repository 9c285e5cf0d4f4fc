//! The link to the daemon: what the page says while it is down, what it shows meanwhile, and that it comes back alone.

use crate::campus::{Site, pc};
use crate::common::relay::Relay;
use crate::driver::Browser;
use crate::filters::choose;
use crate::view::{LINK, is_marked, mark, row, rows, until_down, until_live, until_row};
use std::net::TcpListener;
use std::time::Duration;

/// Whether a text tells a time of day, and this one or that of a minute or two before.
fn tells(text: &str, site: &Site) -> bool {
    [0, -1, -2].iter().any(|&minutes| text.contains(&site.clock(minutes)))
}

#[test]
fn a_page_survives_a_restart_of_the_daemon_and_learns_what_happened_meanwhile() {
    let mut site = Site::small();
    for path in ["/", "/kiosk", "/rooms/lab1"] {
        let browser = Browser::at(&site.url());
        browser.go(path);
        until_live(&browser);
        mark(&browser);
        assert_eq!(site.daemon.terminate().code(), Some(0));
        let told = until_down(&browser);
        assert!(tells(&told, &site), "{path}: {told:?} says since when");
        assert!(!rows_or_pcs(&browser).is_empty(), "{path}: what was known is still shown");
        site.daemon.restart();
        // Before the page can know of it.
        for n in 1..=8 {
            site.daemon.set(&pc("lab1", n), "wu");
        }
        until_live(&browser);
        if path == "/rooms/lab1" {
            browser.until(
                "what changed",
                "[...document.querySelectorAll('[data-pc]')].every(pc => pc.dataset.state === 'wu')",
            );
        } else {
            until_row(&browser, "lab1", "usable", "0");
        }
        assert!(is_marked(&browser), "{path} was loaded anew, though it is the same program");
        site.push_all();
        drop(browser);
    }
}

fn rows_or_pcs(browser: &Browser) -> String {
    browser.text("[...document.querySelectorAll('[data-pc], li.room')].map(e => e.textContent).join()")
}

#[test]
fn a_link_that_is_cut_comes_back_and_a_push_is_seen_again() {
    let site = Site::small();
    let relay = Relay::to(site.address());
    let browser = Browser::at(&format!("http://{}", relay.addr()));
    browser.go("/");
    until_live(&browser);
    mark(&browser);
    for (n, usable) in [(1, "wu"), (1, "lf"), (1, "o")] {
        relay.cut();
        site.daemon.set(&pc("lab1", n), usable);
        until_row(&browser, "lab1", "usable", &site.usable("lab1").to_string());
        until_live(&browser);
    }
    assert!(is_marked(&browser));
}

#[test]
fn offline_the_last_state_is_shown_with_its_age_also_after_a_reload() {
    let site = Site::small();
    let relay = Relay::to(site.address());
    let browser = Browser::at(&format!("http://{}", relay.addr()));
    for path in ["/", "/rooms/lab1"] {
        browser.go(path);
        until_live(&browser);
        browser.until("the worker", "navigator.serviceWorker.ready.then(ready => !!ready.active)");
        // A page that the worker has served, and so kept.
        browser.reload();
        until_live(&browser);
        let before = rows_or_pcs(&browser);

        // Nothing gets through, and the system says so.
        let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        relay.point_to(nowhere);
        relay.cut();
        browser.say_offline(true);
        let told = until_down(&browser);
        assert!(tells(&told, &site), "{path}: {told:?} says as of when");
        browser.reload();
        let told = until_down(&browser);
        assert!(tells(&told, &site), "{path}, after a reload: {told:?} says as of when");
        assert!(!rows_or_pcs(&browser).is_empty(), "{path}: what was known is shown");
        assert_eq!(rows_or_pcs(&browser), before, "{path}: what was known is shown");

        site.daemon.set(&pc("lab1", 1), "wu");
        site.daemon.set(&pc("lab1", 2), "wu");
        relay.point_to(site.address());
        browser.say_offline(false);
        until_live(&browser);
        let is_new = if path == "/" {
            "document.getElementById('room-lab1').dataset.usable !== '5'"
        } else {
            "document.querySelector('[data-pc=lab1pc01]').dataset.state === 'wu'"
        };
        browser.until("what changed meanwhile", is_new);
        site.push_all();
    }
}

/// What the worker keeps of the page that is shown.
const KEPT: &str =
    "caches.open('pages').then(pages => pages.match(location.href)).then(page => page?.text() ?? '')";

/// Nothing gets through, and the system says so.
fn cut_off(browser: &Browser, relay: &Relay) {
    relay.point_to(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    relay.cut();
    browser.say_offline(true);
}

/// Goes there, and has the worker serve it.
fn with_worker(browser: &Browser, path: &str) {
    browser.go(path);
    until_live(browser);
    browser.until("the worker", "navigator.serviceWorker.ready.then(ready => !!ready.active)");
    browser.reload();
    until_live(browser);
    browser.until("it serves", "navigator.serviceWorker.controller");
}

#[test]
fn offline_it_is_the_last_state_that_is_shown_and_not_that_in_which_the_page_was_opened() {
    let site = Site::small();
    let relay = Relay::to(site.address());
    let browser = Browser::at(&format!("http://{}", relay.addr()));
    with_worker(&browser, "/");
    for n in 1..=8 {
        site.daemon.set(&pc("lab1", n), "wu");
    }
    until_row(&browser, "lab1", "usable", "0");
    // As when another tab is shown, or the lid is closed.
    browser.run(
        "Object.defineProperty(document, 'hidden', {configurable: true, value: true});
         document.dispatchEvent(new Event('visibilitychange'));",
        &[],
    );
    browser
        .until("it is kept", &format!("{KEPT}.then(text => /data-key=lab1 [^>]*data-usable=0/.test(text))"));
    cut_off(&browser, &relay);
    browser.reload();
    until_down(&browser);
    assert_eq!(row(&browser, "lab1", "usable"), "0");
    relay.point_to(site.address());
    browser.say_offline(false);

    // A room's page is kept each time that it asks for itself.
    with_worker(&browser, "/rooms/lab2");
    site.daemon.set(&pc("lab2", 1), "x");
    browser.until(
        "it is kept",
        &format!("{KEPT}.then(text => /data-pc=\"lab2pc01\" data-state=\"x\"/.test(text))"),
    );
}

#[test]
fn while_it_is_live_the_overview_is_kept_each_minute() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    with_worker(&browser, "/");
    for n in 1..=8 {
        site.daemon.set(&pc("lab1", n), "wu");
    }
    let kept = format!(
        "{KEPT}.then(text => /data-key=lab1 [^>]*data-usable=0/.test(text)
             && text.match(/data-time=\"([^\"]+)/)[1] > document.getElementById('link').dataset.time)"
    );
    browser.within(Duration::from_secs(100), "a later minute", &kept);
}

#[test]
fn pages_of_an_edition_before_keep_their_files_as_long_as_they_are_kept() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    with_worker(&browser, "/");
    // As upgrades leave them: one has a page that names it.
    let (old, older) = ("/assets/0123456789ab/styles/page.css", "/assets/ba9876543210/styles/page.css");
    browser.value(&format!(
        "Promise.all([
             caches.open('pages').then(pages => pages.put('/rooms/old', new Response('<link rel=\"stylesheet\" href=\"{old}\">'))),
             caches.open('files').then(files => Promise.all(['{old}', '{older}'].map(file => files.put(file, new Response('b {{}}'))))),
         ]).then(() => true)"
    ));
    let is_there = |file: &str| {
        format!("caches.open('files').then(files => files.match('{file}')).then(file => !!file)")
    };
    browser.go("/rooms/lab1");
    browser.until("what nothing needs is gone", &format!("{}.then(is => !is)", is_there(older)));
    assert!(browser.is(&is_there(old)), "the style of a page that is kept");
    browser.value("caches.open('pages').then(pages => pages.delete('/rooms/old'))");
    browser.reload();
    browser.until("nothing is left of it", &format!("{}.then(is => !is)", is_there(old)));
    assert!(browser.is("caches.open('files').then(files => files.keys()).then(files => files.length > 5)"));
}

#[test]
fn a_language_that_was_chosen_goes_with_every_link_and_offline_too() {
    let site = Site::small();
    let relay = Relay::to(site.address());
    let browser = Browser::at(&format!("http://{}", relay.addr()));
    with_worker(&browser, "/?lang=de");
    site.daemon.set("attic7pc01", "lf");
    browser.until("the new room", "document.getElementById('room-attic7')");
    let links = browser.value(
        "[...document.querySelectorAll('#rooms a')].map(a => a.getAttribute('href')).filter(href => !href.endsWith('?lang=de'))",
    );
    assert_eq!(links, serde_json::json!([]));
    browser.click("#room-lab1 a");
    browser.until("the room's page", "location.pathname === '/rooms/lab1'");
    assert_eq!(browser.path(), "/rooms/lab1?lang=de");
    until_live(&browser);
    browser.until("it is kept", &format!("{KEPT}.then(text => text.includes('lab1pc01'))"));
    with_worker(&browser, "/rooms/lab1?lang=nl");
    browser.until("it is kept", &format!("{KEPT}.then(text => text.includes('lab1pc01'))"));
    cut_off(&browser, &relay);
    for (query, language) in [("lang=de&x=1", "de"), ("lang=nl&x=1", "nl")] {
        browser.go(&format!("/rooms/lab1?{query}"));
        until_down(&browser);
        assert_eq!(browser.text("document.documentElement.lang"), language);
    }
    // A room that was never looked at: the overview that was.
    browser.go("/rooms/lab2?lang=de");
    until_down(&browser);
    assert!(browser.is("document.documentElement.lang === 'de' && document.getElementById('room-attic7')"));
}

#[test]
fn when_there_is_no_room_any_more_the_old_ones_go() {
    let mut site = Site::small();
    let browser = Browser::at(&site.url());
    browser.go("/");
    until_live(&browser);
    site.daemon.terminate();
    std::fs::remove_file(site.daemon.history_file()).unwrap();
    site.daemon.restart();
    browser.until("no room", "document.getElementById('no-rooms').checkVisibility()");
    assert!(rows(&browser).is_empty());
}

#[test]
fn offline_a_page_that_was_never_seen_is_no_error_of_the_browser() {
    let site = Site::small();
    let relay = Relay::to(site.address());
    let browser = Browser::at(&format!("http://{}", relay.addr()));
    browser.go("/");
    until_live(&browser);
    browser.until("the worker", "navigator.serviceWorker.ready.then(ready => !!ready.active)");
    browser.reload();
    until_live(&browser);
    relay.point_to(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    relay.cut();
    browser.say_offline(true);
    browser.go("/rooms/lab2");
    assert!(
        !browser.is("document.body.id === 'neterror' || location.protocol === 'chrome-error:'"),
        "the browser's own"
    );
    let told = until_down(&browser);
    assert!(tells(&told, &site), "{told:?} says as of when");
    assert!(!rows_or_pcs(&browser).is_empty(), "the rooms that are known");
}

#[test]
fn a_filter_counts_while_the_link_is_down() {
    let mut site = Site::small();
    let browser = Browser::at(&site.url());
    browser.go("/");
    until_live(&browser);
    site.daemon.terminate();
    until_down(&browser);
    choose(&browser, "tag", "east");
    crate::view::until_rows(&browser, &["cafe", "lab1"]);
    assert_eq!(row(&browser, "lab1", "usable"), "5");
    site.daemon.restart();
    until_live(&browser);
    assert_eq!(rows(&browser).len(), 2);
}

#[test]
fn a_page_of_another_edition_loads_itself_anew_when_nobody_uses_it() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    browser.go("/kiosk");
    until_live(&browser);
    mark(&browser);
    // As if the daemon had been another when this page was loaded.
    browser.run("document.body.dataset.page = 'another'", &[]);
    let relived = "!window.hasNotBeenLoadedAnew && document.querySelector('#rooms > li.room')";
    assert!(!browser.text(LINK).is_empty());
    // The next stream tells which edition there is.
    let mut site = site;
    site.daemon.restart();
    browser.until("another page", relived);
    until_live(&browser);
}
