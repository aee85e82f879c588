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

/// `f` at each of `xs`, on one instruction set, through a slice long enough for whole vectors and a rest.
fn at(isa: Isa, f: Kernel, x: f32) -> f32 {
    let (xs, mut ys) = ([x; 21], [0.0; 21]);
    f(isa, &mut ys, &xs);
    assert!(ys.iter().all(|y| y.to_bits() == ys[0].to_bits()), "lanes differ at {x:e}");
    ys[0]
}

#[test]
fn specials_are_exact() {
    const INF: f32 = f32::INFINITY;
    let cases: [(&str, Kernel, &[(f32, f32)]); 7] = [
        (
            "exp",
            k::exp,
            &[(0.0, 1.0), (-0.0, 1.0), (-INF, 0.0), (INF, INF), (-104.0, 0.0), (89.0, INF), (f32::MAX, INF)],
        ),
        ("log", k::log, &[(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, f32::NAN), (-INF, f32::NAN)]),
        ("tanh", k::tanh, &[(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (20.0, 1.0), (1e-40, 1e-40)]),
        ("sigmoid", k::sigmoid, &[(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-88.0, 0.0), (f32::MIN, 0.0)]),
        ("erf", k::erf, &[(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (5.0, 1.0)]),
        ("sin", k::sin, &[(0.0, 0.0), (-0.0, -0.0), (INF, f32::NAN), (-INF, f32::NAN), (1e-40, 1e-40)]),
        ("cos", k::cos, &[(0.0, 1.0), (-0.0, 1.0), (INF, f32::NAN), (-INF, f32::NAN), (1e-40, 1.0)]),
    ];
    for isa in isas() {
        for (name, f, points) in cases {
            assert!(at(isa, f, f32::NAN).is_nan(), "{name}(NaN) on {isa:?}");
            for &(x, want) in points {
                let got = at(isa, f, x);
                let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
                assert!(same, "{name}({x:e}) on {isa:?} is {got:e}, want {want:e}");
            }
        }
    }
}

/// Beside an argument that needs the slow path, the others keep their fast one's bits.
#[test]
fn huge_angles_do_not_disturb_their_neighbours() {
    let calm = (0..64).map(|i| i as f32 * 1.37 - 40.0).collect::<Vec<_>>();
    let mut wild = calm.clone();
    wild.iter_mut().step_by(5).for_each(|x| *x = 3.0e38);
    for isa in isas() {
        let (mut a, mut b) = (vec![0.0; 64], vec![0.0; 64]);
        k::sin(isa, &mut a, &calm);
        k::sin(isa, &mut b, &wild);
        for i in 0..64 {
            let want = if i % 5 == 0 { f64::from(3.0e38f32).sin() as f32 } else { a[i] };
            assert!(ulps(b[i], f64::from(want)) <= 1.0, "lane {i} on {isa:?}: {} for {want}", b[i]);
        }
    }
}
