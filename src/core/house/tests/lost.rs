//! Replies that were lost, and what is owed again.

use super::*;

#[test]
fn a_reply_that_was_lost_is_owed_again_with_the_states_of_now() {
    let mut lab = lab();
    let lost = lab.reply("t", &[all(TagFilter::Everything), history(3), Ask::Occupation]);
    assert_eq!(said(&lost.messages), "welcome tags history3 occupation0()");
    assert!(lab.house.give_back(lost.receipt, lab.now).is_none(), "no request waits");
    let lost = lab.reply("t", &[]);
    assert_eq!(said(&lost.messages), "welcome tags occupation0() history3");
    assert!(lab.house.give_back(lost.receipt, lab.now).is_none());
    lab.push(&[("apc1", OFF)]);
    let told = "welcome tags roomMap(a:1,b:0) schedule() occupation1(apc1=o) history3";
    assert_eq!(lab.told("t", &[]), told);
    assert_eq!(lab.told("t", &[]), "held");
}

#[test]
fn what_could_not_be_delivered_is_merged_with_what_came_since() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("apc2", OFF), ("bpc1", OFF)]);
    lab.reader("t", only("a"));
    lab.reader("u", only("a"));
    let (channel, _) = lab.hold("t", &[]);
    lab.hold("u", &[]);
    let delivery = lab.push(&[("apc1", UNKNOWN)]).remove(0);
    assert_eq!(delivery.to.len(), 2, "the same for both");
    lab.push(&[("apc2", UNKNOWN), ("bpc1", UNKNOWN)]);
    assert!(lab.house.give_back(delivery.receipt(channel), lab.now).is_none());
    assert_eq!(lab.told("t", &[]), "update3(apc1=x,apc2=x)");
    assert_eq!(lab.told("u", &[]), "update3(apc2=x)");
}

#[test]
fn a_new_pc_that_could_not_be_delivered_is_mapped_again() {
    let mut lab = lab();
    lab.reader("t", only("a"));
    let (channel, _) = lab.hold("t", &[]);
    let delivery = lab.push(&[("apc1", OFF)]).remove(0);
    assert!(lab.house.give_back(delivery.receipt(channel), lab.now).is_none());
    assert_eq!(lab.told("t", &[]), "roomMap(a:1) schedule() update1(apc1=o)");
}

#[test]
fn a_newer_request_that_is_held_is_answered_with_what_is_given_back() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF)]);
    lab.reader("t", only("a"));
    let (channel, _) = lab.hold("t", &[]);
    let delivery = lab.push(&[("apc1", UNKNOWN)]).remove(0);
    let (_, newer) = lab.hold("t", &[]);
    let (_, answered, reply) = lab.house.give_back(delivery.receipt(channel), lab.now).unwrap();
    assert_eq!((answered, said(&reply.messages)), (newer, "update2(apc1=x)".into()));
    assert_eq!(lab.house.census().held, 0);
    assert!(lab.house.give_back(reply.receipt, lab.now).is_none());
    assert_eq!(lab.told("t", &[]), "update2(apc1=x)", "which may be lost as well");
}

#[test]
fn a_request_that_nothing_was_given_back_for_stays_held_until_its_own_time() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF)]);
    lab.reader("t", only("a"));
    let (channel, _) = lab.hold("t", &[]);
    let delivery = lab.push(&[("apc1", UNKNOWN)]).remove(0);
    let hold = lab.hold("t", &[all(TagFilter::nothing())]);
    lab.now += 15 * SECOND;
    assert!(lab.house.give_back(delivery.receipt(channel), lab.now).is_none());
    assert_eq!(lab.house.census().held, 1);
    lab.now += 5 * SECOND;
    assert_eq!(lab.house.tick(lab.now).timed_out.to, [hold], "held no longer than any");
}

#[test]
fn a_version_does_not_fall_where_a_reply_is_given_back_after_a_newer_one_arrived() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("bpc1", OFF)]);
    lab.reader("t", only("a"));
    let (channel, _) = lab.hold("t", &[]);
    let lost = lab.push(&[("apc1", UNKNOWN)]).remove(0);
    lab.push(&[("bpc1", UNKNOWN)]);
    assert_eq!(lab.told("t", &[Ask::Occupation]), "occupation3(apc1=x)");
    assert!(lab.house.give_back(lost.receipt(channel), lab.now).is_none());
    assert_eq!(lab.told("t", &[]), "update3(apc1=x)");
}

#[test]
fn nobody_is_told_an_empty_update_where_a_filter_was_set_before_a_reply_came_back() {
    let mut lab = lab();
    let remains = Remains {
        versions: Versions { occupation: Version(5), ..Versions::default() },
        ..Remains::default()
    };
    let plan = Plan {
        rooms: ["a", "b"]
            .map(|key| RoomPlan {
                key: RoomKey::parse(key).unwrap(),
                name: key.into(),
                tags: vec![Tag::parse(key).unwrap()],
            })
            .into(),
        rules: Rules::default(),
        growth: Growth { pcs: 9, rooms: 9, sources: 9 },
    };
    lab.house = House::new(plan, remains, None, lab.house.terms);
    // Nothing passes this filter but the schedule, so it has seen no version of the occupation.
    let schedules = FilterChange { schedule: Some(TagFilter::Everything), ..FilterChange::default() };
    lab.told("t", &[Ask::SetFilter(schedules), Ask::Schedule]);
    let (channel, _) = lab.hold("t", &[]);
    let lost = lab.reserve("a").remove(0);
    let polled = lab.hold("t", &[all(only("b"))]);
    assert!(lab.house.give_back(lost.receipt(channel), lab.now).is_none(), "rooms that hold no PC");
    assert_eq!(lab.house.census().held, 1);
    assert_eq!(lab.reserve("b")[0].to, [polled]);
}

#[test]
fn what_an_ended_channel_was_owed_is_nothing_to_its_successor() {
    let mut lab = lab();
    let lost = lab.reply("t", &[all(only("a")), Ask::TagMap]);
    lab.now += 300 * SECOND;
    assert_eq!(lab.house.tick(lab.now).ended, [Token::parse("t").unwrap()]);
    assert_eq!(lab.told("other", &[]), "welcome tags");
    assert!(lab.house.give_back(lost.receipt, lab.now).is_none());
    assert_eq!(lab.told("other", &[]), "held");
}

// Bounds and the end.
