//! `mayfly quantize`: fewer bits a weight, and what that changes.
use super::args::{QuantizeArgs, QuantizeTo};
use crate::support::input::Input;
use crate::support::metrics::object;
use crate::support::model::{Loaded, Rows};
use crate::support::output::{Files, NATIVE_MODEL};
use crate::support::ui::{Ui, grouped, seconds};
use anyhow::Result;
use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions};
use mayfly_nn::{Measured, Model, Precision, Registry};
use serde_json::{Value, json};
use std::time::Instant;

/// What is compared before and after.
struct Side {
    bytes: u64,
    row_seconds: f64,
    measured: Option<Measured>,
}

/// Quantises a model, writes it, and compares.
pub fn quantize(args: &QuantizeArgs, ui: Ui) -> Result<()> {
    let rows = args.calibrate.as_deref().map(|path| ("the rows of --calibrate", path));
    let mut files = Files::reading([("the model", &*args.model)].into_iter().chain(rows))?;
    let output = files.writing("the quantised model", &args.output, NATIVE_MODEL)?;
    files.refuse_json(ui)?;
    let from = Input::open(&args.model)?;
    let rows = args.calibrate.as_deref().map(Input::open).transpose()?;
    let loaded = Loaded::read_with(&from, &args.open.options())?;
    let precision = match args.to {
        QuantizeTo::Int8 => Precision::Int8,
        QuantizeTo::Bf16 => Precision::Bf16,
    };
    let smaller = loaded.model.quantised(precision)?;
    let bytes = smaller.to_file()?.to_bytes(NanPolicy::Refuse)?;
    // Measured as it will be read.
    let file = ModelFile::parse(&output.to_string(), &bytes, &ReadOptions::default())?;
    let model = Model::from_file(&output.to_string(), file, &Registry::new())?;
    let small = Loaded::new(model, loaded.encoder.clone())?;
    let rows = rows.as_deref().map(|path| Rows { path, files: &args.files, columns: &args.columns });
    let before = side(&loaded, std::fs::metadata(&*from)?.len(), rows, ui)?;
    let after = side(&small, bytes.len() as u64, rows, ui)?;
    output.write(|out| Ok(out.write_all(&bytes)?))?;
    let json = json!({ "before": as_json(&before), "after": as_json(&after), "model": output.to_string() });
    files.result(ui, &text(&before, &after), &json)
}

fn side(loaded: &Loaded, bytes: u64, rows: Option<Rows<'_>>, ui: Ui) -> Result<Side> {
    let measured = rows.map(|rows| loaded.measure(rows, ui)).transpose()?;
    Ok(Side { bytes, row_seconds: row_seconds(&loaded.model)?, measured })
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
    let mut object = side.measured.as_ref().map(object).unwrap_or_default();
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
    if let (Some(b), Some(a)) = (&before.measured, &after.measured) {
        for ((key, b), (_, a)) in object(b).iter().zip(object(a).iter()) {
            out += &line(key.trim_start_matches("test_"), b.to_string(), a.to_string());
        }
    }
    out
}
