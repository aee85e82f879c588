//! The elementary functions against f64, over all of f32 at every 997th bit pattern.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::Isa;
use support::{isas, ulps};

type Kernel = fn(Isa, &mut [f32], &[f32]);

struct Function {
    name: &'static str,
    kernel: Kernel,
    exact: fn(f64) -> f64,
    bound: f64,
    /// Arguments for which the bound is stated.
    covers: fn(f32) -> bool,
}

fn everywhere(_: f32) -> bool {
    true
}

fn erf(x: f64) -> f64 {
    libm::erf(x)
}

const FUNCTIONS: [Function; 7] = [
    Function { name: "exp", kernel: k::exp, exact: f64::exp, bound: 2.0, covers: everywhere },
    Function { name: "log", kernel: k::log, exact: f64::ln, bound: 2.0, covers: everywhere },
    Function { name: "tanh", kernel: k::tanh, exact: f64::tanh, bound: 3.0, covers: everywhere },
    Function {
        name: "sigmoid",
        kernel: k::sigmoid,
        exact: k::reference::sigmoid,
        bound: 3.0,
        covers: |x| !(x < -87.3),
    },
    Function { name: "erf", kernel: k::erf, exact: erf, bound: 3.0, covers: everywhere },
    Function { name: "sin", kernel: k::sin, exact: f64::sin, bound: 2.0, covers: everywhere },
    Function { name: "cos", kernel: k::cos, exact: f64::cos, bound: 2.0, covers: everywhere },
];

/// The worst error of a function over `xs` on one instruction set, and where.
fn worst(f: &Function, isa: Isa, xs: &[f32], want: &[f64]) -> (f64, f32) {
    let mut y = vec![0.0; xs.len()];
    (f.kernel)(isa, &mut y, xs);
    let errors = xs.iter().zip(&y).zip(want).filter(|((x, _), _)| (f.covers)(**x));
    errors.map(|((x, y), want)| (ulps(*y, *want), *x)).fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
}

fn sweep(f: &Function) {
    let mut worst_of = isas().into_iter().map(|isa| (isa, (0.0, 0.0f32))).collect::<Vec<_>>();
    let patterns = (0..=u32::MAX).step_by(997).collect::<Vec<_>>();
    for block in patterns.chunks(1 << 14) {
        let xs = block.iter().map(|b| f32::from_bits(*b)).collect::<Vec<_>>();
        let want = xs.iter().map(|x| (f.exact)(f64::from(*x))).collect::<Vec<_>>();
        for (isa, so_far) in &mut worst_of {
            let here = worst(f, *isa, &xs, &want);
            if here.0 > so_far.0 {
                *so_far = here;
            }
        }
    }
    for (isa, (error, at)) in worst_of {
        println!("{} on {isa:?}: {error:.3} ULP at {at:e}", f.name);
        assert!(error <= f.bound, "{} on {isa:?}: {error} ULP at {at:e}, the bound is {}", f.name, f.bound);
    }
}

#[test]
fn exp_within_its_bound() {
    sweep(&FUNCTIONS[0]);
}

#[test]
fn log_within_its_bound() {
    sweep(&FUNCTIONS[1]);
}

#[test]
fn tanh_within_its_bound() {
    sweep(&FUNCTIONS[2]);
}

#[test]
fn sigmoid_within_its_bound() {
    sweep(&FUNCTIONS[3]);
}

#[test]
fn erf_within_its_bound() {
    sweep(&FUNCTIONS[4]);
}

#[test]
fn sin_within_its_bound() {
    sweep(&FUNCTIONS[5]);
}

#[test]
fn cos_within_its_bound() {
    sweep(&FUNCTIONS[6]);
}
