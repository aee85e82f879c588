//! Max and average pooling of planes.
use crate::Isa;
use crate::pieces::{pieces, pieces_mut};
use crate::simd::{Simd, dispatch};
use crate::size::check_len;
use core::ops::Range;

/// Which value a window gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PoolKind {
    /// The largest; NaN where the window has one.
    Max,
    /// The mean of what lies inside; padding does not count.
    Avg,
}

/// A pooling of `planes` images (batch times channels).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool2d {
    /// How many images.
    pub planes: usize,
    /// Height of an image.
    pub height: usize,
    /// Width of an image.
    pub width: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Step down and right.
    pub stride: [usize; 2],
    /// Padding: top, left, bottom, right; each smaller than the window.
    pub pad: [usize; 4],
    /// Maximum or mean.
    pub kind: PoolKind,
}

impl Pool2d {
    /// Height and width of the result; `None` if no window fits.
    pub fn out_size(&self) -> Option<[usize; 2]> {
        let one = |n: usize, before: usize, after: usize, axis: usize| {
            let room = n.checked_add(before)?.checked_add(after)?.checked_sub(self.kernel[axis])?;
            room.checked_div(self.stride[axis])?.checked_add(1)
        };
        Some([one(self.height, self.pad[0], self.pad[2], 0)?, one(self.width, self.pad[1], self.pad[3], 1)?])
    }

    /// Rows of the input under output row `r`.
    fn rows(&self, r: usize) -> Range<usize> {
        self.under(r, 0, self.height)
    }

    /// Columns of the input under output column `c`.
    fn columns(&self, c: usize) -> Range<usize> {
        self.under(c, 1, self.width)
    }

    #[inline]
    fn under(&self, at: usize, axis: usize, n: usize) -> Range<usize> {
        let start = at * self.stride[axis];
        start.saturating_sub(self.pad[axis])..(start + self.kernel[axis]).saturating_sub(self.pad[axis]).min(n)
    }

    /// Whether every window has all its columns: rows of windows are then gone through tap by tap.
    fn has_whole_columns(&self) -> bool {
        self.pad[1] == 0 && self.pad[3] == 0
    }

    /// Whether it is the usual one: the maximum of each block of two by two.
    fn is_of_blocks(&self) -> bool {
        self.kind == PoolKind::Max && self.kernel == [2, 2] && self.stride == [2, 2] && self.pad == [0; 4]
    }

    fn sizes(&self, x: usize, y: usize) -> [usize; 2] {
        let out = self.out_size().unwrap_or([0, 0]);
        check_len("pool2d", &[x], &[self.planes, self.height, self.width]);
        check_len("pool2d", &[y], &[self.planes, out[0], out[1]]);
        out
    }
}

/// Index of the largest value in a window, the first of equals; of the first NaN if there is one. No branch depends on the values:
/// they are as good as random, and a wrong guess costs more than the comparison.
#[inline]
fn argmax(plane: &[f32], width: usize, rows: Range<usize>, columns: Range<usize>) -> usize {
    let mut at = rows.start * width + columns.start;
    let mut best = plane[at];
    for r in rows {
        let start = r * width + columns.start;
        for (i, v) in plane[start..start + columns.len()].iter().enumerate() {
            let better = (*v > best) | (v.is_nan() & !best.is_nan());
            (at, best) = if better { (start + i, *v) } else { (at, best) };
        }
    }
    at
}

/// The larger, or whichever is NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if (b > a) | b.is_nan() { b } else { a }
}

/// The largest values of a row of windows whose first column is `first`, each with all its columns.
fn row_of_maxima(y: &mut [f32], plane: &[f32], p: &Pool2d, rows: Range<usize>, first: usize) {
    y.fill(f32::NEG_INFINITY);
    for r in rows {
        for v in 0..p.kernel[1] {
            let line = &plane[r * p.width + first * p.stride[1] + v..];
            for (y, x) in y.iter_mut().zip(line.iter().step_by(p.stride[1])) {
                *y = larger(*y, *x);
            }
        }
    }
}

/// Windows that are gone through together.
const WINDOWS: usize = 32;

/// Adds each window's gradient to the first element that is its maximum.
fn row_of_maxima_bwd(dx: &mut [f32], dy: &[f32], plane: &[f32], p: &Pool2d, rows: Range<usize>) {
    for (at, dy) in dy.chunks(WINDOWS).enumerate() {
        let first = at * WINDOWS;
        let (mut maxima, mut left) = ([0.0; WINDOWS], [0.0; WINDOWS]);
        row_of_maxima(&mut maxima[..dy.len()], plane, p, rows.clone(), first);
        left[..dy.len()].copy_from_slice(dy);
        for r in rows.clone() {
            for v in 0..p.kernel[1] {
                let start = r * p.width + first * p.stride[1] + v;
                let taps = dx[start..].iter_mut().zip(&plane[start..]).step_by(p.stride[1]);
                for ((dx, x), (max, left)) in taps.zip(maxima.iter().zip(&mut left)).take(dy.len()) {
                    let hit = (x == max) | (x.is_nan() & max.is_nan());
                    let given = if hit { *left } else { 0.0 };
                    *dx += given;
                    *left = if hit { 0.0 } else { *left };
                }
            }
        }
    }
}

/// The two lines over a row of blocks.
#[inline(always)]
fn two_lines(plane: &[f32], width: usize, r: usize) -> (&[f32], &[f32]) {
    plane[2 * r * width..2 * (r + 1) * width].split_at(width)
}

/// Pooling of blocks of two by two. The loops are plain, so that the compiler makes vectors of them for each instruction set.
#[inline(always)]
fn blocks_fwd<S: Simd>(_: S, y: &mut [f32], x: &[f32], height: usize, width: usize) {
    let (oh, ow) = (height / 2, width / 2);
    for (y, x) in pieces_mut(y, oh * ow).zip(pieces(x, height * width)) {
        for (r, y) in pieces_mut(y, ow).enumerate() {
            let (above, below) = two_lines(x, width, r);
            for ((y, a), b) in y.iter_mut().zip(above.as_chunks::<2>().0).zip(below.as_chunks::<2>().0) {
                *y = larger(larger(a[0], a[1]), larger(b[0], b[1]));
            }
        }
    }
}

/// Blocks that are gone through together: what stands at each of their four places lies in an array of its own then, and plain loops over these become vectors.
const BLOCKS: usize = 256;

/// What stands at the four places of some blocks.
type Places = [[f32; BLOCKS]; 4];

/// Gradient of [`blocks_fwd`]; `dx` is written where there are blocks.
#[inline(always)]
fn blocks_bwd<S: Simd>(_: S, dx: &mut [f32], dy: &[f32], x: &[f32], height: usize, width: usize) {
    let (oh, ow) = (height / 2, width / 2);
    let lines = (BLOCKS / ow.max(1)).max(1);
    let mut places: Places = [[0.0; BLOCKS]; 4];
    for ((dx, x), dy) in pieces_mut(dx, height * width).zip(pieces(x, height * width)).zip(pieces(dy, oh * ow)) {
        for first in (0..oh).step_by(lines) {
            let rows = first..(first + lines).min(oh);
            // Lines of more blocks than there is room for go piece by piece.
            for from in (0..ow).step_by(BLOCKS) {
                let columns = from..(from + BLOCKS).min(ow);
                take_apart(&mut places, x, width, rows.clone(), columns.clone());
                let dy = &dy[rows.start * ow + columns.start..(rows.end - 1) * ow + columns.end];
                share_out(&mut places, dy);
                put_together(dx, &places, width, rows.clone(), columns);
            }
        }
    }
}

/// The pairs of a line that belong to some columns of blocks.
fn pairs(columns: &Range<usize>) -> Range<usize> {
    2 * columns.start..2 * columns.end
}

#[inline(always)]
fn take_apart(places: &mut Places, plane: &[f32], width: usize, rows: Range<usize>, columns: Range<usize>) {
    for (at, r) in rows.enumerate() {
        let (above, below) = two_lines(plane, width, r);
        let (above, below) = (&above[pairs(&columns)], &below[pairs(&columns)]);
        let here = at * columns.len()..(at + 1) * columns.len();
        let [a, b, c, d] = places;
        let to = a[here.clone()].iter_mut().zip(&mut b[here.clone()]);
        for (pair, (left, right)) in above.as_chunks::<2>().0.iter().zip(to) {
            (*left, *right) = (pair[0], pair[1]);
        }
        let to = c[here.clone()].iter_mut().zip(&mut d[here]);
        for (pair, (left, right)) in below.as_chunks::<2>().0.iter().zip(to) {
            (*left, *right) = (pair[0], pair[1]);
        }
    }
}

/// `dy` where the first of a block's largest values is, or the first NaN; zeros elsewhere.
#[inline(always)]
fn share_out(places: &mut Places, dy: &[f32]) {
    let [a, b, c, d] = places;
    let blocks = a.iter_mut().zip(b).zip(c.iter_mut().zip(d)).zip(dy);
    for (((a, b), (c, d)), dy) in blocks {
        let max = larger(larger(*a, *b), larger(*c, *d));
        let mut left = *dy;
        for v in [a, b, c, d] {
            let hit = (*v == max) | (v.is_nan() & max.is_nan());
            *v = if hit { left } else { 0.0 };
            left = if hit { 0.0 } else { left };
        }
    }
}

#[inline(always)]
fn put_together(dx: &mut [f32], places: &Places, width: usize, rows: Range<usize>, columns: Range<usize>) {
    for (at, r) in rows.enumerate() {
        let (above, below) = dx[2 * r * width..2 * (r + 1) * width].split_at_mut(width);
        let here = at * columns.len()..(at + 1) * columns.len();
        let [a, b, c, d] = places;
        for (pair, (left, right)) in
            above[pairs(&columns)].as_chunks_mut::<2>().0.iter_mut().zip(a[here.clone()].iter().zip(&b[here.clone()]))
        {
            *pair = [*left, *right];
        }
        for (pair, (left, right)) in
            below[pairs(&columns)].as_chunks_mut::<2>().0.iter_mut().zip(c[here.clone()].iter().zip(&d[here]))
        {
            *pair = [*left, *right];
        }
    }
}

fn mean(plane: &[f32], width: usize, rows: Range<usize>, columns: Range<usize>) -> f32 {
    let count = (rows.len() * columns.len()) as f32;
    rows.map(|r| plane[r * width..][columns.clone()].iter().sum::<f32>()).sum::<f32>() / count
}

/// `y [planes, oh, ow]` from `x [planes, height, width]`.
pub fn pool2d_fwd(isa: Isa, y: &mut [f32], x: &[f32], p: &Pool2d) {
    let [oh, ow] = p.sizes(x.len(), y.len());
    let (height, width) = (p.height, p.width);
    if p.is_of_blocks() {
        return dispatch!(isa, blocks_fwd(y: &mut [f32], x: &[f32], height: usize, width: usize));
    }
    for (y, x) in pieces_mut(y, oh * ow).zip(pieces(x, p.height * p.width)) {
        for (r, y) in pieces_mut(y, ow).enumerate() {
            let rows = p.rows(r);
            if p.kind == PoolKind::Max && p.has_whole_columns() {
                row_of_maxima(y, x, p, rows, 0);
                continue;
            }
            for (c, y) in y.iter_mut().enumerate() {
                *y = match p.kind {
                    PoolKind::Max => x[argmax(x, p.width, rows.clone(), p.columns(c))],
                    PoolKind::Avg => mean(x, p.width, rows.clone(), p.columns(c)),
                };
            }
        }
    }
}

/// `dx` from `dy`; a maximum's gradient goes to the first of equals.
pub fn pool2d_bwd(isa: Isa, dx: &mut [f32], dy: &[f32], x: &[f32], p: &Pool2d) {
    let [oh, ow] = p.sizes(x.len(), dy.len());
    assert!(dx.len() == x.len());
    dx.fill(0.0);
    let (height, width) = (p.height, p.width);
    if p.is_of_blocks() {
        return dispatch!(isa, blocks_bwd(dx: &mut [f32], dy: &[f32], x: &[f32], height: usize, width: usize));
    }
    let plane = p.height * p.width;
    for ((dx, x), dy) in pieces_mut(dx, plane).zip(pieces(x, plane)).zip(pieces(dy, oh * ow)) {
        for (r, dy) in pieces(dy, ow).enumerate() {
            let rows = p.rows(r);
            if p.kind == PoolKind::Max && p.has_whole_columns() {
                row_of_maxima_bwd(dx, dy, x, p, rows);
                continue;
            }
            for (c, dy) in dy.iter().enumerate() {
                match p.kind {
                    PoolKind::Max => dx[argmax(x, p.width, rows.clone(), p.columns(c))] += dy,
                    PoolKind::Avg => spread(dx, p.width, rows.clone(), p.columns(c), *dy),
                }
            }
        }
    }
}

/// The gradient of a mean: equal shares.
fn spread(dx: &mut [f32], width: usize, rows: Range<usize>, columns: Range<usize>, dy: f32) {
    let share = dy / (rows.len() * columns.len()) as f32;
    rows.for_each(|r| dx[r * width..][columns.clone()].iter_mut().for_each(|d| *d += share));
}
