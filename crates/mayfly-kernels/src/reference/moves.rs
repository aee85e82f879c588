//! Embedding, strided copies and transposition by plain index arithmetic.

/// `y[r] = table[ids[r]]`, ids clamped to the table, NaN to row 0.
pub fn embed_fwd(y: &mut [f32], ids: &[f32], table: &[f32], d: usize) {
    let last = table.len() / d - 1;
    for (r, &id) in ids.iter().enumerate() {
        let row = if id >= 0.0 { (id as usize).min(last) } else { 0 };
        for j in 0..d {
            y[r * d + j] = table[row * d + j];
        }
    }
}

/// Copies row `r`, `n` elements at `x_at + r * x_stride`, to `y_at + r * y_stride`; `[y_stride, y_at, x_stride, x_at]`.
pub fn copy_rows(y: &mut [f32], x: &[f32], strides: [usize; 4], rows: usize, n: usize) {
    let [y_stride, y_at, x_stride, x_at] = strides;
    for r in 0..rows {
        for j in 0..n {
            y[y_at + r * y_stride + j] = x[x_at + r * x_stride + j];
        }
    }
}

/// Dimension `i` of `y` is dimension `perm[i]` of `x`, which has the sizes `dims`.
pub fn transpose(y: &mut [f32], x: &[f32], dims: [usize; 4], perm: [usize; 4]) {
    for (at, y) in y.iter_mut().enumerate() {
        let (mut rest, mut index) = (at, [0; 4]);
        for axis in (0..4).rev() {
            index[perm[axis]] = rest % dims[perm[axis]];
            rest /= dims[perm[axis]];
        }
        let [a, b, c, d] = index;
        *y = x[((a * dims[1] + b) * dims[2] + c) * dims[3] + d];
    }
}
