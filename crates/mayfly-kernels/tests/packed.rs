//! Dense layers over packed weights: f32, bf16 and int8.
mod support;
use mayfly_kernels::{
    Act, Epilogue, I8_MAX_INPUTS, Isa, Sweep, pack, pack_bf16, pack_i8, packed_bf16_fwd, packed_bf16_len, packed_fwd,
    packed_fwd_swept, packed_i8_fwd, packed_i8_len, packed_i8_scratch_len, packed_len, quantize_i8, reference,
};
use support::{Numbers, Shifted, assert_exact, assert_same_bits, assert_within, isas, magnitudes, sum_bound};

/// `[rows, i, o]`: every size up to 70 in one dimension with few of the others; one row with every length up to 257.
fn shapes() -> Vec<[usize; 3]> {
    let others = [[0, 2], [1, 1], [2, 19], [3, 40], [17, 5], [7, 66]];
    let each = (0..=70).flat_map(|s| others.into_iter().flat_map(move |[a, b]| [[s, a, b], [a, s, b], [a, b, s]]));
    let long = (0..=257).flat_map(|s| [[1, s, 3], [1, 3, s], [2, s, 20], [1, s, 65]]);
    each.chain(long).chain([[1, 1100, 5], [3, 2051, 18]]).collect()
}

/// A layer, its operands at odd places.
struct Layer {
    dims: [usize; 3],
    x: Shifted,
    w: Shifted,
    b: Option<Shifted>,
    residual: Option<Shifted>,
    act: Act,
}

impl Layer {
    fn new(
        numbers: &mut Numbers,
        case: usize,
        dims: [usize; 3],
        mut draw: impl FnMut(&mut Numbers, usize) -> Vec<f32>,
    ) -> Layer {
        let [rows, i, o] = dims;
        Layer {
            dims,
            x: Shifted::new(&draw(numbers, rows * i), case % 4),
            w: Shifted::new(&draw(numbers, i * o), (case + 1) % 4),
            b: (!case.is_multiple_of(3)).then(|| Shifted::new(&draw(numbers, o), (case + 2) % 4)),
            residual: (case % 5 > 2).then(|| Shifted::new(&draw(numbers, rows * o), (case + 3) % 4)),
            act: if case.is_multiple_of(2) { Act::Relu } else { Act::Identity },
        }
    }

    fn bias(&self) -> Option<&[f32]> {
        self.b.as_ref().map(Shifted::get)
    }

    fn end(&self) -> Epilogue<'_> {
        Epilogue { act: self.act, residual: self.residual.as_ref().map(Shifted::get) }
    }

    /// What the layer gives with the weights `w`.
    fn want(&self, w: &[f32]) -> Vec<f64> {
        let mut y = vec![0.0; self.dims[0] * self.dims[2]];
        reference::linear(&mut y, self.x.get(), w, self.bias(), self.dims);
        reference::epilogue(&mut y, self.act, self.end().residual);
        y
    }

    /// The sums of the absolute values, which errors are measured by.
    fn size(&self) -> Vec<f64> {
        let mut y = vec![0.0; self.dims[0] * self.dims[2]];
        let b = self.bias().map(magnitudes);
        reference::linear(&mut y, &magnitudes(self.x.get()), &magnitudes(self.w.get()), b.as_deref(), self.dims);
        y
    }

    fn output(&self) -> Shifted {
        Shifted::output(self.dims[0] * self.dims[2], 1 + self.dims[1] % 3)
    }

    fn f32(&self, isa: Isa) -> Shifted {
        let [rows, i, o] = self.dims;
        let mut packed = Shifted::output(packed_len(isa, i, o), 16);
        pack(isa, packed.get_mut(), self.w.get(), self.bias(), i, o);
        packed.check_guards();
        let mut y = self.output();
        packed_fwd(isa, y.get_mut(), self.x.get(), packed.get(), self.end(), rows, i, o);
        y.check_guards();
        let mut down = self.output();
        packed_fwd_swept(isa, down.get_mut(), self.x.get(), packed.get(), self.end(), Sweep::Down, rows, i, o);
        assert_same_bits(&self.what("f32 from the last panel", isa), down.get(), y.get());
        y
    }

    fn bf16(&self, isa: Isa) -> Shifted {
        let [rows, i, o] = self.dims;
        let mut packed = vec![-1; packed_bf16_len(isa, i, o)];
        pack_bf16(isa, &mut packed, self.w.get(), self.bias(), i, o);
        let mut y = self.output();
        packed_bf16_fwd(isa, y.get_mut(), self.x.get(), &packed, self.end(), rows, i, o);
        y.check_guards();
        y
    }

    fn i8(&self, isa: Isa) -> Shifted {
        let [rows, i, o] = self.dims;
        let mut packed = vec![-1; packed_i8_len(isa, i, o)];
        pack_i8(isa, &mut packed, self.w.get(), self.bias(), i, o);
        let mut scratch = vec![-1; packed_i8_scratch_len(i)];
        let mut y = self.output();
        packed_i8_fwd(isa, y.get_mut(), self.x.get(), &packed, &mut scratch, self.end(), rows, i, o);
        y.check_guards();
        y
    }

    fn what(&self, name: &str, isa: Isa) -> String {
        format!("{name} {:?} {:?} on {isa:?}", self.dims, self.act)
    }
}

/// Small integers are exact in f32 and as bf16 weights: every sum has to be right.
#[test]
fn f32_and_bf16_are_exact_in_every_shape() {
    let mut numbers = Numbers::new(1);
    for (case, dims) in shapes().into_iter().enumerate() {
        let layer = Layer::new(&mut numbers, case, dims, |n, len| n.integers(len, 4));
        let want = layer.want(layer.w.get());
        for isa in isas() {
            assert_exact(&layer.what("f32", isa), layer.f32(isa).get(), &want);
            assert_exact(&layer.what("bf16", isa), layer.bf16(isa).get(), &want);
        }
    }
}

/// Integers that bf16 rounds: the weights have to be rounded to the nearest, and the sums are exact again.
#[test]
fn bf16_weights_are_rounded_to_the_nearest() {
    let mut numbers = Numbers::new(2);
    for (case, dims) in [[1, 7, 3], [1, 64, 33], [4, 31, 70], [2, 130, 18]].into_iter().enumerate() {
        let layer = Layer::new(&mut numbers, case, dims, |n, len| n.integers(len, 2000));
        let small = Layer { x: Shifted::new(&numbers.integers(dims[0] * dims[1], 2), 1), ..layer };
        let rounded: Vec<f32> = small.w.get().iter().map(|w| reference::round_bf16(*w)).collect();
        assert!(rounded.iter().zip(small.w.get()).any(|(a, b)| a != b), "nothing was rounded");
        let want = small.want(&rounded);
        for isa in isas() {
            assert_exact(&small.what("bf16", isa), small.bf16(isa).get(), &want);
        }
    }
}

#[test]
fn rounding_stays_within_its_bound() {
    let mut numbers = Numbers::new(3);
    for (case, dims) in [[1, 64, 32], [1, 257, 70], [5, 100, 40], [13, 33, 65]].into_iter().enumerate() {
        let layer = Layer::new(&mut numbers, case, dims, |n, len| n.vec(len, -2.0, 2.0));
        let (want, size) = (layer.want(layer.w.get()), layer.size());
        let rounded: Vec<f32> = layer.w.get().iter().map(|w| reference::round_bf16(*w)).collect();
        let want_bf16 = layer.want(&rounded);
        // The addition of the residual rounds once more.
        let bounds = || size.iter().map(|s| s * sum_bound(dims[1] + 1) + 1e-6);
        for isa in isas() {
            assert_within(&layer.what("f32", isa), layer.f32(isa).get(), &want, bounds());
            assert_within(&layer.what("bf16", isa), layer.bf16(isa).get(), &want_bf16, bounds().map(|b| b * 1.01));
        }
    }
}

/// Activations that go over the whole result behind the layer, before what is added to it.
#[test]
fn a_residual_is_added_behind_any_activation() {
    let mut numbers = Numbers::new(13);
    for act in [Act::Tanh, Act::Sigmoid, Act::LeakyRelu { slope: 0.5 }] {
        // Case 3 has a residual.
        let layer = Layer { act, ..Layer::new(&mut numbers, 3, [5, 30, 21], |n, len| n.vec(len, -1.0, 1.0)) };
        assert!(layer.residual.is_some());
        let (want, size) = (layer.want(layer.w.get()), layer.size());
        for isa in isas() {
            let bounds = size.iter().map(|s| s * sum_bound(31) + 1e-6);
            assert_within(&layer.what("f32", isa), layer.f32(isa).get(), &want, bounds);
        }
    }
}

/// The scale of a row and its integers in −127..=127. A machine without a fused multiplication rounds the quotient first.
fn quantise(x: &[f32], fused: Fused) -> (f32, Vec<i64>) {
    let largest = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    let inverse = 1.0 / scale;
    let steps = |v: &f32| match fused {
        Fused::Yes => f64::from(*v) * f64::from(inverse),
        Fused::No => f64::from(v * inverse),
    };
    (scale, x.iter().map(|v| steps(v).round_ties_even() as i64).collect())
}

#[derive(Clone, Copy)]
enum Fused {
    Yes,
    No,
}

/// The layer in integers, with the same last rounding.
fn integer_layer(layer: &Layer, fused: Fused) -> Vec<f64> {
    let [rows, i, o] = layer.dims;
    let element = |at: usize| {
        let (sx, x) = quantise(&layer.x.get()[at / o * i..][..i], fused);
        let mut w = vec![0i8; i];
        let sw = quantize_i8(&mut w, &layer.w.get()[at % o * i..][..i]);
        let sum = x.iter().zip(&w).map(|(x, w)| x * i64::from(*w)).sum::<i64>() as f32;
        let bias = layer.bias().map_or(0.0, |b| b[at % o]);
        let v = match fused {
            Fused::Yes => sum.mul_add(sw * sx, bias),
            Fused::No => sum * (sw * sx) + bias,
        };
        let v = if layer.act == Act::Relu { v.max(0.0) } else { v };
        f64::from(layer.end().residual.map_or(v, |r| v + r[at]))
    };
    (0..rows * o).map(element).collect()
}

#[test]
fn int8_equals_integer_arithmetic_in_every_shape() {
    let mut numbers = Numbers::new(4);
    for (case, dims) in shapes().into_iter().enumerate() {
        let layer = Layer::new(&mut numbers, case, dims, |n, len| n.vec(len, -1.0, 1.0));
        let (fused, separate) = (integer_layer(&layer, Fused::Yes), integer_layer(&layer, Fused::No));
        for isa in int8_isas() {
            let want = if isa == Isa::scalar() || isa.name() == "simd128" { &separate } else { &fused };
            assert_exact(&layer.what("int8", isa), layer.i8(isa).get(), want);
        }
    }
}

/// Every instruction set, and those with int8 dot products also as machines without them have it.
fn int8_isas() -> Vec<Isa> {
    let mut all = isas();
    all.extend(isas().into_iter().filter(|isa| isa.has_dot_i8()).map(Isa::without_dot_i8));
    all.dedup();
    all
}

/// The largest steps of both signs, all of them at once: nothing saturates on the way, nor over the longest row there may be.
#[test]
fn int8_sums_do_not_saturate() {
    let signs: [fn(usize) -> f32; 4] = [|_| 1.0, |_| -1.0, |q| [1.0, -1.0][q % 2], |q| [1.0, 1.0, -1.0][q % 3]];
    for (i, rows) in [(1, 1), (2, 3), (64, 4), (131, 6), (1027, 5), (I8_MAX_INPUTS, 1), (I8_MAX_INPUTS, 4)] {
        for (x_sign, w_sign) in signs.iter().flat_map(|x| signs.map(|w| (*x, w))) {
            let o = 3;
            let layer = Layer {
                dims: [rows, i, o],
                x: Shifted::new(&(0..rows * i).map(x_sign).collect::<Vec<_>>(), 1),
                w: Shifted::new(&(0..o * i).map(|at| w_sign(at % i)).collect::<Vec<_>>(), 2),
                b: None,
                residual: None,
                act: Act::Identity,
            };
            let scale = (1.0f32 / 127.0) * (1.0f32 / 127.0);
            let sum = |row: usize| (0..i).map(|q| (x_sign(row * i + q) * w_sign(q)) as i64 * 127 * 127).sum::<i64>();
            let want: Vec<f64> = (0..rows * o).map(|at| f64::from(sum(at / o) as f32 * scale)).collect();
            for isa in int8_isas() {
                assert_exact(&layer.what("int8", isa), layer.i8(isa).get(), &want);
            }
        }
    }
}

/// Rows without a negative input, after a rectifier, have a way of their own.
#[test]
fn int8_of_rows_that_are_not_negative() {
    let mut numbers = Numbers::new(9);
    for (case, dims) in shapes().into_iter().filter(|d| d[0] < 6).enumerate() {
        let layer = Layer::new(&mut numbers, case, dims, |n, len| n.vec(len, -1.0, 1.0));
        let x: Vec<f32> = layer.x.get().iter().map(|x| if *x < 0.3 { 0.0 } else { *x }).collect();
        let layer = Layer { x: Shifted::new(&x, 1), ..layer };
        let (fused, separate) = (integer_layer(&layer, Fused::Yes), integer_layer(&layer, Fused::No));
        for isa in int8_isas() {
            let want = if isa == Isa::scalar() || isa.name() == "simd128" { &separate } else { &fused };
            assert_exact(&layer.what("int8", isa), layer.i8(isa).get(), want);
        }
    }
}

/// Of one sign and near the largest, products of a long row sum beyond 2²⁴, from where on f32 would round.
#[test]
fn int8_sums_of_long_rows_stay_exact() {
    let mut numbers = Numbers::new(14);
    for (case, dims) in [[2, 4099, 9], [1, 1029, 33]].into_iter().enumerate() {
        let layer = Layer::new(&mut numbers, case, dims, |n, len| n.vec(len, 0.9, 1.0));
        let (fused, separate) = (integer_layer(&layer, Fused::Yes), integer_layer(&layer, Fused::No));
        for isa in isas() {
            let want = if isa == Isa::scalar() || isa.name() == "simd128" { &separate } else { &fused };
            assert_exact(&layer.what("int8", isa), layer.i8(isa).get(), want);
        }
    }
}

/// Rounding to steps of `s_x` and `s_w` costs at most half a step of one times all of the other.
#[test]
fn int8_stays_within_its_quantisation_steps() {
    let mut numbers = Numbers::new(5);
    for (case, dims) in [[1, 64, 32], [3, 257, 70], [2, 33, 5], [1, 784, 10]].into_iter().enumerate() {
        let layer =
            Layer { act: Act::Identity, ..Layer::new(&mut numbers, case, dims, |n, len| n.vec(len, -3.0, 3.0)) };
        let ([_, i, o], want) = (layer.dims, layer.want(layer.w.get()));
        let largest = |x: &[f32]| f64::from(x.iter().fold(0.0f32, |m, v| m.max(v.abs())));
        let bound = |at: usize| {
            let (x, w) = (&layer.x.get()[at / o * i..][..i], &layer.w.get()[at % o * i..][..i]);
            let (x, w) = (largest(x), largest(w));
            i as f64 * (x * w / 127.0 + x * w / 127.0 / 127.0 / 4.0) + 1e-5
        };
        for isa in isas() {
            let y = layer.i8(isa);
            assert_within(&layer.what("int8", isa), y.get(), &want, (0..want.len()).map(bound));
            // Errors of both signs cancel: the typical one is far smaller.
            let mean =
                y.get().iter().zip(&want).map(|(y, w)| (f64::from(*y) - w).abs()).sum::<f64>() / want.len() as f64;
            assert!(mean < bound(0) / (i as f64).sqrt(), "{}: mean error {mean}", layer.what("int8", isa));
        }
    }
}

/// Rows of zeros, of subnormals, with one huge element; channels of zeros.
#[test]
fn int8_at_the_ends_of_the_range() {
    let [i, o] = [37, 20];
    let mut numbers = Numbers::new(6);
    let mut w = numbers.vec(i * o, -1.0, 1.0);
    w[3 * i..4 * i].fill(0.0);
    for fill in [0.0, 1e-42, 1e-38, 1e30] {
        let mut x = vec![fill; i];
        x[5] *= -100.0;
        let layer = Layer {
            dims: [1, i, o],
            x: Shifted::new(&x, 1),
            w: Shifted::new(&w, 2),
            b: None,
            residual: None,
            act: Act::Identity,
        };
        let want = layer.want(&w);
        // Rows too small for a scale with an inverse count as zero.
        let bound = f64::from(fill) * 100.0 * i as f64 * 2.0 / 127.0 + 1e-35;
        for isa in isas() {
            assert_within(
                &format!("int8 of {fill:e} on {isa:?}"),
                layer.i8(isa).get(),
                &want,
                want.iter().map(|_| bound),
            );
            assert_eq!(layer.i8(isa).get()[3], 0.0);
        }
    }
}

/// NaN and infinity must not turn into plausible numbers.
#[test]
fn bad_values_stay_visible_and_in_their_row() {
    for [i, o] in [[5, 3], [64, 40], [37, 70]] {
        let mut numbers = Numbers::new(7);
        let mut x = numbers.integers(3 * i, 4);
        x[i + i / 2] = f32::NAN;
        let layer = Layer {
            dims: [3, i, o],
            x: Shifted::new(&x, 1),
            w: Shifted::new(&numbers.vec(i * o, 0.5, 1.0), 2),
            b: None,
            residual: None,
            act: Act::Identity,
        };
        for isa in isas() {
            for (name, y) in [("f32", layer.f32(isa)), ("bf16", layer.bf16(isa)), ("int8", layer.i8(isa))] {
                let y = y.get();
                assert!(y[o..2 * o].iter().all(|y| y.is_nan()), "{}: a NaN vanished", layer.what(name, isa));
                assert!(y[..o].iter().chain(&y[2 * o..]).all(|y| y.is_finite()), "{}", layer.what(name, isa));
            }
        }
    }
}

#[test]
fn quantised_rows_are_nearest_steps() {
    let mut numbers = Numbers::new(8);
    for len in 0..=257 {
        let w = Shifted::new(&numbers.vec(len, -2.0, 2.0), len % 4);
        let mut q = vec![0i8; len];
        let scale = quantize_i8(&mut q, w.get());
        for (q, w) in q.iter().zip(w.get()) {
            assert!((f32::from(*q) * scale - w).abs() <= scale * 0.50001, "{q} · {scale} for {w}");
        }
        assert!(len == 0 || q.iter().any(|q| q.abs() == 127), "the largest of {len} is a full step count");
    }
    assert_eq!(quantize_i8(&mut [1, 1], &[0.0, 0.0]), 1.0);
}
