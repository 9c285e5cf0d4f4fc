//! The page where scripts are off, as one sets it in a browser.

use crate::campus::{Site, pc};
use crate::driver::{Browser, Wanted};
use crate::filters::choose;
use crate::view::{answer, row, rows};
use std::time::Duration;

fn plain(site: &Site) -> Browser {
    Browser::with(&site.url(), &Wanted { scripts: false, ..Wanted::default() })
}

#[test]
fn without_scripts_the_rooms_are_there_and_the_form_chooses_among_them() {
    let site = Site::small();
    let browser = plain(&site);
    browser.go("/");
    assert!(browser.is("document.querySelector('noscript meta[http-equiv=refresh]')"), "scripts are off");
    assert_eq!(rows(&browser).len(), 6);
    assert_eq!(rows(&browser)[0], "lab1");
    assert!(answer(&browser).contains("11"), "{}", answer(&browser));
    assert_eq!(row(&browser, "exam", "state"), "reserved");
    assert!(browser.text("document.getElementById('room-exam').textContent").contains("Calculus"));
    assert_eq!(row(&browser, "shut", "state"), "closed");
    assert_eq!(row(&browser, "cafe", "until"), site.booked_clock(30));

    choose(&browser, "tag", "west");
    choose(&browser, "system", "windows");
    browser.write("#q", "room");
    browser.click("#filters button");
    browser.until("the filter in the URL", "location.search.includes('tag=west')");
    assert_eq!(rows(&browser), ["lab2"], "at {}", browser.path());
    assert!(browser.is("document.querySelector('#filters input[value=west]').checked"));
    assert_eq!(browser.text("document.querySelector('#q').value"), "room");
    browser.click("#clear");
    browser.until("all rooms", "document.querySelectorAll('#rooms > li.room').length === 6");

    browser.click("#room-lab1 a");
    browser.until("the room's page", "location.pathname === '/rooms/lab1'");
    assert_eq!(browser.value("document.querySelectorAll('[data-pc]').length"), 8);
}

#[test]
fn without_scripts_nothing_is_offered_that_only_scripts_can_do() {
    let site = Site::small();
    let browser = plain(&site);
    for path in ["/", "/rooms/lab1", "/kiosk", "/embed"] {
        browser.go(path);
        // Buttons that belong to no form do nothing by themselves.
        let idle = browser.value("[...document.querySelectorAll('button')].filter(b => b.checkVisibility() && (!b.form || b.type === 'button')).map(b => b.outerHTML)");
        assert_eq!(idle, serde_json::json!([]), "{path}");
    }
}

#[test]
fn without_scripts_the_page_renews_itself() {
    let site = Site::small();
    let browser = plain(&site);
    for path in ["/", "/kiosk?tag=east"] {
        browser.go(path);
        let before: i64 = row(&browser, "lab1", "usable").parse().unwrap();
        for n in 1..=8 {
            site.daemon.set(&pc("lab1", n), "wu");
        }
        let renewed = format!("document.getElementById('room-lab1')?.dataset.usable !== '{before}'");
        browser.within(Duration::from_secs(60), "a page that was loaded again", &renewed);
        assert_eq!(browser.path(), path);
        site.push_all();
    }
}

#[test]
fn without_scripts_sixty_rooms_are_shown_and_a_link_to_all() {
    let rooms = (0..75)
        .map(|n| crate::campus::Room::new(&format!("r{n}"), &format!("Room {n}"), &[]).with(1, 1, 0, 0));
    let site = Site::of(rooms.collect());
    let browser = plain(&site);
    browser.go("/");
    assert_eq!(rows(&browser).len(), 60);
    assert!(answer(&browser).contains("150"), "the answer counts all: {}", answer(&browser));
    browser.click("#more a");
    browser.until("all", "document.querySelectorAll('#rooms > li.room').length === 75");
    assert!(browser.path().contains("all=1"), "{}", browser.path());
}
