//! Dense layers over plain weights, forward and backward: what training runs. `x [rows, i]`, `w [o, i]`, `y [rows, o]`.
use crate::act_vec::act_vec;
use crate::matmul::{MatMul, Trans, matmul};
use crate::pieces::pieces_mut;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;
use crate::{Act, Isa};

/// What follows the sum of a dense layer: an activation, then an addition.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// Applied to the sum with the bias.
    pub act: Act,
    /// Added after the activation, `[rows, o]`.
    pub residual: Option<&'a [f32]>,
}

impl Default for Epilogue<'_> {
    /// Nothing follows.
    fn default() -> Self {
        Epilogue { act: Act::Identity, residual: None }
    }
}

/// From this many rows on a product goes through [`matmul`]. Measured with `cargo run --release -p mayfly-kernels --example tune`.
const MATMUL_ROWS: usize = 4;

/// Scratch that [`linear_fwd`], [`linear_bwd_x`] and [`linear_bwd_w`] need for these sizes, in f32.
pub fn linear_scratch_len(rows: usize, i: usize, o: usize) -> usize {
    if rows < MATMUL_ROWS {
        return 0;
    }
    [forward(rows, i, o), backward_x(rows, i, o), backward_w(rows, i, o)]
        .iter()
        .map(MatMul::scratch_len)
        .fold(0, usize::max)
}

fn forward(rows: usize, i: usize, o: usize) -> MatMul {
    MatMul { m: rows, k: i, n: o, a: Trans::No, b: Trans::Yes }
}

fn backward_x(rows: usize, i: usize, o: usize) -> MatMul {
    MatMul { m: rows, k: o, n: i, a: Trans::No, b: Trans::No }
}

fn backward_w(rows: usize, i: usize, o: usize) -> MatMul {
    MatMul { m: o, k: rows, n: i, a: Trans::Yes, b: Trans::No }
}

/// `x [rows, i]`, `w [o, i]`, `y [rows, o]`.
#[inline(always)]
#[track_caller]
fn check(name: &str, x: &[f32], w: &[f32], y: &[f32], [rows, i, o]: [usize; 3]) {
    check_len(name, &[x.len()], &[rows, i]);
    check_len(name, &[w.len()], &[o, i]);
    check_len(name, &[y.len()], &[rows, o]);
}

/// `y = act(x · wᵀ + b) + residual`.
pub fn linear_fwd(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    epilogue: Epilogue<'_>,
    scratch: &mut [f32],
    rows: usize,
    i: usize,
    o: usize,
) {
    check("linear_fwd", x, w, y, [rows, i, o]);
    check_len("linear_fwd", &[b.map_or(o, <[f32]>::len)], &[o]);
    check_len("linear_fwd", &[epilogue.residual.map_or(y.len(), <[f32]>::len)], &[y.len()]);
    if rows < MATMUL_ROWS {
        for r in 0..rows {
            let (y, x) = (&mut y[r * o..(r + 1) * o], &x[r * i..(r + 1) * i]);
            dispatch!(isa, gemv(y: &mut [f32], x: &[f32], w: &[f32]));
        }
    } else {
        matmul(isa, y, x, w, scratch, forward(rows, i, o));
    }
    finish(isa, y, b, epilogue, o);
}

/// Bias, activation and residual over whole rows of `o`.
pub(crate) fn finish(isa: Isa, y: &mut [f32], b: Option<&[f32]>, epilogue: Epilogue<'_>, o: usize) {
    let Epilogue { act, residual } = epilogue;
    if b.is_none() && residual.is_none() && act == Act::Identity || o == 0 {
        return;
    }
    if residual.is_none() && (o < NARROW || !matches!(act, Act::Identity | Act::Relu)) {
        // Over all rows at once the function works on whole vectors and is called once.
        if let Some(b) = b {
            dispatch!(isa, add_bias(y: &mut [f32], b: &[f32]));
        }
        return crate::act_inplace(isa, act, y);
    }
    for (r, y) in pieces_mut(y, o).enumerate() {
        let residual = residual.map(|v| &v[r * o..(r + 1) * o]);
        dispatch!(isa, finish_row(y: &mut [f32], b: Option<&[f32]>, act: Act, residual: Option<&[f32]>));
    }
}

/// Rows of fewer outputs than this are handled together.
const NARROW: usize = 64;

#[inline(always)]
fn add_bias<S: Simd>(s: S, y: &mut [f32], b: &[f32]) {
    for y in pieces_mut(y, b.len()) {
        for (y, b) in y.chunks_mut(S::N).zip(b.chunks(S::N)) {
            s.put(y, s.add(s.get(y), s.get(b)));
        }
    }
}

#[inline(always)]
fn finish_row<S: Simd>(s: S, y: &mut [f32], b: Option<&[f32]>, act: Act, residual: Option<&[f32]>) {
    let mut at = 0;
    for y in y.chunks_mut(S::N) {
        let mut v = s.load_part(y);
        if let Some(b) = b {
            v = s.add(v, s.load_part(&b[at..]));
        }
        v = act_vec(s, act, v);
        if let Some(r) = residual {
            v = s.add(v, s.load_part(&r[at..]));
        }
        s.store_part(y, v);
        at += S::N;
    }
}

/// `y[o] = w[o, ..] · x`, four outputs at a time so that each piece of x is loaded once for four products.
#[inline(always)]
fn gemv<S: Simd>(s: S, y: &mut [f32], x: &[f32], w: &[f32]) {
    let i = x.len();
    let mut groups = y.chunks_exact_mut(4);
    let mut at = 0;
    for y in &mut groups {
        let rows: [&[f32]; 4] = core::array::from_fn(|r| &w[(at + r) * i..(at + r + 1) * i]);
        y.copy_from_slice(&dots(s, x, rows));
        at += 4;
    }
    for y in groups.into_remainder() {
        let [v] = dots(s, x, [&w[at * i..(at + 1) * i]]);
        *y = v;
        at += 1;
    }
}

/// `R` dot products with the same `x`, each in two partial sums.
#[inline(always)]
fn dots<S: Simd, const R: usize>(s: S, x: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    let mut even = [s.zero(); R];
    let mut odd = [s.zero(); R];
    let mut at = 0;
    while at + 2 * S::N <= x.len() {
        let (a, b) = (s.load(&x[at..]), s.load(&x[at + S::N..]));
        for r in 0..R {
            even[r] = s.mul_add(a, s.load(&rows[r][at..]), even[r]);
            odd[r] = s.mul_add(b, s.load(&rows[r][at + S::N..]), odd[r]);
        }
        at += 2 * S::N;
    }
    while at < x.len() {
        let a = s.load_part(&x[at..]);
        for r in 0..R {
            even[r] = s.mul_add(a, s.load_part(&rows[r][at..]), even[r]);
        }
        at += S::N;
    }
    core::array::from_fn(|r| s.reduce_sum(s.add(even[r], odd[r])))
}

/// `dx = dy · w`.
pub fn linear_bwd_x(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    w: &[f32],
    scratch: &mut [f32],
    rows: usize,
    i: usize,
    o: usize,
) {
    check("linear_bwd_x", dx, w, dy, [rows, i, o]);
    if rows >= MATMUL_ROWS {
        return matmul(isa, dx, dy, w, scratch, backward_x(rows, i, o));
    }
    for r in 0..rows {
        let (dx, dy) = (&mut dx[r * i..(r + 1) * i], &dy[r * o..(r + 1) * o]);
        dispatch!(isa, combine(dx: &mut [f32], dy: &[f32], w: &[f32]));
    }
}

/// `y = Σ_j a[j] · rows[j]` for rows of `y.len()`: sums stay in registers, four vectors at a time.
#[inline(always)]
pub(crate) fn combine<S: Simd>(s: S, y: &mut [f32], a: &[f32], rows: &[f32]) {
    let n = y.len();
    let mut at = 0;
    while at + 4 * S::N <= n {
        let mut sums = [s.zero(); 4];
        for (j, a) in a.iter().enumerate() {
            let (a, row) = (s.splat(*a), &rows[j * n + at..j * n + at + 4 * S::N]);
            for q in 0..4 {
                sums[q] = s.mul_add(a, s.load(&row[q * S::N..]), sums[q]);
            }
        }
        for q in 0..4 {
            s.store(&mut y[at + q * S::N..], sums[q]);
        }
        at += 4 * S::N;
    }
    while at < n {
        let len = S::N.min(n - at);
        let (mut even, mut odd) = (s.zero(), s.zero());
        for (j, a) in a.iter().enumerate() {
            let v = s.load_part(&rows[j * n + at..j * n + at + len]);
            if j % 2 == 0 { even = s.mul_add(s.splat(*a), v, even) } else { odd = s.mul_add(s.splat(*a), v, odd) }
        }
        s.store_part(&mut y[at..at + len], s.add(even, odd));
        at += len;
    }
}

/// `dw = dyᵀ · x`.
pub fn linear_bwd_w(
    isa: Isa,
    dw: &mut [f32],
    dy: &[f32],
    x: &[f32],
    scratch: &mut [f32],
    rows: usize,
    i: usize,
    o: usize,
) {
    check("linear_bwd_w", x, dw, dy, [rows, i, o]);
    if rows >= MATMUL_ROWS {
        return matmul(isa, dw, dy, x, scratch, backward_w(rows, i, o));
    }
    dispatch!(isa, outer(dw: &mut [f32], dy: &[f32], x: &[f32], i: usize, o: usize, rows: usize));
}

/// Sums of outer products of few rows.
#[inline(always)]
fn outer<S: Simd>(s: S, dw: &mut [f32], dy: &[f32], x: &[f32], i: usize, o: usize, rows: usize) {
    match rows {
        0 => dw.fill(0.0),
        1 => outer_of::<S, 1>(s, dw, dy, x, i, o),
        2 => outer_of::<S, 2>(s, dw, dy, x, i, o),
        _ => outer_of::<S, 3>(s, dw, dy, x, i, o),
    }
}

#[inline(always)]
fn outer_of<S: Simd, const R: usize>(s: S, dw: &mut [f32], dy: &[f32], x: &[f32], i: usize, o: usize) {
    let xs: [&[f32]; R] = core::array::from_fn(|r| &x[r * i..(r + 1) * i]);
    for (j, dw) in pieces_mut(dw, i).enumerate() {
        let mut factors = [s.zero(); R];
        for (r, factor) in factors.iter_mut().enumerate() {
            *factor = s.splat(dy[r * o + j]);
        }
        let mut at = 0;
        let mut quads = dw.chunks_exact_mut(4 * S::N);
        for dw in &mut quads {
            for (v, dw) in dw.chunks_exact_mut(S::N).enumerate() {
                s.store(dw, weighted(s, factors, xs, at + v * S::N, S::N));
            }
            at += 4 * S::N;
        }
        for dw in quads.into_remainder().chunks_mut(S::N) {
            s.put(dw, weighted(s, factors, xs, at, dw.len()));
            at += S::N;
        }
    }
}

/// `Σ_r factors[r] · xs[r][at..at + len]` for at most one vector.
#[inline(always)]
fn weighted<S: Simd, const R: usize>(s: S, factors: [S::F32; R], xs: [&[f32]; R], at: usize, len: usize) -> S::F32 {
    let mut v = s.mul(factors[0], s.get(&xs[0][at..at + len]));
    for r in 1..R {
        v = s.mul_add(factors[r], s.get(&xs[r][at..at + len]), v);
    }
    v
}
