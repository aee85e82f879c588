//! What families build themselves with: the inputs, the sizes, and the pieces that several of them have.
use mayfly_graph::{Binary, Causal, Conv2dSpec, NodeId, Pool2dSpec, PoolKind, Shape};
use mayfly_nn::{Act, Init, LayerCx, Result};

/// What torch adds to a variance.
const EPS: f32 = 1e-5;

/// A graph under construction, as a family sees it. Parameters are named as in NeuralForecast's state dict.
pub struct ForecastCx<'a, 'b> {
    pub(super) cx: &'a mut LayerCx<'b>,
    /// The past, scaled: `[batch, input_size]`.
    pub x: NodeId,
    /// Which of its values are there, for families that take it: `[batch, input_size]`.
    pub mask: Option<NodeId>,
    /// Columns known to the cutoff: `[batch, input_size, count]`.
    pub hist: Option<Known>,
    /// Columns known over the horizon: `[batch, input_size + h, count]`.
    pub futr: Option<Known>,
    /// Columns that a series has once: `[batch, count]`.
    pub stat: Option<Known>,
    /// Values of the past.
    pub input_size: usize,
    /// Steps of the forecast.
    pub h: usize,
    /// Outputs a step.
    pub outputs: usize,
}

/// Columns besides the series itself.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Their values.
    pub node: NodeId,
    /// How many there are.
    pub count: usize,
}

/// Where a convolution along time looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// At the time itself and earlier ones.
    Back,
    /// At the time itself and later ones.
    Ahead,
}

/// Weights and bias of a dense layer.
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    weight: NodeId,
    bias: NodeId,
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

    /// `x [batch, .., i] → [batch, .., units]`, with weights and biases that start as torch's: uniform within ±1/√i.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn dense(&mut self, name: &str, x: NodeId, units: usize) -> Result<NodeId> {
        let inputs = self.width(x)?;
        let layer = self.declare(name, inputs, units)?;
        self.apply(x, layer)
    }

    /// The parameters of a dense layer, which may be applied several times.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn declare(&mut self, name: &str, inputs: usize, units: usize) -> Result<Dense> {
        let limit = 1.0 / (inputs.max(1) as f32).sqrt();
        let init = Init::Uniform { min: -limit, max: limit };
        let weight = self.cx.weight(&format!("{name}.weight"), &[units, inputs], init.clone())?;
        Ok(Dense { weight, bias: self.cx.bias(&format!("{name}.bias"), units, init)? })
    }

    /// A declared layer on a value.
    ///
    /// # Errors
    /// Another number of inputs.
    pub fn apply(&mut self, x: NodeId, layer: Dense) -> Result<NodeId> {
        Ok(self.cx.graph().linear(x, layer.weight, Some(layer.bias))?)
    }

    /// A weight, output units first.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn weight(&mut self, name: &str, dims: &[usize], init: Init) -> Result<NodeId> {
        self.cx.weight(name, dims, init)
    }

    /// A bias of `n` values.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn bias(&mut self, name: &str, n: usize, init: Init) -> Result<NodeId> {
        self.cx.bias(name, n, init)
    }

    /// `x [batch, .., i] · wᵀ [o, i] + b`.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn linear(&mut self, x: NodeId, w: NodeId, b: Option<NodeId>) -> Result<NodeId> {
        Ok(self.cx.graph().linear(x, w, b)?)
    }

    /// Numbers that are the same in every row.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn constant(&mut self, values: &[f32]) -> Result<NodeId> {
        Ok(self.cx.graph().constant(values, &[values.len()])?)
    }

    /// A vector of parameters times numbers.
    ///
    /// # Errors
    /// Another number of them.
    pub fn scaled(&mut self, vector: NodeId, by: &[f32]) -> Result<NodeId> {
        let by = self.constant(by)?;
        self.binary(Binary::Mul, vector, by)
    }

    /// A part of a vector of parameters.
    ///
    /// # Errors
    /// A part beyond it.
    pub fn part_of_param(&mut self, vector: NodeId, start: usize, len: usize) -> Result<NodeId> {
        Ok(self.cx.graph().slice(vector, 0, start, len)?)
    }

    /// The past with all that is known of it, time by time: `[batch, input_size, y | hist | stat | futr]`.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn past_columns(&mut self) -> Result<NodeId> {
        let times = self.input_size;
        let mut parts = vec![self.cx.reshape(self.x, &[times, 1])?];
        parts.extend(self.hist.map(|hist| hist.node));
        if let Some(stat) = self.stat {
            let all: Vec<usize> = (0..times).flat_map(|_| 0..stat.count).collect();
            let repeated = self.pick(stat.node, &all)?;
            parts.push(self.cx.reshape(repeated, &[times, stat.count])?);
        }
        if let Some(futr) = self.futr {
            parts.push(self.rows_of(futr.node, 0, times)?);
        }
        self.joined(&parts, 2)
    }

    /// Hidden states of a plain recurrent cell, from zero: `[batch, time, units]`.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn rnn(&mut self, xw: NodeId, w_hh: NodeId, act: Act) -> Result<NodeId> {
        Ok(self.cx.graph().rnn(xw, w_hh, act)?)
    }

    /// Hidden states of a long short-term memory, from zero: `[batch, time, 4 · units] → [batch, time, units]`.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn lstm(&mut self, xw: NodeId, w_hh: NodeId) -> Result<NodeId> {
        Ok(self.cx.graph().lstm(xw, w_hh)?)
    }

    /// Hidden states of gated recurrent units, from zero: `[batch, time, 3 · units] → [batch, time, units]`.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn gru(&mut self, xw: NodeId, w_hh: NodeId, b_hn: NodeId) -> Result<NodeId> {
        Ok(self.cx.graph().gru(xw, w_hh, b_hn)?)
    }

    /// A table that is the same in every row.
    ///
    /// # Errors
    /// Another number of values.
    pub fn table(&mut self, values: &[f32], dims: &[usize]) -> Result<NodeId> {
        Ok(self.cx.graph().constant(values, dims)?)
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

    /// Multi-head attention of queries `[batch, tq, width]` over keys and values `[batch, tk, width]`; a share of the probabilities is dropped in training.
    ///
    /// # Errors
    /// Heads that do not divide the width.
    pub fn attention(&mut self, q: NodeId, k: NodeId, v: NodeId, heads: usize, dropout: f32) -> Result<NodeId> {
        if dropout == 0.0 || !self.cx.is_training() {
            return Ok(self.cx.graph().attention(q, k, v, heads, Causal::No)?);
        }
        let width = self.width(q)? / heads.max(1);
        let (times, scale) = (self.cx.dims(q)?.first().copied().unwrap_or(1), 1.0 / (width.max(1) as f32).sqrt());
        let scale = self.constant(&[scale])?;
        let q = self.binary(Binary::Mul, q, scale)?;
        let [q, v] = [self.by_head(q, heads, [0, 2, 1, 3])?, self.by_head(v, heads, [0, 2, 1, 3])?];
        let k = self.by_head(k, heads, [0, 2, 3, 1])?;
        let scores = self.cx.graph().matmul(q, k)?;
        let shares = self.softmax(scores)?;
        let shares = self.dropout(shares, dropout)?;
        let seen = self.cx.graph().matmul(shares, v)?;
        let seen = self.cx.graph().transpose(seen, &[0, 2, 1, 3])?;
        self.cx.reshape(seen, &[times, width * heads])
    }

    /// `[batch, time, heads · width]` with its dimensions (batch, time, head, within) in another order.
    fn by_head(&mut self, x: NodeId, heads: usize, order: [usize; 4]) -> Result<NodeId> {
        let (times, width) = (self.cx.dims(x)?.first().copied().unwrap_or(1), self.width(x)? / heads.max(1));
        let split = self.cx.reshape(x, &[times, heads, width])?;
        Ok(self.cx.graph().transpose(split, &order)?)
    }

    /// A convolution over three neighbours in a ring, without bias: `[batch, time] → [batch, time, units]`.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn circular_conv(&mut self, name: &str, x: NodeId, units: usize) -> Result<NodeId> {
        let times = self.width(x)?;
        let ring: Vec<usize> = (0..times + 2).map(|i| (i + times - 1) % times).collect();
        let ring = self.pick(x, &ring)?;
        let image = self.cx.reshape(ring, &[1, 1, times + 2])?;
        // Kaiming's start for three inputs and torch's slope of 0.01.
        let init = Init::Normal { deviation: (2.0_f32 / (1.0 + 1e-4) / 3.0).sqrt() };
        let w = self.cx.weight(&format!("{name}.weight"), &[units, 1, 1, 3], init)?;
        let spec = Conv2dSpec { stride: [1, 1], pad: [0; 4], dilation: [1, 1], groups: 1 };
        let y = self.cx.graph().conv2d(image, w, None, spec)?;
        let y = self.cx.reshape(y, &[units, times])?;
        self.transposed(y)
    }

    /// A convolution along time that sees nothing of later times, or of earlier ones: `[batch, channels, time] → [batch, units, time]`; units, kernel and dilation.
    ///
    /// # Errors
    /// A kernel or dilation of 0.
    pub fn conv_along(
        &mut self,
        name: &str,
        x: NodeId,
        [units, kernel, dilation]: [usize; 3],
        look: Look,
    ) -> Result<NodeId> {
        let dims = self.cx.dims(x)?;
        let (channels, times) = (dims.first().copied().unwrap_or(1), dims.last().copied().unwrap_or(1));
        let limit = 1.0 / ((channels * kernel).max(1) as f32).sqrt();
        let init = Init::Uniform { min: -limit, max: limit };
        let w = self.cx.weight(&format!("{name}.weight"), &[units, channels, 1, kernel], init.clone())?;
        let b = self.cx.bias(&format!("{name}.bias"), units, init)?;
        let image = self.cx.reshape(x, &[channels, 1, times])?;
        let beyond = kernel.saturating_sub(1).saturating_mul(dilation);
        let pad = if look == Look::Back { [0, beyond, 0, 0] } else { [0, 0, 0, beyond] };
        let spec = Conv2dSpec { stride: [1, 1], pad, dilation: [1, dilation], groups: 1 };
        let y = self.cx.graph().conv2d(image, w, Some(b), spec)?;
        self.cx.reshape(y, &[units, times])
    }

    /// The size of the last dimension.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn width(&self, x: NodeId) -> Result<usize> {
        Ok(self.cx.dims(x)?.last().copied().unwrap_or(1))
    }

    /// Layer norm over the last dimension.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn layer_norm(&mut self, name: &str, x: NodeId, eps: f32) -> Result<NodeId> {
        let n = self.width(x)?;
        let gamma = self.cx.param(&format!("{name}.weight"), &[n], Init::Constant(1.0))?;
        let beta = self.cx.param(&format!("{name}.bias"), &[n], Init::Zeros)?;
        Ok(self.cx.graph().layer_norm(x, gamma, beta, eps)?)
    }

    /// Batch norm over the first dimension behind the batch, with torch's eps and momentum. `<name>.running` is `[2, n]`: mean and variance.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn batch_norm(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let n = self.cx.dims(x)?.first().copied().unwrap_or(1);
        let gamma = self.cx.param(&format!("{name}.weight"), &[n], Init::Constant(1.0))?;
        let beta = self.cx.param(&format!("{name}.bias"), &[n], Init::Zeros)?;
        let running = self.cx.running(&format!("{name}.running"), &[2, n], Init::Blocks(vec![0.0, 1.0]), 0.1)?;
        let training = self.cx.is_training();
        let g = self.cx.graph();
        Ok(match training {
            true => g.batch_norm_training(x, gamma, beta, running, EPS)?,
            false => g.batch_norm(x, gamma, beta, running, EPS)?,
        })
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

    /// All that is known as one row: `[y | hist | futr over input_size + h | stat]`, times before columns.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn flat(&mut self, y: NodeId) -> Result<NodeId> {
        let mut parts = vec![y];
        for columns in [self.hist, self.futr, self.stat].into_iter().flatten() {
            parts.push(self.as_row(columns.node)?);
        }
        self.joined(&parts, 1)
    }

    /// Future columns and, at each time the same, static ones: `[batch, input_size + h, count]`.
    ///
    /// # Errors
    /// There are neither.
    pub fn futr_and_static(&mut self) -> Result<NodeId> {
        let times = self.input_size + self.h;
        let mut parts: Vec<NodeId> = self.futr.iter().map(|futr| futr.node).collect();
        if let Some(stat) = self.stat {
            let all: Vec<usize> = (0..times).flat_map(|_| 0..stat.count).collect();
            let repeated = self.pick(stat.node, &all)?;
            parts.push(self.cx.reshape(repeated, &[times, stat.count])?);
        }
        match parts.is_empty() {
            true => Err(self.refuse("a family that needs future or static exogenous columns")),
            false => self.joined(&parts, 2),
        }
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

    /// Each row of a table times a vector that is another in every row of the batch: `[batch, t, c], [batch, c] → [batch, t]`.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn times(&mut self, table: NodeId, vector: NodeId) -> Result<NodeId> {
        let (rows, n) = (self.cx.dims(table)?.first().copied().unwrap_or(0), self.width(vector)?);
        let column = self.cx.reshape(vector, &[n, 1])?;
        let product = self.cx.graph().matmul(table, column)?;
        self.cx.reshape(product, &[rows])
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

    /// Shares that add up to 1 along the last dimension.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn softmax(&mut self, x: NodeId) -> Result<NodeId> {
        Ok(self.cx.graph().softmax(x)?)
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

    /// Windows of `kernel` values side by side become one, the last with what is left: `[batch, n] → [batch, ⌈n / kernel⌉]`, or along the times of `[batch, n, c]`.
    ///
    /// # Errors
    /// A kernel of 0.
    pub fn pooled(&mut self, x: NodeId, kernel: usize, kind: PoolKind) -> Result<NodeId> {
        let dims = self.cx.dims(x)?;
        let n = dims.first().copied().unwrap_or(0);
        if kernel == 1 {
            return Ok(x);
        }
        if kernel == 0 {
            return Err(self.refuse("a pooling of 0 values; it takes at least 1"));
        }
        let (kernel, out) = (kernel.min(n), n.div_ceil(kernel.min(n)));
        let spec = Pool2dSpec { kind, kernel: [1, kernel], stride: [1, kernel], pad: [0, 0, 0, out * kernel - n] };
        match dims[..] {
            [n, c] => {
                let columns = self.transposed(x)?;
                let pooled = self.along_time(columns, c, n, spec)?;
                let columns = self.cx.reshape(pooled, &[c, out])?;
                self.transposed(columns)
            }
            _ => {
                let pooled = self.along_time(x, 1, n, spec)?;
                self.cx.reshape(pooled, &[out])
            }
        }
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
        let trend = self.along_time(padded, 1, n + 2 * side, spec)?;
        let trend = self.cx.reshape(trend, &[n])?;
        let rest = self.binary(Binary::Sub, x, trend)?;
        Ok([trend, rest])
    }

    /// A pool over each of `rows` rows of `n` values.
    fn along_time(&mut self, x: NodeId, rows: usize, n: usize, spec: Pool2dSpec) -> Result<NodeId> {
        let image = self.cx.reshape(x, &[1, rows, n])?;
        Ok(self.cx.graph().pool2d(image, spec)?)
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
