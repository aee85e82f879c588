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

/// Whether the file must have the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// For prediction: targets are neither needed nor read.
    Inputs,
    /// For training and evaluation.
    InputsAndTargets,
}

/// What to do about columns that the encoder was not fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExtraColumns {
    /// They are an error: the file may not be what it is taken for.
    #[default]
    Refuse,
    /// They are skipped.
    Ignore,
}

/// How to fit an [`Encoder`](super::Encoder). The default finds the target and the task out, standardises, and imputes.
#[derive(Debug, Clone, Default)]
pub struct FitOptions {
    /// The target columns by name; found out when empty.
    pub targets: Vec<String>,
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
    /// Columns that say which row it is: no inputs either.
    pub identifiers: Vec<String>,
    /// Of two classes the one that is looked for, by its label: it becomes the second, and figures are told of it.
    pub positive: Option<String>,
    /// Which rows are for training: only they count for means, deviations and frequencies.
    pub split: Split,
}
