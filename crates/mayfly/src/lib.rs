//! Small neural networks that are built for a job, run where the data is and dissolve without a trace.
//!
//! One crate to depend on; the parts behind it can be used by themselves:
//!
//! - [`nn`]: layers, training, model files
//! - [`graph`]: operations, gradients, plans and sessions
//! - [`format`]: data files, FANN networks, ONNX, safetensors
//! - [`kernels`]: SIMD kernels over slices
//! - [`base`]: seeded randomness
#![forbid(unsafe_code)]

pub use mayfly_base as base;
pub use mayfly_format as format;
pub use mayfly_graph as graph;
pub use mayfly_kernels as kernels;
pub use mayfly_nn as nn;
