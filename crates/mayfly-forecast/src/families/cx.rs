//! What families build themselves with: the inputs, the sizes, and the pieces that several of them have.
use mayfly_graph::{Binary, NodeId, Pool2dSpec, PoolKind};
use mayfly_nn::{Act, Init, LayerCx, Result};

/// A graph under construction, as a family sees it. Parameters are named as in NeuralForecast's state dict.
pub struct ForecastCx<'a, 'b> {
    pub(super) cx: &'a mut LayerCx<'b>,
    /// The past, scaled: `[batch, input_size]`.
    pub x: NodeId,
    /// Which of its values are there, for families that take it: `[batch, input_size]`.
    pub mask: Option<NodeId>,
    /// Values of the past.
    pub input_size: usize,
    /// Steps of the forecast.
    pub h: usize,
    /// Outputs a step.
    pub outputs: usize,
}

impl ForecastCx<'_, '_> {
    /// Outputs in all.
    pub fn len(&self) -> usize {
        self.h * self.outputs
    }

    /// Whether there are none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An error about the family's settings.
    pub fn refuse(&self, what: impl Into<String>) -> mayfly_nn::NnError {
        self.cx.refuse(what)
    }

    /// `x [batch, i] → [batch, units]`, with weights and biases that start as torch's: uniform within ±1/√i.
    ///
    /// # Errors
    /// A value of more dimensions.
    pub fn dense(&mut self, name: &str, x: NodeId, units: usize) -> Result<NodeId> {
        let inputs = self.cx.dims(x)?.last().copied().unwrap_or(1);
        let limit = 1.0 / (inputs.max(1) as f32).sqrt();
        let init = Init::Uniform { min: -limit, max: limit };
        let w = self.cx.weight(&format!("{name}.weight"), &[units, inputs], init.clone())?;
        let b = self.cx.bias(&format!("{name}.bias"), units, init)?;
        Ok(self.cx.graph().linear(x, w, Some(b))?)
    }

    /// An activation.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn act(&mut self, x: NodeId, act: Act) -> Result<NodeId> {
        self.cx.activate(x, act.into())
    }

    /// Values dropped at random in training.
    ///
    /// # Errors
    /// A probability out of range.
    pub fn dropout(&mut self, x: NodeId, p: f32) -> Result<NodeId> {
        self.cx.dropout(x, p)
    }

    /// `a ∘ b` of two values of one shape.
    ///
    /// # Errors
    /// Shapes that differ.
    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> Result<NodeId> {
        Ok(self.cx.graph().binary(op, a, b)?)
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

    /// The last value of the past, `n` times.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn last_value(&mut self, n: usize) -> Result<NodeId> {
        self.pick(self.x, &vec![self.input_size - 1; n])
    }

    /// Windows of `kernel` values side by side become one, the last with what is left: `[batch, n] → [batch, ⌈n / kernel⌉]`.
    ///
    /// # Errors
    /// A kernel of 0.
    pub fn pooled(&mut self, x: NodeId, kernel: usize, kind: PoolKind) -> Result<NodeId> {
        let n = self.cx.dims(x)?.last().copied().unwrap_or(0);
        if kernel == 1 {
            return Ok(x);
        }
        if kernel == 0 {
            return Err(self.refuse("a pooling of 0 values; it takes at least 1"));
        }
        let (kernel, out) = (kernel.min(n), n.div_ceil(kernel.min(n)));
        let spec = Pool2dSpec { kind, kernel: [1, kernel], stride: [1, kernel], pad: [0, 0, 0, out * kernel - n] };
        self.along_time(x, spec, out)
    }

    /// Trend and rest: the moving average over an odd number of values, the ends repeated, and what it leaves.
    ///
    /// # Errors
    /// A window that is even.
    pub fn decomposed(&mut self, x: NodeId, window: usize) -> Result<[NodeId; 2]> {
        if window.is_multiple_of(2) {
            return Err(self.refuse(format!("a moving average over {window} values; the number must be odd")));
        }
        let n = self.cx.dims(x)?.last().copied().unwrap_or(0);
        let side = (window - 1) / 2;
        let padded: Vec<usize> = (0..n + 2 * side).map(|i| i.saturating_sub(side).min(n - 1)).collect();
        let padded = self.pick(x, &padded)?;
        let spec = Pool2dSpec { kind: PoolKind::Avg, kernel: [1, window], stride: [1, 1], pad: [0; 4] };
        let trend = self.along_time(padded, spec, n)?;
        let rest = self.binary(Binary::Sub, x, trend)?;
        Ok([trend, rest])
    }

    fn along_time(&mut self, x: NodeId, spec: Pool2dSpec, out: usize) -> Result<NodeId> {
        let n = self.cx.dims(x)?.last().copied().unwrap_or(0);
        let image = self.cx.reshape(x, &[1, 1, n])?;
        let pooled = self.cx.graph().pool2d(image, spec)?;
        self.cx.reshape(pooled, &[out])
    }

    /// `[batch, groups · n] → [batch, k · groups]`: every group of `n` values times the matrix `[k, n]`, the groups innermost.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn expanded(&mut self, x: NodeId, groups: usize, matrix: &[f32], k: usize) -> Result<NodeId> {
        let n = self.cx.dims(x)?.last().copied().unwrap_or(0) / groups.max(1);
        let x = self.cx.reshape(x, &[groups, n])?;
        let w = self.cx.graph().constant(matrix, &[k, n])?;
        let y = self.cx.graph().linear(x, w, None)?;
        let y = self.cx.graph().transpose(y, &[0, 2, 1])?;
        self.cx.reshape(y, &[k * groups])
    }
}
