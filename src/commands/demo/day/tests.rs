//! What holds of every simulated day, over many seeds.

use super::super::{BEGIN, step_of};
use super::*;
use std::collections::{HashMap, HashSet};

fn rooms() -> Vec<(RoomKey, usize)> {
    [("hg029", 60), ("hg075", 63), ("lib.2", 32), ("hg761", 18)]
        .map(|(key, seats)| (RoomKey::parse(key).unwrap(), seats))
        .into()
}

fn used(day: &Day) -> f64 {
    let used = day.states().filter(|state| matches!(state, Occupation::On(_, Use::Used))).count();
    used as f64 / day.states().count() as f64
}

/// The share of used seats at these hours of the first day.
fn used_at(seed: u64, hours: &[f64]) -> Vec<f64> {
    let mut day = Day::new(&rooms(), seed, 0, 30);
    let at = |hour: &f64| {
        while (day.now() as f64) < hour * HOUR as f64 {
            day.step();
        }
        used(&day)
    };
    hours.iter().map(at).collect()
}

#[test]
fn the_same_seed_is_the_same_day_and_another_is_another() {
    let pushes = |seed| {
        let mut day = Day::new(&rooms(), seed, BEGIN, 12);
        let first = day.all();
        std::iter::once(first).chain((0..3000).map(|_| day.step())).collect::<Vec<_>>()
    };
    assert_eq!(pushes(1), pushes(1));
    assert_ne!(pushes(1), pushes(2));
}

#[test]
fn the_first_push_knows_of_nobody_and_every_later_entry_is_a_change() {
    for seed in 0..20 {
        let mut day = Day::new(&rooms(), seed, BEGIN, 60);
        let mut states: HashMap<PcName, Occupation> = day.all().into_iter().collect();
        assert_eq!(states.len(), 173, "every name is valid and another");
        assert!(states.values().all(|state| matches!(state, Occupation::Off | Occupation::Unknown)));
        for _ in 0..1500 {
            let changes = day.step();
            let names: HashSet<_> = changes.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), changes.len());
            for (name, state) in &changes {
                assert_ne!(states.insert(name.clone(), *state), Some(*state), "{name}");
            }
        }
        assert!(day.states().eq(day.all().into_iter().map(|(_, state)| state)));
    }
}

#[test]
fn rooms_fill_by_day_and_empty_by_night() {
    let mut lunch_is_lower = 0;
    for seed in 0..40 {
        let at = used_at(seed, &[7.0, 11.5, 13.2, 14.8, 19.5, 23.5, 30.0]);
        let (night, late_morning, lunch, afternoon, evening) = (at[0], at[1], at[2], at[3], at[4]);
        assert_eq!(night, 0.0, "seed {seed}");
        assert!(late_morning > 0.35, "seed {seed}: {at:?}");
        assert!(afternoon > evening, "seed {seed}: {at:?}");
        assert!(at[5] < 0.05 && at[6] == 0.0, "seed {seed}: {at:?}");
        lunch_is_lower += usize::from(lunch < late_morning && lunch < afternoon);
    }
    assert!(lunch_is_lower >= 36, "{lunch_is_lower} of 40");
}

#[test]
fn every_state_is_seen_in_the_course_of_a_day() {
    let mut day = Day::new(&rooms(), 1, BEGIN, 60);
    let mut seen: HashSet<&str> = day.states().map(Occupation::code).collect();
    for _ in 0..DAY / 60 {
        seen.extend(day.step().into_iter().map(|(_, state)| state.code()));
    }
    assert_eq!(seen.len(), Occupation::ALL.len(), "{seen:?}");
}

#[test]
fn at_the_default_speed_something_changes_every_second_or_so() {
    let speed = 30.0;
    let step = step_of(speed);
    let mut day = Day::new(&rooms(), 1, BEGIN, step);
    // From 8:15 to 17:00, in real time.
    let seconds = (17.0 * 3600.0 - BEGIN as f64) / speed;
    let mut changes = 0;
    while day.now() < 17 * HOUR {
        changes += day.step().len();
    }
    let rate = changes as f64 / seconds;
    assert!((0.5..5.0).contains(&rate), "{rate} a second");
}
