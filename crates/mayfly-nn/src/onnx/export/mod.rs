//! From a network to a graph of ONNX operators, set 17, as widely read as can be.
//!
//! Each operation of the network's inference graph becomes one operator or a few; dropout is gone, norms use their running statistics.
mod acts;
mod ops;
mod recurrent;
mod writer;

use super::error::OnnxError;
use crate::error::Result;
use crate::network::Network;
use crate::scale::Scale;
use crate::spec::Mode;
use mayfly_format::onnx::{Dim, ElementType, GraphBuilder, ModelProto, StringStringEntry};
use writer::Writer;

/// What an exported graph has besides the network.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// Names of the classes, which go into the metadata under `labels` as a JSON list.
    pub labels: Vec<String>,
    /// How inputs are scaled: the graph does it before the network sees them.
    pub inputs: Option<Scale>,
    /// How targets were scaled: the graph undoes it.
    pub outputs: Option<Scale>,
}

/// Writes a network as a graph with the input `input [batch, …]` and the output `output [batch, …]`, both float.
///
/// Weights keep their names. An embedding's numbers are floats too, as everywhere here; the graph casts them.
///
/// # Errors
/// [`OnnxError::Export`] for operations of the user's own, which ONNX does not have, and for scales of another length than the columns.
pub fn export(network: &Network, options: &ExportOptions) -> Result<ModelProto> {
    let lowered = network.spec().lower(Mode::Inference)?;
    let graph = &lowered.graph;
    let mut writer = Writer::new(graph, network.params());
    let (inputs, outputs) = (network.spec().input.as_slice(), network.output_shape());
    writer.scale_input(options.inputs.as_ref(), inputs)?;
    for id in graph.ids() {
        writer.node(id)?;
    }
    let y = graph.outputs().first().map(|(_, id)| *id);
    let Some(y) = y else {
        return Err(
            OnnxError::Export { op: "a network without outputs".to_owned(), what: "add a layer".to_owned() }.into()
        );
    };
    writer.finish(y, options.outputs.as_ref(), outputs)?;
    let mut builder = GraphBuilder::new("mayfly");
    let shape = |row: &[usize]| {
        std::iter::once(Dim::from("batch")).chain(row.iter().map(|d| Dim::from(*d))).collect::<Vec<_>>()
    };
    builder.input("input", ElementType::Float, &shape(inputs));
    builder.output("output", ElementType::Float, &shape(outputs));
    writer.write(&mut builder);
    let mut model = builder.finish("mayfly")?;
    if !options.labels.is_empty() {
        let value = serde_json::to_string(&options.labels)
            .map_err(|source| crate::error::NnError::Json { what: "the class labels", source })?;
        model.metadata_props.push(StringStringEntry { key: "labels".to_owned(), value });
    }
    Ok(model)
}
