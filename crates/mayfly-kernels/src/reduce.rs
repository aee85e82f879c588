//! Sums, maxima and distances.

use crate::Isa;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;

/// One step of a reduction over pairs of elements.
pub(crate) trait Step: Copy {
    /// `acc` with `a` and `b` taken in.
    fn step<S: Simd>(self, s: S, acc: S::F32, a: S::F32, b: S::F32) -> S::F32;
}

/// `acc + a b`
#[derive(Clone, Copy)]
struct Dot;
/// `acc + a`
#[derive(Clone, Copy)]
struct Sum;
/// `acc + (a - b)²`
#[derive(Clone, Copy)]
struct SquaredDistance;
/// `acc + 0 a`, which is 0 as long as all are finite
#[derive(Clone, Copy)]
struct Finite;

impl Step for Dot {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, acc: S::F32, a: S::F32, b: S::F32) -> S::F32 {
        s.mul_add(a, b, acc)
    }
}

impl Step for Sum {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, acc: S::F32, a: S::F32, _: S::F32) -> S::F32 {
        s.add(acc, a)
    }
}

impl Step for SquaredDistance {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, acc: S::F32, a: S::F32, b: S::F32) -> S::F32 {
        let d = s.sub(a, b);
        s.mul_add(d, d, acc)
    }
}

impl Step for Finite {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, acc: S::F32, a: S::F32, _: S::F32) -> S::F32 {
        s.mul_add(a, s.zero(), acc)
    }
}

/// Sums `f` over the pairs of two slices of one length, in four independent chains.
#[inline(always)]
pub(crate) fn fold<S: Simd, F: Step>(s: S, x: &[f32], y: &[f32], f: F) -> f32 {
    let mut acc = [s.zero(); 4];
    let (xs, ys) = (x.chunks_exact(4 * S::N), y.chunks_exact(4 * S::N));
    let (x, y) = (xs.remainder(), ys.remainder());
    for (x, y) in xs.zip(ys) {
        for (k, acc) in acc.iter_mut().enumerate() {
            let at = k * S::N;
            *acc = f.step(s, *acc, s.load(&x[at..at + S::N]), s.load(&y[at..at + S::N]));
        }
    }
    for ((x, y), acc) in x.chunks(S::N).zip(y.chunks(S::N)).zip(&mut acc) {
        *acc = f.step(s, *acc, s.get(x), s.get(y));
    }
    s.reduce_sum(s.add(s.add(acc[0], acc[1]), s.add(acc[2], acc[3])))
}

/// `Σ x`
#[inline(always)]
pub(crate) fn sum_of<S: Simd>(s: S, x: &[f32]) -> f32 {
    fold(s, x, x, Sum)
}

/// `Σ x y`
#[inline(always)]
pub(crate) fn dot_of<S: Simd>(s: S, x: &[f32], y: &[f32]) -> f32 {
    fold(s, x, y, Dot)
}

/// The largest element, NaN skipped; `-inf` of nothing.
#[inline(always)]
pub(crate) fn max_of<S: Simd>(s: S, x: &[f32]) -> f32 {
    let low = s.splat(f32::NEG_INFINITY);
    let mut acc = [low; 4];
    let xs = x.chunks_exact(4 * S::N);
    let rest = xs.remainder();
    for x in xs {
        for (k, acc) in acc.iter_mut().enumerate() {
            *acc = s.max(s.load(&x[k * S::N..(k + 1) * S::N]), *acc);
        }
    }
    for (x, acc) in rest.chunks(S::N).zip(&mut acc) {
        *acc = s.max(s.get_or(x, f32::NEG_INFINITY), *acc);
    }
    s.reduce_max(s.max(s.max(acc[0], acc[1]), s.max(acc[2], acc[3])))
}

/// The smallest element, NaN skipped; `inf` of nothing.
#[inline(always)]
fn min_of<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut acc = s.splat(f32::INFINITY);
    for x in x.chunks(S::N) {
        acc = s.min(s.get_or(x, f32::INFINITY), acc);
    }
    s.reduce_min(acc)
}

#[inline(always)]
pub(crate) fn abs_max_of<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut acc = s.zero();
    for x in x.chunks(S::N) {
        acc = s.max(s.abs(s.get(x)), acc);
    }
    s.reduce_max(acc)
}

#[inline(always)]
fn l2_of<S: Simd>(s: S, x: &[f32], y: &[f32]) -> f32 {
    libm::sqrtf(fold(s, x, y, SquaredDistance))
}

#[inline(always)]
fn cosine_of<S: Simd>(s: S, x: &[f32], y: &[f32]) -> f32 {
    let (xx, yy) = (dot_of(s, x, x), dot_of(s, y, y));
    if xx == 0.0 || yy == 0.0 {
        return 1.0;
    }
    1.0 - dot_of(s, x, y) / (libm::sqrtf(xx) * libm::sqrtf(yy))
}

#[inline(always)]
fn all_finite_body<S: Simd>(s: S, x: &[f32]) -> bool {
    fold(s, x, x, Finite) == 0.0
}

/// `Σ x y`
pub fn dot(isa: Isa, x: &[f32], y: &[f32]) -> f32 {
    assert!(x.len() == y.len(), "dot: x and y differ in length");
    dispatch!(isa, dot_of(x: &[f32], y: &[f32]) -> f32)
}

/// `Σ x`
pub fn sum(isa: Isa, x: &[f32]) -> f32 {
    dispatch!(isa, sum_of(x: &[f32]) -> f32)
}

/// `Σ x²`
pub fn sum_sq(isa: Isa, x: &[f32]) -> f32 {
    dot(isa, x, x)
}

/// The largest element; NaN are skipped, and `-inf` is the answer of an empty slice.
pub fn max(isa: Isa, x: &[f32]) -> f32 {
    dispatch!(isa, max_of(x: &[f32]) -> f32)
}

/// The smallest element; NaN are skipped, and `inf` is the answer of an empty slice.
pub fn min(isa: Isa, x: &[f32]) -> f32 {
    dispatch!(isa, min_of(x: &[f32]) -> f32)
}

/// The largest magnitude; NaN are skipped, and 0 is the answer of an empty slice.
pub fn abs_max(isa: Isa, x: &[f32]) -> f32 {
    dispatch!(isa, abs_max_of(x: &[f32]) -> f32)
}

/// Euclidean distance.
pub fn l2_distance(isa: Isa, x: &[f32], y: &[f32]) -> f32 {
    assert!(x.len() == y.len(), "l2_distance: x and y differ in length");
    dispatch!(isa, l2_of(x: &[f32], y: &[f32]) -> f32)
}

/// `1 - cos` of the angle between `x` and `y`; 1 when either is zero.
pub fn cosine_distance(isa: Isa, x: &[f32], y: &[f32]) -> f32 {
    assert!(x.len() == y.len(), "cosine_distance: x and y differ in length");
    dispatch!(isa, cosine_of(x: &[f32], y: &[f32]) -> f32)
}

/// Whether no element is infinite or NaN.
pub fn all_finite(isa: Isa, x: &[f32]) -> bool {
    dispatch!(isa, all_finite_body(x: &[f32]) -> bool)
}

/// What [`reduce_fwd`] makes of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceKind {
    /// The sum.
    Sum,
    /// The sum divided by the number.
    Mean,
    /// The largest; NaN are skipped.
    Max,
}

impl ReduceKind {
    /// What the sum is multiplied by.
    fn scale(self, n: usize) -> f32 {
        match self {
            Self::Mean => 1.0 / n as f32,
            Self::Sum | Self::Max => 1.0,
        }
    }
}

/// Rows that are added up before they join the total: rounding errors then grow with the root of the rows.
const BLOCK_ROWS: usize = 128;

/// Sums the columns of `x [n, inner]` at `at..at + y.len()`, at most `S::N` of them.
#[inline(always)]
pub(crate) fn sum_columns<S: Simd>(s: S, x: &[f32], n: usize, inner: usize, at: usize, width: usize) -> S::F32 {
    let mut total = s.zero();
    for block in (0..n).step_by(BLOCK_ROWS) {
        let mut acc = s.zero();
        for r in block..(block + BLOCK_ROWS).min(n) {
            acc = s.add(acc, s.get(&x[r * inner + at..][..width]));
        }
        total = s.add(total, acc);
    }
    total
}

#[inline(always)]
fn max_columns<S: Simd>(s: S, x: &[f32], n: usize, inner: usize, at: usize, width: usize) -> S::F32 {
    let mut acc = s.splat(f32::NEG_INFINITY);
    for r in 0..n {
        acc = s.max(s.get(&x[r * inner + at..][..width]), acc);
    }
    acc
}

#[inline(always)]
fn reduce_rows<S: Simd>(s: S, kind: ReduceKind, y: &mut [f32], x: &[f32], n: usize) {
    let scale = kind.scale(n);
    for (y, x) in y.iter_mut().zip(x.chunks_exact(n)) {
        *y = match kind {
            ReduceKind::Max => max_of(s, x),
            ReduceKind::Sum | ReduceKind::Mean => sum_of(s, x) * scale,
        };
    }
}

#[inline(always)]
fn reduce_fwd_body<S: Simd>(s: S, kind: ReduceKind, y: &mut [f32], x: &[f32], n: usize, inner: usize) {
    if inner == 1 {
        return reduce_rows(s, kind, y, x, n);
    }
    let scale = s.splat(kind.scale(n));
    for (y, x) in y.chunks_exact_mut(inner).zip(x.chunks_exact(n * inner)) {
        for (k, y) in y.chunks_mut(S::N).enumerate() {
            let v = match kind {
                ReduceKind::Max => max_columns(s, x, n, inner, k * S::N, y.len()),
                ReduceKind::Sum | ReduceKind::Mean => s.mul(sum_columns(s, x, n, inner, k * S::N, y.len()), scale),
            };
            s.put(y, v);
        }
    }
}

/// Reduces the middle dimension: `x [outer, n, inner]` to `y [outer, inner]`. The column sums of a matrix have `outer` 1.
pub fn reduce_fwd(isa: Isa, kind: ReduceKind, y: &mut [f32], x: &[f32], outer: usize, n: usize, inner: usize) {
    check_len("reduce_fwd", &[y.len()], &[outer, inner]);
    check_len("reduce_fwd", &[x.len()], &[outer, n, inner]);
    if x.is_empty() {
        y.fill(if kind == ReduceKind::Max { f32::NEG_INFINITY } else { 0.0 });
        return;
    }
    dispatch!(isa, reduce_fwd_body(kind: ReduceKind, y: &mut [f32], x: &[f32], n: usize, inner: usize));
}

/// `dy` over the number of elements equal to the maximum, where they are.
#[inline(always)]
fn max_bwd_row<S: Simd>(s: S, dx: &mut [f32], dy: f32, x: &[f32], y: f32) {
    let y = s.splat(y);
    let mut ties = 0.0;
    for x in x.chunks(S::N) {
        let hit = s.select(s.eq(s.get_or(x, f32::NAN), y), s.splat(1.0), s.zero());
        ties += s.reduce_sum(hit);
    }
    let share = s.splat(dy / ties);
    for (dx, x) in dx.chunks_mut(S::N).zip(x.chunks(S::N)) {
        s.put(dx, s.select(s.eq(s.get(x), y), share, s.zero()));
    }
}

/// The same for up to `S::N` columns at `at`.
#[inline(always)]
fn max_bwd_columns<S: Simd>(s: S, dx: &mut [f32], dy: &[f32], x: &[f32], y: &[f32], inner: usize, at: usize) {
    let (y, zero) = (s.get(y), s.zero());
    let width = dy.len();
    let mut ties = zero;
    for x in x.chunks_exact(inner) {
        let hit = s.select(s.eq(s.get(&x[at..at + width]), y), s.splat(1.0), zero);
        ties = s.add(ties, hit);
    }
    let share = s.div(s.get(dy), ties);
    for (dx, x) in dx.chunks_exact_mut(inner).zip(x.chunks_exact(inner)) {
        let v = s.select(s.eq(s.get(&x[at..at + width]), y), share, zero);
        s.put(&mut dx[at..at + width], v);
    }
}

#[inline(always)]
fn max_bwd_body<S: Simd>(s: S, dx: &mut [f32], dy: &[f32], x: &[f32], y: &[f32], n: usize, inner: usize) {
    let slabs = dx.chunks_exact_mut(n * inner).zip(x.chunks_exact(n * inner));
    for ((dx, x), (dy, y)) in slabs.zip(dy.chunks_exact(inner).zip(y.chunks_exact(inner))) {
        if inner == 1 {
            max_bwd_row(s, dx, dy[0], x, y[0]);
            continue;
        }
        for (k, (dy, y)) in dy.chunks(S::N).zip(y.chunks(S::N)).enumerate() {
            max_bwd_columns(s, dx, dy, x, y, inner, k * S::N);
        }
    }
}

#[inline(always)]
fn spread_body<S: Simd>(s: S, dx: &mut [f32], dy: &[f32], scale: f32, n: usize, inner: usize) {
    for (dx, dy) in dx.chunks_exact_mut(n * inner).zip(dy.chunks_exact(inner)) {
        if inner == 1 {
            dx.fill(dy[0] * scale);
            continue;
        }
        for dx in dx.chunks_exact_mut(inner) {
            for (dx, dy) in dx.chunks_mut(S::N).zip(dy.chunks(S::N)) {
                s.put(dx, s.mul(s.get(dy), s.splat(scale)));
            }
        }
    }
}

/// Gradient of [`reduce_fwd`] to `x`. `x` and its result `y` are read for [`ReduceKind::Max`] only, whose gradient goes to the
/// largest element, in equal parts to several of them.
pub fn reduce_bwd(
    isa: Isa,
    kind: ReduceKind,
    dx: &mut [f32],
    dy: &[f32],
    x: &[f32],
    y: &[f32],
    outer: usize,
    n: usize,
    inner: usize,
) {
    check_len("reduce_bwd", &[dx.len()], &[outer, n, inner]);
    check_len("reduce_bwd", &[dy.len()], &[outer, inner]);
    if dx.is_empty() {
        return;
    }
    if kind == ReduceKind::Max {
        assert!(x.len() == dx.len() && y.len() == dy.len(), "reduce_bwd: x or y is of the wrong length");
        return dispatch!(isa, max_bwd_body(dx: &mut [f32], dy: &[f32], x: &[f32], y: &[f32], n: usize, inner: usize));
    }
    let scale = kind.scale(n);
    dispatch!(isa, spread_body(dx: &mut [f32], dy: &[f32], scale: f32, n: usize, inner: usize));
}
