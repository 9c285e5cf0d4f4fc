//! Requests for which no channel could be had.

use super::*;
use crate::core::origins::Origin;
use crate::core::poll::{Fate, NoChannel};

fn poll(lab: &mut Lab, token: &str, asks: &[Ask], origin: Option<u64>) -> Result<Polled, Box<NoChannel>> {
    let token = Token::parse(token).unwrap();
    let poll = Poll { token, near: None, asks: asks.to_vec(), origin: origin.map(Origin::of) };
    lab.house.poll(poll, lab.now)
}

#[test]
fn c9_a_known_token_is_put_off_and_what_it_asked_takes_effect_once() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("bpc1", UNKNOWN)]);
    lab.reader("known", only("a"));
    lab.now += 300 * SECOND;
    lab.house.tick(lab.now);
    (0..5).for_each(|i| drop(lab.told(&format!("t{i}"), &[])));
    let asks = [all(only("b")), Ask::TagMap, history(3), Ask::Occupation];
    let none = poll(&mut lab, "known", &asks, None).unwrap_err();
    assert_eq!(none.why, Shortage::InAll(5));
    let Fate::PutOff { filter: Some(filter) } = none.fate else { panic!("{none:?}") };
    assert_eq!(filter.occupation, only("b"), "to be saved");
    let none = poll(&mut lab, "known", &[], None).unwrap_err();
    assert!(matches!(none.fate, Fate::PutOff { filter: None }), "{none:?}");
    lab.now += 300 * SECOND;
    lab.house.tick(lab.now);
    let told = lab.told("known", &[]);
    assert_eq!(told, "welcome tags tagMap roomMap(b:1) schedule() occupation1(bpc1=x) history3");
    assert_eq!(lab.told("known", &[]), "held");
}

#[test]
fn c9_an_unknown_token_is_given_back_as_it_came() {
    let mut lab = lab();
    (0..5).for_each(|i| drop(lab.told(&format!("t{i}"), &[])));
    let none = poll(&mut lab, "new", &[Ask::TagMap], None).unwrap_err();
    let Fate::Again(again) = none.fate else { panic!("{none:?}") };
    assert_eq!((again.token.as_str(), again.asks), ("new", vec![Ask::TagMap]));
}

#[test]
fn c10_an_address_has_its_share_of_channels_and_gets_it_back_as_they_end() {
    let mut lab = lab_with(Terms { share: Share { channels: 2, per_second: 20 }, max_channels: 9, ..TERMS });
    for token in ["a", "b"] {
        assert!(poll(&mut lab, token, &[], Some(1)).is_ok());
    }
    let none = poll(&mut lab, "c", &[], Some(1)).unwrap_err();
    assert_eq!(none.why, Shortage::OfAddress(2));
    assert!(poll(&mut lab, "a", &[], Some(1)).is_ok(), "a channel that is there is asked from anywhere");
    assert!(poll(&mut lab, "c", &[], Some(2)).is_ok(), "another address");
    assert!(poll(&mut lab, "d", &[], None).is_ok() && poll(&mut lab, "e", &[], None).is_ok(), "not counted");
    lab.now += 400 * SECOND;
    lab.house.tick(lab.now);
    lab.now += 400 * SECOND;
    lab.house.tick(lab.now);
    for token in ["f", "g"] {
        assert!(poll(&mut lab, token, &[], Some(1)).is_ok(), "{token}");
    }
}
