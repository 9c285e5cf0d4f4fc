//! What comes in on a channel: as a body, and as a query with `m` and `c`.
#![no_main]

mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::joyce_request(bytes));
