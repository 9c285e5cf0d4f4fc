//! What the live view knows and how it reacts to keys and news. Pure: it is told the time.

use super::board::{self, Counts, Order, Row};
use crate::client::{Event, View};
use crate::core::room::RoomKey;
use crate::core::schedule::TimeOfDay;
use crate::core::tag::Tag;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The live view.
#[derive(Debug)]
pub(super) struct Screen {
    /// Of which daemon.
    pub(super) address: String,
    pub(super) colours: bool,
    pub(super) order: Order,
    /// Only rooms of this tag.
    pub(super) tag: Option<Tag>,
    /// How many rooms are scrolled past.
    pub(super) scroll: usize,
    /// How many rooms fitted last time; told by whoever draws.
    pub(super) page: usize,
    pub(super) link: Link,
    view: View,
    recent: HashMap<RoomKey, Recent>,
}

/// Whether there is a link to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// Not yet.
    Connecting,
    /// What is shown is what is.
    Live,
    /// What is shown was so.
    Down { since: Instant, why: String },
}

/// What has just happened in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trend {
    /// It has more free seats.
    More,
    /// It has fewer.
    Fewer,
    /// Something else has changed.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Recent {
    trend: Trend,
    at: Instant,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    GoOn,
    Quit,
}

/// How long a change is highlighted: long enough to be seen in the corner of the eye.
const BRIEFLY: Duration = Duration::from_secs(3);

impl Screen {
    pub(super) fn new(address: String, colours: bool) -> Screen {
        Screen {
            address,
            colours,
            order: Order::Free,
            tag: None,
            scroll: 0,
            page: 1,
            link: Link::Connecting,
            view: View::default(),
            recent: HashMap::new(),
        }
    }

    /// Something came from the daemon, or nothing does.
    pub(super) fn heard(&mut self, event: Event, now: Instant) {
        match event {
            Event::Down { why, .. } => match &mut self.link {
                Link::Down { why: last, .. } => *last = why,
                Link::Connecting | Link::Live => self.link = Link::Down { since: now, why },
            },
            Event::Heard(reply) => {
                self.link = Link::Live;
                for message in reply.messages {
                    // By how many the free seats of each room change: one that somebody leaves for another
                    // in the same room is neither more nor fewer.
                    let mut rooms: HashMap<RoomKey, i64> = HashMap::new();
                    for change in self.view.apply(message) {
                        let Some(room) = change.room else { continue };
                        let free =
                            |state| i64::try_from(Counts::of(std::iter::once(state)).free()).unwrap_or(0);
                        *rooms.entry(room).or_default() += free(change.to) - change.from.map_or(0, free);
                    }
                    for (room, more) in rooms {
                        let trend = match more {
                            0 => Trend::Other,
                            1.. => Trend::More,
                            _ => Trend::Fewer,
                        };
                        self.recent.insert(room, Recent { trend, at: now });
                    }
                }
            }
        }
    }

    /// Forgets what was highlighted long enough.
    pub(super) fn tick(&mut self, now: Instant) {
        self.recent.retain(|_, recent| now.saturating_duration_since(recent.at) < BRIEFLY);
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: KeyEvent) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::GoOn;
        }
        let page = self.page.max(1);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Flow::Quit,
            KeyCode::Char('q') | KeyCode::Esc => return Flow::Quit,
            KeyCode::Char('s') => {
                self.order = match self.order {
                    Order::Free => Order::Name,
                    Order::Name => Order::Free,
                };
                self.scroll = 0;
            }
            KeyCode::Char('t') => self.next_tag(),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll = self.scroll.saturating_add(page),
            KeyCode::Home | KeyCode::Char('g') => self.scroll = 0,
            KeyCode::End | KeyCode::Char('G') => self.scroll = usize::MAX,
            _ => {}
        }
        Flow::GoOn
    }

    /// All rooms, then each tag that some room here carries, then all rooms again.
    fn next_tag(&mut self) {
        let shown: Vec<&RoomKey> = self.view.rooms().map(|(key, _)| key).collect();
        let mut offered = self
            .view
            .tags()
            .iter()
            .filter(|(_, rooms)| shown.iter().any(|key| rooms.contains(*key)))
            .map(|(tag, _)| tag);
        self.tag = match &self.tag {
            None => offered.next().cloned(),
            Some(current) => offered.find(|tag| *tag > current).cloned(),
        };
        self.scroll = 0;
    }

    /// Whether there is anything to show yet.
    pub(super) fn is_whole(&self) -> bool {
        self.view.is_whole()
    }

    pub(super) fn rows(&self, now: TimeOfDay) -> Vec<Row> {
        board::rows(&self.view, self.order, self.tag.as_ref(), now)
    }

    pub(super) fn trend(&self, room: &RoomKey) -> Option<Trend> {
        self.recent.get(room).map(|recent| recent.trend)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::board::tests::THREE_ROOMS;
    use super::*;
    use crate::wire::client::reply;

    pub(in super::super) fn screen(messages: &str) -> Screen {
        let mut screen = Screen::new("http://127.0.0.1:8080/".into(), true);
        hear(&mut screen, messages, Instant::now());
        screen
    }

    pub(in super::super) fn hear(screen: &mut Screen, messages: &str, now: Instant) {
        let body = format!(r#"["t",[{messages}],[]]"#);
        screen.heard(Event::Heard(reply(body.as_bytes()).unwrap()), now);
    }

    fn press(screen: &mut Screen, code: KeyCode) -> Flow {
        screen.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn room(key: &str) -> RoomKey {
        RoomKey::parse(key).unwrap()
    }

    #[test]
    fn a_change_is_highlighted_briefly_with_its_direction() {
        let start = Instant::now();
        let mut screen = screen(THREE_ROOMS);
        assert_eq!(screen.trend(&room("hg075")), None, "a first snapshot is no change");
        for (update, trend) in [
            (r#"{"a1":"wu"}"#, Some(Trend::Fewer)),
            (r#"{"a1":"wf"}"#, Some(Trend::More)),
            (r#"{"a1":"wu","a2":"lf"}"#, Some(Trend::Other)),
            (r#"{"a3":"x"}"#, Some(Trend::Other)),
        ] {
            let message = format!(r#"{{"type":"occupation_update","version":2,"update":{update}}}"#);
            hear(&mut screen, &message, start);
            assert_eq!(screen.trend(&room("hg075")), trend, "{update}");
        }
        screen.tick(start + Duration::from_millis(2900));
        assert!(screen.trend(&room("hg075")).is_some());
        screen.tick(start + Duration::from_secs(3));
        assert_eq!(screen.trend(&room("hg075")), None);
    }

    #[test]
    fn keys_sort_choose_scroll_and_quit() {
        let mut screen = screen(THREE_ROOMS);
        assert_eq!(press(&mut screen, KeyCode::Char('s')), Flow::GoOn);
        assert_eq!(screen.order, Order::Name);
        // "empty" has no room here and is not offered.
        let mut tags = Vec::new();
        for _ in 0..3 {
            press(&mut screen, KeyCode::Char('t'));
            tags.push(screen.tag.as_ref().map(ToString::to_string));
        }
        assert_eq!(tags, [Some("hg".to_owned()), None, Some("hg".to_owned())]);
        press(&mut screen, KeyCode::Down);
        assert_eq!(screen.scroll, 1);
        for code in [KeyCode::End, KeyCode::Down, KeyCode::PageDown] {
            press(&mut screen, code);
            assert_eq!(screen.scroll, usize::MAX);
        }
        press(&mut screen, KeyCode::Home);
        press(&mut screen, KeyCode::Up);
        assert_eq!(screen.scroll, 0);
        assert_eq!(press(&mut screen, KeyCode::Char('q')), Flow::Quit);
        assert_eq!(press(&mut screen, KeyCode::Esc), Flow::Quit);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(screen.key(interrupt), Flow::Quit);
    }

    #[test]
    fn the_link_is_down_since_its_first_failure() {
        let start = Instant::now();
        let mut screen = Screen::new(String::new(), true);
        assert_eq!(screen.link, Link::Connecting);
        let down = |why: &str| Event::Down { why: why.into(), retry_in: Duration::from_secs(1) };
        screen.heard(down("refused"), start);
        screen.heard(down("no answer"), start + Duration::from_secs(9));
        assert_eq!(screen.link, Link::Down { since: start, why: "no answer".into() });
        hear(&mut screen, "", start);
        assert_eq!(screen.link, Link::Live);
    }
}
