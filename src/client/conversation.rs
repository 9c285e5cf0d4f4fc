//! What to ask next, decided from what was heard. Pure.

use crate::core::pc::PcName;
use crate::core::poll::Ask;
use crate::core::tag::{FilterChange, TagFilter};
use crate::core::token::Token;
use crate::wire::client::{Message, Reply, request};
use std::collections::HashSet;

/// A conversation with a daemon that may restart, forget and lose replies at any time.
#[derive(Debug)]
pub struct Conversation {
    filter: TagFilter,
    wanted: Vec<Ask>,
    token: Option<Token>,
    next: Next,
    /// The next request that is no hello asks for the tagMap, too.
    asks_tag_map: bool,
    /// The PCs of the last `roomMap`.
    listed: HashSet<PcName>,
    /// PCs that were named but not listed, and have been asked about since the last `roomMap` that
    /// differed: one that stays a stranger is not asked about for ever.
    strangers: HashSet<PcName>,
}

/// What the next request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// The filter, and everything that is wanted.
    Hello,
    /// The room map, because an update named a PC that is in no room of it.
    Rooms,
    /// Nothing: wait for what comes.
    Poll,
}

impl Conversation {
    /// More strangers than this are not remembered: a daemon has at most so many PCs (reliability.md S3).
    const MAX_STRANGERS: usize = 10_000;

    /// A conversation about the rooms of `filter`, that begins with asking for `wanted`, in that order.
    pub fn new(filter: TagFilter, wanted: Vec<Ask>) -> Conversation {
        Conversation {
            filter,
            wanted,
            token: None,
            next: Next::Hello,
            asks_tag_map: false,
            listed: HashSet::new(),
            strangers: HashSet::new(),
        }
    }

    /// What people watch: tags, rooms, reservations, states; in an order in which no state comes before its room.
    pub fn watching(filter: TagFilter) -> Conversation {
        Conversation::new(filter, vec![Ask::TagMap, Ask::RoomMap, Ask::Schedule, Ask::Occupation])
    }

    /// What a mirror follows. The original ends a request for the tagMap without an answer, so that who follows it
    /// asks for that only when the daemon has proved to be another: [`Conversation::ask_tag_map`].
    pub fn following() -> Conversation {
        Conversation::new(TagFilter::Everything, vec![Ask::RoomMap, Ask::Schedule, Ask::Occupation])
    }

    /// Has the next request that is no hello ask for the tagMap.
    pub fn ask_tag_map(&mut self) {
        self.asks_tag_map = true;
    }

    /// Whether the next request asks for everything.
    pub fn is_hello(&self) -> bool {
        self.next == Next::Hello
    }

    /// The body of the next request.
    pub fn request(&self) -> Vec<u8> {
        match self.next {
            Next::Hello => {
                let filter = || Some(self.filter.clone());
                let change = FilterChange { occupation: filter(), room_map: filter(), schedule: filter() };
                let asks: Vec<Ask> =
                    std::iter::once(Ask::SetFilter(change)).chain(self.wanted.iter().cloned()).collect();
                request(self.token.as_ref(), &asks)
            }
            Next::Rooms | Next::Poll => {
                let tag_map = self.asks_tag_map.then_some(Ask::TagMap);
                let rooms = (self.next == Next::Rooms).then_some(Ask::RoomMap);
                request(self.token.as_ref(), &tag_map.into_iter().chain(rooms).collect::<Vec<_>>())
            }
        }
    }

    /// The request was answered.
    pub fn heard(&mut self, reply: &Reply) {
        self.asks_tag_map &= self.is_hello();
        let mut welcomed = false;
        let mut strange = false;
        for message in &reply.messages {
            match message {
                Message::Welcome => welcomed = true,
                Message::RoomMap { rooms, .. } => {
                    let listed: HashSet<PcName> =
                        rooms.iter().flat_map(|room| room.pcs.iter().cloned()).collect();
                    if listed != self.listed {
                        self.strangers.clear();
                        self.listed = listed;
                    }
                    strange = false;
                }
                Message::Update { states, .. } | Message::Occupation { states, .. } => {
                    for (name, _) in states {
                        strange |= !self.listed.contains(name)
                            && self.strangers.len() < Self::MAX_STRANGERS
                            && self.strangers.insert(name.clone());
                    }
                }
                _ => {}
            }
        }
        // A welcome is the answer to a hello on a new channel. Any other says that the daemon has
        // forgotten the channel, and with it the filter (reliability.md F4, M3).
        let forgotten = welcomed && !self.is_hello();
        let wants_rooms = self.wanted.contains(&Ask::RoomMap);
        self.next = match (forgotten, strange && wants_rooms) {
            (true, _) => Next::Hello,
            (false, true) => Next::Rooms,
            (false, false) => Next::Poll,
        };
        self.token = Some(reply.token.clone());
    }

    /// No usable answer came, so nobody knows what the daemon did with the request: begin anew, on the
    /// same channel.
    pub fn failed(&mut self) {
        self.asks_tag_map = false;
        self.next = Next::Hello;
    }

    /// The daemon refused the request, perhaps for its token: begin anew, on a new channel.
    pub fn refused(&mut self) {
        self.token = None;
        self.failed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::client::reply;

    const WELCOME: &str = r#"{"type":"welcome","protocols":[1]}"#;
    const ROOMS: &str = r#"{"type":"roomMap","version":1,"roomMap":{"a":["A",["apc1"]]}}"#;
    const KNOWN: &str = r#"{"type":"occupation_update","version":1,"update":{"apc1":"o"}}"#;
    const STRANGER: &str = r#"{"type":"occupation_update","version":1,"update":{"apc2":"o"}}"#;
    const BOTH_ROOMS: &str = r#"{"type":"roomMap","version":2,"roomMap":{"a":["A",["apc1","apc2"]]}}"#;
    const FULL: &str = r#"{"type":"occupation","version":1,"occupation":{"apc1":"o"}}"#;

    fn said(conversation: &Conversation) -> String {
        let body: serde_json::Value = serde_json::from_slice(&conversation.request()).unwrap();
        let list = body.as_array().unwrap();
        let words = list.iter().skip(1).map(|m| m["type"].as_str().unwrap().trim_start_matches("get_"));
        let token = list[0].as_str().unwrap_or("new");
        std::iter::once(token).chain(words).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_asked_follows_from_what_was_heard() {
        const HELLO: &str = "set_msgFilter tagMap roomMap schedule occupation";
        // One conversation: what is said, then what comes back.
        let cases = [
            (format!("new {HELLO}"), vec![WELCOME, ROOMS, FULL]),
            ("t".into(), vec![]),
            ("t".into(), vec![KNOWN]),
            // A PC that is in no room: its room is asked for, once.
            ("t".into(), vec![STRANGER]),
            ("t roomMap".into(), vec![ROOMS]),
            ("t".into(), vec![STRANGER]),
            // A room map that comes with the update settles it.
            ("t".into(), vec![STRANGER, BOTH_ROOMS]),
            ("t".into(), vec![STRANGER]),
            // The daemon has restarted.
            ("t".into(), vec![WELCOME, ROOMS, FULL]),
            (format!("t {HELLO}"), vec![BOTH_ROOMS, FULL]),
            ("t".into(), vec![]),
        ];
        let mut conversation = Conversation::watching(TagFilter::Everything);
        for (expected, messages) in cases {
            assert_eq!(said(&conversation), expected);
            let body = format!(r#"["t",[{}],[]]"#, messages.join(","));
            conversation.heard(&reply(body.as_bytes()).unwrap());
        }
        conversation.failed();
        assert_eq!(said(&conversation), format!("t {HELLO}"));
        conversation.refused();
        assert_eq!(said(&conversation), format!("new {HELLO}"));
    }

    #[test]
    fn the_answers_to_a_hello_may_come_later() {
        // The original daemon welcomes first and keeps the answers for the next requests.
        let mut conversation = Conversation::watching(TagFilter::Everything);
        for messages in [WELCOME, ROOMS, FULL] {
            conversation.heard(&reply(format!(r#"["t",[{messages}],[]]"#).as_bytes()).unwrap());
            assert_eq!(said(&conversation), "t");
        }
    }
}
