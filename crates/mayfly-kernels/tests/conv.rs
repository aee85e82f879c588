//! Convolution and pooling against their definitions, with small integers: every element has to be right.
mod support;
use mayfly_kernels::{Act, Conv2d, Isa, Pool2d, PoolKind};
use mayfly_kernels::{conv2d_bwd_b, conv2d_bwd_w, conv2d_bwd_x, conv2d_fwd, pool2d_bwd, pool2d_fwd, reference};
use support::{Numbers, Shifted, assert_exact, assert_within, isas, magnitudes, sum_bound};

/// A plain 3×3 convolution, to be varied.
fn plain() -> Conv2d {
    Conv2d {
        batch: 2,
        channels: 2,
        height: 5,
        width: 9,
        out_channels: 3,
        kernel: [3, 3],
        stride: [1, 1],
        pad: [1, 1, 1, 1],
        dilation: [1, 1],
        groups: 1,
    }
}

/// Every width up to 257 in one dimension, every height, channel and kernel size up to 70 or so, then many mixtures.
fn convolutions() -> Vec<Conv2d> {
    let line = Conv2d { batch: 1, height: 1, kernel: [1, 3], pad: [0, 1, 0, 1], ..plain() };
    let mut all: Vec<Conv2d> = (1..=257).map(|width| Conv2d { width, ..line }).collect();
    all.extend((1..=257).step_by(3).map(|width| Conv2d { width, stride: [1, 2], pad: [0, 3, 0, 0], ..line }));
    all.extend((1..=70).map(|height| Conv2d { height, width: 4, ..plain() }));
    all.extend((1..=70).map(|channels| Conv2d { channels, batch: 1, ..plain() }));
    all.extend((1..=70).map(|out_channels| Conv2d { out_channels, batch: 1, ..plain() }));
    all.extend((1..=12).map(|k| Conv2d { kernel: [k, 1], height: 12, dilation: [1, 3], ..plain() }));
    all.extend((1..=12).map(|k| Conv2d { kernel: [1, k], width: 14, ..plain() }));
    all.extend((1..=9).map(|groups| Conv2d { groups, channels: groups, out_channels: 2 * groups, ..plain() }));
    all.push(Conv2d { batch: 0, ..plain() });
    all.push(Conv2d { channels: 16, out_channels: 16, height: 20, width: 20, ..plain() });
    // More images than the gradient of the weights goes over at a time.
    all.push(Conv2d { batch: 11, channels: 16, out_channels: 16, height: 20, width: 20, ..plain() });
    let mut numbers = Numbers::new(9);
    while all.len() < 1000 {
        let mut one = |lo: usize, hi: usize| lo + numbers.below(hi - lo + 1);
        let groups = one(1, 3);
        let c = Conv2d {
            batch: one(1, 3),
            channels: groups * one(1, 3),
            height: one(1, 12),
            width: one(1, 20),
            out_channels: groups * one(1, 3),
            kernel: [one(1, 5), one(1, 5)],
            stride: [one(1, 3), one(1, 3)],
            pad: [one(0, 3), one(0, 3), one(0, 3), one(0, 3)],
            dilation: [one(1, 3), one(1, 3)],
            groups,
        };
        all.extend(c.out_size().map(|_| c));
    }
    all
}

/// Elements of x, w and y.
fn lengths(c: &Conv2d) -> [usize; 3] {
    let [oh, ow] = c.out_size().expect("the kernel fits");
    let w = c.out_channels * c.channels / c.groups * c.kernel[0] * c.kernel[1];
    [c.batch * c.channels * c.height * c.width, w, c.batch * c.out_channels * oh * ow]
}

#[test]
fn forward_in_every_shape() {
    let mut numbers = Numbers::new(1);
    for (case, c) in convolutions().iter().enumerate() {
        let [xs, ws, ys] = lengths(c);
        let x = Shifted::new(&numbers.integers(xs, 4), case % 4);
        let w = Shifted::new(&numbers.integers(ws, 4), (case + 1) % 4);
        let b = (case % 3 > 0).then(|| numbers.integers(c.out_channels, 9));
        let act = if case % 2 == 0 { Act::Relu } else { Act::Identity };
        let pixels = ys / (c.batch * c.out_channels).max(1);
        let mut want = vec![0.0; ys];
        reference::conv2d_fwd(&mut want, x.get(), w.get(), c);
        for (at, y) in want.iter_mut().enumerate() {
            *y = reference::act(act, *y + b.as_ref().map_or(0.0, |b| f64::from(b[at / pixels % c.out_channels])));
        }
        for isa in isas() {
            let mut y = Shifted::output(ys, case % 5);
            let mut scratch = Shifted::output(c.scratch_len(), 1);
            conv2d_fwd(isa, y.get_mut(), x.get(), w.get(), b.as_deref(), act, scratch.get_mut(), c);
            assert_exact(&format!("{c:?} on {isa:?}"), y.get(), &want);
            y.check_guards();
            scratch.check_guards();
        }
    }
}

/// Runs a gradient into a guarded output.
fn gradient(len: usize, case: usize, c: &Conv2d, f: impl FnOnce(&mut [f32], &mut [f32])) -> Shifted {
    let mut d = Shifted::output(len, case % 5);
    let mut scratch = Shifted::output(c.scratch_len(), 1);
    f(d.get_mut(), scratch.get_mut());
    d.check_guards();
    scratch.check_guards();
    d
}

#[test]
fn gradients_in_every_shape() {
    let mut numbers = Numbers::new(2);
    for (case, c) in convolutions().iter().enumerate() {
        let [xs, ws, ys] = lengths(c);
        let x = Shifted::new(&numbers.integers(xs, 4), case % 4);
        let w = Shifted::new(&numbers.integers(ws, 4), (case + 1) % 4);
        let dy = Shifted::new(&numbers.integers(ys, 4), (case + 2) % 4);
        let (mut dx, mut dw, mut db) = (vec![0.0; xs], vec![0.0; ws], vec![0.0; c.out_channels]);
        reference::conv2d_bwd_x(&mut dx, dy.get(), w.get(), c);
        reference::conv2d_bwd_w(&mut dw, dy.get(), x.get(), c);
        let pixels = ys / (c.batch * c.out_channels).max(1);
        dy.get().iter().enumerate().for_each(|(at, dy)| db[at / pixels % c.out_channels] += f64::from(*dy));
        for isa in isas() {
            let what = format!("{c:?} on {isa:?}");
            let got = gradient(xs, case, c, |d, s| conv2d_bwd_x(isa, d, dy.get(), w.get(), s, c));
            assert_exact(&format!("dx of {what}"), got.get(), &dx);
            let got = gradient(ws, case, c, |d, s| conv2d_bwd_w(isa, d, dy.get(), x.get(), s, c));
            assert_exact(&format!("dw of {what}"), got.get(), &dw);
            let got = gradient(c.out_channels, case, c, |d, _| conv2d_bwd_b(isa, d, dy.get(), c));
            assert_exact(&format!("db of {what}"), got.get(), &db);
        }
    }
}

#[test]
fn rounding_stays_within_its_bound() {
    let mut numbers = Numbers::new(3);
    let c = Conv2d { channels: 9, out_channels: 12, height: 14, width: 15, ..plain() };
    let [xs, ws, ys] = lengths(&c);
    let (x, w) = (numbers.vec(xs, -1.0, 1.0), numbers.vec(ws, -2.0, 2.0));
    let (mut want, mut size) = (vec![0.0; ys], vec![0.0; ys]);
    reference::conv2d_fwd(&mut want, &x, &w, &c);
    reference::conv2d_fwd(&mut size, &magnitudes(&x), &magnitudes(&w), &c);
    for isa in isas() {
        let y = gradient(ys, 0, &c, |y, s| conv2d_fwd(isa, y, &x, &w, None, Act::Identity, s, &c));
        assert_within(&format!("{isa:?}"), y.get(), &want, size.iter().map(|s| s * sum_bound(81)));
    }
}

#[test]
fn sizes_that_do_not_fit() {
    let too_wide = Conv2d { kernel: [1, 12], pad: [0; 4], ..plain() };
    assert_eq!(too_wide.out_size(), None);
    assert_eq!(Conv2d { kernel: [0, 1], ..plain() }.out_size(), None);
    assert_eq!(Conv2d { stride: [0, 1], ..plain() }.out_size(), None);
    assert_eq!(Conv2d { dilation: [usize::MAX, 1], ..plain() }.out_size(), None);
    assert_eq!(Conv2d { pad: [usize::MAX, 0, 1, 0], ..plain() }.out_size(), None);
    assert_eq!(Conv2d { stride: [2, 3], ..plain() }.out_size(), Some([3, 3]));
}

fn pools() -> Vec<Pool2d> {
    let plain =
        Pool2d { planes: 2, height: 6, width: 7, kernel: [2, 2], stride: [2, 2], pad: [0; 4], kind: PoolKind::Max };
    let mut all: Vec<Pool2d> =
        (3..=257).map(|width| Pool2d { height: 1, width, kernel: [1, 3], stride: [1, 2], ..plain }).collect();
    all.extend((2..=257).map(|width| Pool2d { planes: 1, width, ..plain }));
    all.extend((2..=70).map(|height| Pool2d { height, ..plain }));
    all.extend((0..=9).map(|planes| Pool2d { planes, ..plain }));
    all.push(Pool2d { kernel: [6, 7], ..plain });
    all.extend([[5, 1035], [41, 40], [70, 9]].map(|[height, width]| Pool2d { height, width, ..plain }));
    let mut numbers = Numbers::new(8);
    while all.len() < 900 {
        let mut one = |lo: usize, hi: usize| lo + numbers.below(hi - lo + 1);
        let kernel = [one(1, 5), one(1, 5)];
        let pad = [0, 1, 2, 3].map(|side| one(0, kernel[side % 2] - 1));
        let p = Pool2d {
            planes: one(1, 3),
            height: one(1, 12),
            width: one(1, 20),
            kernel,
            stride: [one(1, 4), one(1, 4)],
            pad,
            kind: PoolKind::Max,
        };
        all.extend(p.out_size().map(|_| p));
    }
    all.iter().flat_map(|p| [*p, Pool2d { kind: PoolKind::Avg, ..*p }]).collect()
}

fn pool(isa: Isa, case: usize, x: &[f32], p: &Pool2d, outputs: usize) -> Shifted {
    let mut y = Shifted::output(outputs, case % 5);
    pool2d_fwd(isa, y.get_mut(), x, p);
    y.check_guards();
    y
}

#[test]
fn pooling_in_every_shape() {
    let mut numbers = Numbers::new(4);
    for (case, p) in pools().iter().enumerate() {
        let [oh, ow] = p.out_size().expect("the window fits");
        let outputs = p.planes * oh * ow;
        // Few different values, so that there are ties.
        let x = Shifted::new(&numbers.integers(p.planes * p.height * p.width, 3), case % 4);
        let dy = Shifted::new(&numbers.integers(outputs, 4), (case + 1) % 4);
        let (mut want, mut want_d) = (vec![0.0; outputs], vec![0.0; x.get().len()]);
        reference::pool2d_fwd(&mut want, x.get(), p);
        reference::pool2d_bwd(&mut want_d, dy.get(), x.get(), p);
        // Maxima are moved, means divide: a rounding each.
        let slack = if p.kind == PoolKind::Max { 0.0 } else { 2e-6 };
        for isa in isas() {
            let what = format!("{p:?} on {isa:?}");
            assert_within(&what, pool(isa, case, x.get(), p, outputs).get(), &want, want.iter().map(|_| slack));
            let mut dx = Shifted::output(x.get().len(), case % 5);
            pool2d_bwd(isa, dx.get_mut(), dy.get(), x.get(), p);
            assert_within(&format!("gradient of {what}"), dx.get(), &want_d, want_d.iter().map(|_| slack * 10.0));
            dx.check_guards();
        }
    }
}

/// A NaN wins wherever it stands in its window and reaches no other; infinities are ordinary extremes.
#[test]
fn pooling_of_bad_values() {
    for kind in [PoolKind::Max, PoolKind::Avg] {
        let p = Pool2d { planes: 1, height: 4, width: 6, kernel: [2, 3], stride: [2, 3], pad: [0; 4], kind };
        for at in 0..24 {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = vec![1.5; 24];
                x[at] = bad;
                let mut want = vec![0.0; 4];
                reference::pool2d_fwd(&mut want, &x, &p);
                let hit = at / 12 * 2 + at % 6 / 3;
                assert!((0..4).all(|w| w == hit || want[w] == 1.5), "the reference keeps windows apart");
                assert!(!bad.is_nan() || want[hit].is_nan(), "the reference keeps NaN");
                for isa in isas() {
                    assert_exact(&format!("{bad} at {at} on {isa:?}"), pool(isa, at, &x, &p, 4).get(), &want);
                }
            }
        }
    }
}
