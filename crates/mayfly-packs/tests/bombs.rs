//! Modules that would cost a compiler far more than their bytes say are refused before anything is compiled; honest ones are far from the limits.

#[path = "common/bombs.rs"]
mod bombs;
mod common;

use common::*;
use mayfly_packs::*;

fn vetted(wasm: &[u8]) -> Result<Effort> {
    let verified = check(&pack_of(&wat::parse_str(good_wat("")).unwrap()))?;
    vet(wasm, &verified.manifest().kernels[0], &HostLimits::default()).map(|vetted| vetted.effort)
}

#[test]
fn the_first_bomb_is_refused() {
    let wasm = bombs::first_found();
    assert!(wasm.len() < 7000);
    let error = check(&pack_of(&wasm)).unwrap_err();
    let PackError::LimitExceeded { what, asked, limit } = &error else { panic!("{error:?}") };
    assert!(what.contains("values alive over the edges") && asked > limit, "{error}");
}

/// What is counted grows with the module, so every family that can grow is refused in the end.
#[test]
fn every_family_is_refused_when_it_grows() {
    for (name, make) in bombs::FAMILIES {
        let end = [1 << 12, 1 << 15, 1 << 17].into_iter().find(|n| match vetted(&make(*n)) {
            Err(PackError::LimitExceeded { .. }) => true,
            Err(error) => panic!("{name}: {error:?}"),
            Ok(_) => false,
        });
        assert!(end.is_some() || make(1 << 13) == make(1 << 14), "{name}: 130,000 of them are let in");
    }
}

#[test]
fn what_is_counted() {
    let of = |extra: &str, body: &str| vetted(&wat::parse_str(body_wat(extra, body)).unwrap()).unwrap();
    let nothing = of("", "(i32.const 0)");
    let more = |extra: &str, body: &str| {
        let effort = of(extra, body);
        (effort.steps - nothing.steps, effort.flow - nothing.flow)
    };
    // The end of the function is an edge over the parameter, the result and the edge itself.
    assert_eq!(nothing, Effort { steps: 64 + 1 + 2, flow: 3 });
    assert_eq!(more("", "(drop (i32.const 1)) (i32.const 0)"), (2, 0));
    // A local that is written is carried over every edge, one that is only read is not.
    assert_eq!(more("", "(local i32 i32) (drop (local.get 1)) (i32.const 0)"), (4, 0));
    assert_eq!(more("", "(local i32 i32) (local.set 1 (i32.const 2)) (i32.const 0)"), (4, 1));
    // Six edges of a table, each over the parameter, the index on the stack and the edge itself.
    let (_, flow) = more("", "(block (br_table 0 0 0 0 0 0 (local.get $d))) (i32.const 0)");
    let (_, empty) = more("", "(block (br 0)) (i32.const 0)");
    assert_eq!(flow - empty, 6 * 3 - 2);
    // A call counts what it hands over.
    let wide = format!("(func $f (param {0}) (result {0}) unreachable)", "i32 ".repeat(100));
    let called = |n: usize| more(&wide, &format!("unreachable {} unreachable", "call $f ".repeat(n)));
    assert_eq!(called(2).0 - called(1).0, 8 + 200);
}

#[test]
fn parts_that_have_a_limit_of_their_own() {
    let refused = |extra: &str, body: &str| {
        let error = check(&pack_of(&wat::parse_str(body_wat(extra, body)).unwrap())).unwrap_err();
        let PackError::LimitExceeded { what, .. } = error else { panic!("{error:?}") };
        what
    };
    let many = |text: &str, n: usize| text.repeat(n);
    assert!(refused("", &format!("(local {}) (i32.const 0)", many("i32 ", 4097))).contains("locals"));
    assert!(refused("", &format!("{}{} (i32.const 0)", many("(block ", 512), many(")", 512))).contains("nested"));
    assert!(refused(&format!("(type (func (param {})))", many("i32 ", 129)), "(i32.const 0)").contains("parameters"));
    assert!(refused(&format!("(type (func (result {})))", many("i32 ", 129)), "(i32.const 0)").contains("results"));
    assert!(refused(&many("(data (i32.const 0) \"x\")", 4097), "(i32.const 0)").contains("data segments"));
    let elements = format!("(table 1 1 funcref) {}", many("(elem (i32.const 0) func)", 4097));
    assert!(refused(&elements, "(i32.const 0)").contains("element segments"));
}

/// A pack of many kernels is bounded as a whole.
#[test]
fn many_kernels_that_are_large_together() {
    let body = "(drop (i32.const 1))".repeat(90_000);
    let wasm = wat::parse_str(body_wat("", &format!("{body} (i32.const 0)"))).unwrap();
    let pack = |n: usize| {
        let mut text = manifest(&wasm, &key(1));
        let kernels: Vec<_> = (0..n).map(|i| kernel(&format!("k{i}"), "k.wasm", &wasm)).collect();
        text["kernels"] = serde_json::json!(kernels);
        check(&signed(&text, &[("k.wasm", &wasm)], &key(1)))
    };
    pack(5).unwrap();
    let error = pack(30).unwrap_err();
    assert!(
        matches!(&error, PackError::LimitExceeded { what, .. } if what.contains("all kernels together")),
        "{error:?}"
    );
}

/// The kernels of this repository, and what compilers make of the templates, use a third of what a function may at most.
#[test]
fn honest_modules_are_far_from_the_limits() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = 0;
    let folders = [
        "packs/mayfly-core-1.0.0/kv",
        "packs/mayfly-core-1.0.0/lora",
        "packs/mayfly-core-1.0.0/rmsnorm",
        "packs/mayfly-core-1.0.0/rope",
        "packs/mayfly-core-1.0.0/swiglu",
        "crates/mayfly-cli/tests/guests",
    ];
    let wasm = folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    for path in wasm.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "wasm")) {
        let verified = check(&pack_of(&wat::parse_str(good_wat("")).unwrap())).unwrap();
        let mut entry = verified.manifest().kernels[0].clone();
        entry.resource_limits.max_memory_pages = 4096;
        let effort = vet(&std::fs::read(&path).unwrap(), &entry, &HostLimits::default()).unwrap().effort;
        assert!(effort.steps < 20_000 && effort.flow < 60_000, "{}: {effort:?}", path.display());
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}

/// Every way to use a vector that is not an operator on memory: each must be declared.
#[test]
fn simd_must_be_declared_wherever_it_hides() {
    let cases = [
        (
            "",
            "(drop (i32x4.extract_lane 0 (i32x4.add (i32x4.splat (local.get $d)) (i32x4.splat (i32.const 1))))) (i32.const 0)",
        ),
        ("", "(drop (f64x2.extract_lane 1 (f64x2.splat (f64.const 1)))) (i32.const 0)"),
        ("", "(local v128) (i32.const 0)"),
        ("(func $f (param v128))", "(i32.const 0)"),
        ("(func $f (result v128) unreachable)", "(i32.const 0)"),
        ("(type $t (func (param i32 v128)))", "(i32.const 0)"),
        ("", "(block (result v128) unreachable) drop (i32.const 0)"),
        ("", "(loop (result v128) unreachable) drop (i32.const 0)"),
        ("(global v128 (v128.const i32x4 0 0 0 0))", "(i32.const 0)"),
        ("", "(drop (v128.any_true (v128.load8_splat (local.get $d)))) (i32.const 0)"),
    ];
    for (extra, body) in cases {
        let wasm = wat::parse_str(body_wat(extra, body)).unwrap();
        let pack = |features: &[&str]| {
            let mut text = manifest(&wasm, &key(1));
            for engine in ["wasmtime", "wasmi"] {
                text["kernels"][0]["platforms"][engine]["features"] = serde_json::json!(features);
            }
            check(&signed(&text, &[("k.wasm", &wasm)], &key(1)))
        };
        pack(&["simd"]).unwrap_or_else(|e| panic!("{body}: {e}"));
        assert!(matches!(pack(&[]), Err(PackError::SchemaViolation { .. })), "{extra} {body}");
    }
    // A number that looks like the vectors' prefix is none.
    let wasm = wat::parse_str(body_wat("", "(i32.const 0x1fd) drop (i32.const -3)")).unwrap();
    let verified = check(&pack_of(&wasm)).unwrap();
    assert!(!vet(&wasm, &verified.manifest().kernels[0], &HostLimits::default()).unwrap().uses_simd);
}

/// An output that no memory could hold is refused before anybody makes room for it.
#[test]
fn sizes_are_looked_at_before_memory_is_taken() {
    let wasm = wat::parse_str(good_wat("")).unwrap();
    let with = |change: fn(&mut serde_json::Value)| {
        let mut text = manifest(&wasm, &key(1));
        change(&mut text["kernels"][0]);
        let verified = check(&signed(&text, &[("k.wasm", &wasm)], &key(1))).unwrap();
        Pack::load(&verified, &*new_engine(EngineKind::Wasmi, &small_options()).unwrap()).unwrap()
    };
    let run = |pack: &Pack, shape: &[usize], elements: usize| {
        let x = Tensor::from_f32(shape, &vec![0.0; elements]);
        pack.kernel("k").unwrap().run(&[("x", x.view())], &[], &CallOptions::default()).map(drop)
    };
    // An output of 4 GB out of 4 kB.
    let huge =
        with(|kernel| kernel["outputs"] = serde_json::json!([{"name": "y", "dtype": "f32", "shape": ["n*n*n"]}]));
    let Err(PackError::LimitExceeded { asked, limit, .. }) = run(&huge, &[1000], 1000) else { panic!("refused") };
    assert_eq!((asked, limit), (4_000_000_000 + 4000 + 40, 4 << 16));
    let scratch = with(|kernel| kernel["scratch"] = serde_json::json!("n*1000000"));
    assert!(matches!(run(&scratch, &[1], 1), Err(PackError::LimitExceeded { .. })));
    // Products that pass every number, behind a dimension of nothing.
    let deep = with(|kernel| {
        kernel["inputs"][0]["shape"] = serde_json::json!(["a", "b", "c", "d"]);
        kernel["outputs"][0]["shape"] = serde_json::json!(["a", "b", "c", "d"]);
        kernel["abi_version"] = serde_json::json!(1);
    });
    assert!(matches!(run(&deep, &[0, 1 << 30, 1 << 30, 1 << 30], 0), Err(PackError::ShapeMismatch { .. })));
    assert!(run(&deep, &[0, 1 << 10, 1 << 10, 1 << 10], 0).is_ok(), "nothing is a size too");
    // Prepared calls allocate nothing for their inputs.
    let prepared = huge.kernel("k").unwrap().prepare(&[&[1 << 30]], &[], &CallOptions::default());
    assert!(matches!(prepared.map(drop), Err(PackError::ShapeMismatch { .. } | PackError::LimitExceeded { .. })));
}
