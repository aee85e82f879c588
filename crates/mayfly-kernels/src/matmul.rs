//! General matrix products, row-major.
//!
//! Larger products are blocked: the right side is copied into panels as wide as a register tile, a block at a time, and every twelve
//! rows of the left side pass over it (Goto & van de Geijn 2008). The copies live in the caller's scratch: nothing is allocated, and whoever
//! owns the scratch decides when it is wiped.
use crate::Isa;
use crate::linear::combine;
use crate::simd::{Simd, dispatch};
use crate::size::{capped, check_len};
use crate::tile::{End, Left, Right, Start, Sums, tile, tile_rows};

/// How an operand is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trans {
    /// As it enters the product.
    No,
    /// Transposed.
    Yes,
}

/// A product of matrices: `c [m, n] = op(a) [m, k] · op(b) [k, n]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MatMul {
    /// Rows of the result.
    pub m: usize,
    /// Length of the sums.
    pub k: usize,
    /// Columns of the result.
    pub n: usize,
    /// How `a` is stored: `[m, k]`, or `[k, m]` when transposed.
    pub a: Trans,
    /// How `b` is stored: `[k, n]`, or `[n, k]` when transposed.
    pub b: Trans,
}

/// Below this many multiplications copying does not pay. Measured with `cargo run --release -p mayfly-kernels --example tune`.
const BLOCKED_MULTIPLICATIONS: usize = 2048;
/// Below this many rows turning the right side around does not pay either.
const FEW_ROWS: usize = 4;
/// Depth of a block.
const DEPTH: usize = 384;
/// Columns of a block of the right side: with [`DEPTH`] rows it stays in the second-level cache.
const COLS: usize = 384;
/// Rows of the left side that are handled together.
const STRIP: usize = 12;
/// Up to this many rows of the left side the right side is used where it is.
const DIRECT_ROWS: usize = 2 * STRIP;
/// Elements from row to row of a copied strip: not a power of two, so that its rows do not share cache sets.
const STRIP_ROW: usize = DEPTH + 16;
/// Elements of the largest tile: 24 vectors of 16.
const TILE: usize = 24 * 16;
/// Elements of the widest panel.
const PANEL: usize = 64;

impl MatMul {
    /// Scratch that [`matmul`] needs, in f32.
    pub fn scratch_len(&self) -> usize {
        if self.is_small() {
            return 0;
        }
        TILE + STRIP * STRIP_ROW + self.n.min(COLS).next_multiple_of(PANEL) * (self.k.min(DEPTH) + 1)
    }

    fn is_small(&self) -> bool {
        capped(&[self.m, self.k, self.n]) < BLOCKED_MULTIPLICATIONS || self.b == Trans::Yes && self.m < FEW_ROWS
    }
}

/// What happens to the old value of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Old {
    Overwrite,
    Add,
}

/// `c = op(a) · op(b)`. The scratch has at least [`MatMul::scratch_len`] elements of any value.
pub fn matmul(isa: Isa, c: &mut [f32], a: &[f32], b: &[f32], scratch: &mut [f32], p: MatMul) {
    product(isa, c, a, b, scratch, p, Old::Overwrite);
}

/// `c += op(a) · op(b)`.
pub fn matmul_acc(isa: Isa, c: &mut [f32], a: &[f32], b: &[f32], scratch: &mut [f32], p: MatMul) {
    product(isa, c, a, b, scratch, p, Old::Add);
}

fn product(isa: Isa, c: &mut [f32], a: &[f32], b: &[f32], scratch: &mut [f32], p: MatMul, old: Old) {
    check_len("matmul", &[c.len()], &[p.m, p.n]);
    check_len("matmul", &[a.len()], &[p.m, p.k]);
    check_len("matmul", &[b.len()], &[p.k, p.n]);
    assert!(scratch.len() >= p.scratch_len(), "matmul: the scratch is shorter than MatMul::scratch_len");
    if p.is_small() {
        small(isa, c, a, b, p, old);
    } else {
        dispatch!(isa, large(c: &mut [f32], a: &[f32], b: &[f32], scratch: &mut [f32], p: MatMul, old: Old));
    }
}

#[inline(always)]
fn large<S: Simd>(s: S, c: &mut [f32], a: &[f32], b: &[f32], scratch: &mut [f32], p: MatMul, old: Old) {
    if S::REGISTERS >= 32 {
        blocks::<S, 4>(s, c, a, b, scratch, p, old)
    } else {
        blocks::<S, 2>(s, c, a, b, scratch, p, old)
    }
}

/// A block of the right side.
#[derive(Clone, Copy)]
struct Block {
    /// The first of its rows.
    at: usize,
    depth: usize,
    /// The first of its columns.
    col: usize,
    cols: usize,
    /// Columns, from the first on, that are used where they are; the others are copied into panels.
    direct: usize,
}

/// The caller's scratch, cut up.
struct Scratch<'a> {
    /// A tile that reaches over the edge of the result.
    edge: &'a mut [f32],
    /// Rows of the left side.
    strip: &'a mut [f32],
    /// A block of the right side.
    panels: &'a mut [f32],
}

/// `P` is the number of vectors in a panel.
#[inline(always)]
fn blocks<S: Simd, const P: usize>(
    s: S,
    c: &mut [f32],
    a: &[f32],
    b: &[f32],
    scratch: &mut [f32],
    p: MatMul,
    old: Old,
) {
    let (edge, scratch) = scratch.split_at_mut(TILE);
    let (strip, panels) = scratch.split_at_mut(STRIP * STRIP_ROW);
    let mut scratch = Scratch { edge, strip, panels };
    let depth = p.k.div_ceil(p.k.div_ceil(DEPTH)).next_multiple_of(16);
    for col in (0..p.n).step_by(COLS) {
        let cols = COLS.min(p.n - col);
        for at in (0..p.k).step_by(depth) {
            let block = Block { at, depth: depth.min(p.k - at), col, cols, direct: direct::<S>(p, cols) };
            pack_right::<S, P>(s, scratch.panels, b, p, block);
            let add = old == Old::Add || at > 0;
            for row in (0..p.m).step_by(STRIP) {
                strip_product::<S, P>(s, c, a, b, &mut scratch, p, block, row, add);
            }
        }
    }
}

/// For few rows copying the right side does not pay: how many of its columns are used in place. Those that fill no vector are copied.
#[inline(always)]
fn direct<S: Simd>(p: MatMul, cols: usize) -> usize {
    if p.b == Trans::Yes || p.m > DIRECT_ROWS { 0 } else { cols / S::N * S::N }
}

/// Twelve rows of the result from one block.
#[inline(always)]
fn strip_product<S: Simd, const P: usize>(
    s: S,
    c: &mut [f32],
    a: &[f32],
    b: &[f32],
    scratch: &mut Scratch<'_>,
    p: MatMul,
    block: Block,
    row: usize,
    add: bool,
) {
    let rows = STRIP.min(p.m - row);
    let strip = left_side(s, scratch.strip, a, p, row, rows, block);
    let width = P * S::N;
    let mut col = 0;
    while col < block.cols {
        let (end, right) = if col < block.direct {
            (block.direct, Right { at: b[block.at * p.n + block.col + col..].as_ptr(), step: p.n })
        } else {
            let panel = &scratch.panels[panel_at(col - block.direct, block.depth)..];
            (block.cols, Right { at: panel.as_ptr(), step: width })
        };
        let cols = width.min(end - col);
        let vectors = cols.div_ceil(S::N);
        let mut r = 0;
        while r < rows {
            let here = tile_rows::<S>(rows - r, vectors);
            let left = strip.from_row(r);
            let c = &mut c[(row + r) * p.n + block.col + col..];
            assert!(c.len() >= (here - 1) * p.n + cols);
            // SAFETY: `left` has `rows - r` rows of the block's depth, `right` as many whole vectors; the sums go into `c`, which was
            // just seen to reach that far, or into the edge, which holds the largest tile.
            unsafe {
                if cols.is_multiple_of(S::N) {
                    let start = if add { Start::Old } else { Start::Zero };
                    let sums = Sums { at: c.as_mut_ptr(), step: p.n, start, end: End::Keep };
                    tile(s, sums, left, right, block.depth, here, vectors);
                } else {
                    let at = scratch.edge.as_mut_ptr();
                    let sums = Sums { at, step: vectors * S::N, start: Start::Zero, end: End::Keep };
                    tile(s, sums, left, right, block.depth, here, vectors);
                    copy_edge(s, c, p.n, scratch.edge, vectors * S::N, here, cols, add);
                }
            }
            r += here;
        }
        col += cols;
    }
}

/// Writes the columns of a tile that exist.
#[inline(always)]
fn copy_edge<S: Simd>(s: S, c: &mut [f32], n: usize, edge: &[f32], step: usize, rows: usize, cols: usize, add: bool) {
    for (r, from) in edge.chunks_exact(step).take(rows).enumerate() {
        let row = &mut c[r * n..r * n + cols];
        for (to, from) in row.chunks_mut(S::N).zip(from.chunks_exact(S::N)) {
            let v = s.load(from);
            let v = if add { s.add(s.load_part(to), v) } else { v };
            s.store_part(to, v);
        }
    }
}

/// Where the panel of a column starts: one more row lies between two panels, so that they do not share cache sets.
#[inline(always)]
fn panel_at(col: usize, depth: usize) -> usize {
    col * (depth + 1)
}

/// Copies the columns of a block that are not used directly into panels, `[depth][P · N]` each.
#[inline(always)]
fn pack_right<S: Simd, const P: usize>(s: S, panels: &mut [f32], b: &[f32], p: MatMul, block: Block) {
    let width = P * S::N;
    let Block { at, depth, col, cols, direct } = block;
    if p.b == Trans::No {
        // Row by row of the source, so that it is read in order.
        for q in 0..depth {
            let from = &b[(at + q) * p.n + col + direct..][..cols - direct];
            for (i, from) in from.chunks(width).enumerate() {
                copy_row(s, &mut panels[panel_at(i * width, depth) + q * width..][..width], from);
            }
        }
        return;
    }
    for first in (0..cols).step_by(width) {
        for v in (0..width.min(cols - first)).step_by(S::N) {
            let rows = S::N.min(cols - first - v);
            let from = &b[(col + first + v) * p.k + at..];
            flip(s, &mut panels[panel_at(first, depth) + v..], width, from, p.k, rows, depth);
        }
    }
}

/// `to[..from.len()] = from`; what lies beyond, up to a whole vector, takes any value.
#[inline(always)]
fn copy_row<S: Simd>(s: S, to: &mut [f32], from: &[f32]) {
    let quad = 4 * S::N;
    let whole = from.len() / quad * quad;
    for (to, from) in to.chunks_exact_mut(quad).zip(from.chunks_exact(quad)) {
        for v in 0..4 {
            // SAFETY: both have four vectors.
            unsafe { s.store_ptr(to.as_mut_ptr().add(v * S::N), s.load_ptr(from.as_ptr().add(v * S::N))) };
        }
    }
    for (to, from) in to[whole..].chunks_mut(S::N).zip(from[whole..].chunks(S::N)) {
        s.store_part(to, s.load_part(from));
    }
}

/// Rows of the left side, copied where they are used for more than one panel.
#[inline(always)]
fn left_side<S: Simd>(s: S, strip: &mut [f32], a: &[f32], p: MatMul, row: usize, rows: usize, block: Block) -> Left {
    let Block { at, depth, cols, .. } = block;
    match p.a {
        Trans::No if cols <= PANEL => Left::rows(&a[row * p.k + at..], p.k),
        Trans::Yes if cols <= PANEL => Left::columns(&a[at * p.m + row..], p.m),
        Trans::No => {
            for (r, to) in strip.chunks_exact_mut(STRIP_ROW).enumerate().take(rows) {
                copy_row(s, &mut to[..depth], &a[(row + r) * p.k + at..][..depth]);
            }
            Left::rows(strip, STRIP_ROW)
        }
        Trans::Yes => {
            for (q, to) in strip.chunks_exact_mut(STRIP).enumerate().take(depth) {
                copy_row(s, &mut to[..rows], &a[(at + q) * p.m + row..][..rows]);
            }
            Left::columns(strip, STRIP)
        }
    }
}

/// `to[q · to_row + r] = from[r · from_row + q]` for `r < rows <= N` and `q < cols`; lanes beyond `rows` take any value.
#[inline(always)]
fn flip<S: Simd>(s: S, to: &mut [f32], to_row: usize, from: &[f32], from_row: usize, rows: usize, cols: usize) {
    assert!((1..=S::N).contains(&rows) && from.len() >= (rows - 1) * from_row + cols);
    assert!(to.len() >= (cols - 1) * to_row + S::N);
    if cols < S::N {
        for q in 0..cols {
            for r in 0..rows {
                to[q * to_row + r] = from[r * from_row + q];
            }
        }
        return;
    }
    let mut q = 0;
    loop {
        // SAFETY: asserted above, with `q + N <= cols`.
        unsafe { s.transpose(to.as_mut_ptr().add(q * to_row), to_row, from.as_ptr().add(q), from_row, rows) };
        if q + S::N == cols {
            return;
        }
        q = (q + S::N).min(cols - S::N); // the last step overlaps the one before it
    }
}

/// Row by row; the right side is read along its rows where it can be.
fn small(isa: Isa, c: &mut [f32], a: &[f32], b: &[f32], p: MatMul, old: Old) {
    let MatMul { m, k, n, .. } = p;
    let at = |r: usize, q: usize| if p.a == Trans::No { a[r * k + q] } else { a[q * m + r] };
    for r in 0..m {
        let row = &mut c[r * n..(r + 1) * n];
        if old == Old::Overwrite {
            row.fill(0.0);
        }
        for block in (0..k).step_by(GATHERED) {
            let len = GATHERED.min(k - block);
            let mut left = [0.0; GATHERED];
            (0..len).for_each(|q| left[q] = at(r, block + q));
            match p.b {
                Trans::No => add_rows(isa, row, &left[..len], &b[block * n..(block + len) * n]),
                Trans::Yes => add_dots(isa, row, &left[..len], b, block, k),
            }
        }
    }
}

/// Elements of a row of the left side that are gathered at a time.
const GATHERED: usize = 256;

/// `y += Σ_j a[j] · rows[j]`
fn add_rows(isa: Isa, y: &mut [f32], a: &[f32], rows: &[f32]) {
    const WIDTH: usize = 256;
    let n = y.len();
    let mut sums = [0.0; WIDTH];
    if n <= WIDTH {
        let sums = &mut sums[..n];
        dispatch!(isa, combine(sums: &mut [f32], a: &[f32], rows: &[f32]));
        y.iter_mut().zip(sums).for_each(|(y, s)| *y += *s);
        return;
    }
    for (a, row) in a.iter().zip(rows.chunks_exact(n)) {
        crate::axpy(isa, y, *a, row);
    }
}

/// `y[j] += a · b[j, block..]`
fn add_dots(isa: Isa, y: &mut [f32], a: &[f32], b: &[f32], block: usize, k: usize) {
    for (y, row) in y.iter_mut().zip(b.chunks_exact(k)) {
        *y += crate::dot(isa, a, &row[block..block + a.len()]);
    }
}
