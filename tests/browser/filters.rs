//! Filters: at once, in the URL, the same with and without scripts, and kept wherever one comes from.

use crate::campus::{Site, pc};
use crate::driver::Browser;
use crate::view::{answer, counted, rows, sorted_rows, until_live, until_row, until_rows};
use thirtyfour::Key;

fn page(site: &Site, path: &str) -> Browser {
    let browser = Browser::at(&site.url());
    browser.go(path);
    until_live(&browser);
    browser
}

const ALL: [&str; 6] = ["cafe", "exam", "full", "lab1", "lab2", "shut"];

/// How a filter is chosen, what is then in the URL, and which rooms are shown.
type Chosen = (fn(&Browser), &'static str, &'static [&'static str]);

const CHOSEN: [Chosen; 5] = [
    (|b| choose(b, "tag", "east"), "tag=east", &["cafe", "lab1"]),
    (|b| choose(b, "system", "linux"), "system=linux", &["cafe", "exam", "lab1", "shut"]),
    (|b| choose(b, "system", "windows"), "system=windows", &["exam", "lab1", "lab2", "shut"]),
    (|b| choose(b, "minutes", "60"), "minutes=60", &["full", "lab1", "lab2"]),
    (|b| b.write("#q", "CAFE zurich"), "q=", &["cafe"]),
];

/// As people do it: a click on what stands beside a field, arrows in a list.
pub(crate) fn choose(browser: &Browser, name: &str, value: &str) {
    let field = format!("#filters [name={name}]");
    if !browser.is(&format!("document.querySelector('{field}').matches('select')")) {
        return browser.click(&format!("#filters label:has([name={name}][value='{value}'])"));
    }
    browser.run("document.querySelector(arguments[0]).focus()", &[field.clone().into()]);
    for _ in 0..20 {
        browser.press(Key::Down);
        if browser.text(&format!("document.querySelector('{field}').value")) == value {
            return;
        }
    }
    panic!("{field} has no {value}");
}

#[test]
fn each_filter_counts_at_once_stands_in_the_url_and_is_kept_by_a_reload() {
    let site = Site::small();
    let browser = page(&site, "/");
    for (choose, query, shown) in CHOSEN {
        browser.go("/");
        until_live(&browser);
        until_rows(&browser, &ALL);
        choose(&browser);
        until_rows_with_open(&browser, query, shown);
        browser.until("the URL", &format!("location.search.includes('{query}')"));
        let (seats, rooms) = counted(&browser);
        if seats > 0 {
            let told =
                format!("/\\b{seats}\\b.*\\b{rooms}\\b/.test(document.querySelector('#answer').textContent)");
            browser.until(&format!("{seats} seats in {rooms} rooms"), &told);
        }
        let (told, before) = (answer(&browser), sorted_rows(&browser));
        browser.reload();
        assert_eq!(sorted_rows(&browser), before, "{query}, after a reload");
        until_live(&browser);
        assert_eq!((answer(&browser), sorted_rows(&browser)), (told, before), "{query}, live after a reload");
    }
}

/// Which of the rooms that step back are shown is the design's to say; those that can be used are these.
#[track_caller]
fn until_rows_with_open(browser: &Browser, query: &str, shown: &[&str]) {
    let open: Vec<&str> =
        shown.iter().copied().filter(|key| ["cafe", "lab1", "lab2"].contains(key)).collect();
    let mut wanted = open.clone();
    wanted.sort_unstable();
    let found = "[...document.querySelectorAll('#rooms > li.room')].filter(row => row.checkVisibility() && +row.dataset.usable > 0).map(row => row.dataset.key).sort()";
    browser.until(
        &format!("{query}: {wanted:?}"),
        &format!("JSON.stringify({found}) === '{}'", serde_json::json!(wanted)),
    );
}

#[test]
fn the_server_and_the_scripts_choose_the_same_rooms() {
    let site = Site::small();
    let browser = page(&site, "/");
    for query in [
        "tag=east",
        "tag=east&tag=west",
        "tag=nowhere",
        "system=linux",
        "system=windows",
        "minutes=15",
        "minutes=60",
        "minutes=240",
        "q=lab",
        "q=ZUERICH",
        "q=cafe",
        "q=caf%C3%A9+z%C3%BCrich",
        "q=laboratory+first",
        "q=zzz",
        "q=room+zzz",
        "tag=east,west",
        "tag=east&tag=",
        "system=LINUX",
        "system=windows&system=linux",
        "minutes=9999",
        "minutes=+60",
        "minutes=1.5",
        "tag=west&system=windows&minutes=60&q=room",
        "tag=east&system=windows",
        "system=amiga",
        "minutes=-1&tag=%00",
    ] {
        browser.devtools("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": true}));
        browser.go(&format!("/?{query}"));
        let (served, told) = (rows(&browser), answer(&browser));
        browser.devtools("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": false}));
        browser.go(&format!("/?{query}"));
        until_live(&browser);
        // A change of a room that it has, so that all rows are looked at anew.
        for (state, usable) in [("wu", "4"), ("lf", "5")] {
            site.daemon.set(&free_of_lab1(&site), state);
            if browser.is("!!document.getElementById('room-lab1')") {
                until_row(&browser, "lab1", "usable", usable);
            }
        }
        assert_eq!(rows(&browser), served, "{query}");
        assert_eq!(answer(&browser), told, "{query}");
    }
}

fn free_of_lab1(site: &Site) -> String {
    let lab = site.rooms.iter().find(|room| room.key == "lab1").unwrap();
    lab.pcs().into_iter().find(|(_, state)| *state == "lf").unwrap().0
}

#[test]
fn a_room_that_comes_to_pass_the_filter_appears_and_one_that_does_no_more_goes() {
    let site = Site::small();
    let browser = page(&site, "/?system=linux");
    assert!(!rows(&browser).contains(&"full".to_owned()));
    site.daemon.set(&pc("full", 1), "lf");
    browser.until("the crowded room", "document.getElementById('room-full')?.checkVisibility()");
    site.daemon.set(&pc("full", 1), "lu");
    browser.until("it is gone", "!document.getElementById('room-full')?.checkVisibility()");
}

#[test]
fn the_way_back_from_a_room_leads_to_the_filter_one_had() {
    let site = Site::small();
    let browser = page(&site, "/");
    choose(&browser, "tag", "east");
    until_rows(&browser, &["cafe", "lab1"]);
    browser.until("the URL", "location.search.includes('tag=east')");
    browser.click("#room-lab1 a");
    browser.until("the room's page", "location.pathname === '/rooms/lab1'");
    browser.back();
    browser.until("the overview", "location.pathname === '/'");
    assert_eq!(browser.path(), "/?tag=east");
    until_rows(&browser, &["cafe", "lab1"]);
    assert!(browser.is("document.querySelector('#filters input[value=east]').checked"));
}

#[test]
fn one_click_shows_all_rooms_again() {
    let site = Site::small();
    let browser = page(&site, "/?tag=east&q=lab&system=linux&minutes=30&lang=nl");
    until_rows(&browser, &["lab1"]);
    browser.click("#clear");
    until_rows(&browser, &ALL);
    assert_eq!(browser.path(), "/?lang=nl", "and the language is kept");
    assert_eq!(browser.text("document.querySelector('#q').value"), "");
}

#[test]
fn typing_a_name_needs_no_enter_and_enter_does_no_harm() {
    let site = Site::small();
    let browser = page(&site, "/");
    browser.write("#q", "windows");
    until_rows(&browser, &["lab2"]);
    browser.press(Key::Enter);
    until_rows(&browser, &["lab2"]);
    browser.until("the URL", "location.search.includes('q=windows')");
}
