//! Families of networks: one table, one file a family.
mod autoformer;
mod bases;
mod bitcn;
mod block;
mod cell;
mod common;
mod cx;
mod decoder;
mod deepar;
mod deepnpts;
mod delays;
mod dilatedrnn;
mod dlinear;
mod drawn;
mod embedding;
mod fedformer;
mod implicit;
mod informer;
mod itransformer;
mod kan;
mod layer;
mod llm;
mod mlp;
mod mlpmultivariate;
mod modes;
mod moves;
mod nbeats;
mod nhits;
mod nlinear;
mod norm;
mod parts;
mod patchtst;
mod periods;
mod recurrent;
mod ridge;
mod rmok;
mod settings;
mod softs;
mod sparse;
mod spline;
mod states;
mod stemgnn;
mod tcn;
mod tft;
mod tide;
mod timellm;
mod timemixer;
mod timesnet;
mod timexer;
mod torch;
mod transformer;
mod tsmixer;
mod tsmixerx;
mod vanilla;
mod xlinear;
mod xlstm;

pub use autoformer::Autoformer;
pub use bases::TrendBasis;
pub use bitcn::BiTcn;
pub use block::Activation;
pub use common::Common;
pub use cx::{Dense, ForecastCx, Known, Look};
pub use deepar::DeepAr;
pub use deepnpts::DeepNpts;
pub use dilatedrnn::{DilatedCell, DilatedRnn};
pub use dlinear::DLinear;
pub(crate) use embedding::{Vocabularies, embedded};
pub use fedformer::{FedFormer, ModeSelect};
pub(crate) use implicit::Implicit;
pub use informer::Informer;
pub use itransformer::ITransformer;
pub use kan::{HiddenSize, Kan};
pub(crate) use layer::{PLACE, STATES, Use, spec};
pub use llm::{Gpt2, GptAct, Prompter};
pub use mlp::Mlp;
pub use mlpmultivariate::MlpMultivariate;
pub use nbeats::{Nbeats, Nbeatsx, StackType};
pub use nhits::{Interpolation, Nhits, Pooling};
pub use nlinear::NLinear;
pub use patchtst::PatchTst;
pub use recurrent::{CellActivation, Encoder, Gru, Lstm, Rnn};
pub use ridge::Ridge;
pub use rmok::{RMoK, Wavelet};
pub use settings::{Build, Choice, ChoiceKind, ChoiceSizes, Given, Pretrained, Settings};
pub(crate) use settings::{as_json, merge};
pub use softs::{Softs, SoftsSharp};
pub use stemgnn::StemGnn;
pub use tcn::Tcn;
pub use tft::{Tft, TftCell};
pub use tide::Tide;
pub use timellm::TimeLlm;
pub use timemixer::{DownSampling, TimeMixer};
pub use timesnet::TimesNet;
pub use timexer::TimeXer;
pub(crate) use torch::torch_parameter;
pub use transformer::FeedForward;
pub use tsmixer::TsMixer;
pub use tsmixerx::TsMixerx;
pub use vanilla::VanillaTransformer;
pub use xlinear::XLinear;
pub use xlstm::{Backbone, XLstm};

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
    /// Whether such columns may be categories.
    pub cat: bool,
    /// All series at once, which are those it was trained on and end together.
    pub multivariate: bool,
}

impl Takes {
    /// The past of the series alone.
    const PAST: Takes =
        Takes { input_mask: false, hist: false, futr: false, stat: false, cat: false, multivariate: false };
    /// Exogenous columns of every kind, numbers and categories.
    const ALL: Takes = Takes { hist: true, futr: true, stat: true, cat: true, ..Takes::PAST };
    /// What is known over the horizon, numbers and categories.
    const FUTR: Takes = Takes { futr: true, cat: true, ..Takes::PAST };

    /// The same, and which of its inputs are there.
    const fn and_mask(self) -> Takes {
        Takes { input_mask: true, ..self }
    }

    /// The same of all series at once.
    const fn together(self) -> Takes {
        Takes { multivariate: true, ..self }
    }

    /// The kinds of exogenous columns, as the options of the command line call them.
    pub fn kinds(self) -> Vec<&'static str> {
        [("hist", self.hist), ("futr", self.futr), ("static", self.stat), ("cat", self.cat)]
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
        name: "Ridge",
        paper: "Hoerl & Kennard 1970, Ridge Regression: Biased Estimation for Nonorthogonal Problems; NLinear's map in closed form",
        takes: Takes::PAST,
        defaults: || Common { max_steps: 1, ..Common::b() },
        settings: settings::of::<Ridge>,
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
        name: "DeepAR",
        paper: "Salinas et al. 2020, DeepAR: Probabilistic Forecasting with Autoregressive Recurrent Networks",
        takes: Takes::ALL,
        defaults: Common::a3,
        settings: settings::of::<DeepAr>,
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
        takes: Takes::FUTR,
        defaults: Common::b,
        settings: settings::of::<VanillaTransformer>,
    },
    Family {
        name: "KAN",
        paper: "Liu et al. 2024, KAN: Kolmogorov-Arnold Networks",
        takes: Takes::ALL,
        defaults: Common::a,
        settings: settings::of::<Kan>,
    },
    Family {
        name: "DilatedRNN",
        paper: "Chang et al. 2017, Dilated Recurrent Neural Networks",
        takes: Takes::ALL,
        defaults: || Common { num_lr_decays: 3, ..Common::r() },
        settings: settings::of::<DilatedRnn>,
    },
    Family {
        name: "xLSTM",
        paper: "Beck et al. 2024, xLSTM: Extended Long Short-Term Memory",
        takes: Takes::ALL,
        defaults: Common::r,
        settings: settings::of::<XLstm>,
    },
    Family {
        name: "PatchTST",
        paper: "Nie et al. 2023, A Time Series is Worth 64 Words: Long-term Forecasting with Transformers",
        takes: Takes::PAST,
        defaults: Common::b,
        settings: settings::of::<PatchTst>,
    },
    Family {
        name: "TFT",
        paper: "Lim et al. 2021, Temporal Fusion Transformers for interpretable multi-horizon time series forecasting",
        takes: Takes { cat: false, ..Takes::ALL },
        defaults: || Common { scaler_type: Scaler::Robust, ..Common::a() },
        settings: settings::of::<Tft>,
    },
    Family {
        name: "Informer",
        paper: "Zhou et al. 2021, Informer: Beyond Efficient Transformer for Long Sequence Time-Series Forecasting",
        takes: Takes::FUTR,
        defaults: Common::b,
        settings: settings::of::<Informer>,
    },
    Family {
        name: "Autoformer",
        paper: "Wu et al. 2021, Autoformer: Decomposition Transformers with Auto-Correlation for Long-Term Series Forecasting",
        takes: Takes::FUTR,
        defaults: Common::b,
        settings: settings::of::<Autoformer>,
    },
    Family {
        name: "FEDformer",
        paper: "Zhou et al. 2022, FEDformer: Frequency Enhanced Decomposed Transformer for Long-term Series Forecasting",
        takes: Takes::FUTR,
        defaults: Common::b,
        settings: settings::of::<FedFormer>,
    },
    Family {
        name: "TimesNet",
        paper: "Wu et al. 2023, TimesNet: Temporal 2D-Variation Modeling for General Time Series Analysis",
        takes: Takes::FUTR,
        defaults: || Common {
            learning_rate: 1e-4,
            windows_batch_size: 64,
            scaler_type: Scaler::Standard,
            ..Common::a()
        },
        settings: settings::of::<TimesNet>,
    },
    Family {
        name: "TimeLLM",
        paper: "Jin et al. 2024, Time-LLM: Time Series Forecasting by Reprogramming Large Language Models",
        takes: Takes::PAST,
        defaults: || Common { max_steps: 5, learning_rate: 1e-4, ..Common::a() },
        settings: settings::of::<TimeLlm>,
    },
    Family {
        name: "MLPMultivariate",
        paper: "Rosenblatt 1958, The Perceptron; as in NeuralForecast",
        takes: Takes::ALL.together(),
        defaults: Common::c,
        settings: settings::of::<MlpMultivariate>,
    },
    Family {
        name: "TSMixer",
        paper: "Chen et al. 2023, TSMixer: An All-MLP Architecture for Time Series Forecasting",
        takes: Takes::PAST.together(),
        defaults: Common::c,
        settings: settings::of::<TsMixer>,
    },
    Family {
        name: "TSMixerx",
        paper: "Chen et al. 2023, TSMixer: An All-MLP Architecture for Time Series Forecasting",
        takes: Takes::ALL.together(),
        defaults: Common::c,
        settings: settings::of::<TsMixerx>,
    },
    Family {
        name: "iTransformer",
        paper: "Liu et al. 2024, iTransformer: Inverted Transformers Are Effective for Time Series Forecasting",
        takes: Takes { futr: true, ..Takes::PAST }.together(),
        defaults: Common::c,
        settings: settings::of::<ITransformer>,
    },
    Family {
        name: "SOFTS",
        paper: "Han et al. 2024, SOFTS: Efficient Multivariate Time Series Forecasting with Series-Core Fusion",
        takes: Takes::PAST.together(),
        defaults: Common::c,
        settings: settings::of::<Softs>,
    },
    Family {
        name: "SOFTSSharp",
        paper: "Han et al. 2024, SOFTS, with the number of each series; as in NeuralForecast",
        takes: Takes::PAST.together(),
        defaults: Common::c,
        settings: settings::of::<SoftsSharp>,
    },
    Family {
        name: "StemGNN",
        paper: "Cao et al. 2020, Spectral Temporal Graph Neural Network for Multivariate Time-series Forecasting",
        takes: Takes::PAST.together(),
        defaults: || Common { num_lr_decays: 3, scaler_type: Scaler::Robust, ..Common::c() },
        settings: settings::of::<StemGnn>,
    },
    Family {
        name: "TimeXer",
        paper: "Wang et al. 2024, TimeXer: Empowering Transformers for Time Series Forecasting with Exogenous Variables",
        takes: Takes { futr: false, ..Takes::ALL }.together(),
        defaults: Common::c,
        settings: settings::of::<TimeXer>,
    },
    Family {
        name: "TimeMixer",
        paper: "Wang et al. 2024, TimeMixer: Decomposable Multiscale Mixing for Time Series Forecasting",
        takes: Takes::PAST.together(),
        defaults: Common::c,
        settings: settings::of::<TimeMixer>,
    },
    Family {
        name: "XLinear",
        paper: "Chen et al. 2026, XLinear: A Lightweight and Accurate MLP-Based Model for Long-Term Time Series Forecasting with Exogenous Inputs",
        takes: Takes::ALL.together(),
        defaults: Common::c,
        settings: settings::of::<XLinear>,
    },
    Family {
        name: "RMoK",
        paper: "Han et al. 2024, KAN4TSF: Are KAN and KAN-based models Effective for Time Series Forecasting?",
        takes: Takes::PAST.together(),
        defaults: Common::c,
        settings: settings::of::<RMoK>,
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
