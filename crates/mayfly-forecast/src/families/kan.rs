//! KAN: layers whose edges are splines, beside a layer of SiLU (Liu et al. 2024).
use super::block::check_counts;
use super::cx::ForecastCx;
use super::settings::{self, Build};
use super::spline::BSplines;
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId, Shape};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Units of the hidden layers: of all, or of each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HiddenSize {
    /// Of every hidden layer.
    All(usize),
    /// Of each.
    Each(Vec<usize>),
}

/// KAN's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kan {
    /// Pieces of the splines' grid.
    pub grid_size: usize,
    /// Degree of the splines.
    pub spline_order: usize,
    /// How far the splines' coefficients start from 0.
    pub scale_noise: f32,
    /// Scale of the start of the layer of SiLU.
    pub scale_base: f32,
    /// Scale of the start of the splines.
    pub scale_spline: f32,
    /// Ends of the grid. Splines are 0 beyond.
    pub grid_range: [f32; 2],
    /// Hidden layers.
    pub n_hidden_layers: usize,
    /// Their units.
    pub hidden_size: HiddenSize,
}

impl Default for Kan {
    fn default() -> Self {
        Kan {
            grid_size: 5,
            spline_order: 3,
            scale_noise: 0.1,
            scale_base: 1.0,
            scale_spline: 1.0,
            grid_range: [-1.0, 1.0],
            n_hidden_layers: 1,
            hidden_size: HiddenSize::All(512),
        }
    }
}

impl Build for Kan {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let mut y = cx.flat(cx.x)?;
        let hidden = match &self.hidden_size {
            HiddenSize::All(units) => vec![*units; self.n_hidden_layers],
            HiddenSize::Each(units) => units.clone(),
        };
        for (i, units) in hidden.into_iter().chain([cx.len()]).enumerate() {
            y = self.layer(cx, &format!("layers.{i}"), y, units)?;
        }
        Ok(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[("grid_size", self.grid_size), ("n_hidden_layers", self.n_hidden_layers)])?;
        let units = match &self.hidden_size {
            HiddenSize::All(units) => std::slice::from_ref(units),
            HiddenSize::Each(units) if units.len() == self.n_hidden_layers => &units[..],
            HiddenSize::Each(units) => {
                let want = format!("a number for each of the {} n_hidden_layers is needed", self.n_hidden_layers);
                return Err(ForecastError::option("hidden_size", format!("{units:?}"), want));
            }
        };
        if units.contains(&0) {
            return Err(ForecastError::option("hidden_size", 0, "it must be at least 1"));
        }
        if self.spline_order > BSplines::MOST {
            let want = format!("it must be at most {}", BSplines::MOST);
            return Err(ForecastError::option("spline_order", self.spline_order, want));
        }
        let [low, high] = self.grid_range;
        match low < high && (high - low).is_finite() {
            true => Ok(()),
            false => Err(ForecastError::option("grid_range", format!("[{low}, {high}]"), "the first must be less")),
        }
    }
}

impl Kan {
    fn layer(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, units: usize) -> mayfly_nn::Result<NodeId> {
        let n = cx.width(x)?;
        let splines = BSplines::new(self.grid_range, self.grid_size, self.spline_order);
        let k = splines.count();
        // Kaiming's start with a slope of √5 times the scale.
        let uniform = |scale: f32| {
            let limit = (6.0 / ((1.0 + 5.0 * scale * scale) * n.max(1) as f32)).sqrt();
            Init::Uniform { min: -limit, max: limit }
        };
        let base = cx.weight(&format!("{name}.base_weight"), &[units, n], uniform(self.scale_base))?;
        // NeuralForecast fits splines to noise at the grid's points, uniform within half of scale_noise / grid_size; coefficients of this deviation are like theirs.
        let noise = Init::Normal { deviation: 0.3 * self.scale_noise / self.grid_size as f32 };
        let weight = cx.weight(&format!("{name}.spline_weight"), &[units, n, k], noise)?;
        let scaler = cx.weight(&format!("{name}.spline_scaler"), &[units, n], uniform(self.scale_spline))?;

        let silu = cx.act(x, Act::Silu)?;
        let first = cx.linear(silu, base, None)?;
        let bases = cx.cx.graph().custom(Arc::new(splines), &[x])?;
        let bases = cx.reshape(bases, &[n * k])?;
        let scaler = cx.spread(scaler, k)?;
        let weight = cx.binary(Binary::Mul, weight, scaler)?;
        let weight = cx.cx.graph().reshape(weight, Shape::fixed(&[units, n * k])?)?;
        let second = cx.linear(bases, weight, None)?;
        cx.binary(Binary::Add, first, second)
    }
}
