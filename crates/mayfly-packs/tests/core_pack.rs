//! The pack that the repository carries: verified, on every engine, against its golden vectors and the native references.

mod common;

use common::*;
use mayfly_packs::*;
use std::path::PathBuf;

fn core() -> (PackFiles, TrustedKeys) {
    let packs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packs");
    let key = std::fs::read_to_string(packs.join("mayfly-core-dev.pub.json")).unwrap();
    (PackFiles::Folder(packs.join("mayfly-core-1.0.0")), TrustedKeys::from_json(&key).unwrap())
}

fn verified() -> VerifiedPack {
    let (files, trust) = core();
    verify(&files, &trust, &Policy::at(NOW)).unwrap()
}

#[test]
fn thirteen_kernels_give_their_golden_vectors_on_every_engine() {
    let verified = verified();
    assert_eq!(verified.manifest().kernels.len(), 13);
    let golden = verified.golden().unwrap();
    for kernel in &verified.manifest().kernels {
        assert!(golden.cases.iter().any(|c| c.kernel == kernel.id), "{} has golden vectors", kernel.id);
    }
    for layout in ["interleaved", "half"] {
        let of = |c: &&GoldenCase| c.kernel == "rope_f32" && c.params[0].1 == layout;
        assert!(golden.cases.iter().find(of).is_some(), "{layout}");
    }
    for engine in engines() {
        let pack = Pack::load(&verified, &*engine).unwrap();
        assert_eq!(pack.check_golden().unwrap(), golden.cases.len());
    }
}

#[test]
fn waiting_instances_make_room() {
    let verified = verified();
    let options = EngineOptions { max_instances: 2, ..EngineOptions::default() };
    let engine = WasmtimeEngine::new(WasmtimeProfile::Server, &options).unwrap();
    // Two packs of thirteen kernels, all of which keep an instance, on two slots.
    let packs = [Pack::load(&verified, &engine).unwrap(), Pack::load(&verified, &engine).unwrap()];
    let golden = verified.golden().unwrap();
    for pack in packs.iter().chain(&packs) {
        let run = |case: &GoldenCase| {
            let kernel = pack.kernel(&case.kernel)?;
            let inputs: Vec<TensorView<'_>> = case.inputs.iter().map(|t| t.tensor.view()).collect();
            kernel.run_guest(&inputs, &kernel.params(&case.params)?, Isolation::Reuse)
        };
        golden.check(run).unwrap();
    }
    let none = EngineOptions { max_instances: 0, ..EngineOptions::default() };
    let engine = WasmtimeEngine::new(WasmtimeProfile::Server, &none).unwrap();
    let refused = Pack::load(&verified, &engine).unwrap().check_golden();
    assert!(matches!(refused, Err(PackError::NoFreeInstance { max_instances: 0 })), "{refused:?}");
}

#[test]
fn native_references_give_the_golden_vectors_too() {
    let verified = verified();
    let pack = Pack::load(&verified, &*engines()[0]).unwrap();
    let native = |case: &GoldenCase| {
        let kernel = pack.kernel(&case.kernel)?;
        let inputs: Vec<TensorView<'_>> = case.inputs.iter().map(|t| t.tensor.view()).collect();
        kernel.run_native(&inputs, &kernel.params(&case.params)?).expect("has a reference")
    };
    verified.golden().unwrap().check(native).unwrap();
}

#[test]
fn golden_vectors_can_fail() {
    let verified = verified();
    let pack = Pack::load(&verified, &*engines()[0]).unwrap();
    for (index, case) in verified.golden().unwrap().cases.iter().enumerate() {
        let mut changed = case.clone();
        let last = changed.outputs[0].tensor.data.len() - 1;
        changed.outputs[0].tensor.data[last] ^= 0x44;
        let golden = Golden { cases: vec![changed] };
        let run = |case: &GoldenCase| {
            let kernel = pack.kernel(&case.kernel)?;
            let inputs: Vec<TensorView<'_>> = case.inputs.iter().map(|t| t.tensor.view()).collect();
            kernel.run_guest(&inputs, &kernel.params(&case.params)?, Isolation::Fresh)
        };
        let checked = golden.check(run);
        assert!(matches!(checked, Err(PackError::GoldenMismatch { .. })), "case {index}: {checked:?}");
    }
}

#[test]
fn engines_agree_to_the_bit_and_natives_within_a_bound() {
    let verified = verified();
    let engines: Vec<_> = engines();
    let packs: Vec<Pack> = engines.iter().map(|e| Pack::load(&verified, &**e).unwrap()).collect();
    let mut rng = mayfly_base::Rng::new(7);
    let mut random = |n: usize| (0..n).map(|_| rng.below(2001) as f32 / 500.0 - 2.0).collect::<Vec<f32>>();
    for (kernel, shapes) in [
        ("rmsnorm_f32", vec![vec![3, 37], vec![37]]),
        ("rmsnorm_f32", vec![vec![6, 77], vec![77]]),
        ("swiglu_f32", vec![vec![101], vec![101]]),
        ("rope_f32", vec![vec![4, 2, 10], vec![4, 10]]),
        ("rope_f32", vec![vec![3, 3, 44], vec![3, 44]]),
        ("lora_apply_f32", vec![vec![2, 33], vec![5, 33], vec![9, 5], vec![2, 9]]),
        ("lora_apply_f32", vec![vec![3, 46], vec![8, 46], vec![18, 8], vec![3, 18]]),
        ("kv_pack_q4", vec![vec![96]]),
        ("kv_pack_q8", vec![vec![96]]),
    ] {
        let tensors: Vec<Tensor> = shapes.iter().map(|s| Tensor::from_f32(s, &random(s.iter().product()))).collect();
        let inputs: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
        let run = |pack: &Pack| {
            let kernel = pack.kernel(kernel).unwrap();
            kernel.run_guest(&inputs, &kernel.params(&[]).unwrap(), Isolation::Reuse).unwrap()
        };
        let first = run(&packs[0]);
        assert!(packs.iter().all(|pack| run(pack) == first), "{kernel}");
        let of = packs[0].kernel(kernel).unwrap();
        let native = of.run_native(&inputs, &of.params(&[]).unwrap()).unwrap().unwrap();
        for (a, b) in first.iter().zip(&native) {
            for (a, b) in a.to_f64().into_iter().zip(b.to_f64()) {
                assert!(
                    (a - b).abs() <= 1e-5 * (1.0 + a.abs()) || (a - b).abs() <= 1.0 && kernel.starts_with("kv"),
                    "{kernel}: {a} {b}"
                );
            }
        }
    }
}

#[test]
fn a_row_gives_the_same_bits_alone_and_among_others() {
    let verified = verified();
    let pack = Pack::load(&verified, &*engines()[0]).unwrap();
    let mut rng = mayfly_base::Rng::new(8);
    let mut random = |n: usize| (0..n).map(|_| rng.below(2001) as f32 / 500.0 - 2.0).collect::<Vec<f32>>();
    const ROWS: usize = 7;
    // Kernel, columns of the input of which rows are taken, of the others their shapes, columns of a second one with rows.
    for (kernel, columns, others, base) in
        [("rmsnorm_f32", 85, vec![vec![85]], None), ("lora_apply_f32", 45, vec![vec![6, 45], vec![11, 6]], Some(11))]
    {
        let kernel = pack.kernel(kernel).unwrap();
        let x = random(ROWS * columns);
        let base = base.map(|width| (width, random(ROWS * width)));
        let others: Vec<Tensor> = others.iter().map(|s| Tensor::from_f32(s, &random(s.iter().product()))).collect();
        let run = |rows: std::ops::Range<usize>| {
            let part = |width: usize, from: &[f32]| {
                Tensor::from_f32(&[rows.len(), width], &from[rows.start * width..rows.end * width])
            };
            let tensors: Vec<Tensor> = std::iter::once(part(columns, &x))
                .chain(others.iter().cloned())
                .chain(base.iter().map(|(width, base)| part(*width, base)))
                .collect();
            let views: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
            kernel.run_guest(&views, &kernel.params(&[]).unwrap(), Isolation::Reuse).unwrap()[0].data.clone()
        };
        let alone: Vec<u8> = (0..ROWS).flat_map(|row| run(row..row + 1)).collect();
        assert_eq!(run(0..ROWS), alone, "{}", kernel.entry().id);
    }
}

#[test]
fn f16_conversions_of_the_guest_match_half_over_the_whole_range() {
    let verified = verified();
    let pack = Pack::load(&verified, &*engines()[0]).unwrap();
    let kernel = pack.kernel("rope_f16").unwrap();
    // Turned by no angle: what comes out is what went in, through f32 and back.
    let all: Vec<u8> = (0..=u16::MAX).filter(|bits| bits & 0x7c00 != 0x7c00).flat_map(u16::to_le_bytes).collect();
    let n = all.len() / 2;
    let x = Tensor { dtype: DType::F16, shape: vec![1, n / 8, 8], data: all };
    let table = Tensor::from_f16(&[1, 8], &[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let y = kernel.run_guest(&[x.view(), table.view()], &kernel.params(&[]).unwrap(), Isolation::Reuse).unwrap();
    let same = |(a, b): (&[u8], &[u8])| a == b || (a[0] | b[0] == 0 && a[1] & 0x7f == b[1] & 0x7f);
    assert!(x.data.chunks(2).zip(y[0].data.chunks(2)).all(same), "also subnormals; zeros may change their sign");
}

#[test]
fn bypass_and_degradation_are_told_apart() {
    let verified = verified();
    let pack = Pack::load(&verified, &*engines()[0]).unwrap();
    let x = Tensor::from_f32(&[8], &[0.5; 8]);
    let inputs = [("gate", x.view()), ("up", x.view())];
    let kernel = pack.kernel("swiglu_f32").unwrap();
    let by = |bypass| kernel.run(&inputs, &[], &CallOptions { bypass, ..CallOptions::default() }).unwrap().by;
    let strict = BypassRule::Ratio { percent: 0.001, overhead_ns: 1000.0 };
    assert_eq!(by(strict), AnsweredBy::Kernel, "nothing is known of its time yet");
    assert_eq!(by(strict), AnsweredBy::Bypass);
    assert_eq!(by(BypassRule::Never), AnsweredBy::Kernel);
    let metrics = pack.metrics();
    let k = metrics.kernels.iter().find(|k| k.kernel == "swiglu_f32").unwrap();
    assert_eq!((k.calls, k.bypassed, k.degraded), (3, 1, 0));
}

#[test]
fn a_kernel_that_refuses_its_input_says_so_and_the_reference_agrees() {
    let verified = verified();
    let pack = Pack::load(&verified, &*engines()[0]).unwrap();
    let mut values = [0.0; 32];
    values[9] = f32::NAN;
    let x = Tensor::from_f32(&[32], &values);
    let kernel = pack.kernel("kv_pack_q8").unwrap();
    let error = kernel.run(&[("x", x.view())], &[], &CallOptions::default()).unwrap_err();
    assert!(matches!(error, PackError::KernelTrap { code: 1, .. }), "{error:?}");
}
