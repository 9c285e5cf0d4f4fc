//! What is wrong with a setup, where it stands, and what was probably meant.

use super::near;
use super::place::{Origin, Place};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::fmt;
use std::sync::Arc;

/// More than this is not read by anybody: the first ones usually explain the rest.
const SHOWN: usize = 50;

/// Why a setup was refused: every mistake that was found, in the order of the file.
///
/// [`fmt::Display`] gives one plain line a mistake, for logs and scripts;
/// [`SetupError::with_snippets`] adds the lines concerned, for people at a terminal.
#[derive(Debug, Clone)]
pub struct SetupError {
    mistakes: Vec<Mistake>,
}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Mistake {
    place: Place,
    message: String,
    hint: Option<String>,
    source: Option<Box<NamedSource<Arc<str>>>>,
}

/// Why a value was refused; it does not know yet where it stands.
#[derive(Debug)]
pub(super) struct Refusal {
    message: String,
    hint: Option<String>,
}

impl SetupError {
    /// The mistakes, of which there is at least one.
    pub(super) fn new(mut mistakes: Vec<Mistake>) -> SetupError {
        mistakes.sort_by_key(|mistake| mistake.place.order());
        SetupError { mistakes }
    }

    /// Every mistake, in the order of the file; those of variables and arguments last.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The plain lines, each followed by the lines of the file that it is about.
    pub fn with_snippets(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_wrap_lines(false)
            .without_cause_chain()
            .without_syntax_highlighting();
        let mut text = String::new();
        for mistake in self.mistakes.iter().take(SHOWN) {
            let line = mistake.to_string();
            let line = if colour { format!("\u{1b}[1m{line}\u{1b}[0m") } else { line };
            text.push_str(&line);
            text.push('\n');
            let mut picture = String::new();
            if mistake.source.is_some() && handler.render_report(&mut picture, mistake).is_ok() {
                // Its heading is the message, indented: scripts want that line to begin with the
                // place, and it stands above already.
                text.push_str(picture.split_once('\n').map_or("", |(_heading, snippet)| snippet));
            }
        }
        text + &self.rest()
    }

    fn rest(&self) -> String {
        match self.mistakes.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!("and {more} more\n"),
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().take(SHOWN).enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{mistake}")?;
        }
        match self.rest() {
            rest if rest.is_empty() => Ok(()),
            rest => write!(f, "\n{}", rest.trim_end()),
        }
    }
}

impl std::error::Error for SetupError {}

impl Diagnostic for SetupError {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.mistakes.iter().map(|mistake| mistake as &dyn Diagnostic)))
    }
}

impl Mistake {
    /// What was refused, and where it stands.
    pub(super) fn new(place: Place, refusal: Refusal) -> Mistake {
        let source = place.source().map(Box::new);
        Mistake { place, message: refusal.message, hint: refusal.hint, source }
    }

    /// As said of `key`, which variables and arguments name themselves.
    pub(super) fn of(mut self, key: &str) -> Mistake {
        if matches!(self.origin(), Origin::File(_)) {
            self.message = format!("{key}: {}", self.message);
        }
        self
    }

    /// Where it was made.
    pub fn origin(&self) -> &Origin {
        self.place.origin()
    }

    /// Line and column in characters, from 1; none where it is not about a spot in a file.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        self.place.line_and_column()
    }

    /// What is wrong, without the place and the suggestion.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would probably be right.
    pub fn suggestion(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_deref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.place.shown_span()?;
        let label = self.hint.clone().unwrap_or_else(|| "here".into());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some(label), span))))
    }
}

impl Refusal {
    /// For that reason.
    pub(super) fn new(message: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), hint: None }
    }

    /// With advice.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Refusal {
        self.hint = Some(hint.into());
        self
    }

    /// With what was probably meant.
    pub(super) fn did_you_mean(self, text: &str) -> Refusal {
        self.hint(near::did_you_mean(text))
    }

    /// With what was probably meant, where that is known.
    pub(super) fn nearest(self, text: Option<&str>) -> Refusal {
        match text {
            Some(text) => self.did_you_mean(text),
            None => self,
        }
    }
}
