//! `mayfly eval`, `predict`, `info`, `convert` and `quantize`: what is done with a model file.
pub mod args;
pub mod convert;
mod dot;
pub mod eval;
mod graph;
pub mod info;
pub mod quantize;
