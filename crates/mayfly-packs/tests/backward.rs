//! The optional functions of the ABI: `kernel_backward` and `kernel_info`, on every engine.

mod common;

use common::*;
use mayfly_packs::*;
use serde_json::json;

/// y = x², dx = 2 x dy, and what `kernel_info` says; `%d` walks elements of the descriptor's regions.
const SQUARE: &str = r#"(module (memory (export "memory") 1) (global (export "__heap_base") i32 (i32.const 1024))
  (func $at (param $d i32) (param $word i32) (param $i i32) (result i32)
    (i32.add (i32.load (i32.add (local.get $d) (i32.shl (local.get $word) (i32.const 2)))) (local.get $i)))
  (func (export "kernel_forward") (param $d i32) (result i32) (local $i i32) (local $x f32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (i32.load offset=4 (local.get $d))))
      (local.set $x (f32.load (call $at (local.get $d) (i32.const 0) (local.get $i))))
      (f32.store (call $at (local.get $d) (i32.const 4) (local.get $i)) (f32.mul (local.get $x) (local.get $x)))
      (local.set $i (i32.add (local.get $i) (i32.const 4))) (br $next)))
    (i32.const 0))
  (func (export "kernel_backward") (param $d i32) (result i32) (local $i i32) (local $x f32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (i32.load offset=4 (local.get $d))))
      (local.set $x (f32.load (call $at (local.get $d) (i32.const 0) (local.get $i))))
      (f32.store (call $at (local.get $d) (i32.const 4) (local.get $i))
        (f32.mul (f32.mul (f32.const 2) (local.get $x)) (f32.load (call $at (local.get $d) (i32.const 2) (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 4))) (br $next)))
    (i32.const 0))
  (func (export "kernel_info") (param $p i32) (result i32)
    (i32.store (local.get $p) (i32.const 1)) (i32.store offset=4 (local.get $p) (i32.const 40)) (i32.const 0)))"#;

/// Version 2, inputs a and b `[n]`, output `[n]`: da = b dy (tensors 0, 1, 2 are a, b, dy; 3 and 4 are da and db), db = a dy.
const PRODUCT: &str = r#"(module (memory (export "memory") 1) (global (export "__heap_base") i32 (i32.const 1024))
  (func $at (param $d i32) (param $tensor i32) (param $i i32) (result i32)
    (i32.add (i32.load (i32.add (i32.load offset=44 (local.get $d)) (i32.mul (local.get $tensor) (i32.const 80)))) (local.get $i)))
  (func $mul (param $d i32) (param $a i32) (param $b i32) (param $out i32) (local $i i32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (i32.load offset=4 (local.get $d))))
      (f32.store (call $at (local.get $d) (local.get $out) (local.get $i))
        (f32.mul (f32.load (call $at (local.get $d) (local.get $a) (local.get $i)))
                 (f32.load (call $at (local.get $d) (local.get $b) (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 4))) (br $next))))
  (func (export "kernel_forward") (param $d i32) (result i32)
    (call $mul (local.get $d) (i32.const 0) (i32.const 1) (i32.const 2)) (i32.const 0))
  (func (export "kernel_backward") (param $d i32) (result i32)
    (if (i32.ne (i32.load offset=40 (local.get $d)) (i32.const 5)) (then (return (i32.const 1))))
    (call $mul (local.get $d) (i32.const 1) (i32.const 2) (i32.const 3))
    (call $mul (local.get $d) (i32.const 0) (i32.const 2) (i32.const 4)) (i32.const 0)))"#;

fn square(engine: &dyn Engine) -> Pack {
    load(&wat::parse_str(SQUARE).unwrap(), engine).unwrap()
}

fn product(abi_version: u32) -> Result<VerifiedPack> {
    let wasm = wat::parse_str(PRODUCT).unwrap();
    let mut manifest = manifest(&wasm, &key(1));
    manifest["abi_version"] = json!(abi_version);
    manifest["kernels"][0]["abi_version"] = json!(abi_version);
    let tensor = |name: &str| json!({"name": name, "dtype": "f32", "shape": ["n"]});
    manifest["kernels"][0]["inputs"] = json!([tensor("a"), tensor("b")]);
    check(&signed(&manifest, &[("k.wasm", &wasm)], &key(1)))
}

#[test]
fn gradients_of_inputs_from_gradients_of_outputs() {
    let (x, dy) = (Tensor::from_f32(&[3], &[1.0, -2.0, 3.0]), Tensor::from_f32(&[3], &[1.0, 10.0, 0.5]));
    for engine in engines() {
        let pack = square(&*engine);
        let kernel = pack.kernel("k").unwrap();
        for _ in 0..2 {
            let y = kernel.run_guest(&[x.view()], &[], Isolation::Reuse).unwrap();
            assert_eq!(y[0].to_f32(), [1.0, 4.0, 9.0]);
            let dx = kernel.run_backward(&[x.view()], &[dy.view()], &[], &CallOptions::default()).unwrap();
            assert_eq!((dx.len(), dx[0].to_f32()), (1, vec![2.0, -40.0, 3.0]));
        }
    }
}

#[test]
fn version_2_has_room_for_several_inputs() {
    let (a, b) = (Tensor::from_f32(&[2], &[2.0, 3.0]), Tensor::from_f32(&[2], &[5.0, 7.0]));
    let dy = Tensor::from_f32(&[2], &[1.0, 10.0]);
    let verified = product(2).unwrap();
    for engine in engines() {
        let pack = Pack::load(&verified, &*engine).unwrap();
        let kernel = pack.kernel("k").unwrap();
        let options = CallOptions::default();
        let gradients = kernel.run_backward(&[a.view(), b.view()], &[dy.view()], &[], &options).unwrap();
        assert_eq!(gradients[0].to_f32(), [5.0, 70.0]);
        assert_eq!(gradients[1].to_f32(), [2.0, 30.0]);
    }
}

#[test]
fn backward_calls_that_cannot_be_are_refused() {
    let x = Tensor::from_f32(&[3], &[1.0, 2.0, 3.0]);
    let short = Tensor::from_f32(&[2], &[1.0, 1.0]);
    let options = CallOptions::default();
    let engines = engines();
    let without = load(&wat::parse_str(good_wat("")).unwrap(), &*engines[0]).unwrap();
    let refused = without.kernel("k").unwrap().run_backward(&[x.view()], &[x.view()], &[], &options);
    assert!(
        matches!(&refused, Err(PackError::MissingExport { export, .. }) if export == "kernel_backward"),
        "{refused:?}"
    );
    let pack = square(&*engines[0]);
    let kernel = pack.kernel("k").unwrap();
    for gradients in [vec![], vec![short.view()], vec![x.view(), x.view()]] {
        let refused = kernel.run_backward(&[x.view()], &gradients, &[], &options);
        assert!(matches!(&refused, Err(PackError::ShapeMismatch { .. })), "{refused:?}");
    }
    assert!(
        matches!(product(1), Err(PackError::BadModule { .. })),
        "version 1 has no room for two inputs and a gradient"
    );
    let fails = r#"(func (export "kernel_backward") (param i32) (result i32) (i32.const 5))"#;
    let fails = load(&wat::parse_str(good_wat(fails)).unwrap(), &*engines[0]).unwrap();
    let refused = fails.kernel("k").unwrap().run_backward(&[x.view()], &[x.view()], &[], &options);
    assert!(matches!(refused, Err(PackError::KernelTrap { code: 5, .. })), "{refused:?}");
    assert_eq!(fails.metrics().kernels[0].failures, 1);
}

#[test]
fn kernels_say_what_they_are() {
    for engine in engines() {
        let info = square(&*engine).kernel("k").unwrap().info().unwrap();
        assert_eq!(info, Some(KernelInfo { abi_version: 1, descriptor_bytes: 40 }));
        let silent = load(&wat::parse_str(good_wat("")).unwrap(), &*engine).unwrap();
        assert_eq!(silent.kernel("k").unwrap().info().unwrap(), None);
        let endless = r#"(func (export "kernel_info") (param i32) (result i32) (loop $l (br $l)) (i32.const 0))"#;
        let endless = load(&wat::parse_str(good_wat(endless)).unwrap(), &*engine).unwrap();
        let stopped = endless.kernel("k").unwrap().info();
        assert!(matches!(stopped, Err(PackError::EpochDeadline { .. } | PackError::OutOfFuel { .. })), "{stopped:?}");
    }
}

#[test]
fn calls_of_changing_shapes_find_their_places() {
    for engine in engines() {
        let pack = square(&*engine);
        let kernel = pack.kernel("k").unwrap();
        for n in [3, 3, 20_000, 1, 1, 7, 20_000] {
            let x = Tensor::from_f32(&[n], &vec![3.0; n]);
            let y = kernel.run_guest(&[x.view()], &[], Isolation::Reuse).unwrap();
            assert_eq!((y[0].shape.clone(), y[0].to_f32()), (vec![n], vec![9.0; n]));
        }
    }
}

#[test]
fn prepared_calls_compute_in_place() {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    for engine in engines() {
        let pack = square(&*engine);
        let kernel = pack.kernel("k").unwrap();
        let mut call = kernel.prepare(&[&[3]], &[], &CallOptions::default()).unwrap();
        for values in [[1.0, -2.0, 3.0], [4.0, 0.5, 0.0]] {
            call.input_mut(0).unwrap().copy_from_slice(&bytes(&values));
            call.run().unwrap();
            assert_eq!(call.output(0).unwrap(), bytes(&values.map(|v| v * v)));
        }
        assert!(call.input_mut(1).is_err() && call.output(1).is_err());
        // A second caller meanwhile gets an instance of its own; the first one's goes back when it is dropped.
        let x = Tensor::from_f32(&[3], &[5.0; 3]);
        assert_eq!(kernel.run_guest(&[x.view()], &[], Isolation::Reuse).unwrap()[0].to_f32(), [25.0; 3]);
        assert_eq!(call.output(0).unwrap(), bytes(&[16.0, 0.25, 0.0]));
        drop(call);
        let made = pack.metrics().kernels[0].instances;
        assert_eq!(kernel.run_guest(&[x.view()], &[], Isolation::Reuse).unwrap()[0].to_f32(), [25.0; 3]);
        assert_eq!((pack.metrics().kernels[0].instances, pack.metrics().kernels[0].calls), (made, 4));
        for shapes in [&[][..], &[&[3][..], &[3]], &[&[3, 1]], &[&[usize::MAX]]] {
            let refused = kernel.prepare(shapes, &[], &CallOptions::default()).err();
            assert!(matches!(refused, Some(PackError::ShapeMismatch { .. })), "{shapes:?}: {refused:?}");
        }
        assert!(matches!(
            kernel.prepare(&[&[3]], &[0; 4], &CallOptions::default()).err(),
            Some(PackError::BadParam { .. })
        ));
    }
}

#[test]
fn a_prepared_call_that_failed_is_over() {
    for engine in engines() {
        let pack = load(&wat::parse_str(body_wat("", "unreachable")).unwrap(), &*engine).unwrap();
        let mut call = pack.kernel("k").unwrap().prepare(&[&[3]], &[], &CallOptions::default()).unwrap();
        assert_eq!(call.run(), Err(PackError::Unreachable));
        assert!(matches!(call.run(), Err(PackError::Other { .. })));
        assert!(call.input_mut(0).is_err() && call.output(0).is_err());
        drop(call);
        let metrics = &pack.metrics().kernels[0];
        assert_eq!((metrics.failures, metrics.last_failures[0].inputs[0].as_str()), (1, "f32 [3] in 12 bytes"));
    }
}
