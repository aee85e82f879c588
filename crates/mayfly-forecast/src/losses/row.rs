//! What losses read of a row.
use mayfly_graph::Shape;

/// Sizes of a row: `[series, h, outputs]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    pub(super) h: usize,
    pub(super) series: usize,
    pub(super) outputs: usize,
    /// Whether every target has a share of its own.
    pub(super) shares: bool,
}

/// One row of predictions, targets, weights, and of what leads back to the scale of the data.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) p: &'a [f32],
    pub(super) t: &'a [f32],
    pub(super) known: &'a [f32],
    pub(super) back: &'a [f32],
    /// The share of each target, where they have some.
    pub(super) shares: &'a [f32],
}

impl Layout {
    /// Values of `back` for a series: shift, scale, what errors are multiplied by that are measured in the window's own, and whether the scale is bent.
    pub(super) const BACK: usize = crate::windows::BACK_LEN;

    /// Predictions of a row.
    pub(super) fn len(&self) -> usize {
        self.steps() * self.outputs
    }

    pub(super) fn steps(&self) -> usize {
        self.h * self.series
    }

    pub(super) fn row<'a>(&self, inputs: &[&'a [f32]], row: usize) -> Row<'a> {
        let part = |input: usize, len: usize| &inputs[input][row * len..(row + 1) * len];
        let (len, steps) = (self.len(), self.steps());
        let shares = if self.shares && inputs.len() > 4 { part(4, steps) } else { &[] };
        Row { p: part(0, len), t: part(1, len), known: part(2, steps), back: part(3, self.series * Self::BACK), shares }
    }

    pub(super) fn check(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let mut wanted = vec![self.len(), self.len(), self.steps(), self.series * Self::BACK];
        wanted.extend(self.shares.then_some(self.steps()));
        let fits =
            inputs.len() == wanted.len() && inputs.iter().zip(&wanted).all(|(input, len)| input.row_len() == *len);
        match fits {
            true => Shape::batched(&[]).map_err(|e| e.to_string()),
            false => Err(format!(
                "rows of {wanted:?} values are needed: predictions, targets, weights, and the way back to the scale of the data; got {inputs:?}"
            )),
        }
    }
}
