//! DeepNPTS: a forecast is a weighted mean of the past, with weights from a dense network (Rangapuram et al. 2023).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::settings::{self, Build};
use crate::error::Result;
use mayfly_graph::NodeId;
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// DeepNPTS's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepNpts {
    /// Units of each layer.
    pub hidden_size: usize,
    /// Whether batch norm follows each layer.
    pub batch_norm: bool,
    /// Share of hidden values dropped in training.
    pub dropout: f32,
    /// Hidden layers.
    pub n_layers: usize,
}

impl Default for DeepNpts {
    fn default() -> Self {
        DeepNpts { hidden_size: 32, batch_norm: true, dropout: 0.1, n_layers: 2 }
    }
}

impl Build for DeepNpts {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        if cx.outputs != 1 {
            return Err(cx.refuse("a loss with several outputs a step; DeepNPTS takes point losses (mae, mse, huber)"));
        }
        let (l, h) = (cx.input_size, cx.h);
        // Time by time what is known then, the static columns, what is known of the future.
        let mut past = vec![cx.reshape(cx.x, &[l, 1])?];
        if let Some(futr) = cx.futr {
            past.push(cx.rows_of(futr.node, 0, l)?);
        }
        past.extend(cx.hist.map(|hist| hist.node));
        let past = cx.joined(&past, 2)?;
        let mut parts = vec![cx.as_row(past)?];
        parts.extend(cx.stat.map(|stat| stat.node));
        if let Some(futr) = cx.futr {
            let ahead = cx.rows_of(futr.node, l, h)?;
            parts.push(cx.as_row(ahead)?);
        }
        let mut y = cx.joined(&parts, 1)?;
        let mut place = 0; // in torch's Sequential, where all parts count
        for _ in 0..self.n_layers {
            y = cx.dense(&format!("deepnptsnetwork.{place}"), y, self.hidden_size)?;
            y = cx.act(y, Act::Relu)?;
            place += 2;
            if self.batch_norm {
                y = cx.batch_norm(&format!("deepnptsnetwork.{place}"), y)?;
                place += 1;
            }
            if self.dropout > 0.0 {
                y = cx.dropout(y, self.dropout)?;
                place += 1;
            }
        }
        let weights = cx.dense(&format!("deepnptsnetwork.{place}"), y, l * h)?;
        let weights = cx.reshape(weights, &[l, h])?;
        let weights = cx.transposed(weights)?;
        let weights = cx.softmax(weights)?;
        cx.times(weights, cx.x)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[("hidden_size", self.hidden_size), ("n_layers", self.n_layers)])?;
        check_dropout("dropout", self.dropout)
    }
}
