//! A client of a daemon: what `tkbd watch` and `tkbd push` use, and whatever follows another daemon.
//!
//! [`Conversation`] decides what to ask next, [`View`] is what has been heard, both pure. [`Client`]
//! carries the one over HTTP, and outlives every failure of the other side; [`Pusher`] pushes.

pub mod control;
mod conversation;
mod http;
mod poll;
mod push;
#[cfg(test)]
mod testing;
mod view;

pub use conversation::Conversation;
pub use http::{Answer, BadAddress, HttpError, Server};
pub use poll::{Client, Event, Pace};
pub use push::{Acknowledged, PushError, Pusher, Retries};
pub use view::{Change, Room, View};
