//! tkbd: which seats are free now.
//!
//! The map of the house (ARCHITECTURE.md has the plan, and what may not change):
//!
//! - [`core`] the state, the channels, and who is owed what: pure, told the time, returns what should happen.
//! - [`hub`] the one lock around it, and the requests that are held.
//! - [`wire`] bytes to core types and back.
//! - [`page`] core types to what people see.
//! - [`doors`] accept, parse, one verb of the hub, answer.
//! - [`feeds`] what we ask others for: timetables, and the master of a mirror.
//! - [`health`] how the daemon is doing: told by all, read by one door.
//! - [`history`] what happened, in SQLite, on its own threads.
//! - [`setup`] what an administrator wrote, and what it means.
//! - [`listeners`] the sockets: bound here, handed in, or taken over.
//! - [`client`] the other side of the wire, for commands, and for who follows a master.
//! - [`run()`] puts all of it together, from a setup to its end (`shutdown`).
//! - [`commands`] what the program is asked to do.

pub mod client;
pub mod commands;
pub mod core;
pub mod doors;
pub mod feeds;
pub mod health;
pub mod history;
pub mod hub;
pub mod listeners;
pub mod page;
mod run;
pub mod setup;
mod shutdown;
pub mod wire;

pub use listeners::{BindError, Listeners};
pub use run::{Applied, NotReloaded, Reload, Reloads, RunError, check, reloads, run};
