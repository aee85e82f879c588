//! What an ONNX model is, whether it can be imported or not.
use super::import::{full_name, operators};
use crate::error::Result;
use mayfly_format::onnx::{DimensionValue, ElementType, GraphProto, ModelProto, TypeValue, ValueInfoProto};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A model from the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The program that wrote it, with its version.
    pub producer: String,
    /// The version of the standard operators.
    pub opset: Option<i64>,
    /// The inputs, initializers not among them.
    pub inputs: Vec<ValueDescription>,
    /// The outputs.
    pub outputs: Vec<ValueDescription>,
    /// How often each operator is used, those in loops and branches included.
    pub operators: BTreeMap<String, usize>,
    /// Those operators that are not imported.
    pub unknown: Vec<String>,
    /// Elements in all weights.
    pub parameters: u64,
    /// Files that hold weights beside the model.
    pub files: BTreeSet<String>,
}

/// An input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueDescription {
    /// Its name.
    pub name: String,
    /// Its elements: `float`, `int64` …
    pub elements: String,
    /// Its dimensions: sizes, names of free ones, `?` for what is not known. None when the shape is not known.
    pub shape: Option<Vec<String>>,
}

/// Reads an `.onnx` file, without its weights in other files, and says what it is.
///
/// # Errors
/// What [`ModelProto::peek`] refuses.
pub fn describe(path: impl AsRef<Path>) -> Result<Description> {
    let model = ModelProto::peek(path)?;
    let graph = model.graph()?;
    let mut seen = Description {
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
        opset: model.opset_version(),
        inputs: Vec::new(),
        outputs: graph.output.iter().map(value).collect(),
        operators: BTreeMap::new(),
        unknown: Vec::new(),
        parameters: 0,
        files: BTreeSet::new(),
    };
    let is_weight = |name: &str| graph.initializer.iter().any(|t| t.name == name);
    seen.inputs = graph.input.iter().filter(|i| !is_weight(&i.name)).map(value).collect();
    seen.walk(graph);
    let known = operators();
    seen.unknown = seen.operators.keys().filter(|op| !known.contains(&op.as_str())).cloned().collect();
    Ok(seen)
}

impl Description {
    fn walk(&mut self, graph: &GraphProto) {
        for tensor in &graph.initializer {
            let size = tensor.dims.iter().map(|d| u64::try_from(*d).unwrap_or(0)).fold(1, u64::saturating_mul);
            self.parameters = self.parameters.saturating_add(size);
            let location = tensor.external_data.iter().find(|e| e.key == "location");
            self.files.extend(location.map(|e| e.value.clone()));
        }
        for node in &graph.node {
            *self.operators.entry(full_name(node)).or_default() += 1;
            node.attribute.iter().filter_map(|a| a.g.as_ref()).for_each(|g| self.walk(g));
        }
    }
}

fn value(info: &ValueInfoProto) -> ValueDescription {
    let tensor = info.r#type.as_ref().and_then(|t| t.value.as_ref()).map(|TypeValue::TensorType(tensor)| tensor);
    let elements = tensor.and_then(|t| ElementType::from_code(t.elem_type));
    let dim = |value: Option<&DimensionValue>| match value {
        Some(DimensionValue::DimValue(n)) => n.to_string(),
        Some(DimensionValue::DimParam(name)) if !name.is_empty() => name.clone(),
        _ => "?".to_owned(),
    };
    let shape = tensor.and_then(|t| t.shape.as_ref());
    ValueDescription {
        name: info.name.clone(),
        elements: elements.map_or_else(|| "no tensor of numbers".to_owned(), |e| format!("{e:?}").to_lowercase()),
        shape: shape.map(|s| s.dim.iter().map(|d| dim(d.value.as_ref())).collect()),
    }
}
