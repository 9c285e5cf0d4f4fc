//! axe finds nothing: on every page, in each language, light and dark, on a phone, with rooms of all kinds.
//!
//! axe-core is not ours and not in the repository: `TKBD_AXE` names its `axe.min.js`, which `.ci/run browser` installs.

use crate::campus::Site;
use crate::driver::Browser;
use crate::pages::{PAGES, open, site};
use crate::view::{until_down, until_live};
use serde_json::Value;
use std::sync::OnceLock;

/// What is asked of axe: WCAG 2.2 A and AA, and what it calls good practice.
const RUN: &str = "return axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
        resultTypes: ['violations', 'incomplete'],
    }).then(found => ({
        passes: found.passes.length,
        violations: found.violations.map(v => v.id + ' (' + v.impact + '): ' + v.help + v.nodes.slice(0, 4).map(
            n => '\\n    ' + n.html.slice(0, 160) + '\\n      ' + n.failureSummary.replace(/\\s+/g, ' ').slice(0, 400)).join('')),
    }));";

fn axe() -> &'static str {
    static AXE: OnceLock<String> = OnceLock::new();
    AXE.get_or_init(|| {
        let file =
            std::env::var_os("TKBD_AXE").expect("TKBD_AXE names axe.min.js; .ci/run browser installs it");
        std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    })
}

/// What axe has against the page as it is.
fn violations(browser: &Browser) -> Vec<String> {
    browser.run(axe(), &[]);
    let found = browser.run(RUN, &[]);
    assert!(found["passes"].as_u64().unwrap() >= 10, "axe has looked at next to nothing: {found}");
    let list = found["violations"].as_array().unwrap();
    list.iter().map(|violation| violation.as_str().unwrap().to_owned()).collect()
}

fn check(site: &Site, path: &str, is_live: bool) {
    let browser = Browser::at(&site.url());
    let mut found = Vec::new();
    for language in ["en", "nl", "de"] {
        for (scheme, contrast) in [("light", "no-preference"), ("dark", "no-preference"), ("light", "more")] {
            browser.media("", &[("prefers-color-scheme", scheme), ("prefers-contrast", contrast)]);
            for (width, height) in [(1280, 800), (360, 740)] {
                browser.screen(width, height, 1.0, width < 500);
                open(&browser, path, is_live, language);
                let lang = browser.text("document.documentElement.lang");
                if path != "/api/v1/" {
                    assert_eq!(lang, language, "{path}");
                }
                let here = format!("{path} in {language}, {scheme}, contrast {contrast}, {width} px wide");
                found
                    .extend(violations(&browser).into_iter().map(|violation| format!("{here}: {violation}")));
                // The larger size tells apart by width alone once.
                if contrast == "more" {
                    break;
                }
            }
        }
    }
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

macro_rules! pages {
    ($($name:ident: $index:expr;)*) => {$(
        #[test]
        fn $name() {
            let (path, is_live) = PAGES[$index];
            check(&site(), path, is_live);
        }
    )*};
}

pages! {
    axe_finds_nothing_on_the_overview: 0;
    axe_finds_nothing_on_a_room_s_page: 1;
    axe_finds_nothing_on_the_kiosk: 2;
    axe_finds_nothing_on_the_list_for_other_sites: 3;
    axe_finds_nothing_on_the_insight: 4;
    axe_finds_nothing_on_what_nobody_used: 5;
    axe_finds_nothing_on_what_flaps: 6;
    axe_finds_nothing_on_the_page_that_is_not_there: 7;
    axe_finds_nothing_on_the_description_of_the_api: 8;
}

#[test]
fn axe_finds_nothing_while_the_link_is_down_and_where_nothing_is_found() {
    let mut site = site();
    let browser = Browser::at(&site.url());
    let mut found = Vec::new();
    browser.go("/?q=nothing+is+called+so");
    until_live(&browser);
    found.extend(violations(&browser));
    browser.go("/");
    until_live(&browser);
    site.daemon.terminate();
    until_down(&browser);
    for scheme in ["light", "dark"] {
        browser.media("", &[("prefers-color-scheme", scheme)]);
        found.extend(violations(&browser));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_screen_reader_is_told_what_a_row_says_without_its_looks() {
    let site = site();
    let browser = Browser::at(&site.url());
    open(&browser, "/", true, "en");
    let tree = browser.devtools("Accessibility.getFullAXTree", &serde_json::json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let told = |role: &str| -> Vec<String> {
        let of = nodes
            .iter()
            .filter(|node| node["role"]["value"] == role && node["ignored"] == Value::Bool(false));
        of.map(|node| node["name"]["value"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert!(told("heading").iter().any(|name| name.contains("seats free")), "{:?}", told("heading"));
    for role in ["main", "search", "contentinfo", "list", "status"] {
        assert!(!told(role).is_empty(), "there is no {role}");
    }
    assert!(told("link").iter().any(|name| name.contains("First laboratory")), "{:?}", told("link"));
    let texts = told("StaticText").join(" ");
    for wanted in ["Calculus", "Linux", "Windows", &site.booked_clock(30)] {
        assert!(texts.contains(wanted), "{wanted} is not told: {texts}");
    }
}
