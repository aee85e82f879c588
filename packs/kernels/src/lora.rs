//! base + scale * (x Aᵀ) Bᵀ.

use crate::abi::{Call, Code, Result};
use crate::elem::{Elem, transposed_sum};
use core::arch::wasm32::*;

/// ABI 2: inputs x, a, b, base; output y; scratch `2 rank` f32; parameter scale.
pub fn run<T: Elem>(call: &Call) -> Result<()> {
    let call = call.v2();
    let (x, a, b, base, y) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?, call.tensor(3)?, call.tensor(4)?);
    let (input, rank, width) = (a.dim(1), a.dim(0), b.dim(0));
    let low = call.scratch::<f32>().get_mut(..2 * rank).ok_or(Code::InvalidOutput)?;
    if input == 0 || rank == 0 || width == 0 || x.dim(1) != input || base.dim(1) != width {
        return Err(Code::InvalidInput);
    }
    let lora = Lora { a: a.data(), b: b.data(), input, rank, width, scale: f32::from_bits(call.param(0)?) };
    let rows = x.data::<T>().chunks(2 * input).zip(base.data::<T>().chunks(2 * width));
    for ((x, base), out) in rows.zip(y.data_mut::<T>().chunks_mut(2 * width)) {
        if x.len() == 2 * input { lora.rows::<2>(out, x, base, low) } else { lora.rows::<1>(out, x, base, low) }
    }
    Ok(())
}

struct Lora<'a, T> {
    a: &'a [T],
    b: &'a [T],
    input: usize,
    rank: usize,
    width: usize,
    scale: f32,
}

impl<T: Elem> Lora<'_, T> {
    /// `R` rows of `x`, `base` and `out`.
    #[inline(always)]
    fn rows<const R: usize>(&self, out: &mut [T], x: &[T], base: &[T], low: &mut [f32]) {
        products::<R, T, T>(x, self.a, self.input, |at, sums| {
            low[at.row * self.rank + at.column..][..at.count].copy_from_slice(&lanes(sums, self.scale)[..at.count]);
        });
        products::<R, f32, T>(low, self.b, self.rank, |at, sums| {
            let place = at.row * self.width + at.column;
            let (out, base) = (&mut out[place..], &base[place..]);
            if at.count == 4 {
                return T::store4(out, f32x4_add(T::load4(base), sums));
            }
            let sums = lanes(sums, 1.0);
            out.iter_mut().zip(base).zip(&sums[..at.count]).for_each(|((o, b), s)| *o = T::from_f32(b.to_f32() + s));
        });
    }
}

fn lanes(v: v128, factor: f32) -> [f32; 4] {
    let v = f32x4_mul(v, f32x4_splat(factor));
    [f32x4_extract_lane::<0>(v), f32x4_extract_lane::<1>(v), f32x4_extract_lane::<2>(v), f32x4_extract_lane::<3>(v)]
}

/// Where products belong: a row, and from a column on as many as there are.
struct Place {
    row: usize,
    column: usize,
    count: usize,
}

/// The products of `R` rows of `a` with all rows of `b`, four of these at a time; rows are `n` long.
#[inline(always)]
fn products<const R: usize, A: Elem, B: Elem>(a: &[A], b: &[B], n: usize, mut put: impl FnMut(Place, v128)) {
    let a = &a[..R * n];
    for (block, b) in b.chunks(4 * n).enumerate() {
        let count = b.len() / n;
        let sums = if count == 4 { tile::<R, A, B>(a, b, n) } else { narrow_tile::<R, A, B>(a, b, n) };
        for (row, sums) in sums.into_iter().enumerate() {
            put(Place { row, column: 4 * block, count }, sums);
        }
    }
}

/// `R` rows times four rows: `4 R` sums of vectors in registers, eight columns a step.
#[inline(always)]
fn tile<const R: usize, A: Elem, B: Elem>(a: &[A], b: &[B], n: usize) -> [v128; R] {
    let (a, b) = (&a[..R * n], &b[..4 * n]);
    let mut sums = [[f32x4_splat(0.0); 4]; R];
    let mut i = 0;
    let mut step = |i: usize| {
        // SAFETY: i + 4 <= n, and there are R rows of n in `a`, four in `b`.
        let columns = [0, 1, 2, 3].map(|k| unsafe { B::load(b.as_ptr().add(k * n + i)) });
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let v = unsafe { A::load(a.as_ptr().add(r * n + i)) };
            sums.iter_mut().zip(columns).for_each(|(sum, column)| *sum = f32x4_add(*sum, f32x4_mul(v, column)));
        }
    };
    while i + 8 <= n {
        step(i);
        step(i + 4);
        i += 8;
    }
    if i + 4 <= n {
        step(i);
        i += 4;
    }
    let mut totals = sums.map(transposed_sum);
    for i in i..n {
        let column = [0, 1, 2, 3].map(|k| b[k * n + i].to_f32());
        let column = f32x4(column[0], column[1], column[2], column[3]);
        for (r, total) in totals.iter_mut().enumerate() {
            *total = f32x4_add(*total, f32x4_mul(f32x4_splat(a[r * n + i].to_f32()), column));
        }
    }
    totals
}

/// The last rows of `b`, fewer than four, one product at a time.
#[cold]
fn narrow_tile<const R: usize, A: Elem, B: Elem>(a: &[A], b: &[B], n: usize) -> [v128; R] {
    let mut totals = [f32x4_splat(0.0); R];
    for (a, total) in a.chunks_exact(n).zip(&mut totals) {
        let mut sums = [0.0; 4];
        for (b, sum) in b.chunks_exact(n).zip(&mut sums) {
            *sum = a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a.to_f32() * b.to_f32());
        }
        *total = f32x4(sums[0], sums[1], sums[2], sums[3]);
    }
    totals
}
