//! The time that wire takes: bytes are read, messages are rendered. `cargo bench --bench wire`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is no part of the daemon")]

mod fixtures;
mod timed;

fn main() {
    timed::measure("wire");
}
