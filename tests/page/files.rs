//! The files of the page: kept for ever under the address of their edition, packed, and nothing but what is meant.

use super::{attribute, daemon, get, page};
use crate::common::{Daemon, Request, Response};
use std::io::Read;

/// The files that a view names.
fn named(html: &str) -> Vec<&str> {
    let names = html.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
    names.collect()
}

fn packed(daemon: &Daemon, path: &str, codings: &str) -> Response {
    daemon.ask(&Request::get(path).header("Accept-Encoding", codings))
}

#[test]
fn a_file_is_kept_for_ever_under_the_address_of_its_edition() {
    let daemon = daemon();
    let html = page(&daemon, "/");
    let edition = attribute(&html, "data-page");
    let names = named(&html);
    assert!(names.len() >= 4, "{html}");
    for name in names {
        assert!(name.starts_with(edition), "{name} is of {edition}");
        let response = get(&daemon, &format!("/assets/{name}"));
        assert_eq!(response.status, 200, "{name}: {response:?}");
        assert_eq!(response.header("Cache-Control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"));
        let kind = match name.rsplit('.').next().unwrap() {
            "css" => "text/css",
            "js" => "text/javascript",
            "svg" => "image/svg+xml",
            _ => "image/png",
        };
        assert_eq!(response.media_type(), kind);
        let tag = response.header("ETag").unwrap();
        let again = daemon.ask(&Request::get(&format!("/assets/{name}")).header("If-None-Match", tag));
        assert_eq!((again.status, again.body.len()), (304, 0), "{again:?}");
    }
    // By its name alone, and of an edition that is gone, it is what there is now, and is not kept.
    for path in ["/assets/styles/page.css", "/assets/0123456789ab/styles/page.css"] {
        let response = get(&daemon, path);
        assert_eq!(
            (response.status, response.header("Cache-Control")),
            (200, Some("no-cache")),
            "{response:?}"
        );
    }
}

#[test]
fn a_file_is_packed_as_the_browser_takes_it() {
    let daemon = daemon();
    let path = "/assets/styles/page.css";
    let plain = packed(&daemon, path, "identity");
    assert_eq!(plain.header("Content-Encoding"), None);
    let gzip = packed(&daemon, path, "gzip, deflate");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(gzip.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!((gzip.header("Content-Encoding"), &unpacked), (Some("gzip"), &plain.body));
    let brotli = packed(&daemon, path, "gzip, deflate, br, zstd");
    let mut unpacked = Vec::new();
    brotli::Decompressor::new(brotli.body.as_slice(), 4096).read_to_end(&mut unpacked).unwrap();
    assert_eq!((brotli.header("Content-Encoding"), &unpacked), (Some("br"), &plain.body));
    for answer in [&plain, &gzip, &brotli] {
        assert_eq!(answer.header("Vary"), Some("Accept-Encoding"));
    }
    let mut tags = [&plain, &gzip, &brotli].map(|answer| answer.header("ETag").unwrap()).to_vec();
    tags.dedup();
    assert_eq!(tags.len(), 3, "what is packed otherwise is another: {tags:?}");
    assert!(packed(&daemon, path, "br;q=0, gzip;q=0.0").header("Content-Encoding").is_none());
    let picture = packed(&daemon, "/assets/icons/icon-192.png", "gzip, br");
    assert_eq!(picture.header("Content-Encoding"), None, "it is packed by itself");
}

#[test]
fn nothing_else_of_the_folder_or_of_the_disk_is_served() {
    let daemon = daemon();
    for path in [
        "/assets/",
        "/assets",
        "/assets/README.md",
        "/assets/templates/overview.html",
        "/assets/styles/",
        "/assets/styles/../README.md",
        "/assets/../../../Cargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets//etc/passwd",
        "/assets/styles/page.css/",
        "/assets/0123456789ab/0123456789ab/styles/page.css",
    ] {
        let response = get(&daemon, path);
        assert_eq!(response.status, 404, "{path}: {response:?}");
    }
}

#[test]
fn the_page_can_be_installed_with_icons_that_are_what_they_say() {
    let daemon = daemon();
    let response = daemon.ask(&Request::get("/manifest.webmanifest").header("Accept-Language", "de"));
    assert_eq!(response.media_type(), "application/manifest+json");
    let manifest = response.json();
    assert_eq!((&manifest["lang"], &manifest["display"]), (&"de".into(), &"standalone".into()), "{manifest}");
    assert_eq!(manifest["name"], "Freie Computerplätze");
    let icons = manifest["icons"].as_array().unwrap();
    assert!(icons.iter().any(|icon| icon["purpose"] == "maskable"), "{manifest}");
    for icon in icons {
        let picture = get(&daemon, icon["src"].as_str().unwrap());
        assert_eq!((picture.status, picture.media_type()), (200, icon["type"].as_str().unwrap()));
        if let Some((width, height)) = icon["sizes"].as_str().unwrap().split_once('x') {
            let side =
                |at: usize| u32::from_be_bytes(picture.body[at..at + 4].try_into().unwrap()).to_string();
            assert_eq!((side(16).as_str(), side(20).as_str()), (width, height), "{icon}");
            assert!(picture.body.len() < 6000, "{icon}: {}", picture.body.len());
        }
    }
}

#[test]
fn what_browsers_look_for_at_the_root_is_there() {
    let daemon = daemon();
    let worker = get(&daemon, "/worker.js");
    assert_eq!((worker.status, worker.media_type()), (200, "text/javascript"));
    assert_eq!(worker.header("Cache-Control"), Some("no-cache"), "another one is to be found at once");
    assert_eq!(worker.body, get(&daemon, "/assets/scripts/worker.js").body);
}
