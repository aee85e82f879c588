//! Moving elements without changing them.

use crate::Isa;
use crate::size::check_len;

/// Copies `rows` runs of `n` elements: run `r` starts at `x_at + r * x_stride` in `x` and at `y_at + r * y_stride` in `y`.
///
/// With `x_stride` 0 one run is repeated (expand); with the width of a larger row as a stride it is a column block of
/// it (concat and slice). Elements of `y` between the runs stay as they are.
#[expect(clippy::too_many_arguments, reason = "two strided views are seven numbers")]
pub fn copy_rows(
    y: &mut [f32],
    y_stride: usize,
    y_at: usize,
    x: &[f32],
    x_stride: usize,
    x_at: usize,
    rows: usize,
    n: usize,
) {
    if rows == 0 || n == 0 {
        return;
    }
    let end = |stride: usize, at: usize| (rows - 1).checked_mul(stride)?.checked_add(at)?.checked_add(n);
    assert!(end(y_stride, y_at).is_some_and(|end| end <= y.len()), "copy_rows: y is too short");
    assert!(end(x_stride, x_at).is_some_and(|end| end <= x.len()), "copy_rows: x is too short");
    if y_stride == n && x_stride == n {
        y[y_at..y_at + rows * n].copy_from_slice(&x[x_at..x_at + rows * n]);
        return;
    }
    for r in 0..rows {
        let (to, from) = (y_at + r * y_stride, x_at + r * x_stride);
        match n {
            1 => y[to] = x[from],
            _ => y[to..to + n].copy_from_slice(&x[from..from + n]),
        }
    }
}

/// Edge of the square blocks in which [`transpose`] turns its two innermost dimensions: 16 floats are a cache line.
const BLOCK: usize = 16;

/// One loop of a transposition: its length and its step in `x` and `y`.
#[derive(Clone, Copy)]
struct Loop {
    len: usize,
    x: usize,
    y: usize,
}

/// Permutes four dimensions: dimension `i` of `y` is dimension `perm[i]` of `x [dims]`.
///
/// Fewer dimensions are four with leading ones. `perm` must be a permutation of `0..4`.
pub fn transpose(_isa: Isa, y: &mut [f32], x: &[f32], dims: [usize; 4], perm: [usize; 4]) {
    check_len("transpose", &[y.len(), x.len()], &dims);
    assert!((0..4).all(|d| perm.contains(&d)), "transpose: {perm:?} is no permutation");
    if x.is_empty() {
        return;
    }
    let loops = merged(dims, perm);
    // The innermost loop of `y` and the one that is innermost in `x`; both 3 when rows stay rows.
    let across = (0..4).find(|&i| loops[i].x == 1 && loops[i].len > 1).unwrap_or(3);
    let outer: [Loop; 2] = match across {
        0 => [loops[1], loops[2]],
        1 => [loops[0], loops[2]],
        _ => [loops[0], loops[1]],
    };
    for a in 0..outer[0].len {
        for b in 0..outer[1].len {
            let (to, from) = (a * outer[0].y + b * outer[1].y, a * outer[0].x + b * outer[1].x);
            match across {
                3 => copy_runs(&mut y[to..], &x[from..], loops[2], loops[3]),
                _ => turn(&mut y[to..], &x[from..], loops[across], loops[3]),
            }
        }
    }
}

/// The four loops in the order of `y`, neighbours that are contiguous in both arrays merged into the inner one.
fn merged(dims: [usize; 4], perm: [usize; 4]) -> [Loop; 4] {
    let x_steps = [dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1];
    let mut loops = [Loop { len: 1, x: 0, y: 0 }; 4];
    let (mut at, mut y_step) = (3, 1);
    for axis in (0..4).rev() {
        let this = Loop { len: dims[perm[axis]], x: x_steps[perm[axis]], y: y_step };
        y_step *= this.len;
        if this.len == 1 {
            continue;
        }
        let inner = loops[at];
        if inner.y == 0 {
            loops[at] = this;
        } else if this.x == inner.x * inner.len {
            loops[at].len *= this.len;
        } else {
            at -= 1;
            loops[at] = this;
        }
    }
    loops
}

/// Rows stay rows: `run` is contiguous in both.
fn copy_runs(y: &mut [f32], x: &[f32], rows: Loop, run: Loop) {
    for r in 0..rows.len {
        let (to, from) = (r * rows.y, r * rows.x);
        y[to..to + run.len].copy_from_slice(&x[from..from + run.len]);
    }
}

/// A plane in which `i` is contiguous in `x` and `j` in `y`, block by block.
fn turn(y: &mut [f32], x: &[f32], i: Loop, j: Loop) {
    for i0 in (0..i.len).step_by(BLOCK) {
        for j0 in (0..j.len).step_by(BLOCK) {
            let (i1, j1) = ((i0 + BLOCK).min(i.len), (j0 + BLOCK).min(j.len));
            for at in i0..i1 {
                let row = &mut y[at * i.y + j0..at * i.y + j1];
                for (k, y) in row.iter_mut().enumerate() {
                    *y = x[at + (j0 + k) * j.x];
                }
            }
        }
    }
}
