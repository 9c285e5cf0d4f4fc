//! What the load program is told to do, and what it answers.

use super::crowd::Conduct;
use super::dialect::Dialect;
use super::hops::Hops;
use super::slow::Slowness;
use serde::{Deserialize, Serialize};
use std::net::SocketAddrV4;

/// Something to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Opens requests, and comes back when all are held. Answered with [`Opened`].
    Open(Opening),
    /// Publishes updates, each as soon as all requests are held again. Answered with [`Fanned`].
    FanOut {
        /// How many.
        rounds: usize,
    },
    /// Waits for answers that nobody caused. Answered with their number.
    Listen,
    /// Sends requests, each as soon as the one before it on its connection is answered. Answered with [`Exchanged`].
    Exchange(Exchange),
    /// Lets a crowd in. Answered with nothing.
    Gather(Conduct),
    /// Has it live on for so many seconds. Answered with [`Lived`](super::Lived), of all the time so far.
    Live {
        /// How many.
        seconds: f64,
    },
    /// Pushes no more to it, and looks at what each of it sees. Answered likewise.
    Settle,
    /// Connects clients that are slow. Answered with what became of each kind of them, [`Gone`](super::Gone).
    BeSlow(Slowness),
    /// Measures updates over levels of mirrors. Answered with [`Hopped`](super::Hopped).
    Hop(Hops),
}

/// Requests that are to be held.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// Where updates are waited for.
    pub(crate) at: SocketAddrV4,
    /// Where they are published.
    pub(crate) publish: SocketAddrV4,
    /// How both is done.
    pub(crate) dialect: Dialect,
    /// The server's processes: they are asleep when they have read all that was sent.
    pub(crate) server: Vec<i32>,
    /// How many.
    pub(crate) held: usize,
    /// What they listen to.
    pub(crate) filters: Filters,
}

/// Requests that are answered at once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Exchange {
    /// To whom.
    pub(crate) at: SocketAddrV4,
    /// On how many connections.
    pub(crate) connections: usize,
    /// Whether each request is the only one of its connection.
    pub(crate) fresh: bool,
    /// What is sent.
    pub(crate) requests: Requests,
    /// For how long.
    pub(crate) until: Until,
}

/// What the held requests listen to. Every round, each gets the state of one PC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Filters {
    /// All to everything.
    Everything,
    /// Each to one of so many rooms; a round changes a PC in each of these rooms.
    Rooms(usize),
}

/// What is asked in an exchange.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Requests {
    /// A push that changes one PC; each connection has its own, in the rooms from this one on.
    Push {
        /// The number of the first room.
        room: usize,
    },
    /// A publish to Nchan, of the same length as an update of ours.
    Publish,
    /// The same request again and again. All answers have to have the same length.
    Fixed(String),
    /// A new channel that listens to one of so many rooms, in turn; or to nothing, where there are none. Every
    /// connection comes from an address of its own.
    Enter {
        /// How many rooms.
        rooms: usize,
    },
}

/// When an exchange is over.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Until {
    /// After so many answers.
    Answers(usize),
    /// After so many seconds.
    Seconds(f64),
}

/// All requests are held.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opened {
    /// From the first connection until the last request was held, in seconds.
    pub(crate) seconds: f64,
}

/// What came of some rounds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fanned {
    /// How many updates have come to a client.
    pub(crate) deliveries: u64,
    /// From the first publish until all was held after the last one, in seconds.
    pub(crate) seconds: f64,
    /// From each publish to each client, in milliseconds: the thousandths of them, from the fastest to the slowest.
    pub(crate) latency: Vec<f64>,
    /// Updates that a client never got.
    pub(crate) lost: u64,
    /// Updates that a client got again.
    pub(crate) doubled: u64,
    /// Anything else that was not as it should be.
    pub(crate) errors: u64,
    /// The first of these.
    pub(crate) first_error: Option<String>,
}

/// What came of an exchange.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Exchanged {
    /// How many requests were answered.
    pub(crate) answers: u64,
    /// In how many seconds.
    pub(crate) seconds: f64,
    /// From each request to its answer, in milliseconds: the thousandths of them, from the fastest to the slowest.
    pub(crate) latency: Vec<f64>,
    /// How long an answer was, in bytes: its body.
    pub(crate) bytes: usize,
}

/// The thousandths of `values`, from the least to the greatest: of none, none.
pub(super) fn thousandths(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    (0..=1000).filter_map(|part| values.get((part * last + 500) / 1000).copied()).collect()
}
