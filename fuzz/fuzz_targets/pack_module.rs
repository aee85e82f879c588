//! A kernel's module: vetting ends without a panic, and what passes has what calls rely on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_packs::Manifest;
use std::sync::OnceLock;

const MANIFEST: &[u8] = include_bytes!("../../packs/mayfly-core-1.0.0/kernels.json");

fuzz_target!(|bytes: &[u8]| {
    static CORE: OnceLock<Manifest> = OnceLock::new();
    let core = CORE.get_or_init(|| Manifest::from_json(MANIFEST).expect("the manifest that the repository carries"));
    mayfly_packs::fuzz::module(bytes, &core.kernels[0]);
});
