//! Bytes to core types and back: the only place that names a JSON key of a protocol.
//!
//! Everything that comes in is text from strangers; what leaves this ring inward is of core's types,
//! so that no later ring meets a string whose form it would have to check.

pub mod client;
pub mod joyce;
pub mod json;
pub mod message;
pub mod push;
pub mod query;
