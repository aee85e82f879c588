//! What forecasts are made of: how much of each comes from every value of the past, every exogenous column at every time.
mod chain;
mod explanations;
mod inputs;
mod integrate;
mod options;
mod permute;
mod run;
mod subject;
mod summary;
mod table;
mod weights;

pub use explanations::{Explained, Explanation, Explanations};
pub use inputs::{Input, InputKind};
pub use options::{ExplainMethod, ExplainOptions};
pub use summary::Importance;
pub use weights::{InputWeights, Weights, WeightsOfForecast};
