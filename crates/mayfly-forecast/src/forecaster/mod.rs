//! Models, trained and at work: fit, predict, backtest, files.
mod at;
mod backtest;
mod conformal;
mod explain;
mod file;
mod fit;
mod fitted;
mod forecasts;
mod group;
mod hierarchy;
mod model;
mod network;
mod nf;
mod seen;
mod simulate;
mod steps;
mod watch;

pub use backtest::{Backtest, BacktestOptions, Refit};
pub use conformal::{Conformal, ConformalMethod};
pub use explain::{ExplainMethod, ExplainOptions, Explained, Explanation, Explanations, Importance, Input, InputKind};
pub use fit::{Forecaster, Report};
pub use fitted::Fitted;
pub use forecasts::{Forecasts, Outlook};
pub use hierarchy::{Hierarchy, Reconciliation};
pub use model::Model;
pub use simulate::{Dependence, Paths, SimulateOptions};
pub use watch::{Progress, Watch};
