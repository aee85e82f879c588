//! TiDE: a dense encoder and decoder with skips, exogenous columns made narrower time by time (Das et al. 2023).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::settings::{self, Build};
use crate::error::Result;
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// TiDE's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tide {
    /// Units of encoder and decoder.
    pub hidden_size: usize,
    /// What the decoder gives for each step.
    pub decoder_output_dim: usize,
    /// Units of the decoder of each step.
    pub temporal_decoder_dim: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Whether every part ends with a layer norm. The last part has none where there is one output a step: the norm of a single value is no function of it.
    pub layernorm: bool,
    /// Parts of the encoder.
    pub num_encoder_layers: usize,
    /// Parts of the decoder.
    pub num_decoder_layers: usize,
    /// What a time's exogenous columns become.
    pub temporal_width: usize,
}

impl Default for Tide {
    fn default() -> Self {
        Tide {
            hidden_size: 512,
            decoder_output_dim: 32,
            temporal_decoder_dim: 128,
            dropout: 0.3,
            layernorm: true,
            num_encoder_layers: 1,
            num_decoder_layers: 1,
            temporal_width: 4,
        }
    }
}

impl Tide {
    /// Two dense layers beside one: `norm(drop(lin2(relu(lin1 x))) + skip x)`.
    fn part(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        x: NodeId,
        [hidden, outputs]: [usize; 2],
    ) -> mayfly_nn::Result<NodeId> {
        let y = cx.dense(&format!("{name}.lin1"), x, hidden)?;
        let y = cx.act(y, Act::Relu)?;
        let y = cx.dense(&format!("{name}.lin2"), y, outputs)?;
        let y = cx.dropout(y, self.dropout)?;
        let skip = cx.dense(&format!("{name}.skip"), x, outputs)?;
        let y = cx.binary(Binary::Add, y, skip)?;
        match self.layernorm && outputs > 1 {
            true => cx.layer_norm(&format!("{name}.norm"), y, 1e-5),
            false => Ok(y),
        }
    }

    /// The exogenous columns of each time made narrower.
    fn projected(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        self.part(cx, name, x, [self.hidden_size, self.temporal_width])
    }
}

impl Build for Tide {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (l, h) = (cx.input_size, cx.h);
        let hist = cx.hist.map(|hist| self.projected(cx, "hist_exog_projection", hist.node)).transpose()?;
        let futr = cx.futr.map(|futr| self.projected(cx, "futr_exog_projection", futr.node)).transpose()?;
        let mut parts = vec![cx.x];
        for columns in [hist, futr].into_iter().flatten() {
            parts.push(cx.as_row(columns)?);
        }
        parts.extend(cx.stat.map(|stat| stat.node));
        let mut y = cx.joined(&parts, 1)?;
        for i in 0..self.num_encoder_layers {
            y = self.part(cx, &format!("dense_encoder.{i}"), y, [self.hidden_size; 2])?;
        }
        for i in 0..self.num_decoder_layers {
            let is_last = i + 1 == self.num_decoder_layers;
            let outputs = if is_last { self.decoder_output_dim * h } else { self.hidden_size };
            y = self.part(cx, &format!("dense_decoder.{i}"), y, [self.hidden_size, outputs])?;
        }
        let mut steps = cx.reshape(y, &[h, self.decoder_output_dim])?;
        if let Some(futr) = futr {
            let ahead = cx.rows_of(futr, l, h)?;
            steps = cx.joined(&[steps, ahead], 2)?;
        }
        let steps = self.part(cx, "temporal_decoder", steps, [self.temporal_decoder_dim, cx.outputs])?;
        let steps = cx.as_row(steps)?;
        let skip = cx.dense("global_skip", cx.x, cx.len())?;
        cx.binary(Binary::Add, steps, skip)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("hidden_size", self.hidden_size),
            ("decoder_output_dim", self.decoder_output_dim),
            ("temporal_decoder_dim", self.temporal_decoder_dim),
            ("num_encoder_layers", self.num_encoder_layers),
            ("num_decoder_layers", self.num_decoder_layers),
            ("temporal_width", self.temporal_width),
        ])?;
        check_dropout("dropout", self.dropout)
    }
}
