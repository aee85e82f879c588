//! Guests that use a model of Mayfly's by wasi-nn get what the library gives.

use mayfly_format::model_file::NanPolicy;
use mayfly_nn::{Act, Model, Network, NetworkSpec};
use mayfly_wasi_nn::{GuestError, GuestLimits, Limits, context, run_guest};

/// Two rows of two values, as guests have them.
const ROWS: [f32; 4] = [0.25, -1.5, 1.0, 0.5];

fn model() -> Model {
    let spec = NetworkSpec::dense(2, &[7, 5], Act::Tanh.into(), 3, Act::Sigmoid.into());
    Model::new(Network::new(spec, 11).unwrap())
}

/// A guest in text: `{get}` makes the graph and leaves an error code, `{bytes}` is the room for outputs. Memory: the rows at
/// 16, dimensions at 32, the tensor at 64, handles from 128 on, outputs at 1024, the model at 4096 with its builder at 160.
fn guest(get: &str, data: &str, room: u32) -> Vec<u8> {
    let floats: String = ROWS.iter().flat_map(|v| v.to_le_bytes()).map(|b| format!("\\{b:02x}")).collect();
    let wat = format!(
        r#"(module
        (import "wasi_ephemeral_nn" "load" (func $load (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "load_by_name" (func $load_by_name (param i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "init_execution_context" (func $init (param i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "set_input" (func $set (param i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
        (import "wasi_ephemeral_nn" "get_output" (func $get (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 4)
        (data (i32.const 16) "{floats}")
        (data (i32.const 32) "\02\00\00\00\02\00\00\00")
        (data (i32.const 64) "\20\00\00\00\02\00\00\00\01\00\00\00\10\00\00\00\10\00\00\00")
        {data}
        (func $all (result i32) (local $e i32)
          (local.set $e {get})
          (if (local.get $e) (then (return (local.get $e))))
          (local.set $e (call $init (i32.load (i32.const 128)) (i32.const 132)))
          (if (local.get $e) (then (return (local.get $e))))
          (local.set $e (call $set (i32.load (i32.const 132)) (i32.const 0) (i32.const 64)))
          (if (local.get $e) (then (return (local.get $e))))
          (local.set $e (call $compute (i32.load (i32.const 132))))
          (if (local.get $e) (then (return (local.get $e))))
          (call $get (i32.load (i32.const 132)) (i32.const 0) (i32.const 1024) (i32.const {room}) (i32.const 136)))
        (func (export "run") (result i64) (local $e i32)
          (local.set $e (call $all))
          (if (local.get $e) (then (return (i64.sub (i64.const -1) (i64.extend_i32_u (local.get $e))))))
          (i64.or (i64.const 1024) (i64.shl (i64.extend_i32_u (i32.div_u (i32.load (i32.const 136)) (i32.const 4))) (i64.const 32)))))"#
    );
    wat::parse_str(wat).unwrap()
}

fn by_name(name: &str) -> Vec<u8> {
    let get = format!("(call $load_by_name (i32.const 200) (i32.const {}) (i32.const 128))", name.len());
    guest(&get, &format!(r#"(data (i32.const 200) "{name}")"#), 64)
}

/// `load` of these bytes, with encoding and target.
fn by_bytes(model: &[u8], encoding: u32, target: u32) -> Vec<u8> {
    let text: String = model.iter().map(|b| format!("\\{b:02x}")).collect();
    let length: String = (model.len() as u32).to_le_bytes().iter().map(|b| format!("\\{b:02x}")).collect();
    let data = format!(r#"(data (i32.const 4096) "{text}") (data (i32.const 160) "\00\10\00\00{length}")"#);
    let get = format!(
        "(call $load (i32.const 160) (i32.const 1) (i32.const {encoding}) (i32.const {target}) (i32.const 128))"
    );
    guest(&get, &data, 64)
}

fn run(wasm: &[u8]) -> Result<Vec<f32>, GuestError> {
    run_guest(wasm, context([("net".to_owned(), model())], &Limits::default()), &GuestLimits::default())
}

fn file() -> Vec<u8> {
    model().to_file().unwrap().to_bytes(NanPolicy::Refuse).unwrap()
}

#[test]
fn a_guest_gets_the_outputs_of_the_library() {
    let expected = model().predict(&ROWS).unwrap();
    assert_eq!(expected.len(), 6);
    assert_eq!(run(&by_bytes(&file(), 5, 0)).unwrap(), expected, "loaded from the guest's own bytes");
    assert_eq!(run(&by_name("net")).unwrap(), expected, "loaded by name");
}

#[test]
fn wrong_calls_end_in_errors_of_wasi_nn() {
    const RUNTIME_ERROR: i64 = -6;
    const UNSUPPORTED: i64 = -7;
    const TOO_LARGE: i64 = -8;
    let good = file();
    let mut broken = good.clone();
    broken[4] ^= 0xff;
    let room = guest(
        "(call $load_by_name (i32.const 200) (i32.const 3) (i32.const 128))",
        r#"(data (i32.const 200) "net")"#,
        8,
    );
    for (what, wasm, code) in [
        ("no such name", by_name("other"), UNSUPPORTED),
        ("another encoding", by_bytes(&good, 1, 0), UNSUPPORTED),
        ("no GPU", by_bytes(&good, 5, 1), RUNTIME_ERROR),
        ("not a model", by_bytes(&broken, 5, 0), RUNTIME_ERROR),
        ("half a model", by_bytes(&good[..good.len() / 2], 5, 0), RUNTIME_ERROR),
        ("little room for outputs", room, TOO_LARGE),
    ] {
        let ended = run(&wasm);
        assert!(matches!(ended, Err(GuestError::Failed(found)) if found == code), "{what}: {ended:?}");
    }
}

#[test]
fn limits_hold() {
    let run_with = |wasm: &[u8], limits: &Limits, guest: &GuestLimits| {
        run_guest(wasm, context([("net".to_owned(), model())], limits), guest)
    };
    let usual = GuestLimits::default();
    let (loading, named) = (by_bytes(&file(), 5, 0), by_name("net"));
    for (what, wasm, limits) in [
        ("no model of its own", &loading, Limits { models: 0, ..Limits::default() }),
        ("small models only", &loading, Limits { model_bytes: 100, ..Limits::default() }),
        ("no context", &named, Limits { contexts: 0, ..Limits::default() }),
        ("one row", &named, Limits { rows: 1, ..Limits::default() }),
    ] {
        let ended = run_with(wasm, &limits, &usual);
        assert!(matches!(ended, Err(GuestError::Failed(_))), "{what}: {ended:?}");
    }
    let stopped = run_with(&by_name("net"), &Limits::default(), &GuestLimits { fuel: 0, ..usual });
    assert!(matches!(stopped, Err(GuestError::OutOfFuel { fuel: 0 })), "{stopped:?}");
    let small = run_with(&by_name("net"), &Limits::default(), &GuestLimits { memory_bytes: 65536, ..usual });
    assert!(matches!(small, Err(GuestError::Module(_))), "{small:?}");
}

#[test]
fn hostile_guests_end_in_typed_errors() {
    let text = |body: &str| wat::parse_str(format!(r#"(module {body})"#)).unwrap();
    let memory = r#"(memory (export "memory") 1)"#;
    // wasmtime-wasi-nn panics when a guest hands it a pointer outside of its memory.
    let outside = text(&format!(
        r#"(import "wasi_ephemeral_nn" "load_by_name" (func $l (param i32 i32 i32) (result i32))) {memory}
        (func (export "run") (result i64) (i64.extend_i32_u (call $l (i32.const 65530) (i32.const 100) (i32.const 0))))"#
    ));
    assert!(matches!(run(&outside), Err(GuestError::HostCall(_) | GuestError::Trap(_))), "{:?}", run(&outside));
    let far = text(&format!(r#"{memory} (func (export "run") (result i64) (i64.const 0x7fffffff_fffffff0))"#));
    assert!(matches!(run(&far), Err(GuestError::OutOfBounds { .. })), "{:?}", run(&far));
    let endless = text(&format!(r#"{memory} (func (export "run") (result i64) (loop $l (br $l)) (i64.const 0))"#));
    let fuel = GuestLimits { fuel: 100_000, ..GuestLimits::default() };
    let ended = run_guest(&endless, context([], &Limits::default()), &fuel);
    assert!(matches!(ended, Err(GuestError::OutOfFuel { fuel: 100_000 })), "{ended:?}");
    let imports =
        text(&format!(r#"(import "env" "x" (func)) {memory} (func (export "run") (result i64) (i64.const 0))"#));
    assert!(matches!(run(&imports), Err(GuestError::Module(_))), "{:?}", run(&imports));
    assert!(matches!(run(&text(memory)), Err(GuestError::MissingExport(_))));
    assert!(matches!(run(b"\0asm"), Err(GuestError::Module(_))));
}

/// Needs rustup's target wasm32-unknown-unknown.
#[test]
#[ignore = "nightly"]
fn a_guest_in_rust() {
    let folder = tempfile::tempdir().unwrap();
    let (file, wasm) = (folder.path().join("model.mayfly"), folder.path().join("predict.wasm"));
    model().save(&file).unwrap();
    let compiled = std::process::Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "-O",
            "--crate-type",
            "cdylib",
            "--target",
            "wasm32-unknown-unknown",
            "guests/predict.rs",
            "-o",
        ])
        .arg(&wasm)
        .env("MODEL", &file)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(compiled.unwrap().success(), "`rustup target add wasm32-unknown-unknown` first");
    let outputs = run(&std::fs::read(&wasm).unwrap()).unwrap();
    assert_eq!(outputs, model().predict(&ROWS).unwrap());
}
