//! `mayfly eval` and `mayfly predict`.
use crate::args::{EvalArgs, PredictArgs};
use crate::metrics::{measure, number};
use crate::model::{Loaded, Ran};
use crate::ui::Ui;
use anyhow::{Context, Result, bail};
use mayfly_format::data::{Encoder, Outputs, Want};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Measures a model on a file.
pub fn eval(args: &EvalArgs, ui: Ui) -> Result<()> {
    let loaded = Loaded::read(&args.model)?;
    let ran = loaded.run(&args.data, Want::InputsAndTargets)?;
    let outputs = loaded.model.network.output_len();
    if ran.encoder.target_width() != outputs {
        bail!(
            "{}: {} target values a row, the network gives {outputs}",
            args.data.display(),
            ran.encoder.target_width()
        );
    }
    let metrics = measure(&ran.encoder, &ran.outputs, &ran.table.targets);
    let mut object = metrics.json();
    object.insert("rows".into(), json!(metrics.rows));
    ui.result(&format!("{}\n\n{}", metrics.headline(), metrics.details()), &Value::Object(object))
}

/// Runs a model over a file.
pub fn predict(args: &PredictArgs, ui: Ui) -> Result<()> {
    let loaded = Loaded::read(&args.model)?;
    let ran = loaded.run(&args.data, Want::Inputs)?;
    let width = loaded.model.network.output_len().max(1);
    if let Some(path) = &args.output {
        let text = csv(&ran, width);
        mayfly_format::atomic::write(path, |out| out.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        ui.note(format!("{} rows written to {}", ran.outputs.len() / width, path.display()));
    }
    if ui.json {
        ui.result("", &as_json(&ran, width))
    } else if args.output.is_none() {
        ui.result(&csv(&ran, width), &Value::Null)
    } else {
        Ok(())
    }
}

fn as_json(ran: &Ran, width: usize) -> Value {
    let rows: Vec<Vec<Value>> =
        ran.outputs.chunks_exact(width).map(|r| r.iter().map(|v| number(shortest(*v))).collect()).collect();
    let mut object = json!({ "outputs": rows });
    if !ran.encoder.labels().is_empty() {
        let label = |r: &[f32]| {
            ran.encoder.class_of(r).and_then(|c| ran.encoder.labels().get(c)).map_or(Value::Null, |l| json!(l))
        };
        object["labels"] = ran.outputs.chunks_exact(width).map(label).collect();
    }
    object
}

/// A row of answers for each row of data: the class and each class's output, or the numbers in the target's unit.
fn csv(ran: &Ran, width: usize) -> String {
    let encoder = &ran.encoder;
    let mut out = header(encoder, width);
    for row in ran.outputs.chunks_exact(width) {
        let raw: Vec<f64> = row.iter().map(|v| shortest(*v)).collect();
        let line = match encoder.decode(row) {
            Some(Outputs::Class { label, .. }) => format!("{},{}", quoted(label), numbers(&raw)),
            Some(Outputs::Values(values)) => numbers(&values),
            None if encoder.labels().is_empty() => numbers(&raw),
            None => format!(",{}", numbers(&raw)),
        };
        let _ = writeln!(out, "{line}");
    }
    out
}

fn header(encoder: &Encoder, width: usize) -> String {
    let columns = encoder.targets().columns();
    let names: Vec<String> = if encoder.labels().is_empty() {
        columns.iter().map(|c| quoted(c)).collect()
    } else {
        let outputs: Vec<String> = if width == encoder.labels().len() {
            encoder.labels().iter().map(|l| quoted(l)).collect()
        } else {
            (1..=width).map(|i| format!("output{i}")).collect()
        };
        std::iter::once("prediction".to_string()).chain(outputs).collect()
    };
    names.join(",") + "\n"
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
