//! Daemons with rooms in them: few and telling ones for the tests, and a campus as there is one for the pictures.

use crate::common::{Daemon, GUARD, Request, entry};
use chrono::{DateTime, Duration, Timelike, Utc};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

/// A room: how many of its PCs are free on which system, how many are off, how many are used, and what is booked.
#[derive(Clone, Default)]
pub(crate) struct Room {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) linux: usize,
    pub(crate) windows: usize,
    pub(crate) off: usize,
    pub(crate) used: usize,
    /// From and until (minutes from now), and what for.
    pub(crate) booked: Vec<(i64, i64, String)>,
}

impl Room {
    pub(crate) fn new(key: &str, name: &str, tags: &[&str]) -> Room {
        let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        Room { key: key.to_owned(), name: name.to_owned(), tags, ..Room::default() }
    }

    pub(crate) fn with(mut self, linux: usize, windows: usize, off: usize, used: usize) -> Room {
        (self.linux, self.windows, self.off, self.used) = (linux, windows, off, used);
        self
    }

    pub(crate) fn booked(mut self, from: i64, until: i64, what: &str) -> Room {
        self.booked.push((from, until, what.to_owned()));
        self
    }

    /// Its PCs with their states, as people sit: here and there.
    pub(crate) fn pcs(&self) -> Vec<(String, &'static str)> {
        let count = self.linux + self.windows + self.off + self.used;
        let states = [("lf", self.linux), ("wf", self.windows), ("o", self.off), ("wu", self.used)];
        let mut states: Vec<&str> =
            states.iter().flat_map(|&(state, of)| std::iter::repeat_n(state, of)).collect();
        // Any order will do that is the same each time.
        let mut number: usize = 7 + self.key.len();
        for last in (1..count).rev() {
            number = (number * 1_103 + 12_345) % 65_536;
            states.swap(last, number % (last + 1));
        }
        states.into_iter().enumerate().map(|(n, state)| (pc(&self.key, n + 1), state)).collect()
    }
}

/// The name of a room's PC.
pub(crate) fn pc(key: &str, number: usize) -> String {
    format!("{key}pc{number:02}")
}

/// A daemon at an address that it keeps when it is restarted.
pub(crate) struct Site {
    pub(crate) daemon: Daemon,
    pub(crate) rooms: Vec<Room>,
    address: SocketAddr,
    offset: i64,
    begun: DateTime<Utc>,
    _timetable: tempfile::TempDir,
}

impl Site {
    /// A daemon that has these rooms, and has been told of their PCs and bookings.
    pub(crate) fn of(rooms: Vec<Room>) -> Site {
        Site::with(rooms, "")
    }

    /// The same, with these lines in its setup.
    pub(crate) fn with(rooms: Vec<Room>, tables: &str) -> Site {
        Site::built(rooms, tables, |_| {})
    }

    /// The same, with a history that is made before anybody looks at it.
    pub(crate) fn built(rooms: Vec<Room>, tables: &str, past: impl FnOnce(&mut Site)) -> Site {
        let now = Utc::now();
        let offset = offset(now);
        let timetable = tempfile::tempdir().unwrap();
        let file = timetable.path().join("bookings.json");
        std::fs::write(&file, bookings(&rooms, now).to_string()).unwrap();
        let setup = setup(&rooms, offset, tables, file.to_str().unwrap());
        let address = address_of_its_own();
        let daemon = Daemon::with_setup(&setup, &[&format!("http.listen={address}")]);
        let mut site = Site { daemon, rooms, address, offset, begun: now, _timetable: timetable };
        past(&mut site);
        site.push_all();
        let booked = site.rooms.iter().filter(|room| !room.booked.is_empty()).count();
        site.wait_for("/api/v1/schedule", |schedule| {
            schedule["schedule"].as_object().is_some_and(|of| of.len() >= booked)
        });
        site
    }

    /// The rooms that the tests are about, which differ in all that filters ask for.
    pub(crate) fn small() -> Site {
        Site::of(few())
    }

    /// `http://…`, without a slash at its end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells all PCs' states again.
    pub(crate) fn push_all(&self) {
        let states: Map<String, Value> =
            self.rooms.iter().flat_map(Room::pcs).map(|(pc, state)| (pc, entry(state))).collect();
        self.daemon.push("login-watcher", &Value::from(states));
    }

    /// By how much the clock on the wall is ahead of UTC.
    pub(crate) fn hours_from_utc(&self) -> i64 {
        self.offset
    }

    /// What the clock on the wall says in so many minutes.
    pub(crate) fn clock(&self, minutes: i64) -> String {
        self.clock_at(Utc::now(), minutes)
    }

    /// What it says so many minutes after the moment from which bookings are counted.
    pub(crate) fn booked_clock(&self, minutes: i64) -> String {
        self.clock_at(self.begun, minutes)
    }

    fn clock_at(&self, moment: DateTime<Utc>, minutes: i64) -> String {
        let then = moment + Duration::hours(self.offset) + Duration::minutes(minutes);
        then.format("%H:%M").to_string()
    }

    /// Asks for this until the answer is as wanted.
    pub(crate) fn wait_for(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) {
        let end = Instant::now() + GUARD;
        loop {
            let response = self.daemon.ask(&Request::get(path));
            if response.status == 200 && is_wanted(&response.json()) {
                return;
            }
            assert!(Instant::now() < end, "{path} stays {response:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// How many seats of a room can be had, as the API says.
    pub(crate) fn usable(&self, key: &str) -> u64 {
        let room = self.daemon.ask(&Request::get(&format!("/api/v1/rooms/{key}"))).json();
        let seats = if room["seats"].is_object() { &room["seats"] } else { &room };
        seats["usable"].as_u64().unwrap_or_else(|| panic!("{room}"))
    }

    /// A figure of `/metrics`.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        let response = self.daemon.ask(&Request::get("/metrics"));
        let line = response.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {}", response.text()))
    }
}

/// Rooms that differ in all that filters ask for, and in all that a row can say.
pub(crate) fn few() -> Vec<Room> {
    vec![
        Room::new("lab1", "First laboratory", &["east"]).with(3, 2, 0, 3),
        Room::new("lab2", "Windows room", &["west"]).with(0, 4, 0, 2),
        Room::new("cafe", "Café Zürich", &["east", "quiet"]).with(2, 0, 0, 1).booked(40, 120, "Analysis"),
        Room::new("exam", "Examination hall", &["west"]).with(5, 5, 0, 0).booked(-30, 60, "Calculus"),
        Room::new("full", "Crowded room", &["west"]).with(0, 0, 0, 4),
        Room::new("shut", "Shut room", &["quiet"]).with(1, 1, 2, 0),
    ]
}

/// Lines of a setup by which the room `shut` is closed all the time.
pub(crate) const SHUT: &str =
    "[[closure]]\nfrom = '2020-01-01'\nuntil = '2999-12-31'\nrooms = ['shut']\ntext = 'Being rebuilt'\n";

/// Hours from UTC, such that it is between ten and eleven in the morning: no booking is ever cut by a midnight, and
/// pictures show a day at which people work.
fn offset(now: DateTime<Utc>) -> i64 {
    let offset = 10 - i64::from(now.hour());
    if offset < -12 { offset + 24 } else { offset }
}

fn setup(rooms: &[Room], offset: i64, tables: &str, timetable: &str) -> String {
    // The signs of these zones are the other way round.
    let zone = match offset {
        0 => "UTC".to_owned(),
        east @ 1.. => format!("Etc/GMT-{east}"),
        west => format!("Etc/GMT+{}", -west),
    };
    let tables = if rooms.iter().any(|room| room.key == "shut") && !tables.contains("[[closure]]") {
        format!("{tables}\n{SHUT}")
    } else {
        tables.to_owned()
    };
    let mut setup =
        format!("timezone = \"{zone}\"\n{tables}\n[[timetable]]\nkind = \"file\"\nfile = {timetable:?}\n");
    for room in rooms {
        let (key, name, tags) = (json!(room.key), json!(room.name), json!(room.tags));
        write!(setup, "[[room]]\nkey = {key}\nname = {name}\ntags = {tags}\n").unwrap();
    }
    setup.push_str("[[rule]]\npattern = '^(.+?)pc'\nroom = '$1'\n");
    setup
}

fn bookings(rooms: &[Room], now: DateTime<Utc>) -> Value {
    let instant = |minutes: i64| (now + Duration::minutes(minutes)).format("%Y-%m-%dT%H:%M:00Z").to_string();
    let of = |room: &Room| {
        let booked = room.booked.iter();
        let one = |(from, until, text): &(i64, i64, String)| json!({"room": room.key, "start": instant(*from), "end": instant(*until), "text": text});
        booked.map(one).collect::<Vec<Value>>()
    };
    rooms.iter().flat_map(of).collect()
}

/// Where nobody else listens: browsers keep what they know of a site by its address.
fn address_of_its_own() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let host = Ipv4Addr::new(127, 2, 0, NEXT.fetch_add(1, Ordering::Relaxed));
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}
