//! What was told and may not have been heard, and is told again whole.

use super::*;

/// Asks as a client does, every twenty seconds, until something is told; how long that took, and what it was.
fn until_told(lab: &mut Lab, token: &str, most: u32) -> Option<(Duration, String)> {
    let start = lab.now;
    while lab.now < start + most * SECOND {
        match lab.told(token, &[]).as_str() {
            "held" => lab.now += 20 * SECOND,
            told => return Some((lab.now - start, told.to_owned())),
        }
        lab.house.tick(lab.now);
    }
    None
}

#[test]
fn c2_an_update_that_nobody_heard_is_healed_by_the_whole_within_ten_minutes_and_once() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("apc2", OFF)]);
    lab.told("t", &[occupation(only("a"))]);
    lab.hold("t", &[]);
    let told = lab.push(&[("apc1", UNKNOWN)]).remove(0);
    assert_eq!(said(&told.messages), "update2(apc1=x)");
    let (after, again) = until_told(&mut lab, "t", 601).unwrap();
    assert_eq!(again, "occupation2(apc1=x,apc2=o)", "the kinds that were told, and no others");
    assert!(after >= 280 * SECOND, "after {after:?}: it would cost more than it saves");
    assert_eq!(until_told(&mut lab, "t", 3600), None, "nothing new was told");
}

#[test]
fn c2_a_room_map_is_told_again_with_the_schedule_and_before_the_occupation() {
    let mut lab = lab();
    lab.told("t", &[all(only("a"))]);
    lab.hold("t", &[]);
    lab.push(&[("apc1", OFF)]);
    let (_, again) = until_told(&mut lab, "t", 601).unwrap();
    assert_eq!(again, "roomMap(a:1) schedule() occupation1(apc1=o)");
}

#[test]
fn c2_a_channel_that_was_told_nothing_is_told_nothing_again() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF)]);
    lab.told("t", &[all(only("a"))]);
    lab.hold("t", &[]);
    lab.push(&[("bpc1", OFF)]);
    assert_eq!(until_told(&mut lab, "t", 3600), None);
}

#[test]
fn c2_a_channel_that_is_told_something_all_the_time_has_the_whole_in_between() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("apc2", OFF)]);
    lab.told("t", &[occupation(only("a"))]);
    let mut wholes = 0;
    for i in 0..360 {
        let told = lab.told("t", &[]);
        if told != "held" {
            assert!(told.starts_with("occupation"), "{told}");
            wholes += 1;
            lab.hold("t", &[]);
        }
        lab.push(&[("apc1", if i % 2 == 0 { UNKNOWN } else { OFF })]);
        lab.now += 10 * SECOND;
        lab.house.tick(lab.now);
    }
    assert!((6..=12).contains(&wholes), "{wholes} times in an hour");
}

#[test]
fn c2_an_update_that_waits_is_in_the_whole_and_not_beside_it() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("apc2", OFF)]);
    lab.told("t", &[occupation(only("a"))]);
    lab.hold("t", &[]);
    lab.push(&[("apc1", UNKNOWN)]);
    lab.now += 290 * SECOND;
    lab.push(&[("apc2", UNKNOWN)]);
    lab.now += 300 * SECOND - SECOND;
    lab.house.terms.channel_expiry = 9999 * SECOND;
    assert_eq!(lab.told("t", &[]), "occupation3(apc1=x,apc2=x)");
}

#[test]
fn c2_what_was_told_under_another_filter_is_not_told_again() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF)]);
    lab.reader("t", only("a"));
    assert_eq!(lab.told("t", &[all(TagFilter::nothing())]), "held");
    lab.house.tick(lab.now + 20 * SECOND);
    assert_eq!(until_told(&mut lab, "t", 3600), None);
}

#[test]
fn c2_a_reply_on_a_connection_that_broke_is_owed_again_once_and_alone() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("apc2", OFF)]);
    lab.reader("t", only("a"));
    let (channel, _) = lab.hold("t", &[]);
    lab.push(&[("apc1", UNKNOWN)]);
    assert!(lab.house.doubt(channel, lab.now).is_none(), "no request waits");
    assert_eq!(lab.told("t", &[]), "update2(apc1=x)");
    assert_eq!(lab.told("t", &[]), "held");
    lab.now += 20 * SECOND;
    lab.house.tick(lab.now);
    assert!(lab.house.doubt(channel, lab.now).is_none());
    assert_eq!(lab.told("t", &[]), "held", "the last that it was told was nothing");
}

#[test]
fn c2_a_request_that_came_before_the_break_was_seen_is_answered_with_what_was_lost() {
    let mut lab = lab();
    lab.told("t", &[all(only("a"))]);
    let (channel, _) = lab.hold("t", &[]);
    lab.push(&[("apc1", OFF)]);
    let (_, newer) = lab.hold("t", &[]);
    let (_, answered, reply) = lab.house.doubt(channel, lab.now).unwrap();
    assert_eq!(answered, newer);
    assert_eq!(said(&reply.messages), "roomMap(a:1) schedule() update1(apc1=o)");
}

#[test]
fn c2_a_whole_that_was_lost_is_owed_again() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF)]);
    lab.told("t", &[occupation(only("a"))]);
    lab.hold("t", &[]);
    lab.push(&[("apc1", UNKNOWN)]);
    lab.now += 600 * SECOND;
    let lost = lab.reply("t", &[]);
    assert_eq!(said(&lost.messages), "occupation2(apc1=x)");
    assert!(lab.house.give_back(lost.receipt, lab.now).is_none());
    assert_eq!(lab.told("t", &[]), "occupation2(apc1=x)");
}

#[test]
fn c2_ten_thousand_that_were_told_at_once_ask_for_the_whole_at_different_times() {
    let mut lab = lab_with(Terms { max_channels: 10_000, ..TERMS });
    lab.push(&[("apc1", OFF)]);
    let tokens: Vec<String> = (0..10_000).map(|i| format!("t{i}")).collect();
    for token in &tokens {
        lab.told(token, &[occupation(only("a"))]);
        lab.told(token, &[]);
    }
    lab.push(&[("apc1", UNKNOWN)]);
    let start = lab.now;
    let mut most = 0;
    let mut wholes = 0;
    while lab.now < start + 600 * SECOND {
        let mut told = |token: &String| lab.told(token, &[]) != "held";
        let again = tokens.iter().filter(|token| told(token)).count();
        most = most.max(again);
        wholes += again;
        lab.now += 20 * SECOND;
        lab.house.tick(lab.now);
    }
    assert_eq!(wholes, 10_000);
    assert!(most < 1_000, "{most} at once");
}
