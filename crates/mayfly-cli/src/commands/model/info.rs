//! `mayfly info`: what a model file holds.
use crate::support::input::Input;
use crate::support::model::Loaded;
use crate::support::ui::{Ui, grouped};
use anyhow::Result;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// Describes a model file.
pub fn info(path: &Path, ui: Ui) -> Result<()> {
    let file = Input::open(path)?;
    let loaded = Loaded::read(&file)?;
    let network = &loaded.model.network;
    let bytes = std::fs::metadata(&*file)?.len();
    let parse = |text: &Option<String>| {
        text.as_deref().and_then(|t| serde_json::from_str::<Value>(t).ok()).unwrap_or(Value::Null)
    };
    let object = json!({
        "file": path.display().to_string(),
        "bytes": bytes,
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
    ui.result(&text(&loaded, bytes, path), &object)
}

fn text(loaded: &Loaded, bytes: u64, path: &Path) -> String {
    let network = &loaded.model.network;
    let mut out = String::new();
    let _ =
        writeln!(out, "{}  {} bytes, {:?} weights", path.display(), grouped(bytes as usize), loaded.model.precision);
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

fn answers(encoder: &mayfly_format::data::Encoder) -> String {
    let columns = encoder.targets().columns().join(", ");
    match encoder.labels() {
        [] => columns,
        labels if labels.len() <= 12 => format!("{columns}: {}", labels.join(" | ")),
        labels => format!("{columns}: {} classes", labels.len()),
    }
}
