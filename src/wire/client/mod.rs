//! The wire as a client sees it: what it asks of a daemon and pushes to one, and what it hears back
//! (protocol.md).
//!
//! A reply comes from another machine, so nothing in it is believed: what does not read is passed over
//! and counted, and only a body that is no reply at all is an error (reliability.md M2).

mod ask;
mod heard;
mod kept;
mod push;

pub use ask::request;
pub use heard::{BadReply, HistoricRow, Message, Reply, reply};
pub use kept::{Kept, keep, kept};
pub use push::{Refusal, push_body, refusal};
