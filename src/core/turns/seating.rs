//! Who sits where, such that as many as can be have a seat, and nobody loses it to one who comes later.
//!
//! A seat is a place in a slot: one of the seats of a room that are alike. Guests come one after the other. Where all slots
//! that would do are full, one who sits there may move to another that does as well, and so on (an augmenting path: the
//! shortest, found breadth first). Who has a seat never stands up for good, so whoever comes first, sits.

use super::super::pc::System;
use super::super::seats::Free;
use std::collections::VecDeque;
use std::rc::Rc;

/// Kinds of seats in a room: with Windows, with Linux, and others.
const KINDS: usize = 3;

/// A number of slots and who sits there.
pub(super) struct Seating {
    slots: Vec<Slot>,
    guests: Vec<Guest>,
    /// Of the guests, those that were there before: they keep to their room, and are not told of it again.
    residents: usize,
    /// How many seats nobody has.
    spare: u64,
}

struct Slot {
    seats: u32,
    guests: Vec<usize>,
    /// Whether it was looked at in vain: whoever sits there can move to nowhere but to such slots. That stays so, since no
    /// path to a seat leads through them.
    is_dead: bool,
}

/// The slots that would do for somebody, the best first.
#[derive(Clone)]
pub(super) struct Slots(Rc<[usize]>);

impl Slots {
    /// Those in these rooms that have the system.
    pub(super) fn new(rooms: impl IntoIterator<Item = usize>, system: Option<System>) -> Slots {
        let kinds = match system {
            Some(System::Windows) => 0..1,
            Some(System::Linux) => 1..2,
            None => 0..KINDS,
        };
        Slots(rooms.into_iter().flat_map(|room| kinds.clone().map(move |kind| room * KINDS + kind)).collect())
    }
}

struct Guest {
    would_do: Slots,
    /// Where it sits.
    slot: usize,
}

impl Seating {
    /// The seats of rooms; and by room, those who have a claim there, with the system that they wish. Claims beyond the seats
    /// count for nothing.
    pub(super) fn new(
        rooms: impl IntoIterator<Item = Free>,
        claims: impl IntoIterator<Item = (usize, Option<System>)>,
    ) -> Seating {
        let kinds = rooms.into_iter().flat_map(|free| [free.windows, free.linux, free.other]);
        let slot = |seats| Slot { seats, guests: Vec::new(), is_dead: seats == 0 };
        let slots: Vec<Slot> = kinds.map(slot).collect();
        let spare = slots.iter().map(|slot| u64::from(slot.seats)).sum();
        let mut seating = Seating { slots, guests: Vec::new(), residents: 0, spare };
        for (room, system) in claims {
            seating.seat(&Slots::new([room], system));
        }
        seating.residents = seating.guests.len();
        seating
    }

    /// Whether nobody else can have a seat.
    pub(super) fn is_full(&self) -> bool {
        self.spare == 0
    }

    /// Gives a guest one of these seats, if one is left.
    pub(super) fn seat(&mut self, would_do: &Slots) -> bool {
        let new = self.guests.len();
        self.guests.push(Guest { would_do: would_do.clone(), slot: usize::MAX });
        let is_seated = self.find(new);
        if is_seated {
            self.spare = self.spare.saturating_sub(1);
        } else {
            self.guests.pop();
        }
        is_seated
    }

    /// The rooms of those who were given a seat, in the order in which they were.
    pub(super) fn rooms(&self) -> impl Iterator<Item = usize> {
        self.guests.iter().skip(self.residents).map(|guest| guest.slot / KINDS)
    }

    /// Looks for a seat for a guest that has none.
    fn find(&mut self, new: usize) -> bool {
        // The slots that were reached, and by whom.
        let mut reached: Vec<(usize, usize)> = Vec::new();
        let mut looking = VecDeque::from([new]);
        while let Some(guest) = looking.pop_front() {
            let Some(Guest { would_do: Slots(would_do), .. }) = self.guests.get(guest) else { continue };
            for place in would_do.iter() {
                let Some(slot) = self.slots.get_mut(*place).filter(|slot| !slot.is_dead) else { continue };
                slot.is_dead = true;
                reached.push((*place, guest));
                if slot.guests.len() < usize::try_from(slot.seats).unwrap_or(usize::MAX) {
                    self.sit(*place, &reached);
                    return true;
                }
                looking.extend(&slot.guests);
            }
        }
        false
    }

    /// Has all on the way to a slot move on by one.
    fn sit(&mut self, last: usize, reached: &[(usize, usize)]) {
        for (place, _) in reached {
            if let Some(slot) = self.slots.get_mut(*place) {
                slot.is_dead = false;
            }
        }
        let mut free = last;
        while let Some((_, guest)) = reached.iter().find(|(place, _)| *place == free) {
            let Some(moving) = self.guests.get_mut(*guest) else { break };
            let before = std::mem::replace(&mut moving.slot, free);
            if let Some(slot) = self.slots.get_mut(free) {
                slot.guests.push(*guest);
            }
            // Who had no seat before is the one that all of them have moved for.
            let Some(slot) = self.slots.get_mut(before) else { break };
            slot.guests.retain(|other| other != guest);
            free = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn free(windows: u32, linux: u32, other: u32) -> Free {
        Free { windows, linux, other }
    }

    #[test]
    fn an_earlier_guest_makes_way_for_a_later_one_where_both_can_sit() {
        let mut seating = Seating::new([free(1, 0, 0), free(0, 1, 0)], []);
        assert!(seating.seat(&Slots::new([0, 1], None)));
        assert_eq!(seating.rooms().collect::<Vec<_>>(), [0], "the best is taken first");
        assert!(seating.seat(&Slots::new([0], None)), "the first takes the other");
        assert_eq!(seating.rooms().collect::<Vec<_>>(), [1, 0]);
        assert!(seating.is_full() && !seating.seat(&Slots::new([0, 1], None)));
        assert_eq!(seating.rooms().count(), 2);
    }

    #[test]
    fn who_was_there_keeps_to_the_room_and_takes_whatever_seat_is_left() {
        let mut seating = Seating::new([free(1, 1, 0), free(1, 0, 0)], [(0, None)]);
        assert!(seating.seat(&Slots::new([0], Some(System::Windows))), "who takes any sits at Linux");
        assert!(!seating.seat(&Slots::new([0], Some(System::Linux))));
        assert!(!seating.is_full());
        assert!(seating.seat(&Slots::new([0, 1], None)));
        assert_eq!(seating.rooms().collect::<Vec<_>>(), [0, 1]);
    }

    /// Whether all of these can sit, tried in every way.
    fn can_all_sit(seats: &mut [[u32; KINDS]], guests: &[(Vec<usize>, Option<System>)]) -> bool {
        let Some(((rooms, system), rest)) = guests.split_first() else { return true };
        let kinds = match system {
            Some(System::Windows) => 0..1,
            Some(System::Linux) => 1..2,
            None => 0..KINDS,
        };
        rooms.iter().any(|room| {
            kinds.clone().any(|kind| {
                if seats[*room][kind] == 0 {
                    return false;
                }
                seats[*room][kind] -= 1;
                let can = can_all_sit(seats, rest);
                seats[*room][kind] += 1;
                can
            })
        })
    }

    fn guest() -> impl Strategy<Value = (Vec<usize>, Option<System>)> {
        let system = prop_oneof![Just(None), Just(Some(System::Linux)), Just(Some(System::Windows))];
        (proptest::collection::btree_set(0usize..3, 0..3).prop_map(|set| set.into_iter().collect()), system)
    }

    proptest! {
        /// The guests that sit are those whom it costs nobody before them a seat: as if each, in turn, had asked all those
        /// to move about in every way there is.
        #[test]
        fn whoever_can_sit_with_those_before_does(
            seats in proptest::collection::vec((0u32..3, 0u32..3, 0u32..2), 3),
            guests in proptest::collection::vec(guest(), 0..7),
        ) {
            let rooms = seats.iter().map(|(w, l, o)| free(*w, *l, *o));
            let mut seating = Seating::new(rooms, []);
            let mut seats: Vec<[u32; KINDS]> = seats.iter().map(|(w, l, o)| [*w, *l, *o]).collect();
            let mut sitting: Vec<(Vec<usize>, Option<System>)> = Vec::new();
            for guest in guests {
                sitting.push(guest.clone());
                let can = can_all_sit(&mut seats, &sitting);
                if !can {
                    sitting.pop();
                }
                prop_assert_eq!(seating.seat(&Slots::new(guest.0, guest.1)), can);
            }
            let rooms: Vec<usize> = seating.rooms().collect();
            prop_assert_eq!(rooms.len(), sitting.len());
            for (room, (would_do, _)) in rooms.iter().zip(&sitting) {
                prop_assert!(would_do.contains(room));
            }
            for slot in &seating.slots {
                prop_assert!(slot.guests.len() <= slot.seats as usize);
            }
        }
    }
}
