//! `mayfly pack` as a user meets it: a pack from key to rollback, and the core pack that the repository carries.
#![cfg(feature = "packs")]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn mayfly(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    command.current_dir(dir).env("MAYFLY_PACKS", dir.join("store")).args(args).output().unwrap()
}

fn ok(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn failed(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs")
}

/// The smallest kernel: y is x, by a module in its binary form.
fn copy_module() -> Vec<u8> {
    let text: &[&[u8]] = &[
        b"\0asm\x01\0\0\0",
        &[1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f],
        &[3, 2, 1, 0],
        &[5, 3, 1, 0, 1],
        &[6, 7, 1, 0x7f, 0, 0x41, 0x80, 0x08, 0x0b],
        &[7, 41, 3, 6],
        b"memory",
        &[2, 0, 11],
        b"__heap_base",
        &[3, 0, 14],
        b"kernel_forward",
        &[0, 0],
        // memory.copy(output, input_a, input_a_bytes); 0
        &[
            10, 25, 1, 23, 0, 0x20, 0, 0x28, 2, 16, 0x20, 0, 0x28, 2, 0, 0x20, 0, 0x28, 2, 4, 0xfc, 10, 0, 0, 0x41, 0,
            0x0b,
        ],
    ];
    text.concat()
}

fn source(dir: &Path, counter: u64) -> PathBuf {
    let folder = dir.join(format!("source{counter}"));
    std::fs::create_dir_all(&folder).unwrap();
    let text = std::fs::read_to_string(packs().join("template-rust/kernels.json")).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    manifest["counter"] = json!(counter);
    manifest["version"] = json!(format!("0.{counter}.0"));
    std::fs::write(folder.join("kernels.json"), manifest.to_string()).unwrap();
    std::fs::write(folder.join("scale.wasm"), copy_module()).unwrap();
    folder
}

fn signed(dir: &Path, counter: u64) -> String {
    let (from, pack) = (source(dir, counter), format!("pack{counter}"));
    ok(&mayfly(dir, &["--json", "pack", "build", from.to_str().unwrap(), "-o", &pack]));
    ok(&mayfly(dir, &["--json", "pack", "sign", &pack, "--key", "keys/secret.json"]));
    pack
}

#[test]
fn from_a_key_to_a_rollback() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let key = ok(&mayfly(d, &["--json", "pack", "keygen", "keys", "--name", "Me"]));
    assert!(failed(&mayfly(d, &["pack", "keygen", "keys"])).contains("has a key already"));
    let (one, two) = (signed(d, 1), signed(d, 2));
    let verified = ok(&mayfly(d, &["--json", "pack", "verify", &one, "--trust", "keys/public.json"]));
    assert_eq!(verified, json!({"ok": true, "error": null, "kernels": 1, "signed_by": [key["key_id"]]}));

    let stranger = mayfly(d, &["--json", "pack", "install", &one]);
    assert!(failed(&stranger).contains("none of which is among the 0 trusted keys"));
    let installed = ok(&mayfly(d, &["--json", "pack", "install", &one, "--trust", "keys/public.json"]));
    assert_eq!(installed["generation"], 1);
    assert!(failed(&mayfly(d, &["pack", "install", &one])).contains("use upgrade"));
    ok(&mayfly(d, &["--json", "pack", "upgrade", &two]));
    let list = ok(&mayfly(d, &["--json", "pack", "list"]));
    assert_eq!(list["packs"][0]["active"]["version"], "0.2.0");
    assert_eq!(list["packs"][0]["previous"]["version"], "0.1.0");
    assert!(failed(&mayfly(d, &["pack", "upgrade", &one])).contains("a downgrade is refused"));
    ok(&mayfly(d, &["--json", "pack", "rollback", "my-pack"]));
    assert!(failed(&mayfly(d, &["pack", "rollback", "my-pack"])).contains("no previous pack"));
    let revoked = ok(&mayfly(d, &["--json", "pack", "revoke", "my-pack", "--counter", "1", "--reason", "test"]));
    assert_eq!(revoked["refused"], json!(["my-pack"]));
    let error: Value = serde_json::from_slice(&mayfly(d, &["--json", "pack", "verify", &one]).stdout).unwrap();
    assert_eq!(error["error"]["kind"], "Revoked");
}

#[test]
fn a_changed_module_is_named_with_both_hashes() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    ok(&mayfly(d, &["--json", "pack", "keygen", "keys"]));
    let pack = signed(d, 1);
    std::fs::write(d.join(&pack).join("scale.wasm"), b"changed").unwrap();
    let output = mayfly(d, &["--json", "pack", "verify", &pack, "--trust", "keys/public.json"]);
    failed(&output);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&object["ok"], &object["error"]["kind"]), (&json!(false), &json!("HashMismatch")));
    assert!(object["error"]["expected"] != object["error"]["actual"] && object["error"]["path"] == "scale.wasm");
}

/// A .npy file of f32 values.
fn npy(path: &Path, values: &[f32]) {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", values.len());
    header = format!("{header:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\0\x76\0".to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes[128..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn the_core_pack_runs_on_both_engines() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let (pack, key) = (packs().join("mayfly-core-1.0.0"), packs().join("mayfly-core-dev.pub.json"));
    let (pack, key) = (pack.to_str().unwrap(), key.to_str().unwrap());
    assert_eq!(ok(&mayfly(d, &["--json", "pack", "verify", pack, "--trust", key]))["kernels"], 13);
    assert_eq!(ok(&mayfly(d, &["--json", "pack", "inspect", pack]))["manifest"]["name"], "mayfly-core");
    npy(&d.join("gate.npy"), &[0.0, 1.0, -1.0, 20.0, 3.0]);
    npy(&d.join("up.npy"), &[1.0, 2.0, 3.0, 4.0, 5.0]);
    for engine in ["wasmtime", "wasmi"] {
        let run = ["--json", "pack", "run", pack, "swiglu_f32", "--trust", key, "--engine", engine];
        let io = ["--input", "gate=gate.npy", "--input", "up=up.npy", "-o", "y.npy"];
        let said = ok(&mayfly(d, &[&run[..], &io].concat()));
        assert_eq!((&said["answered_by"], &said["engine"]), (&json!("kernel"), &json!(engine)));
        let expected = [0.0, 1.462_117_2, -0.806_824_27, 80.0, 14.288_612];
        for (found, expected) in floats(&d.join("y.npy")).into_iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} {expected}");
        }
    }
    let wrong =
        mayfly(d, &["pack", "run", pack, "swiglu_f32", "--trust", key, "--input", "gate=gate.npy", "-o", "y.npy"]);
    assert!(failed(&wrong).contains("`up`: expected f32 [n], found nothing"));
    let missing = mayfly(d, &["pack", "run", pack, "softmax", "--trust", key, "-o", "y.npy"]);
    assert!(failed(&missing).contains("it has rope_f32"));
}

/// The templates of packs/ as their compilers made them (docs/third-party-kernels.md; of the C one, `wasm-strip` took the names).
const TEMPLATES: [&[u8]; 2] = [include_bytes!("guests/scale-c.wasm"), include_bytes!("guests/scale-rust.wasm")];

#[test]
fn templates_run_forward_and_backward_and_say_what_they_are() {
    for (i, wasm) in TEMPLATES.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path();
        ok(&mayfly(d, &["--json", "pack", "keygen", "keys"]));
        std::fs::write(source(d, 1).join("scale.wasm"), wasm).unwrap();
        ok(&mayfly(d, &["--json", "pack", "build", "source1", "-o", "pack"]));
        ok(&mayfly(d, &["--json", "pack", "sign", "pack", "--key", "keys/secret.json"]));
        let run = |more: &[&str]| {
            let first =
                ["pack", "run", "pack", "scale", "--trust", "keys/public.json", "--param", "scale=3", "-o", "y.npy"];
            mayfly(d, &[&["--json"], &first[..], more].concat())
        };
        for engine in ["wasmtime", "wasmi"] {
            ok(&run(&["--engine", engine, "--input", "x=[1,2,-3]"]));
            assert_eq!(floats(&d.join("y.npy")), [3.0, 6.0, -9.0], "template {i} on {engine}");
            let backward = ["--engine", engine, "--backward", "--input", "x=[1,2,3]", "--gradient", "y=[1,10,-1]"];
            let said = ok(&run(&backward));
            assert_eq!(said["outputs"][0]["name"], "x");
            assert_eq!(floats(&d.join("y.npy")), [3.0, 30.0, -3.0], "template {i} backward on {engine}");
        }
        assert!(failed(&run(&["--backward", "--input", "x=[1]"])).contains("--gradient y=FILE.npy is missing"));
        assert!(failed(&run(&["--backward", "--input", "x=[1]", "--gradient", "y=[1,2]"])).contains("gradients"));
        let checked = ok(&mayfly(d, &["--json", "pack", "inspect", "pack", "--trust", "keys/public.json"]));
        let kernel = &checked["kernels"]["scale"];
        assert_eq!(checked["checked"], true);
        assert_eq!(kernel["exports"], json!(["kernel_backward", "kernel_info"]));
        assert_eq!(kernel["info"], json!({"abi_version": 1, "descriptor_bytes": 40}));
        let unchecked = ok(&mayfly(d, &["--json", "pack", "inspect", "pack"]));
        assert_eq!((&unchecked["checked"], &unchecked["kernels"]["scale"]["info"]), (&json!(false), &Value::Null));
        std::fs::write(d.join("pack/scale.wasm"), copy_module()).unwrap();
        let tampered = mayfly(d, &["--json", "pack", "inspect", "pack", "--trust", "keys/public.json"]);
        assert!(failed(&tampered).contains("sha256"), "a pack that does not verify is not run");
    }
}
