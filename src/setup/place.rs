//! Where a setting was written.

use miette::{NamedSource, SourceSpan};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Where settings come from; a later kind of origin overrides an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A setup file, under the name it was asked for by.
    File(Arc<str>),
    /// A variable of the environment.
    Variable(Arc<str>),
    /// `--set` on the command line, with this key.
    Set(Arc<str>),
}

/// A file's text, and what of it may be shown.
pub(super) struct Page {
    /// As it was read.
    pub(super) text: String,
    /// The same, byte for byte as long, with starred secrets (reliability.md O7).
    pub(super) shown: Arc<str>,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its text may hold secrets, and what is printed for developers ends in logs as well.
        write!(f, "Page({} bytes)", self.text.len())
    }
}

/// A spot: the origin and, in a file, which bytes of it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    origin: Origin,
    spot: Option<(Arc<Page>, Range<usize>)>,
}

impl Place {
    /// The whole of an origin.
    pub(super) fn whole(origin: Origin) -> Place {
        Place { origin, spot: None }
    }

    /// `span` of a file's text.
    pub(super) fn of(origin: &Origin, page: &Arc<Page>, span: Range<usize>) -> Place {
        Place { origin: origin.clone(), spot: Some((Arc::clone(page), span)) }
    }

    /// Another spot of the same origin.
    pub(super) fn with_span(&self, span: Range<usize>) -> Place {
        let spot = self.spot.as_ref().map(|(page, _)| (Arc::clone(page), span));
        Place { origin: self.origin.clone(), spot }
    }

    /// What it is a spot of.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Files first, each from its top; then the environment; then arguments.
    pub(super) fn order(&self) -> (u8, usize) {
        let rank = match self.origin {
            Origin::File(_) => 0,
            Origin::Variable(_) => 1,
            Origin::Set(_) => 2,
        };
        (rank, self.spot.as_ref().map_or(0, |(_, span)| span.start))
    }

    /// Line and column, from 1; the column counts characters, as editors do.
    pub(super) fn line_and_column(&self) -> Option<(usize, usize)> {
        let (page, span) = self.spot.as_ref()?;
        let before = page.text.get(..span.start).unwrap_or(&page.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Some((before.matches('\n').count() + 1, line.chars().count() + 1))
    }

    /// The text to show it in.
    pub(super) fn source(&self) -> Option<NamedSource<Arc<str>>> {
        let (page, _) = self.spot.as_ref()?;
        Some(NamedSource::new(self.origin.to_string(), Arc::clone(&page.shown)))
    }

    /// Its bytes, on one line: a picture of half a file helps nobody.
    pub(super) fn shown_span(&self) -> Option<SourceSpan> {
        let (page, span) = self.spot.as_ref()?;
        let text = page.text.get(span.clone()).unwrap_or_default();
        let length = text.find(['\r', '\n']).unwrap_or(text.len());
        Some((span.start.min(page.text.len()), length).into())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(name) | Origin::Variable(name) => f.write_str(name),
            Origin::Set(key) => write!(f, "--set {key}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        self.line_and_column().map_or(Ok(()), |(line, column)| write!(f, ":{line}:{column}"))
    }
}
