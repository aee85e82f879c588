//! What can be asked of a training.
use super::FileOptions;
use crate::activation::Activation;
use crate::schedule::Schedule;
use mayfly_format::data::{ColumnKind, MissingPolicy, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is asked of a training from a data file. What is not said is chosen from the data; the default says nothing.
///
/// `mayfly train` has an option of the same name for every field.
///
/// ```
/// use mayfly_nn::tabular::TrainOptions;
/// let options = TrainOptions { target: vec!["species".into()], hidden: Some(vec![16]), ..TrainOptions::default() };
/// options.check()?;
/// let nonsense = TrainOptions { max_neurons: Some(5), ..options };
/// assert!(nonsense.check().unwrap_err().to_string().contains("`max_neurons` goes with `algorithm` cascade"));
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainOptions {
    /// A file of test rows; without it a fifth of the rows is held out.
    pub test: Option<PathBuf>,
    /// How the files are read.
    pub file: FileOptions,
    /// Columns to predict: by default the only one called target, class, label or y, else the last.
    pub target: Vec<String>,
    /// Columns to leave out.
    pub ignore: Vec<String>,
    /// Columns that say which row it is: left out too.
    pub id: Vec<String>,
    /// What columns hold, where it is not to be found out.
    pub kinds: BTreeMap<String, ColumnUse>,
    /// Of two classes the one that is looked for: precision and recall are told of it.
    pub positive: Option<String>,
    /// What is to be predicted; found out from the target column by default.
    pub task: Option<Task>,
    /// What happens to a row with a missing value.
    pub missing: MissingPolicy,
    /// Whether rows are read from the file in every epoch instead of being held in memory; larger files than 4 GiB always are.
    pub stream: bool,
    /// A model file to go on with, that was trained from a data file: its columns, its layers and its weights.
    pub from: Option<PathBuf>,
    /// Neurons of the hidden layers; none, or 0, for no such layer. By default 64 and 32, or 32 for FANN's algorithms.
    pub hidden: Option<Vec<usize>>,
    /// For images: channels of 3×3 convolutions before the hidden layers, each followed by a 2×2 maximum.
    pub conv: Vec<usize>,
    /// Activation of the hidden layers.
    pub activation: Option<Activation>,
    /// Activation of the outputs: by default softmax for classes, none for numbers.
    pub output_activation: Option<Activation>,
    /// Share of activations dropped in training.
    #[serde(with = "crate::bits::number::option")]
    pub dropout: Option<f32>,
    /// One of [`Algorithm::NAMES`](crate::Algorithm::NAMES), or `cascade`; adamw by default.
    pub algorithm: Option<String>,
    /// Hidden neurons that cascade training adds at most; 30 by default.
    pub max_neurons: Option<usize>,
    /// Passes over the training rows at most; 300 by default.
    pub epochs: Option<usize>,
    /// Rows of a mini-batch, 0 for all of them; by default a fiftieth of the rows, but 8 to 64.
    pub batch: Option<usize>,
    /// Learning rate; by default the algorithm's own.
    #[serde(with = "crate::bits::number::option")]
    pub lr: Option<f32>,
    /// How the learning rate changes: by default [`plateau`](Schedule::by_name), or not at all for FANN's algorithms.
    pub schedule: Option<Schedule>,
    /// Decoupled weight decay of adamw; 0.3 by default.
    #[serde(with = "crate::bits::number::option")]
    pub weight_decay: Option<f32>,
    /// Training stops when the mean square error of the training rows (of targets as the network sees them) is at most this.
    #[serde(with = "crate::bits::number::option")]
    pub desired_error: Option<f64>,
    /// How much the rows of each class count; all the same by default.
    pub class_weights: Option<ClassWeights>,
    /// Epochs without improvement before training stops, 0 to never stop early; 30 by default, never for FANN's algorithms.
    pub patience: Option<usize>,
    /// Seed of everything random: by default 1, or that of the model to go on with.
    pub seed: Option<u64>,
    /// Threads, 0 for all cores; the result is the same at any number.
    pub threads: usize,
}

/// What a column of a table is used as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnUse {
    /// A number.
    Number,
    /// One of several names.
    Category,
    /// A date or free text, which no network takes.
    Date,
    /// Nothing.
    Ignore,
}

/// How much the rows of each class count.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// Every class as much as any other, however many rows it has.
    Balanced,
    /// By the names of the classes; the others weigh 1.
    Of(BTreeMap<String, f32>),
}

impl ColumnUse {
    /// As files are opened; none for a column that is left out.
    pub(super) fn kind(self) -> Option<ColumnKind> {
        match self {
            ColumnUse::Number => Some(ColumnKind::Numeric),
            ColumnUse::Category => Some(ColumnKind::Categorical),
            ColumnUse::Date => Some(ColumnKind::Text),
            ColumnUse::Ignore => None,
        }
    }
}
