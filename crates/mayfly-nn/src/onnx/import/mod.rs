//! From a graph to a network.
//!
//! Every value is either known at import ([`Host`]) or depends on the input ([`Net`]). Shapes that the graph computes are known: the batch counts
//! as a prime beyond every possible dimension (or as the number of rows that the model was exported for), so that plain arithmetic keeps it apart.
mod builder;
mod chain;
mod conv;
mod finish;
mod given;
mod host;
mod layout;
mod linear;
mod math;
mod ml;
mod net;
mod norm;
mod recurrent;
mod shape;

use super::error::{OnnxError, Res, bad};
use crate::error::Result;
use crate::model::Model;
use builder::Builder;
use given::Given;
pub use given::InputShape;
use host::{Budget, Host};
use mayfly_format::onnx::{GraphProto, ModelProto, NodeProto};
use net::Net;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

/// Stands for the batch in shapes: a prime beyond 2³², the most elements a row may have.
const FREE_BATCH: i64 = 4_294_967_311;

/// How an ONNX model is to be understood where it leaves a choice.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The output to keep when there are several that are not class labels.
    pub output: Option<String>,
    /// Sizes for free dimensions other than the batch, by their names.
    pub sizes: BTreeMap<String, usize>,
    /// The whole shape of the input: sizes for all of its free dimensions, named or not.
    pub shape: Option<InputShape>,
}

/// An imported model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network; class labels are in its metadata under `labels` as a JSON list.
    pub model: Model,
    /// Names of the classes, in the order of the outputs, when the model is a classifier that has them.
    pub labels: Vec<String>,
}

/// A value of the graph.
#[derive(Clone, Debug)]
enum Val {
    Host(Host),
    Net(Net),
    /// Class labels, or numbers of classes: what classifiers give besides probabilities.
    Label(Option<Rc<[String]>>),
    /// Not made, with the reason.
    Absent(&'static str),
}

/// The state of an import.
struct Cx {
    b: Builder,
    /// What the batch counts as in shapes.
    batch: i64,
    /// Whether the batch is free, and `batch` so a symbol.
    free: bool,
    budget: Budget,
    opset: i64,
    /// How often each value is read.
    uses: HashMap<String, usize>,
    /// Values that only look up rows of tables, which takes whole numbers of them.
    indices: HashSet<String>,
    /// Class labels found so far.
    labels: Option<Rc<[String]>>,
}

/// A node with its inputs.
struct Node<'a> {
    proto: &'a NodeProto,
    inputs: Vec<Option<Val>>,
}

impl Node<'_> {
    fn get(&self, i: usize) -> Option<&Val> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    fn val(&self, i: usize) -> Res<&Val> {
        match self.get(i) {
            Some(Val::Absent(why)) => bad(*why),
            Some(val) => Ok(val),
            None => bad(format!("input {i} is missing")),
        }
    }

    /// The name of the first output.
    fn output(&self) -> &str {
        self.proto.output.first().map_or("", String::as_str)
    }

    fn net(&self, i: usize) -> Res<&Net> {
        match self.val(i)? {
            Val::Net(net) => Ok(net),
            Val::Host(_) => bad(format!("input {i} is a constant, and must depend on the network's input")),
            _ => bad(format!("input {i} is a class label; only probabilities can be computed with")),
        }
    }

    fn host(&self, i: usize) -> Res<&Host> {
        match self.val(i)? {
            Val::Host(host) => Ok(host),
            _ => bad(format!("input {i} depends on the network's input, and must be a constant")),
        }
    }

    fn maybe_host(&self, i: usize) -> Res<Option<&Host>> {
        if self.get(i).is_none() { Ok(None) } else { self.host(i).map(Some) }
    }

    /// Whole numbers from an input, or in older operator sets from an attribute.
    fn ints(&self, i: usize, attribute: &str) -> Res<Option<Vec<i64>>> {
        match self.maybe_host(i)? {
            Some(host) => Ok(Some(host.ints()?.to_vec())),
            None => Ok(self.proto.ints(attribute)?.map(<[i64]>::to_vec)),
        }
    }

    /// A dimension, counted from the end if negative.
    fn axis(&self, axis: i64, rank: usize) -> Res<usize> {
        let at = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
        match at.and_then(|a| usize::try_from(a).ok()).filter(|a| *a < rank) {
            Some(axis) => Ok(axis),
            None => bad(format!("dimension {axis} of a value of {rank} dimensions")),
        }
    }
}

type Handler = fn(&mut Cx, &Node<'_>) -> Res<Vec<Val>>;

fn tables() -> impl Iterator<Item = &'static (&'static str, Handler)> {
    [math::OPS, linear::OPS, conv::OPS, norm::OPS, shape::OPS, recurrent::OPS, ml::OPS].into_iter().flatten()
}

/// The operators that are imported, those of other sets than the standard one with their domain.
pub fn operators() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = tables().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names
}

pub(super) fn full_name(node: &NodeProto) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}::{}", node.op_type),
    }
}

fn model_error(what: impl Into<String>) -> OnnxError {
    OnnxError::Model { what: what.into() }
}

/// Reads an `.onnx` file as a network.
///
/// # Errors
/// What [`ModelProto::read`] and [`import`] refuse.
pub fn read(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported> {
    import(&ModelProto::read(path)?, options)
}

/// Makes a network of a model with one input whose first dimension is the batch.
///
/// # Errors
/// [`OnnxError`]: operators that are not imported, nodes that cannot be computed for each row by itself, several inputs, several outputs of which
/// none is chosen, free dimensions without a size; all name what they are about.
pub fn import(model: &ModelProto, options: &ImportOptions) -> Result<Imported> {
    model.check()?;
    let graph = model.graph()?;
    let Given { name, row, batch, elements } = given::input_of(graph, options)?;
    let weights: usize = graph.initializer.iter().map(|t| t.raw_data.len() / 4 + t.float_data.len()).sum();
    let mut cx = Cx {
        b: Builder::new(&row).map_err(|e| model_error(format!("the input {name:?}: {}", e.0)))?,
        batch: batch.unwrap_or(FREE_BATCH),
        free: batch.is_none(),
        budget: Budget(weights.saturating_mul(16).saturating_add(1 << 24)),
        opset: model.opset_version().unwrap_or(1),
        uses: uses(graph),
        indices: indices(graph),
        labels: None,
    };
    let mut values = initializers(graph)?;
    let mut input = Net { elements, ..Net::plain(0, &row) };
    input.view[0] = cx.lead();
    values.insert(name, Val::Net(input));
    for node in &graph.node {
        run(&mut cx, node, &mut values)?;
    }
    finish::finish(cx, model, &values, &row, options)
}

impl Cx {
    /// The batch as a dimension. In a model that was exported for one row it is nowhere: a dimension of 1 has no place to keep,
    /// and whatever the graph does to it, it does to one row.
    fn lead(&self) -> Vec<net::Key> {
        if self.batch == 1 { Vec::new() } else { vec![net::B] }
    }
}

fn run(cx: &mut Cx, proto: &NodeProto, values: &mut HashMap<String, Val>) -> Result<()> {
    let op = full_name(proto);
    let Some((_, handler)) = tables().find(|(name, _)| *name == op) else {
        return Err(OnnxError::Operator { op, node: proto.name.clone(), supported: operators() }.into());
    };
    let input = |name: &String| if name.is_empty() { None } else { values.get(name).cloned() };
    let node = Node { proto, inputs: proto.input.iter().map(input).collect() };
    let outputs = handler(cx, &node).map_err(|e| OnnxError::Node { op, node: proto.name.clone(), what: e.0 })?;
    let missing = std::iter::repeat_n(
        Val::Absent("this output of the operator is not imported"),
        proto.output.len().saturating_sub(outputs.len()),
    );
    for (name, value) in proto.output.iter().zip(outputs.into_iter().chain(missing)) {
        values.insert(name.clone(), value);
    }
    Ok(())
}

fn uses(graph: &GraphProto) -> HashMap<String, usize> {
    let mut uses = HashMap::new();
    let outputs = graph.output.iter().map(|o| &o.name);
    for name in graph.node.iter().flat_map(|n| &n.input).chain(outputs) {
        *uses.entry(name.clone()).or_insert(0) += 1;
    }
    uses
}

/// The values that nothing but the second input of a Gather reads.
fn indices(graph: &GraphProto) -> HashSet<String> {
    let reads = |n: &NodeProto, i: usize| n.op_type == "Gather" && i == 1;
    let read = graph.node.iter().flat_map(|n| n.input.iter().enumerate().map(move |(i, name)| (name, reads(n, i))));
    let (looked_up, other): (Vec<_>, Vec<_>) = read.partition(|(_, is_index)| *is_index);
    let elsewhere: HashSet<&String> =
        other.into_iter().map(|(name, _)| name).chain(graph.output.iter().map(|o| &o.name)).collect();
    looked_up.into_iter().map(|(name, _)| name).filter(|name| !elsewhere.contains(name)).cloned().collect()
}

fn initializers(graph: &GraphProto) -> Result<HashMap<String, Val>> {
    let mut values = HashMap::new();
    for tensor in &graph.initializer {
        let host = Host::of_tensor(tensor.to_tensor()?, &tensor.name, true)
            .map_err(|e| model_error(format!("the tensor {:?}: {}", tensor.name, e.0)))?;
        values.insert(tensor.name.clone(), Val::Host(host));
    }
    Ok(values)
}
