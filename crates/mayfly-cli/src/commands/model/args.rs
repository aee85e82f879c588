//! The options of the commands on model files.
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct ModelArg {
    /// A model file
    pub model: PathBuf,
}

#[derive(Args, Debug)]
pub struct EvalArgs {
    /// A model file
    pub model: PathBuf,
    /// A data file with the columns the model was trained on
    pub data: PathBuf,
}

#[derive(Args, Debug)]
pub struct PredictArgs {
    /// A model file
    pub model: PathBuf,
    /// A data file with the input columns the model was trained on
    pub data: PathBuf,
    /// Write the predictions to a CSV file (standard output otherwise)
    #[arg(short, long, value_name = "OUT.csv")]
    pub output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ConvertArgs {
    /// The file to read
    #[arg(value_name = "IN")]
    pub from: PathBuf,
    /// The file to write; its extension says the format
    #[arg(value_name = "OUT")]
    pub to: PathBuf,
}

/// Formats of quantised weights.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum QuantizeTo {
    /// 8-bit integers, one scale per output
    Int8,
    /// 16-bit floats with the exponent range of f32
    Bf16,
}

#[derive(Args, Debug)]
pub struct QuantizeArgs {
    /// A model file
    pub model: PathBuf,
    /// Where the quantised model goes
    pub output: PathBuf,
    /// The format of the weights
    #[arg(long, value_enum)]
    pub to: QuantizeTo,
    /// Rows on which accuracy and speed are compared
    #[arg(long, value_name = "DATA")]
    pub calibrate: Option<PathBuf>,
}
