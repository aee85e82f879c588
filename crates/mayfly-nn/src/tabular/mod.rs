//! From a file to answers: models of every kind with what is done to rows before them and to answers behind.
mod fold;
mod kind;
mod predictor;

pub use kind::ModelKind;
pub use predictor::{LoadOptions, Predictor};
