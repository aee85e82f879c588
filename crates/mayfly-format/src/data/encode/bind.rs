//! Matching an encoder's columns with those of a file.

use std::collections::HashMap;

use super::labels::{are_boolean, differ_in_case_only};
use super::options::{ExtraColumns, Want};
use super::roles::format_targets;
use super::{Encoder, InputEncoding, TargetEncoding};
use crate::data::schema::{Column, ColumnKind, Names, Schema, Slot};
use crate::data::source::Source;
use crate::error::{FormatError, Result};

/// A column of the file that is used, and how.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    /// Its position in the file.
    pub(super) position: usize,
    pub(super) step: Step,
}

/// How the cells of a column become numbers.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// `width` numbers from `at` on: (x − shift) / scale, with `fill` for x when it is missing.
    Numbers { at: usize, width: usize, shift: f64, scale: f64, fill: f64 },
    /// One of `width` by category.
    OneHot { at: usize, width: usize, fill: usize, remap: Remap },
    /// One of `width` by number.
    ByValue { at: usize, width: usize, index: HashMap<u64, usize> },
}

/// From a source's category codes to the encoder's order.
#[derive(Debug, Clone)]
pub(super) struct Remap {
    slot: usize,
    index: HashMap<String, usize>,
    /// Spellings of yes and no are the same in any case.
    any_case: bool,
    /// By code; `None` for a category that the encoder does not know.
    table: Vec<Option<usize>>,
}

impl Remap {
    fn new(slot: usize, categories: &[String]) -> Self {
        let index: HashMap<String, usize> = categories.iter().cloned().enumerate().map(|(i, name)| (name, i)).collect();
        let any_case = are_boolean(categories.iter()) && differ_in_case_only(categories).is_none();
        Self { slot, index, any_case, table: Vec::new() }
    }

    /// Takes in categories that are new since the last chunk.
    pub(super) fn update(&mut self, source: &dyn Source) {
        let new = source.categories(self.slot).iter().skip(self.table.len());
        let found = |name: &String| {
            let spelt = |(known, &at): (&String, &usize)| known.eq_ignore_ascii_case(name).then_some(at);
            let exact = self.index.get(name).copied();
            exact.or_else(|| if self.any_case { self.index.iter().find_map(spelt) } else { None })
        };
        self.table.extend(new.map(found));
    }

    pub(super) fn get(&self, code: u32) -> Option<usize> {
        self.table.get(code as usize).copied().flatten()
    }

    /// The first `count` of the known categories, in the encoder's order.
    pub(super) fn known(&self, count: usize) -> Vec<String> {
        let mut known: Vec<(&usize, &String)> = self.index.iter().map(|(name, index)| (index, name)).collect();
        known.sort_unstable();
        known.into_iter().take(count).map(|(_, name)| name.clone()).collect()
    }

    /// The source's name of a category.
    pub(super) fn name<'a>(&self, source: &'a dyn Source, code: u32) -> &'a str {
        source.categories(self.slot).get(code as usize).map_or("", String::as_str)
    }
}

/// The file's columns for the encoder's, in the encoder's order.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub(super) inputs: Vec<Bound>,
    /// Empty when no targets are wanted.
    pub(super) targets: Vec<Bound>,
    /// The positions of the target columns in the file; empty when they are not wanted.
    pub(super) target_positions: Vec<usize>,
}

pub(super) fn bind(encoder: &Encoder, source: &dyn Source, want: Want, extra: ExtraColumns) -> Result<Binding> {
    let schema = source.schema();
    let file = File { name: source.name(), schema };
    let by_name = encoder.names == Names::Given && schema.names() == Names::Given;
    let (input_positions, target_positions) = if by_name {
        file.refuse_unknown(encoder, extra)?;
        file.by_name(encoder, want)?
    } else {
        file.by_position(encoder, want)?
    };
    let inputs = encoder.inputs.iter().zip(input_positions);
    let inputs = inputs.map(|(input, position)| file.input(&input.encoding, position)).collect::<Result<_>>()?;
    let targets = file.targets(&encoder.targets, &target_positions)?;
    Ok(Binding { inputs, targets, target_positions })
}

/// Positions in the file of the inputs and of the targets.
type Positions = (Vec<usize>, Vec<usize>);

/// The file that is matched.
struct File<'a> {
    name: &'a str,
    schema: &'a Schema,
}

impl File<'_> {
    fn refuse_unknown(&self, encoder: &Encoder, extra: ExtraColumns) -> Result<()> {
        if extra == ExtraColumns::Ignore {
            return Ok(());
        }
        let inputs = encoder.inputs.iter().map(|input| input.name.as_str());
        let left_out = encoder.left_out.iter().map(|left| left.name.as_str());
        let known: std::collections::HashSet<&str> = inputs.chain(left_out).chain(encoder.targets.columns()).collect();
        let unknown = self.schema.columns().iter().find(|column| !known.contains(column.name.as_str()));
        match unknown {
            None => Ok(()),
            Some(column) => Err(FormatError::UnknownColumn {
                file: self.name.to_owned(),
                column: column.name.clone(),
                expected: encoder.inputs.iter().map(|input| input.name.clone()).collect(),
            }),
        }
    }

    fn by_name(&self, encoder: &Encoder, want: Want) -> Result<Positions> {
        let find = |name: &str| {
            self.schema.position(name).ok_or_else(|| FormatError::MissingColumn {
                file: self.name.to_owned(),
                column: name.to_owned(),
                present: self.schema.column_names(),
            })
        };
        let inputs = encoder.inputs.iter().map(|input| find(&input.name)).collect::<Result<_>>()?;
        let targets = match want {
            Want::Inputs => Vec::new(),
            Want::InputsAndTargets => encoder.targets.columns().into_iter().map(find).collect::<Result<_>>()?,
        };
        Ok((inputs, targets))
    }

    /// The encoder's columns, in the order of the file that it was fitted on, are this file's in its order.
    fn by_position(&self, encoder: &Encoder, want: Want) -> Result<Positions> {
        let (others, targets) = self.divide(encoder)?;
        // How many columns other than targets stood before this one in the fitted file.
        let rank = |position: usize| position - encoder.target_positions.iter().filter(|&&t| t < position).count();
        let inputs = encoder.inputs.iter().filter_map(|input| others.get(rank(input.position)).copied()).collect();
        match (want, targets.len()) {
            (Want::Inputs, _) => Ok((inputs, Vec::new())),
            (Want::InputsAndTargets, count) if count == encoder.target_positions.len() => Ok((inputs, targets)),
            (Want::InputsAndTargets, got) => Err(self.count("target columns", encoder.target_positions.len(), got)),
        }
    }

    /// The columns that are not targets, and the targets in the encoder's order; no targets if the file has none.
    fn divide(&self, encoder: &Encoder) -> Result<Positions> {
        let columns = self.schema.columns().len();
        let targets = encoder.target_positions.len();
        let others = encoder.inputs.len() + encoder.left_out.len();
        if let Some(range) = format_targets(self.schema) {
            let got = range.start;
            return if got == others {
                Ok(((0..got).collect(), range.collect()))
            } else {
                Err(self.count("input columns", others, got))
            };
        }
        if columns == others {
            return Ok(((0..columns).collect(), Vec::new()));
        }
        if columns == others + targets {
            let others = (0..columns).filter(|position| !encoder.target_positions.contains(position)).collect();
            return Ok((others, encoder.target_positions.clone()));
        }
        Err(self.count("columns", others + targets, columns))
    }

    fn count(&self, what: &'static str, want: usize, got: usize) -> FormatError {
        FormatError::ColumnCount { file: self.name.to_owned(), what, want, got }
    }

    fn input(&self, encoding: &InputEncoding, position: usize) -> Result<Bound> {
        let (column, slot) = self.slot(position)?;
        let step = match (encoding, slot, &column.kind) {
            (&InputEncoding::Number { shift, scale, fill }, Slot::Number(at), ColumnKind::Numeric) => {
                Step::Numbers { at, width: 1, shift, scale, fill }
            }
            (InputEncoding::Grid { shape, shift, scale, fill }, Slot::Number(at), ColumnKind::Grid(got))
                if shape == got =>
            {
                Step::Numbers { at, width: encoding.width(), shift: *shift, scale: *scale, fill: *fill }
            }
            (InputEncoding::Grid { shape, .. }, _, ColumnKind::Grid(got)) => {
                let expected = format!("a grid of shape {shape:?}, as in training");
                return Err(FormatError::malformed(self.name, crate::Position::File, expected, &format!("{got:?}")));
            }
            (InputEncoding::OneHot { categories, fill }, Slot::Code(at), _) => {
                Step::OneHot { at, width: categories.len(), fill: *fill, remap: Remap::new(at, categories) }
            }
            (encoding, ..) => return Err(self.wrong_kind(column, kind_name(encoding))),
        };
        Ok(Bound { position, step })
    }

    fn slot(&self, position: usize) -> Result<(&Column, Slot)> {
        let missing = || FormatError::ColumnCount {
            file: self.name.to_owned(),
            what: "columns",
            want: position + 1,
            got: self.schema.columns().len(),
        };
        self.schema.slot(position).ok_or_else(missing)
    }

    fn wrong_kind(&self, column: &Column, want: &'static str) -> FormatError {
        FormatError::ColumnKind {
            file: self.name.to_owned(),
            column: column.name.clone(),
            want,
            got: column.kind.name(),
        }
    }

    fn targets(&self, encoding: &TargetEncoding, positions: &[usize]) -> Result<Vec<Bound>> {
        let scales: Vec<(f64, f64)> = match encoding {
            TargetEncoding::Numbers { columns } => columns.iter().map(|c| (c.shift, c.scale)).collect(),
            TargetEncoding::LargestColumn { columns, .. } => vec![(0.0, 1.0); columns.len()],
            TargetEncoding::BinaryColumn { .. } => vec![(0.0, 1.0)],
            TargetEncoding::Classes { labels, .. } => {
                return positions.iter().map(|&position| self.class(labels, position)).collect();
            }
        };
        let bound = |(&position, (shift, scale)): (&usize, (f64, f64))| match self.slot(position)? {
            (Column { kind: ColumnKind::Numeric, .. }, Slot::Number(at)) => {
                Ok(Bound { position, step: Step::Numbers { at, width: 1, shift, scale, fill: f64::NAN } })
            }
            (column, _) => Err(self.wrong_kind(column, ColumnKind::Numeric.name())),
        };
        positions.iter().zip(scales).map(bound).collect()
    }

    fn class(&self, labels: &[String], position: usize) -> Result<Bound> {
        let width = labels.len();
        let step = match self.slot(position)? {
            (Column { kind: ColumnKind::Numeric, .. }, Slot::Number(at)) => {
                let value = |(index, label): (usize, &String)| {
                    Some((key(crate::data::number::number(label.as_bytes())?), index))
                };
                Step::ByValue { at, width, index: labels.iter().enumerate().filter_map(value).collect() }
            }
            (_, Slot::Code(at)) => Step::OneHot { at, width, fill: usize::MAX, remap: Remap::new(at, labels) },
            (column, _) => return Err(self.wrong_kind(column, "a column of classes")),
        };
        Ok(Bound { position, step })
    }
}

/// A number as a key; both zeros are one.
pub(super) fn key(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

fn kind_name(encoding: &InputEncoding) -> &'static str {
    match encoding {
        InputEncoding::Number { .. } => ColumnKind::Numeric.name(),
        InputEncoding::Grid { .. } => ColumnKind::Grid(Vec::new()).name(),
        InputEncoding::OneHot { .. } => ColumnKind::Categorical.name(),
    }
}
