//! What the pass over the rows collects, and what is said about a missing cell.

use super::options::{FitOptions, Task};
use super::roles::Roles;
use super::stats::{Moments, OneHot, Values};
use super::survey::{self, Categories, InputSurvey, Survey, TargetColumn, TargetSurvey};
use crate::data::chunk::{Chunk, MISSING_CODE};
use crate::data::schema::{ColumnKind, Schema, Slot, Targets};
use crate::data::source::Source;
use crate::error::{FormatError, Result};

/// A numeric target with more different values is not taken for classes unless the caller says so.
pub(super) const MAX_FOUND_CLASSES: usize = 20;

/// More classes than this are not classes even if the caller says so.
const MAX_CLASSES: usize = 1 << 16;

/// Everything that is collected.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) inputs: Vec<InputStats>,
    pub(super) targets: TargetStats,
    pub(super) training_rows: u64,
    pub(super) rows: u64,
}

/// Figures of an input column.
#[derive(Debug)]
pub(super) struct InputStats {
    position: usize,
    missing: u64,
    cells: Cells,
    figures: Figures,
}

impl Collected {
    /// What was found, by names instead of places and codes.
    pub(super) fn survey(self, source: &dyn Source, roles: Roles) -> Survey {
        let (schema, reading) = (source.schema(), source.reading());
        let named = |position: usize| Some((schema.columns().get(position)?.name.clone(), position));
        let targets = roles.targets.iter().filter_map(|&position| named(position));
        Survey {
            names: schema.names(),
            said: schema.targets(),
            inputs: self.inputs.into_iter().filter_map(|input| input.survey(source)).collect(),
            target_columns: targets.map(|(name, position)| TargetColumn { name, position }).collect(),
            targets: match self.targets {
                TargetStats::Codes { slot, counts } => {
                    TargetSurvey::Categories(categories(source.categories(slot), counts))
                }
                TargetStats::Numbers { moments, values, one_hot, .. } => {
                    TargetSurvey::Numbers { moments, values, one_hot }
                }
            },
            left_out: roles.left_out,
            rows: self.rows,
            training_rows: self.training_rows,
            missing_tokens: reading.missing_tokens,
            decimal: reading.decimal,
        }
    }
}

fn categories(names: &[String], mut counts: Vec<u64>) -> Categories {
    counts.resize(names.len(), 0);
    Categories { names: names.to_vec(), counts }
}

/// Where its cells are in a row.
#[derive(Debug, Clone)]
enum Cells {
    Number(usize),
    Grid(std::ops::Range<usize>),
    Code(usize),
}

#[derive(Debug)]
enum Figures {
    Numbers(Moments),
    /// Training rows of each category, by the source's code.
    Codes(Vec<u64>),
}

/// Figures of the targets.
#[derive(Debug)]
pub(super) enum TargetStats {
    /// One categorical column: training rows of each category, by the source's code.
    Codes { slot: usize, counts: Vec<u64> },
    /// Numeric columns.
    Numbers { slots: Vec<usize>, moments: Vec<Moments>, values: Values, one_hot: OneHot },
}

/// What to do about a missing target.
pub(super) const TARGET_HINT: &str = "targets are never filled in: complete the row, or drop rows with missing values";
/// What to do about a missing input, when the policy is to refuse it.
pub(super) const INPUT_HINT: &str = "complete the row or leave it out (a model that is trained with --missing impute or --missing drop does so by itself)";

/// The error for a missing cell.
#[cold]
pub(super) fn missing_value(
    file: &str,
    schema: &Schema,
    chunk: &Chunk,
    row: usize,
    position: usize,
    hint: &'static str,
) -> FormatError {
    let column = schema.columns().get(position);
    FormatError::MissingValue {
        file: file.to_owned(),
        at: column.map_or(crate::Position::File, |column| chunk.position(row, position, column)),
        column: column.map(|c| c.name.clone()).unwrap_or_default(),
        hint,
    }
}

/// Whether a cell, or one cell of a grid, is missing.
pub(super) fn is_missing(schema: &Schema, chunk: &Chunk, row: usize, position: usize) -> bool {
    match schema.slot(position) {
        Some((column, Slot::Number(at))) => {
            let numbers = chunk.numbers_of(schema, row).iter().skip(at);
            numbers.take(column.kind.number_width()).any(|value| value.is_nan())
        }
        Some((_, Slot::Code(at))) => chunk.codes_of(schema, row).get(at) == Some(&MISSING_CODE),
        Some((_, Slot::Text(_))) | None => false,
    }
}

pub(super) fn input_stats(schema: &Schema, position: usize) -> Option<InputStats> {
    let (column, slot) = schema.slot(position)?;
    let (cells, figures) = match (slot, &column.kind) {
        (Slot::Number(at), ColumnKind::Grid(_)) => {
            (Cells::Grid(at..at + column.kind.number_width()), Figures::Numbers(Moments::default()))
        }
        (Slot::Number(at), _) => (Cells::Number(at), Figures::Numbers(Moments::default())),
        (Slot::Code(at), _) => (Cells::Code(at), Figures::Codes(Vec::new())),
        (Slot::Text(_), _) => return None, // text is never an input: see roles
    };
    Some(InputStats { position, missing: 0, cells, figures })
}

impl InputStats {
    fn survey(self, source: &dyn Source) -> Option<InputSurvey> {
        let column = source.schema().columns().get(self.position)?;
        let figures = match (self.figures, self.cells) {
            (Figures::Numbers(moments), _) => survey::Figures::Numbers(moments),
            (Figures::Codes(counts), Cells::Code(slot)) => {
                survey::Figures::Categories(categories(source.categories(slot), counts))
            }
            (Figures::Codes(_), _) => return None, // cells and figures are made together
        };
        let (name, kind) = (column.name.clone(), column.kind.clone());
        Some(InputSurvey { name, position: self.position, kind, missing: self.missing, figures })
    }

    pub(super) fn add(&mut self, numbers: &[f64], codes: &[u32]) {
        match (&self.cells, &mut self.figures) {
            (Cells::Number(at), Figures::Numbers(moments)) => match numbers.get(*at) {
                Some(value) if !value.is_nan() => moments.add(*value),
                _ => self.missing += 1,
            },
            (Cells::Grid(range), Figures::Numbers(moments)) => {
                self.missing += moments.add_block(numbers.get(range.clone()).unwrap_or_default());
            }
            (Cells::Code(at), Figures::Codes(counts)) => match codes.get(*at) {
                Some(&code) if code != MISSING_CODE => count(counts, code, 1),
                _ => self.missing += 1,
            },
            _ => {} // cells and figures are made together
        }
    }
}

/// Adds `times` to the count of a code.
fn count(counts: &mut Vec<u64>, code: u32, times: u64) {
    let index = code as usize; // below the limit on categories
    if index >= counts.len() {
        counts.resize(index + 1, 0);
    }
    if let Some(count) = counts.get_mut(index) {
        *count += times;
    }
}

pub(super) fn target_stats(file: &str, schema: &Schema, roles: &Roles, options: &FitOptions) -> Result<TargetStats> {
    let slots: Vec<Slot> = roles.targets.iter().filter_map(|&i| schema.slot(i)).map(|(_, slot)| slot).collect();
    if let [Slot::Code(slot)] = *slots.as_slice() {
        if options.task == Some(Task::Regress) {
            return Err(FormatError::ColumnKind {
                file: file.to_owned(),
                column: roles
                    .targets
                    .first()
                    .and_then(|&i| schema.columns().get(i))
                    .map(|c| c.name.clone())
                    .unwrap_or_default(),
                want: "numeric, to regress on",
                got: ColumnKind::Categorical.name(),
            });
        }
        return Ok(TargetStats::Codes { slot, counts: Vec::new() });
    }
    let number = |slot: &Slot| match slot {
        Slot::Number(at) => Some(*at),
        Slot::Code(_) | Slot::Text(_) => None, // refused in roles
    };
    let slots: Vec<usize> = slots.iter().filter_map(number).collect();
    let sure = options.task == Some(Task::Classify) || schema.targets() == Targets::Label;
    Ok(TargetStats::Numbers {
        moments: vec![Moments::default(); slots.len()],
        values: Values::new(if sure { MAX_CLASSES } else { MAX_FOUND_CLASSES }),
        one_hot: OneHot::new(slots.len()),
        slots,
    })
}

impl TargetStats {
    /// Notes the targets of a row, none of them missing; `times` is 1 for a training row and 0 for another.
    pub(super) fn add(&mut self, numbers: &[f64], codes: &[u32], times: u64) {
        match self {
            Self::Codes { slot, counts } => {
                if let Some(&code) = codes.get(*slot) {
                    count(counts, code, times);
                }
            }
            Self::Numbers { slots, moments, values, one_hot } => {
                let row = slots.iter().filter_map(|&slot| numbers.get(slot).copied());
                if let ([slot], Some(&value)) = (slots.as_slice(), slots.first().and_then(|&s| numbers.get(s))) {
                    debug_assert!(numbers.get(*slot).is_some());
                    values.add(value, times);
                }
                one_hot.add(row.clone(), times);
                if times > 0 {
                    moments.iter_mut().zip(row).for_each(|(moments, value)| moments.add(value));
                }
            }
        }
    }
}
