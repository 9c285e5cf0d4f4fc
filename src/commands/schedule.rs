//! `tkbd schedule`: what is reserved today, by room, from a setup.

use super::Failure;
use super::arguments::ScheduleArguments;
use super::run;
use super::text::plain;
use crate::core::message::{Body, Message};
use crate::core::schedule::{Reservation, TimeOfDay};
use crate::core::version::Version;
use crate::feeds::timetable::day::Day;
use crate::run::timetables;
use chrono::Utc;
use std::io::{Write, stdout};
use std::time::Instant;

/// Asks every timetable once, and prints the day. What cannot be had is said on standard error.
pub(super) async fn schedule(arguments: ScheduleArguments) -> Result<(), Failure> {
    let setup = run::load(&arguments.setup)?;
    if let Some(mirror) = setup.mirror.as_ref().filter(|_| !setup.has_schedule()) {
        let why = "of it, and not here, comes what is reserved; `tkbd watch` shows that";
        return Err(Failure::other(format!("this setup follows {}: {why}", mirror.address())));
    }
    let plan = timetables::plan(&setup);
    let day = match arguments.date {
        Some(date) => Day { date, zone: setup.timezone },
        None => Day::at(Utc::now(), setup.timezone),
    };
    let (now, rooms) = (Instant::now(), timetables::rooms(&setup));
    let mut board = plan.board(now);
    let pulled = board.pull(day, &rooms, now).await;
    let mut schedule = board.schedule(day, &rooms);
    let in_order = rooms.iter().filter_map(|room| Some((room, schedule.remove(&room.key)?)));
    let mut out = stdout().lock();
    if arguments.json {
        let schedule = in_order.map(|(room, reservations)| (room.key.clone(), reservations)).collect();
        let message = Message::new(Body::Schedule { version: Version(0), schedule });
        out.write_all(message.rendered(crate::wire::message::render))?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}, {}", day.date.format("%A %-d %B %Y"), setup.timezone.name())?;
        for (room, reservations) in in_order {
            writeln!(out, "\n{} ({})", plain(&room.name), room.key)?;
            for reservation in &reservations {
                writeln!(out, "  {}", line(reservation))?;
            }
        }
    }
    for pulled in pulled.iter().filter(|pulled| !pulled.is_good) {
        let why = pulled.remarks.first().map(|remark| plain(remark).into_owned()).unwrap_or_default();
        eprintln!("tkbd: {}: {why}", pulled.label);
    }
    if pulled.iter().all(|pulled| pulled.is_good) { Ok(()) } else { Err(Failure::Told) }
}

fn line(reservation: &Reservation) -> String {
    let time = |time: TimeOfDay| format!("{:02}:{:02}", time.hour, time.minute);
    format!("{}-{}  {}", time(reservation.start), time(reservation.end), plain(&reservation.text))
}
