//! What the first view costs who looks at it on a phone.

use super::{get, page};
use crate::common::{Daemon, entry};
use serde_json::Value;
use std::collections::BTreeSet;

/// In bytes, as they are before anything packs them.
const MOST: usize = 60_000;

/// Names as rooms have them, tags, and twenty PCs each, in all states.
fn campus() -> Daemon {
    let mut setup =
        "timezone = \"Europe/Amsterdam\"\n[[rule]]\npattern = \"^(.+?)pc\"\nroom = \"$1\"\n".to_owned();
    for room in 0..60 {
        let building = ["Huygens", "Maria Montessori", "Elinor Ostrom", "Erasmus"][room % 4];
        setup +=
            &format!("[[room]]\nkey = \"hg{room:03}\"\nname = \"{building} {:02}.{room:03}\"\n", room % 5);
        setup += &format!("tags = [\"building{}\", \"floor{}\"]\n", room % 4, room % 5);
    }
    let daemon = Daemon::with_setup(&setup, &[]);
    let states = ["wf", "lf", "wu", "lu", "o", "wf", "lf", "o", "x", "wu"];
    let pcs = (0..60 * 20).map(|i| {
        let (room, pc) = (i / 20, i % 20);
        (format!("hg{room:03}pc{pc:02}"), entry(states[(i * 7 + room) % states.len()]))
    });
    daemon.push("test", &Value::Object(pcs.collect()));
    daemon
}

/// The files that a view and what it loads load, and so on.
fn loaded(daemon: &Daemon, html: &str) -> BTreeSet<String> {
    let of = |text: &str, start: &str, end: char| -> Vec<String> {
        let parts = text.split(start).skip(1);
        parts.map(|rest| rest.split(end).next().unwrap().to_owned()).collect()
    };
    let mut found = BTreeSet::new();
    let icon =
        html.lines().filter(|line| !line.contains("apple-touch-icon") && !line.contains("rel=\"manifest\""));
    let mut open: Vec<String> = icon.flat_map(|line| of(line, "\"/assets/", '"')).collect();
    while let Some(name) = open.pop() {
        if !found.insert(name.clone()) {
            continue;
        }
        let file = get(daemon, &format!("/assets/{name}"));
        assert_eq!(file.status, 200, "{name}: {file:?}");
        if name.ends_with(".js") {
            let folder = name.rsplit_once('/').unwrap().0;
            // What is imported within a function is loaded when that is needed.
            let imports =
                file.text().lines().filter(|line| line.starts_with("import ") || line.starts_with("} from "));
            let names =
                imports.flat_map(|line| of(line, "\"./", '"').into_iter().chain(of(line, "'./", '\'')));
            open.extend(names.map(|other| format!("{folder}/{other}")));
        }
    }
    found
}

#[test]
fn the_first_view_of_sixty_rooms_takes_less_than_sixty_kilobytes() {
    let daemon = campus();
    let html = page(&daemon, "/");
    assert_eq!(super::keys(&html).len(), 60);
    let files = loaded(&daemon, &html);
    assert!(
        files.iter().any(|name| name.ends_with(".css")) && files.iter().any(|name| name.ends_with(".js")),
        "{files:?}"
    );
    let mut parts = vec![("the page".to_owned(), html.len())];
    parts
        .extend(files.iter().map(|name| (name.clone(), get(&daemon, &format!("/assets/{name}")).body.len())));
    let all: usize = parts.iter().map(|(_, size)| size).sum();
    println!("the first view: {all} bytes");
    assert!(all < MOST, "{all} bytes: {parts:#?}");
}
