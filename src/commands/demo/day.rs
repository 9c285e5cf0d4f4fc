//! A campus day that is made up: told how much time passes, it says what changes. Pure.

use super::chance::Chance;
use crate::core::pc::{Occupation, PcName, System, Use};
use crate::core::room::RoomKey;

/// PCs, what happens at them, and the time.
#[derive(Debug, Clone)]
pub(super) struct Day {
    rooms: Vec<Room>,
    chance: Chance,
    /// Seconds since the first midnight.
    now: u64,
    step: u64,
}

#[derive(Debug, Clone)]
struct Room {
    seats: Vec<Seat>,
    /// How well it is liked: 1 is the average.
    liked: f64,
    /// Which lecture hours of today it is used for a class, all seats of it.
    classes: [bool; HOURS.len()],
}

#[derive(Debug, Clone)]
struct Seat {
    name: PcName,
    /// What it boots into, mostly.
    prefers: System,
    /// Is not switched on when the room opens.
    sleepy: bool,
    doing: Doing,
}

/// What goes on at a seat; times are seconds since the first midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Off,
    Free(System),
    Used(System),
    /// Restarts, perhaps into the other system: off to everybody until then.
    Boots {
        into: System,
        until: u64,
    },
    /// Has lost its network: nobody knows.
    Lost {
        until: u64,
    },
    /// Its login watcher hangs: on, and that is all.
    Stuck {
        system: System,
        until: u64,
    },
}

impl Doing {
    fn state(self) -> Occupation {
        match self {
            Doing::Off | Doing::Boots { .. } => Occupation::Off,
            Doing::Free(system) => Occupation::On(system, Use::Free),
            Doing::Used(system) => Occupation::On(system, Use::Used),
            Doing::Lost { .. } => Occupation::Unknown,
            Doing::Stuck { system, .. } => Occupation::On(system, Use::Unknown),
        }
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// When the rooms are open, in seconds of a day.
const OPEN: std::ops::Range<u64> = 7 * HOUR + 30 * MINUTE..22 * HOUR;

/// The lecture hours of a Dutch university: two of 45 minutes with a break, from a quarter to the hour.
const HOURS: [(u64, u64); 4] = [
    (8 * HOUR + 45 * MINUTE, 10 * HOUR + 30 * MINUTE),
    (10 * HOUR + 45 * MINUTE, 12 * HOUR + 30 * MINUTE),
    (13 * HOUR + 45 * MINUTE, 15 * HOUR + 30 * MINUTE),
    (15 * HOUR + 45 * MINUTE, 17 * HOUR + 30 * MINUTE),
];

/// Which share of the seats is wanted by whoever comes on their own, by hour of the day: between two
/// points it goes straight. Lunch and the hours' breaks are dips.
const WANTED: [(f64, f64); 17] = [
    (7.5, 0.0),
    (8.5, 0.15),
    (9.0, 0.35),
    (10.4, 0.50),
    (10.6, 0.42),
    (11.25, 0.62),
    (12.4, 0.58),
    (12.75, 0.36),
    (13.5, 0.38),
    (14.25, 0.64),
    (15.4, 0.62),
    (15.7, 0.50),
    (16.5, 0.56),
    (17.75, 0.30),
    (20.0, 0.20),
    (21.5, 0.06),
    (22.0, 0.0),
];

impl Day {
    /// A day that begins at `begin` seconds after midnight, and goes on in steps of `step` seconds. Everything
    /// is off, except for a few PCs of which nothing is known, and never will be.
    pub(super) fn new(rooms: &[(RoomKey, usize)], seed: u64, begin: u64, step: u64) -> Day {
        let mut chance = Chance::new(seed);
        let mut day = Vec::new();
        for (key, seats) in rooms {
            let likes_linux = chance.share() * 0.5;
            let names = (1..=*seats).filter_map(|n| PcName::parse(&format!("{key}pc{n:02}")).ok());
            let seats = names
                .map(|name| Seat {
                    name,
                    prefers: if chance.happens(likes_linux) { System::Linux } else { System::Windows },
                    sleepy: chance.happens(0.07),
                    doing: if chance.happens(0.012) { Doing::Lost { until: u64::MAX } } else { Doing::Off },
                })
                .collect();
            let liked = 0.6 + 0.8 * chance.share();
            day.push(Room { seats, liked, classes: [false; HOURS.len()] });
        }
        let mut day = Day { rooms: day, chance, now: begin, step: step.max(1) };
        day.plan();
        day
    }

    /// Seconds since the first midnight.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// The state of every PC.
    pub(super) fn states(&self) -> impl Iterator<Item = Occupation> {
        self.rooms.iter().flat_map(|room| &room.seats).map(|seat| seat.doing.state())
    }

    /// Every PC with its state: the first push.
    pub(super) fn all(&self) -> Vec<(PcName, Occupation)> {
        let seats = self.rooms.iter().flat_map(|room| &room.seats);
        seats.map(|seat| (seat.name.clone(), seat.doing.state())).collect()
    }

    /// Lets one step pass, and returns what has changed: the next push.
    pub(super) fn step(&mut self) -> Vec<(PcName, Occupation)> {
        let yesterday = self.now / DAY;
        self.now += self.step;
        if self.now / DAY != yesterday {
            self.plan();
        }
        let mut changes = Vec::new();
        let moment = Moment { now: self.now, step: self.step as f64 };
        for room in &mut self.rooms {
            let drift = moment.drift(room);
            for seat in &mut room.seats {
                let before = seat.doing.state();
                seat.doing = moment.next(seat, drift, &mut self.chance);
                let after = seat.doing.state();
                if before != after {
                    changes.push((seat.name.clone(), after));
                }
            }
        }
        changes
    }

    /// Which rooms have which classes today.
    fn plan(&mut self) {
        for room in &mut self.rooms {
            for class in &mut room.classes {
                *class = self.chance.happens(0.3);
            }
        }
    }
}

/// The probabilities, within one step, that a free seat is taken and that a used one is left.
#[derive(Debug, Clone, Copy)]
struct Drift {
    taken: f64,
    left: f64,
}

/// A step of the day.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now: u64,
    step: f64,
}

impl Moment {
    /// Seconds since this midnight.
    fn time(self) -> u64 {
        self.now % DAY
    }

    /// The probability that something happens within this step that takes `seconds` on average.
    fn within(self, seconds: u64) -> f64 {
        1.0 - (-self.step / seconds as f64).exp()
    }

    /// How the seats of a room fill or empty, towards what is wanted of it.
    fn drift(self, room: &Room) -> Drift {
        let time = self.time();
        let count = |is: fn(Doing) -> bool| room.seats.iter().filter(|seat| is(seat.doing)).count() as f64;
        let (free, used) = (count(|d| matches!(d, Doing::Free(_))), count(|d| matches!(d, Doing::Used(_))));
        // A class comes a few minutes before the hour and leaves on it; others come and go as they like.
        let class = HOURS
            .iter()
            .zip(room.classes)
            .any(|((begin, end), class)| class && (begin - 5 * MINUTE..*end).contains(&time));
        let (share, slowly) = if class {
            (0.9, 4 * MINUTE)
        } else {
            ((wanted(time as f64 / HOUR as f64) * room.liked).min(0.95), 12 * MINUTE)
        };
        let lack = share * (free + used) - used;
        let pace = self.within(slowly);
        // In a class nobody leaves; otherwise people stay an hour or so, and others take their place.
        let turnover = if class { self.within(8 * HOUR) } else { self.within(70 * MINUTE) };
        Drift {
            taken: if free > 0.0 {
                (lack.max(0.0) / free) * pace + turnover * used / free.max(used)
            } else {
                0.0
            },
            left: turnover + if used > 0.0 { ((-lack).max(0.0) / used) * pace } else { 0.0 },
        }
    }

    /// What goes on at a seat after this step.
    fn next(self, seat: &Seat, drift: Drift, chance: &mut Chance) -> Doing {
        let open = OPEN.contains(&self.time());
        let boots =
            |into, chance: &mut Chance| Doing::Boots { into, until: self.now + chance.between(60, 240) };
        match seat.doing {
            Doing::Lost { until } | Doing::Stuck { until, .. } | Doing::Boots { until, .. }
                if until > self.now =>
            {
                seat.doing
            }
            Doing::Boots { into, .. } => Doing::Free(into),
            Doing::Lost { .. } | Doing::Stuck { .. } => boots(seat.prefers, chance),
            Doing::Off => {
                let wakes = if seat.sleepy { self.within(9 * HOUR) } else { self.within(12 * MINUTE) };
                if open && chance.happens(wakes) {
                    let other = chance.happens(0.15);
                    Doing::Free(if other { other_than(seat.prefers) } else { seat.prefers })
                } else {
                    Doing::Off
                }
            }
            Doing::Free(system) => {
                if !open {
                    return if chance.happens(self.within(25 * MINUTE)) { Doing::Off } else { seat.doing };
                }
                if chance.happens(drift.taken) {
                    Doing::Used(system)
                } else if chance.happens(self.within(12 * HOUR)) {
                    boots(other_than(system), chance)
                } else if chance.happens(self.within(30 * HOUR)) {
                    Doing::Off
                } else {
                    self.fault(seat.doing, system, chance)
                }
            }
            Doing::Used(system) => {
                let left = if open { drift.left } else { self.within(10 * MINUTE) };
                if !chance.happens(left) {
                    self.fault(seat.doing, system, chance)
                } else if chance.happens(0.06) {
                    // Somebody else wants the other system.
                    boots(other_than(system), chance)
                } else {
                    Doing::Free(system)
                }
            }
        }
    }

    /// Now and then something breaks, for a while.
    fn fault(self, doing: Doing, system: System, chance: &mut Chance) -> Doing {
        if chance.happens(self.within(150 * HOUR)) {
            Doing::Lost { until: self.now + chance.between(3 * MINUTE, 20 * MINUTE) }
        } else if chance.happens(self.within(150 * HOUR)) {
            Doing::Stuck { system, until: self.now + chance.between(15 * MINUTE, 90 * MINUTE) }
        } else {
            doing
        }
    }
}

fn other_than(system: System) -> System {
    match system {
        System::Windows => System::Linux,
        System::Linux => System::Windows,
    }
}

/// Which share of the seats is wanted at an hour.
fn wanted(hour: f64) -> f64 {
    let next = WANTED.partition_point(|(at, _)| *at <= hour);
    match (next.checked_sub(1).and_then(|last| WANTED.get(last)), WANTED.get(next)) {
        (Some((from, low)), Some((to, high))) => low + (high - low) * (hour - from) / (to - from),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests;
