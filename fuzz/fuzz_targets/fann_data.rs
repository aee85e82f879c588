//! See `mayfly_format::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mayfly_format::fuzz::fann_data(bytes);
});
