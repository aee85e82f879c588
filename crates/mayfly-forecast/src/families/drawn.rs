//! A row of a table drawn for each column, as an operation of the graph.
use mayfly_nn::{CustomOp, Dims, Shape};

/// `(table [b, n, d], by [b, d]) → [b, d]`: of every column the value of one row, drawn by the softmax of the column and a number between 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn;

impl Drawn {
    /// The row that is drawn of a column.
    fn row(table: &[f32], d: usize, column: usize, by: f32) -> usize {
        let values = || table.iter().skip(column).step_by(d);
        let most = values().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = values().map(|v| (v - most).exp()).sum();
        let mut below = 0.0;
        let drawn = values().position(|v| {
            below += (v - most).exp() / sum;
            by < below
        });
        drawn.unwrap_or((table.len() / d.max(1)).saturating_sub(1))
    }
}

impl CustomOp for Drawn {
    fn name(&self) -> &'static str {
        "drawn_rows"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [table, by] if table.rank() == 3 && by.rank() == 2 && by.last() == table.last() => {
                Shape::folded(table.dims()[0], &[table.last()]).map_err(|e| e.to_string())
            }
            _ => Err(format!("a table [batch, n, d] and numbers [batch, d] are needed, got {inputs:?}")),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        let (n, d) = (dims[0][1], dims[0].last());
        for ((y, table), by) in
            y.chunks_exact_mut(d).zip(inputs[0].chunks_exact(n * d)).zip(inputs[1].chunks_exact(d).cycle())
        {
            for (column, (y, by)) in y.iter_mut().zip(by).enumerate() {
                *y = table[Self::row(table, d, column, *by) * d + column];
            }
        }
    }

    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], dims: &[Dims]) {
        dx.fill(0.0);
        if which != 0 {
            return; // numbers are data
        }
        let (n, d) = (dims[0][1], dims[0].last());
        let rows = dx.chunks_exact_mut(n * d).zip(dy.chunks_exact(d)).zip(inputs[0].chunks_exact(n * d));
        for (((dx, dy), table), by) in rows.zip(inputs[1].chunks_exact(d).cycle()) {
            for (column, (dy, by)) in dy.iter().zip(by).enumerate() {
                dx[Self::row(table, d, column, *by) * d + column] = *dy;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares of the first column 1/4, 3/4; of the second 1/2 each.
    #[test]
    fn rows_are_drawn_by_their_share() {
        let table = [0.0, 5.0, 3.0_f32.ln(), 5.0];
        let row = |column: usize, by: f32| Drawn::row(&table, 2, column, by);
        assert_eq!([row(0, 0.0), row(0, 0.24), row(0, 0.26), row(0, 0.999)], [0, 0, 1, 1]);
        assert_eq!([row(1, 0.49), row(1, 0.51), row(1, 1.0)], [0, 1, 1]);
    }
}
