//! Sizes whose products wrap around: every kernel that takes sizes refuses them, also in release builds, before it touches anything.
use mayfly_kernels::*;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Its square is 0 where products wrap.
const HALF: usize = 1 << (usize::BITS / 2);

type Call = (&'static str, fn(Isa));

fn product() -> MatMul {
    MatMul { m: HALF, k: HALF, n: HALF, a: Trans::No, b: Trans::Yes }
}

fn conv() -> Conv2d {
    Conv2d {
        batch: HALF,
        channels: HALF,
        height: 1,
        width: 1,
        out_channels: HALF,
        kernel: [1; 2],
        stride: [1; 2],
        pad: [0; 4],
        dilation: [1; 2],
        groups: 1,
    }
}

fn pool() -> Pool2d {
    let kind = PoolKind::Avg;
    Pool2d { planes: HALF, height: HALF, width: 1, kernel: [1; 2], stride: [1; 2], pad: [0; 4], kind }
}

fn table() -> Vec<f32> {
    let mut table = vec![0.0; rfft_table_len(4)];
    rfft_table(&mut table, 4);
    table
}

fn scratch() -> Vec<f32> {
    vec![0.0; rfft_scratch_len(4)]
}

/// Rows of four that come to none.
const QUARTER: usize = 1 << (usize::BITS - 2);

/// One call of each kernel with slices as long as the wrapped products.
// tidy: long, because it is a table
fn calls() -> Vec<Call> {
    vec![
        ("attention_fwd", |s| {
            attention_fwd(s, &mut [], &[], &[], &[], &mut [], HALF, HALF, HALF, 1, 1, Causal::No);
        }),
        ("attention_bwd", |s| {
            let (dq, dk, dv): (&mut [f32], &mut [f32], &mut [f32]) = (&mut [], &mut [], &mut []);
            attention_bwd(s, dq, dk, dv, &[], &[], &[], &[], &mut [], HALF, HALF, HALF, 1, 1, Causal::No);
        }),
        ("batch_norm_stats", |s| batch_norm_stats(s, &mut [0.0], &mut [0.0], &[], HALF, 1, HALF)),
        ("batch_norm_fwd", |s| {
            batch_norm_fwd(s, &mut [], &[], &[0.0], &[0.0], &[0.0], &[0.0], 1.0, HALF, 1, HALF);
        }),
        ("batch_norm_bwd_x", |s| {
            batch_norm_bwd_x(s, &mut [], &[], &[], &[0.0], &[0.0], &[0.0], 1.0, HALF, 1, HALF);
        }),
        ("batch_norm_bwd_gamma", |s| {
            batch_norm_bwd_gamma(s, &mut [0.0], &[], &[], &[0.0], &[0.0], 1.0, HALF, 1, HALF);
        }),
        ("conv2d_fwd", |s| conv2d_fwd(s, &mut [], &[], &[], None, Act::Relu, &mut [], &conv())),
        ("conv2d_bwd_x", |s| conv2d_bwd_x(s, &mut [], &[], &[], &mut [], &conv())),
        ("conv2d_bwd_w", |s| conv2d_bwd_w(s, &mut [], &[], &[], &mut [], &conv())),
        ("conv2d_bwd_b", |s| conv2d_bwd_b(s, &mut [0.0], &[], &Conv2d { out_channels: 1, height: HALF, ..conv() })),
        ("copy_rows", |_| copy_rows(&mut [0.0], 2, 0, &[0.0], 2, 0, usize::MAX / 2 + 2, 1)),
        ("transpose", |s| transpose(s, &mut [], &[], [HALF, HALF, 1, 1], [1, 0, 2, 3])),
        ("embed_fwd", |s| embed_fwd(s, &mut [], &[0.0; 4], &[], QUARTER)),
        ("embed_bwd_acc", |s| embed_bwd_acc(s, &mut [], &[], &[0.0; 4], QUARTER)),
        ("rfft_table", |_| rfft_table(&mut [], usize::MAX / 2 + 1)),
        ("rfft_fwd", |s| rfft_fwd(s, &mut [], &[], &table(), &mut scratch(), QUARTER, 4)),
        ("irfft_fwd", |s| irfft_fwd(s, &mut [], &[], &table(), &mut scratch(), QUARTER, 4)),
        ("rfft_bwd", |s| rfft_bwd(s, &mut [], &[], &table(), &mut scratch(), QUARTER, 4)),
        ("irfft_bwd", |s| irfft_bwd(s, &mut [], &[], &table(), &mut scratch(), QUARTER, 4)),
        ("linear_fwd", |s| linear_fwd(s, &mut [], &[], &[], None, Epilogue::default(), &mut [], HALF, HALF, HALF)),
        ("linear_bwd_x", |s| linear_bwd_x(s, &mut [], &[], &[], &mut [], HALF, HALF, HALF)),
        ("linear_bwd_w", |s| linear_bwd_w(s, &mut [], &[], &[], &mut [], HALF, HALF, HALF)),
        ("loss_fwd", |s| loss_fwd(s, &Loss::Mse, &mut [0.0; 4], &[], &[], 4, QUARTER)),
        ("loss_bwd", |s| loss_bwd(s, &Loss::Mse, &mut [], &[0.0; 4], &[], &[], 4, QUARTER)),
        ("matmul", |s| matmul(s, &mut [], &[], &[], &mut [], product())),
        ("matmul_acc", |s| matmul_acc(s, &mut [], &[], &[], &mut [], product())),
        ("layer_norm_fwd", |s| layer_norm_fwd(s, &mut [], &[], &[0.0; 4], &[0.0; 4], 1.0, QUARTER, 4)),
        ("layer_norm_bwd_x", |s| layer_norm_bwd_x(s, &mut [], &[], &[], &[0.0; 4], 1.0, QUARTER, 4)),
        ("layer_norm_bwd_gamma", |s| layer_norm_bwd_gamma(s, &mut [0.0; 4], &[], &[], 1.0, QUARTER, 4)),
        ("rms_norm_fwd", |s| rms_norm_fwd(s, &mut [], &[], &[0.0; 4], 1.0, QUARTER, 4)),
        ("rms_norm_bwd_x", |s| rms_norm_bwd_x(s, &mut [], &[], &[], &[0.0; 4], 1.0, QUARTER, 4)),
        ("rms_norm_bwd_gamma", |s| rms_norm_bwd_gamma(s, &mut [0.0; 4], &[], &[], 1.0, QUARTER, 4)),
        ("fann_batch", |s| fann_batch(s, &mut [0.0], &[], 1.0, usize::MAX)),
        ("quickprop", |s| quickprop(s, &mut [0.0], &[], &mut [], &mut [], usize::MAX, &Quickprop::default())),
        ("pack", |s| pack(s, &mut [], &[], None, HALF, HALF)),
        ("packed_fwd", |s| packed_fwd(s, &mut [], &[], &[], Epilogue::default(), HALF, HALF, HALF)),
        ("packed_fwd_swept", |s| {
            packed_fwd_swept(s, &mut [], &[], &[], Epilogue::default(), Sweep::Down, HALF, HALF, HALF);
        }),
        ("pack_bf16", |s| pack_bf16(s, &mut [], &[], None, HALF, HALF)),
        ("packed_bf16_fwd", |s| packed_bf16_fwd(s, &mut [], &[], &[], Epilogue::default(), HALF, HALF, HALF)),
        ("pack_i8", |s| pack_i8(s, &mut [], &[], None, 4, QUARTER)),
        ("packed_i8_fwd", |s| packed_i8_fwd(s, &mut [], &[], &[], &mut [], Epilogue::default(), QUARTER, 4, 4)),
        ("pool2d_fwd", |s| pool2d_fwd(s, &mut [], &[], &pool())),
        ("pool2d_bwd", |s| pool2d_bwd(s, &mut [], &[], &[], &pool())),
        ("rnn_fwd", |s| rnn_fwd(s, &mut [], &[], &[], Act::Tanh, &mut [], HALF, 1, HALF)),
        ("rnn_bwd", |s| rnn_bwd(s, &mut [], &[], &[], &[], Act::Tanh, &mut [], HALF, 1, HALF)),
        ("lstm_fwd", |s| lstm_fwd(s, &mut [], &[], &[], None, &mut [], HALF, 1, HALF)),
        ("lstm_bwd", |s| lstm_bwd(s, &mut [], &[], &[], &[], None, &mut [], HALF, 1, HALF)),
        ("gru_fwd", |s| gru_fwd(s, &mut [], &[], &[], &[], None, &mut [], HALF, 1, HALF)),
        ("gru_bwd", |s| gru_bwd(s, &mut [], &[], &[], &[], None, &mut [], HALF, 1, HALF)),
        ("reduce_fwd", |s| reduce_fwd(s, ReduceKind::Sum, &mut [], &[], HALF, 1, HALF)),
        ("reduce_bwd", |s| reduce_bwd(s, ReduceKind::Sum, &mut [], &[], &[], &[], HALF, 1, HALF)),
        ("softmax_fwd", |s| softmax_fwd(s, &mut [], &[], QUARTER, 4)),
        ("softmax_bwd", |s| softmax_bwd(s, &mut [], &[], &[], QUARTER, 4)),
        ("log_softmax_fwd", |s| log_softmax_fwd(s, &mut [], &[], QUARTER, 4)),
        ("log_softmax_bwd", |s| log_softmax_bwd(s, &mut [], &[], &[], QUARTER, 4)),
    ]
}

/// What a call panics with.
fn message(call: fn(Isa), isa: Isa) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| call(isa))).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string())).unwrap_or_default())
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "a panic ends the program there")]
fn products_that_wrap_are_refused() {
    for isa in Isa::available() {
        for (name, call) in calls() {
            let message = message(call, isa).unwrap_or_else(|| panic!("{name} on {isa:?} returned"));
            let refused = ["address space", "the sizes say", "too short"].iter().any(|what| message.contains(what));
            assert!(refused, "{name} on {isa:?} panicked with {message:?}");
        }
    }
}

/// Sizes of which only the length of the packed form wraps, and a depth whose products wrap to plausible lengths.
#[test]
#[cfg_attr(target_family = "wasm", ignore = "a panic ends the program there")]
fn plausible_lengths_are_refused() {
    for isa in Isa::available() {
        let (rows, i, o) = (8, 1 << (usize::BITS - 3), 8);
        assert_eq!(packed_len(isa, i, o), usize::MAX);
        let packed = vec![0.0; 64];
        let layer = AssertUnwindSafe(|| packed_fwd(isa, &mut [0.0; 64], &[], &packed, Epilogue::default(), rows, i, o));
        assert!(catch_unwind(layer).is_err(), "{isa:?}");
        // 7 · k = 1000 modulo 2^bits.
        let inverse = (0..7).fold(1usize, |x, _| x.wrapping_mul(2usize.wrapping_sub(x.wrapping_mul(7))));
        let p = MatMul { m: 14, k: inverse.wrapping_mul(1000), n: 14, a: Trans::No, b: Trans::Yes };
        let (a, mut c, mut scratch) = (vec![1.0; p.m.wrapping_mul(p.k)], [0.0; 196], vec![0.0; 400_000]);
        assert_eq!(a.len(), 2000);
        let product = AssertUnwindSafe(|| matmul(isa, &mut c, &a, &a, &mut scratch, p));
        assert!(catch_unwind(product).is_err(), "{isa:?}");
    }
}

/// Each array of attention that is one value short is told from the sizes, before anything is computed.
#[test]
#[cfg_attr(target_family = "wasm", ignore = "a panic ends the program there")]
fn short_arrays_of_attention_are_refused() {
    let (b, tq, tk, heads, d) = (2, 3, 4, 2, 4);
    let (queries, keys) = (b * tq * heads * d, b * tk * heads * d);
    let mut scratch = vec![0.0; attention_scratch_len(tq, tk, d)];
    for short in 0..4 {
        let of = |which: usize, len: usize| vec![0.5; len - usize::from(which == short)];
        let (mut y, q, k, v) = (of(0, queries), of(1, queries), of(2, keys), of(3, keys));
        let call = AssertUnwindSafe(|| {
            attention_fwd(Isa::scalar(), &mut y, &q, &k, &v, &mut scratch, b, tq, tk, heads, d, Causal::No);
        });
        let panic = catch_unwind(call).expect_err("short arrays");
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(text.contains("attention_fwd") && text.contains("the sizes say"), "{short}: {text}");
    }
}

#[test]
fn lengths_that_are_asked_for_do_not_wrap() {
    let isa = Isa::scalar();
    assert_eq!(packed_bf16_len(isa, HALF, HALF * 2), usize::MAX);
    assert_eq!(packed_i8_len(isa, HALF * 4, HALF), usize::MAX);
    assert_eq!(attention_scratch_len(HALF, HALF, 1), usize::MAX);
    assert_eq!(conv().scratch_len(), Conv2d { height: 1, ..conv() }.scratch_len());
    assert_eq!(Conv2d { height: HALF, width: HALF, ..conv() }.scratch_len(), usize::MAX);
    assert_eq!(
        [rnn_scratch_len(HALF, HALF), lstm_scratch_len(HALF, HALF), gru_scratch_len(HALF, HALF)],
        [usize::MAX; 3]
    );
    assert_eq!(linear_scratch_len(HALF, HALF, HALF), linear_scratch_len(1 << 20, 1 << 20, 1 << 20));
}

/// The table above is complete: every public function that writes to a slice and takes sizes is in it.
#[test]
fn no_kernel_is_left_out() {
    let mut kernels = BTreeSet::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).expect("the crate's sources") {
        let path = entry.expect("an entry").path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for piece in text.split("\npub fn ").skip(1) {
            let (name, rest) = piece.split_once('(').expect("arguments");
            let arguments = &rest[..rest.find("\n}").unwrap_or(rest.len())];
            let arguments = &arguments[..arguments.find(" {\n").unwrap_or(arguments.len())];
            let sized = [": usize", "[usize", "MatMul", "Conv2d", "Pool2d"].iter().any(|t| arguments.contains(t));
            if sized && arguments.contains("&mut [") {
                kernels.insert(name.to_string());
            }
        }
    }
    let listed: BTreeSet<String> = calls().into_iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(listed, kernels);
}
