//! Hostile modules: each ends in its own typed error within its budget, on every engine, and the next call works.

mod common;

use common::*;
use mayfly_packs::*;
use std::time::{Duration, Instant};

/// How long a call of 100 ms may really take on a busy machine.
const GENEROUS: Duration = Duration::from_secs(20);

fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|e| panic!("{e}\n{wat}"))
}

/// Refused before anything is compiled.
fn refused(wasm: &[u8]) -> PackError {
    check(&pack_of(wasm)).expect_err("refused")
}

/// Runs the hostile kernel and then a good one on every engine; returns the errors by engine: epochs, fuel, wasmi.
fn run_everywhere(hostile: &str) -> Vec<PackError> {
    let (hostile, good) = (wasm(hostile), wasm(&good_wat("")));
    let run = |engine: std::sync::Arc<dyn Engine>| {
        let (bad, good) = (load(&hostile, &*engine).unwrap(), load(&good, &*engine).unwrap());
        let start = Instant::now();
        let error = call(&bad).unwrap_err();
        assert!(start.elapsed() < GENEROUS, "{:?}", start.elapsed());
        assert_eq!(call(&good).unwrap(), [2.0, 3.0, 4.0], "the next call works");
        let again = call(&bad).unwrap_err();
        assert_eq!(again.kind(), error.kind(), "and the hostile one fails alike");
        let metrics = &bad.metrics().kernels[0];
        assert_eq!((metrics.calls, metrics.failures, metrics.instances), (2, 2, 2), "its instances are dropped");
        assert_eq!(metrics.last_failures[0].error, error);
        error
    };
    engines().into_iter().map(run).collect()
}

fn kinds(hostile: &str) -> Vec<String> {
    run_everywhere(hostile).iter().map(PackError::kind).collect()
}

#[test]
fn infinite_loop() {
    let kinds = kinds(&body_wat("", "(loop $l (br $l)) (i32.const 0)"));
    assert_eq!(kinds[..2], ["EpochDeadline", "OutOfFuel"]);
    assert_eq!(kinds[2], "EpochDeadline");
}

#[test]
fn infinite_recursion_through_many_frames() {
    let wat = body_wat(
        "(func $f (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0))))",
        "(call $f (i32.const 0))",
    );
    for kind in kinds(&wat) {
        assert_eq!(kind, "StackOverflow");
    }
}

#[test]
fn memory_grow_bomb() {
    let errors = run_everywhere(&body_wat("", "(loop $l (drop (memory.grow (i32.const 1))) (br $l)) (i32.const 0)"));
    for error in errors {
        assert!(matches!(error, PackError::LimitExceeded { asked: 327_680, limit: 262_144, .. }), "{error:?}");
    }
}

#[test]
fn memory_grow_by_everything() {
    for error in run_everywhere(&body_wat("", "(memory.grow (i32.const 65535))")) {
        assert!(matches!(error, PackError::LimitExceeded { limit: 262_144, .. }), "{error:?}");
    }
}

#[test]
fn out_of_bounds_reads_and_writes() {
    for body in [
        "(i32.load (i32.const 65533))",
        "(i32.load (i32.const -4))",
        "(i32.load offset=4294967295 (i32.const -1))",
        "(i32.store (i32.const 70000) (i32.const 1)) (i32.const 0)",
        "(memory.fill (i32.const 0) (i32.const 0) (i32.const -1)) (i32.const 0)",
        "(memory.copy (i32.const 60000) (i32.const 0) (i32.const 60000)) (i32.const 0)",
    ] {
        for (i, error) in run_everywhere(&body_wat("", body)).into_iter().enumerate() {
            // A fill of 4 GiB costs fuel by its length, which may be used up before the bounds are looked at.
            let dear = body.contains("fill") && error.kind() == "OutOfFuel";
            let bounds = matches!(error, PackError::MemoryAccessViolation { size: 65_536, .. });
            assert!(bounds || dear, "{body}: {error:?}");
            if body.contains("70000") && i == 0 {
                assert!(matches!(error, PackError::MemoryAccessViolation { offset: Some(70_000), .. }), "{error:?}");
            }
        }
    }
}

#[test]
fn each_trap_has_its_name() {
    let table =
        r#"(type $t (func)) (type $u (func (param i64))) (table 2 2 funcref) (elem (i32.const 0) $f) (func $f)"#;
    let cases = [
        ("", "(i32.div_s (i32.const 1) (i32.const 0))", "DivideByZero"),
        ("", "(i32.rem_u (i32.const 1) (i32.const 0))", "DivideByZero"),
        ("", "(i32.div_s (i32.const -2147483648) (i32.const -1))", "IntegerOverflow"),
        ("", "(i32.trunc_f32_s (f32.const nan))", "BadConversionToInteger"),
        ("", "(unreachable)", "Unreachable"),
        (table, "(call_indirect (type $u) (i64.const 1) (i32.const 0)) (i32.const 0)", "IndirectCallTypeMismatch"),
        (table, "(call_indirect (type $t) (i32.const 7)) (i32.const 0)", "TableOutOfBounds"),
        (table, "(call_indirect (type $t) (i32.const 1)) (i32.const 0)", "NullReference"),
    ];
    for (extra, body, expected) in cases {
        for kind in kinds(&body_wat(extra, body)) {
            assert_eq!(kind, expected, "{body}");
        }
    }
    // A float too large for an integer is an overflow to one engine and a bad conversion to another; both are named.
    for kind in kinds(&body_wat("", "(i32.trunc_f32_s (f32.const 1e30))")) {
        assert!(["IntegerOverflow", "BadConversionToInteger"].contains(&kind.as_str()), "{kind}");
    }
}

#[test]
fn return_codes_are_reported_with_their_names() {
    for (code, name) in [(1, "INVALID_INPUT"), (4, "OUT_OF_MEMORY"), (6, "INTERNAL_ERROR"), (-1, "does not know")] {
        for error in run_everywhere(&body_wat("", &format!("(i32.const {code})"))) {
            let PackError::KernelTrap { code: found, message } = error else { panic!("{error:?}") };
            assert_eq!(found, code);
            assert!(message.contains(name), "{message}");
        }
    }
}

#[test]
fn a_lying_heap_base_and_a_lying_alloc() {
    for base in ["-1", "-64", "-4096"] {
        let wat = good_wat("").replace("i32.const 1024", &format!("i32.const {base}"));
        for error in run_everywhere(&wat) {
            let named = matches!(error, PackError::MemoryAccessViolation { .. } | PackError::LimitExceeded { .. });
            assert!(named, "{base}: {error:?}");
        }
    }
    for (alloc, expected) in [("0", "KernelTrap"), ("-8", "MemoryAccessViolation"), ("65530", "MemoryAccessViolation")]
    {
        let alloc = format!(r#"(func (export "kernel_alloc") (param i32) (result i32) (i32.const {alloc}))"#);
        let wat = good_wat(&alloc).replace("(global (export \"__heap_base\") i32 (i32.const 1024))", "");
        for kind in kinds(&wat) {
            assert_eq!(kind, expected);
        }
    }
}

#[test]
fn an_honest_alloc_works() {
    let alloc = r#"(global $top (mut i32) (i32.const 4096)) (func (export "kernel_alloc") (param i32) (result i32)
        (global.get $top) (global.set $top (i32.add (global.get $top) (local.get 0))))"#;
    let wat = good_wat(alloc).replace("(global (export \"__heap_base\") i32 (i32.const 1024))", "");
    for engine in engines() {
        let pack = load(&wasm(&wat), &*engine).unwrap();
        for _ in 0..3 {
            assert_eq!(call(&pack).unwrap(), [2.0, 3.0, 4.0]);
        }
    }
}

#[test]
fn failing_init_and_cleanup() {
    let init = |body: &str| good_wat(&format!(r#"(func (export "kernel_init") (param i32 i32) (result i32) {body})"#));
    assert_eq!(kinds_of_first_call(&init("(unreachable)")), "Unreachable");
    assert_eq!(kinds_of_first_call(&init("(i32.const 3)")), "KernelTrap");
    assert_eq!(kinds_of_first_call(&init("(loop $l (br $l)) (i32.const 0)")), "EpochDeadline");
    // A cleanup that fails costs its instance and nothing else.
    let cleanup = good_wat(r#"(func (export "kernel_cleanup") (result i32) (unreachable))"#);
    let pack = load(&wasm(&cleanup), &*engines()[0]).unwrap();
    assert_eq!(call(&pack).unwrap(), call(&pack).unwrap());
    assert_eq!(pack.metrics().kernels[0].instances, 2);
}

fn kinds_of_first_call(wat: &str) -> String {
    call(&load(&wasm(wat), &*engines()[0]).unwrap()).unwrap_err().kind()
}

#[test]
fn smuggled_imports() {
    for import in [
        r#"(import "env" "system" (func))"#,
        r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#,
        r#"(import "env" "table" (table 1 funcref))"#,
        r#"(import "" "" (global i32))"#,
    ] {
        let wat = good_wat("").replacen("(module", &format!("(module {import}"), 1);
        assert!(matches!(refused(&wasm(&wat)), PackError::ForbiddenImport { .. }), "{import}");
    }
}

#[test]
fn start_functions() {
    let wat = good_wat("(func $s (loop $l (br $l))) (start $s)");
    assert!(matches!(refused(&wasm(&wat)), PackError::StartFunction { .. }));
}

#[test]
fn too_large_to_begin_with() {
    let large = |extra: &str, from: &str, to: &str| refused(&wasm(&good_wat(extra).replace(from, to)));
    let memory = large("", "\"memory\") 1", "\"memory\") 5");
    assert!(matches!(memory, PackError::LimitExceeded { asked: 5, limit: 4, .. }), "{memory:?}");
    let table = large("(table 1000000 funcref)", "", "");
    assert!(matches!(table, PackError::LimitExceeded { asked: 1_000_000, limit: 16, .. }), "{table:?}");
    let globals = large(&"(global i32 (i32.const 0))".repeat(64), "", "");
    assert!(matches!(globals, PackError::LimitExceeded { asked: 65, limit: 64, .. }), "{globals:?}");
    let functions = large(&"(func)".repeat(4096), "", "");
    assert!(matches!(functions, PackError::LimitExceeded { asked: 4097, limit: 4096, .. }), "{functions:?}");
}

#[test]
fn a_million_exports() {
    use wasm_encoder::{ConstExpr, ExportKind, ExportSection, GlobalSection, GlobalType, Module, ValType};
    let mut globals = GlobalSection::new();
    globals.global(GlobalType { val_type: ValType::I32, mutable: false, shared: false }, &ConstExpr::i32_const(0));
    let mut exports = ExportSection::new();
    for i in 0..700_000 {
        exports.export(&format!("{i:x}"), ExportKind::Global, 0);
    }
    let mut module = Module::new();
    let bytes = module.section(&globals).section(&exports).clone().finish();
    assert!(bytes.len() < 8 << 20, "{} bytes pass the limit of the file", bytes.len());
    assert!(matches!(refused(&bytes), PackError::LimitExceeded { asked: 700_000, limit: 1024, .. }));
    // The full million is more than a module may have bytes.
    let full = vec![0; (8 << 20) + 1];
    assert!(matches!(refused(&full), PackError::LimitExceeded { limit: 8_388_608, .. }));
}

#[test]
fn missing_and_mistyped_exports() {
    for (from, to) in [
        ("(export \"memory\")", ""),
        ("(export \"kernel_forward\")", ""),
        ("(export \"__heap_base\")", ""),
        ("(export \"__heap_base\") i32 (i32.const", "(export \"__heap_base\") (mut i32) (i32.const"),
        ("(export \"__heap_base\") i32 (i32.const", "(export \"__heap_base\") i64 (i64.const"),
    ] {
        let error = refused(&wasm(&good_wat("").replace(from, to)));
        assert!(matches!(error, PackError::MissingExport { .. }), "{from}: {error:?}");
    }
    for extra in [
        r#"(func (export "kernel_init") (param i64 i32) (result i32) (i32.const 0))"#,
        r#"(func (export "kernel_cleanup") (param i32) (result i32) (i32.const 0))"#,
        r#"(func (export "kernel_backward") (param i32))"#,
        r#"(global (export "kernel_alloc") i32 (i32.const 0))"#,
        r#"(func (export "kernel_info") (param i32) (result i64) (i64.const 0))"#,
    ] {
        let error = refused(&wasm(&good_wat(extra)));
        assert!(matches!(error, PackError::MissingExport { .. }), "{extra}: {error:?}");
    }
}

#[test]
fn features_outside_the_list() {
    for extra in [
        r#"(func (param v128 v128 v128) (result v128) (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))"#,
        r#"(func $t (return_call $t))"#,
        r#"(tag $e) (func (throw $e))"#,
        r#"(func (result externref) (ref.null extern))"#,
        r#"(func (drop (i32.atomic.load (i32.const 0))))"#,
    ] {
        let error = refused(&wasm(&good_wat(extra)));
        assert!(matches!(error, PackError::BadModule { .. }), "{extra}: {error:?}");
    }
    for memory in [
        "(memory 1) (memory (export \"memory\") 1)",
        "(memory (export \"memory\") i64 1)",
        "(memory (export \"memory\") 1 1 shared)",
    ] {
        let error = refused(&wasm(&good_wat("").replace("(memory (export \"memory\") 1)", memory)));
        assert!(matches!(error, PackError::BadModule { .. } | PackError::LimitExceeded { .. }), "{memory}: {error:?}");
    }
}

#[test]
fn simd_must_be_declared() {
    let simd = wasm(&good_wat("(func (result v128) (v128.const i32x4 1 2 3 4))"));
    let mut text = manifest(&simd, &key(1));
    check(&signed(&text, &[("k.wasm", &simd)], &key(1))).unwrap();
    text["kernels"][0]["platforms"]["wasmi"]["features"] = serde_json::json!([]);
    let error = check(&signed(&text, &[("k.wasm", &simd)], &key(1))).unwrap_err();
    assert!(matches!(error, PackError::SchemaViolation { .. }), "{error:?}");
}

#[test]
fn truncated_and_flipped_modules() {
    let good = wasm(&good_wat(""));
    let verified = check(&pack_of(&good)).unwrap();
    let (kernel, host) = (&verified.manifest().kernels[0], HostLimits::default());
    for end in 0..good.len() {
        // Cut before a custom section, which is no part of the program, it is whole.
        let Err(error) = vet(&good[..end], kernel, &host) else {
            assert_eq!(good[end], 0, "cut to {end}");
            continue;
        };
        assert!(matches!(error, PackError::BadModule { .. } | PackError::MissingExport { .. }), "{end}: {error:?}");
    }
    let engine = &engines()[0];
    let step = if std::env::var_os("MAYFLY_HEAVY").is_some() { 1 } else { 37 };
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // All are vetted; a sample is signed as it is and runs, to an answer or an error.
        if vet(&flipped, kernel, &host).is_ok() && bit % step == 0 {
            let _ = load(&flipped, &**engine).map(|pack| call(&pack));
        }
        if bit % (step * 8) == 0 {
            let mut files = pack_of(&good);
            files.insert("k.wasm".into(), flipped);
            assert!(matches!(check(&files), Err(PackError::HashMismatch { .. })), "bit {bit}");
        }
    }
    assert_eq!(call(&load(&good, &**engine).unwrap()).unwrap(), [2.0, 3.0, 4.0]);
}

#[test]
fn the_embedded_profile_is_smaller() {
    let verified = check(&pack_of(&wasm(&body_wat("", "(drop (memory.grow (i32.const 3))) (i32.const 0)")))).unwrap();
    let engine = new_engine(EngineKind::Wasmi, &small_options()).unwrap();
    assert!(call(&Pack::load(&verified, &*engine).unwrap()).is_ok());
    let error = call(&Pack::load_embedded(&verified, &*engine).unwrap()).unwrap_err();
    assert!(matches!(error, PackError::LimitExceeded { asked: 262_144, limit: 196_608, .. }), "{error:?}");
}

#[test]
fn a_fallback_answers_and_is_counted_and_says_so() {
    let bad = wasm(&body_wat("", "(unreachable)"));
    let mut text = manifest(&bad, &key(1));
    text["kernels"][0]["inputs"] = serde_json::json!([{"name": "gate", "dtype": "f32", "shape": ["n"]}, {"name": "up", "dtype": "f32", "shape": ["n"]}]);
    text["fallbacks"] = serde_json::json!({"k": "native:swiglu_f32"});
    let verified = check(&signed(&text, &[("k.wasm", &bad)], &key(1))).unwrap();
    let pack = Pack::load(&verified, &*engines()[0]).unwrap();
    let x = Tensor::from_f32(&[2], &[0.0, 20.0]);
    let answer =
        pack.kernel("k").unwrap().run(&[("gate", x.view()), ("up", x.view())], &[], &CallOptions::default()).unwrap();
    assert_eq!(answer.by, AnsweredBy::Fallback(PackError::Unreachable));
    assert_eq!(answer.outputs[0].to_f32(), [0.0, 400.0]);
    let metrics = &pack.metrics().kernels[0];
    assert_eq!((metrics.calls, metrics.failures, metrics.degraded), (1, 1, 1));
    assert_eq!(metrics.last_failures[0].inputs, ["f32 [2] in 8 bytes", "f32 [2] in 8 bytes"]);
    text["fallbacks"] = serde_json::json!({"k": "native:nonesuch"});
    let verified = check(&signed(&text, &[("k.wasm", &bad)], &key(1))).unwrap();
    assert!(matches!(Pack::load(&verified, &*engines()[0]), Err(PackError::SchemaViolation { .. })));
}

#[test]
fn calls_that_cannot_be() {
    let pack = load(&wasm(&good_wat("")), &*engines()[0]).unwrap();
    let kernel = pack.kernel("k").unwrap();
    let options = CallOptions::default();
    let good = Tensor::from_f32(&[2], &[1.0, 2.0]);
    let half = Tensor::from_f16(&[2], &[1.0, 2.0]);
    let lying = Tensor { data: vec![0; 4], ..good.clone() };
    let deep = Tensor { shape: vec![1, 2], ..good.clone() };
    let huge = Tensor { shape: vec![1 << 40], ..good.clone() };
    for bad in [half, lying, deep, huge] {
        let error = kernel.run(&[("x", bad.view())], &[], &options).unwrap_err();
        assert!(matches!(error, PackError::ShapeMismatch { .. }), "{error:?}");
    }
    for inputs in [vec![], vec![("z", good.view())], vec![("x", good.view()), ("x", good.view())]] {
        assert!(matches!(kernel.run(&inputs, &[], &options), Err(PackError::ShapeMismatch { .. })));
    }
    let unknown = [("eps".to_owned(), serde_json::json!(1))];
    assert!(matches!(kernel.run(&[("x", good.view())], &unknown, &options), Err(PackError::BadParam { .. })));
    assert!(matches!(pack.kernel("none"), Err(PackError::NoSuchKernel { .. })));
    // More than the kernel's memory: a limit, not a crash, and the next call works.
    let large = Tensor::from_f32(&[100_000], &vec![0.0; 100_000]);
    assert!(matches!(kernel.run(&[("x", large.view())], &[], &options), Err(PackError::LimitExceeded { .. })));
    assert_eq!(call(&pack).unwrap(), [2.0, 3.0, 4.0]);
}

#[test]
fn a_fresh_instance_remembers_nothing() {
    let counting = body_wat(
        "(global $n (mut i32) (i32.const 0))",
        "(global.set $n (i32.add (global.get $n) (i32.const 1)))
         (f32.store (i32.load offset=16 (local.get $d)) (f32.convert_i32_u (global.get $n))) (i32.const 0)",
    );
    for engine in engines() {
        let pack = load(&wasm(&counting), &*engine).unwrap();
        let x = Tensor::from_f32(&[1], &[0.0]);
        let run = |isolation| {
            let options = CallOptions { isolation, ..CallOptions::default() };
            pack.kernel("k").unwrap().run(&[("x", x.view())], &[], &options).unwrap().outputs[0].to_f32()[0]
        };
        assert_eq!([run(Isolation::Reuse), run(Isolation::Reuse)], [1.0, 2.0]);
        assert_eq!([run(Isolation::Fresh), run(Isolation::Fresh)], [1.0, 1.0]);
    }
}
