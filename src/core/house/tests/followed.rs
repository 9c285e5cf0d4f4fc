//! Who is told what when a mirror takes over the rooms and tags of its master.

use super::*;
use crate::core::message::RoomEntry;

fn lead(rooms: &[(&str, &str)], tags: &[(&str, &str)]) -> Lead {
    let key = |text: &str| RoomKey::parse(text).unwrap();
    let entry = |(room, pcs): &(&str, &str)| RoomEntry {
        key: key(room),
        name: (*room).into(),
        pcs: pcs.split_whitespace().map(|pc| PcName::parse(pc).unwrap()).collect(),
    };
    let tagged = tags
        .iter()
        .map(|(tag, rooms)| (Tag::parse(tag).unwrap(), rooms.split_whitespace().map(key).collect()));
    Lead { rooms: rooms.iter().map(entry).collect(), tags: Some(tagged.collect()) }
}

impl Lab {
    fn follow(&mut self, lead: &Lead) -> Vec<String> {
        let (followed, _) = self.house.follow(lead, self.now);
        followed
            .map_or_else(Vec::new, |(_, deliveries)| deliveries.iter().map(|d| said(&d.messages)).collect())
    }
}

#[test]
fn other_tags_are_told_to_all_and_what_they_let_pass_to_those_who_hear_of_it_now() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("bpc1", UNKNOWN)]);
    lab.reader("a", only("a"));
    lab.reader("away", only("a"));
    lab.reader("nobody", TagFilter::nothing());
    lab.hold("a", &[]);
    lab.hold("nobody", &[]);
    let same = lead(&[("a", "apc1"), ("b", "bpc1")], &[("a", "a"), ("b", "b")]);
    assert_eq!(lab.follow(&same), [""; 0], "what is known already is told to nobody");

    let mut told = lab.follow(&lead(&[("a", "apc1"), ("b", "bpc1")], &[("a", "a b")]));
    told.sort_unstable();
    let heard = "tagMap roomMap(a:1,b:1) schedule() update2(bpc1=x)";
    assert_eq!(told, ["tagMap", heard]);
    // Who was away is told the same when it asks, once.
    assert_eq!(lab.told("away", &[]), heard);
    assert_eq!(lab.told("away", &[]), "held");
}

#[test]
fn a_pc_that_moves_leaves_one_filter_and_is_told_of_under_the_other() {
    let mut lab = lab();
    lab.push(&[("apc1", OFF), ("bpc1", UNKNOWN)]);
    for filter in ["a", "b"] {
        lab.reader(filter, only(filter));
        lab.hold(filter, &[]);
    }
    let told = lab.follow(&Lead { tags: None, ..lead(&[("b", "apc1 bpc1")], &[]) });
    assert_eq!(told, ["roomMap(a:0) schedule()", "roomMap(b:2) schedule() update2(apc1=o)"]);
}
