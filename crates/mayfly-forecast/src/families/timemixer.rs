//! TimeMixer: a window at several resolutions; seasons are mixed from fine to coarse, trends from coarse to fine (Wang et al. 2024).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::norm::{Affine, Moments};
use super::settings::{self, Build};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId, Pool2dSpec, PoolKind};
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a window becomes coarser.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DownSampling {
    /// By the mean of neighbours.
    #[default]
    Avg,
    /// By the largest of them.
    Max,
}

/// TimeMixer's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeMixer {
    /// Width of all vectors.
    pub d_model: usize,
    /// Units between the dense layers across a vector.
    pub d_ff: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Blocks.
    pub e_layers: usize,
    /// Values of the moving average that parts trend from season; an odd number.
    pub moving_avg: usize,
    /// 1 where series are looked at one by one, 0 where together.
    pub channel_independence: usize,
    /// Coarser windows besides the given one.
    pub down_sampling_layers: usize,
    /// Values that become one in the next coarser window; its powers divide the input size.
    pub down_sampling_window: usize,
    /// How they do.
    pub down_sampling_method: DownSampling,
    /// Whether every window of a series is brought to mean 0 and variance 1, and back.
    pub use_norm: bool,
}

impl Default for TimeMixer {
    fn default() -> Self {
        TimeMixer {
            d_model: 32,
            d_ff: 32,
            dropout: 0.1,
            e_layers: 4,
            moving_avg: 25,
            channel_independence: 0,
            down_sampling_layers: 1,
            down_sampling_window: 2,
            down_sampling_method: DownSampling::Avg,
            use_norm: true,
        }
    }
}

/// A resolution: `[batch, series, time]` normed, its trend where that is forecast apart, and vectors over time `[batch, width, time]`.
struct Scale {
    trend: Option<NodeId>,
    vectors: NodeId,
}

impl Build for TimeMixer {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let divisor =
            u32::try_from(self.down_sampling_layers).ok().and_then(|n| self.down_sampling_window.checked_pow(n));
        if !divisor.is_some_and(|divisor| cx.input_size.is_multiple_of(divisor)) {
            return Err(cx.refuse(format!(
                "{} values of the past for {} coarser windows; down_sampling_window to the power of down_sampling_layers must divide input_size",
                cx.input_size, self.down_sampling_layers
            )));
        }
        let (mut scales, moments) = self.scales(cx)?;
        for i in 0..self.e_layers {
            self.mixed(cx, &format!("pdm_blocks.{i}"), &mut scales)?;
        }
        let mut sum: Option<NodeId> = None;
        // The last layer is one for all resolutions.
        let units = if self.is_apart() { 1 } else { cx.series };
        let projection = cx.declare("projection_layer", self.d_model, units)?;
        for (i, scale) in scales.iter().enumerate() {
            let y = cx.dense(&format!("predict_layers.{i}"), scale.vectors, cx.h)?;
            let y = cx.transposed(y)?;
            let y = cx.apply(y, projection)?;
            let mut y = match self.is_apart() {
                true => {
                    let y = cx.unfold(y, cx.series)?;
                    cx.reshape(y, &[cx.series, cx.h])?
                }
                false => cx.transposed(y)?,
            };
            if let Some(trend) = scale.trend {
                let times = cx.width(trend)?;
                let rest = cx.dense(&format!("out_res_layers.{i}"), trend, times)?;
                let rest = cx.dense(&format!("regression_layers.{i}"), rest, cx.h)?;
                y = cx.binary(Binary::Add, y, rest)?;
            }
            sum = Some(match sum {
                Some(before) => cx.binary(Binary::Add, before, y)?,
                None => y,
            });
        }
        let mut y = sum.unwrap_or(cx.x);
        if let Some(moments) = moments {
            y = cx.restored(y, &moments)?;
        }
        self.outputs(cx, y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("d_model", self.d_model),
            ("d_ff", self.d_ff),
            ("e_layers", self.e_layers),
            ("down_sampling_layers", self.down_sampling_layers),
            ("down_sampling_window", self.down_sampling_window),
        ])?;
        if self.moving_avg.is_multiple_of(2) {
            return Err(ForecastError::option("moving_avg", self.moving_avg, "the number must be odd"));
        }
        if self.channel_independence > 1 {
            return Err(ForecastError::option("channel_independence", self.channel_independence, "it is 0 or 1"));
        }
        check_dropout("dropout", self.dropout)
    }
}

impl TimeMixer {
    /// Whether series are looked at one by one.
    fn is_apart(&self) -> bool {
        self.channel_independence == 1
    }

    /// The window at every resolution as vectors, and how to take the norm of the finest back.
    fn scales(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<(Vec<Scale>, Option<Moments>)> {
        let kind = if self.down_sampling_method == DownSampling::Avg { PoolKind::Avg } else { PoolKind::Max };
        let channels = if self.is_apart() { 1 } else { cx.series };
        let w = cx.circular_weight("enc_embedding.value_embedding.tokenConv", channels, self.d_model)?;
        let (mut x, mut first, mut scales) = (cx.x, None, Vec::new());
        for i in 0..=self.down_sampling_layers {
            if i > 0 {
                let (n, step) = (cx.width(x)?, self.down_sampling_window);
                let spec = Pool2dSpec { kind, kernel: [1, step], stride: [1, step], pad: [0; 4] };
                let pooled = cx.along_time(x, cx.series, n, spec)?;
                x = cx.reshape(pooled, &[cx.series, n / step])?;
            }
            let (weight, bias) =
                (format!("normalize_layers.{i}.affine_weight"), format!("normalize_layers.{i}.affine_bias"));
            let mut y = x;
            if self.use_norm {
                let (normed, moments) = cx.normalised(x, Some(Affine { weight: &weight, bias: &bias, rank: 1 }))?;
                y = normed;
                first.get_or_insert(moments);
            }
            let times = cx.width(y)?;
            let (trend, seen) = if self.is_apart() {
                let folded = cx.fold(y)?;
                (None, cx.reshape(folded, &[1, times])?)
            } else {
                let [trend, rest] = cx.decomposed(y, self.moving_avg)?;
                (Some(trend), rest)
            };
            let vectors = cx.ring_conv_of(seen, w, None, 1)?;
            scales.push(Scale { trend, vectors: cx.dropped(vectors, self.dropout)? });
        }
        Ok((scales, first))
    }

    /// A block: seasons from fine to coarse, trends from coarse to fine.
    fn mixed(&self, cx: &mut ForecastCx<'_, '_>, name: &str, scales: &mut [Scale]) -> mayfly_nn::Result<()> {
        let across = match self.is_apart() {
            true => None,
            false => Some(self.across(cx, &format!("{name}.cross_layer"))?),
        };
        let (mut seasons, mut trends) = (Vec::new(), Vec::new());
        for scale in scales.iter() {
            let [mut trend, mut season] = cx.decomposed(scale.vectors, self.moving_avg)?;
            if let Some(across) = across {
                season = self.crossed(cx, season, across)?;
                trend = self.crossed(cx, trend, across)?;
            }
            seasons.push(season);
            trends.push(trend);
        }
        let down = format!("{name}.mixing_multi_scale_season.down_sampling_layers");
        handed_on(cx, &down, &mut seasons)?;
        trends.reverse();
        handed_on(cx, &format!("{name}.mixing_multi_scale_trend.up_sampling_layers"), &mut trends)?;
        trends.reverse();
        let out = match self.is_apart() {
            true => Some(self.across(cx, &format!("{name}.out_cross_layer"))?),
            false => None,
        };
        for ((scale, season), trend) in scales.iter_mut().zip(seasons).zip(trends) {
            let sum = cx.binary(Binary::Add, season, trend)?;
            scale.vectors = match out {
                Some(out) => {
                    let more = self.crossed(cx, sum, out)?;
                    cx.binary(Binary::Add, scale.vectors, more)?
                }
                None => sum,
            };
        }
        Ok(())
    }

    /// Two dense layers across a vector.
    fn across(&self, cx: &mut ForecastCx<'_, '_>, name: &str) -> mayfly_nn::Result<[super::Dense; 2]> {
        let first = cx.declare(&format!("{name}.0"), self.d_model, self.d_ff)?;
        Ok([first, cx.declare(&format!("{name}.2"), self.d_ff, self.d_model)?])
    }

    /// Those layers on vectors over time, `[batch, width, time]`.
    fn crossed(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        x: NodeId,
        [first, second]: [super::Dense; 2],
    ) -> mayfly_nn::Result<NodeId> {
        let y = cx.transposed(x)?;
        let y = cx.apply(y, first)?;
        let y = cx.act(y, Act::Gelu)?;
        let y = cx.apply(y, second)?;
        cx.transposed(y)
    }

    /// `[batch, series, h]` as a row with all outputs of each step.
    fn outputs(&self, cx: &mut ForecastCx<'_, '_>, y: NodeId) -> mayfly_nn::Result<NodeId> {
        if cx.outputs == 1 {
            return cx.as_row(y);
        }
        let y = cx.transposed(y)?;
        let y = cx.dense("distr_output", y, cx.series * cx.outputs)?;
        let y = cx.reshape(y, &[cx.h, cx.series, cx.outputs])?;
        let y = cx.permuted(y, &[0, 2, 1, 3])?;
        cx.as_row(y)
    }
}

/// Each of a list gets what two layers along time make of the one before.
fn handed_on(cx: &mut ForecastCx<'_, '_>, name: &str, all: &mut [NodeId]) -> mayfly_nn::Result<()> {
    for i in 1..all.len() {
        let times = cx.width(all[i])?;
        let y = cx.dense(&format!("{name}.{}.0", i - 1), all[i - 1], times)?;
        let y = cx.act(y, Act::Gelu)?;
        let y = cx.dense(&format!("{name}.{}.2", i - 1), y, times)?;
        all[i] = cx.binary(Binary::Add, all[i], y)?;
    }
    Ok(())
}
