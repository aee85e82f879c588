//! The options of `mayfly train`.
use crate::support::data::{FileArgs, one_or_many};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use mayfly_format::data::Task as TargetTask;
use mayfly_nn::tabular::{ClassWeights, ColumnUse, TrainOptions};
use mayfly_nn::{Activation, Schedule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub const TRAIN_EXAMPLES: &str = "\
Examples:
  mayfly train data/iris.csv --target class -o iris.mayfly --plot curve.svg
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

impl TrainArgs {
    /// What is asked for, in the library's words. All decisions are the library's.
    pub fn options(&self) -> Result<TrainOptions> {
        Ok(TrainOptions {
            test: self.test.clone(),
            file: self.files.options()?,
            target: self.target.clone(),
            ignore: self.ignore.clone(),
            id: self.id.clone(),
            kinds: self.kinds.iter().map(|text| kind(text)).collect::<Result<_>>()?,
            positive: self.positive.clone(),
            task: self.task.and_then(Task::of_target),
            missing: self.files.policy()?.unwrap_or_default(),
            stream: self.stream,
            from: self.from.clone(),
            hidden: self.hidden.clone(),
            conv: self.conv.clone().unwrap_or_default(),
            activation: activation(self.activation.as_deref())?,
            output_activation: activation(self.output_activation.as_deref())?,
            dropout: self.dropout,
            algorithm: self.algorithm.clone(),
            max_neurons: self.max_neurons,
            epochs: self.epochs,
            batch: self.batch,
            lr: self.lr,
            schedule: self.schedule.map(|name| Schedule::by_name(name.in_the_library())).transpose()?,
            weight_decay: self.weight_decay,
            desired_error: self.desired_error,
            class_weights: self.class_weights.as_deref().map(class_weights).transpose()?,
            patience: self.patience,
            seed: self.seed,
            threads: self.threads.unwrap_or(0),
        })
    }
}

impl Task {
    fn of_target(self) -> Option<TargetTask> {
        match self {
            Task::Auto => None,
            Task::Classify => Some(TargetTask::Classify),
            Task::Regress => Some(TargetTask::Regress),
        }
    }
}

impl ScheduleName {
    fn in_the_library(self) -> &'static str {
        match self {
            ScheduleName::Constant => "constant",
            ScheduleName::Plateau => "plateau",
            ScheduleName::Cosine => "cosine",
            ScheduleName::OneCycle => "one_cycle",
        }
    }
}

fn activation(name: Option<&str>) -> Result<Option<Activation>> {
    name.map(|n| n.parse::<Activation>().with_context(|| format!("the activation {n:?}"))).transpose()
}

fn kind(text: &str) -> Result<(String, ColumnUse)> {
    let (column, kind) = text.rsplit_once('=').with_context(|| format!("--kinds {text:?}: expected COLUMN=KIND"))?;
    let kind = match kind.trim().to_ascii_lowercase().as_str() {
        "number" | "numeric" => ColumnUse::Number,
        "category" | "categorical" | "class" => ColumnUse::Category,
        "date" | "text" => ColumnUse::Date,
        "ignore" => ColumnUse::Ignore,
        other => bail!("--kinds {text:?}: {other:?} is no kind; there are number, category, date and ignore"),
    };
    Ok((column.to_owned(), kind))
}

/// `balanced`, or `a=1,b=2`.
fn class_weights(text: &str) -> Result<ClassWeights> {
    if text == "balanced" {
        return Ok(ClassWeights::Balanced);
    }
    let weight = |part: &str| {
        let named = part.rsplit_once('=');
        let weight = named.and_then(|(class, weight)| Some((class.to_owned(), weight.trim().parse::<f32>().ok()?)));
        weight.with_context(|| {
            format!(
                "--class-weights {text}: {part:?} is no weight of a class; write balanced, or CLASS=WEIGHT,CLASS=WEIGHT"
            )
        })
    };
    Ok(ClassWeights::Of(text.split(',').map(weight).collect::<Result<BTreeMap<_, _>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::config::over_file;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TrainArgs,
    }

    fn parse(line: &[&str]) -> TrainArgs {
        Line::parse_from([&["train", "d.csv"], line].concat()).args
    }

    const LINE: &[&str] = &[
        "--test=t.csv",
        "--target=a,b",
        "--ignore=c",
        "--id=d",
        "--kinds=e=category,f=ignore",
        "--positive=yes",
        "--task=classify",
        "--hidden=8,4",
        "--conv=2",
        "--activation=tanh",
        "--output-activation=sigmoid",
        "--algorithm=sgd",
        "--max-neurons=7",
        "--epochs=9",
        "--batch=0",
        "--lr=0.1",
        "--schedule=one-cycle",
        "--weight-decay=0.2",
        "--dropout=0.3",
        "--desired-error=0.4",
        "--class-weights=yes=2,no=0.5",
        "--from=m.mayfly",
        "--seed=5",
        "--patience=0",
        "--threads=2",
        "--stream",
        "--no-header",
        "--delimiter=tab",
        "--decimal=comma",
        "--missing=drop,-999",
        "--npz-keys=x,y",
        "--labels=l.gz",
    ];

    const FILE: &str = r#"
        test = "t.csv"
        target = ["a", "b"]
        ignore = "c"
        id = ["d"]
        kinds = "e=category,f=ignore"
        positive = "yes"
        task = "classify"
        hidden = [8, 4]
        conv = [2]
        activation = "tanh"
        output_activation = "sigmoid"
        algorithm = "sgd"
        max_neurons = 7
        epochs = 9
        batch = 0
        lr = 0.1
        schedule = "one-cycle"
        weight_decay = 0.2
        dropout = 0.3
        desired_error = 0.4
        class_weights = "yes=2,no=0.5"
        from = "m.mayfly"
        seed = 5
        patience = 0
        threads = 2
        stream = true
        no_header = true
        delimiter = "tab"
        decimal = "comma"
        missing = ["drop", "-999"]
        npz_keys = ["x", "y"]
        labels = "l.gz"
    "#;

    /// Every option says something to the library, and says the same in a file.
    #[test]
    fn every_option_reaches_the_library() {
        let options = parse(LINE).options().unwrap();
        assert_eq!(over_file(&parse(&[]), FILE).unwrap().options().unwrap(), options);
        assert_eq!(
            over_file(&parse(LINE), "seed = 8\nheader = true\nstream = false\n").unwrap().options().unwrap(),
            options
        );
        let json = |options: &TrainOptions| serde_json::to_value(options).unwrap();
        let (said, silent) = (json(&options), json(&TrainOptions::default()));
        for (name, value) in silent.as_object().unwrap() {
            assert_ne!(said[name], *value, "{name}");
        }
        for (name, value) in silent["file"].as_object().unwrap() {
            assert_ne!(said["file"][name], *value, "{name}");
        }
        assert_eq!(parse(&[]).options().unwrap(), TrainOptions::default());
    }

    #[test]
    fn the_options_of_the_library_are_read_back_as_they_were_written() {
        let options = TrainOptions { desired_error: Some(f64::INFINITY), ..parse(LINE).options().unwrap() };
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<TrainOptions>(&text).unwrap(), options, "{text}");
        assert!(serde_json::from_str::<TrainOptions>("{\"epoks\": 3}").is_err());
    }
}
