//! Makes the mayfly-core pack from built modules: manifest, golden vectors, signature. `cargo xtask packs` runs it.
//!
//! `core_pack MODULES OUT KEY [new-key]`: the folder of built modules, the pack to write, the secret key file (with `new-key` it is
//! made). The key's public half is written beside the pack.
#![forbid(unsafe_code)]

mod cases;
mod oracle;

use mayfly_packs::*;
use serde_json::{Value, json};
use std::path::Path;

type Fallible<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Seconds since 1970 of the day that version 1.0.0 was made: fixed, so that the same modules give the same pack.
const CREATED_AT: u64 = 1_795_219_200;

fn main() -> Fallible<()> {
    let args: Vec<String> = std::env::args().collect();
    let (modules, out, key) = match &args[..] {
        [_, modules, out, key] => (modules, out, read_key(Path::new(key))?),
        [_, modules, out, key, word] if word == "new-key" => (modules, out, make_key(Path::new(key))?),
        _ => return Err("usage: core_pack MODULES OUT KEY [new-key]".into()),
    };
    let golden = Golden { cases: cases::all() }.to_json();
    let mut entries = Vec::new();
    for (category, id, spec) in kernels() {
        let wasm = std::fs::read(Path::new(modules).join(format!("{id}.wasm")))?;
        let path = format!("{category}/{id}.wasm");
        write(&Path::new(out).join(&path), &wasm)?;
        entries.push(entry(id, &path, &wasm, spec));
    }
    write(&Path::new(out).join("golden.json"), golden.as_bytes())?;
    let text = serde_json::to_string_pretty(&manifest(entries, &golden, &key))?;
    let mut envelope = Envelope::default();
    envelope.sign(text.as_bytes(), &key)?;
    write(&Path::new(out).join(MANIFEST_FILE), text.as_bytes())?;
    write(&Path::new(out).join(ENVELOPE_FILE), envelope.to_json().as_bytes())?;
    write(&Path::new(out).with_file_name("mayfly-core-dev.pub.json"), key.public().to_json().as_bytes())?;
    let trust = TrustedKeys::with_key(key.public());
    let verified = verify(&PackFiles::Folder(out.into()), &trust, &Policy::at(CREATED_AT))?;
    let engine = new_engine(EngineKind::Wasmtime, &EngineOptions::default())?;
    println!("{} golden vectors pass", Pack::load(&verified, &*engine)?.check_golden()?);
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Fallible<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, bytes)?)
}

fn read_key(path: &Path) -> Fallible<SecretKey> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(SecretKey::from_json(&text)?)
}

/// A key in a file that only its owner can read.
fn make_key(path: &Path) -> Fallible<SecretKey> {
    let key = SecretKey::generate("Mayfly core kernels, development key")?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // tempfile's mode is 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, key.to_json().as_bytes())?;
    file.persist_noclobber(path)?;
    Ok(key)
}

fn manifest(kernels: Vec<Value>, golden: &str, key: &SecretKey) -> Value {
    let ids: Vec<String> = kernels.iter().filter_map(|k| k["id"].as_str().map(String::from)).collect();
    let fallbacks: serde_json::Map<String, Value> =
        ids.iter().map(|id| (id.clone(), json!(format!("native:{id}")))).collect();
    json!({
        "$schema": "https://mayfly.dev/schemas/kernel-pack-1.json",
        "name": "mayfly-core",
        "version": "1.0.0",
        "description": "Rotary embedding, RMS normalisation, SwiGLU, quantised key-value caches and LoRA",
        "abi_version": 2,
        "min_runtime_version": "0.1.0",
        "max_runtime_version": null,
        "created_at": CREATED_AT,
        "not_after": null,
        "counter": 1,
        "author": {"name": "The Mayfly authors", "email": "", "signing_key": key.public().id().as_str()},
        "kernels": kernels,
        "fallbacks": fallbacks,
        "golden": {"path": "golden.json", "hash": format!("sha256:{}", sha256_hex(golden.as_bytes()))},
    })
}

/// What is the same for all thirteen is added to what is not.
fn entry(id: &str, path: &str, wasm: &[u8], spec: Value) -> Value {
    let mut entry = json!({
        "id": id,
        "path": path,
        "hash": format!("sha256:{}", sha256_hex(wasm)),
        "resource_limits": {"max_memory_pages": 1024, "max_epoch_ticks": 1000, "max_table_elements": 16},
        "platforms": {
            "wasmtime": {"min_version": "48.0.0", "features": ["simd", "bulk_memory"]},
            "wasmi": {"min_version": "2.0.0", "features": ["simd", "bulk_memory"]},
        },
    });
    if let (Some(entry), Value::Object(spec)) = (entry.as_object_mut(), spec) {
        entry.extend(spec);
    }
    entry
}

fn tensor(name: &str, dtype: &str, shape: &[&str]) -> Value {
    json!({"name": name, "dtype": dtype, "shape": shape})
}

/// Folder, id and what differs of each kernel.
fn kernels() -> Vec<(&'static str, &'static str, Value)> {
    let mut all = Vec::new();
    for (id, dtype) in [("rope_f32", "f32"), ("rope_f16", "f16")] {
        all.push(("rope", id, rope(dtype)));
    }
    all.push(("rope", "rope_q8", rope_q8()));
    for (id, dtype) in [("rmsnorm_f32", "f32"), ("rmsnorm_f16", "f16")] {
        all.push(("rmsnorm", id, rmsnorm(dtype)));
    }
    for (id, dtype) in [("swiglu_f32", "f32"), ("swiglu_f16", "f16")] {
        all.push(("swiglu", id, swiglu(dtype)));
    }
    for (pack, unpack, dtype) in [("kv_pack_q4", "kv_unpack_q4", "q4"), ("kv_pack_q8", "kv_unpack_q8", "q8")] {
        all.push(("kv", pack, kv_pack(dtype)));
        all.push(("kv", unpack, kv_unpack(dtype)));
    }
    for (id, dtype) in [("lora_apply_f32", "f32"), ("lora_apply_f16", "f16")] {
        all.push(("lora", id, lora(dtype)));
    }
    all
}

fn layout() -> Value {
    json!({"layout": {"type": "enum", "values": ["interleaved", "half"], "default": "half"}})
}

fn rope(dtype: &str) -> Value {
    json!({
        "name": "Rotary position embedding", "category": "positional", "abi_version": 2, "params": layout(),
        "inputs": [tensor("x", dtype, &["seq", "heads", "dim"]), tensor("table", dtype, &["seq", "dim"])],
        "outputs": [tensor("y", dtype, &["seq", "heads", "dim"])],
    })
}

fn rope_q8() -> Value {
    json!({
        "name": "Rotary position embedding of 8-bit blocks", "category": "positional", "abi_version": 2, "params": layout(),
        "inputs": [tensor("x", "q8", &["seq", "heads", "dim"]), tensor("scales", "f32", &["seq*heads*dim/32"]), tensor("table", "f32", &["seq", "dim"])],
        "outputs": [tensor("y", "q8", &["seq", "heads", "dim"]), tensor("y_scales", "f32", &["seq*heads*dim/32"])],
        "scratch": "dim*8",
    })
}

fn rmsnorm(dtype: &str) -> Value {
    json!({
        "name": "Root mean square normalisation", "category": "normalization", "params": {"eps": {"type": "f32", "default": 1e-5}},
        "inputs": [tensor("x", dtype, &["rows", "dim"]), tensor("weight", dtype, &["dim"])],
        "outputs": [tensor("y", dtype, &["rows", "dim"])],
    })
}

fn swiglu(dtype: &str) -> Value {
    json!({
        "name": "SwiGLU gate", "category": "activation",
        "inputs": [tensor("gate", dtype, &["n"]), tensor("up", dtype, &["n"])],
        "outputs": [tensor("y", dtype, &["n"])],
    })
}

fn kv_pack(dtype: &str) -> Value {
    json!({
        "name": "Keys and values to blocks of 32", "category": "kv_cache", "abi_version": 2,
        "inputs": [tensor("x", "f32", &["n"])],
        "outputs": [tensor("data", dtype, &["n"]), tensor("scales", "f32", &["n/32"]), tensor("zeros", "f32", &["n/32"])],
    })
}

fn kv_unpack(dtype: &str) -> Value {
    json!({
        "name": "Keys and values from blocks of 32", "category": "kv_cache", "abi_version": 2,
        "inputs": [tensor("data", dtype, &["n"]), tensor("scales", "f32", &["n/32"]), tensor("zeros", "f32", &["n/32"])],
        "outputs": [tensor("x", "f32", &["n"])],
    })
}

fn lora(dtype: &str) -> Value {
    json!({
        "name": "Low-rank adaptation", "category": "adapter", "abi_version": 2, "params": {"scale": {"type": "f32", "default": 1.0}},
        "inputs": [
            tensor("x", dtype, &["rows", "in"]), tensor("a", dtype, &["rank", "in"]),
            tensor("b", dtype, &["out", "rank"]), tensor("base", dtype, &["rows", "out"]),
        ],
        "outputs": [tensor("y", dtype, &["rows", "out"])],
        "scratch": "rank*8",
    })
}
