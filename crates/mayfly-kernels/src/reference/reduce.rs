//! Reductions and distances in f64.

use crate::ReduceKind;

/// `Σ x y`
pub fn dot(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// `Σ x`
pub fn sum(x: &[f32]) -> f64 {
    x.iter().map(|&x| f64::from(x)).sum()
}

/// Euclidean distance.
pub fn l2_distance(x: &[f32], y: &[f32]) -> f64 {
    let square = |(&x, &y): (&f32, &f32)| (f64::from(x) - f64::from(y)) * (f64::from(x) - f64::from(y));
    libm::sqrt(x.iter().zip(y).map(square).sum())
}

/// `1 - cos` of the angle between two vectors; 1 when either is zero.
pub fn cosine_distance(x: &[f32], y: &[f32]) -> f64 {
    let norms = dot(x, x) * dot(y, y);
    if norms == 0.0 { 1.0 } else { 1.0 - dot(x, y) / libm::sqrt(norms) }
}

/// Reduces the middle dimension of `x [outer, n, inner]`.
pub fn reduce_fwd(kind: ReduceKind, y: &mut [f32], x: &[f32], outer: usize, n: usize, inner: usize) {
    for o in 0..outer {
        for i in 0..inner {
            let values = (0..n).map(|k| f64::from(x[(o * n + k) * inner + i]));
            y[o * inner + i] = match kind {
                ReduceKind::Sum => values.sum::<f64>(),
                ReduceKind::Mean => values.sum::<f64>() / n as f64,
                ReduceKind::Max => values.fold(f64::NEG_INFINITY, f64::max),
            } as f32;
        }
    }
}

/// Gradient of [`reduce_fwd`]; equal maxima share it evenly.
pub fn reduce_bwd(kind: ReduceKind, dx: &mut [f32], dy: &[f32], x: &[f32], y: &[f32], [outer, n, inner]: [usize; 3]) {
    for o in 0..outer {
        for i in 0..inner {
            let (out, at) = (o * inner + i, |k: usize| (o * n + k) * inner + i);
            let ties = (0..n).filter(|&k| x[at(k)] == y[out]).count();
            for k in 0..n {
                let share = match kind {
                    ReduceKind::Sum => 1.0,
                    ReduceKind::Mean => 1.0 / n as f64,
                    ReduceKind::Max if x[at(k)] == y[out] => 1.0 / ties as f64,
                    ReduceKind::Max => 0.0,
                };
                dx[at(k)] = (f64::from(dy[out]) * share) as f32;
            }
        }
    }
}
