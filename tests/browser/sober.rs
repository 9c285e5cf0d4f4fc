//! What pages load: little, of us alone, and nothing that a browser complains of.

use crate::driver::Browser;
use crate::pages::{PAGES, open, site};
use crate::view::until_live;
use serde_json::json;

#[test]
fn nobody_else_is_asked_for_anything_and_the_browser_has_nothing_to_complain_of() {
    let site = site();
    let browser = Browser::at(&site.url());
    for (path, is_live) in PAGES {
        browser.requested();
        browser.console();
        open(&browser, path, is_live, "nl");
        if is_live {
            browser.until("the worker", "navigator.serviceWorker.ready.then(ready => !!ready.active)");
            site.daemon.set("lab1pc01", "o");
            site.daemon.set("lab1pc01", "wu");
        }
        browser.reload();
        if is_live {
            until_live(&browser);
        }
        // The addresses of other sites, and none of the browser's own.
        let strange: Vec<String> = browser
            .requested()
            .into_iter()
            .filter(|url| {
                !url.starts_with(browser.site())
                    && !url.starts_with("chrome")
                    && !url.starts_with("data:image/")
            })
            .collect();
        assert_eq!(strange, [""; 0], "{path}");
        let said: Vec<String> =
            // That a page is not there is what is asked for here.
            browser.console().into_iter().filter(|line| !(path == "/rooms/nowhere" && line.contains("404"))).collect();
        assert_eq!(said, [""; 0], "{path}: the console");
    }
}

#[test]
fn nothing_of_a_page_is_written_into_it_that_its_policy_would_refuse() {
    let site = site();
    let browser = Browser::at(&site.url());
    for (path, is_live) in PAGES {
        open(&browser, path, is_live, "en");
        let inline = browser.value(
            "[...document.querySelectorAll('script:not([src]), style, [style], [onclick], [onload], [onsubmit], [onchange]')].map(e => e.outerHTML.slice(0, 100))",
        );
        if is_live {
            assert_eq!(inline, json!([]), "{path}");
        }
        // A policy that lets a script in would run this.
        browser.run(
            "window.ran = false;
             const script = document.createElement('script');
             script.textContent = 'window.ran = true';
             document.body.append(script);",
            &[],
        );
        assert!(browser.is("window.ran === false"), "{path}: the policy lets scripts in");
    }
}

#[test]
fn the_first_view_is_below_60_kilobytes_with_60_rooms() {
    let rooms = (0..60).map(|n| {
        let name =
            format!("HG{:02}.{:03}{}", n / 20, 100 + 7 * n, if n % 6 == 0 { " Bibliotheek" } else { "" });
        let room = crate::campus::Room::new(&format!("hg{:03}", 100 + 7 * n), &name, &["hg"]);
        let room = room.with(n % 9, n % 5, 2, 8);
        if n % 4 == 0 {
            room.booked(-30, 60, "Calculus and Probability Theory")
        } else {
            room.booked(90, 180, "Logic")
        }
    });
    let site = crate::campus::Site::of(rooms.collect());
    let browser = Browser::at(&site.url());
    browser.go("/");
    until_live(&browser);
    let parts = browser.value(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .filter(e => new URL(e.name).pathname !== '/live' && !e.name.endsWith('/worker.js'))
            .map(e => [new URL(e.name).pathname, e.decodedBodySize])",
    );
    let total: u64 = parts.as_array().unwrap().iter().map(|part| part[1].as_u64().unwrap()).sum();
    println!("the first view: {total} bytes, {parts}");
    assert!(total < 60_000 && total > 10_000, "{total} bytes: {parts}");
}

#[test]
fn it_can_be_installed() {
    let site = site();
    let browser = Browser::at(&site.url());
    browser.go("/");
    until_live(&browser);
    browser.until("the worker", "navigator.serviceWorker.ready.then(ready => !!ready.active)");
    let manifest = browser.devtools("Page.getAppManifest", &json!({}));
    assert_eq!(manifest["errors"], json!([]), "{manifest}");
    let errors = browser.devtools("Page.getInstallabilityErrors", &json!({}));
    let errors: Vec<&serde_json::Value> = errors["installabilityErrors"]
        .as_array()
        .unwrap()
        .iter()
        // That is what a browser without a window has.
        .filter(|error| error["errorId"] != "in-incognito")
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
}
