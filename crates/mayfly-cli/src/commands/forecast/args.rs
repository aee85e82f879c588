//! The options of `mayfly forecast`.
use crate::support::data::TextArgs;
use crate::support::exit::Usage;
use anyhow::Result;
use clap::{Args, Subcommand};
use mayfly_forecast::{Exogenous, Forecaster, FrameOptions};
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  mayfly forecast train sales.csv --h 28 --models nhits,dlinear -o sales.mayfly
  mayfly forecast train AirPassengers.csv --h 12 --level 80,90 --plot fit.svg -o air.mayfly";

const AUTO: &str = "\
Every trial is a training that is measured on the last --val values of each series. What is searched are the ranges of
NeuralForecast's Auto models, without settings that are given by options or --config. Ranges of one's own, in --space FILE.toml:

  [NHITS]
  learning_rate = { log = [1e-4, 1e-2] }
  max_steps = { int = [200, 1000, 100] }
  scaler_type = { choice = [\"robust\", \"standard\"] }
  input_size_multiplier = { choice = [2, 3, 4] }   # horizons of the past

Examples:
  mayfly forecast auto sales.csv --h 28 --models nhits,mlp --samples 20 --log search.jsonl -o sales.mayfly";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  mayfly forecast explain air.mayfly
  mayfly forecast explain air.mayfly --steps 1,12 --plot why.svg
  mayfly forecast explain sales.mayfly --futr plan.csv --ids shop1 --models nhits -o why.csv";

#[derive(Subcommand, Debug)]
pub enum ForecastCommand {
    /// Train models on series and measure them beside baselines
    #[command(after_help = EXAMPLES)]
    Train(Box<TrainArgs>),
    /// Forecast what comes next
    Predict(Box<PredictArgs>),
    /// Backtest: forecast the past from what lay before, beside baselines
    Cv(Box<CvArgs>),
    /// Find settings by trying, and train the best
    #[command(after_help = AUTO)]
    Auto(Box<AutoArgs>),
    /// Append new values to the series of a trained model, and train on if asked
    Update(Box<UpdateArgs>),
    /// Draw the forecasts of a trained model
    Plot(PlotArgs),
    /// Say what forecasts are made of: how much comes from each value of the past and each column
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Box<ExplainArgs>),
    /// Take over models that NeuralForecast saved
    Import {
        /// A folder that NeuralForecast.save of version 3.3 or later wrote
        folder: PathBuf,
        /// Where the models go
        #[arg(short, long, value_name = "MODEL")]
        output: PathBuf,
    },
    /// List the families of models, or the settings of one
    #[command(visible_alias = "list")]
    Models {
        /// A family
        name: Option<String>,
    },
}

/// Which columns a table of series has, and what becomes of what is odd in it.
#[derive(Args, Debug, Default)]
pub struct SeriesArgs {
    /// The column that names the series [default: unique_id; without it the table is one series]
    #[arg(long, value_name = "COLUMN", help_heading = "Series")]
    pub id: Option<String>,
    /// The column of times [default: ds; in a table of two columns the first]
    #[arg(long, value_name = "COLUMN", help_heading = "Series")]
    pub time: Option<String>,
    /// The column of values [default: y; in a table of two columns the second]
    #[arg(long, value_name = "COLUMN", help_heading = "Series")]
    pub target: Option<String>,
    /// The column that says how much each value counts in training, 0 or more [default: sample_weight, if there is one]
    #[arg(long, value_name = "COLUMN", help_heading = "Series")]
    pub weight: Option<String>,
    /// The column whose rows of 0 are to be taken for unknown [default: available_mask, if there is one]
    #[arg(long, value_name = "COLUMN", help_heading = "Series")]
    pub available: Option<String>,
    /// Step between values: s, min, h, D, B, W-MON, MS, ME, QS, QE, YS, YE, multiples such as 15min, or a whole number [default: found out]
    #[arg(long, value_name = "FREQ", help_heading = "Series")]
    pub freq: Option<String>,
    /// Whose clock the times are, such as Europe/Berlin: steps of hours and less then count in universal time, longer ones on that clock [default: a clock without daylight saving]
    #[arg(long, value_name = "ZONE", help_heading = "Series")]
    pub tz: Option<String>,
    /// Every column but the times is a series
    #[arg(long, conflicts_with_all = ["id", "target", "weight", "available"], help_heading = "Series")]
    pub wide: bool,
    /// What becomes of missing values: mask, linear, forward or zero [default: an error]
    #[arg(long, value_name = "HOW", help_heading = "Series")]
    pub fill: Option<String>,
    /// What becomes of rows with the same series and time: sum, mean or last [default: an error]
    #[arg(long, value_name = "HOW", help_heading = "Series")]
    pub duplicates: Option<String>,
    /// Leave out series that are too short instead of failing
    #[arg(long, help_heading = "Series")]
    pub skip_short: bool,
    /// Take series that end early for unknown up to the last time of all, as multivariate models need it
    #[arg(long, help_heading = "Series")]
    pub align: bool,
    #[command(flatten)]
    pub text: TextArgs,
}

/// Exogenous columns of a table of series.
#[derive(Args, Debug, Default)]
pub struct ExogenousArgs {
    /// Columns that are known up to the forecast: what sensors measured, what others sold
    #[arg(long, value_name = "COLUMN,COLUMN", value_delimiter = ',', help_heading = "Exogenous columns")]
    pub hist: Vec<String>,
    /// Columns that are known over the horizon as well: prices that are set, holidays, weather forecasts
    #[arg(long, value_name = "COLUMN,COLUMN", value_delimiter = ',', help_heading = "Exogenous columns")]
    pub futr: Vec<String>,
    /// What the calendar says, as further columns that are known over the horizon: month, monthday, weekday, yearday, yearweek, dayhour, hourminute, minutesecond
    /// [without names: those that fit the frequency]
    #[arg(
        long,
        value_name = "NAME,NAME",
        value_delimiter = ',',
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "auto",
        help_heading = "Exogenous columns"
    )]
    pub calendar: Vec<String>,
    /// A table with a row for each series: its id, and numbers that do not change with time
    #[arg(long = "static", value_name = "FILE", help_heading = "Exogenous columns")]
    pub statics: Option<PathBuf>,
    /// Which of all these columns are categories: text, or whole numbers of which no order is known
    #[arg(long, value_name = "COLUMN,COLUMN", value_delimiter = ',', help_heading = "Exogenous columns")]
    pub cat: Vec<String>,
}

impl ExogenousArgs {
    /// The columns that a forecaster was trained with.
    pub fn trained(forecaster: &Forecaster, statics: Option<PathBuf>) -> ExogenousArgs {
        let Exogenous { hist, futr, stat, calendar, categories } = forecaster.exogenous().cloned().unwrap_or_default();
        let of_calendar = |name: &String| calendar.iter().any(|feature| feature.name() == name);
        // What the calendar says is no column of a table.
        let futr = futr.into_iter().filter(|name| !of_calendar(name)).collect();
        let calendar = calendar.iter().map(ToString::to_string).collect();
        // Without their table static columns are missing as a whole, which is said elsewhere.
        let is_missing = |name: &String| statics.is_none() && stat.contains(name);
        let cat = categories.into_iter().map(|category| category.name).filter(|name| !is_missing(name)).collect();
        ExogenousArgs { hist, futr, calendar, statics, cat }
    }
}

impl SeriesArgs {
    /// For the library.
    pub fn options(&self) -> Result<FrameOptions> {
        if self.text.policy()?.is_some() {
            let what = "--missing: what becomes of missing values of series says --fill: mask, linear, forward or zero";
            return Err(Usage(what.into()).into());
        }
        Ok(FrameOptions {
            id: self.id.clone(),
            time: self.time.clone(),
            target: self.target.clone(),
            weight: self.weight.clone(),
            available: self.available.clone(),
            freq: self.freq.as_deref().map(str::parse).transpose()?,
            tz: self.tz.as_deref().map(str::parse).transpose()?,
            duplicates: self.duplicates.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
            fill: self.fill.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
            skip_short: self.skip_short,
            wide: self.wide,
            file: self.text.options()?,
            ..FrameOptions::default()
        })
    }

    /// Refuses options that say how a table is read where there is none: of the columns of `--futr` only its form as a text can be told.
    pub fn check_unread(&self, has_futr: bool) -> Result<()> {
        let text = !has_futr;
        let given = [
            ("--id", self.id.is_some()),
            ("--time", self.time.is_some()),
            ("--target", self.target.is_some()),
            ("--weight", self.weight.is_some()),
            ("--available", self.available.is_some()),
            ("--freq", self.freq.is_some()),
            ("--tz", self.tz.is_some()),
            ("--wide", self.wide),
            ("--fill", self.fill.is_some()),
            ("--duplicates", self.duplicates.is_some()),
            ("--skip-short", self.skip_short),
            ("--align", self.align),
            ("--header", text && self.text.header),
            ("--no-header", text && self.text.no_header),
            ("--delimiter", text && self.text.delimiter.is_some()),
            ("--decimal", text && self.text.decimal.is_some()),
            ("--missing", text && !self.text.missing.is_empty()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Usage(format!(
                "{name} says how a table of series is read, and none is: the series are those that the model keeps. Name the table, DATA, or drop {name}"
            ))
            .into()),
            None => Ok(()),
        }
    }
}

/// Which models, and how they are trained.
#[derive(Args, Debug)]
pub struct ModelArgs {
    /// Steps to forecast
    #[arg(long, value_name = "N")]
    pub h: usize,
    /// Families of models, or all; mayfly forecast models lists them
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "NHITS,DLinear")]
    pub models: Vec<String>,
    /// Values of the past that models see [default: three horizons]
    #[arg(long, value_name = "N")]
    pub input_size: Option<usize>,
    /// mae, mse, rmse, mape, smape, mase:SEASON, fredf, huber:DELTA, tukey; quantile:Q, huberq:Q; mq, hubermq, iq, huberiq (the median and intervals);
    /// normal, studentt, poisson, negativebinomial, bernoulli, tweedie:POWER, isqf, pmm:N, gmm:N, nbmm:N (a distribution, with its intervals)
    /// [default: the family's: mae, and studentt of DeepAR]
    #[arg(long, value_name = "LOSS")]
    pub loss: Option<String>,
    /// Intervals that hold so many per cent
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub level: Vec<f64>,
    /// What intervals are made of, unless the loss has them: quantiles of the forecast and its errors in a backtest (distribution), or of the errors alone (error)
    /// [default: distribution]
    #[arg(long, value_name = "HOW", requires = "level")]
    pub intervals: Option<String>,
    /// Cutoffs of that backtest, a value apart [default: 12]
    #[arg(long, value_name = "N", requires = "level")]
    pub interval_windows: Option<usize>,
    /// One forecast from those of all models beside them: mean, median, or weighted by what their errors on the held-out values were
    #[arg(long, value_name = "HOW")]
    pub ensemble: Option<String>,
    /// Values at the end of each series to choose the best weights by; 0 for none [default: train: a horizon; cv: 0]
    #[arg(long, value_name = "N")]
    pub val: Option<usize>,
    /// Steps of training [default: the family's]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// A network for each series instead of one for all; it forecasts these series alone
    #[arg(long)]
    pub local: bool,
    /// What each window is scaled by: identity, standard, robust, minmax, minmax1, invariant or revin [default: the family's]
    #[arg(long, value_name = "NAME")]
    pub scaler: Option<String>,
    /// What each whole series is scaled by before its windows are, for series of very different sizes: standard, robust, robust-iqr or minmax [default: nothing]
    #[arg(long, value_name = "NAME")]
    pub local_scaler: Option<String>,
    /// Validations without a lower loss before training stops [default: never]
    #[arg(long, value_name = "N")]
    pub patience: Option<usize>,
    /// Values after which series repeat themselves, for the seasonal baselines and MASE [default: by the frequency]
    #[arg(long, value_name = "N")]
    pub season: Option<usize>,
    /// Baselines to measure beside, or none
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "all")]
    pub baselines: Vec<String>,
    /// Settings by NeuralForecast's names from a TOML file: at its top for all models, in tables such as [NHITS] for one
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// What the file of settings says, once it was read: a pipe cannot be read twice
    #[arg(skip)]
    pub settings: OnceCell<Map<String, Value>>,
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads; the result is the same at any number [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Series that add up.
#[derive(Args, Debug, Default)]
pub struct HierarchyArgs {
    /// Make the forecasts add up: a table with a row for every series and a column for every bottom series, with how often it is contained (Nixtla's S_df)
    #[arg(long, value_name = "FILE", help_heading = "Hierarchy")]
    pub hierarchy: Option<PathBuf>,
    /// How: BottomUp, MinTraceOLS, MinTraceWLS or Identity
    #[arg(long, value_name = "METHOD", default_value = "BottomUp", requires = "hierarchy", help_heading = "Hierarchy")]
    pub reconcile: String,
}

#[derive(Args, Debug)]
pub struct TrainArgs {
    /// A table of series: .csv or .parquet, a row a value; - is standard input
    pub data: PathBuf,
    #[command(flatten)]
    pub models: ModelArgs,
    /// Where the models go [default: the data's name]
    #[arg(short, long, value_name = "MODEL")]
    pub output: Option<PathBuf>,
    /// Draw the forecasts of what was held out as an SVG file
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Keep no values of the series in the file; predict then needs data
    #[arg(long)]
    pub no_tails: bool,
    #[command(flatten)]
    pub exogenous: ExogenousArgs,
    #[command(flatten)]
    pub series: SeriesArgs,
}

#[derive(Args, Debug)]
pub struct AutoArgs {
    #[command(flatten)]
    pub train: TrainArgs,
    /// Settings to try for each model
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Search")]
    pub samples: usize,
    /// How they are chosen: tpe (by what came of those before), random, or halving (the best of many short trainings get longer ones)
    #[arg(long, value_name = "HOW", default_value = "tpe", help_heading = "Search")]
    pub search: String,
    /// Begin no trial after so many minutes
    #[arg(long, value_name = "M", help_heading = "Search")]
    pub minutes: Option<f64>,
    /// Ranges of settings from a TOML file, a table a model
    #[arg(long, value_name = "FILE.toml", help_heading = "Search")]
    pub space: Option<PathBuf>,
    /// Write every trial down as a line of JSON; a search that was broken off goes on from there
    #[arg(long, value_name = "FILE.jsonl", help_heading = "Search")]
    pub log: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct PredictArgs {
    /// A file that mayfly forecast train wrote
    pub model: PathBuf,
    /// Series to go on with [default: those it was trained on]; - is standard input
    pub data: Option<PathBuf>,
    /// Steps to forecast [default: as trained]
    #[arg(long, value_name = "N")]
    pub h: Option<usize>,
    /// What the columns known over the horizon will be: series, times and those columns
    #[arg(long, value_name = "FILE")]
    pub futr: Option<PathBuf>,
    /// A table with a row for each series of DATA, where the models were trained with static columns
    #[arg(long = "static", value_name = "FILE", requires = "data")]
    pub statics: Option<PathBuf>,
    /// Write the forecasts to a CSV file; - is standard output, which is where they go without this
    #[arg(short, long, value_name = "OUT.csv")]
    pub output: Option<PathBuf>,
    /// For NBEATS, NBEATSx and NHITS what the point forecast is the sum of besides: the level, and a column for each stack
    #[arg(long, conflicts_with_all = ["paths", "hierarchy"])]
    pub decompose: bool,
    /// Draw so many paths of the future instead, a row for each series, path and step
    #[arg(long, value_name = "N", conflicts_with = "hierarchy", help_heading = "Paths")]
    pub paths: Option<usize>,
    /// How the steps of a path go together: gaussian_copula, or schaake_shuffle as in the past of DATA
    #[arg(long, value_name = "HOW", default_value = "gaussian_copula", requires = "paths", help_heading = "Paths")]
    pub dependence: String,
    /// Seed of the paths
    #[arg(long, value_name = "N", default_value_t = 1, requires = "paths", help_heading = "Paths")]
    pub seed: u64,
    #[command(flatten)]
    pub hierarchy: HierarchyArgs,
    #[command(flatten)]
    pub series: SeriesArgs,
}

#[derive(Args, Debug)]
pub struct CvArgs {
    /// A table of series: .csv or .parquet, a row a value; - is standard input
    pub data: PathBuf,
    #[command(flatten)]
    pub models: ModelArgs,
    /// Cutoffs of each series
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub windows: usize,
    /// Values between two cutoffs [default: a horizon]
    #[arg(long, value_name = "N")]
    pub step: Option<usize>,
    /// Train again before every so many cutoffs [default: once]
    #[arg(long, value_name = "N")]
    pub refit: Option<usize>,
    /// Write the forecasts to a CSV file
    #[arg(short, long, value_name = "OUT.csv")]
    pub output: Option<PathBuf>,
    /// Draw worst, median and best series as an SVG file
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    #[command(flatten)]
    pub hierarchy: HierarchyArgs,
    #[command(flatten)]
    pub exogenous: ExogenousArgs,
    #[command(flatten)]
    pub series: SeriesArgs,
}

#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// A file that mayfly forecast train wrote
    pub model: PathBuf,
    /// New rows of the series; rows at times that the model keeps replace them. - is standard input
    pub data: PathBuf,
    /// Where the updated model goes [default: it replaces MODEL]
    #[arg(short, long, value_name = "MODEL")]
    pub output: Option<PathBuf>,
    /// Steps that each model trains on for, from the weights it has: on what it keeps of each series and the new rows, or on whole series if DATA has them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub steps: usize,
    /// A table with a row for each series of DATA, where the models were trained with static columns
    #[arg(long = "static", value_name = "FILE")]
    pub statics: Option<PathBuf>,
    #[command(flatten)]
    pub series: SeriesArgs,
}

#[derive(Args, Debug)]
pub struct PlotArgs {
    /// A file that mayfly forecast train wrote
    pub model: PathBuf,
    /// The picture
    #[arg(short, long, value_name = "FILE.svg")]
    pub output: PathBuf,
    /// Series to draw [default: the first three]
    #[arg(long, value_name = "ID,ID", value_delimiter = ',')]
    pub ids: Vec<String>,
    /// Steps to forecast [default: as trained]
    #[arg(long, value_name = "N")]
    pub h: Option<usize>,
    /// What the columns known over the horizon will be: series, times and those columns
    #[arg(long, value_name = "FILE")]
    pub futr: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A file that mayfly forecast train wrote
    pub model: PathBuf,
    /// Series whose forecasts are explained [default: those it was trained on]; - is standard input
    pub data: Option<PathBuf>,
    /// What the columns known over the horizon will be: series, times and those columns
    #[arg(long, value_name = "FILE")]
    pub futr: Option<PathBuf>,
    /// A table with a row for each series of DATA, where the models were trained with static columns
    #[arg(long = "static", value_name = "FILE", requires = "data")]
    pub statics: Option<PathBuf>,
    /// Series to explain [default: all]
    #[arg(long, value_name = "ID,ID", value_delimiter = ',')]
    pub ids: Vec<String>,
    /// Models to explain [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub models: Vec<String>,
    /// Steps of the forecast to explain, from 1 [default: all]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub steps: Vec<usize>,
    /// integrated_gradients (adds up to the forecast), input_x_gradient, permutation (asks nothing of a model), or weights (what TFT says it looks at)
    #[arg(long, value_name = "METHOD", default_value = "integrated_gradients")]
    pub method: String,
    /// Points of integrated gradients [default: 64, and up to 1,024 until no more than a thousandth is missing]
    #[arg(long, value_name = "N")]
    pub points: Option<usize>,
    /// Other values that permutation tries in the place of each input [default: 16]
    #[arg(long, value_name = "N")]
    pub draws: Option<usize>,
    /// Seed of permutation [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Write a row for every forecast and input to a CSV file; - is standard output. A summary is printed as well
    #[arg(short, long, value_name = "OUT.csv")]
    pub output: Option<PathBuf>,
    /// Draw the explanations of the first three series as an SVG file
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    #[command(flatten)]
    pub series: SeriesArgs,
}
