//! What is asked of the house, and what it says should happen.

use super::channel::{ChannelId, HoldId, Owed};
use super::message::{HistoricRange, Message};
use super::origins::Origin;
use super::tag::{Filter, FilterChange};
use super::token::Token;
use super::version::Versions;
use std::sync::Arc;
use std::time::Duration;

/// What a request asks of a channel.
#[derive(Debug, Clone)]
pub struct Poll {
    /// The channel's name: one that has none is made.
    pub token: Token,
    /// Where that channel may be, as the last request of the same client was told: it saves looking for it.
    pub near: Option<ChannelId>,
    /// In the order of the request.
    pub asks: Vec<Ask>,
    /// Against whose channels a new one counts; none: against nobody's.
    pub origin: Option<Origin>,
}

/// One message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `set_msgFilter`: has no answer.
    SetFilter(FilterChange),
    /// `get_occupation`.
    Occupation,
    /// `get_roomMap`.
    RoomMap,
    /// `get_schedule`.
    Schedule,
    /// `get_tag_names`.
    Tags,
    /// `get_tagMap`.
    TagMap,
    /// `get_historic_updates`.
    HistoricUpdates(HistoricRange),
}

/// What becomes of a request.
#[derive(Debug)]
pub struct Polled {
    /// The channel it is for.
    pub channel: ChannelId,
    /// An older request on this channel, to be answered at once, empty.
    pub superseded: Option<HoldId>,
    /// Its filter, where this request set it: to be saved.
    pub filter: Option<Arc<Filter>>,
    /// Whether an update of the answer tells of more than one version.
    pub conflated: bool,
    /// What to do with the request.
    pub outcome: Outcome,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Outcome {
    /// Answer it now.
    Answer(Reply),
    /// Keep it until something comes.
    Hold(HoldId),
}

/// Messages for one request.
#[derive(Debug)]
pub struct Reply {
    /// In this order; none where the hold timed out.
    pub messages: Arc<[Arc<Message>]>,
    /// To be returned if they could not be handed over whole.
    pub receipt: Receipt,
}

/// What a channel is owed again if its reply is lost.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub(super) channel: ChannelId,
    pub(super) seen: Versions,
    pub(super) owed: Owed,
}

impl Receipt {
    /// For a reply to a request that found no channel.
    pub fn of_no_channel() -> Receipt {
        Receipt::nothing(ChannelId::NONE)
    }

    /// For a reply without messages: its loss loses nothing.
    pub fn nothing(channel: ChannelId) -> Receipt {
        Receipt { channel, seen: Versions::LAST, owed: Owed::default() }
    }
}

/// The same messages for several held requests.
#[derive(Debug)]
pub struct Delivery {
    /// In this order.
    pub messages: Arc<[Arc<Message>]>,
    /// Whose requests they answer.
    pub to: Vec<(ChannelId, HoldId)>,
    pub(super) seen: Versions,
}

impl Delivery {
    pub(super) fn empty(to: Vec<(ChannelId, HoldId)>) -> Delivery {
        Delivery { messages: Arc::new([]), to, seen: Versions::LAST }
    }

    /// What to return if a channel's part could not be handed over whole.
    pub fn receipt(&self, channel: ChannelId) -> Receipt {
        Receipt { channel, seen: self.seen, owed: Owed::default() }
    }
}

/// What the passing of time brings.
#[derive(Debug)]
pub struct Ticked {
    /// For requests that were held long enough: nothing.
    pub timed_out: Delivery,
    /// Channels that have ended.
    pub ended: Vec<Token>,
}

/// A request for which no channel could be had.
#[derive(Debug)]
pub struct NoChannel {
    /// Why.
    pub why: Shortage,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a request for which no channel could be had.
#[derive(Debug)]
pub enum Fate {
    /// Its token is not known. Nothing has been done, and it may be tried again.
    Again(Poll),
    /// Its token is known: what it asks has taken effect, and will be answered when the channel is there. Its
    /// client is to be told nothing, and will ask again.
    PutOff {
        /// Its filter, where this request set it: to be saved.
        filter: Option<Arc<Filter>>,
    },
}

/// Why no channel can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// There are as many as there may be.
    #[error("no more channels have a place: http.max_channels is {0}")]
    InAll(usize),
    /// This address has as many as one may have.
    #[error("no more channels of this address have a place: http.channels_per_address is {0}")]
    OfAddress(usize),
    /// This address opens them faster than one may.
    #[error("channels of this address are opened too fast: http.new_channels_per_second is {limit}")]
    TooFast {
        /// How many it may open in a second.
        limit: usize,
        /// After how long it may open the next.
        wait: Duration,
    },
}

/// How many of what there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Channels.
    pub channels: usize,
    /// Requests that are held.
    pub held: usize,
    /// Distinct filters.
    pub filters: usize,
}
