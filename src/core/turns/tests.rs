//! The policy, promise by promise; and all of it, on whatever comes.

use super::*;
use crate::core::channel::tests::base;
use crate::core::tag::Tag;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

const CLAIM: Duration = Duration::from_secs(120);

/// A room with a tag that is its key, and one that all have.
#[derive(Debug, Clone)]
struct Lab {
    key: RoomKey,
    tags: [Tag; 2],
    free: Free,
    minutes: u16,
}

fn lab(key: &str, windows: u32, linux: u32, other: u32) -> Lab {
    let tags = [Tag::parse(key).unwrap(), Tag::parse("all").unwrap()];
    Lab { key: RoomKey::parse(key).unwrap(), tags, free: Free { windows, linux, other }, minutes: u16::MAX }
}

fn offers(labs: &[Lab]) -> Vec<Offer<'_>> {
    let offer = |lab: &Lab| lab.free.all() > 0;
    labs.iter()
        .filter(|lab| offer(lab))
        .map(|lab| Offer { key: &lab.key, tags: &lab.tags, free: lab.free, minutes: lab.minutes })
        .collect()
}

/// A list of wishes, of a waiter of that number.
fn list(waiter: usize, wishes: &[&str]) -> List {
    let texts: Vec<String> = wishes.iter().map(|wish| format!("waiter-{waiter:012}{wish}")).collect();
    let (list, found) = List::parse(texts.iter().map(String::as_str));
    assert!(found.iter().all(Result::is_ok), "{wishes:?}");
    list.unwrap()
}

/// Turns on a clock of their own.
struct Campus {
    turns: Turns,
    now: Instant,
    labs: Vec<Lab>,
}

impl Campus {
    fn new(labs: &[Lab]) -> Campus {
        Campus { turns: Turns::new(CLAIM), now: base(), labs: labs.to_vec() }
    }

    /// A list comes over a stream that has the number of its waiter.
    fn come(&mut self, waiter: usize, wishes: &[&str]) -> Arrival {
        self.turns.arrive(Stream(waiter as u64), &list(waiter, wishes), None, self.now)
    }

    fn leave(&mut self, waiter: usize) {
        self.turns.leave(Stream(waiter as u64), self.now);
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Who is told (by the stream) of which room.
    fn turn(&mut self) -> Vec<(u64, String)> {
        let told = self.turns.turn(self.now, &offers(&self.labs));
        told.iter().map(|told| (told.streams[0].0, told.room.to_string())).collect()
    }

    #[track_caller]
    fn tells(&mut self, expected: &[(u64, &str)]) {
        let told = self.turn();
        let told: Vec<(u64, &str)> = told.iter().map(|(who, room)| (*who, room.as_str())).collect();
        assert_eq!(told, expected);
    }
}

#[test]
fn ten_people_are_not_sent_to_one_seat() {
    let mut campus = Campus::new(&[lab("a", 0, 0, 0)]);
    for waiter in 0..10 {
        campus.come(waiter, &[";room:a"]);
    }
    campus.tells(&[]);
    campus.labs[0].free.linux = 1;
    campus.tells(&[(0, "a")]);
    assert_eq!((campus.turns.waiting(), campus.turns.claims()), (9, 1));
    assert_eq!(campus.turns.next_deadline(), Some(campus.now + CLAIM));
    campus.pass(119);
    campus.tells(&[]);
    campus.pass(1);
    campus.tells(&[(1, "a")]);
    campus.labs[0].free.windows = 2;
    campus.tells(&[(2, "a"), (3, "a")]);
}

#[test]
fn a_seat_that_is_taken_ends_the_claim_on_it_so_that_the_next_one_is_told_at_once() {
    let mut campus = Campus::new(&[lab("a", 1, 0, 0)]);
    (0..3).for_each(|waiter| drop(campus.come(waiter, &[""])));
    campus.tells(&[(0, "a")]);
    campus.labs[0].free.windows = 0;
    campus.tells(&[]);
    assert_eq!(campus.turns.claims(), 0);
    campus.labs[0].free.windows = 1;
    campus.tells(&[(1, "a")]);
    campus.labs[0].free = Free { linux: 1, ..Free::default() };
    campus.tells(&[]);
    assert_eq!(campus.turns.claims(), 1, "another system is no seat that was taken");
}

#[test]
fn the_oldest_claim_that_the_seat_would_have_done_for_ends() {
    let mut campus = Campus::new(&[lab("a", 1, 1, 0)]);
    campus.come(0, &[";system:windows"]);
    campus.come(1, &[";system:linux"]);
    campus.tells(&[(0, "a"), (1, "a")]);
    campus.come(2, &[";system:windows"]);
    campus.come(3, &[";system:linux"]);
    campus.labs[0].free.linux = 0;
    campus.tells(&[]);
    campus.labs[0].free.linux = 1;
    campus.tells(&[(3, "a")]);
}

#[test]
fn a_room_that_cannot_be_used_any_more_ends_all_its_claims() {
    let mut campus = Campus::new(&[lab("a", 2, 0, 0), lab("b", 1, 0, 0)]);
    (0..4).for_each(|waiter| drop(campus.come(waiter, &[""])));
    campus.tells(&[(0, "a"), (1, "a"), (2, "b")]);
    campus.labs[0].free.windows = 0;
    campus.tells(&[]);
    assert_eq!(campus.turns.claims(), 1);
}

#[test]
fn a_wish_is_told_only_of_what_was_wished() {
    let mut campus = Campus::new(&[lab("a", 0, 0, 3), lab("b", 1, 0, 0), lab("c", 0, 1, 0)]);
    campus.labs[1].minutes = 29;
    let none = [";room:d", ";room:a;system:linux", ";tag:b;minutes:30", ";tag:b,a;system:linux", ";tag:A"];
    for (waiter, wish) in none.into_iter().enumerate() {
        campus.come(waiter, &[wish]);
    }
    campus.tells(&[]);
    campus.come(5, &[";tag:b;minutes:29"]);
    campus.come(6, &[";system:linux;minutes:1440"]);
    campus.come(7, &[";tag:all"]);
    campus.tells(&[(5, "b"), (6, "c"), (7, "a")]);
}

#[test]
fn who_takes_either_room_is_sent_to_that_which_the_next_one_does_not_want() {
    let mut campus = Campus::new(&[lab("a", 1, 0, 0), lab("b", 1, 0, 0)]);
    campus.come(0, &[";tag:all"]);
    campus.come(1, &[";room:a"]);
    campus.tells(&[(0, "b"), (1, "a")]);
}

#[test]
fn wishes_of_one_waiter_are_alternatives_and_end_together() {
    let mut campus = Campus::new(&[lab("a", 1, 0, 0), lab("b", 1, 0, 0)]);
    campus.come(0, &[";room:a", ";room:b"]);
    campus.come(1, &[";room:b"]);
    campus.tells(&[(0, "a"), (1, "b")]);
    assert_eq!(campus.turns.waiting(), 0);
}

#[test]
fn who_comes_back_within_a_minute_has_kept_the_place_and_nobody_is_told_who_is_not_there() {
    let mut campus = Campus::new(&[lab("a", 0, 0, 0)]);
    (0..3).for_each(|waiter| drop(campus.come(waiter, &[";room:a"])));
    campus.leave(0);
    campus.leave(1);
    campus.pass(59);
    campus.come(0, &[";room:a", ";room:b"]);
    campus.pass(1);
    campus.come(1, &[";room:a"]);
    campus.labs[0].free.windows = 1;
    campus.tells(&[(0, "a")]);
    campus.labs[0].free.windows = 2;
    campus.tells(&[(2, "a")]);
    campus.leave(1);
    campus.labs[0].free.windows = 3;
    campus.tells(&[]);
}

#[test]
fn a_stream_that_ends_takes_nothing_away_that_another_has() {
    let mut campus = Campus::new(&[lab("a", 0, 0, 0)]);
    let list = list(7, &[";room:a"]);
    for stream in [1, 2, 2] {
        assert_eq!(campus.turns.arrive(Stream(stream), &list, None, campus.now), Arrival::Waits(vec![true]));
    }
    assert_eq!(campus.turns.waiting(), 1, "the same wish on two streams waits once");
    campus.turns.leave(Stream(1), campus.now);
    campus.pass(100);
    campus.labs[0].free.windows = 1;
    campus.tells(&[(2, "a")]);
}

#[test]
fn a_waiter_is_told_wherever_it_is() {
    let mut campus = Campus::new(&[lab("a", 1, 0, 0)]);
    campus.turns.arrive(Stream(1), &list(7, &[";room:a", ";room:b"]), None, campus.now);
    // One of its wishes was taken back, and the stream that had both is not known to have ended.
    campus.turns.arrive(Stream(2), &list(7, &[";room:b"]), None, campus.now);
    let told = campus.turns.turn(campus.now, &offers(&campus.labs));
    assert_eq!(told[0].streams, [Stream(1), Stream(2)]);
}

#[test]
fn who_has_not_heard_it_is_told_the_same_again_and_later_waits_anew() {
    let mut campus = Campus::new(&[lab("a", 1, 0, 0)]);
    campus.come(0, &[";room:a"]);
    let told = campus.turns.turn(campus.now, &offers(&campus.labs)).remove(0);
    campus.come(1, &[";room:a"]);
    campus.pass(119);
    assert_eq!(campus.come(0, &[";room:a"]), Arrival::Told(told));
    assert_eq!(campus.turns.waiting(), 1);
    campus.pass(1);
    assert_eq!(campus.come(0, &[";room:a"]), Arrival::Waits(vec![true]));
    campus.tells(&[(1, "a")]);
}

#[test]
fn nobody_keeps_all_others_out_and_who_is_gone_gives_way() {
    let mut campus = Campus::new(&[]);
    let come = |campus: &mut Campus, waiter: usize, origin: Option<u64>| {
        let list = list(waiter, &[";room:a"]);
        campus.turns.arrive(Stream(waiter as u64), &list, origin.map(Origin::of), campus.now)
    };
    for waiter in 0..OF_ADDRESS {
        assert_eq!(come(&mut campus, waiter, Some(1)), Arrival::Waits(vec![true]));
    }
    assert_eq!(come(&mut campus, 5000, Some(1)), Arrival::Waits(vec![false]), "one address has its share");
    assert_eq!(come(&mut campus, 0, Some(1)), Arrival::Waits(vec![true]), "who is known keeps the place");
    campus.leave(7);
    assert_eq!(come(&mut campus, 5000, Some(1)), Arrival::Waits(vec![true]), "that of one who is gone");
    for waiter in OF_ADDRESS..MOST {
        assert_eq!(come(&mut campus, waiter, None), Arrival::Waits(vec![true]));
    }
    assert_eq!(come(&mut campus, 6000, Some(2)), Arrival::Waits(vec![false]), "all places are taken");
    campus.leave(300);
    campus.leave(9);
    campus.pass(1);
    campus.leave(8);
    assert_eq!(come(&mut campus, 6000, Some(2)), Arrival::Waits(vec![true]));
    assert_eq!(campus.turns.waiting(), MOST);
}

#[test]
fn a_setup_that_is_read_again_counts_for_who_is_told_then() {
    let mut campus = Campus::new(&[lab("a", 1, 0, 0)]);
    (0..3).for_each(|waiter| drop(campus.come(waiter, &[""])));
    campus.tells(&[(0, "a")]);
    campus.turns.set_claim(Duration::from_secs(10));
    campus.pass(119);
    campus.tells(&[]);
    campus.pass(1);
    campus.tells(&[(1, "a")]);
    campus.pass(10);
    campus.tells(&[(2, "a")]);
}

const WISHES: [&str; 9] = [
    "",
    ";room:a",
    ";room:b",
    ";tag:all",
    ";tag:b,c;system:linux",
    ";system:windows",
    ";room:a;system:linux",
    ";minutes:30",
    ";room:c;system:linux;minutes:90",
];

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    Come(usize, BTreeSet<usize>),
    Leave(usize),
    Seats(usize, u32, u32, u32),
    Minutes(usize, u16),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let wishes = proptest::collection::btree_set(0..WISHES.len(), 1..4);
    prop_oneof![
        4 => (0usize..12, wishes).prop_map(|(who, wishes)| Step::Come(who, wishes)),
        2 => (0usize..12).prop_map(Step::Leave),
        4 => (0usize..3, 0u32..3, 0u32..3, 0u32..2).prop_map(|(lab, w, l, o)| Step::Seats(lab, w, l, o)),
        1 => (0usize..3, prop_oneof![Just(20u16), Just(60), Just(u16::MAX)])
            .prop_map(|(lab, minutes)| Step::Minutes(lab, minutes)),
        3 => prop_oneof![Just(0u64), Just(1), Just(30), Just(59), Just(60), Just(120)].prop_map(Step::Pass),
    ]
}

/// What somebody who looks on remembers, and holds against what is told.
struct Onlooker {
    /// The wishes of those who are there, in the order in which they came; and for those who are gone, since when.
    waits: Vec<(usize, usize, Option<Instant>)>,
    /// When which room was told, and until when its claim can last.
    told: Vec<(Instant, usize)>,
    /// When how many seats of a kind ceased to be free.
    fell: Vec<(Instant, usize, u32)>,
}

impl Onlooker {
    fn forget(&mut self, now: Instant) {
        self.waits.retain(|(_, _, gone)| gone.is_none_or(|since| since + ABSENCE > now));
        self.told.retain(|(at, _)| *at + CLAIM > now);
        self.fell.retain(|(at, _, _)| *at + CLAIM > now);
    }
}

/// Whether a wish is met by a lab that has a seat for it beside those who have claims there, all of whom can sit: of each
/// system there are as many seats as wish it, and of all as many as all.
fn has_seat(turns: &Turns, lab: &Lab, wish: &Wish) -> bool {
    let claims = turns.claimed.get(&lab.key);
    let systems: Vec<Option<System>> =
        claims.iter().flat_map(|room| room.claims.iter().map(|claim| claim.wish.system)).collect();
    let count = |system| systems.iter().filter(|own| **own == Some(system)).count() as u32;
    let has = match wish.system {
        Some(System::Windows) => count(System::Windows) < lab.free.windows,
        Some(System::Linux) => count(System::Linux) < lab.free.linux,
        None => true,
    };
    has && (systems.len() as u32) < lab.free.all()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// On whatever comes: never are more told than there are seats, of equal wishes the one that came first is told first, no
    /// seat stays untold that would do for somebody who is there, and no more is kept than is waited for.
    #[test]
    fn the_policy_holds_whatever_comes(steps in proptest::collection::vec(step(), 1..60)) {
        let mut campus = Campus::new(&[lab("a", 0, 0, 0), lab("b", 0, 1, 0), lab("c", 0, 0, 1)]);
        let wishes: Vec<Wish> = WISHES.iter().map(|wish| list(0, &[wish]).wishes.remove(0)).collect();
        let mut seen = Onlooker { waits: Vec::new(), told: Vec::new(), fell: Vec::new() };
        let mut streams = 0;
        let mut stream_of: HashMap<usize, u64> = HashMap::new();
        for step in steps {
            seen.forget(campus.now);
            match step {
                Step::Come(who, set) => {
                    let texts: Vec<&str> = set.iter().map(|place| WISHES[*place]).collect();
                    // As a browser does that opens the new stream before the old one is gone.
                    streams += 1;
                    let arrival = campus.turns.arrive(Stream(streams), &list(who, &texts), None, campus.now);
                    if let Some(old) = stream_of.insert(who, streams) {
                        campus.turns.leave(Stream(old), campus.now);
                    }
                    for (_, wish, gone) in seen.waits.iter_mut().filter(|(own, ..)| *own == who) {
                        *gone = if set.contains(wish) { None } else { gone.or(Some(campus.now)) };
                    }
                    match arrival {
                        Arrival::Told(told) => {
                            prop_assert_eq!(told.streams, [Stream(streams)]);
                            prop_assert!(told.until > campus.now);
                        }
                        Arrival::Waits(all) => {
                            prop_assert!(all.iter().all(|waits| *waits));
                            for wish in set {
                                if !seen.waits.iter().any(|(own, other, _)| (*own, *other) == (who, wish)) {
                                    seen.waits.push((who, wish, None));
                                }
                            }
                        }
                    }
                }
                Step::Leave(who) => {
                    if let Some(stream) = stream_of.remove(&who) {
                        campus.turns.leave(Stream(stream), campus.now);
                    }
                    for (_, _, gone) in seen.waits.iter_mut().filter(|(own, ..)| *own == who) {
                        *gone = gone.or(Some(campus.now));
                    }
                }
                Step::Seats(place, windows, linux, other) => {
                    let (before, now) = (campus.labs[place].free, Free { windows, linux, other });
                    let fell = before.windows.saturating_sub(windows)
                        + before.linux.saturating_sub(linux)
                        + before.other.saturating_sub(other);
                    seen.fell.push((campus.now, place, fell));
                    campus.labs[place].free = now;
                }
                Step::Minutes(place, minutes) => campus.labs[place].minutes = minutes,
                Step::Pass(seconds) => campus.pass(seconds),
            }
            seen.forget(campus.now);

            let labs = campus.labs.clone();
            let told = campus.turns.turn(campus.now, &offers(&labs));
            for one in &told {
                let place = labs.iter().position(|lab| lab.key == one.room).unwrap();
                let lab = &labs[place];
                prop_assert!(lab.free.all() > 0 && one.wish.minutes <= lab.minutes);
                seen.told.push((campus.now, place));
                let who = (0..12).find(|who| list(*who, &[""]).waiter == one.waiter).unwrap();
                let wish = wishes.iter().position(|wish| *wish == one.wish).unwrap();
                let at = seen.waits.iter().position(|(own, other, gone)| {
                    (*own, *other, *gone) == (who, wish, None)
                });
                prop_assert!(at.is_some(), "told is who waits, and is there, and once");
                prop_assert_eq!(&one.streams, &[Stream(stream_of[&who])]);
                let before = seen.waits.iter().take(at.unwrap()).filter(|(_, other, gone)| {
                    *other == wish && gone.is_none()
                });
                for (other, ..) in before {
                    let other = list(*other, &[""]).waiter;
                    prop_assert!(told.iter().any(|told| told.waiter == other), "an equal wish came before");
                }
            }
            for one in &told {
                let who = (0..12).find(|who| list(*who, &[""]).waiter == one.waiter).unwrap();
                seen.waits.retain(|(own, ..)| *own != who);
            }

            for (place, lab) in labs.iter().enumerate() {
                let told = seen.told.iter().filter(|(_, other)| *other == place).count() as u32;
                let fell: u32 = seen.fell.iter().filter(|(_, other, _)| *other == place).map(|(.., fell)| fell).sum();
                prop_assert!(told <= lab.free.all() + fell, "{} told of {:?}", told, lab);
                let claims = campus.turns.claimed.get(&lab.key).map_or(0, |room| room.claims.len());
                prop_assert!(claims as u32 <= lab.free.all());
                for (_, wish, _) in seen.waits.iter().filter(|(.., gone)| gone.is_none()) {
                    let offer = offers(std::slice::from_ref(lab));
                    let would_do = offer.iter().any(|offer| wishes[*wish].is_met_by(offer));
                    prop_assert!(!(would_do && has_seat(&campus.turns, lab, &wishes[*wish])), "a seat is told to nobody");
                }
            }
            prop_assert_eq!(campus.turns.waiting(), seen.waits.len());
            prop_assert!(campus.turns.claimed.values().all(|room| !room.claims.is_empty()));
            let is_waited_for = campus.turns.waiting() > 0 && campus.turns.claims() > 0;
            prop_assert_eq!(campus.turns.next_deadline().is_some(), is_waited_for);
        }

        // Nobody starves: while nothing changes any more, everybody is told whom a seat would do for, one claim after the other.
        for _ in 0..=seen.waits.len() {
            campus.pass(CLAIM.as_secs());
            let labs = campus.labs.clone();
            for one in campus.turns.turn(campus.now, &offers(&labs)) {
                let who = (0..12).find(|who| list(*who, &[""]).waiter == one.waiter).unwrap();
                seen.waits.retain(|(own, ..)| *own != who);
            }
        }
        seen.forget(campus.now);
        for (_, wish, _) in &seen.waits {
            let wish = &wishes[*wish];
            for lab in &campus.labs {
                let seats = match wish.system {
                    Some(System::Windows) => lab.free.windows,
                    Some(System::Linux) => lab.free.linux,
                    None => lab.free.all(),
                };
                let offer = offers(std::slice::from_ref(lab));
                prop_assert!(seats == 0 || !offer.iter().any(|offer| wish.is_met_by(offer)), "{:?} starves", wish);
            }
        }
    }
}
