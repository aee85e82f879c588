//! TimesNet: a window as an image of its strongest periods, a row a period, and convolutions over it (Wu et al. 2023).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::periods::{At, MeanKernel, PeriodConv, Strongest};
use super::settings::{self, Build};
use super::transformer::{FeedForward, Transformer};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId, ReduceKind, Shape};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// TimesNet's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimesNet {
    /// Width of all vectors; an even number.
    pub hidden_size: usize,
    /// Share of values dropped in training behind the first layer.
    pub dropout: f32,
    /// Channels between the two convolutions of a block.
    pub conv_hidden_size: usize,
    /// Periods that are looked at.
    pub top_k: usize,
    /// Kernels of a convolution, of 1, 3, 5 … values a side; at most 8.
    pub num_kernels: usize,
    /// Blocks.
    pub encoder_layers: usize,
}

impl Default for TimesNet {
    fn default() -> Self {
        TimesNet { hidden_size: 64, dropout: 0.1, conv_hidden_size: 64, top_k: 5, num_kernels: 6, encoder_layers: 2 }
    }
}

impl Build for TimesNet {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (l, h) = (cx.input_size, cx.h);
        if self.top_k > (l + h) / 2 {
            return Err(cx.refuse(format!(
                "{} periods of {} values, which have {} frequencies",
                self.top_k,
                l + h,
                (l + h) / 2
            )));
        }
        let parts = Transformer {
            width: self.hidden_size,
            heads: 1,
            hidden: 1,
            dropout: self.dropout,
            activation: FeedForward::Gelu,
        };
        let marks = cx.futr.map(|futr| cx.rows_of(futr.node, 0, l)).transpose()?;
        let x = parts.embedded(cx, "enc_embedding", cx.x, marks)?;
        let x = cx.transposed(x)?;
        let mut x = cx.dense("predict_linear", x, l + h)?;
        let norm = cx.norm_weights("layer_norm", self.hidden_size)?;
        for i in 0..self.encoder_layers {
            let y = self.block(cx, &format!("model.{i}"), x)?;
            let y = cx.transposed(y)?;
            let y = cx.cx.graph().layer_norm(y, norm[0], norm[1], 1e-5)?;
            x = cx.transposed(y)?;
        }
        let y = cx.transposed(x)?;
        let y = cx.rows_of(y, l, h)?;
        let y = cx.dense("projection", y, cx.outputs)?;
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("hidden_size", self.hidden_size),
            ("conv_hidden_size", self.conv_hidden_size),
            ("top_k", self.top_k),
            ("num_kernels", self.num_kernels),
            ("encoder_layers", self.encoder_layers),
        ])?;
        if self.hidden_size % 2 == 1 {
            return Err(ForecastError::option("hidden_size", self.hidden_size, "it must be even"));
        }
        if self.num_kernels > 8 {
            return Err(ForecastError::option("num_kernels", self.num_kernels, "it must be at most 8"));
        }
        check_dropout("dropout", self.dropout)
    }
}

impl TimesNet {
    /// A block: `[batch, width, time]` and what its periods make of it.
    fn block(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let (d, times) = (self.hidden_size, cx.width(x)?);
        let amplitudes = self.amplitudes(cx, x, d)?;
        let strongest = self.strongest(cx, name, amplitudes, times)?;
        let weights = cx.cx.graph().custom(Arc::new(At), &[amplitudes, strongest])?;
        let weights = cx.softmax(weights)?;
        let first = self.inception(cx, &format!("{name}.conv.0"), d, self.conv_hidden_size)?;
        let second = self.inception(cx, &format!("{name}.conv.2"), self.conv_hidden_size, d)?;
        let mut sum = x;
        for rank in 0..self.top_k {
            // The grid may be up to twice as long as the sequence.
            let wide = PeriodConv { times, rank, out: 2 * times };
            let y = cx.cx.graph().custom(Arc::new(wide), &[x, first[0], first[1], strongest])?;
            let y = cx.act(y, Act::Gelu)?;
            let back = PeriodConv { times, rank, out: times };
            let y = cx.cx.graph().custom(Arc::new(back), &[y, second[0], second[1], strongest])?;
            let weight = cx.part(weights, rank, 1)?;
            let weight = cx.pick(weight, &vec![0; d * times])?;
            let weight = cx.reshape(weight, &[d, times])?;
            let y = cx.binary(Binary::Mul, y, weight)?;
            sum = cx.binary(Binary::Add, sum, y)?;
        }
        Ok(sum)
    }

    /// How strong each frequency is, on the mean over a vector: `[batch, bins]`.
    fn amplitudes(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId, d: usize) -> mayfly_nn::Result<NodeId> {
        let spectrum = cx.cx.graph().rfft(x)?;
        let bins = cx.width(spectrum)? / 2;
        let pairs = cx.reshape(spectrum, &[d * bins, 2])?;
        let squares = cx.act(pairs, Act::Square)?;
        let sums = cx.cx.graph().reduce(squares, ReduceKind::Sum, 2)?;
        // The root has no slope at 0.
        let sums = cx.act(sums, Act::Affine { mul: 1.0, add: 1e-12 })?;
        let sizes = cx.act(sums, Act::Sqrt)?;
        let sizes = cx.reshape(sizes, &[d, bins])?;
        Ok(cx.cx.graph().reduce(sizes, ReduceKind::Mean, 1)?)
    }

    /// The strongest frequencies of the batch in training; forecasts take those of the training, so that they do not depend on what else is forecast.
    fn strongest(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        amplitudes: NodeId,
        times: usize,
    ) -> mayfly_nn::Result<NodeId> {
        let bins = times / 2 + 1;
        let running = cx.cx.running(&format!("{name}.amplitude.running"), &[bins], Init::Zeros, 0.1)?;
        let op = Arc::new(Strongest { most: self.top_k });
        let is_training = cx.cx.is_training();
        let g = cx.cx.graph();
        if !is_training {
            return Ok(g.custom(op, &[running])?);
        }
        let mean = g.mean_over_batch(amplitudes)?;
        g.follow(running, mean)?;
        Ok(g.custom(op, &[mean])?)
    }

    /// The mean of square convolutions of 1, 3, 5 … values a side: kernel and bias.
    fn inception(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        from: usize,
        to: usize,
    ) -> mayfly_nn::Result<[NodeId; 2]> {
        let (mut kernels, mut sum): (Vec<NodeId>, Option<NodeId>) = (Vec::new(), None);
        for i in 0..self.num_kernels {
            let side = 2 * i + 1;
            // Kaiming's start by what a value reaches.
            let init = Init::Normal { deviation: (2.0 / (to * side * side) as f32).sqrt() };
            kernels.push(cx.weight(&format!("{name}.kernels.{i}.weight"), &[to, from, side, side], init)?);
            let bias = cx.bias(&format!("{name}.kernels.{i}.bias"), to, Init::Zeros)?;
            sum = Some(match sum {
                Some(before) => cx.binary(Binary::Add, before, bias)?,
                None => bias,
            });
        }
        let op = Arc::new(MeanKernel { kernels: self.num_kernels });
        let kernel = cx.cx.graph().custom(op, &kernels)?;
        let bias = match sum {
            Some(sum) => cx.act(sum, Act::Affine { mul: 1.0 / self.num_kernels as f32, add: 0.0 })?,
            None => cx.cx.graph().constant(&vec![0.0; to], Shape::fixed(&[to])?.dims())?,
        };
        Ok([kernel, bias])
    }
}
