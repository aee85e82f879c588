//! How long compiling takes against what vetting counts: the largest module of every hostile family that vetting lets in.
//!
//! `cargo run --release -p mayfly-packs --example compile_cost [NAME]`

#[path = "../tests/common/bombs.rs"]
mod bombs;

use mayfly_packs::{Engine, EngineOptions, PackError};
use mayfly_packs::{HostLimits, KernelEntry, ModuleLimits, Vetted, WasmtimeEngine, WasmtimeProfile, vet};
use std::time::Instant;

fn entry() -> Result<KernelEntry, serde_json::Error> {
    let text = r#"{"id": "k", "name": "K", "category": "custom", "path": "k.wasm", "hash": "sha256:", "inputs": [], "outputs": [],
        "resource_limits": {"max_memory_pages": 4096, "max_epoch_ticks": 10, "max_table_elements": 4096}, "platforms": {}}"#;
    serde_json::from_str(text)
}

/// The largest size of a family that is let in, up to a million.
fn largest(make: fn(usize) -> Vec<u8>, entry: &KernelEntry) -> Result<(usize, Vec<u8>, Vetted), PackError> {
    let (mut good, mut bad) = (1, 1_000_000);
    let mut best = None;
    while bad - good > 1 + good / 20 {
        // Small steps first: refused modules of a million parts take long to write down.
        let middle = if bad == 1_000_000 { good * 2 } else { (good + bad) / 2 };
        if middle >= 300_000 {
            break;
        }
        let wasm = make(middle);
        match vet(&wasm, entry, &HostLimits::default()) {
            Ok(vetted) => (good, best) = (middle, Some((middle, wasm, vetted))),
            Err(PackError::LimitExceeded { .. }) => bad = middle,
            Err(error) => return Err(error),
        }
    }
    best.ok_or(PackError::Other { what: "no size is let in".into() })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let only = std::env::args().nth(1).unwrap_or_default();
    let entry = entry()?;
    let options = EngineOptions { max_instances: 4, ..EngineOptions::default() };
    let engine = WasmtimeEngine::new(WasmtimeProfile::Server, &options)?;
    let limits = ModuleLimits {
        kernel: "k".into(),
        entry_point: "kernel_forward".into(),
        max_memory_bytes: 1 << 28,
        max_table_elements: 4096,
    };
    println!("{:<36} {:>7} {:>8} {:>8} {:>8} {:>8}", "family", "size", "bytes", "steps", "flow", "ms");
    for (name, make) in bombs::FAMILIES.iter().filter(|(name, _)| name.contains(&only)) {
        let (size, wasm, vetted) = largest(*make, &entry)?;
        let start = Instant::now();
        let result = engine.compile(&wasm, &limits);
        let ms = start.elapsed().as_millis();
        let failed = result.err().map(|e| e.to_string()).unwrap_or_default();
        let effort = vetted.effort;
        println!("{name:<36} {size:>7} {:>8} {:>8} {:>8} {ms:>8} {failed}", wasm.len(), effort.steps, effort.flow);
    }
    Ok(())
}
