//! Which columns are inputs, which are targets, and which are neither.

use super::options::FitOptions;
use super::{LeftOut, Reason};
use crate::data::csv::USUAL_TARGETS;
use crate::data::schema::{Column, ColumnKind, Schema, Targets};
use crate::data::source::Reading;
use crate::error::{FormatError, Result};

/// The part that each column plays, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) inputs: Vec<usize>,
    pub(super) targets: Vec<usize>,
    pub(super) left_out: Vec<LeftOut>,
}

pub(super) fn assign(file: &str, schema: &Schema, reading: &Reading, options: &FitOptions) -> Result<Roles> {
    let find = |name: &String| {
        schema.position(name).ok_or_else(|| FormatError::MissingColumn {
            file: file.to_owned(),
            column: name.clone(),
            present: schema.column_names(),
        })
    };
    let ignored = options.ignore.iter().map(find).collect::<Result<Vec<usize>>>()?;
    let identifiers = options.identifiers.iter().map(find).collect::<Result<Vec<usize>>>()?;
    let unwanted: Vec<usize> = ignored.iter().chain(&identifiers).copied().collect();
    let mut targets = options.targets.iter().map(find).collect::<Result<Vec<usize>>>()?;
    if targets.is_empty() {
        targets = usual_targets(file, schema, reading, &unwanted)?;
    }
    check_targets(file, schema, reading, &targets, &unwanted)?;
    let mut roles = Roles { inputs: Vec::new(), targets, left_out: Vec::new() };
    for (position, column) in schema.columns().iter().enumerate() {
        let reason = match identifiers.contains(&position) {
            true => Some(Reason::Identifier),
            false => reason(schema, reading, position, &ignored),
        };
        match reason {
            _ if roles.targets.contains(&position) => {}
            Some(reason) => roles.left_out.push(LeftOut { name: column.name.clone(), position, reason }),
            None => roles.inputs.push(position),
        }
    }
    if roles.inputs.is_empty() {
        return Err(no_inputs(file, &roles));
    }
    Ok(roles)
}

/// The columns that the format says are targets.
pub(super) fn format_targets(schema: &Schema) -> Option<std::ops::Range<usize>> {
    let count = match schema.targets() {
        Targets::Free => return None,
        Targets::Last(count) | Targets::Raw(count) => count,
        Targets::Label => 1,
    };
    let columns = schema.columns().len();
    Some(columns.saturating_sub(count)..columns)
}

fn usual_targets(file: &str, schema: &Schema, reading: &Reading, ignored: &[usize]) -> Result<Vec<usize>> {
    if let Some(range) = format_targets(schema) {
        return Ok(range.collect());
    }
    let never = [Reason::RowNumber, Reason::Identifier, Reason::Empty];
    let is_candidate =
        |i: &usize| !ignored.contains(i) && !reading.reasons.get(i).is_some_and(|reason| never.contains(reason));
    let candidates: Vec<usize> = (0..schema.columns().len()).filter(is_candidate).collect();
    let is_usual = |&&position: &&usize| {
        let name = schema.columns().get(position).map(|c| c.name.to_ascii_lowercase());
        name.is_some_and(|name| USUAL_TARGETS.contains(&name.as_str()))
    };
    let usual: Vec<usize> = candidates.iter().filter(is_usual).copied().collect();
    match (usual.as_slice(), candidates.last()) {
        ([only], _) => Ok(vec![*only]),
        (_, Some(&last)) => Ok(vec![last]),
        (_, None) => Err(no_target(file)),
    }
}

fn no_target(file: &str) -> FormatError {
    FormatError::Unlearnable {
        file: file.to_owned(),
        what: "there is no target column".into(),
        hint: "a network learns from examples with answers: give a file with at least one target".into(),
    }
}

fn check_targets(file: &str, schema: &Schema, reading: &Reading, targets: &[usize], ignored: &[usize]) -> Result<()> {
    let columns: Vec<&Column> = targets.iter().filter_map(|&i| schema.columns().get(i)).collect();
    if columns.is_empty() {
        return Err(no_target(file));
    }
    for (index, (column, position)) in columns.iter().zip(targets).enumerate() {
        let earlier = targets.iter().take(index);
        if ignored.contains(position) || earlier.into_iter().any(|other| other == position) {
            return Err(FormatError::Option {
                option: "targets",
                problem: format!("column \"{}\" is named twice, or is also to be ignored", column.name),
            });
        }
        if matches!(column.kind, ColumnKind::Grid(_)) {
            return Err(no_labels(file, reading));
        }
        let reason = reading.reasons.get(position);
        if let (ColumnKind::Text, Some(reason)) = (&column.kind, reason) {
            return Err(FormatError::Unlearnable {
                file: file.to_owned(),
                what: format!("the target \"{}\" holds {}", column.name, reason.text()),
                hint:
                    "choose another column (--target), or say what this one is (--kinds COLUMN=category, COLUMN=number)"
                        .into(),
            });
        }
        let usable = match column.kind {
            ColumnKind::Numeric => true,
            ColumnKind::Categorical => columns.len() == 1,
            ColumnKind::Grid(_) | ColumnKind::Text => false,
        };
        if !usable {
            return Err(FormatError::ColumnKind {
                file: file.to_owned(),
                column: column.name.clone(),
                want: if columns.len() == 1 {
                    "a numeric or categorical target"
                } else {
                    "numeric, as one of several targets"
                },
                got: column.kind.name(),
            });
        }
    }
    Ok(())
}

fn no_labels(file: &str, reading: &Reading) -> FormatError {
    let looked_for = match &reading.no_targets {
        Some(names) => format!("name the file of labels (--labels); looked for beside it: {names}"),
        None => "give an npz file with two arrays, such as X and y (--npz-keys names others), or predict on it".into(),
    };
    FormatError::Unlearnable {
        file: file.to_owned(),
        what: "there are images, but no labels to learn".into(),
        hint: looked_for,
    }
}

fn reason(schema: &Schema, reading: &Reading, position: usize, ignored: &[usize]) -> Option<Reason> {
    let kind = schema.columns().get(position).map(|column| &column.kind);
    if ignored.contains(&position) {
        Some(Reason::Ignored)
    } else if format_targets(schema).is_some_and(|range| range.contains(&position)) {
        Some(Reason::OtherTarget)
    } else if kind == Some(&ColumnKind::Text) {
        Some(reading.reasons.get(&position).copied().unwrap_or(Reason::Text))
    } else {
        None
    }
}

fn no_inputs(file: &str, roles: &Roles) -> FormatError {
    let names: Vec<&str> = roles.left_out.iter().map(|left| left.name.as_str()).collect();
    FormatError::Unlearnable {
        file: file.to_owned(),
        what: "there is no input column".into(),
        hint: match names.as_slice() {
            [] => "the file has only targets".into(),
            names => format!("left out as text, identifiers or ignored: {}", crate::error::shorten(&names.join(", "))),
        },
    }
}
