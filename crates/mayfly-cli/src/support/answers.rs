//! What a model answers, row by row: as CSV and as JSON, in the same units.
use super::metrics::number;
use super::model::{Answering, Rows};
use super::signals::Signals;
use anyhow::Result;
use mayfly_format::data::{Encoder, Outputs, Want};
use serde_json::{Value, json};
use std::io::Write;

/// What a model answers to the rows of a file.
pub struct Answers<'a> {
    model: &'a dyn Answering,
    encoder: &'a Encoder,
    /// What the classes are called; empty when numbers are predicted.
    labels: Vec<String>,
    width: usize,
    pub rows: usize,
    /// All outputs, when they are wanted as one object.
    kept: Option<Vec<f32>>,
    /// Listened to while a file is being made, so that an interrupted one leaves nothing behind.
    pub signals: Option<Signals>,
}

impl<'a> Answers<'a> {
    pub fn new(model: &'a dyn Answering, encoder: &'a Encoder, keep: bool) -> Self {
        let width = model.output_len().max(1);
        // What classes are called the model says, never the file.
        let named = model.labels();
        let labels = if !model.has_encoder() && named.len() != width { Vec::new() } else { named };
        Answers { model, encoder, labels, width, rows: 0, kept: keep.then(Vec::new), signals: None }
    }

    /// A row in the units of the target.
    fn values(&self, row: &[f32]) -> Vec<f64> {
        match self.encoder.decode(row) {
            Some(Outputs::Values(values)) => values,
            _ => row.iter().map(|v| shortest(*v)).collect(),
        }
    }

    /// The class that a row of outputs says; none for numbers, and for outputs that are not numbers.
    fn label(&self, row: &[f32]) -> Option<&String> {
        let class = match self.model.has_encoder() {
            false if self.labels.len() == row.len() => mayfly_nn::class_of(row),
            _ => self.encoder.class_of(row)?,
        };
        if row.iter().any(|v| v.is_nan()) { None } else { self.labels.get(class) }
    }

    /// Writes a line for each row of a file.
    pub fn run(&mut self, rows: Rows<'_>, out: &mut dyn Write) -> Result<()> {
        let header = self.header();
        rows.run(self.model, self.encoder, Want::Inputs, |_, outputs| {
            if let Some(signals) = &self.signals {
                signals.check()?;
            }
            if self.rows == 0 {
                writeln!(out, "{header}")?;
            }
            self.rows += outputs.len() / self.width;
            if let Some(kept) = &mut self.kept {
                kept.extend_from_slice(outputs);
            }
            outputs.chunks_exact(self.width).try_for_each(|row| writeln!(out, "{}", self.line(row)))?;
            Ok(())
        })?;
        if self.rows == 0 {
            writeln!(out, "{header}")?;
        }
        Ok(out.flush()?)
    }

    pub fn json(&self) -> Value {
        let outputs = || self.kept.iter().flat_map(|kept| kept.chunks_exact(self.width));
        let rows: Vec<Vec<Value>> = outputs().map(|r| self.values(r).into_iter().map(number).collect()).collect();
        let mut object = json!({ "columns": self.names(), "outputs": rows });
        if !self.labels.is_empty() {
            object["labels"] = outputs().map(|row| json!(self.label(row))).collect();
        }
        object
    }

    /// A line without an answer, of as many fields.
    #[cfg(feature = "swarm")]
    pub fn blank(&self) -> String {
        ",".repeat(self.width - 1 + usize::from(!self.labels.is_empty()))
    }

    /// A row of answers by name.
    #[cfg(feature = "swarm")]
    pub fn object(&self, row: &[f32]) -> serde_json::Map<String, Value> {
        let values = self.names().into_iter().zip(self.values(row).into_iter().map(number));
        let label = (!self.labels.is_empty()).then(|| ("prediction".to_owned(), json!(self.label(row))));
        label.into_iter().chain(values).collect()
    }

    /// A row of answers: the class and each class's output, or the numbers in the target's unit.
    pub fn line(&self, row: &[f32]) -> String {
        let values = numbers(&self.values(row));
        if self.labels.is_empty() {
            return values;
        }
        let label = self.label(row).map(|label| quoted(label)).unwrap_or_default();
        format!("{label},{values}")
    }

    /// The headings of [`Self::line`].
    pub fn header(&self) -> String {
        let names: Vec<String> = self.names().iter().map(|name| quoted(name)).collect();
        let prediction = (!self.labels.is_empty()).then(|| "prediction".to_string());
        prediction.into_iter().chain(names).collect::<Vec<_>>().join(",")
    }

    /// What the outputs are called: by the classes, by the targets, or by number.
    fn names(&self) -> Vec<String> {
        let columns = self.encoder.targets().columns();
        match &self.labels[..] {
            [] if columns.len() == self.width => columns.iter().map(|&name| name.to_owned()).collect(),
            labels if labels.len() == self.width => labels.to_vec(),
            _ => (1..=self.width).map(|i| format!("output{i}")).collect(),
        }
    }
}

/// Numbers with as many digits as tell them apart, separated by commas; what is not finite is an empty field.
fn numbers(values: &[f64]) -> String {
    let text = |v: &f64| if v.is_finite() { json!(v).to_string() } else { String::new() };
    values.iter().map(text).collect::<Vec<_>>().join(",")
}

/// The f64 that prints as the f32 does: 0.1 rather than 0.10000000149011612.
fn shortest(v: f32) -> f64 {
    v.to_string().parse().unwrap_or(f64::from(v))
}

/// A CSV field, quoted where it must be.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}
