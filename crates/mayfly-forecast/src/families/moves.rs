//! Values in other shapes: nothing here computes.
use super::cx::ForecastCx;
use mayfly_graph::{NodeId, Shape};
use mayfly_nn::Result;

impl ForecastCx<'_, '_> {
    /// A part of a vector of parameters.
    ///
    /// # Errors
    /// A part beyond it.
    pub fn part_of_param(&mut self, vector: NodeId, start: usize, len: usize) -> Result<NodeId> {
        Ok(self.cx.graph().slice(vector, 0, start, len)?)
    }

    /// A row with `n` zeros behind it.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn padded(&mut self, x: NodeId, n: usize) -> Result<NodeId> {
        let zeros = self.constant(&vec![0.0; n])?;
        let zeros = self.cx.graph().expand(zeros, Shape::batched(&[n])?)?;
        self.joined(&[x, zeros], 1)
    }

    /// A sequence with `n` times of zeros behind it: `[batch, time, columns] → [batch, time + n, columns]`.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn padded_behind(&mut self, x: NodeId, n: usize) -> Result<NodeId> {
        let columns = self.width(x)?;
        let zeros = self.table(&vec![0.0; n * columns], &[n, columns])?;
        let zeros = self.in_every_row(zeros, &[n, columns])?;
        self.joined(&[x, zeros], 1)
    }

    /// The size of the last dimension.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn width(&self, x: NodeId) -> Result<usize> {
        Ok(self.cx.dims(x)?.last().copied().unwrap_or(1))
    }

    /// Values side by side along an axis; the batch is axis 0.
    ///
    /// # Errors
    /// Values that differ in other dimensions.
    pub fn joined(&mut self, parts: &[NodeId], axis: usize) -> Result<NodeId> {
        match parts {
            [one] => Ok(*one),
            _ => Ok(self.cx.graph().concat(parts, axis)?),
        }
    }

    /// A value as one row: `[batch, ..] → [batch, n]`.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn as_row(&mut self, x: NodeId) -> Result<NodeId> {
        let n = self.cx.dims(x)?.iter().product();
        self.cx.reshape(x, &[n])
    }

    /// The value with other dimensions behind the batch.
    ///
    /// # Errors
    /// Another number of elements.
    pub fn reshape(&mut self, x: NodeId, dims: &[usize]) -> Result<NodeId> {
        self.cx.reshape(x, dims)
    }

    /// Some rows of a table: `[batch, t, c] → [batch, len, c]`.
    ///
    /// # Errors
    /// Rows beyond the table.
    pub fn rows_of(&mut self, x: NodeId, start: usize, len: usize) -> Result<NodeId> {
        Ok(self.cx.graph().slice(x, 1, start, len)?)
    }

    /// Some columns of a table: `[batch, r, t] → [batch, r, len]`.
    ///
    /// # Errors
    /// Columns beyond the table.
    pub fn part_of_rows(&mut self, x: NodeId, start: usize, len: usize) -> Result<NodeId> {
        Ok(self.cx.graph().slice(x, 2, start, len)?)
    }

    /// Every value of a row `n` times.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn repeated(&mut self, x: NodeId, n: usize) -> Result<NodeId> {
        let width = self.width(x)?;
        match n {
            1 => Ok(x),
            _ => self.pick(x, &(0..width).flat_map(|i| std::iter::repeat_n(i, n)).collect::<Vec<_>>()),
        }
    }

    /// `[batch, rows · columns]` read as a table and written column by column.
    ///
    /// # Errors
    /// Another number of values.
    pub fn turned(&mut self, x: NodeId, rows: usize, columns: usize) -> Result<NodeId> {
        if rows == 1 || columns == 1 {
            return Ok(x);
        }
        let table = self.cx.reshape(x, &[rows, columns])?;
        let turned = self.transposed(table)?;
        self.as_row(turned)
    }

    /// Rows for columns: `[batch, t, c] → [batch, c, t]`.
    ///
    /// # Errors
    /// A value of other dimensions.
    pub fn transposed(&mut self, x: NodeId) -> Result<NodeId> {
        Ok(self.cx.graph().transpose(x, &[0, 2, 1])?)
    }

    /// The elements of a row by number, `[batch, n] → [batch, indices]`.
    ///
    /// # Errors
    /// A number beyond the row.
    pub fn pick(&mut self, x: NodeId, indices: &[usize]) -> Result<NodeId> {
        Ok(self.cx.graph().gather(x, 1, indices)?)
    }

    /// A part of a row, `[batch, n] → [batch, len]`.
    ///
    /// # Errors
    /// A part beyond the row.
    pub fn part(&mut self, x: NodeId, start: usize, len: usize) -> Result<NodeId> {
        Ok(self.cx.graph().slice(x, 1, start, len)?)
    }

    /// A row backwards.
    ///
    /// # Errors
    /// A value of more dimensions.
    pub fn reversed(&mut self, x: NodeId) -> Result<NodeId> {
        let n = self.cx.dims(x)?.last().copied().unwrap_or(0);
        self.pick(x, &(0..n).rev().collect::<Vec<_>>())
    }

    /// Every value of the last dimension `n` times, in a dimension of its own: `[.., k] → [.., k, n]`. Parameters have no batch.
    pub(super) fn spread(&mut self, x: NodeId, n: usize) -> Result<NodeId> {
        let g = self.cx.graph();
        let shape = g.shape(x)?;
        let dims = shape.dims();
        let column = match shape.is_batched() {
            true => Shape::folded(dims[0], &[&dims[1..], &[1]].concat())?,
            false => Shape::fixed(&[dims, &[1]].concat())?,
        };
        let x = g.reshape(x, column)?;
        Ok(g.gather(x, dims.len(), &vec![0; n])?)
    }

    /// A parameter as it is in every row: `[..] → [batch, ..]`.
    pub(super) fn in_every_row(&mut self, x: NodeId, dims: &[usize]) -> Result<NodeId> {
        let g = self.cx.graph();
        let x = g.reshape(x, Shape::fixed(dims)?)?;
        Ok(g.expand(x, Shape::batched(dims)?)?)
    }

    /// Dimensions in another order; the batch is the first and stays it.
    pub(super) fn permuted(&mut self, x: NodeId, order: &[usize]) -> Result<NodeId> {
        Ok(self.cx.graph().transpose(x, order)?)
    }

    /// A part of a dimension; the batch is dimension 0.
    pub(super) fn cut(&mut self, x: NodeId, axis: usize, start: usize, len: usize) -> Result<NodeId> {
        Ok(self.cx.graph().slice(x, axis, start, len)?)
    }

    /// Every row as many as its first dimension says: `[batch, n, ..] → [batch · n, ..]`.
    pub(super) fn fold(&mut self, x: NodeId) -> Result<NodeId> {
        self.cx.fold(x)
    }

    /// Takes a fold back: `[batch · n, ..] → [batch, n, ..]`.
    pub(super) fn unfold(&mut self, x: NodeId, n: usize) -> Result<NodeId> {
        self.cx.unfold(x, n)
    }

    /// A vector that is the same in every row of another value's batch, which may be folded.
    pub(super) fn in_rows_of(&mut self, x: NodeId, like: NodeId) -> Result<NodeId> {
        let g = self.cx.graph();
        let n = g.shape(x)?.row_len();
        let per_row = g.shape(like)?.dims().first().copied().unwrap_or(1);
        Ok(g.expand(x, Shape::folded(per_row, &[n])?)?)
    }
}
