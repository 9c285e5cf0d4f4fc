//! A push, and who sees it: within the second, without a reload, and without a jump under the reader's eyes.

use crate::campus::{Room, Site, few, pc};
use crate::common::entry;
use crate::driver::Browser;
use crate::pages::LONG_DUTCH;
use crate::view::{ROWS, answer, counted, is_marked, mark, rows, until_live, until_row};
use serde_json::{Value, json};

/// Notes the moment at which a row's attribute becomes another, on the clock of the page.
const WATCH: &str = "const [key, name] = arguments;
    const before = document.getElementById('room-' + key).getAttribute(name);
    window.seen = undefined;
    window.asked = performance.now();
    const look = () => {
        if (window.seen === undefined && document.getElementById('room-' + key)?.getAttribute(name) !== before) {
            window.seen = performance.now();
        }
    };
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
    window.rows = performance.getEntriesByType('navigation').length;";

fn at(site: &Site, path: &str) -> Browser {
    let browser = Browser::at(&site.url());
    browser.go(path);
    until_live(&browser);
    browser
}

#[test]
fn a_push_is_seen_within_the_second_and_without_a_reload() {
    let site = Site::small();
    let one = pc("lab1", 1);
    for path in ["/", "/kiosk", "/embed"] {
        // Each of the states below is another number of seats than the one before.
        site.daemon.set(&one, "o");
        let browser = at(&site, path);
        mark(&browser);
        let mut slowest = 0.0_f64;
        for state in ["wu", "lf", "lu", "wf", "x", "o", "wu", "lf", "lu", "o"] {
            browser.run(WATCH, &[json!("lab1"), json!("data-usable")]);
            site.daemon.set(&one, state);
            let taken = browser.until("the push", "window.seen !== undefined && window.seen - window.asked");
            slowest = slowest.max(taken.as_f64().unwrap());
        }
        assert!(is_marked(&browser), "{path} was loaded anew");
        println!("{path}: the slowest of 10 pushes was seen {slowest:.0} ms after it was begun");
        assert!(slowest < 1000.0, "{path}: a push was seen after {slowest} ms");
    }
}

#[test]
fn the_answer_is_counted_anew() {
    let site = Site::small();
    let browser = at(&site, "/");
    let before = answer(&browser);
    assert_eq!(counted(&browser), (11, 3), "{before}");
    assert!(before.contains("11 ") && before.contains("3 "), "{before}");
    site.daemon.push("test", &json!({pc("full", 1): {"status": "free", "session": "linux"}}));
    browser.until(
        "12 seats in 4 rooms",
        "/\\b12\\b.*\\b4\\b/.test(document.querySelector('#answer').textContent)",
    );
    assert!(
        browser.is("document.title.includes('12')"),
        "the title of the tab: {}",
        browser.text("document.title")
    );
    let all_used = site
        .rooms
        .iter()
        .flat_map(Room::pcs)
        .map(|(pc, _)| (pc, json!({"status": "used", "session": "windows"})));
    site.daemon.push("test", &all_used.collect::<serde_json::Map<_, _>>().into());
    let none = "document.querySelector('#answer').textContent.trim() === document.querySelector('#answer').dataset.none";
    browser.until("no seat is free", none);
}

#[test]
fn a_room_that_appears_and_one_that_is_gone_are_followed() {
    let site = Site::small();
    let browser = at(&site, "/");
    site.daemon.set("attic7pc01", "lf");
    browser.until("the new room", "document.getElementById('room-attic7')?.checkVisibility()");
    let setup = std::fs::read_to_string(site.daemon.setup_file()).unwrap();
    // Its PC goes to another room, and it has none.
    let moved = setup.replace("[[rule]]", "[[rule]]\npattern = '^attic7'\nroom = 'lab2'\n[[rule]]");
    std::fs::write(site.daemon.setup_file(), moved).unwrap();
    site.daemon.reload();
    browser.until("one more PC in lab2", "document.getElementById('room-lab2').dataset.pcs === '7'");
    browser.until("the room is gone", "!document.getElementById('room-attic7')");
}

#[test]
fn rows_do_not_move_while_somebody_reads_there_and_settle_afterwards() {
    let site = Site::small();
    let browser = at(&site, "/");
    let before = rows(&browser);
    assert_eq!(before[0], "lab1", "{before:?}");
    browser.run("document.querySelector('#room-lab2 a').focus()", &[]);
    for n in 1..=8 {
        site.daemon.set(&pc("lab1", n), if n == 8 { "lf" } else { "wu" });
    }
    until_row(&browser, "lab1", "usable", "1");
    // Longer than it takes to settle where nobody reads.
    browser.run("window.until = performance.now() + 7000", &[]);
    browser.until("seven seconds", "performance.now() > window.until");
    assert_eq!(rows(&browser), before, "the order while the focus is in the list");
    assert!(
        browser.is("document.activeElement === document.querySelector('#room-lab2 a')"),
        "the focus stays"
    );
    browser.run("document.activeElement.blur()", &[]);
    browser.until("lab2 is first", &format!("{ROWS}[0] === 'lab2'"));
}

#[test]
fn a_row_that_is_put_in_anew_keeps_the_focus_that_was_on_it() {
    let site = Site::small();
    let browser = at(&site, "/");
    browser.run("document.querySelector('#room-lab1 a').focus()", &[]);
    site.daemon.set(&pc("lab1", 1), "o");
    site.daemon.set(&pc("lab1", 2), "wu");
    site.daemon.set(&pc("lab1", 3), "wu");
    browser.until("a change", "document.getElementById('room-lab1').dataset.usable !== '5'");
    assert!(browser.is("document.activeElement === document.querySelector('#room-lab1 a')"));
}

#[test]
fn a_room_s_page_shows_each_pc_as_it_changes() {
    let site = Site::small();
    let browser = at(&site, "/rooms/lab1");
    mark(&browser);
    let state =
        |pc: &str| browser.text(&format!("document.querySelector('[data-pc=\"{pc}\"]').dataset.state"));
    let first = pc("lab1", 1);
    for wanted in ["wu", "lf", "o"] {
        site.daemon.set(&first, wanted);
        let found = format!("document.querySelector('[data-pc=\"{first}\"]')?.dataset.state === '{wanted}'");
        browser.until(&format!("{first} is {wanted}"), &found);
    }
    assert!(is_marked(&browser), "the page was loaded anew");
    assert_eq!(state(&first), "o");
}

/// One of lab1's PCs that nobody used is used from now on, and one that was used is not: its row is the same.
fn swap(site: &Site) -> (String, String) {
    let pcs = site.rooms[0].pcs();
    let of = |state: &str| pcs.iter().find(|(_, is)| *is == state).unwrap().0.clone();
    let (left, taken) = (of("wu"), of("lf"));
    let push = [(left.clone(), entry("lf")), (taken.clone(), entry("wu"))];
    site.daemon.push("test", &Value::Object(push.into_iter().collect()));
    (left, taken)
}

#[test]
fn a_room_s_page_shows_that_one_came_where_another_went_and_no_overview_is_lit_by_it() {
    let site = Site::small();
    let overview = at(&site, "/");
    overview.run(
        "window.lit = [];
         new MutationObserver((all) => all.forEach(({target}) => target.matches('.changed') && window.lit.push(target.id)))
             .observe(document.getElementById('rooms'), {subtree: true, attributeFilter: ['class']});",
        &[],
    );
    overview.requested();
    let browser = at(&site, "/rooms/lab1");
    mark(&browser);
    for _ in 0..3 {
        let (left, taken) = swap(&site);
        let states = format!(
            "document.querySelector('[data-pc=\"{left}\"]').dataset.state === 'lf' && document.querySelector('[data-pc=\"{taken}\"]').dataset.state === 'wu'"
        );
        browser.until("who came and who went", &states);
        overview.until_told("row", "room-lab1");
        site.push_all();
        browser.until("all as it was", &format!("!({states})"));
    }
    assert!(is_marked(&browser), "the page was loaded anew");
    // This is news.
    site.daemon.set(&pc("full", 1), "lf");
    overview.until("the crowded room is lit", "window.lit.includes('room-full')");
    assert_eq!(overview.value("window.lit.filter(id => id !== 'room-full')"), json!([]));
}

#[test]
fn a_room_s_page_that_could_not_be_fetched_is_fetched_later() {
    let site = Site::small();
    let browser = at(&site, "/rooms/lab1");
    browser.run(
        "const own = window.fetch;
         window.failed = 0;
         window.fetch = (...all) => window.failed++ ? own(...all) : Promise.reject(new TypeError('the network'));",
        &[],
    );
    let (left, _) = swap(&site);
    browser
        .until("who left", &format!("document.querySelector('[data-pc=\"{left}\"]').dataset.state === 'lf'"));
    assert!(browser.is("window.failed > 1"));
}

#[test]
fn a_room_s_page_stays_whole_where_something_else_answers_in_its_place() {
    let site = Site::small();
    let browser = at(&site, "/rooms/lab1");
    browser.run(
        "const own = window.fetch;
         window.other = 0;
         window.fetch = (...all) => window.other++ ? own(...all) : Promise.resolve(new Response('<main>Log in</main>'));",
        &[],
    );
    let (left, _) = swap(&site);
    browser.until("the login page", "window.other > 0");
    browser
        .until("who left", &format!("document.querySelector('[data-pc=\"{left}\"]').dataset.state === 'lf'"));
    assert!(
        browser.is("window.other > 1 && document.getElementById('now') && document.getElementById('pcs')")
    );
}

#[test]
fn who_reads_on_a_room_s_page_keeps_focus_and_place_when_it_is_renewed() {
    let mut rooms = few();
    rooms[0] = rooms[0].clone().booked(90, 150, LONG_DUTCH);
    let site = Site::of(rooms);
    let browser = Browser::at(&site.url());
    browser.screen(320, 640, 1.0, true);
    browser.go("/rooms/lab1");
    until_live(&browser);
    browser.run(
        "document.querySelector('#schedule details').open = true;
         window.was = document.querySelector('#schedule [tabindex]');
         window.was.focus();
         window.was.scrollLeft = 40;",
        &[],
    );
    assert!(browser.is("window.was.scrollLeft === 40 && document.activeElement === window.was"));
    swap(&site);
    browser.until("another table", "!window.was.isConnected");
    let now = "document.querySelector('#schedule [tabindex]')";
    assert!(browser.is(&format!("document.activeElement === {now}")), "the focus");
    assert_eq!(browser.value(&format!("{now}.scrollLeft")), json!(40));
    assert!(browser.is("document.querySelector('#schedule details').open"));
}

#[test]
fn a_part_of_a_room_s_page_that_there_was_not_comes_in_its_place_and_one_that_is_no_more_goes() {
    let site = Site::small();
    let browser = at(&site, "/rooms/lab1");
    let parts = "[...document.querySelectorAll('main > section')].map(part => part.id).join()";
    let before = browser.text(parts);
    assert!(before.starts_with("schedule,pcs"), "{before}");
    browser.run(
        "document.getElementById('schedule').insertAdjacentHTML('beforebegin', '<section id=\"once\"></section>');
         document.getElementById('pcs').remove();",
        &[],
    );
    swap(&site);
    browser.until("the parts there are", &format!("{parts} === '{before}'"));
}

#[test]
fn changes_are_shown_without_motion_to_those_who_want_none() {
    let site = Site::of(few());
    let browser = Browser::at(&site.url());
    for (preference, may_move) in [("no-preference", true), ("reduce", false)] {
        browser.media("", &[("prefers-reduced-motion", preference)]);
        browser.go("/");
        until_live(&browser);
        browser.run(
            "window.moved = 0;
             const look = () => {
                 // What is lit and goes out again stays where it is.
                 const moving = document.getAnimations().filter(one => one.effect.getComputedTiming().duration > 1
                     && one.effect.getKeyframes().some(frame => 'transform' in frame || 'translate' in frame || 'scale' in frame));
                 window.moved = Math.max(window.moved, moving.length);
                 requestAnimationFrame(look);
             };
             look();",
            &[],
        );
        for n in 1..=8 {
            site.daemon.set(&pc("lab1", n), "wu");
        }
        browser.until("the order", &format!("{ROWS}[0] === 'lab2'"));
        assert_eq!(browser.is("window.moved > 0"), may_move, "prefers-reduced-motion: {preference}");
        browser.until("all of it ends", "document.getAnimations().length === 0");
        site.push_all();
    }
}
