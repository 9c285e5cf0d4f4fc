//! What each address shows, in which language, to whom; and with which headers.

use super::{SETUP, attribute, browser, daemon, get, keys, page, row, said, with_class, words};
use crate::common::{Channel, Daemon, Request, percent};

#[test]
fn the_first_thing_that_is_told_is_how_many_seats_are_free() {
    let daemon = daemon();
    for path in ["/", "/kiosk", "/embed"] {
        let html = page(&daemon, path);
        assert_eq!(said(&html, "answer"), "2 seats free in 1 room", "{path}");
        assert!(html.contains("<title>2 seats free in 1 room</title>"), "{html}");
        assert_eq!(keys(&html), ["lab1", "lab2", "lab3"], "the best first, those that cannot be used last");
    }
    let html = page(&daemon, "/");
    let first = row(&html, "lab1").unwrap();
    for (name, value) in [
        ("data-state", "open"),
        ("data-usable", "2"),
        ("data-linux", "1"),
        ("data-windows", "1"),
        ("data-other", "0"),
        ("data-pcs", "3"),
        ("data-until", ""),
        ("data-tags", r#"["labs","west"]"#),
        ("data-find", "cafe &#38; lab lab1"),
        ("href", "/rooms/lab1"),
    ] {
        assert_eq!(attribute(first, name), value, "{name} of {first}");
    }
    assert!(words(first).contains("all day"), "{first}");
    let second = row(&html, "lab2").unwrap();
    assert_eq!((attribute(second, "data-state"), attribute(second, "data-usable")), ("reserved", "0"));
    assert!(words(second).ends_with("Reserved for the rest of the day Calculus"), "{second}");
    let third = row(&html, "lab3").unwrap();
    assert_eq!((attribute(third, "data-state"), attribute(third, "data-other")), ("closed", "1"));
    assert!(words(third).ends_with("Closed for the rest of the day Painters"), "{third}");
}

#[test]
fn a_view_shows_what_was_pushed_before_it_was_asked_for() {
    let daemon = daemon();
    for (state, answer) in [("wu", "1 seat free in 1 room"), ("wf", "2 seats free in 1 room")].repeat(10) {
        daemon.set("lab1pc1", state);
        assert_eq!(said(&page(&daemon, "/"), "answer"), answer);
    }
}

#[test]
fn a_reader_is_told_in_the_language_of_the_browser_or_the_one_that_was_chosen() {
    let daemon = daemon();
    let accepting =
        |path: &str, languages: &str| daemon.ask(&browser(path).header("Accept-Language", languages));
    for (path, accepted, code, answer) in [
        ("/", "nl-NL,nl;q=0.9,en;q=0.8", "nl", "2 plekken vrij in 1 zaal"),
        ("/", "fr;q=0.9,de;q=0.5", "de", "2 Plätze frei in 1 Raum"),
        ("/", "fr", "en", "2 seats free in 1 room"),
        ("/?lang=de", "nl", "de", "2 Plätze frei in 1 Raum"),
        ("/kiosk?lang=nl", "de", "nl", "2 plekken vrij in 1 zaal"),
        ("/?lang=xx", "nl", "nl", "2 plekken vrij in 1 zaal"),
    ] {
        let response = accepting(path, accepted);
        let html = response.text();
        assert_eq!(
            (said(html, "answer").as_str(), attribute(html, "lang")),
            (answer, code),
            "{path} {accepted}"
        );
        assert_eq!(attribute(html, "data-lang"), code);
        assert_eq!(response.header("Content-Language"), Some(code), "{response:?}");
        assert!(response.header("Vary").unwrap().contains("Accept-Language"), "{response:?}");
    }
    let html = page(&daemon, "/?tag=labs&lang=nl");
    assert!(html.contains(r#"href="/?tag=labs&#38;lang=de""#), "the other languages keep the filter: {html}");
    assert!(
        html.contains(r#"<input type="hidden" name="lang" value="nl">"#),
        "the form keeps the language: {html}"
    );
    let html = page(&daemon, "/rooms/lab1?lang=nl");
    assert!(html.contains(r#"href="/?lang=nl""#), "the way back keeps it: {html}");
}

#[test]
fn a_language_that_was_chosen_is_kept_on_the_way_into_a_room() {
    let daemon = daemon();
    for path in ["/", "/kiosk", "/embed"] {
        for (query, link) in [("", "/rooms/lab1"), ("?lang=nl", "/rooms/lab1?lang=nl")] {
            let html = page(&daemon, &format!("{path}{query}"));
            assert_eq!(attribute(row(&html, "lab1").unwrap(), "href"), link, "{path}{query}");
        }
    }
    // Where no seat is free: who is the first.
    let day =
        "[[closure]]\nfrom = \"2000-01-01\"\nuntil = \"2999-01-01\"\nrooms = [\"lab3\"]\ntext = \"Painters\"";
    let late = "[opening_hours]\nrooms = [\"lab1\"]\nDAYS";
    let days = ["mon", "tues", "wednes", "thurs", "fri", "satur", "sun"];
    let days: String = days.iter().map(|day| format!("{day}day = [\"23:58-24:00\"]\n")).collect();
    let setup =
        SETUP.replace(day, "").replacen("[[room]]", &format!("{}[[room]]", late.replace("DAYS", &days)), 1);
    let daemon = with_class(&setup, "lab2", "Calculus");
    let html = page(&daemon, "/?lang=nl&tag=west");
    let soonest = html.split_once(" id=\"soonest\"").unwrap().1.split_once("</p>").unwrap().0;
    assert!(soonest.contains(r#"<a href="/rooms/lab1?lang=nl">"#), "{soonest}");
}

#[test]
fn that_a_room_is_closed_is_said_in_the_language_of_the_page_where_nobody_wrote_another_text() {
    let daemon = with_class(&SETUP.replace("text = \"Painters\"\n", ""), "lab2", "Calculus");
    for (lang, text) in [("en", "Closed"), ("nl", "Gesloten"), ("de", "Geschlossen")] {
        let html = page(&daemon, &format!("/rooms/lab3?lang={lang}"));
        assert!(html.contains(&format!("<bdi class=\"what\">{text}</bdi>")), "{html}");
        assert!(lang == "en" || !html.contains("Closed"), "{html}");
    }
    // Programs have what the setup says.
    let schedule = daemon.ask(&Request::get("/api/v1/schedule")).json();
    assert!(schedule["schedule"]["lab3"].to_string().contains("\"Closed\""), "{schedule}");
}

#[test]
fn filters_stand_in_the_address_and_what_is_not_understood_is_passed_over() {
    let daemon = daemon();
    let seen = |query: &str| {
        let html = page(&daemon, &format!("/?{query}"));
        (said(&html, "answer"), keys(&html).join(" "))
    };
    let two = "2 seats free in 1 room";
    for (query, answer, rooms) in [
        ("tag=labs", two, "lab1 lab2"),
        ("tag=labs&tag=east", two, "lab1 lab2 lab3"),
        ("tag=east", "No seat is free now", "lab3"),
        ("tag=nowhere", "No seat is free now", ""),
        ("system=linux", "1 seat free in 1 room", "lab1"),
        ("system=windows&tag=labs", "1 seat free in 1 room", "lab1 lab2"),
        ("minutes=30", two, "lab1"),
        ("q=CAFE", two, "lab1"),
        ("q=lab+caf%C3%A9", two, "lab1"),
        ("q=second", "No seat is free now", "lab2"),
        ("q=lab3", "No seat is free now", "lab3"),
        ("tag=labs&system=&minutes=&q=", two, "lab1 lab2"),
        ("system=BeOS&minutes=soon&tag=a%20b&lang=tlh&all=all", two, "lab1 lab2 lab3"),
        ("q=%ff&tag=%00&&&=&%zz&minutes=9999999999", two, "lab1 lab2 lab3"),
    ] {
        assert_eq!(seen(query), (answer.to_owned(), rooms.to_owned()), "{query}");
    }
    let html = page(&daemon, "/?tag=labs&minutes=45&system=linux&q=%22%3E%3Cb%3E");
    assert!(
        html.contains(r#"value="labs" checked"#) && html.contains(r#"<option value="45" selected>"#),
        "{html}"
    );
    assert!(html.contains(r#"value="linux" checked"#) && !html.contains("\"><b>"), "{html}");
    let long = page(&daemon, &format!("/?q={}", "x".repeat(3000)));
    assert!(keys(&long).is_empty());
}

#[test]
fn a_room_tells_of_each_pc_its_state_and_since_when_and_what_is_reserved() {
    let daemon = daemon();
    let html = page(&daemon, "/rooms/lab1");
    assert!(html.contains("<h1><bdi>Café &#38; lab</bdi></h1>"), "{html}");
    for (pc, code, kind, state) in [
        ("lab1pc1", "wf", "free", "Free, Windows"),
        ("lab1pc2", "lf", "free", "Free, Linux"),
        ("lab1pc3", "lu", "used", "In use, Linux"),
    ] {
        let (_, item) = html.split_once(&format!("data-pc=\"{pc}\"")).unwrap();
        let item = item.split_once("</li>").unwrap().0;
        assert_eq!((attribute(item, "data-state"), attribute(item, "data-kind")), (code, kind));
        assert!(item.contains(state) && item.contains(">since "), "{item}");
        chrono::DateTime::parse_from_rfc3339(attribute(item, "datetime")).unwrap();
    }
    assert!(html.contains("Nothing is reserved today"), "{html}");
    assert!(html.contains("href=\"/api/v1/rooms/lab1.ics\""), "{html}");
    assert_eq!(keys(&html), ["lab1"], "its row, as everywhere");
    let html = page(&daemon, "/rooms/lab2");
    assert!(
        html.contains("aria-current=\"time\"") && html.contains("<bdi class=\"what\">Calculus</bdi>"),
        "{html}"
    );
}

#[test]
fn names_of_whatever_letters_stay_what_they_are() {
    // Angle brackets cannot stand in what a setup or a timetable says, which the old page does not escape.
    let name = r#"\" onload=alert(1) x='&lt;b&gt; قاعة \u202Eשלום {{ 7 }} ${8}"#;
    let setup = SETUP.replace("Café & lab", name);
    let class = r#"</bdi></li><script>alert(3)</script>'"" onload="#;
    let daemon = with_class(&setup, "lab1", class);
    for path in ["/", "/kiosk", "/embed", "/rooms/lab1", "/?lang=nl"] {
        let html = page(&daemon, path);
        for bad in ["<script>alert", "\" onload", "' onload", "&lt;b", "</bdi></li><"] {
            assert!(!html.contains(bad), "{bad} on {path}: {html}");
        }
        assert!(html.contains("&#38;lt;b&#38;gt;"), "{path}: {html}");
        assert!(html.contains("قاعة") && html.contains("{{ 7 }} ${8}"), "{path}: {html}");
        assert!(html.contains("‹script›alert(3)‹/script›&#39;&#34; onload="), "{path}: {html}");
    }
    let html = page(&daemon, "/");
    let hostile = row(&html, "lab1").unwrap();
    assert_eq!(attribute(hostile, "data-tags"), r#"["labs","west"]"#);
    assert!(
        attribute(hostile, "data-find").starts_with("&#34; onload=alert(1) x=&#39;&#38;lt;b"),
        "{hostile}"
    );
}

#[test]
fn nothing_may_run_that_does_not_come_from_here() {
    let daemon = daemon();
    for (path, ancestors) in [
        ("/", "'none'"),
        ("/kiosk", "'none'"),
        ("/rooms/lab1", "'none'"),
        ("/embed", "*"),
        ("/rooms/nope", "'none'"),
    ] {
        let response = get(&daemon, path);
        let policy = response.header("Content-Security-Policy").unwrap();
        let directives: Vec<&str> = policy.split("; ").collect();
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(directives.contains(&directive), "{directive} in {policy}");
        }
        assert!(directives.contains(&format!("frame-ancestors {ancestors}").as_str()), "{path}: {policy}");
        for (name, value) in [
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cache-Control", "no-cache"),
        ] {
            assert_eq!(response.header(name), Some(value), "{path}");
        }
        let html = response.text();
        assert!(
            !html.contains("<style") && !html.contains(" style=") && !html.contains(" onclick"),
            "{html}"
        );
        let scripts =
            html.split("<script").skip(1).all(|script| script.starts_with(" type=\"module\" src=\"/assets/"));
        assert!(scripts, "a script within {path}: {html}");
        let elsewhere = ["src", "href", "action"].iter().any(|name| html.contains(&format!("{name}=\"http")));
        assert!(!elsewhere, "{path} asks others: {html}");
    }
}

#[test]
fn without_scripts_a_view_asks_again_by_itself() {
    let daemon = daemon();
    for path in ["/", "/kiosk", "/embed", "/rooms/lab1"] {
        let html = page(&daemon, path);
        assert!(html.contains(r#"<noscript><meta http-equiv="refresh" content="30"></noscript>"#), "{html}");
        assert!(said(&html, "link").starts_with("as of "), "{html}");
    }
}

#[test]
fn what_is_not_there_is_told_in_the_language_of_the_reader() {
    let daemon = daemon();
    for (path, accepted, told) in [
        ("/rooms/nope", "nl", "Deze zaal bestaat niet"),
        ("/rooms/", "en", "There is no such room"),
        ("/rooms/lab1/", "en", "There is no such room"),
        ("/rooms/%00%ff", "de", "Diesen Raum gibt es nicht"),
        ("/rooms/../lab1", "de", "Diesen Raum gibt es nicht"),
        ("/nowhere", "de", "Diese Seite gibt es nicht"),
        ("/kiosk/", "en", "There is no such page"),
    ] {
        let response = daemon.ask(&browser(path).header("Accept-Language", accepted));
        assert_eq!((response.status, response.media_type()), (404, "text/html"), "{path}: {response:?}");
        let html = response.text();
        assert!(html.contains(&format!("<h1>{told}</h1>")) && html.contains("href=\"/\""), "{html}");
    }
}

#[test]
fn joyce_stays_where_it_has_always_been() {
    let daemon = daemon();
    let accept = "text/html";
    let joyce = |target: &str| daemon.ask(&Request::get(target).header("Accept", accept));
    assert_eq!(joyce("/?m=null").media_type(), "application/json");
    let jsonp = format!("/?c=cb&m={}&_=1", percent("null"));
    assert_eq!(joyce(&jsonp).media_type(), "text/javascript");
    for bad in ["/?m=", "/?m", "/?c=cb", "/nowhere?m=null"] {
        let response = joyce(bad);
        assert_eq!((response.status, response.media_type()), (400, "text/plain"), "{bad}: {response:?}");
    }
    // Who does not say that it shows pages is a program.
    for target in ["/?", "/?a=b", "/nowhere", "/rooms", "/kiosk/x"] {
        let response = daemon.ask(&Request::get(target));
        assert_eq!((response.status, response.media_type()), (400, "text/plain"), "{target}: {response:?}");
    }
    assert_eq!(daemon.ask(&Request::get("/nowhere").header("Accept", "*/*")).text(), "Unknown path\n");
    let mut channel = Channel::with_filter(&daemon, &serde_json::Value::Null);
    daemon.set("lab1pc1", "wu");
    assert!(!channel.poll().is_empty());
}

#[test]
fn a_head_is_answered_as_a_get_without_its_body_and_nothing_else_is_done() {
    let daemon = daemon();
    for path in ["/", "/kiosk", "/embed", "/rooms/lab1", "/live", "/manifest.webmanifest", "/worker.js"] {
        let mut client = daemon.connect();
        client.send(&Request::new("HEAD", path).header("Accept", "text/html").bytes());
        let head = client.receive_head();
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}: {head:?}");
        if path == "/" {
            continue;
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let response = daemon.ask(&Request::new(method, path));
            assert_eq!(
                (response.status, response.header("Allow")),
                (405, Some("GET, HEAD")),
                "{method} {path}"
            );
        }
    }
    assert!(daemon.ask(&Request::post("/").body("null")).text().contains("welcome"), "this one is Joyce's");
}

#[test]
fn who_has_a_view_already_is_told_so_until_something_changes() {
    let daemon = daemon();
    // The minute is a part of the view, and so it may change between two requests: then the next two are compared.
    let again = |path: &str| {
        (0..3).find_map(|_| {
            let first = get(&daemon, path);
            let tag = first.header("ETag").unwrap().to_owned();
            let second = daemon.ask(&browser(path).header("If-None-Match", &format!("\"x\", W/{tag}")));
            (second.status == 304).then_some((tag, second))
        })
    };
    for path in ["/", "/rooms/lab1", "/embed"] {
        let (tag, second) = again(path).expect("it never changed");
        assert!(second.body.is_empty() && second.header("Content-Length").is_none(), "{second:?}");
        assert_eq!(second.header("ETag"), Some(tag.as_str()));
        assert!(second.header("Content-Security-Policy").is_some(), "{second:?}");
        daemon.set("lab1pc1", "wu");
        let third = daemon.ask(&browser(path).header("If-None-Match", &tag));
        assert_eq!(third.status, 200, "{third:?}");
        daemon.set("lab1pc1", "wf");
    }
}

#[test]
fn a_view_is_packed_for_browsers_that_take_it_so() {
    use std::io::Read;
    let daemon = daemon();
    let packed = daemon.ask(&browser("/?q=cafe").header("Accept-Encoding", "br;q=1.0, gzip"));
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"), "{packed:?}");
    let mut html = String::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut html).unwrap();
    assert_eq!(keys(&html), ["lab1"]);
    assert!(packed.body.len() * 2 < html.len());
    assert!(packed.header("Vary").unwrap().contains("Accept-Encoding"));
    let plain = daemon.ask(&browser("/").header("Accept-Encoding", "gzip;q=0, identity"));
    assert_eq!(plain.header("Content-Encoding"), None);
}

#[test]
fn more_rooms_than_a_first_view_shows_are_a_link_away() {
    let daemon = Daemon::start(&[]);
    let states = (0..61).map(|room| (format!("r{room:03}pc1"), crate::common::entry("wf"))).collect();
    daemon.push("test", &serde_json::Value::Object(states));
    let html = page(&daemon, "/?lang=en&system=windows");
    assert_eq!((keys(&html).len(), said(&html, "answer").as_str()), (60, "61 seats free in 61 rooms"));
    let (_, more) = html.split_once("id=\"more\"").unwrap();
    assert_eq!(attribute(more, "href"), "/?system=windows&#38;all=1&#38;lang=en");
    assert!(more.contains("Show all 61 rooms"), "{more}");
    let html = page(&daemon, "/?all=1");
    assert!(keys(&html).len() == 61 && !html.contains("id=\"more\""), "{html}");
}

#[test]
fn pcs_that_no_rule_places_are_in_no_room_of_that_name() {
    let daemon = Daemon::with_setup("", &[]);
    daemon.set("laptop", "wf");
    let html = page(&daemon, "/?lang=nl");
    assert!(row(&html, "none").unwrap().contains("Overige pc&#39;s"), "{html}");
}
