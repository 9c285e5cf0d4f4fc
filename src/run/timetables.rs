//! From the timetables of a setup to their providers.

use crate::feeds::timetable::board::{Feed, Pace};
use crate::feeds::timetable::closures::{Closure, Closures, OpeningHours};
use crate::feeds::timetable::coverage::Coverage;
use crate::feeds::timetable::fetch::{Credential, Fetcher, Terms};
use crate::feeds::timetable::file::File;
use crate::feeds::timetable::ical::{self, Ical, Matcher, Place, Template};
use crate::feeds::timetable::mytimetable::MyTimetable;
use crate::feeds::timetable::ruuster::Ruuster;
use crate::feeds::timetable::task::Plan;
use crate::feeds::timetable::{Provider, Room, TextRule};
use crate::setup::{CalendarPlace, RoomMatcher, Schedule, Setup, Timetable, TimetableSource};
use std::path::Path;
use std::sync::Arc;

/// What there is to pull.
pub(crate) fn plan(setup: &Setup) -> Plan {
    with_feeds(setup, setup.timetables.iter().map(|timetable| feed(setup, timetable)).collect())
}

/// The same for another setup, of which some may be known: a timetable that is written as it was is the one that was,
/// with the documents that it has.
pub(super) fn replan(setup: &Setup, known: &Setup, feeds: &Plan) -> Plan {
    let asks_alike = |old: &Schedule, new: &Schedule| {
        (old.connect_timeout, old.timeout) == (new.connect_timeout, new.timeout)
    };
    let mut old: Vec<(&Timetable, &Feed)> = match asks_alike(&known.schedule, &setup.schedule) {
        true => known.timetables.iter().zip(&feeds.feeds).collect(),
        false => Vec::new(),
    };
    let new = setup.timetables.iter().map(|timetable| {
        match old.iter().position(|(old, _)| *old == timetable) {
            // One that is written twice is two.
            Some(at) => old.swap_remove(at).1.clone(),
            None => feed(setup, timetable),
        }
    });
    with_feeds(setup, new.collect())
}

fn feed(setup: &Setup, timetable: &Timetable) -> Feed {
    Feed { label: timetable.label(), provider: provider(setup, timetable) }
}

fn with_feeds(setup: &Setup, feeds: Vec<Feed>) -> Plan {
    Plan {
        feeds,
        closures: Arc::new(closures(setup)),
        pace: Pace { every: setup.schedule.every, retry: setup.schedule.retry },
        zone: setup.timezone,
    }
}

/// The rooms of the setup.
pub(crate) fn rooms(setup: &Setup) -> Arc<[Room]> {
    setup.rooms.iter().map(|room| Room { key: room.key.clone(), name: room.name.clone() }).collect()
}

fn provider(setup: &Setup, timetable: &Timetable) -> Arc<dyn Provider> {
    let coverage =
        Coverage { only: timetable.rooms.clone(), names: timetable.names.iter().cloned().collect() };
    let text = TextRule { cut: timetable.cut.clone(), placeholder: timetable.placeholder.clone() };
    let (zone, max_size) = (timetable.zone, timetable.max_size);
    let fetcher = || {
        let terms =
            Terms { connect: setup.schedule.connect_timeout, total: setup.schedule.timeout, max_size };
        Fetcher::new(terms, &timetable.source.urls(), credential(timetable))
    };
    let ical = |source: ical::Source| -> Arc<dyn Provider> {
        let fetcher = (!timetable.source.urls().is_empty()).then(fetcher);
        let plan = ical::Plan { source, coverage: coverage.clone(), text: text.clone(), zone, max_size };
        Arc::new(Ical::new(plan, fetcher))
    };
    match &timetable.source {
        TimetableSource::IcalTemplate(template) => {
            ical(ical::Source::Template(Template::Url(template.clone())))
        }
        TimetableSource::IcalFileTemplate(path) => {
            ical(ical::Source::Template(Template::File(path.to_string_lossy().into_owned())))
        }
        TimetableSource::IcalEach(each) => {
            let each = each.iter().map(|(room, at)| (room.clone(), place(at))).collect();
            ical(ical::Source::Each(each))
        }
        TimetableSource::IcalCombined(at, matcher) => {
            let matcher = match matcher {
                RoomMatcher::Name => Matcher::Name,
                RoomMatcher::PerRoom(pattern) => Matcher::Pattern(pattern.clone()),
                RoomMatcher::Group(pattern) => Matcher::Group(pattern.clone()),
            };
            ical(ical::Source::Combined(place(at), matcher))
        }
        TimetableSource::MyTimetable(url, source) => {
            Arc::new(MyTimetable::new(url, source.clone(), coverage, text, fetcher()))
        }
        TimetableSource::Ruuster(url, institute) => {
            Arc::new(Ruuster::new(url, institute.clone(), coverage, text, fetcher()))
        }
        TimetableSource::File(path) => Arc::new(File::new(path, zone, coverage, text, max_size)),
    }
}

/// MyTimetable has a header of its own.
fn credential(timetable: &Timetable) -> Option<Credential> {
    let token = timetable.token.as_ref()?.expose();
    match &timetable.source {
        TimetableSource::MyTimetable(..) => Credential::new("apitoken", token),
        _ => Credential::new("authorization", &format!("Bearer {token}")),
    }
}

fn place(place: &CalendarPlace) -> Place {
    match place {
        CalendarPlace::Url(url) => Place::Url(url.clone()),
        CalendarPlace::File(path) => Place::File(Arc::<Path>::from(path.as_path())),
    }
}

fn closures(setup: &Setup) -> Closures {
    let closure = |closure: &crate::setup::Closure| Closure {
        from: closure.from,
        until: closure.until,
        rooms: closure.rooms.clone(),
        text: closure.text.clone(),
    };
    let hours = &setup.opening_hours;
    let hours =
        OpeningHours { week: hours.week.clone(), rooms: hours.rooms.clone(), text: hours.text.clone() };
    Closures {
        closures: setup.closures.iter().map(closure).collect(),
        hours: (!setup.opening_hours.is_always()).then_some(hours),
    }
}
