//! Bytes to core types and back: the only place that names a JSON key of a protocol.
//!
//! Everything that comes in is text from strangers; what leaves this ring inward is of core's types,
//! so that no later ring meets a string whose form it would have to check.

/// The header by which daemons that follow one another tell who they are: in a request the mirror's own name, in the
/// answer the lineage of the master (protocol.md, "Mirrors"). In lower case, as both sides want it.
pub const VIA: &str = "x-tkbd-via";

pub mod api;
pub mod client;
pub mod control;
pub mod csv;
pub mod days;
pub mod health;
pub mod history;
pub mod insight;
pub mod joyce;
pub mod json;
pub mod message;
pub mod page;
pub mod push;
pub mod query;
