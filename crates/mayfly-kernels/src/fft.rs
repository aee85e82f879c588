//! The Fourier transform of real rows, its inverse and their adjoints, for every length.
//!
//! Rows are transformed `S::N` at a time, one to a lane, so every butterfly is a plain vector operation whatever its radix.
//! Lengths that are products of 2, 3 and 5 go through Stockham's self-sorting algorithm (Cochran et al., 1967) with radices
//! 4, 2, 3 and 5; the others through a convolution of a power of two (Bluestein, 1970). An even real length is a complex one
//! of half the length.

use alloc::vec;
use alloc::vec::Vec;
use core::f64::consts::{PI, TAU};

use crate::Isa;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::{MAX_LANES, SimdExt};
use crate::size::{capped, check_len};

/// How a real length is transformed.
#[derive(Clone, Copy)]
struct Plan {
    /// The real length.
    n: usize,
    /// The complex length: half of an even `n`, else `n`.
    m: usize,
    /// The length that the butterflies run over: `m`, or a power of two that holds Bluestein's convolution.
    work: usize,
}

impl Plan {
    fn new(n: usize) -> Self {
        assert!(n > 0, "a Fourier transform of no elements");
        assert!(n <= usize::MAX >> 4, "a Fourier transform of {n} elements exceeds the address space");
        let m = if n.is_multiple_of(2) { n / 2 } else { n };
        let work = if is_smooth(m) { m } else { (2 * m - 1).next_power_of_two() };
        Self { n, m, work }
    }

    fn bluestein(self) -> bool {
        self.work != self.m
    }

    /// Numbers in the table: roots of unity of order `n`, then Bluestein's chirp, its spectrum and roots of order `work`.
    fn table_len(self) -> usize {
        2 * self.n + if self.bluestein() { 2 * self.m + 4 * self.work } else { 0 }
    }
}

fn is_smooth(mut m: usize) -> bool {
    for p in [2, 3, 5] {
        while m.is_multiple_of(p) {
            m /= p;
        }
    }
    m == 1
}

/// Elements of the table for rows of `n`.
pub fn rfft_table_len(n: usize) -> usize {
    Plan::new(n).table_len()
}

/// Elements of the scratch memory, on any instruction set.
pub fn rfft_scratch_len(n: usize) -> usize {
    capped(&[4, MAX_LANES, Plan::new(n).work])
}

/// `exp(-2πi k / n)`
fn root(k: usize, n: usize) -> (f64, f64) {
    let angle = -TAU * (k as f64 / n as f64);
    (libm::cos(angle), libm::sin(angle))
}

fn write_roots(table: &mut [f32], order: usize) {
    for (k, pair) in table.chunks_exact_mut(2).enumerate() {
        let (re, im) = root(k, order);
        pair.copy_from_slice(&[re as f32, im as f32]);
    }
}

/// `exp(-πi k² / m)`
fn chirp(k: usize, m: usize) -> (f64, f64) {
    // k² modulo 2m in integers keeps the angle exact.
    let turn = (k as u128 * k as u128 % (2 * m as u128)) as f64 / m as f64;
    (libm::cos(-PI * turn), libm::sin(-PI * turn))
}

/// Fills the table for rows of `n`: [`rfft_table_len`] numbers, computed in f64.
pub fn rfft_table(table: &mut [f32], n: usize) {
    let plan = Plan::new(n);
    check_len("rfft_table", &[table.len()], &[plan.table_len()]);
    let (roots, rest) = table.split_at_mut(2 * n);
    write_roots(roots, n);
    if !plan.bluestein() {
        return;
    }
    let (chirps, rest) = rest.split_at_mut(2 * plan.m);
    let (spectrum, work_roots) = rest.split_at_mut(2 * plan.work);
    write_roots(work_roots, plan.work);
    for (k, pair) in chirps.chunks_exact_mut(2).enumerate() {
        let (re, im) = chirp(k, plan.m);
        pair.copy_from_slice(&[re as f32, im as f32]);
    }
    for (pair, (re, im)) in spectrum.chunks_exact_mut(2).zip(chirp_spectrum(plan)) {
        pair.copy_from_slice(&[re as f32, im as f32]);
    }
}

/// The spectrum of the conjugate chirp, laid around 0 in `work` points and divided by `work`.
fn chirp_spectrum(plan: Plan) -> Vec<(f64, f64)> {
    let mut line = vec![(0.0, 0.0); plan.work];
    for k in 0..plan.m {
        let (re, im) = chirp(k, plan.m);
        let value = (re / plan.work as f64, -im / plan.work as f64);
        line[k] = value;
        if k > 0 {
            line[plan.work - k] = value;
        }
    }
    fft_f64(&line, 1)
}

/// The transform of every `step`-th element by halves: only for tables.
fn fft_f64(x: &[(f64, f64)], step: usize) -> Vec<(f64, f64)> {
    let n = x.len().div_ceil(step);
    if n == 1 {
        return vec![x[0]];
    }
    let (even, odd) = (fft_f64(x, 2 * step), fft_f64(&x[step..], 2 * step));
    let mut y = vec![(0.0, 0.0); n];
    for k in 0..n / 2 {
        let (c, s) = root(k, n);
        let (re, im) = (odd[k].0 * c - odd[k].1 * s, odd[k].0 * s + odd[k].1 * c);
        y[k] = (even[k].0 + re, even[k].1 + im);
        y[k + n / 2] = (even[k].0 - re, even[k].1 - im);
    }
    y
}

/// The parts of a table.
#[derive(Clone, Copy)]
struct Table<'a> {
    roots: &'a [f32],
    chirps: &'a [f32],
    spectrum: &'a [f32],
    work_roots: &'a [f32],
}

impl<'a> Table<'a> {
    fn new(table: &'a [f32], plan: Plan) -> Self {
        let (roots, rest) = table.split_at(2 * plan.n);
        let (chirps, rest) = rest.split_at(if plan.bluestein() { 2 * plan.m } else { 0 });
        let (spectrum, work_roots) = rest.split_at(rest.len() / 2);
        Self { roots, chirps, spectrum, work_roots }
    }
}

/// One complex number to a lane: real and imaginary parts.
type Complex<S> = (<S as Simd>::F32, <S as Simd>::F32);

/// `a b`
#[inline(always)]
fn mul<S: Simd>(s: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    let re = s.neg_mul_add(a.1, b.1, s.mul(a.0, b.0));
    (re, s.mul_add(a.0, b.1, s.mul(a.1, b.0)))
}

#[inline(always)]
fn add<S: Simd>(s: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    (s.add(a.0, b.0), s.add(a.1, b.1))
}

#[inline(always)]
fn sub<S: Simd>(s: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    (s.sub(a.0, b.0), s.sub(a.1, b.1))
}

/// `a k` for a real `k`.
#[inline(always)]
fn scaled<S: Simd>(s: S, a: Complex<S>, k: f32) -> Complex<S> {
    (s.mul(a.0, s.splat(k)), s.mul(a.1, s.splat(k)))
}

/// `-i a`
#[inline(always)]
fn turned<S: Simd>(s: S, a: Complex<S>) -> Complex<S> {
    (a.1, s.neg(a.0))
}

/// Element `k` of an interleaved table, the same in each lane.
#[inline(always)]
fn constant<S: Simd>(s: S, table: &[f32], k: usize) -> Complex<S> {
    (s.splat(table[2 * k]), s.splat(table[2 * k + 1]))
}

/// Element `k` of the lanes' rows: `N` real parts, then `N` imaginary parts.
#[inline(always)]
fn at<S: Simd>(s: S, x: &[f32], k: usize) -> Complex<S> {
    let pair = &x[2 * k * S::N..2 * (k + 1) * S::N];
    (s.load(pair), s.load(&pair[S::N..]))
}

#[inline(always)]
fn set<S: Simd>(s: S, y: &mut [f32], k: usize, v: Complex<S>) {
    let pair = &mut y[2 * k * S::N..2 * (k + 1) * S::N];
    s.store(pair, v.0);
    s.store(&mut pair[S::N..], v.1);
}

/// The transform of three.
#[inline(always)]
fn dft3<S: Simd>(s: S, [a, b, c]: [Complex<S>; 3]) -> [Complex<S>; 3] {
    const SIN: f32 = 0.866_025_4;
    let (sum, difference) = (add(s, b, c), sub(s, b, c));
    let middle = add(s, a, scaled(s, sum, -0.5));
    let side = turned(s, scaled(s, difference, SIN));
    [add(s, a, sum), add(s, middle, side), sub(s, middle, side)]
}

/// The transform of four.
#[inline(always)]
fn dft4<S: Simd>(s: S, [a, b, c, d]: [Complex<S>; 4]) -> [Complex<S>; 4] {
    let (even, odd) = (add(s, a, c), add(s, b, d));
    let (left, right) = (sub(s, a, c), turned(s, sub(s, b, d)));
    [add(s, even, odd), add(s, left, right), sub(s, even, odd), sub(s, left, right)]
}

/// The transform of five.
#[inline(always)]
fn dft5<S: Simd>(s: S, [a, b, c, d, e]: [Complex<S>; 5]) -> [Complex<S>; 5] {
    // Cosines and sines of 2π/5 and 4π/5.
    const COS: [f32; 2] = [0.309_017, -0.809_017];
    const SIN: [f32; 2] = [0.951_056_5, 0.587_785_25];
    let (outer, inner) = (add(s, b, e), add(s, c, d));
    let (outer_gap, inner_gap) = (sub(s, b, e), sub(s, c, d));
    let m1 = add(s, a, add(s, scaled(s, outer, COS[0]), scaled(s, inner, COS[1])));
    let m2 = add(s, a, add(s, scaled(s, outer, COS[1]), scaled(s, inner, COS[0])));
    let s1 = turned(s, add(s, scaled(s, outer_gap, SIN[0]), scaled(s, inner_gap, SIN[1])));
    let s2 = turned(s, sub(s, scaled(s, outer_gap, SIN[1]), scaled(s, inner_gap, SIN[0])));
    [add(s, a, add(s, outer, inner)), add(s, m1, s1), add(s, m2, s2), sub(s, m2, s2), sub(s, m1, s1)]
}

/// One stage: `stride` interleaved transforms, of which each still has `radix * groups` points.
#[derive(Clone, Copy)]
struct Stage<'a> {
    stride: usize,
    groups: usize,
    /// Roots of unity of the whole length, `step` apart in the table.
    roots: &'a [f32],
    step: usize,
}

impl Stage<'_> {
    /// Butterflies of `R` points from `x` to `y`, twiddled.
    #[inline(always)]
    fn run<S: Simd, const R: usize>(
        self,
        s: S,
        y: &mut [f32],
        x: &[f32],
        dft: impl Fn(S, [Complex<S>; R]) -> [Complex<S>; R],
    ) {
        let Self { stride, groups, roots, step } = self;
        for j in 0..groups {
            let mut twiddles = [(s.zero(), s.zero()); R];
            for (u, w) in twiddles.iter_mut().enumerate() {
                *w = constant(s, roots, j * u * stride * step);
            }
            for q in 0..stride {
                let mut points = [(s.zero(), s.zero()); R];
                for (t, point) in points.iter_mut().enumerate() {
                    *point = at(s, x, q + stride * (j + groups * t));
                }
                for (u, (v, w)) in dft(s, points).into_iter().zip(twiddles).enumerate() {
                    let v = if j == 0 || u == 0 { v } else { mul(s, v, w) };
                    set(s, y, q + stride * (R * j + u), v);
                }
            }
        }
    }
}

/// Transforms the `len` points of `x`, a product of 2, 3 and 5; `y` is as long and destroyed. The result is in the slice that
/// is returned first.
#[inline(always)]
fn stockham<'a, S: Simd>(
    s: S,
    mut x: &'a mut [f32],
    mut y: &'a mut [f32],
    len: usize,
    roots: &[f32],
    step: usize,
) -> [&'a mut [f32]; 2] {
    let (mut left, mut stride) = (len, 1);
    while left > 1 {
        let radix = [4, 2, 3, 5].into_iter().find(|r| left.is_multiple_of(*r)).unwrap_or(left);
        let stage = Stage { stride, groups: left / radix, roots, step };
        match radix {
            4 => stage.run(s, y, x, dft4::<S>),
            3 => stage.run(s, y, x, dft3::<S>),
            5 => stage.run(s, y, x, dft5::<S>),
            _ => stage.run(s, y, x, dft2::<S>),
        }
        (x, y) = (y, x);
        left /= radix;
        stride *= radix;
    }
    [x, y]
}

/// The transform of two.
#[inline(always)]
fn dft2<S: Simd>(s: S, [a, b]: [Complex<S>; 2]) -> [Complex<S>; 2] {
    [add(s, a, b), sub(s, a, b)]
}

/// The transform of `plan.m` points in `x`, through `y`; the result is in the slice that is returned.
#[inline(always)]
fn complex_fft<'a, S: Simd>(
    s: S,
    mut x: &'a mut [f32],
    mut y: &'a mut [f32],
    plan: Plan,
    table: Table<'_>,
) -> &'a mut [f32] {
    // Roots of order m are every other one of order 2m.
    let (roots, step) = if plan.bluestein() { (table.work_roots, 1) } else { (table.roots, plan.n / plan.m) };
    if plan.bluestein() {
        times(s, x, table.chirps, plan.m, Conjugate::No);
        x[2 * plan.m * S::N..2 * plan.work * S::N].fill(0.0);
    }
    let passes = if plan.bluestein() { 2 } else { 1 };
    for pass in 0..passes {
        if pass == 1 {
            // The inverse is the conjugate of the transform of the conjugate.
            times(s, x, table.spectrum, plan.work, Conjugate::Result);
        }
        [x, y] = stockham(s, x, y, plan.work, roots, step);
    }
    if plan.bluestein() {
        times(s, x, table.chirps, plan.m, Conjugate::Input);
    }
    x
}

/// What [`times`] conjugates.
#[derive(Clone, Copy, PartialEq)]
enum Conjugate {
    No,
    Input,
    Result,
}

/// Multiplies the first `len` points of `x` by those of `table`.
#[inline(always)]
fn times<S: Simd>(s: S, x: &mut [f32], table: &[f32], len: usize, conjugate: Conjugate) {
    for k in 0..len {
        let (re, im) = at(s, x, k);
        let im = if conjugate == Conjugate::Input { s.neg(im) } else { im };
        let (re, im) = mul(s, (re, im), constant(s, table, k));
        let im = if conjugate == Conjugate::Result { s.neg(im) } else { im };
        set(s, x, k, (re, im));
    }
}

/// What the spectrum is multiplied by: at frequency 0 and, for an even length, at the highest; and in between.
#[derive(Clone, Copy)]
struct Scales {
    edge: f32,
    inner: f32,
}

impl Scales {
    fn at(self, k: usize, n: usize) -> f32 {
        if k == 0 || 2 * k == n { self.edge } else { self.inner }
    }
}

/// Everything a transform needs besides its rows.
#[derive(Clone, Copy)]
struct Job<'a> {
    plan: Plan,
    table: Table<'a>,
    scales: Scales,
}

/// Writes the spectrum of the rows' transform `z` to `y`: `N` rows, `width` apart.
#[inline(always)]
fn unpack<S: Simd>(s: S, y: &mut [f32], z: &[f32], job: Job<'_>, rows: usize) {
    let Plan { n, m, .. } = job.plan;
    let width = 2 * (n / 2 + 1);
    for k in 0..=n / 2 {
        let v = if n == m {
            at(s, z, k)
        } else {
            let (a, b) = (at(s, z, k % m), at(s, z, (m - k) % m));
            let b = (b.0, s.neg(b.1));
            let (even, odd) = (add(s, a, b), turned(s, sub(s, a, b)));
            scaled(s, add(s, even, mul(s, odd, constant(s, job.table.roots, k))), 0.5)
        };
        let mut v = scaled(s, v, job.scales.at(k, n));
        if k == 0 || 2 * k == n {
            v.1 = s.zero();
        }
        put_column(s, y, 2 * k, width, rows, v.0);
        put_column(s, y, 2 * k + 1, width, rows, v.1);
    }
}

/// Lane `r` goes to `y[r * width + at]`.
#[inline(always)]
fn put_column<S: Simd>(s: S, y: &mut [f32], at: usize, width: usize, rows: usize, v: S::F32) {
    let mut lanes = [0.0; MAX_LANES];
    s.store(&mut lanes, v);
    for (r, lane) in lanes.into_iter().enumerate().take(rows) {
        y[r * width + at] = lane;
    }
}

/// `x[r * width + at]` in lane `r`.
#[inline(always)]
fn get_column<S: Simd>(s: S, x: &[f32], at: usize, width: usize, rows: usize) -> S::F32 {
    let mut lanes = [0.0; MAX_LANES];
    for (r, lane) in lanes.iter_mut().enumerate().take(rows) {
        *lane = x[r * width + at];
    }
    s.load(&lanes)
}

/// Up to `S::N` rows forward.
#[inline(always)]
fn forward<S: Simd>(s: S, y: &mut [f32], x: &[f32], scratch: &mut [f32], job: Job<'_>) {
    let Plan { n, m, work } = job.plan;
    let rows = x.len() / n;
    let (a, rest) = scratch.split_at_mut(2 * work * S::N);
    let b = &mut rest[..2 * work * S::N];
    for k in 0..m {
        let v = if n == m {
            (get_column(s, x, k, n, rows), s.zero())
        } else {
            (get_column(s, x, 2 * k, n, rows), get_column(s, x, 2 * k + 1, n, rows))
        };
        set(s, a, k, v);
    }
    let z = complex_fft(s, a, b, job.plan, job.table);
    unpack(s, y, z, job, rows);
}

/// Frequency `k` of up to `S::N` spectra, scaled; above the half it is the conjugate of its mirror image.
#[inline(always)]
fn frequency<S: Simd>(s: S, y: &[f32], k: usize, rows: usize, job: Job<'_>) -> Complex<S> {
    let n = job.plan.n;
    let width = 2 * (n / 2 + 1);
    let low = k.min(n - k);
    let re = get_column(s, y, 2 * low, width, rows);
    let im = get_column(s, y, 2 * low + 1, width, rows);
    let scale = s.splat(job.scales.at(low, n));
    let im = if low == 0 || 2 * low == n { s.zero() } else { s.mul(im, scale) };
    (s.mul(re, scale), if low == k { im } else { s.neg(im) })
}

/// Up to `S::N` rows backward: `x[j] = Σ y[k] exp(2πi jk / n)` over all `n` frequencies of the scaled spectrum.
#[inline(always)]
fn backward<S: Simd>(s: S, x: &mut [f32], y: &[f32], scratch: &mut [f32], job: Job<'_>) {
    let Plan { n, m, work } = job.plan;
    let rows = x.len() / n;
    let (a, rest) = scratch.split_at_mut(2 * work * S::N);
    let b = &mut rest[..2 * work * S::N];
    for k in 0..m {
        let v = frequency(s, y, k, rows, job);
        let v = if n == m {
            v
        } else {
            let (re, im) = frequency(s, y, m - k, rows, job);
            let mirror = (re, s.neg(im));
            let (c, sin) = constant(s, job.table.roots, k);
            let odd = mul(s, sub(s, v, mirror), (c, s.neg(sin)));
            sub(s, add(s, v, mirror), turned(s, odd))
        };
        // Conjugated in and out, the forward transform is the inverse.
        set(s, a, k, (v.0, s.neg(v.1)));
    }
    let z = complex_fft(s, a, b, job.plan, job.table);
    for k in 0..m {
        let (re, im) = at(s, z, k);
        if n == m {
            put_column(s, x, k, n, rows, re);
        } else {
            put_column(s, x, 2 * k, n, rows, re);
            put_column(s, x, 2 * k + 1, n, rows, s.neg(im));
        }
    }
}

#[inline(always)]
fn forward_body<S: Simd>(s: S, y: &mut [f32], x: &[f32], scratch: &mut [f32], job: Job<'_>) {
    let n = job.plan.n;
    let width = 2 * (n / 2 + 1);
    for (y, x) in y.chunks_mut(width * S::N).zip(x.chunks(n * S::N)) {
        forward(s, y, x, scratch, job);
    }
}

#[inline(always)]
fn backward_body<S: Simd>(s: S, x: &mut [f32], y: &[f32], scratch: &mut [f32], job: Job<'_>) {
    let n = job.plan.n;
    let width = 2 * (n / 2 + 1);
    for (x, y) in x.chunks_mut(n * S::N).zip(y.chunks(width * S::N)) {
        backward(s, x, y, scratch, job);
    }
}

fn job<'a>(
    name: &str,
    real: usize,
    spectrum: usize,
    table: &'a [f32],
    scratch: usize,
    rows: usize,
    n: usize,
) -> Job<'a> {
    let plan = Plan::new(n);
    check_len(name, &[real], &[rows, n]);
    check_len(name, &[spectrum], &[rows, 2, n / 2 + 1]);
    check_len(name, &[table.len()], &[plan.table_len()]);
    assert!(scratch >= rfft_scratch_len(n), "{name}: the scratch memory is shorter than rfft_scratch_len({n})");
    Job { plan, table: Table::new(table, plan), scales: Scales { edge: 1.0, inner: 1.0 } }
}

/// Which way [`transform`] goes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    ToSpectrum,
    ToRows,
}

/// Both ways in one place, so that their long bodies exist once for each instruction set.
#[inline(never)]
fn transform(isa: Isa, way: Way, out: &mut [f32], x: &[f32], scratch: &mut [f32], job: Job<'_>) {
    match way {
        Way::ToSpectrum => dispatch!(isa, forward_body(out: &mut [f32], x: &[f32], scratch: &mut [f32], job: Job<'_>)),
        Way::ToRows => dispatch!(isa, backward_body(out: &mut [f32], x: &[f32], scratch: &mut [f32], job: Job<'_>)),
    }
}

/// The spectrum of each row of `x [rows, n]`: `y [rows, 2 (n/2 + 1)]`, real and imaginary parts of the frequencies `0..=n/2` in
/// turn. The imaginary parts at frequency 0 and, for an even `n`, at `n/2` are 0.
pub fn rfft_fwd(isa: Isa, y: &mut [f32], x: &[f32], table: &[f32], scratch: &mut [f32], rows: usize, n: usize) {
    let job = job("rfft_fwd", x.len(), y.len(), table, scratch.len(), rows, n);
    transform(isa, Way::ToSpectrum, y, x, scratch, job);
}

/// The real rows `x [rows, n]` with the spectra `y [rows, 2 (n/2 + 1)]`, scaled by `1 / n`: the inverse of [`rfft_fwd`]. The
/// imaginary parts that it leaves 0 are not read.
pub fn irfft_fwd(isa: Isa, x: &mut [f32], y: &[f32], table: &[f32], scratch: &mut [f32], rows: usize, n: usize) {
    let job = job("irfft_fwd", x.len(), y.len(), table, scratch.len(), rows, n);
    let scale = 1.0 / n as f32;
    let job = Job { scales: Scales { edge: scale, inner: scale }, ..job };
    transform(isa, Way::ToRows, x, y, scratch, job);
}

/// Gradient of [`rfft_fwd`]: `dx [rows, n]` from `dy [rows, 2 (n/2 + 1)]`.
pub fn rfft_bwd(isa: Isa, dx: &mut [f32], dy: &[f32], table: &[f32], scratch: &mut [f32], rows: usize, n: usize) {
    let job = job("rfft_bwd", dx.len(), dy.len(), table, scratch.len(), rows, n);
    let job = Job { scales: Scales { edge: 1.0, inner: 0.5 }, ..job };
    transform(isa, Way::ToRows, dx, dy, scratch, job);
}

/// Gradient of [`irfft_fwd`]: `dy [rows, 2 (n/2 + 1)]` from `dx [rows, n]`.
pub fn irfft_bwd(isa: Isa, dy: &mut [f32], dx: &[f32], table: &[f32], scratch: &mut [f32], rows: usize, n: usize) {
    let job = job("irfft_bwd", dx.len(), dy.len(), table, scratch.len(), rows, n);
    let scale = 1.0 / n as f32;
    let job = Job { scales: Scales { edge: scale, inner: 2.0 * scale }, ..job };
    transform(isa, Way::ToSpectrum, dy, dx, scratch, job);
}
