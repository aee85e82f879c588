//! From network outputs back to labels and values.

use super::stats::largest;
use super::survey::{Figures, InputSurvey, Survey, TargetSurvey};
use super::{Encoder, InputColumn, InputEncoding, TargetEncoding};
use crate::data::schema::ColumnKind;
use crate::data::source::OpenOptions;

/// What a row of network outputs, or of encoded targets, means.
#[derive(Debug, Clone, PartialEq)]
pub enum Outputs<'a> {
    /// The class: its index among [`Encoder::labels`], and its label.
    Class {
        /// Index of the class.
        index: usize,
        /// Its label.
        label: &'a str,
    },
    /// The numbers, in the units of the file, one per target column.
    Values(Vec<f64>),
}

impl Encoder {
    /// The names of the classes, in the order of their indices; none for a regression.
    pub fn labels(&self) -> &[String] {
        match &self.targets {
            TargetEncoding::Numbers { .. } => &[],
            TargetEncoding::Classes { labels, .. } | TargetEncoding::BinaryColumn { labels, .. } => labels,
            TargetEncoding::LargestColumn { columns, .. } => columns,
        }
    }

    /// Training rows of each class; none for a regression. A class that is only in held-out rows has 0.
    pub fn class_counts(&self) -> &[u64] {
        match &self.targets {
            TargetEncoding::Numbers { .. } => &[],
            TargetEncoding::Classes { counts, .. }
            | TargetEncoding::BinaryColumn { counts, .. }
            | TargetEncoding::LargestColumn { counts, .. } => counts,
        }
    }

    /// The class that a row of outputs, or of encoded targets, stands for: the largest output, the first of equal ones; of a single
    /// output, whether it is above the midpoint. `None` for a regression, for NaN, and when the row is not
    /// [`target_width`](Encoder::target_width) long.
    pub fn class_of(&self, outputs: &[f32]) -> Option<usize> {
        if outputs.len() != self.target_width() {
            return None;
        }
        match (&self.targets, outputs) {
            (TargetEncoding::Numbers { .. }, _) => None,
            (TargetEncoding::BinaryColumn { low, high, .. }, [output]) => {
                let middle = (low + high) / 2.0;
                (!output.is_nan()).then(|| usize::from(f64::from(*output) > middle))
            }
            _ => largest(outputs.iter().copied()),
        }
    }

    /// What a row of outputs, or of encoded targets, means; `None` for NaN classes and when the row is not
    /// [`target_width`](Encoder::target_width) long.
    pub fn decode(&self, outputs: &[f32]) -> Option<Outputs<'_>> {
        match &self.targets {
            TargetEncoding::Numbers { columns } => {
                let unscaled =
                    |(&output, column): (&f32, &super::ScaledColumn)| f64::from(output) * column.scale + column.shift;
                let values = || outputs.iter().zip(columns).map(unscaled).collect();
                (outputs.len() == columns.len()).then(|| Outputs::Values(values()))
            }
            _ => {
                let index = self.class_of(outputs)?;
                self.labels().get(index).map(|label| Outputs::Class { index, label })
            }
        }
    }

    /// A name for each network input: the column's, with the category (`odor=almond`) or the cell (`image[3]`) where there are several.
    pub fn input_names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.input_width());
        for input in &self.inputs {
            match &input.encoding {
                InputEncoding::Number { .. } => names.push(input.name.clone()),
                InputEncoding::Grid { .. } => {
                    names.extend((0..input.encoding.width()).map(|cell| format!("{}[{cell}]", input.name)));
                }
                InputEncoding::OneHot { categories, .. } => {
                    names.extend(categories.iter().map(|category| format!("{}={category}", input.name)));
                }
            }
        }
        names
    }

    /// How to open another file that this encoder is to be applied to: text is read as the kinds of column that the encoder knows,
    /// not as what a short file looks like.
    pub fn open_options(&self) -> OpenOptions {
        let kind = |input: &InputColumn| match &input.encoding {
            InputEncoding::Number { .. } => Some((input.name.clone(), ColumnKind::Numeric)),
            InputEncoding::OneHot { .. } => Some((input.name.clone(), ColumnKind::Categorical)),
            InputEncoding::Grid { .. } => None,
        };
        let categorical = matches!(self.targets, TargetEncoding::Classes { numeric: false, .. });
        let target = if categorical { ColumnKind::Categorical } else { ColumnKind::Numeric };
        let targets = self.targets.columns().into_iter().map(|name| (name.to_owned(), target.clone()));
        OpenOptions {
            known_kinds: self.inputs.iter().filter_map(kind).chain(targets).collect(),
            known_decimal: self.decimal,
            known_names: Some(self.names),
            missing_tokens: self.missing_tokens.clone(),
            ignore: self.left_out.iter().map(|left| left.name.clone()).collect(),
            ..OpenOptions::default()
        }
    }
}

impl Survey {
    /// How to open a file whose survey is to be merged with this one, so that its columns are read as here; those without a value here are found out.
    pub fn open_options(&self) -> OpenOptions {
        let kind = |input: &InputSurvey| match (&input.kind, &input.figures) {
            (ColumnKind::Grid(_), _) => None,
            (_, Figures::Numbers(moments)) if moments.count() == 0 => None,
            (kind, _) => Some((input.name.clone(), kind.clone())),
        };
        let target = match &self.targets {
            TargetSurvey::Categories(_) => ColumnKind::Categorical,
            TargetSurvey::Numbers { .. } => ColumnKind::Numeric,
        };
        let targets = self.target_columns.iter().map(|column| (column.name.clone(), target.clone()));
        let ignored = self.left_out.iter().filter(|left| !left.is_empty());
        OpenOptions {
            known_kinds: self.inputs.iter().filter_map(kind).chain(targets).collect(),
            known_decimal: self.decimal,
            known_names: Some(self.names),
            missing_tokens: self.missing_tokens.clone(),
            ignore: ignored.map(|left| left.name.clone()).collect(),
            ..OpenOptions::default()
        }
    }
}
