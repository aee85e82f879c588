//! Functions of each element alone, over slices.

use crate::Isa;
use crate::act::Act;
use crate::act_vec::{self, Function};
use crate::math;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::{MAX_LANES, SimdExt};

/// A function of one vector.
trait Map1: Copy {
    fn map<S: Simd>(self, s: S, v: S::F32) -> S::F32;
}

/// A function of two vectors.
trait Map2: Copy {
    fn map<S: Simd>(self, s: S, a: S::F32, b: S::F32) -> S::F32;
}

/// `y = f(x)`. The body is there once, for whole vectors and the rest: the functions are long.
#[inline(always)]
fn map1<S: Simd, F: Map1>(s: S, y: &mut [f32], x: &[f32], f: F) {
    for (y, x) in y.chunks_mut(S::N).zip(x.chunks(S::N)) {
        s.put(y, f.map(s, s.get(x)));
    }
}

/// `y = f(y)`
#[inline(always)]
fn map_inplace<S: Simd, F: Map1>(s: S, y: &mut [f32], f: F) {
    for y in y.chunks_mut(S::N) {
        s.put(y, f.map(s, s.get(y)));
    }
}

/// `y = f(a, b)`. Whole vectors have their own loop: the functions are short.
#[inline(always)]
fn map2<S: Simd, F: Map2>(s: S, y: &mut [f32], a: &[f32], b: &[f32], f: F) {
    let mut ys = y.chunks_exact_mut(S::N);
    let (a_s, b_s) = (a.chunks_exact(S::N), b.chunks_exact(S::N));
    let (a_rest, b_rest) = (a_s.remainder(), b_s.remainder());
    for ((y, a), b) in (&mut ys).zip(a_s).zip(b_s) {
        s.store(y, f.map(s, s.load(a), s.load(b)));
    }
    s.store_part(ys.into_remainder(), f.map(s, s.load_part(a_rest), s.load_part(b_rest)));
}

/// `y = f(y, x)`
#[inline(always)]
fn update<S: Simd, F: Map2>(s: S, y: &mut [f32], x: &[f32], f: F) {
    let mut ys = y.chunks_exact_mut(S::N);
    let xs = x.chunks_exact(S::N);
    let rest = xs.remainder();
    for (y, x) in (&mut ys).zip(xs) {
        s.store(y, f.map(s, s.load(y), s.load(x)));
    }
    let y = ys.into_remainder();
    s.store_part(y, f.map(s, s.load_part(y), s.load_part(rest)));
}

/// An activation's value and, of two vectors, its derivative.
#[derive(Clone, Copy)]
struct Of<F>(F);

impl<F: Function> Map1 for Of<F> {
    #[inline(always)]
    fn map<S: Simd>(self, s: S, v: S::F32) -> S::F32 {
        self.0.value(s, v)
    }
}

impl<F: Function> Map2 for Of<F> {
    #[inline(always)]
    fn map<S: Simd>(self, s: S, dy: S::F32, saved: S::F32) -> S::F32 {
        self.0.slope(s, dy, saved)
    }
}

/// The functions that have loops of their own are the cheap ones, which are bound by memory, and the common ones. The others
/// are called for each vector.
macro_rules! specialise {
    ($act:expr, |$f:ident| $loop:expr) => {
        match $act {
            Act::Identity => specialise!(@ act_vec::Identity {}, $f, $loop),
            Act::Affine { mul, add } => specialise!(@ act_vec::Affine { mul, add }, $f, $loop),
            Act::Relu => specialise!(@ act_vec::Relu {}, $f, $loop),
            Act::LeakyRelu { slope } => specialise!(@ act_vec::LeakyRelu { slope }, $f, $loop),
            Act::Tanh => specialise!(@ act_vec::Tanh {}, $f, $loop),
            Act::Sigmoid => specialise!(@ act_vec::Sigmoid {}, $f, $loop),
            Act::Gelu => specialise!(@ act_vec::Gelu {}, $f, $loop),
            Act::Silu => specialise!(@ act_vec::Silu {}, $f, $loop),
            other => specialise!(@ act_vec::Called(other), $f, $loop),
        }
    };
    (@ $function:expr, $f:ident, $loop:expr) => {{
        let $f = Of($function);
        $loop
    }};
}

#[inline(always)]
fn act_fwd_body<S: Simd>(s: S, act: Act, y: &mut [f32], x: &[f32]) {
    specialise!(act, |f| map1(s, y, x, f));
}

#[inline(always)]
fn act_inplace_body<S: Simd>(s: S, act: Act, y: &mut [f32]) {
    specialise!(act, |f| map_inplace(s, y, f));
}

#[inline(always)]
fn act_bwd_body<S: Simd>(s: S, act: Act, dx: &mut [f32], dy: &[f32], saved: &[f32]) {
    specialise!(act, |f| {
        for ((dx, dy), saved) in dx.chunks_mut(S::N).zip(dy.chunks(S::N)).zip(saved.chunks(S::N)) {
            s.put(dx, Map2::map(f, s, s.get(dy), s.get(saved)));
        }
    });
}

/// `y = act(x)`
pub fn act_fwd(isa: Isa, act: Act, y: &mut [f32], x: &[f32]) {
    assert!(y.len() == x.len(), "act_fwd: y and x differ in length");
    dispatch!(isa, act_fwd_body(act: Act, y: &mut [f32], x: &[f32]));
}

/// `y = act(y)`
pub fn act_inplace(isa: Isa, act: Act, y: &mut [f32]) {
    dispatch!(isa, act_inplace_body(act: Act, y: &mut [f32]));
}

/// `dx = dy * act'`, where `saved` is the input or the output of the forward pass as [`Act::saves`] says; it may be empty
/// where that is [`Saves::Nothing`](crate::Saves::Nothing).
pub fn act_bwd(isa: Isa, act: Act, dx: &mut [f32], dy: &[f32], saved: &[f32]) {
    let saved = if act.saves() == crate::Saves::Nothing { dy } else { saved };
    assert!(dx.len() == dy.len() && saved.len() == dy.len(), "act_bwd: dx, dy and saved differ in length");
    dispatch!(isa, act_bwd_body(act: Act, dx: &mut [f32], dy: &[f32], saved: &[f32]));
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $body:ident $type:ident;)*) => { $(
        #[derive(Clone, Copy)]
        struct $type;

        impl Map1 for $type {
            #[inline(always)]
            fn map<S: Simd>(self, s: S, v: S::F32) -> S::F32 {
                math::$name(s, v)
            }
        }

        #[inline(always)]
        fn $body<S: Simd>(s: S, y: &mut [f32], x: &[f32]) {
            map1(s, y, x, $type);
        }

        $(#[$doc])*
        pub fn $name(isa: Isa, y: &mut [f32], x: &[f32]) {
            assert!(y.len() == x.len(), concat!(stringify!($name), ": y and x differ in length"));
            dispatch!(isa, $body(y: &mut [f32], x: &[f32]));
        }
    )* };
}

functions! {
    /// `y = exp(x)` within 2 ULP, gradual underflow included.
    exp exp_body Exp;
    /// Natural logarithm within 2 ULP; -inf at 0, NaN below.
    log log_body Log;
    /// Within 3 ULP.
    tanh tanh_body Tanh;
    /// `1 / (1 + exp(-x))` within 3 ULP; 0 where that would be subnormal (`x < -87.3`).
    sigmoid sigmoid_body Sigmoid;
    /// Error function, within 3 ULP.
    erf erf_body Erf;
    /// Within 2 ULP for every finite argument; NaN at infinity.
    sin sin_body Sin;
    /// Within 2 ULP for every finite argument; NaN at infinity.
    cos cos_body Cos;
}

/// A function of two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// The smaller.
    Min,
    /// The larger.
    Max,
    /// 1 where `a > b`, else 0.
    Greater,
    /// 1 where `a >= b`, else 0.
    GreaterEqual,
    /// `a` to the power `b`, as `powf`; not vectorised.
    Pow,
}

#[derive(Clone, Copy)]
struct Combine(Binary);

impl Map2 for Combine {
    #[inline(always)]
    fn map<S: Simd>(self, s: S, a: S::F32, b: S::F32) -> S::F32 {
        let (zero, one) = (s.zero(), s.splat(1.0));
        match self.0 {
            Binary::Add => s.add(a, b),
            Binary::Sub => s.sub(a, b),
            Binary::Mul => s.mul(a, b),
            Binary::Div => s.div(a, b),
            Binary::Min => s.min(a, b),
            Binary::Max => s.max(a, b),
            Binary::Greater => s.select(s.gt(a, b), one, zero),
            Binary::GreaterEqual => s.select(s.ge(a, b), one, zero),
            Binary::Pow => pow(s, a, b),
        }
    }
}

#[inline(always)]
fn pow<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    let (mut base, mut power) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    s.store(&mut base, a);
    s.store(&mut power, b);
    for (base, &power) in base.iter_mut().zip(&power).take(S::N) {
        *base = libm::powf(*base, power);
    }
    s.load(&base)
}

/// `y = op(a, b)`, rows of `b.len()`; with `b` of one element that one throughout.
#[inline(always)]
fn combine<S: Simd>(s: S, op: Binary, y: &mut [f32], a: &[f32], b: &[f32]) {
    if let [b] = *b {
        let b = s.splat(b);
        for (y, a) in y.chunks_mut(S::N).zip(a.chunks(S::N)) {
            s.put(y, Combine(op).map(s, s.get(a), b));
        }
        return;
    }
    for (y, a) in y.chunks_exact_mut(b.len()).zip(a.chunks_exact(b.len())) {
        map2(s, y, a, b, Combine(op));
    }
}

#[inline(always)]
fn binary_body<S: Simd>(s: S, op: Binary, y: &mut [f32], a: &[f32], b: &[f32]) {
    match op {
        Binary::Add => combine(s, Binary::Add, y, a, b),
        Binary::Sub => combine(s, Binary::Sub, y, a, b),
        Binary::Mul => combine(s, Binary::Mul, y, a, b),
        Binary::Div => combine(s, Binary::Div, y, a, b),
        other => combine(s, other, y, a, b),
    }
}

/// `y = op(a, b)`; `b` is as long as `a`, or shorter and then repeated (row broadcast, a scalar). [`Binary::Min`] and
/// [`Binary::Max`] give `b` where one is NaN.
pub fn binary_fwd(isa: Isa, op: Binary, y: &mut [f32], a: &[f32], b: &[f32]) {
    assert!(y.len() == a.len(), "binary_fwd: y and a differ in length");
    if a.is_empty() {
        return;
    }
    assert!(!b.is_empty() && a.len().is_multiple_of(b.len()), "binary_fwd: b does not repeat to a's length");
    dispatch!(isa, binary_body(op: Binary, y: &mut [f32], a: &[f32], b: &[f32]));
}

/// `y + a x`
#[derive(Clone, Copy)]
struct Axpy(f32);

impl Map2 for Axpy {
    #[inline(always)]
    fn map<S: Simd>(self, s: S, y: S::F32, x: S::F32) -> S::F32 {
        s.mul_add(s.splat(self.0), x, y)
    }
}

/// `a v`
#[derive(Clone, Copy)]
struct Scale(f32);

impl Map1 for Scale {
    #[inline(always)]
    fn map<S: Simd>(self, s: S, v: S::F32) -> S::F32 {
        s.mul(v, s.splat(self.0))
    }
}

#[inline(always)]
fn axpy_body<S: Simd>(s: S, y: &mut [f32], a: f32, x: &[f32]) {
    update(s, y, x, Axpy(a));
}

#[inline(always)]
fn add_acc_body<S: Simd>(s: S, y: &mut [f32], x: &[f32]) {
    update(s, y, x, Combine(Binary::Add));
}

#[inline(always)]
fn scale_body<S: Simd>(s: S, y: &mut [f32], a: f32) {
    map_inplace(s, y, Scale(a));
}

/// `y += x`
pub fn add_acc(isa: Isa, y: &mut [f32], x: &[f32]) {
    assert!(y.len() == x.len(), "add_acc: y and x differ in length");
    dispatch!(isa, add_acc_body(y: &mut [f32], x: &[f32]));
}

/// `y += a x`
pub fn axpy(isa: Isa, y: &mut [f32], a: f32, x: &[f32]) {
    assert!(y.len() == x.len(), "axpy: y and x differ in length");
    dispatch!(isa, axpy_body(y: &mut [f32], a: f32, x: &[f32]));
}

/// `y *= a`
pub fn scale(isa: Isa, y: &mut [f32], a: f32) {
    dispatch!(isa, scale_body(y: &mut [f32], a: f32));
}

/// Sets every element to `v`.
pub fn fill(_isa: Isa, y: &mut [f32], v: f32) {
    y.fill(v);
}
