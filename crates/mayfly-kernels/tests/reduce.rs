//! Reductions and distances.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::{ReduceKind, reference};
use support::{Numbers, Shifted, assert_close, isas, lengths};

#[test]
fn reductions_at_every_length() {
    let mut numbers = Numbers::new(1);
    for (len, shift) in lengths() {
        let x = Shifted::new(&numbers.vec(len, -1.0, 1.0), shift);
        let y = Shifted::new(&numbers.vec(len, -1.0, 1.0), (shift + 3) % 16);
        let (x, y) = (x.get(), y.get());
        for isa in isas() {
            // Rounding of a plain sum grows with its length; one element left out would be a hundred times this.
            let tolerance = 1e-5 + 4e-7 * len as f64;
            let close = |what: &str, got: f32, want: f64| {
                assert!((f64::from(got) - want).abs() < tolerance, "{what} of {len} on {isa:?}: {got}, want {want}");
            };
            close("dot", k::dot(isa, x, y), reference::dot(x, y));
            close("sum", k::sum(isa, x), reference::sum(x));
            close("sum_sq", k::sum_sq(isa, x), reference::dot(x, x));
            close("l2", k::l2_distance(isa, x, y), reference::l2_distance(x, y));
            close("cosine", k::cosine_distance(isa, x, y), reference::cosine_distance(x, y));
            assert_eq!(k::max(isa, x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            assert_eq!(k::min(isa, x), x.iter().copied().fold(f32::INFINITY, f32::min));
            assert_eq!(k::abs_max(isa, x), x.iter().copied().fold(0.0, |m, x| x.abs().max(m)));
        }
    }
}

#[test]
fn extremes_are_found_at_every_position() {
    for isa in isas() {
        for len in [1, 5, 16, 31, 64, 257] {
            for at in 0..len {
                let mut x = vec![-1.0; len];
                x[at] = 3.0;
                assert_eq!(k::max(isa, &x), 3.0);
                x[at] = -3.0;
                assert_eq!(k::min(isa, &x), -3.0);
                assert_eq!(k::abs_max(isa, &x), 3.0);
                x[at] = f32::NAN;
                let rest = if len == 1 { [f32::NEG_INFINITY, f32::INFINITY, 0.0] } else { [-1.0, -1.0, 1.0] };
                assert_eq!([k::max(isa, &x), k::min(isa, &x), k::abs_max(isa, &x)], rest, "NaN is skipped");
            }
        }
    }
}

#[test]
fn all_finite_finds_each_intruder() {
    for isa in isas() {
        for len in (0..=257).step_by(7) {
            let x = vec![f32::MAX; len];
            assert!(k::all_finite(isa, &x));
            for at in 0..len {
                for intruder in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut x = x.clone();
                    x[at] = intruder;
                    assert!(!k::all_finite(isa, &x), "{intruder} at {at} of {len} on {isa:?}");
                }
            }
        }
    }
}

#[test]
fn zero_vectors_are_at_distance_one() {
    for isa in isas() {
        assert_eq!(k::cosine_distance(isa, &[0.0; 9], &[1.0; 9]), 1.0);
        assert_eq!(k::cosine_distance(isa, &[0.0; 9], &[0.0; 9]), 1.0);
    }
}

const KINDS: [ReduceKind; 3] = [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max];

/// `[outer, n, inner]` with every length in each place.
fn shapes() -> impl Iterator<Item = [usize; 3]> {
    let rows = (0..=257).map(|n| [3, n, 1]);
    let columns = (0..=257).map(|inner| [2, 5, inner]);
    rows.chain(columns).chain([[1, 1000, 3], [1, 1000, 20], [7, 1, 1], [4, 300, 2]])
}

#[test]
fn reduce_fwd_in_every_shape() {
    let mut numbers = Numbers::new(2);
    for (kind, [outer, n, inner]) in KINDS.into_iter().flat_map(|kind| shapes().map(move |s| (kind, s))) {
        if n == 0 && kind == ReduceKind::Mean {
            continue;
        }
        let x = Shifted::new(&numbers.vec(outer * n * inner, -1.0, 1.0), (n + inner) % 16);
        let mut want = vec![0.0; outer * inner];
        reference::reduce_fwd(kind, &mut want, x.get(), outer, n, inner);
        for isa in isas() {
            let mut y = Shifted::output(outer * inner, n % 16);
            k::reduce_fwd(isa, kind, y.get_mut(), x.get(), outer, n, inner);
            let what = format!("{kind:?} of [{outer}, {n}, {inner}] on {isa:?}");
            assert_close(&what, y.get(), &want, 3e-5, 0.0);
            y.check_guards();
        }
    }
}

#[test]
fn reduce_bwd_in_every_shape() {
    let mut numbers = Numbers::new(3);
    for (kind, [outer, n, inner]) in KINDS.into_iter().flat_map(|kind| shapes().map(move |s| (kind, s))) {
        // Few values, so that maxima tie.
        let x = (0..outer * n * inner).map(|_| numbers.below(4) as f32).collect::<Vec<_>>();
        let x = Shifted::new(&x, (n + inner) % 16);
        let mut y = vec![0.0; outer * inner];
        reference::reduce_fwd(kind, &mut y, x.get(), outer, n, inner);
        let dy = Shifted::new(&numbers.vec(outer * inner, -1.0, 1.0), n % 16);
        let mut want = vec![0.0; x.get().len()];
        reference::reduce_bwd(kind, &mut want, dy.get(), x.get(), &y, [outer, n, inner]);
        for isa in isas() {
            let mut dx = Shifted::output(want.len(), (n + 1) % 16);
            k::reduce_bwd(isa, kind, dx.get_mut(), dy.get(), x.get(), &y, outer, n, inner);
            let what = format!("d{kind:?} of [{outer}, {n}, {inner}] on {isa:?}");
            assert_close(&what, dx.get(), &want, 0.0, 1e-6);
            dx.check_guards();
        }
    }
}

/// A long column's sum keeps its digits.
#[test]
fn long_sums_stay_accurate() {
    let x = vec![0.1f32; 1 << 20];
    let want = f64::from(0.1f32) * (1 << 20) as f64;
    for isa in isas() {
        let mut columns = [0.0; 2];
        k::reduce_fwd(isa, ReduceKind::Sum, &mut columns, &x, 1, 1 << 19, 2);
        for got in [columns[0] * 2.0, columns[1] * 2.0] {
            assert!((f64::from(got) / want - 1.0).abs() < 1e-4, "{got} on {isa:?}, want {want}");
        }
    }
}
