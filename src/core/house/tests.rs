//! Tables of what is best seen small; `tests/simulation.rs` has the rest.

use super::super::channel::tests::base;
use super::super::pc::{Occupation, PcName};
use super::super::poll::{Census, Shortage};
use super::super::room::{RoomPlan, Rule, Rules};
use super::super::schedule::TimeOfDay;
use super::super::source::{Source, Timestamp};
use super::super::state::Growth;
use super::super::tag::{FilterChange, Tag, TagFilter};
use super::super::version::Version;
use super::*;
use regex::Regex;
use std::sync::Arc;

mod abandoned;
mod followed;
mod lost;
mod refreshed;
mod turned_away;

const SECOND: Duration = Duration::from_secs(1);

const TERMS: Terms = Terms {
    hold: Duration::from_secs(20),
    channel_expiry: Duration::from_secs(300),
    max_channels: 5,
    share: Share { channels: 5, per_second: 20 },
    max_remembered: 9,
    refresh: Duration::from_secs(600),
};

/// A house with rooms `a` and `b`, tagged by their names, and a time that only it knows.
struct Lab {
    house: House,
    now: Instant,
}

fn lab() -> Lab {
    lab_with(TERMS)
}

fn lab_with(terms: Terms) -> Lab {
    let room = |key: &str| RoomPlan {
        key: RoomKey::parse(key).unwrap(),
        name: key.into(),
        tags: vec![Tag::parse(key).unwrap()],
    };
    let rule = Rule { pattern: Regex::new("^(.*?)pc").unwrap(), room: "$1".into() };
    let plan = Plan {
        rooms: vec![room("a"), room("b")],
        rules: Rules { rules: vec![rule], aliases: HashMap::new() },
        growth: Growth { pcs: 50, rooms: 9, sources: 9 },
    };
    Lab { house: House::new(plan, Remains::default(), None, terms), now: base() }
}

impl Lab {
    fn push(&mut self, states: &[(&str, Occupation)]) -> Vec<Delivery> {
        let states = states.iter().map(|(pc, to)| (PcName::parse(pc).unwrap(), *to)).collect();
        let push = Push::new(Source::unknown(), Timestamp(0), states).unwrap();
        self.house.push(push, self.now).unwrap().map(|(_, deliveries)| deliveries).unwrap_or_default()
    }

    fn reserve(&mut self, room: &str) -> Vec<Delivery> {
        let time = |hour| TimeOfDay::new(hour, 0).unwrap();
        let text = format!("{:?}", self.house.versions().schedule);
        let reserved = vec![Reservation { start: time(9), end: time(10), text }];
        let schedule = HashMap::from([(RoomKey::parse(room).unwrap(), reserved)]);
        self.house.set_schedule(&schedule, self.now).unwrap().1
    }

    fn poll(&mut self, token: &str, asks: &[Ask]) -> Polled {
        let poll =
            Poll { token: Token::parse(token).unwrap(), near: None, asks: asks.to_vec(), origin: None };
        self.house.poll(poll, self.now).unwrap()
    }

    fn told(&mut self, token: &str, asks: &[Ask]) -> String {
        match self.poll(token, asks).outcome {
            Outcome::Answer(reply) => said(&reply.messages),
            Outcome::Hold(_) => "held".into(),
        }
    }

    fn reply(&mut self, token: &str, asks: &[Ask]) -> Reply {
        match self.poll(token, asks).outcome {
            Outcome::Answer(reply) => reply,
            Outcome::Hold(_) => panic!("held"),
        }
    }

    fn hold(&mut self, token: &str, asks: &[Ask]) -> (ChannelId, HoldId) {
        let polled = self.poll(token, asks);
        match polled.outcome {
            Outcome::Hold(hold) => (polled.channel, hold),
            Outcome::Answer(reply) => panic!("told {}", said(&reply.messages)),
        }
    }

    /// A client that has asked for all under the filter, and has the answers.
    fn reader(&mut self, token: &str, filter: TagFilter) {
        self.told(token, &[all(filter), Ask::RoomMap, Ask::Schedule, Ask::Occupation]);
    }
}

const OFF: Occupation = Occupation::Off;
const UNKNOWN: Occupation = Occupation::Unknown;

fn only(tag: &str) -> TagFilter {
    TagFilter::Tags([Tag::parse(tag).unwrap()].into())
}

fn all(filter: TagFilter) -> Ask {
    Ask::SetFilter(FilterChange {
        occupation: Some(filter.clone()),
        room_map: Some(filter.clone()),
        schedule: Some(filter),
    })
}

fn occupation(filter: TagFilter) -> Ask {
    Ask::SetFilter(FilterChange { occupation: Some(filter), ..FilterChange::default() })
}

/// The messages of a reply in short: what they name, and of occupation the version and the states.
fn said(messages: &[Arc<Message>]) -> String {
    let states = |kind: &str, version: &Version, list: &[(PcName, Occupation)]| {
        let list: Vec<_> = list.iter().map(|(pc, is)| format!("{pc}={}", is.code())).collect();
        format!("{kind}{}({})", version.0, list.join(","))
    };
    let one = |message: &Arc<Message>| match message.body() {
        Body::Welcome => "welcome".into(),
        Body::Tags { .. } => "tags".into(),
        Body::TagMap { .. } => "tagMap".into(),
        Body::Occupation { version, occupation } => states("occupation", version, occupation),
        Body::OccupationUpdate { version, update } => states("update", version, update),
        Body::RoomMap { room_map, .. } => {
            let room = |room: &super::super::message::RoomEntry| format!("{}:{}", room.key, room.pcs.len());
            format!("roomMap({})", room_map.iter().map(room).collect::<Vec<_>>().join(","))
        }
        Body::Schedule { schedule, .. } => {
            format!(
                "schedule({})",
                schedule.iter().map(|(room, _)| room.as_str()).collect::<Vec<_>>().join(",")
            )
        }
        Body::HistoricUpdates(range) => format!("history{}", range.offset),
    };
    messages.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn history(offset: u64) -> Ask {
    Ask::HistoricUpdates(HistoricRange { offset, count: 1 })
}

// protocol.md, "When it is answered".

#[test]
fn rule_1_a_new_channel_is_answered_at_once_welcome_tags_and_then_its_answers() {
    let everything = || all(TagFilter::Everything);
    let cases = [
        (vec![], "welcome tags"),
        (vec![everything()], "welcome tags"),
        (vec![Ask::Tags], "welcome tags tags"),
        (vec![Ask::Occupation], "welcome tags occupation1()"),
        (
            vec![everything(), Ask::RoomMap, Ask::Schedule, Ask::Occupation],
            "welcome tags roomMap(a:1,b:0) schedule() occupation1(apc1=o)",
        ),
        (vec![Ask::Occupation, everything()], "welcome tags occupation1()"),
    ];
    for (asks, told) in cases {
        let mut lab = lab();
        lab.push(&[("apc1", OFF)]);
        assert_eq!(lab.told("t", &asks), told, "{asks:?}");
        assert_eq!(lab.told("t", &[]), "held", "after {asks:?}");
    }
}

#[test]
fn rule_2_all_answers_come_at_once_and_in_order() {
    let mut lab = lab();
    lab.reader("t", TagFilter::Everything);
    let asks = [history(5), Ask::TagMap, Ask::Schedule, Ask::RoomMap, Ask::Occupation, Ask::Tags];
    let told = "history5 tagMap schedule() roomMap(a:0,b:0) occupation0() tags";
    assert_eq!(lab.told("t", &asks), told);
}

#[test]
fn rule_3_what_waits_comes_at_once_and_all_of_it() {
    let mut lab = lab();
    lab.reader("t", TagFilter::Everything);
    lab.push(&[("apc1", OFF), ("bpc1", OFF)]);
    lab.push(&[("apc1", UNKNOWN)]);
    lab.reserve("b");
    let told = "roomMap(a:1,b:1) schedule(b) update2(bpc1=o,apc1=x)";
    assert_eq!(lab.told("t", &[]), told, "updates are one, the last state of each PC");
    lab.reserve("a");
    assert_eq!(lab.told("t", &[Ask::Tags]), "schedule(a) tags", "what waited comes before answers");
    assert_eq!(lab.told("t", &[]), "held");
}

#[test]
fn rule_4_otherwise_a_request_is_held_until_something_comes_or_the_time_out() {
    let mut lab = lab();
    lab.reader("a", only("a"));
    lab.reader("b", only("b"));
    let (a, b) = (lab.hold("a", &[]), lab.hold("b", &[]));
    let deliveries = lab.push(&[("apc1", OFF)]);
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].to, [a], "only the filter that it passes");
    assert_eq!(said(&deliveries[0].messages), "roomMap(a:1) schedule() update1(apc1=o)");
    assert_eq!(lab.house.next_deadline(), Some(lab.now + 20 * SECOND));
    lab.now += 19 * SECOND;
    assert!(lab.house.tick(lab.now).timed_out.to.is_empty());
    lab.now += SECOND;
    assert_eq!(lab.house.tick(lab.now).timed_out.to, [b]);
    assert_eq!(lab.house.census().held, 0);
}

#[test]
fn a_request_that_is_answered_and_held_again_has_its_whole_time() {
    let mut lab = lab();
    lab.reader("t", TagFilter::Everything);
    lab.hold("t", &[]);
    lab.now += 15 * SECOND;
    lab.push(&[("apc1", OFF)]);
    let held = lab.hold("t", &[]);
    lab.now += 19 * SECOND;
    assert!(lab.house.tick(lab.now).timed_out.to.is_empty());
    assert_eq!(lab.house.next_deadline(), Some(lab.now + SECOND));
    lab.now += SECOND;
    assert_eq!(lab.house.tick(lab.now).timed_out.to, [held]);
}

#[test]
fn each_is_told_of_a_push_what_passes_its_filter() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("bpc1", OFF)]);
    for (token, filter) in [("a", only("a")), ("all", TagFilter::Everything), ("no", TagFilter::nothing())] {
        lab.reader(token, filter);
        lab.hold(token, &[]);
    }
    let deliveries = lab.push(&[("apc1", UNKNOWN), ("bpc1", UNKNOWN)]);
    let mut told: Vec<_> = deliveries.iter().map(|delivery| said(&delivery.messages)).collect();
    told.sort();
    assert_eq!(told, ["update2(apc1=x)", "update2(apc1=x,bpc1=x)"]);
}

#[test]
fn rule_5_of_two_requests_the_older_is_answered_and_the_newer_gets_what_comes() {
    let mut lab = lab();
    lab.reader("t", TagFilter::Everything);
    let (_, older) = lab.hold("t", &[]);
    let polled = lab.poll("t", &[]);
    assert_eq!(polled.superseded, Some(older));
    let Outcome::Hold(newer) = polled.outcome else { panic!() };
    lab.house.withdraw(polled.channel, older, lab.now);
    assert_eq!(lab.house.census().held, 1, "the older one's departure is nothing to the newer");
    assert_eq!(lab.push(&[("apc1", OFF)])[0].to, [(polled.channel, newer)]);
    let (_, older) = lab.hold("t", &[]);
    let polled = lab.poll("t", &[Ask::Tags]);
    assert_eq!((polled.superseded, lab.house.census().held), (Some(older), 0));
}

#[test]
fn rule_6_a_message_without_an_answer_leaves_its_request_held() {
    let mut lab = lab();
    lab.reader("t", TagFilter::nothing());
    lab.push(&[("apc1", OFF)]);
    assert_eq!(lab.told("t", &[all(TagFilter::Everything)]), "held", "a filter brings no snapshot");
    let deliveries = lab.push(&[("apc1", UNKNOWN)]);
    assert_eq!(said(&deliveries[0].messages), "update2(apc1=x)", "and is heeded from then on");
}

#[test]
fn rule_7_a_client_that_leaves_while_held_loses_nothing() {
    let mut lab = lab();
    lab.reader("t", TagFilter::Everything);
    let (channel, hold) = lab.hold("t", &[]);
    lab.house.withdraw(channel, hold, lab.now);
    assert_eq!(lab.house.census().held, 0);
    assert!(lab.push(&[("apc1", OFF)]).is_empty());
    assert_eq!(lab.told("t", &[]), "roomMap(a:1,b:0) schedule() update1(apc1=o)");
}

#[test]
fn rule_8_a_channel_ends_unasked_for_and_comes_back_with_its_filter_and_snapshots() {
    let mut lab = lab();
    lab.reader("t", only("a"));
    lab.reader("nothing", TagFilter::nothing());
    lab.push(&[("apc1", OFF), ("bpc1", OFF)]);
    lab.now += 299 * SECOND;
    assert!(lab.house.tick(lab.now).ended.is_empty());
    lab.now += SECOND;
    assert_eq!(lab.house.tick(lab.now).ended.len(), 2);
    assert_eq!(lab.house.census(), Census::default());
    let polled = lab.poll("t", &[]);
    let Outcome::Answer(reply) = polled.outcome else { panic!() };
    assert_eq!(said(&reply.messages), "welcome tags roomMap(a:1) schedule() occupation1(apc1=o)");
    assert_eq!(polled.filter.map(|filter| filter.occupation.clone()), Some(only("a")), "saved anew");
    assert_eq!(lab.told("t", &[]), "held");
    assert_eq!(lab.told("nothing", &[]), "welcome tags", "there was nothing to restore");
}

#[test]
fn a_channel_does_not_end_while_its_request_is_held_or_soon_after() {
    let terms = Terms { hold: 500 * SECOND, ..TERMS };
    let mut lab = lab_with(terms);
    lab.reader("t", TagFilter::Everything);
    let (channel, hold) = lab.hold("t", &[]);
    for _ in 0..4 {
        lab.now += 100 * SECOND;
        let ticked = lab.house.tick(lab.now);
        assert!(ticked.ended.is_empty() && ticked.timed_out.to.is_empty());
    }
    lab.house.withdraw(channel, hold, lab.now);
    lab.now += 299 * SECOND;
    assert!(lab.house.tick(lab.now).ended.is_empty());
    lab.now += SECOND;
    assert_eq!(lab.house.tick(lab.now).ended.len(), 1);
}

#[test]
fn a_filter_is_remembered_for_a_day_since_the_channel_ended_a_restart_between() {
    let hour = 3600 * SECOND;
    let filter = Filter { occupation: only("a"), room_map: only("gone"), schedule: TagFilter::nothing() };
    let token = || Token::parse("t").unwrap();
    let mut lab1 = lab();
    lab1.house.remember(token(), filter.clone(), 23 * hour, lab1.now);
    lab1.push(&[("apc1", OFF)]);
    assert_eq!(lab1.told("t", &[]), "welcome tags roomMap() schedule() occupation1(apc1=o)");
    for ago in [24 * hour, 25 * hour] {
        let mut lab2 = lab();
        lab2.house.remember(token(), filter.clone(), ago, lab2.now);
        lab2.house.tick(lab2.now);
        assert_eq!(lab2.told("t", &[]), "welcome tags", "{ago:?}");
    }
}

// Conflation.

#[test]
fn a_reply_bears_occupation_once_and_an_answer_covers_what_is_due() {
    let cases = [
        (vec![Ask::Occupation], "occupation2(apc1=x)"),
        (vec![Ask::Occupation, Ask::Tags, Ask::Occupation], "tags occupation2(apc1=x)"),
        (vec![Ask::Tags], "tags update2(apc1=x)"),
    ];
    for (asks, told) in cases {
        let mut lab = lab();
        lab.push(&[("apc1", OFF)]);
        lab.reader("t", TagFilter::Everything);
        lab.push(&[("apc1", UNKNOWN)]);
        assert_eq!(lab.told("t", &asks), told, "{asks:?}");
        assert_eq!(lab.told("t", &[]), "held", "after {asks:?}");
    }
}

#[test]
fn what_was_due_stays_due_when_a_request_sets_the_filter() {
    let wider = || all(TagFilter::Everything);
    let cases = [
        (vec![wider()], "roomMap(a:1,b:1) schedule() update1(apc1=o,bpc1=o)"),
        (vec![all(only("b"))], "roomMap(b:1) schedule() update1(bpc1=o)"),
        (vec![all(TagFilter::nothing())], "roomMap() schedule()"),
        (vec![wider(), Ask::Occupation], "roomMap(a:1,b:1) schedule() occupation1(apc1=o,bpc1=o)"),
    ];
    for (asks, told) in cases {
        let mut lab = lab();
        lab.reader("t", only("a"));
        lab.push(&[("apc1", OFF), ("bpc1", OFF)]);
        assert_eq!(lab.told("t", &asks), told, "{asks:?}");
    }
}

#[test]
fn a_request_that_leaves_the_filter_as_it_found_it_leaves_what_is_due() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("bpc1", OFF)]);
    lab.reader("t", only("a"));
    lab.push(&[("apc1", UNKNOWN)]);
    let asks = [occupation(only("b")), Ask::Tags, occupation(only("a"))];
    assert_eq!(lab.told("t", &asks), "tags update2(apc1=x)");
}

#[test]
fn a_room_map_comes_before_all_that_names_its_new_pc_and_brings_the_schedule() {
    let mut lab = lab();
    lab.reader("t", TagFilter::Everything);
    lab.push(&[("apc1", OFF)]);
    let told = "roomMap(a:1,b:0) schedule() occupation1(apc1=o)";
    assert_eq!(lab.told("t", &[Ask::Occupation]), told);
    let change = FilterChange { room_map: Some(TagFilter::nothing()), ..FilterChange::default() };
    assert_eq!(lab.told("t", &[Ask::SetFilter(change)]), "held");
    let told = "update2(apc2=o)";
    assert_eq!(said(&lab.push(&[("apc2", OFF)])[0].messages), told, "to whom wants no roomMap");
}

// Replies that are lost.

#[test]
fn a_channel_too_many_is_refused_and_those_there_are_still_work() {
    let mut lab = lab();
    for token in ["1", "2", "3", "4", "5"] {
        lab.told(token, &[]);
    }
    let one_more = Poll {
        token: Token::parse("6").unwrap(),
        near: None,
        asks: vec![all(TagFilter::Everything)],
        origin: None,
    };
    assert_eq!(lab.house.poll(one_more, lab.now).unwrap_err().why, Shortage::InAll(5));
    assert_eq!(lab.house.census(), Census { channels: 5, held: 0, filters: 1 });
    assert_eq!(lab.told("3", &[Ask::Tags]), "tags");
    lab.now += 300 * SECOND;
    lab.house.tick(lab.now);
    assert_eq!(lab.told("6", &[]), "welcome tags");
}

#[test]
fn a_stop_answers_what_is_held_and_holds_no_more_and_loses_nothing() {
    let mut lab = lab();
    lab.reader("a", only("a"));
    lab.reader("b", only("b"));
    let held = [lab.hold("a", &[]), lab.hold("b", &[])];
    let mut drained = lab.house.drain(lab.now).to;
    drained.sort_by_key(|(channel, _)| *channel);
    assert_eq!(drained, held);
    assert!(lab.house.drain(lab.now).to.is_empty());
    assert!(lab.push(&[("apc1", OFF)]).is_empty());
    assert_eq!(lab.told("a", &[]), "roomMap(a:1) schedule() update1(apc1=o)");
    assert_eq!(lab.told("a", &[]), "", "at once, empty");
    assert_eq!(lab.house.census().held, 0);
}

#[test]
fn requests_with_one_filter_come_and_go_in_any_order() {
    let mut lab = lab();
    let tokens = ["1", "2", "3", "4"];
    tokens.iter().for_each(|token| lab.reader(token, TagFilter::Everything));
    let held: Vec<_> = tokens.iter().map(|token| lab.hold(token, &[])).collect();
    lab.house.withdraw(held[0].0, held[0].1, lab.now);
    lab.house.withdraw(held[3].0, held[3].1, lab.now);
    let again = lab.hold("1", &[]);
    let mut to = lab.push(&[("apc1", OFF)]).remove(0).to;
    to.sort_by_key(|(channel, _)| *channel);
    assert_eq!(to, [again, held[1], held[2]]);
}

#[test]
fn a_filter_is_to_be_saved_where_it_was_set_to_another() {
    let mut lab = lab();
    let cases = [
        (vec![], None),
        (vec![all(only("a"))], Some(only("a"))),
        (vec![all(only("a"))], None),
        (vec![Ask::SetFilter(FilterChange::default())], None),
        (vec![occupation(only("unknown"))], Some(TagFilter::nothing())),
    ];
    for (asks, saved) in cases {
        let filter = lab.poll("t", &asks).filter;
        assert_eq!(filter.map(|filter| filter.occupation.clone()), saved, "{asks:?}");
    }
}

#[test]
fn a_snapshot_of_a_filter_that_nobody_has_any_more_is_no_other_filters() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("bpc1", OFF)]);
    lab.told("t", &[]);
    // The third has the place of the first among the filters.
    let cases = [
        (only("a"), "apc1=o"),
        (only("b"), "bpc1=o"),
        (TagFilter::Everything, "apc1=o,bpc1=o"),
        (only("a"), "apc1=o"),
    ];
    for (filter, states) in cases {
        let told = format!("occupation1({states})");
        assert_eq!(lab.told("t", &[all(filter), Ask::Occupation]), told);
    }
}

#[test]
fn snapshots_are_shared_until_the_state_changes() {
    let mut lab = lab();
    lab.reader("t", TagFilter::Everything);
    lab.reader("u", TagFilter::Everything);
    let one = lab.reply("t", &[Ask::Occupation]).messages;
    assert!(Arc::ptr_eq(&one[0], &lab.reply("u", &[Ask::Occupation]).messages[0]));
    lab.push(&[("apc1", OFF)]);
    assert_eq!(lab.told("u", &[Ask::Occupation]), "roomMap(a:1,b:0) schedule() occupation1(apc1=o)");
    lab.reserve("a");
    assert_eq!(lab.told("u", &[Ask::Schedule]), "schedule(a) schedule(a)");
}
