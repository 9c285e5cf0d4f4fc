//! The live view, drawn.

use super::bar::{self, Kind};
use super::board::{self, Counts, Order, Reserved, Row};
use super::screen::{Link, Screen, Trend};
use crate::commands::text::{cut, fit, plain, width};
use crate::core::schedule::TimeOfDay;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::time::Instant;

/// Draws everything; corrects the scrolling to what there is.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &mut Screen, now: Instant, clock: TimeOfDay) {
    let area = frame.area();
    let rows = screen.rows(clock);
    let total = board::total(&rows);
    // A low terminal shows rooms rather than a legend.
    let head = if area.height >= 14 { 5 } else { 2 };
    let [top, body, bottom] =
        Layout::vertical([Constraint::Length(head), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    screen.page = usize::from(body.height);
    screen.scroll = screen.scroll.min(rows.len().saturating_sub(screen.page));

    frame.render_widget(Paragraph::new(header(screen, &total, top, now, clock)), top);
    if rows.is_empty() {
        frame.render_widget(Paragraph::new(empty(screen, body)), body);
    } else {
        let columns = Columns::of(&rows, usize::from(body.width));
        let lines: Vec<Line<'_>> = rows
            .iter()
            .skip(screen.scroll)
            .take(screen.page)
            .map(|row| room(row, screen, &columns))
            .collect();
        frame.render_widget(Paragraph::new(lines), body);
    }
    frame.render_widget(Paragraph::new(help(screen, rows.len(), usize::from(bottom.width))), bottom);
}

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

fn header(screen: &Screen, total: &Counts, area: Rect, now: Instant, clock: TimeOfDay) -> Vec<Line<'static>> {
    let columns = usize::from(area.width);
    let (state, style) = link(screen, now);
    let clock = format!("{:02}:{:02}", clock.hour, clock.minute);
    let right = width(&state) + 2 + width(&clock) + 1;
    let left = columns.saturating_sub(right + 1);
    let address = plain(&screen.address);
    let title = if left >= width(&address) + 8 {
        fit(&format!(" tkbd  {address}"), left)
    } else {
        fit(" tkbd", left)
    };
    let mut lines = vec![Line::from(vec![
        Span::styled(title.get(..5).unwrap_or_default().to_owned(), BOLD),
        Span::styled(title.get(5..).unwrap_or_default().to_owned(), DIM),
        Span::raw(" "),
        Span::styled(state, style),
        Span::raw(format!("  {clock} ")),
    ])];
    let headline = format!(" {} free of {}", total.free(), total.total());
    let chosen = match &screen.tag {
        Some(tag) => format!("rooms with tag {tag} "),
        None => "all rooms ".into(),
    };
    let gap = columns.saturating_sub(width(&headline) + width(&chosen));
    lines.push(Line::from(vec![
        Span::styled(headline, Kind::Free.style(screen.colours).add_modifier(Modifier::BOLD)),
        Span::raw(" ".repeat(gap)),
        Span::styled(chosen, DIM),
    ]));
    if area.height > 2 {
        let mut bar = vec![Span::raw(" ")];
        bar.extend(bar::spans(total, columns.saturating_sub(2), screen.colours));
        lines.push(Line::from(bar));
        lines.push(legend(total, columns, screen.colours));
        lines.push(rule(screen, columns));
    }
    lines
}

fn link(screen: &Screen, now: Instant) -> (String, Style) {
    let coloured = |color| if screen.colours { Style::new().fg(color) } else { Style::new() };
    match &screen.link {
        Link::Connecting => ("○ connecting".into(), coloured(Color::Yellow)),
        Link::Live => ("● live".into(), coloured(Color::Cyan)),
        Link::Down { since, .. } => {
            let seconds = now.saturating_duration_since(*since).as_secs();
            let told = match seconds {
                0..120 => format!("{seconds} s"),
                120..7200 => format!("{} min", seconds / 60),
                _ => format!("{} h", seconds / 3600),
            };
            let style = coloured(Color::Yellow).add_modifier(Modifier::BOLD | Modifier::REVERSED);
            (format!(" down for {told}, retrying "), style)
        }
    }
}

fn legend(total: &Counts, columns: usize, colours: bool) -> Line<'static> {
    let wide = columns >= 76;
    let mut spans = Vec::new();
    for kind in Kind::ALL {
        spans.push(Span::styled(format!(" {}", kind.glyph()), kind.style(colours)));
        let mut text = format!(" {} {}", kind.count(total), kind.word());
        if kind == Kind::Free && wide {
            text.push_str(&format!(" ({} Windows, {} Linux)", total.windows, total.linux));
        }
        text.push_str(if columns >= 56 { "   " } else { "" });
        spans.push(Span::raw(text));
    }
    Line::from(spans)
}

/// Between the whole and the rooms: a line, which says what is wrong while the link is down.
fn rule(screen: &Screen, columns: usize) -> Line<'static> {
    let Link::Down { why, .. } = &screen.link else { return Line::styled("─".repeat(columns), DIM) };
    let said = cut(&format!("── {} ", plain(why)), columns);
    let rest = columns.saturating_sub(width(&said));
    Line::from(vec![Span::styled(said, BOLD), Span::styled("─".repeat(rest), DIM)])
}

/// How wide the columns are; those of width 0 are left out. What matters least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    name: usize,
    key: usize,
    bar: usize,
    /// Whether the seats are told in words.
    words: bool,
    systems: bool,
    reserved: usize,
}

impl Columns {
    fn of(rows: &[Row], columns: usize) -> Columns {
        let widest = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let reserved = widest(&|row| row.reserved.as_ref().map_or(0, |r| width(&plain(&r.describe()))));
        let key = if columns >= 76 { widest(&|row| width(row.key.as_str())).min(12) } else { 0 };
        // Names that begin alike must not be cut alike.
        let longest = (columns * 2 / 5).clamp(8, 22);
        let name = widest(&|row| width(&plain(&row.name))).min(longest);
        let words = columns >= 70;
        let systems = columns >= 56;
        let fixed = MARK
            + name
            + 1
            + if key > 0 { key + 2 } else { 0 }
            + if words { WORDS } else { FIGURES }
            + if systems { SYSTEMS } else { 0 };
        let left = columns.saturating_sub(fixed);
        // A reservation is worth a shorter bar, as long as it can say more than its time.
        let reserved = if left >= 34 { reserved.min(left - 16) } else { 0 };
        let bar = left.saturating_sub(if reserved > 0 { reserved + 2 } else { 1 }).min(60);
        Columns { name, key, bar, words, systems, reserved }
    }
}

const MARK: usize = 2;
/// `  12 free of  60`, for rooms of up to 999 PCs.
const WORDS: usize = 16;
/// `  12/60  `, for rooms of up to 999 PCs.
const FIGURES: usize = 9;
/// `   8 W   4 L`.
const SYSTEMS: usize = 12;

fn room(row: &Row, screen: &Screen, columns: &Columns) -> Line<'static> {
    let colours = screen.colours;
    let trend = screen.trend(&row.key);
    let (mark, mark_style) = match trend {
        Some(Trend::More) => ("▲ ", Kind::Free.style(colours)),
        Some(Trend::Fewer) => ("▼ ", Kind::Used.style(colours)),
        Some(Trend::Other) => ("• ", Style::new()),
        None => ("  ", Style::new()),
    };
    let counts = &row.counts;
    let (free, total) = (counts.free(), counts.total());
    let strong = if trend.is_some() { BOLD } else { Style::new() };
    let mut spans = vec![
        Span::styled(mark, mark_style.add_modifier(Modifier::BOLD)),
        Span::styled(fit(&plain(&row.name), columns.name), strong),
        Span::raw(" "),
    ];
    if columns.key > 0 {
        spans.push(Span::styled(fit(row.key.as_str(), columns.key + 2), DIM));
    }
    spans.extend(bar::spans(counts, columns.bar, colours));
    let figure = strong.patch(Kind::Free.style(colours)).add_modifier(Modifier::BOLD);
    if columns.words {
        spans.push(Span::styled(format!(" {free:>3}"), if free > 0 { figure } else { DIM }));
        spans.push(Span::raw(format!(" free of {total:>3}")));
    } else {
        let seats = format!(" {free:>3}/{total}");
        spans.push(Span::styled(fit(&seats, FIGURES), if free > 0 { figure } else { DIM }));
    }
    if columns.systems {
        for (count, system) in [(counts.windows, 'W'), (counts.linux, 'L')] {
            let style = if count > 0 { Style::new() } else { DIM };
            spans.push(Span::styled(format!(" {count:>3} {system}"), style));
        }
    }
    if columns.reserved > 0
        && let Some(reserved) = &row.reserved
    {
        let style = match reserved {
            Reserved::Until(..) => Style::new(),
            Reserved::From(..) => DIM,
        };
        spans.push(Span::styled(format!("  {}", cut(&plain(&reserved.describe()), columns.reserved)), style));
    }
    let line = Line::from(spans);
    // What is shown was so, and may not be any more.
    if matches!(screen.link, Link::Down { .. }) { line.patch_style(DIM) } else { line }
}

fn empty(screen: &Screen, area: Rect) -> Vec<Line<'static>> {
    let text = match (&screen.link, &screen.tag) {
        (Link::Connecting, _) => "Asking for the rooms…".into(),
        (Link::Down { .. }, _) if !screen.is_whole() => "No answer yet. It is asked again and again.".into(),
        (_, Some(tag)) => format!("No room carries the tag {tag}. Press t for others."),
        _ if screen.is_whole() => "No rooms. A room appears with the first push of one of its PCs.".into(),
        _ => "Asking for the rooms…".into(),
    };
    let mut lines = vec![Line::default(); usize::from(area.height / 3)];
    lines.push(Line::raw(cut(&text, usize::from(area.width))).centered());
    lines
}

fn help(screen: &Screen, rows: usize, columns: usize) -> Line<'static> {
    let sort = match screen.order {
        Order::Free => "by name",
        Order::Name => "by free seats",
    };
    let keys: &[(&str, &str)] = if columns >= 50 {
        &[("s", sort), ("t", "next tag"), ("↑↓", "scroll"), ("q", "quit")]
    } else {
        &[("s", "sort"), ("t", "tag"), ("q", "quit")]
    };
    let mut spans = Vec::new();
    for (key, does) in keys {
        spans.push(Span::styled(format!(" {key}"), BOLD));
        spans.push(Span::styled(format!(" {does} "), DIM));
    }
    if rows > screen.page {
        let last = (screen.scroll + screen.page).min(rows);
        let place = format!("rooms {}–{last} of {rows} ", screen.scroll + 1);
        let used: usize = spans.iter().map(Span::width).sum();
        let gap = columns.saturating_sub(used + width(&place));
        if gap > 0 {
            spans.push(Span::raw(" ".repeat(gap)));
            spans.push(Span::styled(place, DIM));
        }
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests;
