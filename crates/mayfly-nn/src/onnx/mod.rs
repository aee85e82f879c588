//! ONNX models: from graphs to networks, and back (`docs/formats/onnx.md`).
//!
//! [`import`] makes an ordinary [`crate::Network`] of a graph: layers where the graph is a plain chain of them, operations by number
//! ([`crate::GraphSpec`]) where it is not. [`export`] writes any network as a graph of operator set 17.
mod describe;
mod error;
mod export;
mod import;

pub use describe::{Description, ValueDescription, describe};
pub use error::OnnxError;
pub use export::{ExportOptions, export};
pub use import::{ImportOptions, Imported, InputShape, import, operators, read};
