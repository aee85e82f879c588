//! Packs made in memory, for the tests.
#![allow(dead_code)] // each test file uses its part

use mayfly_packs::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const NOW: u64 = 1_800_000_000;

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seeds("test", [seed; 32], [seed; 32])
}

/// A kernel that adds 1 to every f32 of its input, with whatever else is put into the module.
pub fn good_wat(extra: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1) (global (export "__heap_base") i32 (i32.const 1024)) {extra}
        (func (export "kernel_forward") (param $d i32) (result i32) (local $i i32) (local $n i32) (local $in i32) (local $out i32)
          (local.set $in (i32.load (local.get $d))) (local.set $n (i32.load offset=4 (local.get $d)))
          (local.set $out (i32.load offset=16 (local.get $d)))
          (block $end (loop $next
            (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
            (f32.store (i32.add (local.get $out) (local.get $i))
              (f32.add (f32.const 1) (f32.load (i32.add (local.get $in) (local.get $i)))))
            (local.set $i (i32.add (local.get $i) (i32.const 4))) (br $next)))
          (i32.const 0)))"#
    )
}

/// A module whose entry point has this body.
pub fn body_wat(extra: &str, body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1) (global (export "__heap_base") i32 (i32.const 1024)) {extra}
        (func (export "kernel_forward") (param $d i32) (result i32) {body}))"#
    )
}

/// A manifest with one kernel `k` of one input and one output `[n]` in f32.
pub fn manifest(wasm: &[u8], key: &SecretKey) -> Value {
    json!({
        "$schema": "https://mayfly.dev/schemas/kernel-pack-1.json",
        "name": "test-pack", "version": "1.0.0", "description": "for tests", "abi_version": 1,
        "min_runtime_version": "0.1.0", "max_runtime_version": null, "created_at": NOW - 1000, "not_after": null, "counter": 5,
        "author": {"name": "T", "email": "t@example.org", "signing_key": key.public().id().as_str()},
        "kernels": [kernel("k", "k.wasm", wasm)],
    })
}

pub fn kernel(id: &str, path: &str, wasm: &[u8]) -> Value {
    json!({
        "id": id, "name": "K", "category": "custom", "path": path, "hash": format!("sha256:{}", sha256_hex(wasm)),
        "inputs": [{"name": "x", "dtype": "f32", "shape": ["n"]}],
        "outputs": [{"name": "y", "dtype": "f32", "shape": ["n"]}],
        "resource_limits": {"max_memory_pages": 4, "max_epoch_ticks": 10, "max_table_elements": 16},
        "platforms": {"wasmtime": {"min_version": "48.0.0", "features": ["simd"]}, "wasmi": {"min_version": "2.0.0", "features": ["simd"]}},
    })
}

pub fn signed(manifest: &Value, files: &[(&str, &[u8])], signer: &SecretKey) -> BTreeMap<String, Vec<u8>> {
    let text = manifest.to_string().into_bytes();
    let mut envelope = Envelope::default();
    envelope.sign(&text, signer).unwrap();
    let mut map: BTreeMap<String, Vec<u8>> = files.iter().map(|(p, b)| ((*p).to_owned(), b.to_vec())).collect();
    map.insert(ENVELOPE_FILE.into(), envelope.to_json().into_bytes());
    map.insert(MANIFEST_FILE.into(), text);
    map
}

pub fn pack_of(wasm: &[u8]) -> BTreeMap<String, Vec<u8>> {
    signed(&manifest(wasm, &key(1)), &[("k.wasm", wasm)], &key(1))
}

pub fn trust() -> TrustedKeys {
    TrustedKeys::with_key(key(1).public())
}

pub fn check(files: &BTreeMap<String, Vec<u8>>) -> Result<VerifiedPack> {
    verify(&PackFiles::Memory(files.clone()), &trust(), &Policy::at(NOW))
}

pub fn load(wasm: &[u8], engine: &dyn Engine) -> Result<Pack> {
    Pack::load(&check(&pack_of(wasm))?, engine)
}

pub fn small_options() -> EngineOptions {
    EngineOptions {
        max_instances: 8,
        tick: std::time::Duration::from_millis(1),
        fuel: 10_000_000,
        ..EngineOptions::default()
    }
}

pub fn engines() -> Vec<std::sync::Arc<dyn Engine>> {
    let options = small_options();
    vec![
        new_engine(EngineKind::Wasmtime, &options).unwrap(),
        std::sync::Arc::new(WasmtimeEngine::new(WasmtimeProfile::Deterministic, &options).unwrap()),
        new_engine(EngineKind::Wasmi, &options).unwrap(),
    ]
}

pub fn call(pack: &Pack) -> Result<Vec<f32>> {
    let x = Tensor::from_f32(&[3], &[1.0, 2.0, 3.0]);
    let answer = pack.kernel("k")?.run(&[("x", x.view())], &[], &CallOptions::default())?;
    Ok(answer.outputs[0].to_f32())
}
