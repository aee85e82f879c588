//! What families build themselves with: the inputs, the sizes, and the pieces that several of them have.
use mayfly_graph::{Binary, Causal, Conv2dSpec, NodeId, Pool2dSpec, PoolKind, ReduceKind};
use mayfly_nn::{Act, Init, LayerCx, Result};

/// What torch adds to a variance.
const EPS: f32 = 1e-5;

/// A graph under construction, as a family sees it. Parameters are named as in NeuralForecast's state dict.
pub struct ForecastCx<'a, 'b> {
    pub(super) cx: &'a mut LayerCx<'b>,
    /// The past, scaled: `[batch, input_size]`. Multivariate families have the series behind the batch, here and in all that follows: `[batch, series, input_size]`.
    pub x: NodeId,
    /// Which of its values are there, for families that take it: `[batch, input_size]`.
    pub mask: Option<NodeId>,
    /// Columns known to the cutoff: `[batch, input_size, count]`.
    pub hist: Option<Known>,
    /// Columns known over the horizon: `[batch, input_size + h, count]`.
    pub futr: Option<Known>,
    /// Columns that a series has once: `[batch, count]`.
    pub stat: Option<Known>,
    /// Numbers of the tokens of a sentence about the window, for families that read one: `[batch, tokens]`.
    pub prompt: Option<NodeId>,
    /// Series of a multivariate family, else 1.
    pub series: usize,
    /// Values of the past.
    pub input_size: usize,
    /// Steps of the forecast.
    pub h: usize,
    /// Outputs a step.
    pub outputs: usize,
    /// What recurrent layers hand on from step to step.
    pub(super) states: States,
    /// What the forecast is the sum of.
    pub(super) parts: Parts,
    /// The weights by which the network chooses, where they are asked for: `[batch, values]` each.
    pub(super) choices: Option<Vec<NodeId>>,
}

/// The states of all layers, one behind the other.
#[derive(Default)]
pub(super) struct States {
    /// Where a network begins, if not with zeros: `[batch, values]`.
    pub(super) from: Option<NodeId>,
    /// Values of it that layers have taken.
    pub(super) taken: usize,
    /// Whether states are put out.
    pub(super) are_kept: bool,
    /// Those of the layers so far: `[batch, values]` each.
    pub(super) kept: Vec<NodeId>,
    /// Columns known to the cutoff as they are behind it, where that is not 0: `[batch, 1, count]`.
    pub(super) unknown_hist: Option<NodeId>,
}

/// What a forecast is the sum of, where that is asked for.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) are_wanted: bool,
    /// `[batch, h · outputs]` each, in the order of their names.
    pub(super) sums: Vec<NodeId>,
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

impl Dense {
    pub(super) fn new(weight: NodeId, bias: NodeId) -> Dense {
        Dense { weight, bias }
    }
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

    /// The past with all that is known of it, time by time: `[batch, input_size, y | hist | stat | futr]`.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn past_columns(&mut self) -> Result<NodeId> {
        let times = self.input_size;
        let mut parts = vec![self.cx.reshape(self.x, &[times, 1])?];
        parts.extend(self.hist.map(|hist| hist.node));
        parts.extend(self.stat_at_all_times()?);
        if let Some(futr) = self.futr {
            parts.push(self.rows_of(futr.node, 0, times)?);
        }
        self.joined(&parts, 2)
    }

    /// Columns that a series has once, at every time of the past: `[batch, input_size, count]`.
    pub(super) fn stat_at_all_times(&mut self) -> Result<Option<NodeId>> {
        let Some(stat) = self.stat else { return Ok(None) };
        let times = self.input_size;
        let all: Vec<usize> = (0..times).flat_map(|_| 0..stat.count).collect();
        let repeated = self.pick(stat.node, &all)?;
        Ok(Some(self.cx.reshape(repeated, &[times, stat.count])?))
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

    /// Multi-head attention of queries `[batch, tq, width]` over keys and values `[batch, tk, width]`; a share of the weights is dropped in training.
    ///
    /// # Errors
    /// Heads that do not divide the width.
    pub fn attention(&mut self, [q, k, v]: [NodeId; 3], heads: usize, dropout: f32, causal: Causal) -> Result<NodeId> {
        if dropout == 0.0 || !self.cx.is_training() {
            return Ok(self.cx.graph().attention(q, k, v, heads, causal)?);
        }
        let mut scores = self.attention_scores(q, k, heads)?;
        if causal == Causal::Yes {
            scores = self.without_later(scores)?;
        }
        self.attended(scores, v, heads, dropout)
    }

    /// Scores `[batch, heads, t, t]` that leave later times out: e to the −10⁹ is 0.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn without_later(&mut self, scores: NodeId) -> Result<NodeId> {
        let times = self.width(scores)?;
        let later: Vec<f32> = (0..times * times).map(|i| if i % times > i / times { -1e9 } else { 0.0 }).collect();
        let later = self.table(&later, &[times, times])?;
        self.binary(Binary::Add, scores, later)
    }

    /// What queries are to keys: `[batch, tq, width], [batch, tk, width] → [batch, heads, tq, tk]`.
    ///
    /// # Errors
    /// Heads that do not divide the width.
    pub fn attention_scores(&mut self, q: NodeId, k: NodeId, heads: usize) -> Result<NodeId> {
        let width = self.width(q)? / heads.max(1);
        let scale = self.constant(&[1.0 / (width.max(1) as f32).sqrt()])?;
        let q = self.binary(Binary::Mul, q, scale)?;
        let q = self.by_head(q, heads, [0, 2, 1, 3])?;
        let k = self.by_head(k, heads, [0, 2, 3, 1])?;
        Ok(self.cx.graph().matmul(q, k)?)
    }

    /// Values weighed by scores: `[batch, heads, tq, tk], [batch, tk, width] → [batch, tq, width]`; a share of the weights is dropped in training.
    ///
    /// # Errors
    /// Heads that do not divide the width.
    pub fn attended(&mut self, scores: NodeId, v: NodeId, heads: usize, dropout: f32) -> Result<NodeId> {
        let shares = self.softmax(scores)?;
        let shares = self.dropped(shares, dropout)?;
        self.weighed(shares, v, heads)
    }

    /// Values weighed by shares: `[batch, heads, tq, tk], [batch, tk, width] → [batch, tq, width]`.
    ///
    /// # Errors
    /// Heads that do not divide the width.
    pub fn weighed(&mut self, shares: NodeId, v: NodeId, heads: usize) -> Result<NodeId> {
        let (times, width) = (self.cx.dims(shares)?.get(1).copied().unwrap_or(1), self.width(v)?);
        let v = self.by_head(v, heads, [0, 2, 1, 3])?;
        let seen = self.cx.graph().matmul(shares, v)?;
        let seen = self.cx.graph().transpose(seen, &[0, 2, 1, 3])?;
        self.cx.reshape(seen, &[times, width])
    }

    /// `[batch, time, heads · width]` with its dimensions (batch, time, head, within) in another order.
    fn by_head(&mut self, x: NodeId, heads: usize, order: [usize; 4]) -> Result<NodeId> {
        let (times, width) = (self.cx.dims(x)?.first().copied().unwrap_or(1), self.width(x)? / heads.max(1));
        let split = self.cx.reshape(x, &[times, heads, width])?;
        Ok(self.cx.graph().transpose(split, &order)?)
    }

    /// A weight for [`ForecastCx::ring_conv_of`], from so many channels, with Kaiming's start and torch's slope of 0.01.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn circular_weight(&mut self, name: &str, channels: usize, units: usize) -> Result<NodeId> {
        let init = Init::Normal { deviation: (2.0_f32 / (1.0 + 1e-4) / (3 * channels.max(1)) as f32).sqrt() };
        self.cx.weight(&format!("{name}.weight"), &[units, channels, 1, 3], init)
    }

    /// A convolution over three neighbours in a ring, with torch's start: `[batch, channels, time] → [batch, units, time + 2 · pad − 2]`, where `pad` times of the other end stand at each.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn ring_conv(&mut self, name: &str, x: NodeId, units: usize, pad: usize, has_bias: bool) -> Result<NodeId> {
        let channels = self.cx.dims(x)?.first().copied().unwrap_or(1);
        let limit = 1.0 / ((3 * channels.max(1)) as f32).sqrt();
        let init = Init::Uniform { min: -limit, max: limit };
        let w = self.cx.weight(&format!("{name}.weight"), &[units, channels, 1, 3], init.clone())?;
        let b = has_bias.then(|| self.cx.bias(&format!("{name}.bias"), units, init)).transpose()?;
        self.ring_conv_of(x, w, b, pad)
    }

    /// As [`ForecastCx::ring_conv`], with a weight that was declared before.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn ring_conv_of(&mut self, x: NodeId, w: NodeId, b: Option<NodeId>, pad: usize) -> Result<NodeId> {
        let (channels, times) = (self.cx.dims(x)?.first().copied().unwrap_or(1), self.width(x)?);
        let units = self.cx.graph().shape(w)?.dims().first().copied().unwrap_or(1);
        let ring: Vec<usize> = (0..times + 2 * pad).map(|i| (i + pad * times - pad) % times).collect();
        let ring = self.cx.graph().gather(x, 2, &ring)?;
        let image = self.cx.reshape(ring, &[channels, 1, times + 2 * pad])?;
        let spec = Conv2dSpec { stride: [1, 1], pad: [0; 4], dilation: [1, 1], groups: 1 };
        let y = self.cx.graph().conv2d(image, w, b, spec)?;
        self.cx.reshape(y, &[units, times + 2 * pad - 2])
    }

    /// A convolution of every channel by itself: `[batch, channels, time]` → the same.
    ///
    /// # Errors
    /// A kernel of 0.
    pub fn depthwise_along(&mut self, name: &str, x: NodeId, kernel: usize, look: Look) -> Result<NodeId> {
        let channels = self.cx.dims(x)?.first().copied().unwrap_or(1);
        self.conv_in_groups(name, x, [channels, kernel, 1, channels], look)
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
        self.conv_in_groups(name, x, [units, kernel, dilation, 1], look)
    }

    /// Units, kernel, dilation and groups.
    fn conv_in_groups(
        &mut self,
        name: &str,
        x: NodeId,
        [units, kernel, dilation, groups]: [usize; 4],
        look: Look,
    ) -> Result<NodeId> {
        let dims = self.cx.dims(x)?;
        let (channels, times) = (dims.first().copied().unwrap_or(1), dims.last().copied().unwrap_or(1));
        let each = channels / groups.max(1);
        let limit = 1.0 / ((each * kernel).max(1) as f32).sqrt();
        let init = Init::Uniform { min: -limit, max: limit };
        let w = self.cx.weight(&format!("{name}.weight"), &[units, each, 1, kernel], init.clone())?;
        let b = self.cx.bias(&format!("{name}.bias"), units, init)?;
        let image = self.cx.reshape(x, &[channels, 1, times])?;
        let beyond = kernel.saturating_sub(1).saturating_mul(dilation);
        let pad = if look == Look::Back { [0, beyond, 0, 0] } else { [0, 0, 0, beyond] };
        let spec = Conv2dSpec { stride: [1, 1], pad, dilation: [1, dilation], groups };
        let y = self.cx.graph().conv2d(image, w, Some(b), spec)?;
        self.cx.reshape(y, &[units, times])
    }

    /// Layer norm over the last dimension.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn layer_norm(&mut self, name: &str, x: NodeId, eps: f32) -> Result<NodeId> {
        let n = self.width(x)?;
        let [gamma, beta] = self.norm_weights(name, n)?;
        Ok(self.cx.graph().layer_norm(x, gamma, beta, eps)?)
    }

    /// Scale and shift of a norm over `n` values, which may be used several times.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn norm_weights(&mut self, name: &str, n: usize) -> Result<[NodeId; 2]> {
        let gamma = self.cx.param(&format!("{name}.weight"), &[n], Init::Constant(1.0))?;
        Ok([gamma, self.cx.param(&format!("{name}.bias"), &[n], Init::Zeros)?])
    }

    /// Batch norm over the first dimension behind the batch, with torch's eps and momentum. `<name>.running` is `[2, n]`: mean and variance.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn batch_norm(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        self.batch_norm_with(name, x, EPS, 0.1)
    }

    /// As [`ForecastCx::batch_norm`], with an eps and a momentum.
    ///
    /// # Errors
    /// A name that was used before.
    pub fn batch_norm_with(&mut self, name: &str, x: NodeId, eps: f32, momentum: f32) -> Result<NodeId> {
        let n = self.cx.dims(x)?.first().copied().unwrap_or(1);
        let gamma = self.cx.param(&format!("{name}.weight"), &[n], Init::Constant(1.0))?;
        let beta = self.cx.param(&format!("{name}.bias"), &[n], Init::Zeros)?;
        let running = self.cx.running(&format!("{name}.running"), &[2, n], Init::Blocks(vec![0.0, 1.0]), momentum)?;
        let training = self.cx.is_training();
        let g = self.cx.graph();
        Ok(match training {
            true => g.batch_norm_training(x, gamma, beta, running, eps)?,
            false => g.batch_norm(x, gamma, beta, running, eps)?,
        })
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

    /// Numbers between 0 and 1, other ones in every step of training: `[batch, n]`.
    ///
    /// # Errors
    /// None that a family could cause.
    pub fn uniform(&mut self, n: usize) -> Result<NodeId> {
        // Twenty digits of base 2, each of which is dropped as often as not.
        const DIGITS: usize = 20;
        let digits: Vec<f32> = (0..n * DIGITS).map(|i| 0.5_f32.powi((i % DIGITS) as i32 + 2)).collect();
        let digits = self.table(&digits, &[n, DIGITS])?;
        let digits = self.in_every_row(digits, &[n, DIGITS])?;
        let digits = self.dropout(digits, 0.5)?;
        Ok(self.cx.graph().reduce(digits, ReduceKind::Sum, 2)?)
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

    /// Trend and rest along the last dimension: the moving average over an odd number of values, the ends repeated, and what it leaves.
    ///
    /// # Errors
    /// A window that is even.
    pub fn decomposed(&mut self, x: NodeId, window: usize) -> Result<[NodeId; 2]> {
        if window.is_multiple_of(2) {
            return Err(self.refuse(format!("a moving average over {window} values; the number must be odd")));
        }
        let dims = self.cx.dims(x)?;
        let n = dims.last().copied().unwrap_or(1);
        let side = (window - 1) / 2;
        let padded: Vec<usize> = (0..n + 2 * side).map(|i| i.saturating_sub(side).min(n - 1)).collect();
        let padded = self.cx.graph().gather(x, dims.len(), &padded)?;
        let spec = Pool2dSpec { kind: PoolKind::Avg, kernel: [1, window], stride: [1, 1], pad: [0; 4] };
        let rows = dims.iter().rev().skip(1).product();
        let trend = self.along_time(padded, rows, n + 2 * side, spec)?;
        let trend = self.cx.reshape(trend, &dims)?;
        let rest = self.binary(Binary::Sub, x, trend)?;
        Ok([trend, rest])
    }

    /// A pool over each of `rows` rows of `n` values: `[batch, 1, rows, out]`.
    pub(super) fn along_time(&mut self, x: NodeId, rows: usize, n: usize, spec: Pool2dSpec) -> Result<NodeId> {
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

    /// The mean over the last dimension.
    pub(super) fn mean(&mut self, x: NodeId) -> Result<NodeId> {
        let axis = self.cx.dims(x)?.len();
        Ok(self.cx.graph().reduce(x, ReduceKind::Mean, axis)?)
    }

    /// A dense layer without bias.
    pub(super) fn dense_plain(&mut self, name: &str, x: NodeId, units: usize) -> Result<NodeId> {
        let inputs = self.width(x)?;
        let limit = 1.0 / (inputs.max(1) as f32).sqrt();
        let w = self.weight(&format!("{name}.weight"), &[units, inputs], Init::Uniform { min: -limit, max: limit })?;
        self.linear(x, w, None)
    }

    /// Values dropped at random in training, if any.
    pub(super) fn dropped(&mut self, x: NodeId, p: f32) -> Result<NodeId> {
        if p > 0.0 { self.dropout(x, p) } else { Ok(x) }
    }
}
