//! However many tabs, one connection a browser.

use crate::campus::{Site, pc};
use crate::common::GUARD;
use crate::driver::Browser;
use crate::view::{until_live, until_row};
use std::time::{Duration, Instant};

fn streams(site: &Site) -> f64 {
    site.figure("tkbd_page_streams")
}

#[track_caller]
fn until_streams(site: &Site, wanted: f64) {
    let end = Instant::now() + GUARD;
    while (streams(site) - wanted).abs() > 0.1 {
        assert!(Instant::now() < end, "{} streams, and not {wanted}", streams(site));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn many_tabs_have_one_connection_and_all_are_live() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    browser.go("/");
    let mut tabs = vec![browser.tab()];
    for path in ["/?tag=east", "/kiosk", "/rooms/lab1", "/"] {
        tabs.push(browser.open_tab(path));
    }
    for tab in &tabs {
        browser.switch_to(tab);
        until_live(&browser);
    }
    until_streams(&site, 1.0);
    for n in 1..=8 {
        site.daemon.set(&pc("lab1", n), "wu");
    }
    for tab in &tabs {
        browser.switch_to(tab);
        until_row(&browser, "lab1", "usable", "0");
    }
    assert!((streams(&site) - 1.0).abs() < 0.1, "{} streams", streams(&site));
}

#[test]
fn when_the_tab_that_has_the_connection_is_closed_another_takes_over_and_misses_nothing() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    browser.go("/");
    until_live(&browser);
    until_streams(&site, 1.0);
    let first = browser.tab();
    let second = browser.open_tab("/");
    until_live(&browser);
    let third = browser.open_tab("/kiosk");
    until_live(&browser);

    browser.switch_to(&first);
    browser.close_tab_for(&second);
    // Whoever takes over must be told of it, whenever that is.
    for n in 1..=8 {
        site.daemon.set(&pc("lab1", n), "wu");
    }
    for tab in [&second, &third] {
        browser.switch_to(tab);
        until_row(&browser, "lab1", "usable", "0");
        until_live(&browser);
    }
    until_streams(&site, 1.0);
    browser.close_tab_for(&second);
    site.push_all();
    until_row(&browser, "lab1", "usable", "5");
    until_streams(&site, 1.0);
}

#[test]
fn tabs_of_two_languages_are_both_told_in_their_own() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    browser.go("/?lang=nl");
    until_live(&browser);
    let dutch = browser.tab();
    browser.open_tab("/?lang=de");
    until_live(&browser);
    let text = "document.getElementById('room-lab1').innerText";
    let german = browser.text(text);
    site.daemon.set("lab1pc01", "o");
    site.daemon.set("lab1pc02", "o");
    browser.until("a change", &format!("{text} !== {german:?}"));
    let german = browser.text(text);
    browser.switch_to(&dutch);
    until_live(&browser);
    browser.until(
        "the same change",
        &format!("document.getElementById('room-lab1').dataset.usable === '{}'", site.usable("lab1")),
    );
    assert_ne!(browser.text(text), german);
}

#[test]
fn a_browser_that_goes_leaves_no_stream_behind() {
    let site = Site::small();
    let browser = Browser::at(&site.url());
    browser.go("/");
    until_live(&browser);
    until_streams(&site, 1.0);
    drop(browser);
    until_streams(&site, 0.0);
}
