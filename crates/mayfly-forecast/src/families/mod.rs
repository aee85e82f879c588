//! Families of networks: one table, one file a family.
mod common;
mod cx;
mod dlinear;
mod layer;
mod mlp;
mod nhits;
mod nlinear;
mod settings;

pub use common::Common;
pub use cx::ForecastCx;
pub use dlinear::DLinear;
pub(crate) use layer::{PLACE, Use, spec};
pub use mlp::Mlp;
pub use nhits::{Activation, Interpolation, Nhits, Pooling};
pub use nlinear::NLinear;
pub(crate) use settings::merge;
pub use settings::{Build, Settings};

use crate::error::{ForecastError, Result};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A family: all that the rest of the crate knows of it.
pub struct Family {
    /// As NeuralForecast's class is called; `--models` takes it in any case.
    pub name: &'static str,
    /// Where it was described.
    pub paper: &'static str,
    /// What it takes besides the series' own past.
    pub takes: Takes,
    /// NeuralForecast's defaults of the settings that all families have.
    pub defaults: fn() -> Common,
    /// Its own settings from JSON by NeuralForecast's names; those that are not given have their defaults.
    pub settings: fn(&Map<String, Value>) -> Result<Arc<dyn Build>>,
}

/// What a family takes besides the past of its series.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Takes {
    /// Whether it reads which of its inputs are there.
    pub input_mask: bool,
}

/// Every family that there is.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "DLinear",
        paper: "Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?",
        takes: Takes { input_mask: false },
        defaults: Common::b,
        settings: settings::of::<DLinear>,
    },
    Family {
        name: "NLinear",
        paper: "Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?",
        takes: Takes { input_mask: false },
        defaults: Common::b,
        settings: settings::of::<NLinear>,
    },
    Family {
        name: "MLP",
        paper: "Rosenblatt 1958, The Perceptron; as in NeuralForecast",
        takes: Takes { input_mask: false },
        defaults: Common::a,
        settings: settings::of::<Mlp>,
    },
    Family {
        name: "NHITS",
        paper: "Challu et al. 2023, N-HiTS: Neural Hierarchical Interpolation for Time Series Forecasting",
        takes: Takes { input_mask: true },
        defaults: Common::a3,
        settings: settings::of::<Nhits>,
    },
];

impl Family {
    /// The family of this name, in any case.
    ///
    /// # Errors
    /// A name that no family has.
    pub fn by_name(name: &str) -> Result<&'static Family> {
        let found = FAMILIES.iter().find(|family| family.name.eq_ignore_ascii_case(name.trim()));
        let known: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        found.ok_or_else(|| ForecastError::unknown("family of models", name, &known))
    }
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
