//! What a crowd is told to do, and what it says of it.

use serde::{Deserialize, Serialize};
use std::net::SocketAddrV4;

/// How the clients of a crowd behave, and what is pushed to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Conduct {
    /// Where updates are waited for.
    pub(crate) at: SocketAddrV4,
    /// Where states are pushed.
    pub(crate) publish: SocketAddrV4,
    /// How many clients there are at any time.
    pub(crate) clients: usize,
    /// How many pushes a minute.
    pub(crate) pushes: f64,
    /// Every how many seconds a push changes all PCs.
    pub(crate) sweep: Option<f64>,
    /// How many seconds a client stays, on average. Without it, for ever.
    pub(crate) stay: Option<f64>,
    /// For how many seconds the daemon holds a request.
    pub(crate) hold: f64,
    /// After how many seconds a channel ends that nobody asks for.
    pub(crate) expiry: f64,
    /// How many seconds pass between two reads of the history.
    pub(crate) reads: Option<f64>,
}

/// What has happened so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Lived {
    /// Requests that are held.
    pub(crate) held: u64,
    /// Channels that the daemon must have: of the clients that are there, and of those that left a while ago.
    pub(crate) channels: u64,
    /// Pushes that were acknowledged.
    pub(crate) pushes: u64,
    /// Those that changed something.
    pub(crate) changes: u64,
    /// Pushes that were sent more than a second late, since the one before was not answered.
    pub(crate) late: u64,
    /// Rows that the history must have.
    pub(crate) rows: u64,
    /// Answers of any kind, to requests for news.
    pub(crate) answers: u64,
    /// Those that told updates.
    pub(crate) updates: u64,
    /// Those that told all.
    pub(crate) snapshots: u64,
    /// Those that told nothing, after the time that requests are held.
    pub(crate) empty: u64,
    /// Clients that came for the first time.
    pub(crate) entered: u64,
    /// Clients that came back to a channel that had waited for them.
    pub(crate) returned: u64,
    /// Clients that came back after their channel had ended.
    pub(crate) revived: u64,
    /// Clients that left in the middle of a held request.
    pub(crate) left: u64,
    /// Those of them that never come back.
    pub(crate) abandoned: u64,
    /// Reads of the history.
    pub(crate) reads: u64,
    /// What was wrong.
    pub(crate) errors: Errors,
    /// From push to client since the last time, in milliseconds: the thousandths, from the fastest to the slowest.
    pub(crate) latency: Vec<f64>,
}

/// What was wrong, by kind.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Errors {
    /// Answers whose status was not 200.
    pub(crate) refused: u64,
    /// Changes that a client was not told.
    pub(crate) lost: u64,
    /// Updates that a client was told again.
    pub(crate) doubled: u64,
    /// Answers that said something else than what was pushed.
    pub(crate) wrong: u64,
    /// Connections that were closed by the server, or could not be made.
    pub(crate) broken: u64,
    /// Clients whose view was not the truth in the end.
    pub(crate) views: u64,
    /// The first of each kind.
    pub(crate) first: Vec<String>,
}

impl Errors {
    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.refused + self.lost + self.doubled + self.wrong + self.broken + self.views
    }

    /// One more, of the kind that `of` says.
    pub(super) fn note(&mut self, of: impl FnOnce(&mut Errors) -> &mut u64, count: u64, what: String) {
        // Some of each kind, so that many of one do not hide another.
        const SHOWN: u64 = 3;
        let sum = of(self);
        let is_shown = *sum < SHOWN;
        *sum += count;
        if is_shown {
            self.first.push(what);
        }
    }
}
