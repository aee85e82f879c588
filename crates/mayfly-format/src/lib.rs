//! Files in and out: tables of data to learn from, and models in the formats that others read.

#![forbid(unsafe_code)]

pub mod atomic;
pub mod data;
mod error;
pub mod fann_net;
mod figure;
#[doc(hidden)]
pub mod fuzz;
pub mod impostor;
mod limits;
pub mod model_file;
pub mod onnx;
#[doc(hidden)]
pub mod testdata;
mod whole_file;

pub use error::{FormatError, Position, Result};
pub use figure::figure;
pub use limits::DataLimits;
