//! Max and average pooling of planes.
use crate::Isa;
use crate::pieces::{pieces, pieces_mut};
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
            room.checked_div(self.stride[axis]).map(|n| n + 1)
        };
        Some([one(self.height, self.pad[0], self.pad[2], 0)?, one(self.width, self.pad[1], self.pad[3], 1)?])
    }

    /// The rows and columns of the input under output `(r, c)`.
    fn window(&self, r: usize, c: usize) -> (Range<usize>, Range<usize>) {
        let one = |at: usize, axis: usize, n: usize| {
            let start = at * self.stride[axis];
            start.saturating_sub(self.pad[axis])..(start + self.kernel[axis]).saturating_sub(self.pad[axis]).min(n)
        };
        (one(r, 0, self.height), one(c, 1, self.width))
    }

    fn sizes(&self, x: usize, y: usize) -> [usize; 2] {
        let out = self.out_size().unwrap_or([0, 0]);
        assert!(x == self.planes * self.height * self.width && y == self.planes * out[0] * out[1]);
        out
    }
}

/// Index of the largest value in a window, the first of equals; of the first NaN if there is one.
fn argmax(plane: &[f32], width: usize, (rows, columns): (Range<usize>, Range<usize>)) -> usize {
    let mut best = rows.start * width + columns.start;
    for r in rows {
        for i in r * width + columns.start..r * width + columns.end {
            if plane[i] > plane[best] || plane[i].is_nan() && !plane[best].is_nan() {
                best = i;
            }
        }
    }
    best
}

/// `y [planes, oh, ow]` from `x [planes, height, width]`.
pub fn pool2d_fwd(_isa: Isa, y: &mut [f32], x: &[f32], p: &Pool2d) {
    let [oh, ow] = p.sizes(x.len(), y.len());
    for (y, x) in pieces_mut(y, oh * ow).zip(pieces(x, p.height * p.width)) {
        for (i, y) in y.iter_mut().enumerate() {
            let (rows, columns) = p.window(i / ow, i % ow);
            *y = match p.kind {
                PoolKind::Max => x[argmax(x, p.width, (rows, columns))],
                PoolKind::Avg => {
                    let count = (rows.len() * columns.len()) as f32;
                    rows.map(|r| x[r * p.width..][columns.clone()].iter().sum::<f32>()).sum::<f32>() / count
                }
            };
        }
    }
}

/// `dx` from `dy`; a maximum's gradient goes to the first of equals.
pub fn pool2d_bwd(_isa: Isa, dx: &mut [f32], dy: &[f32], x: &[f32], p: &Pool2d) {
    let [oh, ow] = p.sizes(x.len(), dy.len());
    assert!(dx.len() == x.len());
    dx.fill(0.0);
    let plane = p.height * p.width;
    for ((dx, x), dy) in pieces_mut(dx, plane).zip(pieces(x, plane)).zip(pieces(dy, oh * ow)) {
        for (i, dy) in dy.iter().enumerate() {
            let (rows, columns) = p.window(i / ow, i % ow);
            match p.kind {
                PoolKind::Max => dx[argmax(x, p.width, (rows, columns))] += dy,
                PoolKind::Avg => {
                    let share = dy / (rows.len() * columns.len()) as f32;
                    rows.for_each(|r| dx[r * p.width..][columns.clone()].iter_mut().for_each(|d| *d += share));
                }
            }
        }
    }
}
