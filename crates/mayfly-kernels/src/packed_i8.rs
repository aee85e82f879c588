//! Dense layers over int8 weights: one scale per output, each row of inputs quantised when it arrives, sums exact in 32-bit integers.
//!
//! With `s_w = max|w_o| / 127` and `s_x = max|x| / 127` the error of an output is at most `i · (|x|·s_w/2 + |w|·s_x/2 + s_x·s_w/4)` with the largest |x| and |w|;
//! in practice it behaves like a random walk and is √i of that. A row with a NaN or an infinity gives NaN throughout.
use crate::Isa;
use crate::linear::Epilogue;
use crate::packed::{check_fwd, check_pack, padded, panel_vectors, width, write};
use crate::pieces::pieces;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::MAX_LANES;
use crate::size::capped;

/// Rows of a panel before its weights: bias, scales, and 128 times the sum of the weights.
const HEAD: usize = 3;
/// With |x| and |w| up to 127, this many groups of four products sum exactly in f32.
const EXACT_GROUPS: usize = 256;

/// More inputs than this a layer in int8 may not have: the sum of as many products of 127 · 127, and 128 times the sum of the weights, fit 32 bits.
pub const I8_MAX_INPUTS: usize = 1 << 17;

/// Length of the packed form, in 32-bit words; `usize::MAX` where it exceeds that.
pub fn packed_i8_len(isa: Isa, i: usize, o: usize) -> usize {
    capped(&[padded(o, width(isa, o)), i.div_ceil(4) + HEAD])
}

/// Scratch of [`packed_i8_fwd`], in 32-bit words: one quantised row, filled up to whole vectors.
pub fn packed_i8_scratch_len(i: usize) -> usize {
    i.div_ceil(4).next_multiple_of(MAX_LANES)
}

/// Quantises a row symmetrically: `q = round(w / scale)` in −127..=127; returns the scale.
pub fn quantize_i8(q: &mut [i8], w: &[f32]) -> f32 {
    assert!(q.len() == w.len());
    let largest = w.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    q.iter_mut().zip(w).for_each(|(q, w)| *q = libm::rintf(w / scale) as i8);
    scale
}

/// Packs `w [o, i]` and the bias.
pub fn pack_i8(isa: Isa, packed: &mut [i32], w: &[f32], b: Option<&[f32]>, i: usize, o: usize) {
    assert!(i <= I8_MAX_INPUTS, "pack_i8: {i} inputs; sums of more than {I8_MAX_INPUTS} may not fit 32 bits");
    check_pack("pack_i8", packed.len(), packed_i8_len(isa, i, o), w, b, i, o);
    let width = width(isa, o);
    packed.fill(0);
    for (p, panel) in packed.chunks_exact_mut(width * (i.div_ceil(4) + HEAD)).enumerate() {
        for lane in 0..width.min(o - p * width) {
            let out = p * width + lane;
            pack_output(panel, lane, width, &w[out * i..(out + 1) * i], b.map_or(0.0, |b| b[out]));
        }
    }
}

fn pack_output(panel: &mut [i32], lane: usize, width: usize, w: &[f32], bias: f32) {
    let mut sum = 0i32;
    let largest = w.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    let groups = w.len().div_ceil(4);
    for group in 0..groups {
        let bytes = core::array::from_fn(|part| {
            let weight = w.get(part * groups + group).copied().unwrap_or(0.0);
            libm::rintf(weight / scale) as i8
        });
        sum += bytes.iter().map(|q| i32::from(*q)).sum::<i32>();
        panel[(HEAD + group) * width + lane] = i32::from_le_bytes(bytes.map(|q| q as u8));
    }
    panel[lane] = bias.to_bits() as i32;
    panel[width + lane] = scale.to_bits() as i32;
    panel[2 * width + lane] = 128 * sum;
}

/// `y = act(x · wᵀ + b) + residual` over packed int8 weights.
pub fn packed_i8_fwd(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    packed: &[i32],
    scratch: &mut [i32],
    epilogue: Epilogue<'_>,
    rows: usize,
    i: usize,
    o: usize,
) {
    assert!(i <= I8_MAX_INPUTS, "packed_i8_fwd: {i} inputs; sums of more than {I8_MAX_INPUTS} may not fit 32 bits");
    check_fwd("packed_i8_fwd", y, x, [packed.len(), packed_i8_len(isa, i, o)], epilogue, [rows, i, o]);
    assert!(scratch.len() >= packed_i8_scratch_len(i), "packed_i8_fwd: the scratch is shorter than one row");
    let vectors = panel_vectors(isa, o);
    for r in 0..rows {
        let scale = quantize_row(isa, scratch, &x[r * i..(r + 1) * i]);
        let words = &scratch[..i.div_ceil(4)];
        let at = r * o;
        #[cfg(target_arch = "x86_64")]
        if let crate::isa::Kind::Avx512 { vnni: true } = isa.0 {
            // SAFETY: an `Isa` of this kind exists only where detection found these features.
            unsafe { vnni_layer(y, words, scale, packed, epilogue, [at, i, o], vectors) };
            continue;
        }
        dispatch!(isa, layer(y: &mut [f32], words: &[i32], scale: f32, packed: &[i32], epilogue: Epilogue<'_>, at: usize, i: usize, o: usize, vectors: usize));
    }
}

/// Four inputs to a word, one from each quarter of the row, each `round(x / scale) + 128` in 1..=255; returns the scale.
/// It is NaN where the row is not finite, so that the outputs are as well: bytes cannot say it.
fn quantize_row(isa: Isa, words: &mut [i32], x: &[f32]) -> f32 {
    let largest = crate::abs_max(isa, x);
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    let inverse = 1.0 / scale;
    scale + dispatch!(isa, quantize_words(words: &mut [i32], x: &[f32], inverse: f32) -> f32)
}

/// Returns 0 if the row is finite, else NaN.
#[inline(always)]
fn quantize_words<S: Simd>(s: S, words: &mut [i32], x: &[f32], inverse: f32) -> f32 {
    let groups = x.len().div_ceil(4);
    // Beyond the end of the row come zeros; their weights are zero as well.
    let quarters: [&[f32]; 4] =
        core::array::from_fn(|part| &x[(part * groups).min(x.len())..((part + 1) * groups).min(x.len())]);
    let mut finite = s.zero();
    for at in (0..groups).step_by(S::N) {
        let bytes = quantize_bytes(s, quarters, at, inverse, &mut finite);
        let low = s.or_i32(bytes[0], s.shl_i32::<8>(bytes[1]));
        let high = s.or_i32(s.shl_i32::<16>(bytes[2]), s.shl_i32::<24>(bytes[3]));
        s.store_i32(&mut words[at..], s.or_i32(low, high));
    }
    s.reduce_sum(finite)
}

/// `round(x / scale) + 128` of a vector of each quarter; `finite` stays 0 as long as all of them are finite.
#[inline(always)]
fn quantize_bytes<S: Simd>(s: S, quarters: [&[f32]; 4], at: usize, inverse: f32, finite: &mut S::F32) -> [S::I32; 4] {
    // Adding 1.5·2²³ rounds to the nearest integer, which then stands in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    let mut bytes = [s.splat_i32(0); 4];
    for (byte, quarter) in bytes.iter_mut().zip(quarters) {
        let values = quarter.get(at..).unwrap_or_default();
        let v = if values.len() >= S::N { s.load(values) } else { s.load_part(values) };
        *finite = s.mul_add(v, s.zero(), *finite);
        let rounded = s.to_bits(s.mul_add(v, s.splat(inverse), s.splat(MAGIC)));
        *byte = s.and_i32(s.add_i32(rounded, s.splat_i32(128)), s.splat_i32(255));
    }
    bytes
}

#[inline(always)]
fn layer<S: Simd>(
    s: S,
    y: &mut [f32],
    words: &[i32],
    scale: f32,
    packed: &[i32],
    epilogue: Epilogue<'_>,
    at: usize,
    i: usize,
    o: usize,
    vectors: usize,
) {
    match vectors {
        1 => panels::<S, 1>(s, y, words, scale, packed, epilogue, [at, i, o]),
        2 => panels::<S, 2>(s, y, words, scale, packed, epilogue, [at, i, o]),
        _ => panels::<S, 4>(s, y, words, scale, packed, epilogue, [at, i, o]),
    }
}

/// Without integer dot products: exact sums of small integers in f32, block by block.
#[inline(always)]
fn panels<S: Simd, const V: usize>(
    s: S,
    y: &mut [f32],
    words: &[i32],
    scale: f32,
    packed: &[i32],
    epilogue: Epilogue<'_>,
    [at, i, o]: [usize; 3],
) {
    let width = V * S::N;
    for (p, panel) in pieces(packed, width * (i.div_ceil(4) + HEAD)).enumerate() {
        let (head, weights) = panel.split_at(HEAD * width);
        let mut totals = [s.splat_i32(0); V];
        for (x, w) in words.chunks(EXACT_GROUPS).zip(weights.chunks(EXACT_GROUPS * width)) {
            let sums = exact_block::<S, V>(s, x, w);
            for v in 0..V {
                totals[v] = s.add_i32(totals[v], s.f32_to_i32(sums[v]));
            }
        }
        finish::<S, V>(s, y, totals, head, scale, epilogue, [at, p * width, o]);
    }
}

#[inline(always)]
fn exact_block<S: Simd, const V: usize>(s: S, x: &[i32], w: &[i32]) -> [S::F32; V] {
    let mut sums = [s.zero(); V];
    for (x, w) in x.iter().zip(w.chunks_exact(V * S::N)) {
        let x = x.to_le_bytes().map(|b| s.splat(f32::from(b) - 128.0));
        for v in 0..V {
            let w = s.load_i32(&w[v * S::N..]);
            let bytes = [s.shl_i32::<24>(w), s.shl_i32::<16>(w), s.shl_i32::<8>(w), w];
            for (x, b) in x.into_iter().zip(bytes) {
                sums[v] = s.mul_add(x, s.i32_to_f32(s.sra_i32::<24>(b)), sums[v]);
            }
        }
    }
    sums
}

/// From integers back to numbers: `sum · s_x · s_w + b`.
#[inline(always)]
fn finish<S: Simd, const V: usize>(
    s: S,
    y: &mut [f32],
    totals: [S::I32; V],
    head: &[i32],
    scale: f32,
    epilogue: Epilogue<'_>,
    [at, first, o]: [usize; 3],
) {
    let width = V * S::N;
    let values = core::array::from_fn(|v| {
        let f = |row: usize| s.from_bits(s.load_i32(&head[row * width + v * S::N..]));
        let both = s.mul(f(1), s.splat(scale));
        s.mul_add(s.i32_to_f32(totals[v]), both, f(0))
    });
    write::<S, V>(s, y, values, epilogue, at, first, o);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
fn vnni_layer(
    y: &mut [f32],
    words: &[i32],
    scale: f32,
    packed: &[i32],
    epilogue: Epilogue<'_>,
    sizes: [usize; 3],
    vectors: usize,
) {
    match vectors {
        1 => vnni_panels::<1, 8>(y, words, scale, packed, epilogue, sizes),
        2 => vnni_panels::<2, 4>(y, words, scale, packed, epilogue, sizes),
        _ => vnni_panels::<4, 2>(y, words, scale, packed, epilogue, sizes),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
fn vnni_panels<const V: usize, const U: usize>(
    y: &mut [f32],
    words: &[i32],
    scale: f32,
    packed: &[i32],
    epilogue: Epilogue<'_>,
    [at, i, o]: [usize; 3],
) {
    use core::arch::x86_64::{_mm512_dpbusd_epi32, _mm512_set1_epi32};
    let s = crate::simd::avx512::Avx512::new();
    let width = V * 16;
    for (p, panel) in pieces(packed, width * (i.div_ceil(4) + HEAD)).enumerate() {
        let (head, weights) = panel.split_at(HEAD * width);
        let mut sums = [[s.splat_i32(0); V]; U];
        let (mut xs, mut ws) = (words.chunks_exact(U), weights.chunks_exact(width * U));
        for (x, w) in (&mut xs).zip(&mut ws) {
            for u in 0..U {
                for v in 0..V {
                    sums[u][v] =
                        _mm512_dpbusd_epi32(sums[u][v], _mm512_set1_epi32(x[u]), s.load_i32(&w[(u * V + v) * 16..]));
                }
            }
        }
        for (x, w) in xs.remainder().iter().zip(ws.remainder().chunks_exact(width)) {
            for v in 0..V {
                sums[0][v] = _mm512_dpbusd_epi32(sums[0][v], _mm512_set1_epi32(*x), s.load_i32(&w[v * 16..]));
            }
        }
        // The inputs were shifted by 128 to be unsigned: take 128·Σw off again.
        let totals = core::array::from_fn(|v| {
            let sum = (1..U).fold(sums[0][v], |sum, u| s.add_i32(sum, sums[u][v]));
            s.sub_i32(sum, s.load_i32(&head[2 * width + v * 16..]))
        });
        finish::<_, V>(s, y, totals, head, scale, epilogue, [at, p * width, o]);
    }
}
