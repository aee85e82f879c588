//! `mayfly info`: what a model file holds.
use super::args::InfoArgs;
use super::graph;
use crate::support::input::Input;
use crate::support::model::Loaded;
#[cfg(feature = "forecast")]
use crate::support::model::is_forecaster;
use crate::support::ui::{Ui, grouped};
use anyhow::Result;
use mayfly_format::fann_net::{FannScale, FannScaling};
use mayfly_nn::onnx::{Description, describe};
use mayfly_nn::tabular::ModelKind;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// A file from the outside.
struct Seen {
    /// As the user calls it.
    name: String,
    bytes: u64,
    kind: Option<ModelKind>,
    /// Of an ONNX file.
    graph: Option<Description>,
}

/// Describes a model file.
pub fn info(args: &InfoArgs, ui: Ui) -> Result<()> {
    let file = Input::open(&args.model)?;
    let loaded = Loaded::read_with(&file, &args.open.options());
    let seen = Seen::of(&args.model, &file)?;
    match (loaded, &seen.graph) {
        (Ok(loaded), _) => runnable(&loaded, &seen, ui),
        (Err(error), Some(graph)) => unrunnable(graph, &error, &seen, ui),
        #[cfg(feature = "forecast")]
        (Err(_), None) if is_forecaster(&file) => crate::commands::forecast::info(&seen.name, &file, seen.bytes, ui),
        (Err(error), None) => Err(error),
    }
}

impl Seen {
    fn of(name: &Path, file: &Path) -> Result<Seen> {
        let kind = ModelKind::of_file(file).ok();
        let graph = if kind == Some(ModelKind::Onnx) { describe(file).ok() } else { None };
        let bytes = std::fs::metadata(file).map_or(0, |found| found.len());
        Ok(Seen { name: name.display().to_string(), bytes, kind, graph })
    }

    fn format(&self) -> &'static str {
        match self.kind {
            Some(ModelKind::Fann) => "fann",
            Some(ModelKind::Onnx) => "onnx",
            _ => "mayfly",
        }
    }
}

/// What can be said of a model that cannot be run here, and why it cannot.
fn unrunnable(graph: &Description, error: &anyhow::Error, seen: &Seen, ui: Ui) -> Result<()> {
    let reason = error.root_cause().to_string();
    let object = json!({
        "file": seen.name,
        "bytes": seen.bytes,
        "format": seen.format(),
        "runs": false,
        "reason": reason,
        "graph": graph::json_of(graph),
    });
    let head = format!("{}  {} bytes, {}", seen.name, grouped(seen.bytes as usize), graph::title(graph));
    ui.result(&format!("{head}\n{}\ncannot be run: {reason}\n", graph::text_of(graph)), &object)
}

fn runnable(loaded: &Loaded, seen: &Seen, ui: Ui) -> Result<()> {
    let network = &loaded.model.network;
    let parse = |text: &Option<String>| {
        text.as_deref().and_then(|t| serde_json::from_str::<Value>(t).ok()).unwrap_or(Value::Null)
    };
    let object = json!({
        "file": seen.name,
        "bytes": seen.bytes,
        "format": seen.format(),
        "runs": true,
        "notes": loaded.notes(),
        "scaling": loaded.scaling(),
        "graph": seen.graph.as_ref().map(graph::json_of),
        "precision": format!("{:?}", loaded.model.precision).to_lowercase(),
        "inputs": network.input_len(),
        "outputs": network.output_len(),
        "parameters": network.param_count(),
        "tensors": network.named_params().map(|(p, _)| json!({"name": p.name, "shape": p.shape.dims()})).collect::<Vec<_>>(),
        "spec": serde_json::from_str::<Value>(&network.spec().to_json()?)?,
        "labels": loaded.labels(),
        "metrics": parse(&loaded.model.metrics),
        "training": parse(&loaded.model.training),
    });
    ui.result(&text(loaded, seen), &object)
}

fn text(loaded: &Loaded, seen: &Seen) -> String {
    let network = &loaded.model.network;
    let mut out = String::new();
    let bytes = grouped(seen.bytes as usize);
    let _ = writeln!(out, "{}  {bytes} bytes, {:?} weights", seen.name, loaded.model.precision);
    let _ = writeln!(
        out,
        "{} inputs → {} outputs, {} parameters\n",
        network.input_len(),
        network.output_len(),
        grouped(network.param_count())
    );
    for (info, _) in network.named_params() {
        let _ = writeln!(out, "  {:<32} {}", info.name, info.shape);
    }
    if let Some(graph) = &seen.graph {
        let _ = write!(out, "\n{}\n{}", graph::title(graph), graph::text_of(graph));
    }
    if let Some(scaling) = loaded.scaling() {
        let formula = "((x − mean) / deviation + 1) · factor + new_min";
        let _ =
            write!(out, "\nFANN's scaling, {formula}, is applied to rows and undone in answers\n{}", scales(scaling));
    }
    if let Some(encoder) = &loaded.encoder {
        let _ = writeln!(out, "\nreads {} columns; answers {}", encoder.inputs().len(), answers(encoder));
    }
    if loaded.encoder.is_none() && !loaded.labels().is_empty() {
        let _ = writeln!(out, "\nanswers {}", loaded.labels().join(" | "));
    }
    for (name, part) in [("measured", &loaded.model.metrics), ("trained", &loaded.model.training)] {
        if let Some(Ok(Value::Object(map))) = part.as_deref().map(serde_json::from_str) {
            let line: Vec<String> = map.iter().map(|(k, v)| format!("{k} {v}")).collect();
            let _ = writeln!(out, "{name}: {}", line.join(", "));
        }
    }
    out
}

/// FANN's scaling, a line for each input and output, up to a few.
fn scales(scaling: &FannScaling) -> String {
    const SHOWN: usize = 16;
    let side = |name: &'static str, scale: &FannScale| {
        let line = move |(i, [mean, deviation, new_min, factor]): (usize, [f64; 4])| {
            format!(
                "  {name:<6} {:>3}: mean {mean}, deviation {deviation}, new_min {new_min}, factor {factor}\n",
                i + 1
            )
        };
        let more = scale.columns().count().saturating_sub(SHOWN);
        let more = if more > 0 { format!("  and {more} more\n") } else { String::new() };
        scale.columns().take(SHOWN).enumerate().map(line).collect::<String>() + &more
    };
    side("input", &scaling.input) + &side("output", &scaling.output)
}

fn answers(encoder: &mayfly_format::data::Encoder) -> String {
    let columns = encoder.targets().columns().join(", ");
    match encoder.labels() {
        [] => columns,
        labels if labels.len() <= 12 => format!("{columns}: {}", labels.join(" | ")),
        labels => format!("{columns}: {} classes", labels.len()),
    }
}
