//! A daemon with three rooms, one of which is reserved all day and one closed, whichever day that is.

use super::{Daemon, GUARD, Request};
use std::time::{Duration, Instant};

/// Its setup; FILE is where reservations are.
pub(crate) const SETUP: &str = r#"
timezone = "Europe/Amsterdam"
[[room]]
key = "lab1"
name = "Café & lab"
tags = ["labs", "west"]
[[room]]
key = "lab2"
name = "Second lab"
tags = ["labs"]
[[room]]
key = "lab3"
name = "Third lab"
tags = ["east"]
[[rule]]
pattern = "^(.+?)pc"
room = "$1"
[[closure]]
from = "2000-01-01"
until = "2999-01-01"
rooms = ["lab3"]
text = "Painters"
[[timetable]]
kind = "file"
file = "FILE"
"#;

/// A daemon with a setup like that and a class in a room all day, once that is known: two seats can be had, in one room.
pub(crate) fn with_class(setup: &str, room: &str, class: &str) -> Daemon {
    let mut daemon = Daemon::with_setup("", &[]);
    let file = daemon.dir().join("reservations.csv");
    let text = format!("room,start,end,text\n{room},2000-01-01 00:00,2999-01-01 00:00,\"{class}\"\n");
    std::fs::write(&file, text).unwrap();
    daemon.write_setup(&setup.replace("FILE", file.to_str().unwrap()));
    daemon.restart();
    let states =
        [("lab1pc1", "wf"), ("lab1pc2", "lf"), ("lab1pc3", "lu"), ("lab2pc1", "wf"), ("lab3pc1", "o")];
    for (pc, state) in states {
        daemon.set(pc, state);
    }
    let until = Instant::now() + GUARD;
    while daemon.ask(&Request::get("/api/v1/schedule")).json()["schedule"][room].is_null() {
        assert!(Instant::now() < until, "no reservations:\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon
}
