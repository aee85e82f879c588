//! Losses and their gradients.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::{FannError, FannSpan, Loss, reference};
use support::{Numbers, Shifted, assert_close, isas};

const ROWS: usize = 5;

fn losses() -> Vec<Loss> {
    let fann = |error, span| Loss::Fann { error, span };
    vec![
        Loss::Mse,
        Loss::Mae,
        Loss::Huber { delta: 0.7 },
        Loss::BceWithLogits,
        Loss::SoftmaxCrossEntropy { smoothing: 0.0 },
        Loss::SoftmaxCrossEntropy { smoothing: 0.1 },
        Loss::Hinge,
        Loss::Quantile { taus: vec![0.5] },
        Loss::Quantile { taus: vec![0.1, 0.5, 0.9] },
        fann(FannError::Linear, FannSpan::Unit),
        fann(FannError::Linear, FannSpan::Symmetric),
        fann(FannError::Tanh, FannSpan::Unit),
        fann(FannError::Tanh, FannSpan::Symmetric),
    ]
}

/// Predictions and targets in the loss's domain.
fn batch(loss: &Loss, n: usize, numbers: &mut Numbers) -> (Vec<f32>, Vec<f32>) {
    let len = ROWS * n;
    match loss {
        Loss::BceWithLogits => (numbers.vec(len, -6.0, 6.0), numbers.vec(len, 0.0, 1.0)),
        Loss::Hinge => {
            let targets = (0..len).map(|_| if numbers.below(2) == 0 { -1.0 } else { 1.0 }).collect();
            (numbers.vec(len, -2.0, 2.0), targets)
        }
        Loss::SoftmaxCrossEntropy { .. } => {
            let mut targets = vec![0.0; len];
            targets.chunks_mut(n.max(1)).for_each(|row| row[numbers.below(n)] = 1.0);
            (numbers.vec(len, -6.0, 6.0), targets)
        }
        Loss::Fann { .. } => (numbers.vec(len, -0.9, 0.9), numbers.vec(len, 0.0, 0.09)),
        _ => (numbers.vec(len, -2.0, 2.0), numbers.vec(len, -2.0, 2.0)),
    }
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

#[test]
fn loss_fwd_at_every_width() {
    let mut numbers = Numbers::new(1);
    for (loss, n) in losses().iter().flat_map(|loss| (1..=257).map(move |n| (loss, n))) {
        let (p, t) = batch(loss, n, &mut numbers);
        let want = (0..ROWS).map(|r| {
            let row = r * n..(r + 1) * n;
            reference::loss(loss, &wide(&p[row.clone()]), &wide(&t[row])) as f32
        });
        let want = want.collect::<Vec<_>>();
        let (p, t) = (Shifted::new(&p, n % 16), Shifted::new(&t, (n + 4) % 16));
        for isa in isas() {
            let mut y = Shifted::output(ROWS, (n + 1) % 16);
            k::loss_fwd(isa, loss, y.get_mut(), p.get(), t.get(), ROWS, n);
            assert_close(&format!("{loss:?} of {n} on {isa:?}"), y.get(), &want, 2e-6, 4e-6);
            y.check_guards();
        }
    }
}

#[test]
fn loss_bwd_at_every_width() {
    let mut numbers = Numbers::new(2);
    for (loss, n) in losses().iter().flat_map(|loss| (1..=257).map(move |n| (loss, n))) {
        let (p, t) = batch(loss, n, &mut numbers);
        let drows = numbers.vec(ROWS, -1.0, 2.0);
        let mut want = vec![0.0; ROWS * n];
        for r in 0..ROWS {
            let row = r * n..(r + 1) * n;
            let out = &mut want[row.clone()];
            reference::loss_derivative(loss, &wide(&p[row.clone()]), &wide(&t[row]), |j, slope| {
                out[j] = (slope * f64::from(drows[r])) as f32;
            });
        }
        let (p, t) = (Shifted::new(&p, n % 16), Shifted::new(&t, (n + 4) % 16));
        for isa in isas() {
            let mut d = Shifted::output(ROWS * n, (n + 1) % 16);
            k::loss_bwd(isa, loss, d.get_mut(), &drows, p.get(), t.get(), ROWS, n);
            assert_close(&format!("d{loss:?} of {n} on {isa:?}"), d.get(), &want, 1e-6, 3e-6);
            d.check_guards();
        }
    }
}

#[test]
fn reference_derivatives_are_slopes() {
    let mut numbers = Numbers::new(3);
    for loss in losses() {
        for n in [1, 2, 7] {
            let (p, t) = batch(&loss, n, &mut numbers);
            let (p, t) = (wide(&p[..n]), wide(&t[..n]));
            reference::loss_derivative(&loss, &p, &t, |j, got| {
                let moved = |by: f64| {
                    let mut p = p.clone();
                    p[j] += by;
                    reference::loss(&loss, &p, &t)
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!(
                    (slope - got).abs() < 1e-5 * (1.0 + slope.abs()),
                    "{loss:?} at {j} of {n}: {got}, slope {slope}"
                );
            });
        }
    }
}

#[test]
fn cross_entropy_at_its_edges() {
    let loss = Loss::SoftmaxCrossEntropy { smoothing: 0.0 };
    let smooth = Loss::SoftmaxCrossEntropy { smoothing: 0.2 };
    for isa in isas() {
        // A logit of -inf with a target of zero counts nothing.
        let (mut y, mut d) = ([0.0], [0.0; 3]);
        k::loss_fwd(isa, &loss, &mut y, &[0.0, 0.0, f32::NEG_INFINITY], &[1.0, 0.0, 0.0], 1, 3);
        assert!((y[0] - core::f32::consts::LN_2).abs() < 1e-6, "{y:?}");
        // A row without targets has neither loss nor gradient, smoothing or not.
        k::loss_fwd(isa, &smooth, &mut y, &[3.0, 1.0, -2.0], &[0.0; 3], 1, 3);
        k::loss_bwd(isa, &smooth, &mut d, &[1.0], &[3.0, 1.0, -2.0], &[0.0; 3], 1, 3);
        assert_eq!((y, d), ([0.0], [0.0; 3]));
        // Huge logits neither overflow nor vanish.
        k::loss_fwd(isa, &loss, &mut y, &[1e6, -1e6, 0.0], &[0.0, 1.0, 0.0], 1, 3);
        assert_eq!(y[0], 2e6);
    }
}

#[test]
fn bce_with_huge_logits() {
    for isa in isas() {
        let mut y = [0.0; 4];
        k::loss_fwd(isa, &Loss::BceWithLogits, &mut y, &[1e4, -1e4, 1e4, -1e4], &[1.0, 0.0, 0.0, 1.0], 4, 1);
        assert_eq!(y, [0.0, 0.0, 1e4, 1e4]);
    }
}

#[test]
fn empty_shapes() {
    for isa in isas() {
        for loss in losses() {
            k::loss_fwd(isa, &loss, &mut [], &[], &[], 0, 7);
            let mut y = [f32::NAN; 2];
            k::loss_fwd(isa, &loss, &mut y, &[], &[], 2, 0);
            assert_eq!(y, [0.0; 2]);
        }
    }
}
