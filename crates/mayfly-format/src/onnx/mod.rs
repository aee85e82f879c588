//! ONNX models: the protobuf messages that neural networks use, read with limits, checked, and written.
//!
//! What the operators mean is not this crate's business; `docs/formats/onnx.md` lists what is read, what is refused, and which operators the
//! exporters of PyTorch and scikit-learn write.
//!
//! ```
//! use mayfly_format::onnx::{AttributeProto, ElementType, GraphBuilder, ModelProto};
//!
//! # fn main() -> Result<(), mayfly_format::FormatError> {
//! let mut graph = GraphBuilder::new("net");
//! graph.input("x", ElementType::Float, &["batch".into(), 2.into()]);
//! graph.output("y", ElementType::Float, &["batch".into(), 1.into()]);
//! graph.f32("w", &[1, 2], &[0.5, -1.0]);
//! graph.node("Gemm", &["x", "w"], &["y"], vec![AttributeProto::int("transB", 1)]);
//! let bytes = graph.finish("an example")?.to_bytes();
//!
//! let model = ModelProto::parse("net.onnx", &bytes)?;
//! let graph = model.graph()?;
//! assert_eq!(graph.node[0].int_or("transB", 0)?, 1);
//! assert_eq!(graph.initializer[0].to_tensor()?.to_f32()?, [0.5, -1.0]);
//! # Ok(())
//! # }
//! ```

mod build;
mod check;
mod external;
mod node;
mod proto;
mod read;
mod scan;
mod tensor;

pub use build::{Dim, GraphBuilder, IR_VERSION, OPSET_VERSION};
pub use external::MAX_EXTERNAL_BYTES;
pub use node::AttributeKind;
pub use proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetId,
    StringStringEntry, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};
pub use tensor::{ElementType, OnnxData, OnnxTensor};

/// The largest file that is read, in bytes: protobuf's own limit.
pub const MAX_FILE_BYTES: u64 = (1 << 31) - 1;
/// How deep messages may be nested. Each graph within a graph takes three levels.
pub const MAX_DEPTH: usize = 32;
/// The most messages and strings in a model.
pub const MAX_ITEMS: usize = 1 << 22;

/// The name in errors of a model whose file is not known.
const UNNAMED: &str = "ONNX model";
