//! See `mayfly_mesh::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mayfly_mesh::fuzz::log_frame(bytes);
});
