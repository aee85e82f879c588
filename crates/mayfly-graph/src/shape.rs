//! Shapes: at most four dimensions, the first of which may be the batch, or the batch times a number.
use crate::GraphError;
use alloc::format;
use core::fmt;

const MAX_RANK: usize = 4;
/// No tensor may have more elements than this per row: a guard against sizes read from hostile files.
const MAX_ELEMENTS: usize = if usize::BITS > 32 { (1_u64 << 32) as usize } else { 1 << 28 };

/// The shape of a value: up to four dimensions; the first may be the batch, the only symbol, or a multiple of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Of one row of the batch when batched.
    dims: Dims,
    batched: bool,
}

/// Concrete dimensions, row-major.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dims {
    n: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// A shape without a batch dimension.
    ///
    /// # Errors
    /// More than four dimensions, a zero, or a product beyond 2³².
    pub fn fixed(dims: &[usize]) -> Result<Shape, GraphError> {
        Ok(Shape { dims: Dims::checked(dims)?, batched: false })
    }

    /// The shape `[batch, rest…]`.
    ///
    /// # Errors
    /// As for [`Shape::fixed`]; `rest` has at most three dimensions.
    pub fn batched(rest: &[usize]) -> Result<Shape, GraphError> {
        Shape::folded(1, rest)
    }

    /// The shape `[batch · per_row, rest…]`: every row of the batch is `per_row` rows, one behind another. A reshape folds a value so and unfolds it.
    ///
    /// # Errors
    /// As for [`Shape::batched`].
    pub fn folded(per_row: usize, rest: &[usize]) -> Result<Shape, GraphError> {
        let mut n = [per_row; MAX_RANK];
        if rest.len() >= MAX_RANK {
            return Err(bad(rest, "at most four dimensions, the batch included"));
        }
        n[1..=rest.len()].copy_from_slice(rest);
        Ok(Shape { dims: Dims::checked(&n[..=rest.len()])?, batched: true })
    }

    /// The shape with the same batchedness as this one: `dims[0]` is ignored when it is batched.
    pub(crate) fn with_dims(&self, dims: &[usize]) -> Result<Shape, GraphError> {
        if self.batched { Shape::folded(self.dims.n[0], &dims[1..]) } else { Shape::fixed(dims) }
    }

    /// A scalar.
    pub fn scalar() -> Shape {
        Shape { dims: Dims { n: [1; MAX_RANK], rank: 0 }, batched: false }
    }

    /// How many dimensions, the batch included.
    pub fn rank(&self) -> usize {
        self.dims.rank
    }

    /// Whether dimension 0 is the batch.
    pub fn is_batched(&self) -> bool {
        self.batched
    }

    /// The dimensions of one row of the batch: the first is 1, or how many rows it is folded into.
    pub fn dims(&self) -> &[usize] {
        self.dims.as_slice()
    }

    /// The last dimension (1 for a scalar).
    pub fn last(&self) -> usize {
        self.dims.last()
    }

    /// Elements of one row when batched, of the whole otherwise.
    pub fn row_len(&self) -> usize {
        self.dims.len()
    }

    /// The concrete dimensions for a batch of `batch` rows.
    pub fn at(&self, batch: usize) -> Dims {
        let mut dims = self.dims;
        if self.batched {
            dims.n[0] = dims.n[0].saturating_mul(batch);
        }
        dims
    }

    /// The same shape with another last dimension.
    pub(crate) fn with_last(&self, last: usize) -> Result<Shape, GraphError> {
        let mut dims = self.dims;
        let Some(i) = dims.rank.checked_sub(1) else { return Err(bad(&[], "a scalar has no last dimension")) };
        if i == 0 && self.batched {
            return Err(bad(dims.as_slice(), "the batch is no feature dimension"));
        }
        dims.n[i] = last;
        self.with_dims(dims.as_slice())
    }

    /// The shape without one dimension, which must not be the batch.
    pub(crate) fn without(&self, axis: usize) -> Result<Shape, GraphError> {
        let mut n = [1; MAX_RANK];
        let mut rank = 0;
        for (i, d) in self.dims().iter().enumerate().filter(|(i, _)| *i != axis) {
            n[rank] = *d;
            rank += 1;
            debug_assert!(i != axis);
        }
        if axis >= self.rank() || (axis == 0 && self.batched) {
            return Err(bad(self.dims(), "that dimension cannot be removed"));
        }
        self.with_dims(&n[..rank])
    }
}

impl Dims {
    fn checked(dims: &[usize]) -> Result<Dims, GraphError> {
        if dims.len() > MAX_RANK {
            return Err(bad(dims, "at most four dimensions"));
        }
        if dims.contains(&0) {
            return Err(bad(dims, "a dimension of zero"));
        }
        let total = dims.iter().try_fold(1usize, |a, d| a.checked_mul(*d));
        if total.is_none_or(|t| t > MAX_ELEMENTS) {
            return Err(bad(dims, "more than 2^32 elements"));
        }
        let mut n = [1; MAX_RANK];
        n[..dims.len()].copy_from_slice(dims);
        Ok(Dims { n, rank: dims.len() })
    }

    /// The dimensions.
    pub fn as_slice(&self) -> &[usize] {
        &self.n[..self.rank]
    }

    /// How many elements; `usize::MAX` where that exceeds it ([`crate::Plan::new`] refuses such a batch).
    #[allow(clippy::len_without_is_empty)] // no dimension is ever zero
    pub fn len(&self) -> usize {
        self.as_slice().iter().fold(1, |len: usize, d| len.saturating_mul(*d))
    }

    /// Whether a slice can have as many elements.
    pub(crate) fn is_addressable(&self) -> bool {
        self.len() <= isize::MAX as usize / size_of::<f32>()
    }

    /// The last dimension (1 for a scalar).
    pub fn last(&self) -> usize {
        self.as_slice().last().copied().unwrap_or(1)
    }

    /// Product of all dimensions but the last.
    pub fn rows(&self) -> usize {
        self.len() / self.last()
    }

    /// `(outer, n, inner)` around one axis.
    pub fn around(&self, axis: usize) -> (usize, usize, usize) {
        let d = self.as_slice();
        (d[..axis].iter().product(), d[axis], d[axis + 1..].iter().product())
    }

    /// Four dimensions, with ones in front.
    pub fn left_padded(&self) -> [usize; MAX_RANK] {
        let mut n = [1; MAX_RANK];
        n[MAX_RANK - self.rank..].copy_from_slice(self.as_slice());
        n
    }
}

impl core::ops::Index<usize> for Dims {
    type Output = usize;
    fn index(&self, i: usize) -> &usize {
        &self.as_slice()[i]
    }
}

fn bad(dims: &[usize], reason: &'static str) -> GraphError {
    GraphError::BadShape { dims: format!("{dims:?}"), reason }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.dims().iter().enumerate() {
            let sep = if i == 0 { "" } else { ", " };
            match (i == 0 && self.batched, d) {
                (true, 1) => f.write_str("batch")?,
                (true, d) => write!(f, "batch·{d}")?,
                (false, d) => write!(f, "{sep}{d}")?,
            }
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_no_tensor_can_be() {
        for dims in [&[1, 2, 3, 4, 5][..], &[3, 0], &[1 << 20, 1 << 20]] {
            assert!(matches!(Shape::fixed(dims), Err(GraphError::BadShape { .. })), "{dims:?}");
        }
        assert!(Shape::batched(&[1, 2, 3, 4]).is_err());
        assert!(Shape::fixed(&[usize::MAX, 3]).is_err());
    }

    #[test]
    fn batch_is_put_in_place() {
        let s = Shape::batched(&[3, 5]).unwrap();
        assert_eq!(s.at(7).as_slice(), [7, 3, 5]);
        assert_eq!((s.row_len(), s.at(7).rows(), s.at(7).around(1)), (15, 21, (7, 3, 5)));
        assert_eq!(alloc::format!("{s}"), "[batch, 3, 5]");
        assert_eq!(s.without(1).unwrap(), Shape::batched(&[5]).unwrap());
        assert!(s.without(0).is_err());
    }
    #[test]
    fn a_fold_stays_through_changes_of_shape() {
        let s = Shape::folded(3, &[4, 5]).unwrap();
        assert_eq!(s.at(7).as_slice(), [21, 4, 5]);
        assert_eq!((s.row_len(), s.is_batched(), s.dims()), (60, true, &[3, 4, 5][..]));
        assert_eq!(alloc::format!("{s}"), "[batch·3, 4, 5]");
        assert_eq!(s.without(1).unwrap(), Shape::folded(3, &[5]).unwrap());
        assert_eq!(s.with_last(2).unwrap(), Shape::folded(3, &[4, 2]).unwrap());
        assert_ne!(s, Shape::batched(&[4, 5]).unwrap());
        assert!(Shape::folded(0, &[4]).is_err());
    }
}
