//! See `mayfly_swarm::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mayfly_swarm::fuzz::stored_record(bytes);
});
