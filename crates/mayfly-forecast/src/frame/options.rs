//! What is said about a table of series.
use crate::calendar::{Freq, TimeFeature, Zone};
use crate::error::{ForecastError, Result};
use mayfly_nn::tabular::FileOptions;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The columns of a table of series.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// Which series a row belongs to.
    pub id: String,
    /// When.
    pub time: String,
    /// The value.
    pub target: String,
}

/// What the exogenous columns are called, by when they are known.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exogenous {
    /// Known up to the cutoff of a forecast: sensors, sales of others.
    pub hist: Vec<String>,
    /// Known over the horizon as well: prices that are set, holidays, forecasts of the weather.
    pub futr: Vec<String>,
    /// One value a series: sizes, places.
    pub stat: Vec<String>,
    /// The last columns of `futr` that follow from the times.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calendar: Vec<TimeFeature>,
    /// Which of the columns are categories: the last of each kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
}

/// A column of categories.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// What the column is called.
    pub name: String,
    /// Its words. The first has the number 1; 0 is a word that is not among them.
    pub words: Vec<String>,
}

impl Exogenous {
    /// Those of a table of series, in the order of a row.
    pub(crate) fn all(&self) -> Vec<&str> {
        self.hist.iter().chain(&self.futr).map(String::as_str).collect()
    }

    /// Where the calendar begins among `futr`: behind the numbers of a table, before its categories.
    pub(crate) fn given(&self) -> usize {
        self.futr.len().saturating_sub(self.calendar.len() + self.categories_of(&self.futr).count())
    }

    /// Those of `futr` that a table has to tell: all but those that follow from the times.
    pub(crate) fn told(&self) -> impl Iterator<Item = &String> {
        let calendar = self.given()..self.given() + self.calendar.len();
        self.futr.iter().enumerate().filter(move |(at, _)| !calendar.contains(at)).map(|(_, name)| name)
    }

    /// The categories among these columns.
    pub(crate) fn categories_of<'a>(&'a self, columns: &'a [String]) -> impl Iterator<Item = &'a Category> + Clone {
        columns.iter().filter_map(|name| self.categories.iter().find(|category| category.name == *name))
    }

    /// Refuses names of a file that do not belong together.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        let places = self.futr.iter().skip(self.given()).map(String::as_str);
        if !places.take(self.calendar.len()).eq(self.calendar.iter().map(|feature| feature.name())) {
            return Err("the columns that follow from the times are not where they should be".into());
        }
        let kinds = [&self.hist, &self.futr, &self.stat];
        let count = |columns: &[String]| self.categories_of(columns).count();
        let are_last = kinds.iter().all(|columns| count(&columns[columns.len() - count(columns)..]) == count(columns));
        match are_last && kinds.iter().map(|columns| count(columns)).sum::<usize>() == self.categories.len() {
            true => Ok(()),
            false => Err("its categories are not the last of its columns".into()),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hist.is_empty() && self.futr.is_empty() && self.stat.is_empty()
    }
}

impl Default for Columns {
    /// NeuralForecast's: `unique_id`, `ds`, `y`.
    fn default() -> Self {
        Columns { id: "unique_id".into(), time: "ds".into(), target: "y".into() }
    }
}

/// What becomes of rows of one series with the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// An error.
    #[default]
    Error,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The one that comes last in the table.
    Last,
}

/// What becomes of values that are missing between others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// An error.
    #[default]
    Error,
    /// They stay unknown: no loss, no scale and no figure counts them.
    Mask,
    /// The line between their neighbours.
    Linear,
    /// The value before.
    Forward,
    /// Zero.
    Zero,
}

/// How a table of series is read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrameOptions {
    /// The column that names the series; else `unique_id`, and without such a column the table is one series.
    pub id: Option<String>,
    /// The column of times; else `ds`, and in a table of two columns the first.
    pub time: Option<String>,
    /// The column of values; else `y`, and in a table of two columns the second.
    pub target: Option<String>,
    /// The column that says how much each value counts in training, 0 or more; else `sample_weight`, if there is such a column.
    pub weight: Option<String>,
    /// The column whose rows of 0 are to be taken for unknown; else `available_mask`, if there is such a column.
    pub available: Option<String>,
    /// The frequency; else the one that the times show.
    pub freq: Option<Freq>,
    /// Whose clock the times are: they are instants then, from which steps of hours and less count in universal time, and longer ones on that clock. Without it a
    /// clock has no daylight saving.
    pub tz: Option<Zone>,
    /// What becomes of rows of one series with the same time.
    pub duplicates: Duplicates,
    /// What becomes of missing values.
    pub fill: Fill,
    /// Series of fewer than two values are left out instead of being an error.
    pub skip_short: bool,
    /// Values that each series must have: two, from which a step can be seen; one will do where the frequency is given.
    pub least: usize,
    /// Every column but the times is a series.
    pub wide: bool,
    /// Columns known up to the cutoff.
    pub hist: Vec<String>,
    /// Columns known over the horizon as well.
    pub futr: Vec<String>,
    /// Which of these columns, and of the static ones, are categories: text or whole numbers of which no order is known.
    pub cat: Vec<String>,
    /// How the file itself is read.
    pub file: FileOptions,
}

impl Default for FrameOptions {
    fn default() -> Self {
        FrameOptions {
            id: None,
            time: None,
            target: None,
            weight: None,
            available: None,
            freq: None,
            tz: None,
            duplicates: Duplicates::default(),
            fill: Fill::default(),
            skip_short: false,
            least: 2,
            wide: false,
            hist: Vec::new(),
            futr: Vec::new(),
            cat: Vec::new(),
            file: FileOptions::default(),
        }
    }
}

impl FromStr for Fill {
    type Err = ForecastError;

    fn from_str(text: &str) -> Result<Fill> {
        match text {
            "mask" => Ok(Fill::Mask),
            "linear" => Ok(Fill::Linear),
            "forward" => Ok(Fill::Forward),
            "zero" => Ok(Fill::Zero),
            _ => Err(ForecastError::unknown("way to fill gaps", text, &["mask", "linear", "forward", "zero"])),
        }
    }
}

impl FromStr for Duplicates {
    type Err = ForecastError;

    fn from_str(text: &str) -> Result<Duplicates> {
        match text {
            "sum" => Ok(Duplicates::Sum),
            "mean" => Ok(Duplicates::Mean),
            "last" => Ok(Duplicates::Last),
            _ => Err(ForecastError::unknown("way to join duplicates", text, &["sum", "mean", "last"])),
        }
    }
}
