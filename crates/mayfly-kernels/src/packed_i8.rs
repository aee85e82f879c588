//! Dense layers over int8 weights: one scale per output, each row of inputs quantised when it arrives, sums exact in 32-bit integers.
//!
//! With `s_w = max|w_o| / 127` and `s_x = max|x| / 127` the error of an output is at most `i · (|x|·s_w/2 + |w|·s_x/2 + s_x·s_w/4)` with the largest |x| and |w|;
//! in practice it behaves like a random walk and is √i of that. A row with a NaN or an infinity gives NaN throughout.
//!
//! A 32-bit word holds four weights of one output, or four inputs; how four products are added to a sum is [`Dots`].
use crate::Isa;
use crate::linear::Epilogue;
use crate::packed::{check_fwd, check_pack, padded, panel_vectors, width, with_epilogue, write};
use crate::pieces::pieces;
use crate::reduce::abs_max_of;
use crate::simd::Simd;
use crate::simd::dots::{Dots, dispatch_dots};
use crate::simd_ext::{MAX_LANES, SimdExt};
use crate::size::capped;

/// Rows of a panel before its weights: bias, scales, and 128 times the sum of the weights.
const HEAD: usize = 3;
/// Rows that pass over a panel together.
const ROWS: usize = 4;

/// More inputs than this a layer in int8 may not have: the sum of as many products of 127 · 127, and 128 times the sum of the weights, fit 32 bits.
pub const I8_MAX_INPUTS: usize = 1 << 17;

/// Length of the packed form, in 32-bit words; `usize::MAX` where it exceeds that.
pub fn packed_i8_len(isa: Isa, i: usize, o: usize) -> usize {
    capped(&[padded(o, width(isa, o)), i.div_ceil(4) + HEAD])
}

/// Scratch of [`packed_i8_fwd`], in 32-bit words: quantised rows, filled up to whole vectors.
pub fn packed_i8_scratch_len(i: usize) -> usize {
    ROWS * row_words(i)
}

/// Words of one quantised row.
fn row_words(i: usize) -> usize {
    i.div_ceil(4).next_multiple_of(MAX_LANES)
}

/// `round(w / scale)` in −127..=127. Where the scale is too small to be exact the quotient may lie beyond.
fn step(w: f32, scale: f32) -> i8 {
    libm::rintf(w / scale).clamp(-127.0, 127.0) as i8
}

fn scale_of(w: &[f32]) -> f32 {
    let largest = w.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    if largest > 0.0 { largest / 127.0 } else { 1.0 }
}

/// Quantises a row symmetrically: `q = round(w / scale)` in −127..=127; returns the scale.
pub fn quantize_i8(q: &mut [i8], w: &[f32]) -> f32 {
    assert!(q.len() == w.len(), "quantize_i8: q and w differ in length");
    let scale = scale_of(w);
    q.iter_mut().zip(w).for_each(|(q, w)| *q = step(*w, scale));
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
    let scale = scale_of(w);
    let groups = w.len().div_ceil(4);
    for group in 0..groups {
        let bytes = core::array::from_fn(|part| w.get(part * groups + group).map_or(0, |w| step(*w, scale)));
        sum += bytes.iter().map(|q| i32::from(*q)).sum::<i32>();
        panel[(HEAD + group) * width + lane] = i32::from_le_bytes(bytes.map(|q| q as u8));
    }
    panel[lane] = bias.to_bits() as i32;
    panel[width + lane] = scale.to_bits() as i32;
    panel[2 * width + lane] = 128 * sum;
}

/// A layer's operands.
#[derive(Clone, Copy)]
struct Layer<'a> {
    packed: &'a [i32],
    epilogue: Epilogue<'a>,
    i: usize,
    o: usize,
    /// Vectors of a panel.
    vectors: usize,
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
    assert!(scratch.len() >= packed_i8_scratch_len(i), "packed_i8_fwd: the scratch is shorter than its length says");
    with_epilogue(isa, y, epilogue, |y, epilogue| {
        let layer = Layer { packed, epilogue, i, o, vectors: panel_vectors(isa, o) };
        dispatch_dots!(isa, all_rows(y: &mut [f32], x: &[f32], scratch: &mut [i32], layer: Layer<'_>, rows: usize));
    });
}

#[inline(always)]
fn all_rows<D: Dots>(d: D, y: &mut [f32], x: &[f32], scratch: &mut [i32], layer: Layer<'_>, rows: usize) {
    let (words, groups, i) = (row_words(layer.i), layer.i.div_ceil(4), layer.i);
    let width = layer.vectors * D::S::N;
    let mut row = 0;
    while row < rows {
        let here = if row + ROWS <= rows { ROWS } else { 1 };
        let (mut scales, mut negative) = ([0.0; ROWS], !D::NON_NEGATIVE_PAYS);
        for (r, scale) in scales.iter_mut().enumerate().take(here) {
            let x = &x[(row + r) * i..(row + r + 1) * i];
            let quantised = quantize_row(d, &mut scratch[r * words..(r + 1) * words], x);
            *scale = quantised.scale;
            negative |= quantised.negative;
        }
        let mut totals = [0; TOTALS];
        for (p, panel) in pieces(layer.packed, width * (groups + HEAD)).enumerate() {
            let (head, weights) = panel.split_at(HEAD * width);
            if here == ROWS {
                several_rows(d, &mut totals, scratch, weights, layer, negative);
            } else {
                one_row(d, &mut totals, &scratch[..groups], weights, layer.vectors, negative);
            }
            for (r, totals) in pieces(&totals, width).enumerate().take(here) {
                finish(d, y, totals, head, scales[r], layer, [row + r, p * width]);
            }
        }
        row += here;
    }
}

/// Sums of the widest panel for as many rows as there are together.
const TOTALS: usize = ROWS * 4 * MAX_LANES;

/// What is known of a quantised row.
struct Quantised {
    /// NaN where the row is not finite, so that the outputs are as well: bytes cannot say it.
    scale: f32,
    /// Whether an input may be below zero.
    negative: bool,
}

/// Four inputs to a word, one from each quarter of the row, each `round(x / scale) + BIAS`: −127..=127, or 1..=255.
#[inline(always)]
fn quantize_row<D: Dots>(d: D, words: &mut [i32], x: &[f32]) -> Quantised {
    let s = d.simd();
    let largest = abs_max_of(s, x);
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    let inverse = 1.0 / scale;
    let groups = x.len().div_ceil(4);
    // Beyond the end of the row come zeros; their weights are zero as well.
    let quarters: [&[f32]; 4] =
        core::array::from_fn(|part| &x[(part * groups).min(x.len())..((part + 1) * groups).min(x.len())]);
    let (mut finite, mut least) = (s.zero(), s.zero());
    for at in (0..groups).step_by(D::S::N) {
        let mut bytes = [s.splat_i32(0); 4];
        for (byte, quarter) in bytes.iter_mut().zip(quarters) {
            let v = s.get(quarter.get(at..).unwrap_or_default());
            finite = s.mul_add(v, s.zero(), finite);
            least = s.min(v, least);
            *byte = quantize::<D>(d, v, inverse);
        }
        let low = s.or_i32(bytes[0], s.shl_i32::<8>(bytes[1]));
        let high = s.or_i32(s.shl_i32::<16>(bytes[2]), s.shl_i32::<24>(bytes[3]));
        s.store_i32(&mut words[at..], s.or_i32(low, high));
    }
    // 0 if the row is finite, else NaN.
    Quantised { scale: scale + s.reduce_sum(finite), negative: s.reduce_min(least) < 0.0 }
}

/// `round(x / scale) + BIAS` as a byte.
#[inline(always)]
fn quantize<D: Dots>(d: D, v: <D::S as Simd>::F32, inverse: f32) -> <D::S as Simd>::I32 {
    // Adding 1.5·2²³ rounds to the nearest integer, which then stands in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    let s = d.simd();
    let rounded = s.to_bits(s.mul_add(v, s.splat(inverse), s.splat(MAGIC)));
    s.and_i32(s.add_i32(rounded, s.splat_i32(D::BIAS)), s.splat_i32(255))
}

/// Whether panels may have four vectors (see `panel_vectors`).
#[inline(always)]
fn wide<D: Dots>() -> bool {
    D::S::N == 16 || D::S::N == 1
}

/// One row against one panel. `negative` says whether an input may be.
#[inline(always)]
fn one_row<D: Dots>(d: D, totals: &mut [i32], words: &[i32], weights: &[i32], vectors: usize, negative: bool) {
    if D::NON_NEGATIVE_PAYS && !negative {
        match vectors {
            4 if wide::<D>() => one_row_of::<D, true, 4, 2>(d, totals, words, weights),
            1 => one_row_of::<D, true, 1, 8>(d, totals, words, weights),
            _ => one_row_of::<D, true, 2, 4>(d, totals, words, weights),
        }
    } else {
        match vectors {
            4 if wide::<D>() => one_row_of::<D, false, 4, 2>(d, totals, words, weights),
            1 => one_row_of::<D, false, 1, 8>(d, totals, words, weights),
            _ => one_row_of::<D, false, 2, 4>(d, totals, words, weights),
        }
    }
}

/// `sums + Σ x · w`, where `POSITIVE` promises that no input is negative.
#[inline(always)]
fn add<D: Dots, const POSITIVE: bool>(
    d: D,
    sums: <D::S as Simd>::I32,
    x: <D::S as Simd>::I32,
    w: <D::S as Simd>::I32,
) -> <D::S as Simd>::I32 {
    if POSITIVE { d.add_positive(sums, x, w) } else { d.add(sums, x, w) }
}

/// `V` vectors a panel; the sum over the words is split over `U` accumulators to hide the latency of the addition.
#[inline(always)]
fn one_row_of<D: Dots, const POSITIVE: bool, const V: usize, const U: usize>(
    d: D,
    totals: &mut [i32],
    words: &[i32],
    weights: &[i32],
) {
    let s = d.simd();
    let width = V * D::S::N;
    let mut sums = [[s.splat_i32(0); V]; U];
    let (mut xs, mut ws) = (words.chunks_exact(U), weights.chunks_exact(width * U));
    for (x, w) in (&mut xs).zip(&mut ws) {
        for u in 0..U {
            let x = s.splat_i32(x[u]);
            for v in 0..V {
                let w = s.load_i32(&w[(u * V + v) * D::S::N..]);
                sums[u][v] = add::<D, POSITIVE>(d, sums[u][v], x, w);
            }
        }
    }
    for (x, w) in xs.remainder().iter().zip(ws.remainder().chunks_exact(width)) {
        for v in 0..V {
            sums[0][v] = d.add(sums[0][v], s.splat_i32(*x), s.load_i32(&w[v * D::S::N..]));
        }
    }
    for v in 0..V {
        let mut total = sums[0][v];
        for sums in &sums[1..] {
            total = s.add_i32(total, sums[v]);
        }
        s.store_i32(&mut totals[v * D::S::N..], total);
    }
}

/// Four rows against one panel: its weights are loaded once for all of them.
#[inline(always)]
fn several_rows<D: Dots>(d: D, totals: &mut [i32], scratch: &[i32], weights: &[i32], layer: Layer<'_>, negative: bool) {
    let (groups, step) = (layer.i.div_ceil(4), row_words(layer.i));
    let rows: [&[i32]; ROWS] = core::array::from_fn(|r| &scratch[r * step..r * step + groups]);
    if D::NON_NEGATIVE_PAYS && !negative {
        match layer.vectors {
            4 if wide::<D>() => several_rows_of::<D, true, 4>(d, totals, rows, weights),
            1 => several_rows_of::<D, true, 1>(d, totals, rows, weights),
            _ => several_rows_of::<D, true, 2>(d, totals, rows, weights),
        }
    } else {
        match layer.vectors {
            4 if wide::<D>() => several_rows_of::<D, false, 4>(d, totals, rows, weights),
            1 => several_rows_of::<D, false, 1>(d, totals, rows, weights),
            _ => several_rows_of::<D, false, 2>(d, totals, rows, weights),
        }
    }
}

#[inline(always)]
fn several_rows_of<D: Dots, const POSITIVE: bool, const V: usize>(
    d: D,
    totals: &mut [i32],
    [first, second, third, fourth]: [&[i32]; ROWS],
    weights: &[i32],
) {
    let s = d.simd();
    let width = V * D::S::N;
    let mut sums = [[s.splat_i32(0); V]; ROWS];
    let words = first.iter().zip(second).zip(third.iter().zip(fourth));
    for (w, ((a, b), (c, e))) in weights.chunks_exact(width).zip(words) {
        for (r, x) in [a, b, c, e].into_iter().enumerate() {
            let x = s.splat_i32(*x);
            for v in 0..V {
                sums[r][v] = add::<D, POSITIVE>(d, sums[r][v], x, s.load_i32(&w[v * D::S::N..]));
            }
        }
    }
    for r in 0..ROWS {
        for v in 0..V {
            s.store_i32(&mut totals[r * width + v * D::S::N..], sums[r][v]);
        }
    }
}

/// From integers back to numbers, over one row of a panel: `sum · s_x · s_w + b`.
#[inline(always)]
fn finish<D: Dots>(
    d: D,
    y: &mut [f32],
    totals: &[i32],
    head: &[i32],
    scale: f32,
    layer: Layer<'_>,
    [row, first]: [usize; 2],
) {
    let s = d.simd();
    let width = totals.len();
    for at in (0..width).step_by(D::S::N) {
        let part = |part: usize| s.load_i32(&head[part * width + at..]);
        let total = s.load_i32(&totals[at..]);
        // Inputs that were shifted to be unsigned: take 128·Σw off again.
        let total = if D::BIAS == 0 { total } else { s.sub_i32(total, part(2)) };
        let both = s.mul(s.from_bits(part(1)), s.splat(scale));
        let value = s.mul_add(s.i32_to_f32(total), both, s.from_bits(part(0)));
        write::<D::S, 1>(s, y, [value], layer.epilogue, row * layer.o, first + at, layer.o);
    }
}
