//! The two rings that the bytes of strangers reach, compiled by themselves: `wire` names `core` alone, and
//! `core` nothing (`tests/tidy.rs`), so that a fuzzer is built in a minute, without SQLite, TLS and a terminal.

#[path = "../src/core/mod.rs"]
pub mod core;
#[path = "../src/wire/mod.rs"]
pub mod wire;
