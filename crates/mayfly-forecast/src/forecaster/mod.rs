//! Models, trained and at work: fit, predict, backtest, files.
mod at;
mod backtest;
mod columns;
mod conformal;
mod decompose;
mod ensemble;
mod explain;
mod file;
mod fit;
mod fitted;
mod forecasts;
mod group;
mod hierarchy;
mod insample;
mod local;
mod model;
mod network;
mod nf;
mod nf_columns;
mod nf_modes;
mod nf_series;
mod predict;
mod ridge;
mod seen;
mod simulate;
mod steps;
mod update;
mod watch;

pub use backtest::{Backtest, BacktestOptions, Refit};
pub use conformal::{Conformal, ConformalMethod};
pub use ensemble::Ensemble;
pub use explain::{
    ExplainMethod, ExplainOptions, Explained, Explanation, Explanations, Importance, Input, InputKind, InputWeights,
    Weights, WeightsOfForecast,
};
pub(crate) use fit::MOST;
pub use fit::{Forecaster, Report};
pub use fitted::Fitted;
pub use forecasts::{Forecasts, Outlook};
pub use hierarchy::{Hierarchy, Reconciliation};
pub use model::Model;
pub use simulate::{Dependence, Paths, SimulateOptions};
pub use update::{UpdateOptions, Updated};
pub use watch::{Progress, Watch};
