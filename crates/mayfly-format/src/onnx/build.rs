//! Putting a model together.

use super::ElementType;
use super::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};
use crate::error::Result;

/// The version of the standard operators that is written: the first with LayerNormalization, and read by everything since 2022.
pub const OPSET_VERSION: i64 = 17;
/// The version of the file format that goes with it.
pub const IR_VERSION: i64 = 8;

/// A dimension of an input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// A size.
    Fixed(usize),
    /// The name of a size that is free, such as "batch".
    Free(String),
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self::Fixed(size)
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Self::Free(name.to_owned())
    }
}

/// Builds a graph, node by node in the order of computation.
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    graph: GraphProto,
    opset_import: Vec<OperatorSetId>,
}

impl GraphBuilder {
    /// An empty graph.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let standard = OperatorSetId { domain: String::new(), version: OPSET_VERSION };
        Self { graph: GraphProto { name: name.to_owned(), ..GraphProto::default() }, opset_import: vec![standard] }
    }

    /// Uses another operator set, such as `ai.onnx.ml`, or another version of the standard one, whose domain is empty.
    pub fn operator_set(&mut self, domain: &str, version: i64) {
        self.opset_import.retain(|o| o.domain != domain);
        self.opset_import.push(OperatorSetId { domain: domain.to_owned(), version });
    }

    /// Adds an input.
    pub fn input(&mut self, name: &str, element_type: ElementType, shape: &[Dim]) {
        self.graph.input.push(value_info(name, element_type, shape));
    }

    /// Adds an output, which some node makes.
    pub fn output(&mut self, name: &str, element_type: ElementType, shape: &[Dim]) {
        self.graph.output.push(value_info(name, element_type, shape));
    }

    /// Adds a constant tensor of floats.
    pub fn f32(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.initializer(TensorProto::f32(name, shape, values));
    }

    /// Adds a constant tensor of integers: shapes, axes, indices.
    pub fn i64(&mut self, name: &str, shape: &[usize], values: &[i64]) {
        self.initializer(TensorProto::i64(name, shape, values));
    }

    /// Adds a constant tensor.
    pub fn initializer(&mut self, tensor: TensorProto) {
        self.graph.initializer.push(tensor);
    }

    /// Adds a node of the standard operators, named after its first output.
    pub fn node(&mut self, op_type: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) {
        self.node_of("", op_type, inputs, outputs, attribute);
    }

    /// Adds a node of another operator set.
    pub fn node_of(
        &mut self,
        domain: &str,
        op_type: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        self.graph.node.push(NodeProto {
            name: outputs.first().map_or_else(String::new, |first| format!("{first}.{op_type}")),
            op_type: op_type.to_owned(),
            domain: domain.to_owned(),
            input: names(inputs),
            output: names(outputs),
            attribute,
        });
    }

    /// The model, checked, see [`ModelProto::check`].
    ///
    /// # Errors
    /// What [`ModelProto::check`] refuses.
    pub fn finish(self, producer: &str) -> Result<ModelProto> {
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: producer.to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.graph),
            opset_import: self.opset_import,
            metadata_props: Vec::new(),
        };
        model.check()?;
        Ok(model)
    }
}

fn value_info(name: &str, element_type: ElementType, shape: &[Dim]) -> ValueInfoProto {
    let dim = |dim: &Dim| {
        let value = match dim {
            Dim::Fixed(size) => DimensionValue::DimValue(*size as i64),
            Dim::Free(name) => DimensionValue::DimParam(name.clone()),
        };
        DimensionProto { value: Some(value) }
    };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
    let value = Some(TypeValue::TensorType(TensorTypeProto { elem_type: element_type.code(), shape }));
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { value }) }
}
