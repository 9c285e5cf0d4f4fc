//! What a server says to a client of ours.
#![no_main]

mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::wire_client(bytes));
