//! Channels that are abandoned, and the memory that they had (reliability.md C3).

use super::*;
use crate::core::origins::{Origin, Share};
use crate::core::slack::SPARED;

const CROWD: usize = 20_000;

/// A house that has place for a crowd of many filters.
fn roomy() -> Lab {
    let share = Share { channels: CROWD, per_second: CROWD };
    let mut lab = lab_with(Terms { max_channels: 2 * CROWD, share, max_remembered: CROWD / 10, ..TERMS });
    lab.house.set_following();
    lab
}

/// A crowd enters: some ask to be held, each has a place and many a filter of their own. Returns their channels.
fn enter(lab: &mut Lab, wave: usize) -> Vec<ChannelId> {
    let one = |i: usize| {
        let asks = if i.is_multiple_of(2) { vec![all(only(&format!("f{wave}.{i}")))] } else { Vec::new() };
        let token = Token::parse(&format!("w{wave}i{i}")).unwrap();
        let origin = Some(Origin::of(i as u64));
        let first = Poll { token: token.clone(), near: None, asks, origin };
        let channel = lab.house.poll(first, lab.now).unwrap().channel;
        let again = Poll { token, near: Some(channel), asks: Vec::new(), origin };
        if let Outcome::Hold(hold) = lab.house.poll(again, lab.now).unwrap().outcome {
            lab.house.withdraw(channel, hold, lab.now);
        }
        channel
    };
    (0..CROWD).map(one).collect()
}

#[test]
fn c3_memory_of_channels_that_are_abandoned_is_given_back_when_they_end() {
    let mut lab = roomy();
    let stays = lab.poll("stays", &[all(only("a"))]).channel;
    for wave in 0..2 {
        let channels = enter(&mut lab, wave);
        assert!(lab.house.channels.room().into_iter().all(|room| room > CROWD / 2));
        for _ in 0..4 {
            lab.now += TERMS.channel_expiry - SECOND;
            assert_eq!(lab.poll("stays", &[Ask::Tags]).channel, stays);
            lab.house.tick(lab.now);
        }
        let house = &lab.house;
        assert_eq!(house.census(), Census { channels: 1, held: 0, filters: 1 });
        let rooms = [
            house.channels.room().to_vec(),
            house.audiences.room().to_vec(),
            vec![house.origins.room(), house.holds.room(), house.expiries.room()],
        ];
        assert!(rooms.iter().flatten().all(|room| *room <= 2 * SPARED), "wave {wave}: {rooms:?}");
        // Who asks on with what it knows of its channel finds no other there.
        let later = lab.poll("later", &[]).channel;
        assert!(later.slot() < SPARED);
        for old in channels {
            let poll = Poll {
                token: Token::parse("later").unwrap(),
                near: Some(old),
                asks: Vec::new(),
                origin: None,
            };
            assert_ne!(old, later);
            assert!(lab.house.channel(old).is_none());
            assert_eq!(lab.house.poll(poll, lab.now).unwrap().channel, later);
        }
    }
}

#[test]
fn c3_a_channel_among_those_that_ended_stays_where_it_is() {
    let mut lab = roomy();
    enter(&mut lab, 0);
    let last = lab.poll("last", &[all(only("b"))]).channel;
    for _ in 0..3 {
        lab.now += TERMS.channel_expiry - SECOND;
        assert_eq!(lab.poll("last", &[Ask::Tags]).channel, last);
        lab.house.tick(lab.now);
    }
    // The next is behind those that are free for good when the last has left.
    assert_eq!(lab.poll("next", &[]).channel.slot(), 0);
    lab.now += 2 * TERMS.channel_expiry;
    lab.house.tick(lab.now);
    assert_eq!(lab.house.census().channels, 0);
    assert!(
        lab.house.places() <= SPARED && lab.house.channels.room().into_iter().all(|room| room <= 2 * SPARED)
    );
}

#[test]
fn c3_a_filter_that_many_have_had_is_kept_once() {
    let mut lab = roomy();
    let tags = ["a", "b"];
    for i in 0..1_000 {
        // One after the other, so that each is the only one with its filter.
        lab.reader(&format!("t{i}"), only(tags[i % 2]));
        lab.now += TERMS.channel_expiry;
        lab.house.tick(lab.now);
    }
    assert_eq!(lab.house.census(), Census::default());
    let mut kept = Vec::new();
    for i in 980..1_000 {
        let entry = lab.house.remembered.find(&Token::parse(&format!("t{i}")).unwrap()).unwrap();
        kept.push(Arc::as_ptr(&entry.filter));
    }
    kept.sort_unstable();
    kept.dedup();
    assert_eq!(kept.len(), 2);
}
