//! How rooms were used, for those who decide how many seats there are.

use super::language::Language;
use super::texts::{Texts, fill};
use crate::core::insight::{Heard, Span};
use crate::core::pc::{PcName, System};
use crate::core::room::RoomKey;
use askama::Template;

/// Which of the pages it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// How rooms were used.
    Rooms,
    /// PCs that nobody used.
    Idle,
    /// PCs whose state flaps.
    Flapping,
}

impl View {
    const ALL: [View; 3] = [View::Rooms, View::Idle, View::Flapping];

    /// As it stands in its path.
    pub fn name(self) -> &'static str {
        match self {
            View::Rooms => "rooms",
            View::Idle => "idle",
            View::Flapping => "flapping",
        }
    }

    fn title(self, t: &Texts) -> &'static str {
        match self {
            View::Rooms => t.insight_rooms,
            View::Idle => t.insight_idle,
            View::Flapping => t.insight_flapping,
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In which language.
    pub language: Language,
    /// Which page.
    pub view: View,
    /// The first day, as it was written.
    pub from: String,
    /// The last.
    pub to: String,
    /// How often a state has to change within an hour.
    pub changes: u32,
    /// What is wrong with that.
    pub bad: Option<&'static str>,
}

impl Asked {
    /// What is said in its language.
    pub fn texts(&self) -> &'static Texts {
        self.language.texts()
    }
}

/// A room, and how it was used.
#[derive(Debug)]
pub struct UsedRoom<'a> {
    /// What people call it.
    pub name: &'a str,
    /// What the days came to.
    pub span: &'a Span,
}

/// A PC that nobody used.
#[derive(Debug)]
pub struct IdlePc {
    /// Which.
    pub pc: PcName,
    /// Where it stands.
    pub room: Option<RoomKey>,
    /// What was heard of it.
    pub heard: Heard,
}

/// A PC whose state flaps.
#[derive(Debug)]
pub struct FlappingPc {
    /// Which.
    pub pc: PcName,
    /// Where it stands.
    pub room: Option<RoomKey>,
    /// When that was worst, for people.
    pub at: String,
    /// How often it changed in that hour.
    pub changes: u32,
}

/// One of the pages.
#[derive(Template)]
#[template(path = "insight.html")]
pub struct Page<'a> {
    asked: &'a Asked,
    t: &'static Texts,
    /// How rooms were used.
    pub rooms: Vec<UsedRoom<'a>>,
    /// PCs that nobody used.
    pub idle: Vec<IdlePc>,
    /// PCs whose state flaps.
    pub flapping: Vec<FlappingPc>,
    /// How many rows are not counted yet.
    pub behind: u64,
    /// The first day of which single PCs are known, where more was asked for.
    pub since: Option<String>,
    /// Whether anything is known of single PCs in these days.
    pub is_known: bool,
}

/// More rows than these wait where the history is new to the daemon: then figures are too small.
const WAITING: u64 = 20_000;

impl<'a> Page<'a> {
    /// A page without a table.
    pub fn new(asked: &'a Asked) -> Page<'a> {
        Page {
            asked,
            t: asked.texts(),
            rooms: Vec::new(),
            idle: Vec::new(),
            flapping: Vec::new(),
            behind: 0,
            since: None,
            is_known: true,
        }
    }

    /// As HTML.
    pub fn html(&self) -> String {
        // Writing to memory cannot fail.
        self.render().unwrap_or_default()
    }

    /// The answer above all.
    fn answer(&self) -> String {
        match self.asked.view {
            View::Rooms if !self.rooms.is_empty() => match self.spare() {
                0 => self.t.insight_answer_none.to_owned(),
                spare => fill(self.t.insight_answer, &[("n", &spare.to_string())]),
            },
            view => view.title(self.t).to_owned(),
        }
    }

    fn reason(&self) -> String {
        fill(
            self.t.insight_answer_says,
            &[("pcs", &self.pcs().to_string()), ("peak", &self.peak().to_string())],
        )
    }

    fn pcs(&self) -> u32 {
        self.rooms.iter().map(|room| room.span.pcs).sum()
    }

    fn peak(&self) -> u32 {
        self.rooms.iter().map(|room| room.span.peak).sum()
    }

    fn spare(&self) -> u32 {
        self.rooms.iter().map(|room| room.span.spare()).sum()
    }

    /// All rooms together.
    fn all(&self) -> Span {
        let mut all = Span::default();
        for room in &self.rooms {
            all.add(room.span);
        }
        all
    }

    /// What is not counted yet, where that is much.
    fn not_counted(&self) -> Option<String> {
        let line = || fill(self.t.insight_behind, &[("n", &self.behind.to_string())]);
        (self.behind > WAITING).then(line)
    }

    /// From when on single PCs are known, where more was asked for.
    fn known_from(&self) -> Option<String> {
        self.since.as_ref().map(|since| fill(self.t.insight_since, &[("day", since)]))
    }

    fn heard(&self, of: &IdlePc) -> &'static str {
        match of.heard {
            Heard::Changes => self.t.insight_seen_yes,
            Heard::NoChange => self.t.insight_seen_same,
            Heard::Nothing => self.t.insight_seen_no,
        }
    }

    /// Hours of a day in which a PC was used: with Linux, with Windows, with either.
    fn hours(&self, span: &Span) -> [String; 3] {
        let hours =
            |share: Option<f64>| share.map(|share| format!("{:.1}", share * 24.0)).unwrap_or_default();
        let [linux, windows] = [System::Linux, System::Windows].map(|system| span.share(system));
        [hours(linux), hours(windows), hours(linux.zip(windows).map(|(linux, windows)| linux + windows))]
    }

    /// The width of the two bars, of a hundred.
    fn bars(&self, span: &Span) -> [String; 2] {
        [System::Linux, System::Windows]
            .map(|system| format!("{:.1}", span.share(system).unwrap_or_default() * 100.0))
    }

    fn room(&self, room: &Option<RoomKey>) -> String {
        room.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// The address of a page of these days.
    fn link(&self, view: &View, ending: &str) -> String {
        let Asked { language, from, to, changes, .. } = self.asked;
        let days = if self.asked.bad.is_some() { String::new() } else { format!("from={from}&to={to}&") };
        let changes = if *view == View::Flapping { format!("changes={changes}&") } else { String::new() };
        format!("/insight/{}{ending}?{days}{changes}lang={}", view.name(), language.code())
    }
}
