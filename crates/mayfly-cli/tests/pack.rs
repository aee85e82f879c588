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
    assert!(failed(&mayfly(d, &["pack", "upgrade", &two])).contains("was rolled back and stays out"));
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

/// What lies in a folder, by path.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn a_folder_that_is_no_store_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    std::fs::create_dir_all(d.join("repo/packs/myapp/src")).unwrap();
    std::fs::write(d.join("repo/packs/myapp/src/main.rs"), "fn main() {}").unwrap();
    ok(&mayfly(d, &["--json", "pack", "keygen", "keys"]));
    let pack = signed(d, 1);
    let before = tree(&d.join("repo"));
    for command in [
        &["pack", "list"][..],
        &["pack", "install", &pack, "--trust", "keys/public.json"],
        &["pack", "rollback", "my-pack"],
        &["pack", "revoke", "my-pack", "--counter", "1"],
    ] {
        let said = failed(&mayfly(d, &[command, &["--store", "repo"]].concat()));
        assert!(said.contains("not a store of packs") && said.contains("holds packs"), "{said}");
        assert_eq!(tree(&d.join("repo")), before, "{command:?}");
    }
    // Where nothing is yet, nothing is made by asking.
    assert_eq!(ok(&mayfly(d, &["--json", "pack", "list", "--store", "none"]))["packs"], json!([]));
    assert!(!d.join("none").exists());
    // A stray file stops no command and is named.
    ok(&mayfly(d, &["--json", "pack", "install", &pack, "--trust", "keys/public.json", "--store", "store"]));
    std::fs::write(d.join("store/packs/notes.txt"), "mine").unwrap();
    let list = ok(&mayfly(d, &["--json", "pack", "list"]));
    assert_eq!(list["packs"][0]["refused"], Value::Null);
    assert!(list["notices"][0].as_str().unwrap().starts_with("packs/notes.txt is not of this store"));
    // A lost state is said and forgets nothing.
    std::fs::remove_file(d.join("store/state.json")).unwrap();
    let again = mayfly(d, &["pack", "upgrade", &signed(d, 2)]);
    assert!(again.status.success() && String::from_utf8_lossy(&again.stderr).contains("state.json was lost"));
    assert!(failed(&mayfly(d, &["pack", "upgrade", &pack])).contains("a downgrade is refused"));
}

#[test]
fn revoking_takes_key_ids_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let id = ok(&mayfly(d, &["--json", "pack", "keygen", "keys"]))["key_id"].as_str().unwrap().to_owned();
    let (one, two) = (signed(d, 1), signed(d, 2));
    for bad in ["abc", "", &id[1..], &format!("{id}0"), &id.replace(|c: char| c.is_ascii_digit(), "x")] {
        let said = failed(&mayfly(d, &["pack", "revoke", "--key", bad]));
        assert!(said.contains("64 hex digits"), "{bad}: {said}");
    }
    assert!(!d.join("store").exists(), "no store is made for it");
    ok(&mayfly(d, &["--json", "pack", "install", &one, "--trust", "keys/public.json"]));
    let stranger = "0123456789".repeat(7)[..64].to_owned();
    assert_eq!(ok(&mayfly(d, &["--json", "pack", "revoke", "--key", &stranger]))["known"], false);
    assert_eq!(ok(&mayfly(d, &["--json", "pack", "revoke", "other-pack", "--counter", "7"]))["known"], false);
    let said = ok(&mayfly(d, &["--json", "pack", "revoke", "--key", &id.to_uppercase()]));
    assert_eq!((&said["known"], &said["refused"]), (&json!(true), &json!(["my-pack"])));
    assert!(failed(&mayfly(d, &["pack", "upgrade", &two])).contains("was revoked"));
    let list = ok(&mayfly(d, &["--json", "pack", "list"]));
    assert!(list["packs"][0]["refused"].as_str().unwrap().contains("was revoked"));
}

#[test]
fn a_strangers_words_do_not_steer_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    ok(&mayfly(d, &["--json", "pack", "keygen", "keys"]));
    let from = source(d, 1);
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(from.join("kernels.json")).unwrap()).unwrap();
    let hostile = "\x1b[2J\x1b[Hchecked\nsigned by 00\u{9b}31m\u{202e}\r\x07";
    manifest["description"] = json!(hostile);
    manifest["author"]["name"] = json!(hostile);
    std::fs::write(from.join("kernels.json"), manifest.to_string()).unwrap();
    ok(&mayfly(d, &["--json", "pack", "build", "source1", "-o", "pack"]));
    ok(&mayfly(d, &["--json", "pack", "sign", "pack", "--key", "keys/secret.json"]));
    let steers = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    for args in [
        &["pack", "inspect", "pack"][..],
        &["--json", "pack", "inspect", "pack"],
        &["pack", "inspect", "pack", "--trust", "keys/public.json"],
    ] {
        let output = mayfly(d, args);
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.contains(steers), "{said:?}");
        if args[0] == "--json" {
            assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["manifest"]["description"], hostile);
        } else {
            let checked = args.len() > 3;
            assert!(said.starts_with(if checked { "checked: " } else { "NOT CHECKED: " }), "{said}");
            assert_eq!(
                said.lines().filter(|line| line.starts_with("signed by") || line.starts_with("checked")).count(),
                usize::from(checked)
            );
        }
    }
    // In an error too: a member that no manifest has, with a name of its own.
    manifest["\x1b[2Jmember"] = json!(1);
    std::fs::write(from.join("kernels.json"), manifest.to_string()).unwrap();
    let said = failed(&mayfly(d, &["pack", "build", "source1", "-o", "other"]));
    assert!(said.contains("member") && !said.contains(steers), "{said:?}");
}

#[test]
fn building_replaces_nothing_that_somebody_needs() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    ok(&mayfly(d, &["--json", "pack", "keygen", "keys"]));
    source(d, 1);
    let build = |more: &[&str]| mayfly(d, &[&["--json", "pack", "build", "source1", "-o"], more].concat());
    // Its own unsigned pack, again and again.
    ok(&build(&["pack"]));
    ok(&build(&["pack"]));
    // A signed one.
    ok(&mayfly(d, &["--json", "pack", "sign", "pack", "--key", "keys/secret.json"]));
    let before = std::fs::read(d.join("pack/kernels.json")).unwrap();
    assert!(failed(&build(&["pack"])).contains("signed pack"));
    assert_eq!(std::fs::read(d.join("pack/kernels.json")).unwrap(), before);
    ok(&mayfly(d, &["--json", "pack", "verify", "pack", "--trust", "keys/public.json"]));
    ok(&build(&["pack", "--force"]));
    assert!(!d.join("pack/kernels.json.sig").exists(), "its signatures were of other files");
    // Files that no build has left, and one that was changed since.
    std::fs::create_dir(d.join("mine")).unwrap();
    std::fs::write(d.join("mine/scale.wasm"), "mine").unwrap();
    assert!(failed(&build(&["mine"])).contains("scale.wasm is there already"));
    assert_eq!(std::fs::read(d.join("mine/scale.wasm")).unwrap(), b"mine");
    assert!(!d.join("mine/kernels.json").exists());
    std::fs::write(d.join("pack/scale.wasm"), "mine").unwrap();
    assert!(failed(&build(&["pack"])).contains("scale.wasm is there already"));
    // What it is made of, whatever it is called.
    for place in ["source1", "./source1/../source1"] {
        for force in [&[][..], &["--force"]] {
            assert!(failed(&build(&[&[place], force].concat())).contains("would be lost"));
        }
    }
    assert!(failed(&build(&["-"])).contains("a pack is a folder"));
}

fn uleb(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 127 {
        out.push((n & 127) as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A `br_table` of 5,000 edges to a loop over 200 variables: 6 kB that took 20 s to compile.
fn bomb() -> Vec<u8> {
    let section = |id: u8, content: Vec<u8>| [vec![id], uleb(content.len()), content].concat();
    let mut body = [vec![1], uleb(200), vec![0x7f, 0x03, 0x40]].concat();
    for v in 1..=200 {
        body.extend([vec![0x20], uleb(v), vec![0x41, 1, 0x6a, 0x21], uleb(v)].concat());
    }
    body.extend([vec![0x20, 0, 0x0e], uleb(5000), vec![0; 5001], vec![0x0b, 0x41, 0, 0x0b]].concat());
    let code = [vec![1], uleb(body.len()), body].concat();
    let exports: &[&[u8]] = &[&[3, 6], b"memory", &[2, 0, 11], b"__heap_base", &[3, 0, 14], b"kernel_forward", &[0, 0]];
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, vec![1, 0x60, 1, 0x7f, 1, 0x7f]),
        section(3, vec![1, 0]),
        section(5, vec![1, 0, 1]),
        section(6, vec![1, 0x7f, 0, 0x41, 0x80, 0x08, 0x0b]),
        section(7, exports.concat()),
        section(10, code),
    ]
    .concat()
}

#[test]
fn what_could_not_be_compiled_is_refused_by_verify() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    ok(&mayfly(d, &["--json", "pack", "keygen", "keys"]));
    let from = source(d, 1);
    std::fs::write(from.join("scale.wasm"), bomb()).unwrap();
    ok(&mayfly(d, &["--json", "pack", "build", "source1", "-o", "pack"]));
    ok(&mayfly(d, &["--json", "pack", "sign", "pack", "--key", "keys/secret.json"]));
    let verified = mayfly(d, &["--json", "pack", "verify", "pack", "--trust", "keys/public.json"]);
    failed(&verified);
    let error: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(error["error"]["kind"], "LimitExceeded");
    assert!(failed(&mayfly(d, &["pack", "install", "pack", "--trust", "keys/public.json"])).contains("allowed"));
    // The process that compiles speaks to its parent only.
    assert!(failed(&mayfly(d, &["pack", "compile"])).contains("not a task"));
}

#[test]
fn a_dash_is_standard_input_and_output_and_inputs_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    ok(&mayfly(d, &["--json", "pack", "keygen", "keys"]));
    let pack = signed(d, 1);
    npy(&d.join("x.npy"), &[1.0, 2.0]);
    let run = |more: &[&str], stdin: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
        command.current_dir(d).args(["pack", "run", &pack, "scale"]).args(more);
        command.stdin(std::fs::File::open(stdin).unwrap()).output().unwrap()
    };
    let (x, key) = (d.join("x.npy"), d.join("keys/public.json"));
    let output = run(&["--trust", "keys/public.json", "--input", "x=-", "-o", "-"], &x);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(d.join("y.npy"), &output.stdout).unwrap();
    assert_eq!(floats(&d.join("y.npy")), [1.0, 2.0]);
    assert!(run(&["--trust", "-", "--input", "x=x.npy", "-o", "z.npy"], &key).status.success());
    let before = std::fs::read(&x).unwrap();
    for (place, words) in [
        ("x.npy", "would be lost"),
        ("./keys/../x.npy", "would be lost"),
        ("keys/public.json", "would be lost"),
        ("pack1/scale.wasm", "file of the pack"),
    ] {
        let said = failed(&run(&["--trust", "keys/public.json", "--input", "x=x.npy", "-o", place], &x));
        assert!(said.contains(words), "{place}: {said}");
    }
    assert_eq!(std::fs::read(&x).unwrap(), before);
}
