//! Pages of the history, for who reads it from one end to the other.

use super::message::HistoricUpdate;
use super::pc::PcName;
use super::source::{Source, Timestamp};

/// Which rows somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageQuery {
    /// Those behind this one; ids begin with 1.
    pub after: u64,
    /// At most so many, and at most [`PageQuery::MAX_LIMIT`].
    pub limit: u32,
    /// Only of these PCs.
    pub pcs: Option<Vec<PcName>>,
    /// Only of this source.
    pub source: Option<Source>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
}

impl PageQuery {
    /// More rows than this are returned to nobody at once.
    pub const MAX_LIMIT: u32 = 1000;
}

/// A part of what was asked for. It may be empty though there is more: a page looks at a bounded number of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Each with its id, oldest first.
    pub rows: Vec<(u64, HistoricUpdate)>,
    /// Behind which row the next page begins; none: these are the last for now.
    pub next: Option<u64>,
}
