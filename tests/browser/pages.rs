//! Which pages there are, in all their states: what holds of every page is held against these.

use crate::campus::{Room, Site, few};
use crate::driver::Browser;
use crate::past;
use crate::view::until_live;

/// Every page, by its address, and whether it is told what changes.
pub(crate) const PAGES: [(&str, bool); 9] = [
    ("/", true),
    ("/rooms/lab1", true),
    ("/kiosk", true),
    ("/embed", true),
    ("/insight", false),
    ("/insight/idle", false),
    ("/insight/flapping", false),
    ("/rooms/nowhere", false),
    ("/api/v1/", false),
];

/// A campus with all that rows can say in it, and with a past.
pub(crate) fn site() -> Site {
    let mut rooms = few();
    rooms.push(Room::new("arab", LONG_ARABIC, &["west"]).with(2, 1, 1, 1).booked(90, 150, LONG_ARABIC));
    rooms.push(Room::new("dutch", LONG_DUTCH, &["east"]).with(0, 0, 0, 3).booked(-10, 50, LONG_DUTCH));
    Site::built(rooms, "", past::six_weeks)
}

pub(crate) const LONG_ARABIC: &str =
    "قاعة الحاسوب الكبرى لكلية العلوم الطبيعية والرياضيات وعلوم الحاسوب — الطابق الأرضي";
pub(crate) const LONG_DUTCH: &str =
    "Gemeenschappelijk computerpracticumlokaal Arbeidsongeschiktheidsverzekeringsmaatschappij, bg";

/// In a language, and loaded until it is live, where it is.
pub(crate) fn open(browser: &Browser, path: &str, is_live: bool, language: &str) {
    let mark = if path.contains('?') { '&' } else { '?' };
    browser.go(&format!("{path}{mark}lang={language}"));
    if is_live {
        until_live(browser);
    }
}
