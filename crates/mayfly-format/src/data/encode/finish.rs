//! From a survey to an encoder.

use super::collect::MAX_FOUND_CLASSES;
use super::labels::{put_positive_second, sorted};
use super::options::{FitOptions, Scaling, Task};
use super::stats::{Moments, OneHot, Values};
use super::survey::{Figures, InputSurvey, MAX_INPUT_WIDTH, Survey, TargetSurvey};
use super::{Encoder, InputColumn, InputEncoding, LeftOut, Reason, ScaledColumn, TargetEncoding};
use crate::data::schema::{ColumnKind, Targets};
use crate::error::{FormatError, Result};

/// A numeric target is taken for classes when each has at least this many rows on average (or there are just two).
const ROWS_PER_CLASS: u64 = 5;

impl Survey {
    /// An encoder of what was found. `label` stands for the file in messages.
    ///
    /// # Errors
    /// [`FormatError::Unlearnable`], such as a single class; [`FormatError::NoRows`]; options that do not fit.
    pub fn encoder(self, label: &str, options: &FitOptions) -> Result<Encoder> {
        if self.training_rows == 0 {
            return Err(no_rows(label, self.rows));
        }
        let mut targets = target_encoding(label, &self, options)?;
        if let Some(positive) = &options.positive {
            put_positive_second(&mut targets, positive)?;
        }
        let mut left_out = self.left_out;
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for input in self.inputs {
            match input_encoding(label, &input, options.input_scaling)? {
                Some(encoding) => {
                    let InputSurvey { name, position, missing, .. } = input;
                    inputs.push(InputColumn { name, position, missing, encoding });
                }
                None => left_out.push(LeftOut { name: input.name, position: input.position, reason: Reason::Empty }),
            }
        }
        left_out.sort_by_key(|left| left.position);
        let encoder = Encoder {
            missing_tokens: self.missing_tokens,
            decimal: self.decimal,
            positive: options.positive.is_some(),
            names: self.names,
            inputs,
            targets,
            target_positions: self.target_columns.iter().map(|target| target.position).collect(),
            left_out,
            missing: options.missing,
            training_rows: self.training_rows,
        };
        check_width(label, &encoder)?;
        Ok(encoder)
    }
}

fn no_rows(file: &str, rows: u64) -> FormatError {
    let hint = match rows {
        0 => String::new(),
        rows => format!(" to train on; all {rows} rows have missing values or are held out"),
    };
    FormatError::NoRows { file: file.to_owned(), hint }
}

fn check_width(file: &str, encoder: &Encoder) -> Result<()> {
    let width = encoder.input_width();
    if width == 0 {
        return Err(unlearnable(file, "no input column has a value in any training row", "give a file with inputs"));
    }
    if width > MAX_INPUT_WIDTH {
        return Err(FormatError::TooLarge {
            file: file.to_owned(),
            what: "the number of network inputs".into(),
            got: width as u64,
            limit: MAX_INPUT_WIDTH as u64,
        });
    }
    Ok(())
}

fn unlearnable(file: &str, what: impl Into<String>, hint: impl Into<String>) -> FormatError {
    FormatError::Unlearnable { file: file.to_owned(), what: what.into(), hint: hint.into() }
}

/// `None` for a column without a single value.
fn input_encoding(file: &str, input: &InputSurvey, scaling: Scaling) -> Result<Option<InputEncoding>> {
    match &input.figures {
        Figures::Numbers(moments) => {
            if moments.count() == 0 {
                return Ok(None);
            }
            let (shift, scale) = scale_of(file, &input.name, moments, scaling)?;
            let fill = moments.mean();
            Ok(Some(match &input.kind {
                ColumnKind::Grid(shape) => InputEncoding::Grid { shape: shape.clone(), shift, scale, fill },
                _ => InputEncoding::Number { shift, scale, fill },
            }))
        }
        Figures::Categories(found) => {
            let (categories, counts) = sorted(&found.names, &found.counts);
            let most = counts.iter().max().copied().unwrap_or(0);
            let fill = counts.iter().position(|&count| count == most);
            Ok(fill.filter(|_| most > 0).map(|fill| InputEncoding::OneHot { categories, fill }))
        }
    }
}

/// Shift and divisor. A column that never varies is only centred: its deviation would be rounding noise.
fn scale_of(file: &str, column: &str, moments: &Moments, scaling: Scaling) -> Result<(f64, f64)> {
    let range = moments.max() - moments.min();
    let (shift, scale) = match scaling {
        Scaling::None => (0.0, 1.0),
        Scaling::Standard => (moments.mean(), if range > 0.0 { moments.deviation() } else { 1.0 }),
        Scaling::MinMax => (moments.min(), if range > 0.0 { range } else { 1.0 }),
    };
    if shift.is_finite() && scale.is_normal() && moments.mean().is_finite() {
        return Ok((shift, scale));
    }
    let what = format!(
        "the numbers of column \"{column}\", from {:e} to {:e}, cannot be scaled",
        moments.min(),
        moments.max()
    );
    Err(unlearnable(file, what, "bring them to a usual range first, or choose no scaling"))
}

fn target_encoding(file: &str, survey: &Survey, options: &FitOptions) -> Result<TargetEncoding> {
    let columns = survey.target_names();
    match &survey.targets {
        TargetSurvey::Categories(found) => {
            let (labels, counts) = sorted(&found.names, &found.counts);
            classes(file, columns, false, labels, counts)
        }
        TargetSurvey::Numbers { moments, values, one_hot } => {
            let raw = matches!(survey.said, Targets::Raw(_));
            let numeric =
                NumericTargets { file, said: survey.said, columns, moments, values, one_hot, rows: survey.rows };
            match numeric.columns.len() {
                0 => Ok(TargetEncoding::Numbers { columns: Vec::new() }),
                1 if raw => numeric.one_raw(options),
                1 => numeric.one(options),
                _ => numeric.several(options, raw),
            }
        }
    }
}

fn classes(
    file: &str,
    columns: Vec<String>,
    numeric: bool,
    labels: Vec<String>,
    counts: Vec<u64>,
) -> Result<TargetEncoding> {
    let column = columns.into_iter().next().unwrap_or_default();
    if let [only] = labels.as_slice() {
        let what = format!("the target \"{column}\" has the same value, \"{only}\", in every row");
        return Err(unlearnable(
            file,
            what,
            "choose another target (--target), or give a file with at least two classes",
        ));
    }
    Ok(TargetEncoding::Classes { column, numeric, labels, counts })
}

/// Numeric target columns and what is known about them.
struct NumericTargets<'a> {
    file: &'a str,
    said: Targets,
    columns: Vec<String>,
    moments: &'a [Moments],
    values: &'a Values,
    one_hot: &'a OneHot,
    rows: u64,
}

impl NumericTargets<'_> {
    /// A single column that may be encoded.
    fn one(self, options: &FitOptions) -> Result<TargetEncoding> {
        let found = self.values.all();
        let few = found.as_ref().is_some_and(|values| {
            let count = values.len() as u64;
            values.len() <= MAX_FOUND_CLASSES && (count <= 2 || count * ROWS_PER_CLASS <= self.rows)
        });
        let classify = match options.task {
            Some(task) => task == Task::Classify,
            None => self.said == Targets::Label || few && self.values.all_whole(),
        };
        match (classify, found) {
            (false, _) => self.numbers(options.target_scaling),
            (true, Some(values)) => {
                let (labels, counts) = values.into_iter().map(|(value, count)| (value.to_string(), count)).unzip();
                classes(self.file, self.columns, true, labels, counts)
            }
            (true, None) => {
                let column = self.columns.into_iter().next().unwrap_or_default();
                Err(unlearnable(
                    self.file,
                    format!("the target \"{column}\" has too many different values for classes"),
                    "regress on it",
                ))
            }
        }
    }

    /// A single column that is used as it is.
    fn one_raw(self, options: &FitOptions) -> Result<TargetEncoding> {
        let values = self.values.all().unwrap_or_default();
        match (options.task, values.as_slice()) {
            (Some(Task::Regress), _) => self.numbers(Scaling::None),
            (_, &[(low, lows), (high, highs)]) if high == 1.0 && (low == 0.0 || low == -1.0) => {
                Ok(TargetEncoding::BinaryColumn {
                    column: self.columns.into_iter().next().unwrap_or_default(),
                    labels: vec![low.to_string(), high.to_string()],
                    counts: vec![lows, highs],
                    low,
                    high,
                })
            }
            (None, _) => self.numbers(Scaling::None),
            (Some(Task::Classify), _) => Err(unlearnable(
                self.file,
                "the only target is not binary (0 and 1, or -1 and 1), and targets of this format are used as they are",
                "give one column per class, regress, or save the table as CSV",
            )),
        }
    }

    fn several(self, options: &FitOptions, raw: bool) -> Result<TargetEncoding> {
        let classify = options.task.map_or(self.one_hot.is_one_hot(), |task| task == Task::Classify);
        if classify {
            return Ok(TargetEncoding::LargestColumn { columns: self.columns, counts: self.one_hot.counts() });
        }
        self.numbers(if raw { Scaling::None } else { options.target_scaling })
    }

    fn numbers(self, scaling: Scaling) -> Result<TargetEncoding> {
        if self.moments.iter().all(|moments| moments.min() == moments.max()) {
            let column = self.columns.join("\", \"");
            let value = self.moments.first().map_or(0.0, Moments::min);
            let what = format!("the target \"{column}\" has the same value, {value}, in every training row");
            return Err(unlearnable(self.file, what, "there is nothing to learn: choose another target (--target)"));
        }
        let scaled = |(name, moments): (String, &Moments)| {
            let (shift, scale) = scale_of(self.file, &name, moments, scaling)?;
            Ok(ScaledColumn { name, shift, scale })
        };
        let columns = self.columns.into_iter().zip(self.moments).map(scaled).collect::<Result<_>>()?;
        Ok(TargetEncoding::Numbers { columns })
    }
}
