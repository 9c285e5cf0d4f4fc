//! The rules of the house: what a push changes, and who is owed what.
//!
//! Pure: no I/O, no clock, no runtime, nothing to call back. A caller tells it the time and gets
//! back what should happen (ARCHITECTURE.md, invariant 1). Guarded by the lint below, whose list
//! stands in `clippy.toml`, and by `tests/tidy.rs`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros)]

mod audience;
pub mod channel;
mod deadlines;
pub mod house;
pub mod insight;
pub mod lineage;
pub mod message;
pub mod origins;
pub mod page;
pub mod pc;
pub mod poll;
pub mod push;
mod refresh;
mod remembered;
pub mod room;
pub mod rooms;
pub mod schedule;
pub mod seats;
pub mod slack;
pub mod snapshot;
mod snapshots;
pub mod source;
pub mod state;
pub mod tag;
pub mod token;
pub mod turns;
pub mod version;
