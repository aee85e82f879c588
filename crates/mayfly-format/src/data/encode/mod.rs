//! From rows of a file to rows of numbers for a network, and back.

mod bind;
mod check;
mod collect;
mod decode;
mod finish;
mod fit;
mod labels;
mod merge;
mod options;
mod plain;
mod remarks;
mod roles;
mod rows;
mod stats;
mod strata;
mod survey;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::schema::Names;
use super::source::Source;
use super::value::Decimal;
use crate::error::Result;

pub use decode::Outputs;
pub use options::{ExtraColumns, FitOptions, MissingPolicy, Scaling, Task, Want};
pub use plain::{ClassNames, PlainOptions};
pub use rows::{Batch, EncodedRows, RowOptions};
pub use survey::Survey;

/// Turns rows of a data file into `f32` inputs and targets, and network outputs into labels or values.
///
/// Fitted in one pass over a [`Source`] by [`Encoder::fit`]. It is plain data and goes into model files as JSON;
/// what is read from there is checked, so that an encoder in hand is always consistent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "check::Stored", try_from = "check::Stored")]
pub struct Encoder {
    names: Names,
    inputs: Vec<InputColumn>,
    targets: TargetEncoding,
    target_positions: Vec<usize>,
    left_out: Vec<LeftOut>,
    missing: MissingPolicy,
    training_rows: u64,
    /// Markers of missing values, where the usual ones were replaced.
    missing_tokens: Option<Vec<String>>,
    /// How the numbers of the fitted file were written.
    decimal: Option<Decimal>,
    /// Whether the second of two classes is the one that is looked for.
    positive: bool,
}

/// A column that is an input, and how it is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputColumn {
    /// Its name.
    pub name: String,
    /// Its position in the file that the encoder was fitted on, from 0.
    pub position: usize,
    /// How many of its cells were missing in the training rows.
    pub missing: u64,
    /// How it is encoded.
    pub encoding: InputEncoding,
}

/// How an input column becomes numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputEncoding {
    /// One number: (x − shift) / scale.
    Number {
        /// Subtracted.
        shift: f64,
        /// Divided by.
        scale: f64,
        /// Stands in for a missing value, in the units of the file.
        fill: f64,
    },
    /// A block of numbers that share their scaling.
    Grid {
        /// Shape of the block, outermost dimension first.
        shape: Vec<usize>,
        /// Subtracted.
        shift: f64,
        /// Divided by.
        scale: f64,
        /// Stands in for a missing value, in the units of the file.
        fill: f64,
    },
    /// One number per category: 1 for the one that it is, else 0.
    OneHot {
        /// The categories, in order.
        categories: Vec<String>,
        /// Stands in for a missing value: an index into the categories.
        fill: usize,
    },
}

impl InputEncoding {
    /// How many numbers it makes.
    pub fn width(&self) -> usize {
        match self {
            Self::Number { .. } => 1,
            Self::Grid { shape, .. } => shape.iter().product(),
            Self::OneHot { categories, .. } => categories.len(),
        }
    }
}

/// What the network is to answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TargetEncoding {
    /// Regression: one output per column, (x − shift) / scale.
    Numbers {
        /// The columns.
        columns: Vec<ScaledColumn>,
    },
    /// Classification by the values of one column: one output per class, 1 for the right one, else 0.
    Classes {
        /// The column.
        column: String,
        /// Whether the column holds numbers; the labels are then their decimal form.
        numeric: bool,
        /// The classes, in the order of the outputs.
        labels: Vec<String>,
        /// Training rows of each class.
        counts: Vec<u64>,
    },
    /// Classification by which of several columns is the largest. The columns are the outputs, as they are.
    LargestColumn {
        /// The columns: also the names of the classes.
        columns: Vec<String>,
        /// Training rows of each class.
        counts: Vec<u64>,
    },
    /// Classification by whether one column is low or high. The column is the output, as it is.
    BinaryColumn {
        /// The column.
        column: String,
        /// The number for the first class: 0 or −1.
        low: f64,
        /// The number for the second class: 1.
        high: f64,
        /// The two numbers as text: names of the classes.
        labels: Vec<String>,
        /// Training rows of each class.
        counts: Vec<u64>,
    },
}

impl TargetEncoding {
    /// How many outputs the network has.
    pub fn width(&self) -> usize {
        match self {
            Self::Numbers { columns } => columns.len(),
            Self::Classes { labels, .. } => labels.len(),
            Self::LargestColumn { columns, .. } => columns.len(),
            Self::BinaryColumn { .. } => 1,
        }
    }

    /// The target columns.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Numbers { columns } => columns.iter().map(|c| c.name.as_str()).collect(),
            Self::LargestColumn { columns, .. } => columns.iter().map(String::as_str).collect(),
            Self::Classes { column, .. } | Self::BinaryColumn { column, .. } => vec![column],
        }
    }

    /// Classification or regression.
    pub fn task(&self) -> Task {
        match self {
            Self::Numbers { .. } => Task::Regress,
            _ => Task::Classify,
        }
    }
}

/// A regression target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaledColumn {
    /// Its name.
    pub name: String,
    /// Subtracted.
    pub shift: f64,
    /// Divided by.
    pub scale: f64,
}

/// A column that is neither input nor target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Its position in the file that the encoder was fitted on, from 0.
    pub position: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a column is neither input nor target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Free text or names: a different value in most rows.
    Text,
    /// Dates or times.
    Date,
    /// Row numbers: a name that says so, and values that count up by one.
    RowNumber,
    /// Identifiers: a name that says so, and whole numbers that are all different.
    Identifier,
    /// More different values than the limit on categories.
    TooManyValues,
    /// The caller said so.
    Ignored,
    /// It has no value in any training row.
    Empty,
    /// The format says that it is a target, and others were chosen.
    OtherTarget,
}

impl Reason {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Text => "names or text: most rows have a value of their own",
            Self::Date => "dates or times",
            Self::RowNumber => "row numbers",
            Self::Identifier => "identifiers: whole numbers, all different",
            Self::TooManyValues => "text: more different values than categories are told apart",
            Self::Ignored => "to be ignored",
            Self::Empty => "no value in any training row",
            Self::OtherTarget => "a target of the file, and another was chosen",
        }
    }
}

impl Encoder {
    /// Fits an encoder in one pass over `source`.
    ///
    /// # Errors
    /// What is wrong with the file; options that do not fit it; and [`FormatError::Unlearnable`](crate::FormatError::Unlearnable),
    /// such as a single class or no input column.
    pub fn fit(source: &mut dyn Source, options: &FitOptions) -> Result<Self> {
        Survey::take(source, options)?.encoder(source.name(), options)
    }

    /// Whether columns of other files are matched by name or by position.
    pub fn names(&self) -> Names {
        self.names
    }

    /// The input columns, in the order of the inputs of the network.
    pub fn inputs(&self) -> &[InputColumn] {
        &self.inputs
    }

    /// What the network is to answer.
    pub fn targets(&self) -> &TargetEncoding {
        &self.targets
    }

    /// Columns that are neither, with the reason. Worth telling the user.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What happens to missing inputs.
    pub fn missing(&self) -> MissingPolicy {
        self.missing
    }

    /// Whether the second of the two classes is the one that is looked for; see [`FitOptions::positive`].
    pub fn has_positive(&self) -> bool {
        self.positive
    }

    /// How many rows the statistics come from.
    pub fn training_rows(&self) -> u64 {
        self.training_rows
    }

    /// How many inputs the network has.
    pub fn input_width(&self) -> usize {
        self.inputs.iter().map(|input| input.encoding.width()).sum()
    }

    /// The shape of the inputs: that of the grid when a grid is the only input, else one dimension.
    pub fn input_shape(&self) -> Vec<usize> {
        match self.inputs.as_slice() {
            [InputColumn { encoding: InputEncoding::Grid { shape, .. }, .. }] => shape.clone(),
            _ => vec![self.input_width()],
        }
    }

    /// How many outputs the network has.
    pub fn target_width(&self) -> usize {
        self.targets.width()
    }

    /// Classification or regression.
    pub fn task(&self) -> Task {
        self.targets.task()
    }
}
