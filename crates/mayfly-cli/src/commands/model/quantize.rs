//! `mayfly quantize`: fewer bits a weight, and what that changes.
use super::args::{QuantizeArgs, QuantizeTo};
use crate::support::metrics::Metrics;
use crate::support::model::Loaded;
use crate::support::ui::{Ui, grouped, seconds};
use anyhow::{Context, Result};
use mayfly_nn::{Model, Precision};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// What is compared before and after.
struct Side {
    bytes: u64,
    row_seconds: f64,
    metrics: Option<Metrics>,
}

/// Quantises a model, writes it, and compares.
pub fn quantize(args: &QuantizeArgs, ui: Ui) -> Result<()> {
    let loaded = Loaded::read(&args.model)?;
    let precision = match args.to {
        QuantizeTo::Int8 => Precision::Int8,
        QuantizeTo::Bf16 => Precision::Bf16,
    };
    let smaller = loaded.model.quantised(precision)?;
    smaller.save(&args.output).with_context(|| format!("cannot write {}", args.output.display()))?;
    let small = Loaded { model: Model::load(&args.output)?, encoder: loaded.encoder.clone() };
    let before = side(&loaded, &args.model, args.calibrate.as_deref())?;
    let after = side(&small, &args.output, args.calibrate.as_deref())?;
    let object =
        json!({ "before": as_json(&before), "after": as_json(&after), "model": args.output.display().to_string() });
    ui.result(&text(&before, &after), &object)
}

fn side(loaded: &Loaded, path: &Path, data: Option<&Path>) -> Result<Side> {
    let metrics = data.map(|data| loaded.measure(data)).transpose()?;
    Ok(Side { bytes: std::fs::metadata(path)?.len(), row_seconds: row_seconds(&loaded.model)?, metrics })
}

/// Least time of a single row, over several rounds.
fn row_seconds(model: &Model) -> Result<f64> {
    let mut session = model.session(1)?;
    let x = vec![0.5; model.network.input_len()];
    let rounds = (2_000_000 / model.network.param_count().max(1)).clamp(3, 20_000);
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        for _ in 0..rounds {
            std::hint::black_box(session.infer(std::hint::black_box(&x))?);
        }
        best = best.min(start.elapsed().as_secs_f64() / rounds as f64);
    }
    Ok(best)
}

fn as_json(side: &Side) -> Value {
    let mut object = side.metrics.as_ref().map(Metrics::json).unwrap_or_default();
    object.insert("bytes".into(), json!(side.bytes));
    object.insert("row_us".into(), json!(side.row_seconds * 1e6));
    Value::Object(object)
}

fn text(before: &Side, after: &Side) -> String {
    let line = |name: &str, b: String, a: String| format!("{name:<12}{b:>24}{a:>24}\n");
    let mut out = line("", "before".into(), "after".into());
    out += &line(
        "file",
        format!("{} bytes", grouped(before.bytes as usize)),
        format!("{} bytes", grouped(after.bytes as usize)),
    );
    out += &line("one row", seconds(before.row_seconds), seconds(after.row_seconds));
    if let (Some(b), Some(a)) = (&before.metrics, &after.metrics) {
        for ((key, b), (_, a)) in b.json().iter().zip(a.json().iter()) {
            out += &line(key.trim_start_matches("test_"), b.to_string(), a.to_string());
        }
    }
    out
}
