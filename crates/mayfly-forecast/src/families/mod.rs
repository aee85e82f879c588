//! Families of networks: one table, one file a family.
mod bases;
mod bitcn;
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
mod transformer;
mod vanilla;

pub use bases::TrendBasis;
pub use bitcn::BiTcn;
pub use block::Activation;
pub use common::Common;
pub use cx::{Dense, ForecastCx, Known, Look};
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
pub use transformer::FeedForward;
pub use vanilla::VanillaTransformer;

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
    /// Columns known to the cutoff.
    pub hist: bool,
    /// Columns known over the horizon.
    pub futr: bool,
    /// Columns that a series has once.
    pub stat: bool,
}

impl Takes {
    /// The past of the series alone.
    const PAST: Takes = Takes { input_mask: false, hist: false, futr: false, stat: false };
    /// Exogenous columns of every kind.
    const ALL: Takes = Takes { input_mask: false, hist: true, futr: true, stat: true };

    /// The same, and which of its inputs are there.
    const fn and_mask(self) -> Takes {
        Takes { input_mask: true, ..self }
    }

    /// The kinds of exogenous columns, as the options of the command line call them.
    pub fn kinds(self) -> Vec<&'static str> {
        [("hist", self.hist), ("futr", self.futr), ("static", self.stat)]
            .into_iter()
            .filter_map(|(kind, taken)| taken.then_some(kind))
            .collect()
    }
}

/// Every family that there is.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "DLinear",
        paper: "Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?",
        takes: Takes::PAST,
        defaults: Common::b,
        settings: settings::of::<DLinear>,
    },
    Family {
        name: "NLinear",
        paper: "Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?",
        takes: Takes::PAST,
        defaults: Common::b,
        settings: settings::of::<NLinear>,
    },
    Family {
        name: "MLP",
        paper: "Rosenblatt 1958, The Perceptron; as in NeuralForecast",
        takes: Takes::ALL,
        defaults: Common::a,
        settings: settings::of::<Mlp>,
    },
    Family {
        name: "NHITS",
        paper: "Challu et al. 2023, N-HiTS: Neural Hierarchical Interpolation for Time Series Forecasting",
        takes: Takes::ALL.and_mask(),
        defaults: Common::a3,
        settings: settings::of::<Nhits>,
    },
    Family {
        name: "NBEATS",
        paper: "Oreshkin et al. 2020, N-BEATS: Neural basis expansion analysis for interpretable time series forecasting",
        takes: Takes::PAST.and_mask(),
        defaults: Common::a3,
        settings: settings::of::<Nbeats>,
    },
    Family {
        name: "NBEATSx",
        paper: "Olivares et al. 2022, Neural basis expansion analysis with exogenous variables: Forecasting electricity prices with NBEATSx",
        takes: Takes::ALL.and_mask(),
        defaults: Common::a3,
        settings: settings::of::<Nbeatsx>,
    },
    Family {
        name: "TiDE",
        paper: "Das et al. 2023, Long-term Forecasting with TiDE: Time-series Dense Encoder",
        takes: Takes::ALL,
        defaults: Common::a,
        settings: settings::of::<Tide>,
    },
    Family {
        name: "DeepNPTS",
        paper: "Rangapuram et al. 2023, Deep Non-Parametric Time Series Forecaster",
        takes: Takes::ALL,
        defaults: || Common { scaler_type: Scaler::Standard, ..Common::a3() },
        settings: settings::of::<DeepNpts>,
    },
    Family {
        name: "RNN",
        paper: "Elman 1990, Finding Structure in Time; as in NeuralForecast",
        takes: Takes::ALL,
        defaults: Common::r,
        settings: settings::of::<Rnn>,
    },
    Family {
        name: "LSTM",
        paper: "Hochreiter & Schmidhuber 1997, Long Short-Term Memory; as in NeuralForecast",
        takes: Takes::ALL,
        defaults: Common::r,
        settings: settings::of::<Lstm>,
    },
    Family {
        name: "GRU",
        paper: "Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation; as in NeuralForecast",
        takes: Takes::ALL,
        defaults: Common::r,
        settings: settings::of::<Gru>,
    },
    Family {
        name: "TCN",
        paper: "Bai et al. 2018, An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling",
        takes: Takes::ALL,
        defaults: Common::r,
        settings: settings::of::<Tcn>,
    },
    Family {
        name: "BiTCN",
        paper: "Sprangers et al. 2023, Parameter-Efficient Deep Probabilistic Forecasting",
        takes: Takes::ALL,
        defaults: Common::a,
        settings: settings::of::<BiTcn>,
    },
    Family {
        name: "VanillaTransformer",
        paper: "Vaswani et al. 2017, Attention Is All You Need; in the form of Zhou et al. 2021",
        takes: Takes { futr: true, ..Takes::PAST },
        defaults: Common::b,
        settings: settings::of::<VanillaTransformer>,
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
