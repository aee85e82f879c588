//! Series in, forecasts with intervals out.
//!
//! ```no_run
//! use mayfly_forecast::{BASELINES, Forecaster, ForecastLoss, FrameOptions, Model, SeriesFrame};
//!
//! let frame = SeriesFrame::read("sales.csv", &FrameOptions::default())?; // unique_id, ds, y
//! let nhits = Model::new("NHITS")?.input_size(84).loss(ForecastLoss::intervals(&[80.0, 90.0]));
//! let mut forecaster = Forecaster::new(28).model(nhits).model(Model::new("DLinear")?).baselines(BASELINES);
//! let report = forecaster.fit(&frame, &mut ())?;
//! for (name, scores) in &report.baselines {
//!     println!("{name}: {scores:?}");
//! }
//! std::fs::write("forecasts.csv", forecaster.predict(None, None)?.to_csv()).ok();
//! forecaster.save("sales.mayfly")?;
//! # Ok::<(), mayfly_forecast::ForecastError>(())
//! ```
//!
//! - [`SeriesFrame`]: series of one frequency, checked and on their grids.
//! - [`FAMILIES`]: the networks that there are; a [`Model`] is one with its settings, by NeuralForecast's names.
//! - [`Forecaster`]: models and baselines side by side: [`fit`](Forecaster::fit), [`predict`](Forecaster::predict), [`cross_validation`](Forecaster::cross_validation), files.
//! - [`BASELINES`]: what every network has to beat.
#![forbid(unsafe_code)]

#[cfg(feature = "auto")]
mod auto;
mod baselines;
pub mod calendar;
mod error;
mod families;
mod forecaster;
mod frame;
#[cfg(test)]
mod golden;
mod losses;
mod metrics;
mod names;
mod normal;
mod windows;

#[cfg(feature = "auto")]
pub use auto::{AutoOptions, AutoReport, Range, Search, Space, Trial};
pub use baselines::{BASELINES, Baseline, Ets, EtsForm, EtsWeights, Normal};
pub use calendar::{Freq, Stamp, TimeFeature, Zone};
pub use error::{ForecastError, Result};
pub use families::{
    Activation, Autoformer, Backbone, BiTcn, Build, CellActivation, Choice, ChoiceKind, ChoiceSizes, Common, DLinear,
    DeepNpts, Dense, DilatedCell, DilatedRnn, DownSampling, Encoder, FAMILIES, Family, FedFormer, FeedForward,
    ForecastCx, Given, Gpt2, GptAct, Gru, HiddenSize, ITransformer, Informer, Interpolation, Kan, Known, Look, Lstm,
    Mlp, MlpMultivariate, ModeSelect, NLinear, Nbeats, Nbeatsx, Nhits, PatchTst, Pooling, Pretrained, Prompter, RMoK,
    Ridge, Rnn, Settings, Softs, SoftsSharp, StackType, StemGnn, Takes, Tcn, Tft, TftCell, Tide, TimeLlm, TimeMixer,
    TimeXer, TimesNet, TrendBasis, TsMixer, TsMixerx, VanillaTransformer, Wavelet, XLinear, XLstm,
};
pub use forecaster::{
    Backtest, BacktestOptions, Conformal, ConformalMethod, Dependence, Ensemble, ExplainMethod, ExplainOptions,
    Explained, Explanation, Explanations, Fitted, Forecaster, Forecasts, Hierarchy, Importance, Input, InputKind,
    InputWeights, Model, Outlook, Paths, Progress, Reconciliation, Refit, Report, SimulateOptions, UpdateOptions,
    Updated, Watch, Weights, WeightsOfForecast,
};
pub use frame::{
    Appended, Category, Columns, Duplicates, Exogenous, Fill, FrameOptions, LocalScaler, Series, SeriesFrame, Table,
};
pub use losses::{Distribution, DistributionLoss, ForecastLoss, Mixture, Spread};
pub use metrics::Scores;
pub use windows::{Scaler, WindowList, WindowSpec};
