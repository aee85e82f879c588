//! Scaled dot-product attention, forward and backward.
mod support;
use mayfly_kernels::reference::{self, AttentionSizes};
use mayfly_kernels::{Causal, attention_bwd, attention_fwd, attention_scratch_len};
use support::{Numbers, Shifted, assert_exact, assert_within, isas, wide};

/// Every number of queries, keys and every width of a head up to 70 with few of the others.
fn shapes() -> Vec<AttentionSizes> {
    let mut all = Vec::new();
    for n in 0..=70 {
        for [batch, tq, tk, heads, d] in [
            [1, n, 5, 2, 3],
            [2, 4, n, 1, 5],
            [1, 6, 7, 2, n],
            [1, n, n, 1, 16],
            [1, 3, 4, n % 9, 4],
            [n % 4, 9, 3, 2, 2],
        ] {
            for causal in [Causal::No, Causal::Yes] {
                all.push(AttentionSizes { batch, tq, tk, heads, d, causal });
            }
        }
    }
    all
}

fn lengths(s: AttentionSizes) -> [usize; 2] {
    [s.batch * s.tq * s.heads * s.d, s.batch * s.tk * s.heads * s.d]
}

#[test]
fn in_every_shape() {
    let mut numbers = Numbers::new(1);
    for (case, s) in shapes().into_iter().enumerate() {
        let AttentionSizes { batch: b, tq, tk, heads, d, causal } = s;
        let [ql, kl] = lengths(s);
        let q = Shifted::new(&numbers.vec(ql, -2.0, 2.0), case % 4);
        let k = Shifted::new(&numbers.vec(kl, -2.0, 2.0), (case + 1) % 4);
        let v = Shifted::new(&numbers.vec(kl, -2.0, 2.0), (case + 2) % 4);
        let dy = Shifted::new(&numbers.vec(ql, -1.0, 1.0), (case + 3) % 4);
        let [wq, wk, wv, wdy] = [&q, &k, &v, &dy].map(|x| wide(x.get()));
        let want = reference::attention_fwd(&wq, &wk, &wv, s);
        let gradients = reference::attention_bwd(&wdy, &wq, &wk, &wv, s);
        for isa in isas() {
            let what = format!("{s:?} on {isa:?}");
            let mut y = Shifted::output(ql, case % 5);
            let mut scratch = Shifted::output(attention_scratch_len(tq, tk, d), 1);
            attention_fwd(isa, y.get_mut(), q.get(), k.get(), v.get(), scratch.get_mut(), b, tq, tk, heads, d, causal);
            assert_within(&what, y.get(), &want, want.iter().map(|_| 1e-5));
            y.check_guards();
            scratch.check_guards();
            let mut scratch = Shifted::output(attention_scratch_len(tq, tk, d), 2);
            let (mut dq, mut dk, mut dv) = (Shifted::output(ql, 1), Shifted::output(kl, 2), Shifted::output(kl, 3));
            let (a, b_, c) = (dq.get_mut(), dk.get_mut(), dv.get_mut());
            let rest = scratch.get_mut();
            attention_bwd(isa, a, b_, c, dy.get(), q.get(), k.get(), v.get(), rest, b, tq, tk, heads, d, causal);
            for (name, got, want) in [("q", &dq, &gradients[0]), ("k", &dk, &gradients[1]), ("v", &dv, &gradients[2])] {
                let bounds = want.iter().map(|w| 2e-5 + 1e-5 * w.abs());
                assert_within(&format!("d{name} of {what}"), got.get(), want, bounds);
                got.check_guards();
            }
            scratch.check_guards();
        }
    }
}

/// The gradients of the reference are slopes of the reference.
#[test]
fn reference_gradients_are_slopes() {
    const STEP: f64 = 1e-5;
    let mut numbers = Numbers::new(2);
    for causal in [Causal::No, Causal::Yes] {
        for (tq, tk) in [(3, 4), (4, 2), (1, 1)] {
            let s = AttentionSizes { batch: 2, tq, tk, heads: 2, d: 3, causal };
            let [ql, kl] = lengths(s);
            let mut draw = |n| wide(&numbers.vec(n, -1.0, 1.0));
            let (inputs, dy) = ([draw(ql), draw(kl), draw(kl)], draw(ql));
            let gradients = reference::attention_bwd(&dy, &inputs[0], &inputs[1], &inputs[2], s);
            for (which, d) in gradients.iter().enumerate() {
                for (i, d) in d.iter().enumerate() {
                    let at = |by: f64| {
                        let mut x = inputs.clone();
                        x[which][i] += by;
                        let y = reference::attention_fwd(&x[0], &x[1], &x[2], s);
                        y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
                    };
                    let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
                    assert!((slope - d).abs() < 1e-8, "{s:?}: {d} at {which}:{i}, the slope is {slope}");
                }
            }
        }
    }
}

/// What a causal query does not see does not reach it, not even NaN in the keys; huge scores choose one key exactly.
#[test]
fn the_unseen_and_the_huge() {
    let s = AttentionSizes { batch: 1, tq: 3, tk: 3, heads: 1, d: 2, causal: Causal::Yes };
    for isa in isas() {
        let run = |q: &[f32], k: &[f32], v: &[f32]| {
            let (mut y, mut scratch) = (vec![f32::NAN; 6], vec![f32::NAN; attention_scratch_len(3, 3, 2)]);
            attention_fwd(isa, &mut y, q, k, v, &mut scratch, 1, s.tq, s.tk, s.heads, s.d, s.causal);
            y
        };
        let (q, v) = ([1.0; 6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let y = run(&q, &[1.0, 1.0, 1.0, 1.0, f32::NAN, f32::NAN], &v);
        assert!(y[..4].iter().all(|y| y.is_finite()) && y[4..].iter().all(|y| y.is_nan()), "{isa:?}: {y:?}");
        let y = run(&[1e30; 6], &[0.0, 0.0, 1.0, 1.0, -1.0, -1.0], &v);
        assert_exact(&format!("{isa:?}"), &y, &[1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
    }
}
