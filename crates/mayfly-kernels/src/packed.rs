//! Dense layers over packed weights: what inference runs. Weights and bias are laid out once, in panels of outputs as wide as the registers like.
//!
//! A panel holds its biases, then for each input the weights of its outputs side by side. One input is broadcast against a whole panel,
//! so nothing is summed across lanes. For one row the sum over inputs is split over several accumulators to hide the latency of the
//! multiplication; several rows pass over a panel in register tiles. The last bit of a result may therefore differ between one row alone and the same row in a batch.
use crate::Isa;
use crate::act::Act;
use crate::act_vec::act_vec;
use crate::isa::Kind;
use crate::linear::Epilogue;
use crate::pieces::pieces;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::MAX_LANES;
use crate::size::{capped, check_len};
use crate::tile::{End, Left, Right, Start, Sums, tile, tile_rows};

/// Lanes of a vector of the packed form.
fn lanes(isa: Isa) -> usize {
    match isa.0 {
        Kind::Avx512 { .. } => 16,
        Kind::Avx2 { .. } => 8,
        Kind::Scalar => 1,
        _ => 4,
    }
}

/// Vectors of a panel: as many as the outputs fill, up to what the register file carries. A power of two.
pub(crate) fn panel_vectors(isa: Isa, outputs: usize) -> usize {
    let most = match isa.0 {
        Kind::Avx512 { .. } | Kind::Scalar => 4,
        _ => 2,
    };
    let lanes = lanes(isa);
    match outputs {
        _ if outputs <= lanes => 1,
        _ if outputs <= 3 * lanes => 2,
        _ => most,
    }
}

/// Outputs of a panel: a power of two.
pub(crate) fn width(isa: Isa, outputs: usize) -> usize {
    panel_vectors(isa, outputs) * lanes(isa)
}

/// Outputs filled up to whole panels; `width` is a power of two, so no division is needed. As many as there can be where that exceeds `usize`.
#[inline(always)]
pub(crate) fn padded(outputs: usize, width: usize) -> usize {
    outputs.saturating_add(width - 1) & !(width - 1)
}

/// Length of the packed form, in f32; `usize::MAX` where it exceeds that.
pub fn packed_len(isa: Isa, i: usize, o: usize) -> usize {
    capped(&[padded(o, width(isa, o)), i.saturating_add(1)])
}

/// The lengths that packing has to do with: `packed` as long as `want`, `w [o, i]`, `b [o]`.
#[track_caller]
pub(crate) fn check_pack(name: &str, packed: usize, want: usize, w: &[f32], b: Option<&[f32]>, i: usize, o: usize) {
    check_len(name, &[w.len()], &[o, i]);
    check_len(name, &[packed], &[want]);
    check_len(name, &[b.map_or(o, <[f32]>::len)], &[o]);
}

/// The lengths of a packed layer's operands: `packed` as long as `want`, `x [rows, i]`, `y` and the residual `[rows, o]`.
#[inline(always)]
#[track_caller]
pub(crate) fn check_fwd(
    name: &str,
    y: &[f32],
    x: &[f32],
    packed: [usize; 2],
    epilogue: Epilogue<'_>,
    [rows, i, o]: [usize; 3],
) {
    check_len(name, &[y.len(), epilogue.residual.map_or(y.len(), <[f32]>::len)], &[rows, o]);
    check_len(name, &[x.len()], &[rows, i]);
    check_len(name, &[packed[0]], &[packed[1]]);
}

/// Packs `w [o, i]` and the bias.
pub fn pack(isa: Isa, packed: &mut [f32], w: &[f32], b: Option<&[f32]>, i: usize, o: usize) {
    check_pack("pack", packed.len(), packed_len(isa, i, o), w, b, i, o);
    let width = width(isa, o);
    for (p, panel) in packed.chunks_exact_mut(width * (i + 1)).enumerate() {
        let (bias, weights) = panel.split_at_mut(width);
        for lane in 0..width {
            let out = p * width + lane;
            bias[lane] = b.and_then(|b| b.get(out)).copied().unwrap_or(0.0);
            for (q, row) in weights.chunks_exact_mut(width).enumerate() {
                row[lane] = if out < o { w[out * i + q] } else { 0.0 };
            }
        }
    }
}

/// In which order the panels of a layer are read; results do not depend on it. Where the weights exceed a cache, going up and down in turn
/// begins each time with what the cache still holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sweep {
    /// From the first to the last.
    #[default]
    Up,
    /// From the last to the first.
    Down,
}

/// `y = act(x · wᵀ + b) + residual` over packed weights.
pub fn packed_fwd(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    packed: &[f32],
    epilogue: Epilogue<'_>,
    rows: usize,
    i: usize,
    o: usize,
) {
    packed_fwd_swept(isa, y, x, packed, epilogue, Sweep::Up, rows, i, o);
}

/// As [`packed_fwd`], with the panels in the order of `sweep` where there is one row.
pub fn packed_fwd_swept(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    packed: &[f32],
    epilogue: Epilogue<'_>,
    sweep: Sweep,
    rows: usize,
    i: usize,
    o: usize,
) {
    check_fwd("packed_fwd", y, x, [packed.len(), packed_len(isa, i, o)], epilogue, [rows, i, o]);
    with_epilogue(isa, y, epilogue, |y, epilogue| layer(isa, y, x, packed, epilogue, sweep, [rows, i, o]));
}

/// Runs a layer with what its vectors can do in passing. Other activations, of dozens of dependent instructions each, go over the whole
/// result afterwards: many vectors are then under way at a time.
#[inline(always)]
pub(crate) fn with_epilogue(
    isa: Isa,
    y: &mut [f32],
    epilogue: Epilogue<'_>,
    layer: impl FnOnce(&mut [f32], Epilogue<'_>),
) {
    if matches!(epilogue.act, Act::Identity | Act::Relu | Act::LeakyRelu { .. }) {
        return layer(y, epilogue);
    }
    layer(y, Epilogue::default());
    crate::act_inplace(isa, epilogue.act, y);
    if let Some(residual) = epilogue.residual {
        crate::add_acc(isa, y, residual);
    }
}

#[inline(always)]
fn layer(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    packed: &[f32],
    epilogue: Epilogue<'_>,
    sweep: Sweep,
    [rows, i, o]: [usize; 3],
) {
    let vectors = panel_vectors(isa, o);
    if rows == 1 {
        dispatch!(isa, one(y: &mut [f32], x: &[f32], packed: &[f32], epilogue: Epilogue<'_>, sweep: Sweep, vectors: usize));
    } else {
        dispatch!(isa, many(y: &mut [f32], x: &[f32], packed: &[f32], epilogue: Epilogue<'_>, rows: usize, i: usize, o: usize, vectors: usize));
    }
}

#[inline(always)]
fn one<S: Simd>(s: S, y: &mut [f32], x: &[f32], packed: &[f32], epilogue: Epilogue<'_>, sweep: Sweep, vectors: usize) {
    match vectors {
        1 => one_row_panels::<S, 1, 8>(s, y, x, packed, epilogue, sweep),
        2 => one_row_panels::<S, 2, 4>(s, y, x, packed, epilogue, sweep),
        _ => one_row_panels::<S, 4, 2>(s, y, x, packed, epilogue, sweep),
    }
}

/// `V` vectors a panel; `U` partial sums over the inputs.
#[inline(always)]
fn one_row_panels<S: Simd, const V: usize, const U: usize>(
    s: S,
    y: &mut [f32],
    x: &[f32],
    packed: &[f32],
    epilogue: Epilogue<'_>,
    sweep: Sweep,
) {
    let (width, o) = (V * S::N, y.len());
    let (panels, len) = (o.div_ceil(width), width * (x.len() + 1));
    for p in 0..panels {
        let p = if sweep == Sweep::Up { p } else { panels - 1 - p };
        let (bias, weights) = packed[p * len..(p + 1) * len].split_at(width);
        let sums = one_row::<S, V, U>(s, x, bias, weights);
        write::<S, V>(s, y, sums, epilogue, 0, p * width, o);
    }
}

/// Sums of the largest tile.
const TILE: usize = 24 * MAX_LANES;

/// Rows pass over each panel in tiles.
#[inline(always)]
fn many<S: Simd>(
    s: S,
    y: &mut [f32],
    x: &[f32],
    packed: &[f32],
    epilogue: Epilogue<'_>,
    rows: usize,
    i: usize,
    o: usize,
    vectors: usize,
) {
    let width = vectors * S::N;
    let mut sums = [0.0; TILE];
    for (p, panel) in pieces(packed, width * (i + 1)).enumerate() {
        let (bias, weights) = panel.split_at(width);
        let right = Right { at: weights.as_ptr(), step: width };
        let start = Start::Bias(bias.as_ptr());
        let end = if epilogue.act == Act::Relu { End::Relu } else { End::Keep };
        let whole = (p + 1) * width <= o && epilogue.residual.is_none();
        let mut row = 0;
        while row < rows {
            let here = tile_rows::<S>(rows - row, vectors);
            let left = Left::rows(&x[row * i..(row + here) * i], i);
            let to = if whole {
                let y = &mut y[row * o + p * width..][..(here - 1) * o + width];
                Sums { at: y.as_mut_ptr(), step: o, start, end }
            } else {
                Sums { at: sums.as_mut_ptr(), step: width, start, end }
            };
            // SAFETY: `left` has `here` rows of `i`, the panel `i` rows of `vectors` vectors after a row of biases; the sums go into
            // that part of `y`, or into `sums`, which holds the largest tile.
            unsafe { tile(s, to, left, right, i, here, vectors) };
            if !whole {
                for (r, sums) in pieces(&sums, width).take(here).enumerate() {
                    write_row(s, y, sums, epilogue, (row + r) * o, p * width, o);
                }
            } else if !matches!(epilogue.act, Act::Identity | Act::Relu) {
                for r in row..row + here {
                    act_row(s, epilogue.act, &mut y[r * o + p * width..][..width]);
                }
            }
            row += here;
        }
    }
}

/// The activation over whole vectors, where the tile has not applied it yet.
#[inline(always)]
fn act_row<S: Simd>(s: S, act: Act, y: &mut [f32]) {
    for y in y.chunks_exact_mut(S::N) {
        let value = act_vec(s, act, s.load(y));
        s.store(y, value);
    }
}

/// The epilogue over a row of sums, as far as its outputs exist.
#[inline(always)]
fn write_row<S: Simd>(s: S, y: &mut [f32], sums: &[f32], epilogue: Epilogue<'_>, row: usize, first: usize, o: usize) {
    for (v, sums) in sums.chunks_exact(S::N).enumerate() {
        write::<S, 1>(s, y, [s.load(sums)], epilogue, row, first + v * S::N, o);
    }
}

/// One row against one panel: `U` partial sums.
#[inline(always)]
fn one_row<S: Simd, const V: usize, const U: usize>(s: S, x: &[f32], bias: &[f32], weights: &[f32]) -> [S::F32; V] {
    let width = V * S::N;
    let mut sums = [[s.zero(); V]; U];
    for v in 0..V {
        sums[0][v] = s.load(&bias[v * S::N..]);
    }
    let mut inputs = x.chunks_exact(U);
    let mut blocks = weights.chunks_exact(width * U);
    for (x, w) in (&mut inputs).zip(&mut blocks) {
        for u in 0..U {
            let a = s.splat(x[u]);
            for v in 0..V {
                sums[u][v] = s.mul_add(a, s.load(&w[(u * V + v) * S::N..]), sums[u][v]);
            }
        }
    }
    for (x, w) in inputs.remainder().iter().zip(blocks.remainder().chunks_exact(width)) {
        for v in 0..V {
            sums[0][v] = s.mul_add(s.splat(*x), s.load(&w[v * S::N..]), sums[0][v]);
        }
    }
    let mut half = U;
    while half > 1 {
        half /= 2;
        for u in 0..half {
            for v in 0..V {
                sums[u][v] = s.add(sums[u][v], sums[u + half][v]);
            }
        }
    }
    sums[0]
}

/// Applies the epilogue and writes the outputs that exist.
#[inline(always)]
pub(crate) fn write<S: Simd, const V: usize>(
    s: S,
    y: &mut [f32],
    sums: [S::F32; V],
    epilogue: Epilogue<'_>,
    row: usize,
    first: usize,
    o: usize,
) {
    for (v, sum) in sums.into_iter().enumerate() {
        let from = first + v * S::N;
        if from >= o {
            return;
        }
        let range = row + from..row + o.min(from + S::N);
        let mut value = act_vec(s, epilogue.act, sum);
        if let Some(residual) = epilogue.residual {
            value = s.add(value, s.load_part(&residual[range.clone()]));
        }
        s.store_part(&mut y[range], value);
    }
}
