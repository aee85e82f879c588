//! Files in and out: tables of data to learn from, and models in the formats that others read.

#![forbid(unsafe_code)]

mod error;
mod limits;

pub use error::{FormatError, Position, Result};
pub use limits::DataLimits;
