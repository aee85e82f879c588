//! Products of matrices: every size in each dimension, every way of storing the operands, added and overwritten.
mod support;
use mayfly_kernels::{Isa, MatMul, Trans, matmul, matmul_acc, reference};
use support::{Numbers, Shifted, assert_exact, assert_within, isas, magnitudes, sum_bound};

const STORED: [[Trans; 2]; 4] =
    [[Trans::No, Trans::No], [Trans::No, Trans::Yes], [Trans::Yes, Trans::No], [Trans::Yes, Trans::Yes]];

fn stored([m, k, n]: [usize; 3]) -> impl Iterator<Item = MatMul> {
    STORED.into_iter().map(move |[a, b]| MatMul { m, k, n, a, b })
}

/// Every size up to 70 in one dimension with few of the others, then sizes about the edges of blocks and strips.
fn shapes() -> Vec<[usize; 3]> {
    let others = [[0, 3], [1, 1], [3, 50], [13, 33], [26, 5], [48, 17]];
    let each = (0..=70).flat_map(|s| others.into_iter().flat_map(move |[a, b]| [[s, a, b], [a, s, b], [a, b, s]]));
    let edges = [
        [4, 257, 64],
        [5, 383, 65],
        [12, 384, 16],
        [13, 385, 7],
        [25, 769, 9],
        [24, 20, 385],
        [25, 17, 384],
        [3, 5, 770],
        [2, 400, 390],
        [40, 390, 388],
    ];
    each.chain(edges).collect()
}

/// One product on one instruction set, over `old`; guards and overwriting are checked on the way.
fn run(isa: Isa, p: MatMul, a: &Shifted, b: &Shifted, old: Option<&[f32]>, shift: usize) -> Shifted {
    let mut scratch = Shifted::output(p.scratch_len(), shift % 3);
    let mut c = match old {
        Some(old) => Shifted::new(old, shift),
        None => Shifted::output(p.m * p.n, shift),
    };
    let product = if old.is_some() { matmul_acc } else { matmul };
    product(isa, c.get_mut(), a.get(), b.get(), scratch.get_mut(), p);
    c.check_guards();
    scratch.check_guards();
    c
}

/// Small integers: the sums are exact, so every element has to be right.
#[test]
fn exact_in_every_shape() {
    let mut numbers = Numbers::new(1);
    for (case, [m, k, n]) in shapes().into_iter().enumerate() {
        let a = Shifted::new(&numbers.integers(m * k, 4), case % 4);
        let b = Shifted::new(&numbers.integers(k * n, 4), (case + 1) % 4);
        let old = numbers.integers(m * n, 9);
        for p in stored([m, k, n]) {
            let mut sums = vec![0.0; m * n];
            reference::matmul(&mut sums, a.get(), b.get(), p);
            let added: Vec<f64> = sums.iter().zip(&old).map(|(v, old)| v + f64::from(*old)).collect();
            for isa in isas() {
                let what = format!("{p:?} on {isa:?}");
                assert_exact(&what, run(isa, p, &a, &b, None, case % 5).get(), &sums);
                assert_exact(&what, run(isa, p, &a, &b, Some(&old), case % 5).get(), &added);
            }
        }
    }
}

#[test]
fn rounding_stays_within_its_bound() {
    let mut numbers = Numbers::new(2);
    for [m, k, n] in [[1, 257, 3], [7, 70, 20], [13, 500, 40], [30, 33, 100], [2, 1500, 2]] {
        for p in stored([m, k, n]) {
            let (a, b) = (numbers.vec(m * k, -1.0, 1.0), numbers.vec(k * n, -3.0, 3.0));
            let (mut want, mut size) = (vec![0.0; m * n], vec![0.0; m * n]);
            reference::matmul(&mut want, &a, &b, p);
            reference::matmul(&mut size, &magnitudes(&a), &magnitudes(&b), p);
            let (a, b) = (Shifted::new(&a, 2), Shifted::new(&b, 3));
            for isa in isas() {
                let c = run(isa, p, &a, &b, None, 1);
                assert_within(&format!("{p:?} on {isa:?}"), c.get(), &want, size.iter().map(|s| s * sum_bound(k)));
            }
        }
    }
}

/// What lies beside a row or column must not reach it: one bad row of `a` spoils its row of `c` only, a bad column of `b` its column.
#[test]
fn bad_values_stay_in_their_row_and_column() {
    let mut numbers = Numbers::new(3);
    for [m, k, n] in [[3, 5, 7], [14, 40, 37], [30, 17, 66], [5, 400, 21]] {
        for p in stored([m, k, n]) {
            let (mut a, mut b) = (numbers.integers(m * k, 3), numbers.integers(k * n, 3));
            let (row, col) = (numbers.below(m), numbers.below(n));
            for q in 0..k {
                a[if p.a == Trans::No { row * k + q } else { q * m + row }] = f32::NAN;
                b[if p.b == Trans::No { q * n + col } else { col * k + q }] = f32::INFINITY;
            }
            let mut want = vec![0.0; m * n];
            reference::matmul(&mut want, &a, &b, p);
            let (a, b) = (Shifted::new(&a, 1), Shifted::new(&b, 2));
            for isa in isas() {
                let what = format!("{p:?} on {isa:?}, row {row}, column {col}");
                assert_exact(&what, run(isa, p, &a, &b, None, 3).get(), &want);
            }
        }
    }
}

/// Subnormal and huge operands, whose products are exact.
#[test]
fn ends_of_the_range() {
    for [m, k, n] in [[2, 1, 3], [9, 30, 35], [20, 40, 17]] {
        for p in stored([m, k, n]) {
            for (x, w) in [(1e-42, 2.0), (f32::MIN_POSITIVE, 0.5), (-1.5e38 / 64.0, 1.0), (0.0, -0.0), (3e38, 0.0)] {
                let (a, b) = (Shifted::new(&vec![x; m * k], 1), Shifted::new(&vec![w; k * n], 3));
                let want = vec![(f64::from(x) * f64::from(w) * k as f64) as f32; m * n];
                for isa in isas() {
                    let c = run(isa, p, &a, &b, None, 2);
                    let relative =
                        c.get().iter().zip(&want).all(|(c, w)| (c - w).abs() <= w.abs() * sum_bound(k) as f32);
                    assert!(relative, "{p:?} of {x:e} and {w:e} on {isa:?}: {:?}, want {:?}", c.get()[0], want[0]);
                }
            }
        }
    }
}
