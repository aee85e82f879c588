//! What `mayfly info` tells of an ONNX graph, whether it can be run or not.
use crate::support::ui::grouped;
use mayfly_nn::onnx::{Description, ValueDescription};
use serde_json::{Value, json};
use std::fmt::Write;

/// The graph as JSON.
pub fn json_of(graph: &Description) -> Value {
    let values = |all: &[ValueDescription]| -> Vec<Value> {
        all.iter().map(|v| json!({ "name": v.name, "elements": v.elements, "shape": v.shape })).collect()
    };
    json!({
        "producer": graph.producer,
        "opset": graph.opset,
        "inputs": values(&graph.inputs),
        "outputs": values(&graph.outputs),
        "operators": graph.operators,
        "not_imported": graph.unknown,
        "weights": graph.parameters,
        "files": graph.files,
    })
}

/// What the file is, in a few words.
pub fn title(graph: &Description) -> String {
    let opset = graph.opset.map(|n| format!(", operators of set {n}")).unwrap_or_default();
    let producer = if graph.producer.is_empty() { String::new() } else { format!(", by {}", graph.producer) };
    format!("ONNX{opset}{producer}")
}

/// The graph in lines.
pub fn text_of(graph: &Description) -> String {
    let mut out = String::new();
    for (what, values) in [("input", &graph.inputs), ("output", &graph.outputs)] {
        for value in values {
            let shape =
                value.shape.as_ref().map_or_else(|| "of unknown shape".to_owned(), |s| format!("[{}]", s.join(", ")));
            let _ = writeln!(out, "  {what:<7} {:<24} {} {shape}", value.name, value.elements);
        }
    }
    let operators: Vec<String> = graph.operators.iter().map(|(op, n)| format!("{op} × {n}")).collect();
    let _ = writeln!(out, "  {} weights; operators: {}", grouped(graph.parameters as usize), operators.join(", "));
    if !graph.unknown.is_empty() {
        let _ = writeln!(out, "  not imported: {}", graph.unknown.join(", "));
    }
    if !graph.files.is_empty() {
        let files: Vec<&str> = graph.files.iter().map(String::as_str).collect();
        let _ = writeln!(out, "  weights in other files: {}", files.join(", "));
    }
    out
}
