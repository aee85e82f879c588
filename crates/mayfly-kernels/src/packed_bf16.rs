//! Dense layers over bf16 weights: half the memory traffic of f32, activations and sums in f32.
//!
//! A 32-bit word holds the weights of two neighbouring inputs for one output: the upper half is one after masking, the lower half the other after a shift.
use crate::Isa;
use crate::linear::Epilogue;
use crate::packed::{check_fwd, check_pack, padded, panel_vectors, width, with_epilogue, write};
use crate::pieces::pieces;
use crate::simd::{Simd, dispatch};
use crate::size::capped;
use half::bf16;

/// Length of the packed form, in 32-bit words; `usize::MAX` where it exceeds that.
pub fn packed_bf16_len(isa: Isa, i: usize, o: usize) -> usize {
    capped(&[padded(o, width(isa, o)), i.div_ceil(2) + 1])
}

/// Packs `w [o, i]`, rounded to the nearest bf16, and the bias (which stays f32).
pub fn pack_bf16(isa: Isa, packed: &mut [i32], w: &[f32], b: Option<&[f32]>, i: usize, o: usize) {
    check_pack("pack_bf16", packed.len(), packed_bf16_len(isa, i, o), w, b, i, o);
    let width = width(isa, o);
    for (p, panel) in packed.chunks_exact_mut(width * (i.div_ceil(2) + 1)).enumerate() {
        let (bias, words) = panel.split_at_mut(width);
        for lane in 0..width {
            let out = p * width + lane;
            let half =
                |q: usize| if out < o && q < i { u32::from(bf16::from_f32(w[out * i + q]).to_bits()) } else { 0 };
            bias[lane] = b.and_then(|b| b.get(out)).map_or(0, |b| b.to_bits() as i32);
            for (q, row) in words.chunks_exact_mut(width).enumerate() {
                row[lane] = (half(2 * q) | half(2 * q + 1) << 16) as i32;
            }
        }
    }
}

/// `y = act(x · wᵀ + b) + residual` over packed bf16 weights.
pub fn packed_bf16_fwd(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    packed: &[i32],
    epilogue: Epilogue<'_>,
    rows: usize,
    i: usize,
    o: usize,
) {
    check_fwd("packed_bf16_fwd", y, x, [packed.len(), packed_bf16_len(isa, i, o)], epilogue, [rows, i, o]);
    let (sizes, vectors) = ([rows, i, o], panel_vectors(isa, o));
    with_epilogue(isa, y, epilogue, |y, epilogue| {
        dispatch!(isa, layer(y: &mut [f32], x: &[f32], packed: &[i32], epilogue: Epilogue<'_>, sizes: [usize; 3], vectors: usize));
    });
}

#[inline(always)]
fn layer<S: Simd>(
    s: S,
    y: &mut [f32],
    x: &[f32],
    packed: &[i32],
    epilogue: Epilogue<'_>,
    sizes: [usize; 3],
    vectors: usize,
) {
    match vectors {
        1 => panels::<S, 1, 4>(s, y, x, packed, epilogue, sizes),
        2 => panels::<S, 2, 2>(s, y, x, packed, epilogue, sizes),
        _ => panels::<S, 4, 1>(s, y, x, packed, epilogue, sizes),
    }
}

/// `V` vectors a panel, `2·U` partial sums.
#[inline(always)]
fn panels<S: Simd, const V: usize, const U: usize>(
    s: S,
    y: &mut [f32],
    x: &[f32],
    packed: &[i32],
    epilogue: Epilogue<'_>,
    [rows, i, o]: [usize; 3],
) {
    let width = V * S::N;
    for (p, panel) in pieces(packed, width * (i.div_ceil(2) + 1)).enumerate() {
        let (bias, words) = panel.split_at(width);
        for r in 0..rows {
            let sums = one_row::<S, V, U>(s, &x[r * i..(r + 1) * i], bias, words);
            write::<S, V>(s, y, sums, epilogue, r * o, p * width, o);
        }
    }
}

#[inline(always)]
fn one_row<S: Simd, const V: usize, const U: usize>(s: S, x: &[f32], bias: &[i32], words: &[i32]) -> [S::F32; V] {
    let width = V * S::N;
    let mut even = [[s.zero(); V]; U];
    let mut odd = [[s.zero(); V]; U];
    for v in 0..V {
        even[0][v] = s.from_bits(s.load_i32(&bias[v * S::N..]));
    }
    let whole = x.len() / (2 * U);
    let (x, last_x) = x.split_at(whole * 2 * U);
    let (words, last_words) = words.split_at(whole * U * width);
    for (x, w) in x.chunks_exact(2 * U).zip(words.chunks_exact(width * U)) {
        for u in 0..U {
            let (a, b) = (s.splat(x[2 * u]), s.splat(x[2 * u + 1]));
            for v in 0..V {
                let (lo, hi) = halves(s, &w[(u * V + v) * S::N..]);
                even[u][v] = s.mul_add(a, lo, even[u][v]);
                odd[u][v] = s.mul_add(b, hi, odd[u][v]);
            }
        }
    }
    for (x, w) in last_x.chunks(2).zip(last_words.chunks_exact(width)) {
        for v in 0..V {
            let (lo, hi) = halves(s, &w[v * S::N..]);
            even[0][v] = s.mul_add(s.splat(x[0]), lo, even[0][v]);
            odd[0][v] = s.mul_add(s.splat(x.get(1).copied().unwrap_or(0.0)), hi, odd[0][v]);
        }
    }
    core::array::from_fn(|v| (0..U).fold(s.zero(), |sum, u| s.add(sum, s.add(even[u][v], odd[u][v]))))
}

/// The two weights of each word as f32.
#[inline(always)]
fn halves<S: Simd>(s: S, words: &[i32]) -> (S::F32, S::F32) {
    let w = s.load_i32(words);
    (s.from_bits(s.shl_i32::<16>(w)), s.from_bits(s.and_i32(w, s.splat_i32(0xffff_0000_u32 as i32))))
}
