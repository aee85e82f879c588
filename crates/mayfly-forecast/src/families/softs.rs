//! SOFTS and SOFTSSharp: every series takes from, and gives to, one vector that stands for all of them (Han et al. 2024).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::drawn::Drawn;
use super::settings::{self, Build};
use super::transformer::{FeedForward, Transformer, positions};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId, ReduceKind};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The settings of SOFTS.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softs {
    /// Width of all vectors.
    pub hidden_size: usize,
    /// Width of the vector that stands for all series.
    pub d_core: usize,
    /// Layers.
    pub e_layers: usize,
    /// Units between the two dense layers of a layer.
    pub d_ff: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Whether every window of a series is brought to mean 0 and variance 1, and back.
    pub use_norm: bool,
    /// Numbers between 0 and 1 by which a series is drawn for each value of that vector in training, layer by layer; random where they are not given.
    pub drawn_by: Option<Vec<Vec<f32>>>,
}

impl Default for Softs {
    fn default() -> Self {
        Softs { hidden_size: 512, d_core: 512, e_layers: 2, d_ff: 2048, dropout: 0.1, use_norm: true, drawn_by: None }
    }
}

/// The settings of SOFTSSharp.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftsSharp {
    /// Width of all vectors; an even number.
    pub hidden_size: usize,
    /// Width of the vector that stands for all series.
    pub d_core: usize,
    /// Layers.
    pub e_layers: usize,
    /// Units between the two dense layers of a layer.
    pub d_ff: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// How often in training series know their number; in forecasts it counts so much.
    pub pe_keep_prob: f32,
    /// Whether every window of a series is brought to mean 0 and variance 1, and back.
    pub use_norm: bool,
    /// As for SOFTS; where it is given, series always know their number in training.
    pub drawn_by: Option<Vec<Vec<f32>>>,
}

impl Default for SoftsSharp {
    fn default() -> Self {
        SoftsSharp {
            hidden_size: 512,
            d_core: 512,
            e_layers: 2,
            d_ff: 2048,
            dropout: 0.1,
            pe_keep_prob: 0.5,
            use_norm: true,
            drawn_by: None,
        }
    }
}

impl SoftsSharp {
    fn plain(&self) -> Softs {
        Softs {
            hidden_size: self.hidden_size,
            d_core: self.d_core,
            e_layers: self.e_layers,
            d_ff: self.d_ff,
            dropout: self.dropout,
            use_norm: self.use_norm,
            drawn_by: self.drawn_by.clone(),
        }
    }
}

impl Softs {
    /// The network; `numbered` is how much a series' number counts, if it does.
    fn build(&self, cx: &mut ForecastCx<'_, '_>, numbered: Option<f32>) -> mayfly_nn::Result<NodeId> {
        let parts = Transformer {
            width: self.hidden_size,
            heads: 1,
            hidden: self.d_ff,
            dropout: self.dropout,
            activation: FeedForward::Gelu,
        };
        let (mut x, mut moments) = (cx.x, None);
        if self.use_norm {
            let (normed, of) = cx.normalised(x, None)?;
            (x, moments) = (normed, Some(of));
        }
        let x = cx.dense("enc_embedding.value_embedding", x, self.hidden_size)?;
        let mut x = cx.dropped(x, self.dropout)?;
        for i in 0..self.e_layers {
            let name = format!("encoder.attn_layers.{i}");
            let seen = self.star(cx, &format!("{name}.attention"), x, (i, numbered))?;
            x = parts.after_attention(cx, &name, x, seen)?;
        }
        let mut y = cx.dense("projection", x, cx.len())?;
        if let Some(moments) = moments {
            y = cx.restored(y, &moments)?;
        }
        cx.as_row(y)
    }

    /// All series through one vector and back: `[batch, series, width]`.
    fn star(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        x: NodeId,
        (layer, numbered): (usize, Option<f32>),
    ) -> mayfly_nn::Result<NodeId> {
        let (n, inner) = (cx.series, if numbered.is_some() { self.dropout } else { 0.0 });
        let x = match numbered {
            Some(share) => self.numbered(cx, name, x, share)?,
            None => x,
        };
        let y = cx.dense(&format!("{name}.gen1"), x, self.hidden_size)?;
        let y = cx.act(y, Act::Gelu)?;
        let y = cx.dropped(y, inner)?;
        let y = cx.dense(&format!("{name}.gen2"), y, self.d_core)?;
        let core = self.core(cx, y, layer)?;
        let core = cx.spread(core, n)?;
        let core = cx.transposed(core)?;
        let core = cx.dropped(core, inner)?;
        let both = cx.joined(&[x, core], 2)?;
        let y = cx.dense(&format!("{name}.gen3"), both, self.hidden_size)?;
        let y = cx.act(y, Act::Gelu)?;
        let y = cx.dropped(y, inner)?;
        cx.dense(&format!("{name}.gen4"), y, self.hidden_size)
    }

    /// The vector that stands for all series: a series drawn for each of its values in training, their mean in forecasts, weighed by the softmax over series.
    fn core(&self, cx: &mut ForecastCx<'_, '_>, y: NodeId, layer: usize) -> mayfly_nn::Result<NodeId> {
        if !cx.cx.is_training() {
            let by_value = cx.transposed(y)?;
            let shares = cx.softmax(by_value)?;
            let weighed = cx.binary(Binary::Mul, by_value, shares)?;
            return Ok(cx.cx.graph().reduce(weighed, ReduceKind::Sum, 2)?);
        }
        let by = match &self.drawn_by {
            None => cx.uniform(self.d_core)?,
            Some(given) => {
                let row = given.get(layer).filter(|row| row.len().is_multiple_of(self.d_core) && !row.is_empty());
                let row = row.ok_or_else(|| cx.refuse("drawn_by without a number for every value of d_core"))?.clone();
                cx.table(&row, &[row.len() / self.d_core, self.d_core])?
            }
        };
        Ok(cx.cx.graph().custom(Arc::new(Drawn), &[y, by])?)
    }

    /// Series with their number, as sines and cosines, added.
    fn numbered(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, share: f32) -> mayfly_nn::Result<NodeId> {
        let (n, d) = (cx.series, self.hidden_size);
        let scale = cx.cx.param(&format!("{name}.pe_scale"), &[], Init::Constant(1.0))?;
        let places = cx.table(&positions(n, d), &[n, d])?;
        let mut places = cx.binary(Binary::Mul, places, scale)?;
        if !cx.cx.is_training() {
            let share = cx.constant(&[share])?;
            places = cx.binary(Binary::Mul, places, share)?;
        } else if self.drawn_by.is_none() {
            // All of a window's numbers or none: dropped ones are scaled back to 1.
            let kept = cx.table(&[share], &[1])?;
            let kept = cx.in_every_row(kept, &[1])?;
            let kept = cx.dropped(kept, 1.0 - share)?;
            let kept = cx.pick(kept, &vec![0; n * d])?;
            let kept = cx.reshape(kept, &[n, d])?;
            places = cx.binary(Binary::Mul, kept, places)?;
        }
        cx.binary(Binary::Add, x, places)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("hidden_size", self.hidden_size),
            ("d_core", self.d_core),
            ("e_layers", self.e_layers),
            ("d_ff", self.d_ff),
        ])?;
        check_dropout("dropout", self.dropout)
    }
}

impl Build for Softs {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        self.build(cx, None)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        self.check()
    }
}

impl Build for SoftsSharp {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        self.plain().build(cx, Some(self.pe_keep_prob))
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        if self.hidden_size % 2 == 1 {
            return Err(ForecastError::option("hidden_size", self.hidden_size, "it must be even"));
        }
        if !(self.pe_keep_prob > 0.0 && self.pe_keep_prob <= 1.0) {
            return Err(ForecastError::option("pe_keep_prob", self.pe_keep_prob, "it must be above 0 and at most 1"));
        }
        self.plain().check()
    }
}
