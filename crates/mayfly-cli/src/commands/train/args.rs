//! The options of `mayfly train`.
use crate::support::data::{FileArgs, one_or_many};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub const TRAIN_EXAMPLES: &str = "\
Examples:
  mayfly train data/iris.csv --target species -o iris.mayfly --plot curve.svg
  mayfly train mushroom.train --test mushroom.test --algorithm rprop --hidden 32 --epochs 100
  mayfly train two-spiral.train --algorithm cascade";

/// What is to be predicted.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Found out from the target column
    #[default]
    Auto,
    /// One of several classes
    Classify,
    /// Numbers
    Regress,
}

/// How the learning rate changes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// It stays
    Constant,
    /// A third of it whenever the loss has not fallen for eight epochs
    Plateau,
    /// Along half a cosine to zero at the last epoch
    Cosine,
    /// Up for three tenths of the epochs, then down to almost nothing
    OneCycle,
}

/// Every option can also stand in the file given by --config, under the same name with underscores.
#[derive(Args, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainArgs {
    /// Training data: .csv, .tsv, .parquet, FANN .train/.data, IDX (.gz), .npy or .npz
    #[serde(skip)]
    pub data: PathBuf,
    /// Test data; without it a part of the training rows is held out
    #[arg(long, value_name = "DATA")]
    pub test: Option<PathBuf>,
    /// Columns to predict (default: the only one called target, class, label or y, else the last)
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    #[serde(deserialize_with = "one_or_many")]
    pub target: Vec<String>,
    /// Columns to leave out
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    #[serde(deserialize_with = "one_or_many")]
    pub ignore: Vec<String>,
    /// Columns that say which row it is: left out too
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', help_heading = "Reading data")]
    #[serde(deserialize_with = "one_or_many")]
    pub id: Vec<String>,
    /// What columns hold, where it is not to be found out: number, category, date or ignore
    #[arg(long, value_name = "COLUMN=KIND,…", value_delimiter = ',', help_heading = "Reading data")]
    #[serde(deserialize_with = "one_or_many")]
    pub kinds: Vec<String>,
    /// Of two classes the one that is looked for: precision and recall are told of it
    #[arg(long, value_name = "CLASS")]
    pub positive: Option<String>,
    /// What is to be predicted [default: auto]
    #[arg(long, value_enum)]
    pub task: Option<Task>,
    /// Neurons of the hidden layers; 0 for none [default: chosen from the data]
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    pub hidden: Option<Vec<usize>>,
    /// For images: channels of 3×3 convolutions before the hidden layers, each followed by a 2×2 maximum
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    pub conv: Option<Vec<usize>>,
    /// Activation of the hidden layers
    #[arg(long, value_name = "NAME")]
    pub activation: Option<String>,
    /// Activation of the outputs [default: softmax for classes, linear for numbers]
    #[arg(long, value_name = "NAME")]
    pub output_activation: Option<String>,
    /// adam, adamw, sgd, rmsprop, adagrad, lion, rprop, quickprop, sarprop, incremental, batch or cascade [default: adamw]
    #[arg(long, value_name = "NAME")]
    pub algorithm: Option<String>,
    /// Hidden neurons that cascade training adds at most [default: 30]
    #[arg(long, value_name = "N")]
    pub max_neurons: Option<usize>,
    /// Passes over the training data at most
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Rows of a mini-batch; 0 for all of them
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Learning rate
    #[arg(long, value_name = "X")]
    pub lr: Option<f32>,
    /// How the learning rate changes over the epochs [default: plateau; constant for FANN's algorithms]
    #[arg(long, value_enum)]
    pub schedule: Option<ScheduleName>,
    /// Decoupled weight decay of adamw [default: 0.3]
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f32>,
    /// Share of activations dropped in training
    #[arg(long, value_name = "P")]
    pub dropout: Option<f32>,
    /// Stop when the mean square error of the training rows (of targets as the network sees them) is at most this
    #[arg(long, value_name = "X")]
    pub desired_error: Option<f64>,
    /// How much the rows of each class count: balanced, or CLASS=WEIGHT,CLASS=WEIGHT (1 for the others)
    #[arg(long, value_name = "WEIGHTS")]
    pub class_weights: Option<String>,
    /// Go on with a network that mayfly train stored: its columns, its layers and its weights
    #[arg(long, value_name = "MODEL")]
    pub from: Option<PathBuf>,
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Epochs without improvement before stopping; 0 to never stop early
    #[arg(long, value_name = "N")]
    pub patience: Option<usize>,
    /// Threads; the result is the same at any number [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Read the rows from the file in every epoch instead of holding them in memory; larger files than 4 GiB always are
    #[arg(long)]
    pub stream: bool,
    /// Where the model goes
    #[arg(short, long, value_name = "MODEL")]
    pub output: Option<PathBuf>,
    /// Draw the training curve as an SVG file
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Options from a TOML file; those on the command line win
    #[arg(long, value_name = "FILE.toml")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    pub files: FileArgs,
}

fn either(given: Vec<String>, file: Vec<String>) -> Vec<String> {
    if given.is_empty() { file } else { given }
}

impl TrainArgs {
    /// Fills what was not given on the command line from `file`.
    pub fn or(self, file: TrainArgs) -> TrainArgs {
        TrainArgs {
            data: self.data,
            test: self.test.or(file.test),
            target: either(self.target, file.target),
            ignore: either(self.ignore, file.ignore),
            id: either(self.id, file.id),
            kinds: either(self.kinds, file.kinds),
            positive: self.positive.or(file.positive),
            task: self.task.or(file.task),
            hidden: self.hidden.or(file.hidden),
            conv: self.conv.or(file.conv),
            activation: self.activation.or(file.activation),
            output_activation: self.output_activation.or(file.output_activation),
            algorithm: self.algorithm.or(file.algorithm),
            max_neurons: self.max_neurons.or(file.max_neurons),
            epochs: self.epochs.or(file.epochs),
            batch: self.batch.or(file.batch),
            lr: self.lr.or(file.lr),
            schedule: self.schedule.or(file.schedule),
            weight_decay: self.weight_decay.or(file.weight_decay),
            dropout: self.dropout.or(file.dropout),
            desired_error: self.desired_error.or(file.desired_error),
            class_weights: self.class_weights.or(file.class_weights),
            from: self.from.or(file.from),
            seed: self.seed.or(file.seed),
            patience: self.patience.or(file.patience),
            threads: self.threads.or(file.threads),
            stream: self.stream || file.stream,
            output: self.output.or(file.output),
            plot: self.plot.or(file.plot),
            config: self.config,
            files: self.files.or(file.files),
        }
    }
}
