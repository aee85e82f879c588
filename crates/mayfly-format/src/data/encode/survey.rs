//! What the rows of a file are like, and of several files as if they were one: all that an encoder is made of.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::stats::{Moments, OneHot, Values, sums_to_at_most};
use super::{LeftOut, Reason};
use crate::data::schema::{ColumnKind, Names, Targets};
use crate::data::value::Decimal;
use crate::error::{FormatError, Result};
use crate::limits::DataLimits;

/// Inputs of one network: more are a mistake, such as one-hot identifiers.
pub(super) const MAX_INPUT_WIDTH: usize = 1 << 24;

/// Rows that are claimed at most: sums of counts, also of the cells of grids, stay numbers.
const MOST_ROWS: u64 = 1 << 34;

/// What one pass over a data file finds: the kinds of its columns, counts, means, extremes, categories and classes, but no row.
///
/// Surveys of files in several places are [merged](Survey::merge), and make [one encoder](Survey::encoder), as if all rows were in one file.
/// It is plain data and may come from elsewhere: [`check`](Survey::check) refuses what no file looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    pub(super) names: Names,
    /// Which columns the format says are the targets.
    pub(super) said: Targets,
    pub(super) inputs: Vec<InputSurvey>,
    pub(super) target_columns: Vec<TargetColumn>,
    pub(super) targets: TargetSurvey,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) rows: u64,
    pub(super) training_rows: u64,
    pub(super) missing_tokens: Option<Vec<String>>,
    pub(super) decimal: Option<Decimal>,
}

/// An input column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct InputSurvey {
    pub(super) name: String,
    pub(super) position: usize,
    pub(super) kind: ColumnKind,
    pub(super) missing: u64,
    pub(super) figures: Figures,
}

/// A target column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TargetColumn {
    pub(super) name: String,
    pub(super) position: usize,
}

/// Figures of an input column, over the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Figures {
    Numbers(Moments),
    Categories(Categories),
}

/// Names of categories or classes, in the order in which they were met, and how often each occurs in training rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Categories {
    pub(super) names: Vec<String>,
    pub(super) counts: Vec<u64>,
}

/// Figures of the targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum TargetSurvey {
    /// One column of classes by name.
    Categories(Categories),
    /// Columns of numbers.
    Numbers { moments: Vec<Moments>, values: Values, one_hot: OneHot },
}

impl Survey {
    /// Rows that are trained on.
    pub fn training_rows(&self) -> u64 {
        self.training_rows
    }

    /// The columns to predict, by name.
    pub fn target_names(&self) -> Vec<String> {
        self.target_columns.iter().map(|column| column.name.clone()).collect()
    }

    /// Columns that are neither inputs nor targets, with the reason.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The names of all columns.
    pub(super) fn column_names(&self) -> Vec<String> {
        let inputs = self.inputs.iter().map(|input| (input.position, &input.name));
        let left_out = self.left_out.iter().map(|left| (left.position, &left.name));
        let targets = self.target_columns.iter().map(|target| (target.position, &target.name));
        let mut all: Vec<(usize, &String)> = inputs.chain(left_out).chain(targets).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, name)| name.clone()).collect()
    }

    /// Refuses what no file looks like: a survey may come from another machine. `label` stands for it in messages.
    ///
    /// # Errors
    /// [`FormatError::Malformed`].
    pub fn check(&self, label: &str) -> Result<()> {
        let refuse = |expected: &str| {
            Err(FormatError::malformed(label, crate::Position::File, expected, "something else in the survey"))
        };
        if self.rows > MOST_ROWS || self.training_rows > self.rows {
            return refuse("not more rows to train on than rows, and no more than 2^34");
        }
        let mut seen = HashMap::new();
        if self.column_names().into_iter().any(|name| seen.insert(name, ()).is_some()) {
            return refuse("every column once");
        }
        let positions = self.inputs.iter().map(|input| input.position);
        let positions = positions.chain(self.left_out.iter().map(|left| left.position));
        let mut positions = positions.chain(self.target_columns.iter().map(|target| target.position));
        if positions.any(|position| position > DataLimits::default().columns) {
            return refuse("columns at places of a file");
        }
        let fits = |input: &InputSurvey| {
            let cells = match &input.kind {
                ColumnKind::Grid(shape) => shape.iter().try_fold(1_usize, |all, len| all.checked_mul(*len)),
                _ => Some(1),
            };
            let cells = cells.filter(|cells| *cells <= MAX_INPUT_WIDTH);
            let most = cells.map_or(0, |cells| (cells as u64).saturating_mul(self.training_rows));
            let is_sound = match (&input.figures, &input.kind) {
                (Figures::Numbers(moments), ColumnKind::Numeric | ColumnKind::Grid(_)) => {
                    moments.count() <= most && moments.is_sound()
                }
                (Figures::Categories(categories), ColumnKind::Categorical) => categories.fit(most),
                _ => false,
            };
            cells.is_some() && input.missing <= most && is_sound
        };
        if !self.inputs.iter().all(fits) {
            return refuse("columns with figures of their kind, of as many rows as there are");
        }
        let targets_fit = match &self.targets {
            TargetSurvey::Categories(categories) => {
                self.target_columns.len() == 1 && categories.fit(self.training_rows)
            }
            TargetSurvey::Numbers { moments, values, one_hot } => {
                let columns = self.target_columns.len();
                columns == moments.len()
                    && columns == one_hot.columns()
                    && moments.iter().all(|one| one.count() <= self.training_rows && one.is_sound())
                    && values.fit(self.training_rows)
                    && one_hot.fits(self.training_rows)
            }
        };
        if !targets_fit {
            return refuse("targets with figures of as many rows as there are");
        }
        Ok(())
    }
}

impl Categories {
    /// A count for each name, of as many rows at most.
    fn fit(&self, rows: u64) -> bool {
        self.names.len() == self.counts.len() && sums_to_at_most(self.counts.iter().copied(), rows)
    }

    /// Adds those of another place.
    pub(super) fn add(&mut self, other: &Self) {
        let mut at: HashMap<String, usize> =
            self.names.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect();
        for (name, count) in other.names.iter().zip(&other.counts) {
            match at.get(name) {
                Some(&at) => self.counts.get_mut(at).into_iter().for_each(|sum| *sum += count),
                None => {
                    at.insert(name.clone(), self.names.len());
                    self.names.push(name.clone());
                    self.counts.push(*count);
                }
            }
        }
    }
}

impl LeftOut {
    /// Whether it is left out for there being nothing in it, which may be otherwise elsewhere.
    pub(super) fn is_empty(&self) -> bool {
        self.reason == Reason::Empty
    }
}
