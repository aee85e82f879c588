//! Softmax, layer norm, RMS norm and batch norm.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::Isa;
use mayfly_kernels::reference::{self, Centre};
use support::{Numbers, Shifted, assert_close, isas};

const ROWS: usize = 3;

type Rowwise = fn(Isa, &mut [f32], &[f32], usize, usize);
type RowwiseBwd = fn(Isa, &mut [f32], &[f32], &[f32], usize, usize);

fn check_forward(name: &str, kernel: Rowwise, reference: fn(&mut [f32], &[f32], usize), absolute: f32) {
    let mut numbers = Numbers::new(1);
    for n in 1..=257 {
        let x = Shifted::new(&numbers.vec(ROWS * n, -9.0, 9.0), n % 16);
        let mut want = vec![0.0; ROWS * n];
        reference(&mut want, x.get(), n);
        for isa in isas() {
            let mut y = Shifted::output(ROWS * n, (n + 5) % 16);
            kernel(isa, y.get_mut(), x.get(), ROWS, n);
            assert_close(&format!("{name} of {n} on {isa:?}"), y.get(), &want, absolute, 3e-6);
            y.check_guards();
        }
    }
}

fn check_backward(
    name: &str,
    kernel: RowwiseBwd,
    forward: fn(&mut [f32], &[f32], usize),
    reference: fn(&mut [f32], &[f32], &[f32], usize),
) {
    let mut numbers = Numbers::new(2);
    for n in 1..=257 {
        let mut y = vec![0.0; ROWS * n];
        forward(&mut y, &numbers.vec(ROWS * n, -3.0, 3.0), n);
        let (y, dy) = (Shifted::new(&y, n % 16), Shifted::new(&numbers.vec(ROWS * n, -1.0, 1.0), (n + 2) % 16));
        let mut want = vec![0.0; ROWS * n];
        reference(&mut want, dy.get(), y.get(), n);
        for isa in isas() {
            let mut dx = Shifted::output(ROWS * n, (n + 5) % 16);
            kernel(isa, dx.get_mut(), dy.get(), y.get(), ROWS, n);
            assert_close(&format!("{name} of {n} on {isa:?}"), dx.get(), &want, 2e-6, 1e-6);
            dx.check_guards();
        }
    }
}

#[test]
fn softmax() {
    check_forward("softmax", k::softmax_fwd, reference::softmax_fwd, 1e-9);
    check_backward("dsoftmax", k::softmax_bwd, reference::softmax_fwd, reference::softmax_bwd);
}

#[test]
fn log_softmax() {
    check_forward("log_softmax", k::log_softmax_fwd, reference::log_softmax_fwd, 1e-6);
    check_backward("dlog_softmax", k::log_softmax_bwd, reference::log_softmax_fwd, reference::log_softmax_bwd);
}

#[test]
fn softmax_of_extremes() {
    for isa in isas() {
        for n in [3, 40] {
            let mut x = vec![-3e38; n];
            x[1] = 3e38;
            let mut y = vec![0.0; n];
            k::softmax_fwd(isa, &mut y, &x, 1, n);
            assert!(y[1] == 1.0 && y.iter().sum::<f32>() == 1.0, "{y:?}");
            x[2] = f32::NEG_INFINITY;
            k::softmax_fwd(isa, &mut y, &x, 1, n);
            assert!(y[1] == 1.0 && y[2] == 0.0, "a masked element: {y:?}");
            x[0] = f32::NAN;
            k::softmax_fwd(isa, &mut y, &x, 1, n);
            assert!(y.iter().all(|y| y.is_nan()), "a NaN must not vanish: {y:?}");
        }
    }
}

struct RowCase {
    n: usize,
    x: Vec<f32>,
    dy: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

fn row_cases() -> impl Iterator<Item = RowCase> {
    let mut numbers = Numbers::new(3);
    (1..=257).map(move |n| RowCase {
        n,
        x: numbers.vec(ROWS * n, 1.0, 5.0),
        dy: numbers.vec(ROWS * n, -1.0, 1.0),
        gamma: numbers.vec(n, 0.5, 2.0),
        beta: numbers.vec(n, -1.0, 1.0),
    })
}

const EPS: f32 = 1e-5;

#[test]
fn layer_norm() {
    for RowCase { n, x, dy, gamma, beta } in row_cases() {
        let (mut y, mut dx, mut dgamma) = (vec![0.0; ROWS * n], vec![0.0; ROWS * n], vec![0.0; n]);
        reference::row_norm_fwd(&mut y, &x, &gamma, &beta, Centre::Mean, EPS);
        reference::row_norm_bwd_x(&mut dx, &dy, &x, &gamma, Centre::Mean, EPS);
        reference::row_norm_bwd_gamma(&mut dgamma, &dy, &x, Centre::Mean, EPS);
        // Rows of one or two elements may have next to no variance: then 1/sqrt(eps) multiplies every rounding.
        let slack = if n <= 3 { 1e-3 } else { 2e-5 };
        for isa in isas() {
            let what = format!("layer norm of {n} on {isa:?}");
            let (x, dy) = (Shifted::new(&x, n % 16), Shifted::new(&dy, (n + 7) % 16));
            let mut out = Shifted::output(ROWS * n, (n + 3) % 16);
            k::layer_norm_fwd(isa, out.get_mut(), x.get(), &gamma, &beta, EPS, ROWS, n);
            assert_close(&what, out.get(), &y, slack, slack);
            k::layer_norm_bwd_x(isa, out.get_mut(), dy.get(), x.get(), &gamma, EPS, ROWS, n);
            assert_close(&what, out.get(), &dx, slack, slack * 10.0);
            out.check_guards();
            let mut out = Shifted::output(n, n % 16);
            k::layer_norm_bwd_gamma(isa, out.get_mut(), dy.get(), x.get(), EPS, ROWS, n);
            assert_close(&what, out.get(), &dgamma, slack, slack);
            out.check_guards();
        }
    }
}

#[test]
fn rms_norm() {
    for RowCase { n, x, dy, gamma, .. } in row_cases() {
        let (mut y, mut dx, mut dgamma) = (vec![0.0; ROWS * n], vec![0.0; ROWS * n], vec![0.0; n]);
        reference::row_norm_fwd(&mut y, &x, &gamma, &vec![0.0; n], Centre::Zero, EPS);
        reference::row_norm_bwd_x(&mut dx, &dy, &x, &gamma, Centre::Zero, EPS);
        reference::row_norm_bwd_gamma(&mut dgamma, &dy, &x, Centre::Zero, EPS);
        for isa in isas() {
            let what = format!("rms norm of {n} on {isa:?}");
            let (x, dy) = (Shifted::new(&x, n % 16), Shifted::new(&dy, (n + 7) % 16));
            let mut out = Shifted::output(ROWS * n, (n + 3) % 16);
            k::rms_norm_fwd(isa, out.get_mut(), x.get(), &gamma, EPS, ROWS, n);
            assert_close(&what, out.get(), &y, 1e-6, 1e-6);
            k::rms_norm_bwd_x(isa, out.get_mut(), dy.get(), x.get(), &gamma, EPS, ROWS, n);
            assert_close(&what, out.get(), &dx, 1e-6, 1e-6);
            out.check_guards();
            let mut out = Shifted::output(n, n % 16);
            k::rms_norm_bwd_gamma(isa, out.get_mut(), dy.get(), x.get(), EPS, ROWS, n);
            assert_close(&what, out.get(), &dgamma, 2e-6, 1e-6);
            out.check_guards();
        }
    }
}

/// `[b, c, inner]` with every number of channels and every inner length.
fn batch_shapes() -> impl Iterator<Item = [usize; 3]> {
    (1..=257).flat_map(|len| [[9, len, 1], [3, 2, len]])
}

#[test]
fn batch_norm() {
    let mut numbers = Numbers::new(4);
    for dims in batch_shapes() {
        let [b, c, inner] = dims;
        if b * inner < 4 {
            continue; // next to no variance: see layer_norm
        }
        let len = b * c * inner;
        let (x, dy) = (numbers.vec(len, 1.0, 5.0), numbers.vec(len, -1.0, 1.0));
        let (gamma, beta) = (numbers.vec(c, 0.5, 2.0), numbers.vec(c, -1.0, 1.0));
        let (mut mean, mut var) = (vec![0.0; c], vec![0.0; c]);
        reference::batch_norm_stats(&mut mean, &mut var, &x, dims);
        let (mut y, mut dx, mut dgamma) = (vec![0.0; len], vec![0.0; len], vec![0.0; c]);
        reference::batch_norm_fwd(&mut y, &x, [&gamma, &beta, &mean, &var], EPS, dims);
        reference::batch_norm_bwd_x(&mut dx, &dy, &x, [&gamma, &mean, &var], EPS, dims);
        reference::batch_norm_bwd_gamma(&mut dgamma, &dy, &x, [&mean, &var], EPS, dims);
        for isa in isas() {
            let what = format!("batch norm of {dims:?} on {isa:?}");
            let (x, dy) = (Shifted::new(&x, len % 16), Shifted::new(&dy, (len + 7) % 16));
            let (mut m, mut v) = (Shifted::output(c, c % 16), Shifted::output(c, 3));
            k::batch_norm_stats(isa, m.get_mut(), v.get_mut(), x.get(), b, c, inner);
            assert_close(&what, m.get(), &mean, 0.0, 1e-6);
            assert_close(&what, v.get(), &var, 1e-6, 1e-5);
            m.check_guards();
            v.check_guards();
            let mut out = Shifted::output(len, (len + 3) % 16);
            k::batch_norm_fwd(isa, out.get_mut(), x.get(), &gamma, &beta, &mean, &var, EPS, b, c, inner);
            assert_close(&what, out.get(), &y, 2e-5, 1e-5);
            k::batch_norm_bwd_x(isa, out.get_mut(), dy.get(), x.get(), &gamma, &mean, &var, EPS, b, c, inner);
            assert_close(&what, out.get(), &dx, 2e-5, 1e-4);
            out.check_guards();
            let mut out = Shifted::output(c, c % 16);
            k::batch_norm_bwd_gamma(isa, out.get_mut(), dy.get(), x.get(), &mean, &var, EPS, b, c, inner);
            assert_close(&what, out.get(), &dgamma, 2e-5, 1e-5);
            out.check_guards();
        }
    }
}
