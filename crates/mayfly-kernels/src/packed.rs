//! Dense layers over packed weights: what inference runs. Weights and bias are laid out once, in panels of outputs as wide as the registers like.
//!
//! A panel holds its biases, then for each input the weights of its outputs side by side. One input is broadcast against a whole panel,
//! so nothing is summed across lanes. For one row the sum over inputs is split over several accumulators to hide the latency of the
//! multiplication; for more rows each row has its own. The last bit of a result may therefore differ between one row alone and the same row in a batch.
use crate::Isa;
use crate::act_vec::act_vec;
use crate::isa::Kind;
use crate::linear::Epilogue;
use crate::simd::{Simd, dispatch};

/// Vectors of a panel: as many as the outputs fill, up to what the register file carries.
pub(crate) fn panel_vectors(isa: Isa, outputs: usize) -> usize {
    let (lanes, most) = match isa.0 {
        Kind::Avx512 { .. } => (16, 4),
        Kind::Avx2 => (8, 2),
        Kind::Scalar => (1, 4),
        _ => (4, 2),
    };
    match outputs.div_ceil(lanes) {
        0 | 1 => 1,
        2 | 3 if most >= 2 => 2,
        _ => most,
    }
}

/// Outputs of a panel.
pub(crate) fn width(isa: Isa, outputs: usize) -> usize {
    let lanes = match isa.0 {
        Kind::Avx512 { .. } => 16,
        Kind::Avx2 => 8,
        Kind::Scalar => 1,
        _ => 4,
    };
    panel_vectors(isa, outputs) * lanes
}

/// Length of the packed form, in f32.
pub fn packed_len(isa: Isa, i: usize, o: usize) -> usize {
    let width = width(isa, o);
    o.div_ceil(width) * width * (i + 1)
}

/// Packs `w [o, i]` and the bias.
pub fn pack(isa: Isa, packed: &mut [f32], w: &[f32], b: Option<&[f32]>, i: usize, o: usize) {
    assert!(packed.len() == packed_len(isa, i, o) && w.len() == i * o && b.is_none_or(|b| b.len() == o));
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
    assert!(y.len() == rows * o && x.len() == rows * i && packed.len() == packed_len(isa, i, o));
    assert!(epilogue.residual.is_none_or(|r| r.len() == rows * o));
    let vectors = panel_vectors(isa, o);
    dispatch!(isa, layer(y: &mut [f32], x: &[f32], packed: &[f32], epilogue: Epilogue<'_>, i: usize, o: usize, vectors: usize));
}

#[inline(always)]
fn layer<S: Simd>(
    s: S,
    y: &mut [f32],
    x: &[f32],
    packed: &[f32],
    epilogue: Epilogue<'_>,
    i: usize,
    o: usize,
    vectors: usize,
) {
    match vectors {
        1 => panels::<S, 1, 8>(s, y, x, packed, epilogue, i, o),
        2 => panels::<S, 2, 4>(s, y, x, packed, epilogue, i, o),
        _ => panels::<S, 4, 2>(s, y, x, packed, epilogue, i, o),
    }
}

/// `V` vectors a panel; `U` partial sums over the inputs for a single row.
#[inline(always)]
fn panels<S: Simd, const V: usize, const U: usize>(
    s: S,
    y: &mut [f32],
    x: &[f32],
    packed: &[f32],
    epilogue: Epilogue<'_>,
    i: usize,
    o: usize,
) {
    let width = V * S::N;
    let rows = x.len() / i;
    for (p, panel) in packed.chunks_exact(width * (i + 1)).enumerate() {
        let (bias, weights) = panel.split_at(width);
        let first = p * width;
        let mut r = 0;
        while r + 4 <= rows {
            let sums = many_rows::<S, V, 4>(s, &x[r * i..(r + 4) * i], bias, weights, i);
            for (q, sums) in sums.into_iter().enumerate() {
                write::<S, V>(s, y, sums, epilogue, (r + q) * o, first, o);
            }
            r += 4;
        }
        while r < rows {
            let row = &x[r * i..(r + 1) * i];
            let sums = if rows == 1 {
                one_row::<S, V, U>(s, row, bias, weights)
            } else {
                many_rows::<S, V, 1>(s, row, bias, weights, i)[0]
            };
            write::<S, V>(s, y, sums, epilogue, r * o, first, o);
            r += 1;
        }
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

/// `R` rows against one panel.
#[inline(always)]
fn many_rows<S: Simd, const V: usize, const R: usize>(
    s: S,
    x: &[f32],
    bias: &[f32],
    weights: &[f32],
    i: usize,
) -> [[S::F32; V]; R] {
    let mut sums = [[s.zero(); V]; R];
    for sum in &mut sums {
        for v in 0..V {
            sum[v] = s.load(&bias[v * S::N..]);
        }
    }
    let rows: [&[f32]; R] = core::array::from_fn(|r| &x[r * i..(r + 1) * i]);
    for (q, w) in weights.chunks_exact(V * S::N).enumerate() {
        for r in 0..R {
            let a = s.splat(rows[r][q]);
            for v in 0..V {
                sums[r][v] = s.mul_add(a, s.load(&w[v * S::N..]), sums[r][v]);
            }
        }
    }
    sums
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
