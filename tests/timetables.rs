//! Timetables of others, against real servers that replay what they send, and against those that fail (reliability.md T1–T3).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "timetables/daemon.rs"]
mod daemon;
#[path = "timetables/faults.rs"]
mod faults;
#[path = "timetables/old_page.rs"]
mod old_page;
#[path = "timetables/providers.rs"]
mod providers;
#[path = "timetables/server.rs"]
mod server;
