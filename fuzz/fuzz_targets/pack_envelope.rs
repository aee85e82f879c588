//! `kernels.json.sig`: no panic, and what is accepted survives its own text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| mayfly_packs::fuzz::envelope(bytes));
