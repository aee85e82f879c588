//! Missing values of one series.
use super::options::Fill;

/// The values with those that are missing (NaN) replaced, and which were there. Where a line or a value before does not exist, the nearest value stands in.
pub(super) fn filled(grid: &[f32], fill: Fill) -> (Vec<f32>, Vec<bool>) {
    let known: Vec<bool> = grid.iter().map(|y| !y.is_nan()).collect();
    let mut out = grid.to_vec();
    let mut before: Option<usize> = None;
    for at in 0..grid.len() {
        if known[at] {
            before = Some(at);
            continue;
        }
        let after = known[at..].iter().position(|known| *known).map(|ahead| at + ahead);
        out[at] = match (fill, before, after) {
            (Fill::Zero, ..) | (_, None, None) => 0.0,
            (Fill::Linear, Some(a), Some(b)) => {
                let share = (at - a) as f64 / (b - a) as f64;
                (f64::from(grid[a]) * (1.0 - share) + f64::from(grid[b]) * share) as f32
            }
            (_, Some(a), _) => grid[a],
            (_, None, Some(b)) => grid[b],
        };
    }
    (out, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_take_the_nearest_value() {
        let grid = [f32::NAN, 2.0, f32::NAN, 4.0, f32::NAN];
        assert_eq!(filled(&grid, Fill::Linear).0, [2.0, 2.0, 3.0, 4.0, 4.0]);
        assert_eq!(filled(&grid, Fill::Forward).0, [2.0, 2.0, 2.0, 4.0, 4.0]);
        assert_eq!(filled(&[f32::NAN], Fill::Mask), (vec![0.0], vec![false]));
    }
}
