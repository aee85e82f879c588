//! What was decided when an encoder was fitted, in words for the person who has to agree.

use super::labels::differ_in_case_only;
use super::{Encoder, InputEncoding, MissingPolicy, Reason, TargetEncoding};

/// Names that one line lists.
const LISTED: usize = 12;

impl Encoder {
    /// What was decided, line by line: target, inputs with their kinds, columns left out with the reason, missing cells, and values that
    /// differ only in the case of their letters.
    pub fn decisions(&self) -> Vec<String> {
        let mut lines = vec![format!("target: {}", self.target_line()), format!("inputs: {}", self.input_line())];
        lines.extend(self.left_out_lines());
        lines.extend(self.missing_lines());
        lines.extend(self.case_lines());
        lines
    }

    fn target_line(&self) -> String {
        match &self.targets {
            TargetEncoding::Numbers { columns } => {
                format!(
                    "{} ({})",
                    listed(columns.iter().map(|c| c.name.clone())),
                    if columns.len() == 1 { "a number" } else { "numbers" }
                )
            }
            TargetEncoding::LargestColumn { columns, .. } => {
                format!("{} classes, one a column: {}", columns.len(), listed(columns.iter().cloned()))
            }
            TargetEncoding::Classes { column, labels, .. } | TargetEncoding::BinaryColumn { column, labels, .. } => {
                let positive =
                    if self.positive { format!("; \"{}\" is the positive one", labels[1]) } else { String::new() };
                format!("{column} ({} classes: {}{positive})", labels.len(), listed(labels.iter().cloned()))
            }
        }
    }

    fn input_line(&self) -> String {
        let number = |encoding: &InputEncoding| matches!(encoding, InputEncoding::Number { .. });
        let numbers = self.inputs.iter().filter(|input| number(&input.encoding));
        let mut parts = Vec::new();
        if numbers.clone().count() > 0 {
            parts.push(format!("numbers {}", listed(numbers.map(|input| input.name.clone()))));
        }
        let others = self.inputs.iter().filter_map(|input| match &input.encoding {
            InputEncoding::Number { .. } => None,
            InputEncoding::Grid { shape, .. } => Some(format!("{} of {shape:?} numbers", input.name)),
            InputEncoding::OneHot { categories, .. } => Some(format!("{} ({})", input.name, categories.len())),
        });
        let one_hot = self.inputs.iter().any(|input| matches!(input.encoding, InputEncoding::OneHot { .. }));
        let others = listed(others);
        if !others.is_empty() {
            parts.push(if one_hot { format!("categories {others}") } else { others });
        }
        parts.join("; ")
    }

    fn left_out_lines(&self) -> Vec<String> {
        let mut reasons: Vec<(Reason, Vec<String>)> = Vec::new();
        for left in &self.left_out {
            match reasons.iter_mut().find(|(reason, _)| *reason == left.reason) {
                Some((_, names)) => names.push(quoted(&left.name)),
                None => reasons.push((left.reason, vec![quoted(&left.name)])),
            }
        }
        let line = |(reason, names): (Reason, Vec<String>)| {
            format!("left out: {} ({})", listed(names.into_iter()), reason.text())
        };
        reasons.into_iter().map(line).collect()
    }

    fn missing_lines(&self) -> Vec<String> {
        let missing = self.inputs.iter().filter(|input| input.missing > 0);
        if self.missing != MissingPolicy::Impute {
            return Vec::new(); // such rows were left out before they were counted
        }
        let with = |encoding: &InputEncoding| match encoding {
            InputEncoding::Number { fill, .. } | InputEncoding::Grid { fill, .. } => {
                format!("the mean, {}", crate::figure(*fill))
            }
            InputEncoding::OneHot { categories, fill } => {
                format!("the most frequent category, {}", quoted(categories.get(*fill).map_or("", String::as_str)))
            }
        };
        let mut lines: Vec<String> = missing
            .clone()
            .take(LISTED)
            .map(|input| {
                format!(
                    "imputed: {} missing in {}, by {}",
                    cells(input.missing),
                    quoted(&input.name),
                    with(&input.encoding)
                )
            })
            .collect();
        let rest = missing.clone().skip(LISTED);
        if rest.clone().count() > 0 {
            let total = rest.clone().map(|input| input.missing).sum();
            lines.push(format!("imputed: {} missing in {} more columns", cells(total), rest.count()));
        }
        lines
    }

    fn case_lines(&self) -> Vec<String> {
        let classes = (self.targets.columns().join(", "), self.labels());
        let inputs = self.inputs.iter().filter_map(|input| match &input.encoding {
            InputEncoding::OneHot { categories, .. } => Some((input.name.clone(), categories.as_slice())),
            _ => None,
        });
        let line = |(name, values): (String, &[String])| {
            let (one, other) = differ_in_case_only(values)?;
            Some(format!(
                "note: in {} the values {} and {} differ only in case and are two",
                quoted(&name),
                quoted(one),
                quoted(other)
            ))
        };
        inputs.chain(std::iter::once(classes)).filter_map(line).collect()
    }
}

fn cells(count: u64) -> String {
    if count == 1 { "1 cell".to_owned() } else { format!("{count} cells") }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// Names with commas, the first few of them.
fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let shown = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > LISTED { format!("{shown} and {} more", names.len() - LISTED) } else { shown }
}
