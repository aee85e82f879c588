//! Families of networks: one table, one file a family.
mod bases;
mod block;
mod common;
mod cx;
mod decoder;
mod deepnpts;
mod dlinear;
mod layer;
mod mlp;
mod nbeats;
mod nhits;
mod nlinear;
mod recurrent;
mod settings;
mod tcn;
mod tide;

pub use bases::TrendBasis;
pub use block::Activation;
pub use common::Common;
pub use cx::{Dense, ForecastCx, Known};
pub use deepnpts::DeepNpts;
pub use dlinear::DLinear;
pub(crate) use layer::{PLACE, Use, spec};
pub use mlp::Mlp;
pub use nbeats::{Nbeats, Nbeatsx, StackType};
pub use nhits::{Interpolation, Nhits, Pooling};
pub use nlinear::NLinear;
pub use recurrent::{CellActivation, Encoder, Gru, Lstm, Rnn};
pub(crate) use settings::merge;
pub use settings::{Build, Settings};
pub use tcn::Tcn;
pub use tide::Tide;

use crate::error::{ForecastError, Result};
use crate::windows::Scaler;
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
    /// Whether it takes exogenous columns: known to the cutoff, known over the horizon, and static ones.
    pub exogenous: bool,
}

/// Every family that there is.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "DLinear",
        paper: "Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?",
        takes: Takes { input_mask: false, exogenous: false },
        defaults: Common::b,
        settings: settings::of::<DLinear>,
    },
    Family {
        name: "NLinear",
        paper: "Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?",
        takes: Takes { input_mask: false, exogenous: false },
        defaults: Common::b,
        settings: settings::of::<NLinear>,
    },
    Family {
        name: "MLP",
        paper: "Rosenblatt 1958, The Perceptron; as in NeuralForecast",
        takes: Takes { input_mask: false, exogenous: true },
        defaults: Common::a,
        settings: settings::of::<Mlp>,
    },
    Family {
        name: "NHITS",
        paper: "Challu et al. 2023, N-HiTS: Neural Hierarchical Interpolation for Time Series Forecasting",
        takes: Takes { input_mask: true, exogenous: true },
        defaults: Common::a3,
        settings: settings::of::<Nhits>,
    },
    Family {
        name: "NBEATS",
        paper: "Oreshkin et al. 2020, N-BEATS: Neural basis expansion analysis for interpretable time series forecasting",
        takes: Takes { input_mask: true, exogenous: false },
        defaults: Common::a3,
        settings: settings::of::<Nbeats>,
    },
    Family {
        name: "NBEATSx",
        paper: "Olivares et al. 2022, Neural basis expansion analysis with exogenous variables: Forecasting electricity prices with NBEATSx",
        takes: Takes { input_mask: true, exogenous: true },
        defaults: Common::a3,
        settings: settings::of::<Nbeatsx>,
    },
    Family {
        name: "TiDE",
        paper: "Das et al. 2023, Long-term Forecasting with TiDE: Time-series Dense Encoder",
        takes: Takes { input_mask: false, exogenous: true },
        defaults: Common::a,
        settings: settings::of::<Tide>,
    },
    Family {
        name: "DeepNPTS",
        paper: "Rangapuram et al. 2023, Deep Non-Parametric Time Series Forecaster",
        takes: Takes { input_mask: false, exogenous: true },
        defaults: || Common { scaler_type: Scaler::Standard, ..Common::a3() },
        settings: settings::of::<DeepNpts>,
    },
    Family {
        name: "RNN",
        paper: "Elman 1990, Finding Structure in Time; as in NeuralForecast",
        takes: Takes { input_mask: false, exogenous: true },
        defaults: Common::r,
        settings: settings::of::<Rnn>,
    },
    Family {
        name: "LSTM",
        paper: "Hochreiter & Schmidhuber 1997, Long Short-Term Memory; as in NeuralForecast",
        takes: Takes { input_mask: false, exogenous: true },
        defaults: Common::r,
        settings: settings::of::<Lstm>,
    },
    Family {
        name: "GRU",
        paper: "Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation; as in NeuralForecast",
        takes: Takes { input_mask: false, exogenous: true },
        defaults: Common::r,
        settings: settings::of::<Gru>,
    },
    Family {
        name: "TCN",
        paper: "Bai et al. 2018, An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling",
        takes: Takes { input_mask: false, exogenous: true },
        defaults: Common::r,
        settings: settings::of::<Tcn>,
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
