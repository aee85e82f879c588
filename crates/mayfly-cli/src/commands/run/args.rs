//! The options of `mayfly run`.
use crate::support::data::{FileArgs, one_or_many};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use mayfly_lifecycle::{Limits, MinScore, Purpose};
use mayfly_nn::Precision;
use mayfly_nn::tabular::TrainOptions;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

pub const RUN_EXAMPLES: &str = "\
Examples:
  mayfly run iris.csv --target class --input flowers.csv -o answers.csv
  mayfly run iris.csv --min-accuracy 0.9 --latency 50us --memory 64KiB --deadline 10s --certificate end.json
  mayfly run task.toml --input flowers.csv";

/// How memory is protected.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protect {
    /// As far as the system does it; what is missing is said
    #[default]
    Best,
    /// Wholly, or not at all
    Strict,
    /// Not at all
    Off,
}

/// How weights are kept.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// 32-bit floats
    F32,
    /// 16-bit floats with the exponent range of f32
    Bf16,
    /// 8-bit integers, one scale per output
    Int8,
}

#[derive(Args, Debug)]
pub struct RunArgs {
    /// Rows to learn from (files as for train), or a task: a .toml file with `data` and any of these options
    pub task: PathBuf,
    #[command(flatten)]
    pub options: RunOptions,
}

/// What can stand in a task, under the same names with underscores.
#[derive(Args, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    #[arg(skip)]
    pub data: Option<PathBuf>,
    /// Columns to predict (default: the only one called target, class, label or y, else the last)
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    #[serde(deserialize_with = "one_or_many")]
    pub target: Vec<String>,
    /// Columns to leave out
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    #[serde(deserialize_with = "one_or_many")]
    pub ignore: Vec<String>,
    /// Rows to answer, with the columns of the rows to learn from
    #[arg(long, value_name = "ROWS")]
    pub input: Option<PathBuf>,
    /// Write the answers to a CSV file; - is standard output, which is where they go without this
    #[arg(short, long, value_name = "OUT.csv", requires = "input")]
    pub output: Option<PathBuf>,
    /// Write what is left in the end, the certificate, to a file
    #[arg(long, value_name = "OUT.json")]
    pub certificate: Option<PathBuf>,
    /// The longest that an answer may take, in the middle: 50us, 2ms
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub latency: Option<String>,
    /// The most memory that the network may take: 64KiB, 2MiB
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub memory: Option<String>,
    /// How long building may take: 10s, 5m
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub deadline: Option<String>,
    /// The least share of held-out rows whose class is named right, 0 to 1; the smallest network that reaches it is taken
    #[arg(long, value_name = "SHARE", conflicts_with = "min_r2", help_heading = "Limits")]
    pub min_accuracy: Option<f64>,
    /// For numbers: the least R² on held-out rows; the smallest network that reaches it is taken
    #[arg(long, value_name = "R2", conflicts_with = "min_accuracy", help_heading = "Limits")]
    pub min_r2: Option<f64>,
    /// How weights are kept [default: f32]
    #[arg(long, value_enum)]
    pub weights: Option<Weights>,
    /// How memory is protected from swap, core files and forks [default: best]
    #[arg(long, value_enum)]
    pub protect: Option<Protect>,
    /// Neurons of the hidden layers; 0 for none [default: tried from small to large]
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    pub hidden: Option<Vec<usize>>,
    /// Seed of everything random [default: 1]
    #[arg(long)]
    pub seed: Option<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    pub files: FileArgs,
}

impl RunOptions {
    /// What the library is to build from these rows.
    pub fn purpose(&self, data: PathBuf) -> Result<Purpose> {
        let options = TrainOptions {
            file: self.files.options()?,
            target: self.target.clone(),
            ignore: self.ignore.clone(),
            missing: self.files.policy()?.unwrap_or_default(),
            hidden: self.hidden.clone(),
            seed: self.seed,
            ..TrainOptions::default()
        };
        let time = |name, text: &Option<String>| text.as_deref().map(|text| time(name, text)).transpose();
        let limits = Limits {
            latency: time("--latency", &self.latency)?,
            deadline: time("--deadline", &self.deadline)?,
            memory_bytes: self.memory.as_deref().map(size).transpose()?,
            min_score: self.min_accuracy.map(MinScore::Accuracy).or(self.min_r2.map(MinScore::R2)),
            precision: match self.weights {
                None | Some(Weights::F32) => Precision::F32,
                Some(Weights::Bf16) => Precision::Bf16,
                Some(Weights::Int8) => Precision::Int8,
            },
        };
        if self.min_accuracy.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            bail!("--min-accuracy is a share between 0 and 1");
        }
        Ok(Purpose { data, options, limits })
    }
}

/// A number and a unit.
fn parted(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

fn time(name: &str, text: &str) -> Result<Duration> {
    let (number, unit) = parted(text);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => bail!("{name} {text:?}: expected a number with a unit: ns, us, ms, s, m or h"),
    };
    let number: f64 = number.parse().with_context(|| format!("{name} {text:?}"))?;
    Duration::try_from_secs_f64(number * seconds).with_context(|| format!("{name} {text:?}"))
}

fn size(text: &str) -> Result<usize> {
    let (number, unit) = parted(text);
    let bytes = match unit {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "k" | "K" | "KiB" => 1024.0,
        "M" | "MiB" => 1048576.0,
        "G" | "GiB" => 1073741824.0,
        _ => bail!("--memory {text:?}: expected a number of bytes, or one with a unit: kB, KiB, MB, MiB, GB or GiB"),
    };
    let number: f64 = number.parse().with_context(|| format!("--memory {text:?}"))?;
    Ok((number * bytes) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(time("--latency", "50us").unwrap(), Duration::from_micros(50));
        assert_eq!(time("--latency", "1.5 ms").unwrap(), Duration::from_micros(1500));
        assert_eq!(time("--deadline", "2m").unwrap(), Duration::from_secs(120));
        assert_eq!((size("64KiB").unwrap(), size("1.5 MB").unwrap(), size("100").unwrap()), (65536, 1_500_000, 100));
        for bad in ["", "10", "s", "-1s", "1e99h", "ten s"] {
            assert!(time("--deadline", bad).is_err(), "{bad:?}");
        }
        assert!(size("x").is_err() && size("5 potatoes").is_err());
    }
}
