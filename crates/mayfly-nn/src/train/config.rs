//! The settings of a training.
use super::groups::ParamGroup;
use crate::algorithm::{Adam, Algorithm};
use crate::error::{NnError, Result};
use crate::loss::Loss;
use crate::schedule::Schedule;
use serde::{Deserialize, Serialize};

/// How a network is trained. [`TrainConfig::default`] is Adam on the mean square; [`TrainConfig::new`] goes by an algorithm; [`tabular::train`](crate::tabular::train) goes by the data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The algorithm with its own settings.
    pub algorithm: Algorithm,
    /// What is made small.
    pub loss: Loss,
    /// Passes over the data, at most.
    pub epochs: usize,
    /// Rows a step.
    pub batch: BatchRows,
    /// Whether each epoch sees the rows in another random order. A step an epoch needs none.
    pub shuffle: bool,
    /// Decides the order of rows, what is dropped, and noise.
    pub seed: u64,
    /// Threads; 0 for as many as the machine has. The result has the same bits at any number.
    pub threads: usize,
    /// Rows of a shard: what a thread works on at a time. The result depends on it. 0 chooses by the network.
    pub shard_rows: usize,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Gradients longer than this (as one vector) are shortened to it (Pascanu et al. 2013).
    #[serde(with = "crate::bits::number::option")]
    pub clip_norm: Option<f32>,
    /// Training stops after this many epochs without a lower loss: that of the validation rows, or without such the training's own. One that is not finite is never lower.
    pub patience: Option<usize>,
    /// A loss counts as lower when it is by more than this share of the best one.
    #[serde(with = "crate::bits::number")]
    pub min_delta: f64,
    /// Weights of the classes of one-hot targets, or of 0 and 1 for a single output; see [`balanced_class_weights`](crate::balanced_class_weights).
    pub class_weights: Option<Vec<f32>>,
    /// Parts of the network that are trained in their own way; all others as the algorithm says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<ParamGroup>,
    /// Training stops when this is reached.
    pub stop: Option<StopAt>,
}

/// Rows that go into one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchRows {
    /// All rows: a step an epoch.
    Full,
    /// This many; the last step of an epoch may have fewer.
    Rows(usize),
}

/// FANN's stop functions, on FANN's own figures of the epoch.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StopAt {
    /// The mean square error (halved differences for symmetric outputs) is at most this.
    Mse(#[serde(with = "crate::bits::number")] f64),
    /// At most `fails` outputs are off by `limit` or more.
    BitFail {
        /// From where on an output counts as failed.
        #[serde(with = "crate::bits::number")]
        limit: f32,
        /// How many may fail.
        fails: usize,
    },
}

/// FANN's default for what counts as a failed output.
pub(crate) const BIT_FAIL_LIMIT: f32 = 0.35;

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            algorithm: Algorithm::Adam(Adam::default()),
            loss: Loss::Mse,
            epochs: 100,
            batch: BatchRows::Rows(32),
            shuffle: true,
            seed: 1,
            threads: 0,
            shard_rows: 0,
            schedule: Schedule::Constant,
            clip_norm: None,
            patience: None,
            min_delta: 0.0,
            class_weights: None,
            groups: Vec::new(),
            stop: None,
        }
    }
}

impl TrainConfig {
    /// The settings that go with an algorithm: FANN's train on FANN's tanh error, a step an epoch (incremental: a step a row, in the order of the data);
    /// the others on the mean square in shuffled batches of 32 rows.
    pub fn new(algorithm: Algorithm) -> Self {
        let batch = match &algorithm {
            Algorithm::Incremental(_) => BatchRows::Rows(1),
            a if a.is_fann() => BatchRows::Full,
            _ => BatchRows::Rows(32),
        };
        TrainConfig {
            batch,
            loss: algorithm.default_loss(),
            shuffle: !algorithm.is_fann(),
            algorithm,
            ..TrainConfig::default()
        }
    }

    /// From which difference on an output counts as failed.
    pub(crate) fn bit_fail_limit(&self) -> f32 {
        match self.stop {
            Some(StopAt::BitFail { limit, .. }) => limit,
            _ => BIT_FAIL_LIMIT,
        }
    }

    /// Whether FANN's figures are needed.
    pub(crate) fn measures(&self) -> bool {
        self.stop.is_some()
            || (self.algorithm.is_fann() && !matches!(self.algorithm, Algorithm::Incremental(_)))
            || self.loss.sums_rows()
    }

    pub(crate) fn check(&self, target_len: usize) -> Result<()> {
        self.algorithm.check()?;
        self.loss.check()?;
        self.schedule.check()?;
        if self.batch == BatchRows::Rows(0) {
            return Err(NnError::option("batch", 0, "a step needs at least one row"));
        }
        if let Some(norm) = self.clip_norm.filter(|n| !(*n > 0.0)) {
            return Err(NnError::option("clip_norm", norm, "it must be positive"));
        }
        if !(self.min_delta >= 0.0) {
            return Err(NnError::option("min_delta", self.min_delta, "it must not be negative"));
        }
        match self.stop {
            Some(StopAt::Mse(limit)) if limit.is_nan() => {
                return Err(NnError::option("stop at mse", limit, "it must be a number"));
            }
            Some(StopAt::BitFail { limit, .. }) if !(limit >= 0.0) => {
                return Err(NnError::option("bit-fail limit", limit, "it must not be negative"));
            }
            _ => {}
        }
        self.check_class_weights(target_len)
    }

    fn check_class_weights(&self, target_len: usize) -> Result<()> {
        let Some(weights) = &self.class_weights else { return Ok(()) };
        let classes = if target_len == 1 { 2 } else { target_len };
        if weights.len() != classes || !weights.iter().all(|w| *w >= 0.0 && w.is_finite()) {
            return Err(NnError::option(
                "class_weights",
                format!("{weights:?}"),
                format!("{classes} numbers, none negative, are needed"),
            ));
        }
        Ok(())
    }
}
