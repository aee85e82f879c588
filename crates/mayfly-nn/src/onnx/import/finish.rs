//! From the operations to a network: the output chosen, unused operations dropped, plain chains as layers.
use super::super::error::OnnxError;
use super::net::{B, Key};
use super::{Cx, ImportOptions, Imported, Val, model_error};
use crate::error::Result;
use crate::layers::{GraphOp, GraphSpec};
use crate::model::Model;
use crate::network::Network;
use crate::spec::{Mode, NetworkSpec};
use mayfly_format::onnx::{GraphProto, ModelProto, StringStringEntry};
use std::collections::{BTreeMap, HashMap};

/// The metadata key of class labels.
pub const LABELS: &str = "labels";

pub fn finish(
    mut cx: Cx,
    model: &ModelProto,
    values: &HashMap<String, Val>,
    row: &[usize],
    options: &ImportOptions,
) -> Result<Imported> {
    let graph = model.graph()?;
    let metadata = &model.metadata_props;
    let (name, output) = choose(graph, values, options)?;
    let refuse = |e: super::super::error::Bad| model_error(format!("the output {name:?}: {}", e.0));
    let output = stored(&mut cx, output).map_err(refuse)?;
    let ops = pruned(&cx.b.ops, output);
    let graph = GraphSpec { output: ops.len(), ops };
    let (layers, params) = super::chain::layers(&graph, &cx.b.params);
    let spec = layers.into_iter().fold(NetworkSpec::new(row), |spec, layer| spec.with(layer));
    let labels: Vec<String> = cx.labels.map(|l| l.to_vec()).or_else(|| written(metadata)).unwrap_or_default();
    let network = filled(spec, &params)?;
    let labels = if labels.len() == network.output_len() { labels } else { Vec::new() };
    let mut model = Model::new(network);
    if !labels.is_empty() {
        let json = serde_json::to_string(&labels)
            .map_err(|source| crate::error::NnError::Json { what: "the class labels", source })?;
        model.other.insert(LABELS.to_owned(), json);
    }
    Ok(Imported { model, labels })
}

/// The one output that is no label.
fn choose<'a>(
    graph: &GraphProto,
    values: &'a HashMap<String, Val>,
    options: &ImportOptions,
) -> Result<(String, &'a super::Net), OnnxError> {
    let nets: Vec<(&str, &super::Net)> = graph
        .output
        .iter()
        .filter_map(|o| match values.get(&o.name) {
            Some(Val::Net(net)) => Some((o.name.as_str(), net)),
            _ => None,
        })
        .collect();
    let names = || nets.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
    let chosen = match &options.output {
        Some(name) => nets.iter().find(|(n, _)| n == name),
        None if nets.len() > 1 => {
            return Err(model_error(format!(
                "{} outputs ({}); choose one (ImportOptions::output)",
                nets.len(),
                names()
            )));
        }
        None => nets.first(),
    };
    match chosen {
        Some((name, net)) => Ok(((*name).to_owned(), *net)),
        None => Err(model_error(match &options.output {
            Some(name) => format!("no output {name:?} depends on the input; there are: {}", names()),
            None => "no output depends on the input".to_owned(),
        })),
    }
}

/// The number of the value `[batch, …]` in the order in which the graph sees it.
fn stored(cx: &mut Cx, net: &super::Net) -> super::Res<usize> {
    let canonical = cx.canonical(net)?;
    let mut dims = Vec::new();
    let first = usize::from(cx.batch == 1); // of one row, the first dimension is the batch
    for dim in canonical.view.iter().skip(first) {
        let keys: Vec<Key> = dim.iter().copied().filter(|k| *k != B).collect();
        if !dim.contains(&B) || !keys.is_empty() {
            dims.push(keys.iter().map(|k| canonical.size(*k)).product::<usize>());
        }
    }
    if dims.len() > 3 || dims.is_empty() {
        dims = vec![canonical.row_len()];
    }
    cx.b.reshape(canonical.id, &dims)
}

/// The operations that `output` needs, numbered anew; the last gives the output.
fn pruned(ops: &[GraphOp], output: usize) -> Vec<GraphOp> {
    let mut needed = vec![false; ops.len() + 1];
    if let Some(n) = needed.get_mut(output) {
        *n = true;
    }
    for (i, op) in ops.iter().enumerate().rev() {
        if needed[i + 1] {
            op.clone().reads(|x| needed[*x] = true);
        }
    }
    let mut number = vec![0; ops.len() + 1];
    let mut kept = Vec::new();
    for (i, op) in ops.iter().enumerate().filter(|(i, _)| needed[i + 1]) {
        let mut op = op.clone();
        op.reads(|x| *x = number[*x]);
        kept.push(op);
        number[i + 1] = kept.len();
    }
    if number[output] != kept.len() {
        kept.push(GraphOp::Act { x: number[output], f: crate::activation::Activation::IDENTITY });
    }
    kept
}

/// The network of a description with its parameters, found by the ends of their names.
fn filled(spec: NetworkSpec, params: &BTreeMap<String, Vec<f32>>) -> Result<Network> {
    let layout = spec.lower(Mode::Inference)?.graph.params().to_vec();
    let mut flat = Vec::new();
    for info in &layout {
        let found =
            params.get(&info.name).ok_or_else(|| model_error(format!("no values for the parameter {}", info.name)))?;
        flat.extend_from_slice(found);
    }
    Network::from_parts(spec, &flat, None)
}

/// The labels that an export of ours left in the metadata.
fn written(metadata: &[StringStringEntry]) -> Option<Vec<String>> {
    let entry = metadata.iter().find(|e| e.key == LABELS)?;
    serde_json::from_str(&entry.value).ok()
}
