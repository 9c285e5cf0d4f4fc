//! Pictures of the page, of a campus as there is one: `TKBD_SCREENSHOTS=docs/screenshots cargo test --test browser
//! screenshots` makes those of the documentation anew. Without the variable they are made as well, seen to be pictures,
//! and thrown away.

use crate::campus::{Room, Site, few};
use crate::driver::{Browser, Wanted};
use crate::pages::{LONG_ARABIC, LONG_DUTCH};
use crate::past;
use crate::view::{until_down, until_live};
use std::path::PathBuf;

/// A university that opens at eight and closes at ten at night.
const HOURS: &str = "[opening_hours]\nmonday = '08:00-22:00'\ntuesday = '08:00-22:00'\nwednesday = '08:00-22:00'\n\
    thursday = '08:00-22:00'\nfriday = '08:00-22:00'\nsaturday = '08:00-22:00'\nsunday = '08:00-22:00'\n";

/// Screens: width, height, pixels a point, and whether it is a phone.
const PHONE: Screen = Screen(390, 844, 2.0, true);
const LAPTOP: Screen = Screen(1280, 800, 2.0, false);
const WALL: Screen = Screen(3840, 2160, 1.0, false);

#[derive(Clone, Copy)]
struct Screen(u32, u32, f64, bool);

impl Screen {
    fn on(self, browser: &Browser) {
        browser.screen(self.0, self.1, self.2, self.3);
    }
}

fn light(browser: &Browser) {
    browser.media("", &[("prefers-color-scheme", "light")]);
}

fn dark(browser: &Browser) {
    browser.media("", &[("prefers-color-scheme", "dark")]);
}

fn browser(site: &Site, languages: &'static str) -> Browser {
    Browser::with(&site.url(), &Wanted { languages, ..Wanted::default() })
}

/// Keeps what is to be seen under this name; `whole` is all of the page, however long.
#[track_caller]
fn keep(browser: &Browser, name: &str, whole: bool) {
    // What is still on its way to its place.
    browser
        .until("all is still", "document.fonts.status === 'loaded' && document.getAnimations().length === 0");
    let picture = browser.picture(whole);
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name}: {} bytes", picture.len());
    if let Some(folder) = std::env::var_os("TKBD_SCREENSHOTS").map(PathBuf::from) {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}

fn open(browser: &Browser, path: &str, screen: Screen) {
    screen.on(browser);
    browser.go(path);
    until_live(browser);
}

/// Minutes from now to a time of day: the clock on the wall of a site says ten something.
fn at(hour: i64, minute: i64) -> i64 {
    use chrono::Timelike;
    (hour - 10) * 60 + minute - i64::from(chrono::Utc::now().minute())
}

/// Hour and minute.
type Clock = (i64, i64);

/// A room, with its bookings as (from, until, what for) on the clock.
fn room(key: &str, name: &str, tags: &[&str], seats: [usize; 4], booked: &[(Clock, Clock, &str)]) -> Room {
    let [linux, windows, off, used] = seats;
    let room = Room::new(key, name, tags).with(linux, windows, off, used);
    booked.iter().fold(room, |room, &((h1, m1), (h2, m2), what)| room.booked(at(h1, m1), at(h2, m2), what))
}

/// The computer rooms of a university on a weekday morning.
fn university() -> Vec<Room> {
    let (noon, one, two) = ((12, 30), (13, 45), (15, 30));
    vec![
        room(
            "hg075",
            "HG00.075",
            &["huygens"],
            [7, 6, 0, 11],
            &[(one, two, "Calculus and Probability Theory")],
        ),
        room("hg029", "HG00.029", &["huygens"], [0, 0, 0, 0], &[]).with(9, 0, 2, 13).booked(
            at(15, 45),
            at(17, 30),
            "Operating Systems",
        ),
        room("hg023", "HG00.023", &["huygens"], [3, 4, 0, 17], &[]),
        room("hg137", "HG00.137", &["huygens"], [0, 0, 0, 24], &[(noon, (13, 30), "Programming help desk")]),
        room("hg153", "HG00.153", &["huygens"], [2, 10, 0, 12], &[((8, 45), noon, "Exam: Cell Biology")]),
        room(
            "hg201",
            "HG00.201 Practical lab",
            &["huygens"],
            [14, 0, 4, 6],
            &[((8, 45), noon, "Computer Systems"), (one, (17, 30), "Computer Systems")],
        ),
        room("hg206", "HG00.206", &["huygens"], [1, 3, 0, 20], &[(one, two, "Data Mining")]),
        room("hg702", "HG02.702 Terminal room", &["huygens", "study"], [5, 0, 1, 10], &[]),
        room("eos110", "EOS 01.110", &["ostrom"], [0, 12, 0, 18], &[((11, 30), one, "Statistics 2: SPSS")]),
        room(
            "eos120",
            "EOS 01.120",
            &["ostrom"],
            [0, 8, 0, 22],
            &[((8, 45), noon, "Research Methods, group 4")],
        ),
        room("eos330", "EOS 03.330", &["ostrom", "study"], [0, 5, 0, 7], &[]),
        room(
            "mm040",
            "MM 00.040",
            &["montessori"],
            [0, 9, 3, 8],
            &[(one, two, "Quantitative Data Analysis")],
        ),
        room(
            "mm210",
            "MM 02.210 Language lab",
            &["montessori"],
            [0, 2, 0, 18],
            &[((8, 45), noon, "Spanish B1")],
        ),
        room("ub1", "Library, ground floor", &["library"], [4, 13, 0, 43], &[]),
        room("ub2", "Library, reading room", &["library", "study"], [0, 6, 0, 34], &[]),
        room("ub3", "Library, group work", &["library"], [0, 3, 0, 9], &[]),
        room("gr018", "Grotius 0.18", &["grotius"], [0, 11, 0, 5], &[]),
        room("info", "Info kiosks", &["huygens", "ostrom"], [0, 7, 0, 1], &[]),
    ]
}

/// The same with what became of it in six weeks.
fn old_university() -> Site {
    Site::built(university(), HOURS, past::six_weeks)
}

#[test]
fn screenshots_of_the_overview() {
    let site = Site::with(university(), HOURS);
    let browser = browser(&site, "en");
    for (name, screen) in [("phone", PHONE), ("laptop", LAPTOP)] {
        light(&browser);
        open(&browser, "/", screen);
        keep(&browser, name, false);
        dark(&browser);
        keep(&browser, &format!("{name}-dark"), false);
    }
    light(&browser);
    open(&browser, "/?tag=huygens&system=linux&minutes=60", LAPTOP);
    keep(&browser, "filtered", false);
    open(&browser, "/?tag=huygens&system=windows", PHONE);
    keep(&browser, "filtered-phone", false);
    open(&browser, "/?tag=huygens&system=windows", Screen(360, 740, 2.0, true));
    keep(&browser, "filtered-phone-360", false);
    open(&browser, "/", Screen(320, 640, 2.0, true));
    keep(&browser, "narrow", true);
    open(&browser, "/?lang=en", LAPTOP);
    browser.media("print", &[]);
    keep(&browser, "print", true);
    browser.media("", &[("forced-colors", "active"), ("prefers-color-scheme", "dark")]);
    keep(&browser, "forced-colours", false);
}

#[test]
fn screenshots_of_walls_and_other_sites() {
    let site = Site::with(university(), HOURS);
    let browser = browser(&site, "en");
    light(&browser);
    open(&browser, "/kiosk", WALL);
    keep(&browser, "kiosk-4k", false);
    dark(&browser);
    keep(&browser, "kiosk-4k-dark", false);
    open(&browser, "/kiosk?tag=huygens", Screen(1920, 1080, 1.0, false));
    keep(&browser, "kiosk", false);
    light(&browser);
    open(&browser, "/embed?tag=library", Screen(420, 300, 2.0, false));
    keep(&browser, "embed", false);
}

#[test]
fn screenshots_of_a_room_and_of_insight() {
    let site = old_university();
    let browser = browser(&site, "en");
    light(&browser);
    open(&browser, "/rooms/hg075", LAPTOP);
    // What is usual is being counted, and a page does not wait long for it.
    let counted = "fetch(location.href, {headers: {accept: 'text/html'}}).then(page => page.text()).then(page => page.includes('Weeks looked at: 6') && page.includes('id=\"today\"'))";
    browser.until("plots", counted);
    browser.reload();
    until_live(&browser);
    keep(&browser, "room", true);
    dark(&browser);
    keep(&browser, "room-dark", true);
    light(&browser);
    open(&browser, "/rooms/hg075", PHONE);
    keep(&browser, "room-phone", true);
    open(&browser, "/rooms/hg201?lang=en", LAPTOP);
    keep(&browser, "room-reserved", false);
    browser.media("print", &[]);
    keep(&browser, "room-print", true);
    browser.media("", &[("forced-colors", "active"), ("prefers-color-scheme", "dark")]);
    keep(&browser, "room-forced-colours", false);
    light(&browser);
    LAPTOP.on(&browser);
    browser.go("/insight?lang=en");
    keep(&browser, "insight", true);
    dark(&browser);
    keep(&browser, "insight-dark", true);
}

#[test]
fn screenshots_of_rare_days() {
    // Nobody is there yet.
    let mut empty = university();
    for room in &mut empty {
        (room.windows, room.off, room.used, room.booked) =
            (room.windows + room.used, room.off + room.linux / 2, 0, vec![]);
    }
    let site = Site::with(empty, HOURS);
    let browser = browser(&site, "nl");
    light(&browser);
    for (name, screen) in [("empty", LAPTOP), ("empty-phone", PHONE)] {
        open(&browser, "/", screen);
        keep(&browser, name, false);
    }
    drop(browser);

    let mut reserved = university();
    for room in &mut reserved {
        room.booked = vec![(at(8, 45), at(12, 30), "Digital exams".to_owned())];
    }
    let site = Site::with(reserved, HOURS);
    let browser = self::browser(&site, "en");
    light(&browser);
    for (name, screen) in [("all-reserved", LAPTOP), ("all-reserved-phone", PHONE)] {
        open(&browser, "/", screen);
        keep(&browser, name, false);
    }
    open(&browser, "/kiosk", WALL);
    keep(&browser, "all-reserved-kiosk", false);
    drop(browser);

    // A daemon that has just been installed.
    let site = Site::of(vec![]);
    let browser = self::browser(&site, "en");
    light(&browser);
    open(&browser, "/", LAPTOP);
    keep(&browser, "nothing-yet", false);
    browser.go("/rooms/nowhere?lang=nl");
    keep(&browser, "missing", false);
}

#[test]
fn screenshots_of_sixty_rooms() {
    let buildings =
        [("HG", "huygens"), ("EOS", "ostrom"), ("MM", "montessori"), ("SP", "spinoza"), ("GR", "grotius")];
    let rooms = (0..60_usize).map(|n| {
        let (building, tag) = buildings[n * 7 % buildings.len()];
        let name = format!("{building} {:02}.{:03}", n % 4, 10 * (1 + n * 37 % 80) + n % 7);
        let seats = [n * 5 % 11, n * 3 % 13, n % 3, 4 + n * 11 % 20];
        let key = format!("{}{n:02}", building.to_lowercase());
        let booked: &[_] = match n * 3 % 7 {
            0 => &[((8, 45), (12, 30), "Academisch schrijven")],
            1 => &[((13, 45), (15, 30), "Lineaire algebra")],
            2 => &[((12, 45), (13, 30), "Colloquium")],
            _ => &[],
        };
        room(&key, &name, &[tag], seats, booked)
    });
    let site = Site::with(rooms.collect(), HOURS);
    let browser = browser(&site, "de");
    light(&browser);
    open(&browser, "/", LAPTOP);
    keep(&browser, "sixty-rooms", true);
    open(&browser, "/kiosk", WALL);
    keep(&browser, "sixty-rooms-kiosk", false);
}

#[test]
fn screenshots_of_a_link_that_is_down() {
    let mut site = Site::with(university(), HOURS);
    let browser = browser(&site, "nl");
    light(&browser);
    open(&browser, "/", LAPTOP);
    browser.until("the worker", "navigator.serviceWorker.ready.then(ready => !!ready.active)");
    browser.reload();
    until_live(&browser);
    site.daemon.terminate();
    until_down(&browser);
    keep(&browser, "link-down", false);
    dark(&browser);
    keep(&browser, "link-down-dark", false);
    PHONE.on(&browser);
    light(&browser);
    browser.reload();
    until_down(&browser);
    keep(&browser, "offline-phone", false);
}

#[test]
fn screenshots_of_long_names() {
    let mut rooms = few();
    rooms.insert(
        1,
        Room::new("arab", LONG_ARABIC, &["east"]).with(4, 2, 1, 6).booked(
            45,
            120,
            "محاضرة في الاحتمالات والإحصاء",
        ),
    );
    rooms.insert(1, Room::new("dutch", LONG_DUTCH, &["west"]).with(2, 5, 0, 9));
    rooms.push(Room::new("arab2", "مختبر اللغة", &["west"]).with(1, 0, 0, 3).booked(-20, 70, LONG_ARABIC));
    rooms.push(Room::new("dutch2", LONG_DUTCH, &["west"]).with(1, 0, 0, 3).booked(-20, 70, LONG_DUTCH));
    let site = Site::of(rooms);
    let browser = browser(&site, "nl");
    light(&browser);
    for (name, screen) in [("long-names", LAPTOP), ("long-names-phone", PHONE)] {
        open(&browser, "/", screen);
        keep(&browser, name, true);
    }
    open(&browser, "/kiosk", WALL);
    keep(&browser, "long-names-kiosk", false);
    open(&browser, "/rooms/arab", PHONE);
    keep(&browser, "long-names-room", false);
    open(&browser, "/rooms/arab", LAPTOP);
    keep(&browser, "long-names-room-laptop", false);
}
