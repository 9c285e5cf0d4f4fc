//! tkbd: which seats are free now.
//!
//! The map of the house (ARCHITECTURE.md has the plan, and what may not change):
//!
//! - [`core`] the state, the channels, and who is owed what: pure, told the time, returns what should happen.
//! - [`wire`] bytes to core types and back.
//! - [`history`] what happened, in SQLite, on its own threads.
//! - [`setup`] what an administrator wrote, and what it means.

pub mod core;
pub mod history;
pub mod setup;
pub mod wire;
