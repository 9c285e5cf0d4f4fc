//! What is drawn, compared as text, on wide, narrow and empty screens.

use super::super::board::tests::THREE_ROOMS;
use super::super::screen::tests::{hear, screen};
use super::*;
use crate::client::Event;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::time::Duration;

const ELEVEN: TimeOfDay = TimeOfDay { hour: 11, minute: 0 };

fn lines_at(screen: &mut Screen, columns: u16, rows: u16, now: Instant) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, screen, now, ELEVEN)).unwrap();
    let buffer = terminal.backend().buffer();
    (0..rows)
        .map(|y| {
            let line: String = (0..columns).map(|x| buffer[(x, y)].symbol()).collect();
            line.trim_end().to_owned()
        })
        .collect()
}

fn lines(screen: &mut Screen, columns: u16, rows: u16) -> Vec<String> {
    lines_at(screen, columns, rows, Instant::now())
}

#[test]
fn a_wide_terminal_shows_everything() {
    let mut screen = screen(THREE_ROOMS);
    let update = r#"{"type":"occupation_update","version":2,"update":{"a1":"wu"}}"#;
    hear(&mut screen, update, Instant::now());
    let lines = lines(&mut screen, 100, 30);
    let expected = [
        " tkbd  http://127.0.0.1:8080/                                                         ● live  11:00",
        " 2 free of 6                                                                              all rooms",
        &format!(" {}{}{}{}", "█".repeat(32), "▒".repeat(33), "·".repeat(16), "?".repeat(17)),
        " █ 2 free (1 Windows, 1 Linux)    ▒ 2 used    · 1 off    ? 1 unknown",
        &"─".repeat(100),
    ];
    assert_eq!(lines[0], expected[0]);
    assert_eq!(lines[1], expected[1]);
    assert_eq!(lines[2].chars().count(), 99);
    assert_eq!(lines[3], expected[3]);
    assert_eq!(lines[4], expected[4]);
    assert!(lines[5].starts_with("  HG00.201 hg201  ████"), "{}", lines[5]);
    assert!(lines[5].ends_with("█   2 free of   2   1 W   1 L  until 12:30 Analyse 1"), "{}", lines[5]);
    assert!(lines[6].starts_with("▼ HG00.075 hg075  ▒▒▒▒"), "{}", lines[6]);
    assert!(lines[6].ends_with("?   0 free of   4   0 W   0 L"), "{}", lines[6]);
    assert!(lines[7].contains("Onbekend none   ----"), "{}", lines[7]);
    assert_eq!(lines[29], " s by name  t next tag  ↑↓ scroll  q quit");
}

#[test]
fn a_narrow_terminal_shows_what_matters() {
    let lines = lines(&mut screen(THREE_ROOMS), 40, 12);
    assert_eq!(lines[0], " tkbd                     ● live  11:00");
    assert_eq!(lines[1], " 3 free of 6                  all rooms");
    assert!(lines[2].starts_with("  HG00.201") && lines[2].ends_with("█   2/2"), "{}", lines[2]);
    assert!(lines[3].starts_with("  HG00.075") && lines[3].ends_with("?   1/4"), "{}", lines[3]);
    assert_eq!(lines[11], " s sort  t tag  q quit");
}

#[test]
fn names_that_are_long_foreign_or_hostile_keep_their_columns() {
    let rooms = r#"
        {"type":"roomMap","version":1,"roomMap":{
            "a":["A very long name of a room that nobody would have thought of",["a1"]],
            "b":["図書館の閲覧室",["b1"]],
            "c":["\u001b[31mred\u0007\nnext",["c1"]]}},
        {"type":"schedule","version":1,"schedule":{"b":[[[10,45],[12,30],"\u001b]0;title\u0007 Ωmega"]]}},
        {"type":"occupation","version":1,"occupation":{"a1":"wf","b1":"wf","c1":"wf"}}"#;
    for (columns, rows) in [(100, 30), (60, 20), (40, 12), (20, 5), (3, 3), (1, 1)] {
        let mut screen = screen(rooms);
        let lines = lines(&mut screen, columns, rows);
        assert!(lines.iter().all(|line| !line.contains(|c: char| c.is_control())), "{columns}x{rows}");
        if columns >= 60 {
            // Seats stand below each other: the columns before them are equally wide. One character
            // a cell: in the buffer a wide one is followed by a blank.
            let seats: Vec<usize> = lines
                .iter()
                .skip(5)
                .filter_map(|line| line.split_once("█ "))
                .map(|(before, _)| before.chars().count())
                .collect();
            assert_eq!(seats.len(), 3, "{lines:#?}");
            assert!(seats.windows(2).all(|pair| pair[0] == pair[1]), "{lines:#?}");
            assert!(lines.iter().any(|line| line.contains('…')), "{lines:#?}");
        }
    }
}

#[test]
fn no_rooms_no_link_and_no_tag_are_said() {
    let down = |screen: &mut Screen, now| {
        screen.heard(Event::Down { why: "Connection refused".into(), retry_in: Duration::from_secs(1) }, now);
    };
    let now = Instant::now();
    let mut fresh = Screen::new("http://x/".into(), true);
    let all = |screen: &mut Screen, later: u64| {
        lines_at(screen, 100, 30, now + Duration::from_secs(later)).join("\n")
    };
    assert!(all(&mut fresh, 0).contains("○ connecting"));
    down(&mut fresh, now);
    let text = all(&mut fresh, 12);
    assert!(
        text.contains(" down for 12 s, retrying ") && text.contains("── Connection refused ──"),
        "{text}"
    );
    assert!(text.contains("No answer yet"), "{text}");
    assert!(all(&mut fresh, 600).contains("down for 10 min"));

    let nothing =
        r#"{"type":"roomMap","version":1,"roomMap":{}},{"type":"occupation","version":1,"occupation":{}}"#;
    assert!(all(&mut screen(nothing), 0).contains("No rooms."));

    // What was known stays.
    let mut known = screen(THREE_ROOMS);
    down(&mut known, now);
    let text = all(&mut known, 12);
    assert!(text.contains("HG00.201") && text.contains("down for 12 s"), "{text}");
}

#[test]
fn scrolling_ends_where_the_rooms_end() {
    let rooms: Vec<String> = (0..40).map(|n| format!(r#""r{n:02}":["Room {n:02}",[]]"#)).collect();
    let messages = format!(
        r#"{{"type":"roomMap","version":1,"roomMap":{{{}}}}},{{"type":"occupation","version":1,"occupation":{{}}}}"#,
        rooms.join(",")
    );
    let mut screen = screen(&messages);
    let top = lines(&mut screen, 80, 26);
    assert!(top[5].contains("Room 00"));
    assert!(top[25].ends_with("rooms 1–20 of 40"), "{}", top[25]);
    screen.scroll = usize::MAX;
    let end = lines(&mut screen, 80, 26);
    assert!(end[5].contains("Room 20") && end[24].contains("Room 39"));
    assert_eq!(screen.scroll, 20);
}

#[test]
fn without_colours_every_state_still_has_its_shape() {
    let mut screen = screen(THREE_ROOMS);
    screen.colours = false;
    let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
    terminal.draw(|frame| draw(frame, &mut screen, Instant::now(), ELEVEN)).unwrap();
    let buffer = terminal.backend().buffer();
    assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    for kind in Kind::ALL {
        let glyph = kind.glyph().to_string();
        assert!(buffer.content().iter().any(|cell| cell.symbol() == glyph), "{kind:?}");
    }
}
