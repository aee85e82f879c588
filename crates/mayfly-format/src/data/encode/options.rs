//! What can be chosen when an encoder is fitted.

use serde::{Deserialize, Serialize};

use crate::data::split::Split;

/// How numbers are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// Not at all.
    None,
    /// (x − mean) / standard deviation, the population's.
    #[default]
    Standard,
    /// (x − min) / (max − min), which is 0 … 1.
    MinMax,
}

/// What happens to a row with a missing input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingPolicy {
    /// The mean, or the most frequent category, of the training rows stands in. A missing target is an error.
    #[default]
    Impute,
    /// The row is left out; also for a missing target.
    DropRow,
    /// It is an error.
    Error,
}

/// What the network is to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One of several classes.
    Classify,
    /// One or more numbers.
    Regress,
}

/// How to fit an [`Encoder`](super::Encoder). The default finds the target and the task out, standardises, and imputes.
#[derive(Debug, Clone, Default)]
pub struct FitOptions {
    /// The target columns by name; found out when empty.
    pub targets: Vec<String>,
    /// There are no target columns: every column is an input. For prediction with networks that came without an encoder.
    pub no_targets: bool,
    /// The task; found out when not given.
    pub task: Option<Task>,
    /// Scaling of numeric inputs.
    pub input_scaling: Scaling,
    /// Scaling of regression targets; FANN targets are never scaled.
    pub target_scaling: Scaling,
    /// What happens to missing inputs.
    pub missing: MissingPolicy,
    /// Columns that are not to be inputs.
    pub ignore: Vec<String>,
    /// Which rows are for training: only they count for means, deviations and frequencies.
    pub split: Split,
}
