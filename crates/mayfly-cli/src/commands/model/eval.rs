//! `mayfly eval` and `mayfly predict`.
use super::args::{EvalArgs, PredictArgs};
use crate::support::input::Input;
use crate::support::metrics::number;
use crate::support::model::Loaded;
use crate::support::output::{Files, TABLE};
use crate::support::signals::Signals;
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_format::data::{Encoder, Outputs, Want};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// Measures a model on a file.
pub fn eval(args: &EvalArgs, ui: Ui) -> Result<()> {
    Files::reading([("the model", &*args.model), ("the data", &*args.data)])?;
    let (model, data) = (Input::open(&args.model)?, Input::open(&args.data)?);
    let metrics = Loaded::read(&model)?.measure(&data)?;
    let mut object = metrics.json();
    object.insert("rows".into(), json!(metrics.rows));
    ui.result(&format!("{}\n\n{}", metrics.headline(), metrics.details()), &Value::Object(object))
}

/// Runs a model over a file.
pub fn predict(args: &PredictArgs, ui: Ui) -> Result<()> {
    let mut files = Files::reading([("the model", &*args.model), ("the data", &*args.data)])?;
    let to = match &args.output {
        Some(path) => Some(files.writing("-o", path, TABLE)?),
        None if ui.json => None,
        None => Some(files.writing("standard output", Path::new("-"), TABLE)?),
    };
    files.refuse_json(ui)?;
    let (model, data) = (Input::open(&args.model)?, Input::open(&args.data)?);
    let loaded = Loaded::read(&model)?;
    let encoder = loaded.encoder_for(&data)?;
    let mut answers = Answers::new(&loaded, &encoder, ui.json);
    if to.as_ref().is_some_and(|output| !output.is_stdout()) {
        answers.signals = Some(Signals::listen()?);
    }
    match &to {
        Some(output) => output.write(|out| answers.run(&data, out))?,
        None => answers.run(&data, &mut io::sink())?,
    }
    match &to {
        Some(output) if !output.is_stdout() => ui.note(format!("{} rows written to {output}", answers.rows)),
        _ => {}
    }
    if ui.json { ui.result("", &answers.json()) } else { Ok(()) }
}

/// What a model answers to the rows of a file.
struct Answers<'a> {
    loaded: &'a Loaded,
    encoder: &'a Encoder,
    /// What the classes are called; empty when numbers are predicted.
    labels: Vec<String>,
    width: usize,
    rows: usize,
    /// All outputs, when they are wanted as one object.
    kept: Option<Vec<f32>>,
    /// Listened to while a file is being made, so that an interrupted one leaves nothing behind.
    signals: Option<Signals>,
}

impl<'a> Answers<'a> {
    fn new(loaded: &'a Loaded, encoder: &'a Encoder, keep: bool) -> Self {
        let width = loaded.model.network.output_len().max(1);
        let named = loaded.labels();
        let labels = if named.is_empty() { encoder.labels().to_vec() } else { named };
        Answers { loaded, encoder, labels, width, rows: 0, kept: keep.then(Vec::new), signals: None }
    }

    /// The class that a row of outputs says; none for numbers, and for outputs that are not numbers.
    fn label(&self, row: &[f32]) -> Option<&String> {
        let class = match self.loaded.encoder {
            None if self.labels.len() == row.len() => mayfly_nn::class_of(row),
            _ => self.encoder.class_of(row)?,
        };
        if row.iter().any(|v| v.is_nan()) { None } else { self.labels.get(class) }
    }

    /// Writes a line for each row of a file.
    fn run(&mut self, data: &Path, out: &mut dyn Write) -> Result<()> {
        let header = self.header();
        self.loaded.run(data, self.encoder, Want::Inputs, |_, outputs| {
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

    fn json(&self) -> Value {
        let outputs = || self.kept.iter().flat_map(|kept| kept.chunks_exact(self.width));
        let rows: Vec<Vec<Value>> = outputs().map(|r| r.iter().map(|v| number(shortest(*v))).collect()).collect();
        let mut object = json!({ "outputs": rows });
        if !self.labels.is_empty() {
            object["labels"] = outputs().map(|row| json!(self.label(row))).collect();
        }
        object
    }

    /// A row of answers: the class and each class's output, or the numbers in the target's unit.
    fn line(&self, row: &[f32]) -> String {
        let raw: Vec<f64> = row.iter().map(|v| shortest(*v)).collect();
        if !self.labels.is_empty() {
            let label = self.label(row).map(|label| quoted(label)).unwrap_or_default();
            return format!("{label},{}", numbers(&raw));
        }
        match self.encoder.decode(row) {
            Some(Outputs::Values(values)) => numbers(&values),
            _ => numbers(&raw),
        }
    }

    fn header(&self) -> String {
        let numbered = || (1..=self.width).map(|i| format!("output{i}")).collect();
        let columns = self.encoder.targets().columns();
        let outputs: Vec<String> = match &self.labels[..] {
            [] if columns.len() == self.width => columns.iter().map(|name| quoted(name)).collect(),
            labels if labels.len() == self.width => labels.iter().map(|name| quoted(name)).collect(),
            _ => numbered(),
        };
        let prediction = (!self.labels.is_empty()).then(|| "prediction".to_string());
        prediction.into_iter().chain(outputs).collect::<Vec<_>>().join(",")
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
