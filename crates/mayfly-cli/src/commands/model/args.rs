//! The options of the commands on model files.
use crate::support::data::{ColumnArgs, FileArgs};
use clap::{Args, ValueEnum};
use mayfly_nn::onnx::InputShape;
use mayfly_nn::tabular::LoadOptions;
use std::path::PathBuf;

/// What an ONNX file may leave open.
#[derive(Args, Debug, Clone, Default)]
pub struct OpenArgs {
    /// Shape of an ONNX network's input where the file leaves sizes free, rows first: 1,3,224,224
    #[arg(long, value_name = "[INPUT=]N,N,…")]
    pub shape: Option<InputShape>,
}

impl OpenArgs {
    pub fn options(&self) -> LoadOptions {
        LoadOptions { shape: self.shape.clone(), ..LoadOptions::default() }
    }
}

#[derive(Args, Debug)]
pub struct InfoArgs {
    /// A model file; - is standard input
    pub model: PathBuf,
    #[command(flatten)]
    pub open: OpenArgs,
}

#[derive(Args, Debug)]
pub struct EvalArgs {
    /// A model file; - is standard input
    pub model: PathBuf,
    /// A data file with the columns the model was trained on; - is standard input
    pub data: PathBuf,
    #[command(flatten)]
    pub open: OpenArgs,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub columns: ColumnArgs,
}

#[derive(Args, Debug)]
pub struct PredictArgs {
    /// A model file; - is standard input
    pub model: PathBuf,
    /// A data file with the input columns the model was trained on; - is standard input
    pub data: PathBuf,
    /// Write the predictions to a CSV file; - is standard output, which is where they go without this
    #[arg(short, long, value_name = "OUT.csv")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub open: OpenArgs,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub columns: ColumnArgs,
}

#[derive(Args, Debug)]
pub struct ConvertArgs {
    /// The file to read; - is standard input
    #[arg(value_name = "IN")]
    pub from: PathBuf,
    /// The file to write; its extension says the format; - is standard output
    #[arg(value_name = "OUT")]
    pub to: PathBuf,
    /// The format of standard output
    #[arg(long = "to", value_enum, value_name = "FORMAT")]
    pub format: Option<ConvertTo>,
    #[command(flatten)]
    pub open: OpenArgs,
}

/// Formats that a model is converted to, where no extension says.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConvertTo {
    /// Mayfly's own, which is safetensors
    Mayfly,
    /// FANN's network files
    Net,
    /// ONNX
    Onnx,
    /// A drawing for Graphviz
    Dot,
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
    /// A model file; - is standard input
    pub model: PathBuf,
    /// Where the quantised model goes; - is standard output
    pub output: PathBuf,
    /// The format of the weights
    #[arg(long, value_enum)]
    pub to: QuantizeTo,
    /// Rows on which accuracy and speed are compared; - is standard input
    #[arg(long, value_name = "DATA")]
    pub calibrate: Option<PathBuf>,
    #[command(flatten)]
    pub open: OpenArgs,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub columns: ColumnArgs,
}
