//! The time that core takes: what is done under the hub's lock. `cargo bench --bench core`.
//!
//! The goal is 1 ms for a push of 400 PCs to 10,000 held channels with 10 filters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is no part of the daemon")]

mod fixtures;
mod timed;

fn main() {
    timed::measure("core");
}
