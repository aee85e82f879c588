//! Dense layers over plain weights, forward and backward.
mod support;
use mayfly_kernels::{
    Act, Epilogue, FannAct, Isa, Momentum, Sgd, linear_bwd_w, linear_bwd_x, linear_fwd, linear_scratch_len,
    linear_sgd_row, reference, sgd,
};
use support::{Numbers, Shifted, assert_exact, assert_within, isas, magnitudes, sum_bound};

/// `[rows, i, o]`: every size up to 70 in one dimension with few of the others; one row with every length up to 257.
fn shapes() -> Vec<[usize; 3]> {
    let others = [[0, 2], [1, 1], [2, 19], [3, 40], [17, 5], [33, 66]];
    let each = (0..=70).flat_map(|s| others.into_iter().flat_map(move |[a, b]| [[s, a, b], [a, s, b], [a, b, s]]));
    let long = (0..=257).flat_map(|s| [[1, s, 3], [1, 3, s], [2, s, 5], [3, 5, s]]);
    each.chain(long).chain([[6, 400, 7], [30, 20, 400], [1, 131, 40]]).collect()
}

/// Small integers, rectified: every sum has to be right.
#[test]
fn forward_is_exact_in_every_shape() {
    let mut numbers = Numbers::new(1);
    for (case, [rows, i, o]) in shapes().into_iter().enumerate() {
        let x = Shifted::new(&numbers.integers(rows * i, 4), case % 4);
        let w = Shifted::new(&numbers.integers(i * o, 4), (case + 1) % 4);
        let b = Shifted::new(&numbers.integers(o, 9), (case + 2) % 4);
        let residual = Shifted::new(&numbers.integers(rows * o, 9), (case + 3) % 4);
        let options =
            [(None, None), (Some(b.get()), None), (None, Some(residual.get())), (Some(b.get()), Some(residual.get()))];
        for (bias, residual) in options {
            for act in [Act::Identity, Act::Relu] {
                let mut want = vec![0.0; rows * o];
                reference::linear(&mut want, x.get(), w.get(), bias, [rows, i, o]);
                reference::epilogue(&mut want, act, residual);
                for isa in isas() {
                    let mut y = Shifted::output(rows * o, case % 5);
                    let mut scratch = Shifted::output(linear_scratch_len(rows, i, o), 1);
                    let end = Epilogue { act, residual };
                    linear_fwd(isa, y.get_mut(), x.get(), w.get(), bias, end, scratch.get_mut(), rows, i, o);
                    let what = format!("{:?} {act:?} on {isa:?}", [rows, i, o]);
                    assert_exact(&what, y.get(), &want);
                    y.check_guards();
                    scratch.check_guards();
                }
            }
        }
    }
}

type Backward = fn(Isa, &mut [f32], &[f32], &[f32], &mut [f32], usize, usize, usize);

/// A backward kernel of `dy [rows, o]` and another operand against the sum of products that defines it.
fn check_backward(
    name: &str,
    kernel: Backward,
    other_len: fn([usize; 3]) -> usize,
    product: fn(&mut [f64], &[f32], &[f32], [usize; 3]),
    out_len: fn([usize; 3]) -> usize,
) {
    let mut numbers = Numbers::new(2);
    for (case, dims) in shapes().into_iter().enumerate() {
        let [rows, i, o] = dims;
        let dy = Shifted::new(&numbers.integers(rows * o, 4), case % 4);
        let other = Shifted::new(&numbers.integers(other_len(dims), 4), (case + 1) % 4);
        let mut want = vec![0.0; out_len(dims)];
        product(&mut want, dy.get(), other.get(), dims);
        for isa in isas() {
            let mut d = Shifted::output(want.len(), case % 5);
            let mut scratch = Shifted::output(linear_scratch_len(rows, i, o), 1);
            kernel(isa, d.get_mut(), dy.get(), other.get(), scratch.get_mut(), rows, i, o);
            assert_exact(&format!("{name} of {dims:?} on {isa:?}"), d.get(), &want);
            d.check_guards();
            scratch.check_guards();
        }
    }
}

#[test]
fn gradients_are_exact_in_every_shape() {
    check_backward(
        "dx",
        linear_bwd_x,
        |[_, i, o]| i * o,
        |dx, dy, w, [rows, i, o]| {
            for (r, q, j) in triples(rows, i, o) {
                dx[r * i + q] += f64::from(dy[r * o + j]) * f64::from(w[j * i + q]);
            }
        },
        |[rows, i, _]| rows * i,
    );
    check_backward(
        "dw",
        linear_bwd_w,
        |[rows, i, _]| rows * i,
        |dw, dy, x, [rows, i, o]| {
            for (r, q, j) in triples(rows, i, o) {
                dw[j * i + q] += f64::from(dy[r * o + j]) * f64::from(x[r * i + q]);
            }
        },
        |[_, i, o]| i * o,
    );
}

fn triples(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

/// Activations that bend: the bound of the sum, passed through a slope of at most 2, and the activation's own error.
#[test]
fn activations_follow_the_sum() {
    let mut numbers = Numbers::new(3);
    let acts =
        [Act::Tanh, Act::Sigmoid, Act::Gelu, Act::Silu, Act::Elu { alpha: 1.0 }, Act::Fann(FannAct::Sigmoid, 0.5)];
    for (case, [rows, i, o]) in
        [[1, 9, 5], [1, 64, 32], [3, 20, 70], [5, 33, 17], [20, 70, 100]].into_iter().enumerate()
    {
        let (x, w) = (numbers.vec(rows * i, -1.0, 1.0), numbers.vec(i * o, -1.0, 1.0));
        let (b, residual) = (numbers.vec(o, -1.0, 1.0), numbers.vec(rows * o, -1.0, 1.0));
        let mut size = vec![0.0; rows * o];
        reference::linear(&mut size, &magnitudes(&x), &magnitudes(&w), Some(&magnitudes(&b)), [rows, i, o]);
        for act in acts {
            for residual in [None, Some(&residual[..])] {
                let mut want = vec![0.0; rows * o];
                reference::linear(&mut want, &x, &w, Some(&b), [rows, i, o]);
                reference::epilogue(&mut want, act, residual);
                for isa in isas() {
                    let mut y = Shifted::output(rows * o, case);
                    let mut scratch = vec![f32::NAN; linear_scratch_len(rows, i, o)];
                    let end = Epilogue { act, residual };
                    linear_fwd(isa, y.get_mut(), &x, &w, Some(&b), end, &mut scratch, rows, i, o);
                    let bounds = size.iter().map(|s| 2.0 * s * sum_bound(i + 1) + 1e-6);
                    assert_within(&format!("{:?} {act:?} on {isa:?}", [rows, i, o]), y.get(), &want, bounds);
                    y.check_guards();
                }
            }
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// The step of one row leaves the bits of its three parts, in every shape.
#[test]
fn a_fused_step_is_its_parts() {
    let mut numbers = Numbers::new(7);
    for (case, [_, i, o]) in shapes().into_iter().enumerate() {
        // Gradients below the smallest that moves a weight are among them.
        let tiny = |v: &f32| if v.abs() < 0.1 { v * 1e-36 } else { *v };
        let x = Shifted::new(&numbers.vec(i, -2.0, 2.0).iter().map(tiny).collect::<Vec<_>>(), case % 4);
        let dy = Shifted::new(&numbers.vec(o, -2.0, 2.0).iter().map(tiny).collect::<Vec<_>>(), (case + 1) % 4);
        let before = numbers.vec(i * o, -1.0, 1.0);
        for isa in isas() {
            let lr = 0.3;
            let (mut dw, mut dx, mut w) = (vec![0.0; i * o], vec![0.0; i], before.clone());
            linear_bwd_w(isa, &mut dw, dy.get(), x.get(), &mut [], 1, i, o);
            linear_bwd_x(isa, &mut dx, dy.get(), &w, &mut [], 1, i, o);
            sgd(isa, &mut w, &dw, None, &Sgd { lr, momentum: 0.0, form: Momentum::Classic, weight_decay: 0.0 });
            for wanted in [true, false] {
                let mut fused = Shifted::new(&before, (case + 2) % 4);
                let mut fused_dx = Shifted::output(i, case % 5);
                let dx_out = wanted.then(|| fused_dx.get_mut());
                linear_sgd_row(isa, fused.get_mut(), dx_out, x.get(), dy.get(), lr);
                let what = format!("[{i}, {o}] on {isa:?}");
                assert_eq!(bits(fused.get()), bits(&w), "{what}");
                if wanted {
                    assert_eq!(bits(fused_dx.get()), bits(&dx), "{what}");
                }
                fused.check_guards();
                fused_dx.check_guards();
            }
        }
    }
}
