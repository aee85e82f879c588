//! The stored form of an encoder, which is checked before it is believed.

use serde::{Deserialize, Serialize};

use super::survey::MAX_INPUT_WIDTH;
use super::{Encoder, InputColumn, InputEncoding, LeftOut, MissingPolicy, TargetEncoding};
use crate::data::schema::Names;
use crate::data::value::Decimal;

/// What is in the JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    names: Names,
    inputs: Vec<InputColumn>,
    targets: TargetEncoding,
    target_positions: Vec<usize>,
    left_out: Vec<LeftOut>,
    missing: MissingPolicy,
    training_rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missing_tokens: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decimal: Option<Decimal>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    positive: bool,
}

impl From<Encoder> for Stored {
    fn from(encoder: Encoder) -> Self {
        let Encoder {
            names,
            inputs,
            targets,
            target_positions,
            left_out,
            missing,
            training_rows,
            missing_tokens,
            decimal,
            positive,
        } = encoder;
        Self {
            names,
            inputs,
            targets,
            target_positions,
            left_out,
            missing,
            training_rows,
            missing_tokens,
            decimal,
            positive,
        }
    }
}

impl TryFrom<Stored> for Encoder {
    type Error = String;

    /// The error says which part makes no sense; serde adds where.
    fn try_from(stored: Stored) -> Result<Self, String> {
        let mut width = 0_usize;
        for input in &stored.inputs {
            width = width.saturating_add(checked_width(input)?);
        }
        if width == 0 || width > MAX_INPUT_WIDTH {
            return Err(format!("an encoder with {width} inputs; expected 1 to {MAX_INPUT_WIDTH}"));
        }
        check_targets(&stored.targets, &stored.target_positions)?;
        check_positions(&stored)?;
        let Stored {
            names,
            inputs,
            targets,
            target_positions,
            left_out,
            missing,
            training_rows,
            missing_tokens,
            decimal,
            positive,
        } = stored;
        Ok(Self {
            names,
            inputs,
            targets,
            target_positions,
            left_out,
            missing,
            training_rows,
            missing_tokens,
            decimal,
            positive,
        })
    }
}

fn checked_width(input: &InputColumn) -> Result<usize, String> {
    let wrong = |what: &str| Err(format!("input column \"{}\": {what}", input.name));
    match &input.encoding {
        InputEncoding::Number { shift, scale, fill } | InputEncoding::Grid { shift, scale, fill, .. }
            if !(shift.is_finite() && scale.is_normal() && fill.is_finite()) =>
        {
            wrong("shift and fill must be finite, scale a normal number")
        }
        InputEncoding::Number { .. } => Ok(1),
        InputEncoding::Grid { shape, .. } => match shape.iter().try_fold(1_usize, |n, &dim| n.checked_mul(dim)) {
            Some(width) if width > 0 => Ok(width),
            _ => wrong("the shape of a grid must have at least one cell and not overflow"),
        },
        InputEncoding::OneHot { categories, fill } => {
            if *fill >= categories.len() || has_duplicates(categories) {
                return wrong("categories must differ, and the fill be one of them");
            }
            Ok(categories.len())
        }
    }
}

fn check_targets(targets: &TargetEncoding, positions: &[usize]) -> Result<(), String> {
    let names = targets.columns();
    if names.is_empty() || names.len() != positions.len() {
        return Err(format!("{} target columns with {} positions", names.len(), positions.len()));
    }
    let good = match targets {
        TargetEncoding::Numbers { columns } => columns.iter().all(|c| c.shift.is_finite() && c.scale.is_normal()),
        TargetEncoding::Classes { labels, counts, numeric, .. } => {
            let readable = |label: &String| crate::data::number::number(label.as_bytes()).is_some();
            labels.len() >= 2
                && labels.len() == counts.len()
                && !has_duplicates(labels)
                && (!numeric || labels.iter().all(readable))
        }
        TargetEncoding::LargestColumn { columns, counts } => columns.len() >= 2 && columns.len() == counts.len(),
        TargetEncoding::BinaryColumn { low, high, labels, counts, .. } => {
            low.is_finite() && high.is_finite() && low < high && labels.len() == 2 && counts.len() == 2
        }
    };
    if good { Ok(()) } else { Err("targets with labels, counts or scales that make no sense".into()) }
}

/// Every column of the fitted file is there once: names and positions both.
fn check_positions(stored: &Stored) -> Result<(), String> {
    let inputs = stored.inputs.iter().map(|input| (input.name.as_str(), input.position));
    let left_out = stored.left_out.iter().map(|left| (left.name.as_str(), left.position));
    let targets = stored.targets.columns().into_iter().zip(stored.target_positions.iter().copied());
    let (names, mut positions): (Vec<&str>, Vec<usize>) = inputs.chain(left_out).chain(targets).unzip();
    positions.sort_unstable();
    if has_duplicates(&names) || positions.iter().enumerate().any(|(index, &position)| index != position) {
        return Err("columns that are named twice or whose positions have gaps".into());
    }
    Ok(())
}

fn has_duplicates<T: Ord>(items: &[T]) -> bool {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}
