//! See `mayfly_wire::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mayfly_wire::fuzz::trust_message(bytes);
});
